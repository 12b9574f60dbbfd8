"""The state machine: prerequisites in order, transitions, snapshots and roll back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.records import (
    STEP_NAMES,
    DryRunSummary,
    Tenant,
    Topic,
    TrainingSummary,
    Upload,
    Verdict,
    Workflow,
)
from tasks import workflow as flow
from tasks.step import Need

TENANT = Tenant(enterprise="", team="T1")


def new(**changes: object) -> Workflow:
    base = flow.create(
        id="w1",
        tenant=TENANT,
        channel="C1",
        thread_ts="1.1",
        owner="U1",
        name="Support",
        goal="be kind",
        at=1.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def with_rows(**changes: object) -> Workflow:
    return new(dataset_id="d1", dataset_version=1, total_rows=10, valid_rows=9, **changes)


def upload(version: int = 1) -> Upload:
    return Upload(
        backend_dataset_id="file-1",
        trainer="openai",
        dataset_version=version,
        record_count=9,
        grader_version=1,
    )


def dry_run(verdict: Verdict, *, dataset: int = 1, grader: int = 1, overridden_by: str = "") -> DryRunSummary:
    return DryRunSummary(
        task_id="t1",
        at=2.0,
        dataset_version=dataset,
        grader_version=grader,
        verdict=verdict,
        mean=0.4,
        std=0.15,
        may_override=True,
        overridden_by=overridden_by,
    )


TRAINING: tuple[Need, ...] = ("valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict")


@pytest.mark.parametrize(
    ("workflow", "needs", "missing"),
    [
        (None, ("valid_rows", "topics"), ["valid_rows", "topics"]),
        (None, TRAINING, ["valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict"]),
        (new(), TRAINING, ["valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict"]),
        (with_rows(), ("topics", "valid_rows"), ["topics"]),
        (with_rows(grader_version=1), TRAINING, ["uploaded_dataset", "dry_run", "verdict"]),
        (with_rows(grader_version=1, upload=upload()), TRAINING, ["dry_run", "verdict"]),
        (with_rows(grader_version=1, upload=upload(0)), ("uploaded_dataset",), ["uploaded_dataset"]),
        (with_rows(grader_version=1, upload=upload(), dry_runs=(dry_run("GO"),)), TRAINING, []),
        (with_rows(grader_version=1, upload=upload(), dry_runs=(dry_run("WARNING"),)), TRAINING, []),
        (with_rows(grader_version=1, upload=upload(), dry_runs=(dry_run("NO-GO"),)), TRAINING, ["verdict"]),
        (
            with_rows(grader_version=1, upload=upload(), dry_runs=(dry_run("NO-GO", overridden_by="U1"),)),
            TRAINING,
            [],
        ),
        # a verdict on an older dataset or grader is no verdict
        (
            with_rows(grader_version=2, upload=upload(), dry_runs=(dry_run("GO"),)),
            TRAINING,
            ["dry_run", "verdict"],
        ),
        (new(goal=" "), ("goal",), ["goal"]),
        (with_rows(), ("trained_model",), ["trained_model"]),
    ],
)
def test_everything_missing_is_listed_in_order(
    workflow: Workflow | None, needs: tuple[Need, ...], missing: list[str]
) -> None:
    assert [item.code for item in flow.may_start(workflow, needs)] == missing


def test_generation_takes_seed_rows_in_place_of_topics() -> None:
    assert flow.may_start(with_rows(), ("topics_or_records",), {"record_ids": ["r1"]}) == ()
    assert [m.code for m in flow.may_start(with_rows(), ("topics_or_records",), {})] == ["topics_or_records"]


def test_a_trained_model_needs_a_completed_job() -> None:
    training = TrainingSummary(
        job_id="j",
        trainer="openai",
        status="running",
        base_model="b",
        configuration={},
        digest="",
        dataset_version=1,
        grader_version=1,
        requested_by="U1",
        started_at=1.0,
        model="ft:b",
    )
    assert flow.may_start(with_rows(training=training), ("trained_model",))
    assert not flow.may_start(with_rows(training=replace(training, status="completed")), ("trained_model",))


def test_the_data_steps_may_be_skipped_and_the_dry_run_never() -> None:
    skipped = flow.skip(with_rows(), "categorize", reason="few rows", by="U1", at=3.0)
    assert skipped.steps["categorize"].status == "skipped"
    assert skipped.history[-1].what == "categorize skipped"
    with pytest.raises(ValueError, match="cannot be skipped"):
        flow.skip(with_rows(), "dry_run", reason="hurry", by="U1", at=3.0)


def test_approving_a_grader_first_skips_what_nobody_did_and_keeps_what_was_done() -> None:
    done = flow.finish(with_rows(), "topics_config", summary="3 topics", by="U1", at=2.0)
    after = flow.skip_open_data_steps(done, by="U1", at=3.0)
    assert [after.steps[s].status for s in flow.SKIPPABLE] == ["completed", "skipped", "skipped"]


def test_the_current_step_is_the_first_that_is_open() -> None:
    assert flow.current_step(new()) == "not_started"
    assert flow.current_step(with_rows()) == "topics_config"
    workflow = with_rows()
    for step in STEP_NAMES:
        assert flow.current_step(workflow) == step
        workflow = flow.finish(workflow, step, summary="done", by="U1", at=2.0)
    assert flow.current_step(workflow) == "completed"
    assert flow.percent(workflow) == 100


def test_roll_back_restores_data_topics_and_grader_and_marks_later_work_stale() -> None:
    workflow = flow.begin(with_rows(), "topics_config", by="U1", at=2.0)
    workflow = replace(workflow, topics=(Topic(id="a", name="A"),), topics_version=1)
    workflow = flow.finish(workflow, "topics_config", summary="1 topic", by="U1", at=3.0)
    workflow = flow.begin(workflow, "categorize", by="U1", at=4.0)
    workflow = flow.finish(
        replace(workflow, dataset_version=2), "categorize", summary="9 records", by="U1", at=5.0
    )

    back = flow.roll_back(workflow, to="categorize", by="U2", at=6.0)

    assert (back.dataset_version, back.topics) == (1, (Topic(id="a", name="A"),))
    assert back.steps["topics_config"].status == "completed"
    assert (back.steps["categorize"].status, back.steps["categorize"].stale) == ("pending", True)
    assert back.history[-1].by == "U2"
    assert back.topics_version > workflow.topics_version  # a number never stands for two hierarchies
    forward = flow.roll_back(back, to=back.snapshots[-1].id, by="U2", at=7.0)
    assert forward.dataset_version == 2


def test_roll_back_to_nothing_is_an_error() -> None:
    with pytest.raises(KeyError):
        flow.roll_back(with_rows(), to="training", by="U1", at=2.0)


def test_the_pipeline_says_what_blocks_each_step() -> None:
    lines = {line.step: line for line in flow.pipeline(with_rows())}
    assert lines["topics_config"].status == "ready"
    assert lines["training"].status == "waiting"
    assert len(lines["training"].blocked) == 4
    failed = flow.fail(with_rows(), "topics_config", reason="model down", by="", at=2.0)
    assert flow.pipeline(failed)[0].status == "failed"
    assert flow.pipeline(failed)[0].text == "model down"


def test_snapshots_do_not_nest() -> None:
    workflow = with_rows()
    for at in range(40):
        workflow = flow.begin(workflow, "topics_config", by="U1", at=float(at))
        workflow = flow.settle_back(workflow, "topics_config", by="U1", at=float(at), what="stopped")
    assert len(workflow.snapshots) == flow.SNAPSHOTS_KEPT
    assert all(not snapshot.state["snapshots"] for snapshot in workflow.snapshots)
