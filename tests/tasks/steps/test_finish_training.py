"""What came of a training (acceptance T1): the comparison, the pattern, and that nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import LostLease
from storage.records import Json, TrainingSummary, Workflow
from tasks import workflow as flow
from tasks.models.port import ModelRefused, ModelUnavailable
from tasks.step import StepReport
from tasks.steps.common import load_report
from tasks.steps.finish_training import FINISH_TRAINING, UNREACHABLE_AFTER, WAITS_FOR_MODEL
from tasks.trainers.port import TrainerRefused, TrainerUnavailable, TrainingJob
from tests.fakes import FakeChat
from tests.makers import TOPICS, Context, World, rows, settings
from tests.tasks.steps.test_start_training import RUNNING

pytestmark = pytest.mark.anyio
ROWS = {"billing": 80, "login": 60, "shipping": 60}
BETTER = (0.5, 0.6, 0.7)
Answer = Callable[[Any], Any]


def ended(status: str = "completed", **fields: Any) -> TrainingSummary:
    return replace(RUNNING, job_id="job-1", status=status, **fields)


def completed(
    rewards: Sequence[float] = BETTER, lengths: Sequence[float] = (), name: str = "valid_reward"
) -> TrainingJob:
    metrics = [{"step": step, name: reward} for step, reward in enumerate(rewards)]
    for point, length in zip(metrics, lengths, strict=False):
        point["response_length"] = length
    checkpoints = tuple(
        {"id": f"c{step}", "step": step, "model": f"ft:1:step-{step}"} for step in range(len(rewards))
    )
    return TrainingJob("job-1", "completed", "ft:1", metrics=tuple(metrics), checkpoints=checkpoints)


def judge(data: Json) -> Json:
    """The tuned model's answers are better, most of all in their tone."""
    gain = 0.2 if data["criterion"]["name"] == "Helpful" else 0.3
    return {"score": 0.5 + (gain if "tuned" in data["response"] else 0.0), "reasoning": "so"}


def answers(base: Answer | None = None, tuned: Answer | None = None, judgement: Answer = judge) -> FakeChat:
    found = FakeChat(judgement=judgement, base=base or (lambda request: "an answer of base"))
    found.answers["*"] = tuned or (lambda request: "an answer of tuned")
    return found


def world_with(job: TrainingJob, chat: FakeChat | None = None, **fields: Any) -> World:
    world = World(chat=chat or answers(), **fields)
    world.trainer.job = job
    return world


async def context(world: World, training: TrainingSummary | None = None, **fields: Any) -> Context:
    """A workflow whose training step is under way, on 200 rows."""
    await world.grader()
    manifest = world.dataset(rows(ROWS, labelled=True))
    workflow = await world.workflow(
        manifest, topics=TOPICS, grader_version=1, training=training or ended(), **fields
    )
    return world.context(flow.begin(workflow, "training", by="U1", at=2.0), "finish_training")


async def finish(world: World, ctx: Context | None = None, **fields: Any) -> tuple[StepReport, Workflow]:
    ctx = ctx or await context(world, **fields)
    training = ctx.workflow.training
    assert training is not None
    seen: Json = {"job_id": "job-1", "status": training.status, "model": "ft:1", "error": ""}
    report = await FINISH_TRAINING.run(ctx, seen)
    return report, report.change(ctx.workflow)


# ---------------------------------------------------------------- the comparison


async def test_both_models_answer_the_validation_rows_and_are_compared_as_a_whole_and_in_parts() -> None:
    world = world_with(completed())
    report, after = await finish(world)
    facts = report.facts
    assert (report.view, report.summary) == ("training_done", "reward 0.50 → 0.74")
    assert facts["requester"] == "U1"
    assert (facts["before"], facts["after"], facts["change"]) == (0.5, 0.74, 0.24)
    assert (facts["significant"], facts["success"], facts["count"]) == (True, True, 20)
    assert facts["interval"] == [0.24, 0.24]
    assert {line["topic"]: (line["name"], line["count"]) for line in facts["by_topic"]} == {
        "billing": ("Billing", 8),
        "login": ("Login", 6),
        "shipping": ("Shipping", 6),
    }
    assert {line["name"]: (line["before"], line["after"]) for line in facts["by_criterion"]} == {
        "Helpful": (0.5, 0.7),
        "Tone": (0.5, 0.8),
    }
    assert facts["curve"][0] == {"step": 0, "train": None, "valid": 0.5}
    assert (facts["pattern"], facts["next"]) == ("improving", "deploy_after_evaluation")
    assert (facts["synthetic_validation"], facts["leakage"]) == (False, False)
    training = after.training
    assert training is not None
    assert (training.status, training.model, training.pattern) == ("completed", "ft:1", "improving")
    assert training.report["after"] == 0.74
    step = after.steps["training"]
    assert (step.status, step.summary) == ("completed", "reward 0.50 → 0.74")
    assert len(world.chat.answered_by("base")) == len(world.chat.answered_by("ft:1")) == 20


async def test_the_whole_report_with_every_answer_is_kept() -> None:
    world = world_with(completed())
    ctx = await context(world)
    await finish(world, ctx)
    kept = await load_report(ctx, "evaluation", "t1")
    assert kept is not None
    assert len(kept["outcomes"]) == 20
    assert kept["outcomes"][0]["tuned"]["response"] == "an answer of tuned"
    assert len(kept["metrics"]) == 3


async def test_only_rows_that_validated_are_used_and_at_most_a_hundred(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.steps.finish_training.rules.MAX_ROWS", 7)
    report, _ = await finish(world_with(completed()))
    assert report.facts["count"] == 7


async def test_the_dataset_and_grader_that_were_trained_on_count_not_todays() -> None:
    world = world_with(completed())
    await world.grader("string_check", {"input": "a", "operation": "eq", "reference": "b"}, number=2)
    ctx = await context(world)
    ctx.workflow = replace(ctx.workflow, grader_version=2, dataset_version=9)
    report, _ = await finish(world, ctx)
    assert report.facts["after"] == 0.74


async def test_generated_validation_is_labelled_as_such() -> None:
    world = world_with(completed())
    await world.grader()
    manifest = world.dataset(rows({"billing": 20}, labelled=True, is_generated=True))
    workflow = await world.workflow(manifest, topics=TOPICS, grader_version=1, training=ended())
    report, _ = await finish(world, world.context(workflow))
    assert report.facts["synthetic_validation"] is True


# ---------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("job", "pattern", "next_action"),
    [
        (completed((0.50, 0.58, 0.66, 0.72)), "improving", "deploy_after_evaluation"),
        (completed((0.50, 0.60, 0.70, 0.62)), "overfitting", "investigate"),
        (completed((0.50, 0.51, 0.50, 0.51)), "no_learning", "back_to_data"),
        (completed((0.60, 0.80, 0.97)), "reward_hacking", "investigate"),
        (completed((0.50, 0.55, 0.60), (100, 200, 400)), "reward_hacking", "investigate"),
        (completed((0.50, 0.60, 0.55, 0.58)), "mixed", "investigate"),
        (completed((0.50, 0.60, 0.70), name="train_reward"), "improving", "deploy_after_evaluation"),
        (completed(()), "improving", "deploy_after_evaluation"),
        (completed((0.5,)), "improving", "deploy_after_evaluation"),
    ],
)
async def test_the_pattern_of_the_run_is_named_with_what_to_do(
    job: TrainingJob, pattern: str, next_action: str
) -> None:
    report, after = await finish(world_with(job))
    assert (report.facts["pattern"], report.facts["next"]) == (pattern, next_action)
    assert after.training is not None
    assert after.training.pattern == pattern
    assert after.steps["training"].status == "completed"


async def test_overfitting_measures_and_proposes_the_best_checkpoint_not_the_last_model() -> None:
    world = world_with(completed((0.50, 0.60, 0.70, 0.62)))
    report, after = await finish(world)
    best = "ft:1:step-2"
    assert (report.facts["best_checkpoint"], report.facts["model"]) == (best, best)
    assert report.facts["last_model"] == "ft:1"
    assert after.training is not None
    assert after.training.model == best
    assert world.chat.answered_by("ft:1") == []
    assert len(world.chat.answered_by(best)) == 20


async def test_answers_that_grow_fourfold_before_our_eyes_are_hacking_whatever_the_curve_says() -> None:
    chat = answers(base=lambda request: "b" * 900, tuned=lambda request: "tuned " + "t" * 3_600)
    report, _ = await finish(world_with(completed(), chat))
    assert report.facts["pattern"] == "reward_hacking"


async def test_a_topic_that_got_worse_decides_what_to_do_next() -> None:
    def worse_at_login(data: Json) -> Json:
        tuned, login = "tuned" in data["response"], "password" in str(data["conversation"])
        return {"score": 0.5 + (0.3 if tuned and not login else -0.2 if tuned else 0.0), "reasoning": "so"}

    report, _ = await finish(world_with(completed(), answers(judgement=worse_at_login)))
    assert report.facts["pattern"] == "improving"
    assert report.facts["worst_pattern"] == "overfitting"
    assert report.facts["next"] == "investigate"
    assert (report.facts["worse_topics"], report.facts["success"]) == (["login"], False)


# ---------------------------------------------------------------- jobs that did not complete


async def test_a_failed_job_is_told_in_plain_words_and_its_estimate_given_back() -> None:
    world = world_with(TrainingJob("job-1", "failed", error="The file has a bad row."))
    report, after = await finish(world, training=ended("failed", configuration={"estimate_usd": 12.5}))
    facts = report.facts
    assert (facts["status"], facts["error"], facts["pattern"]) == (
        "failed",
        "The file has a bad row.",
        "failed",
    )
    assert facts["next"] == "retrain"
    assert report.cost_usd == -12.5
    assert after.training is not None
    assert (after.training.status, after.training.pattern) == ("failed", "failed")
    step = after.steps["training"]
    assert (step.status, step.reason) == (
        "failed",
        "The training failed at the backend: The file has a bad row.",
    )
    assert world.chat.requests == []


async def test_a_stopped_job_leaves_the_step_as_it_was_and_what_was_not_done_is_not_counted() -> None:
    world = world_with(TrainingJob("job-1", "cancelled"))
    training = ended("cancelled", configuration={"estimate_usd": 10.0}, progress={"share": 0.25})
    report, after = await finish(world, training=training)
    assert (report.facts["status"], report.cost_usd) == ("cancelled", -7.5)
    assert after.steps["training"].status == "pending"
    assert after.training is not None
    assert after.training.pattern == ""


@pytest.mark.parametrize("change", [{"job_id": "job-2"}, {"status": "cancelled"}])
async def test_a_result_that_comes_after_a_newer_job_or_a_stop_changes_only_the_history(change: Json) -> None:
    world = world_with(completed())
    ctx = await context(world)
    report, _ = await finish(world, ctx)
    newer = replace(ctx.workflow, training=replace(ended(), **change))
    after = report.change(newer)
    assert after.training == newer.training
    assert after.steps == newer.steps
    assert after.history[-1].what == "training job job-1 completed, after it had been replaced or stopped"


async def test_a_job_that_is_not_the_workflows_any_more_is_not_looked_at() -> None:
    world = world_with(completed())
    report = await FINISH_TRAINING.run(await context(world), {"job_id": "job-0", "status": "completed"})
    assert (report.facts["status"], report.view, report.say) == ("superseded", "", False)
    assert world.chat.requests == []


# ---------------------------------------------------------------- what cannot be measured


async def test_a_model_that_is_not_there_yet_is_waited_for_and_then_told_without_a_comparison() -> None:
    def refuse(request: Any) -> ModelRefused:
        return ModelRefused("no such model", code="model_not_found")

    world = world_with(completed(), answers(tuned=refuse))
    ctx = await context(world)
    with pytest.raises(ModelUnavailable, match="ft:1"):
        await finish(world, ctx)
    again = world.context(ctx.workflow, done=ctx.done)
    again.task = replace(again.task, attempt=WAITS_FOR_MODEL)
    report, after = await finish(world, again)
    assert len(world.chat.answered_by("base")) == 20
    assert (report.facts["before"], report.summary) == (None, "trained, not compared")
    assert "no row was scored" in report.facts["note"]
    assert after.training is not None
    assert (after.training.model, after.training.pattern) == ("ft:1", "improving")


async def test_a_model_that_begins_to_answer_is_compared_and_the_base_model_not_asked_again() -> None:
    refusals = [ModelRefused("no such model", code="model_not_found") for _ in range(20)]
    world = world_with(
        completed(), answers(tuned=lambda request: refusals.pop() if refusals else "an answer of tuned")
    )
    ctx = await context(world)
    with pytest.raises(ModelUnavailable):
        await finish(world, ctx)
    report, _ = await finish(world, world.context(ctx.workflow, done=ctx.done))
    assert (report.facts["after"], report.facts["count"]) == (0.74, 20)
    assert len(world.chat.answered_by("base")) == 20


async def test_a_model_server_that_stays_away_does_not_cost_the_model() -> None:
    world = world_with(completed(), answers(base=lambda request: ModelUnavailable("away")))
    ctx = await context(world)
    with pytest.raises(ModelUnavailable):
        await finish(world, ctx)
    ctx.task = replace(ctx.task, attempt=UNREACHABLE_AFTER)
    report, after = await finish(world, ctx)
    assert "does not answer" in report.facts["note"]
    assert after.training is not None
    assert after.training.model == "ft:1"


async def test_without_consent_the_run_is_judged_by_its_curve_alone() -> None:
    world = world_with(completed((0.5, 0.5)), settings=settings(allowed_providers=()))
    report, _ = await finish(world)
    assert "may not be sent" in report.facts["note"]
    assert report.facts["pattern"] == "no_learning"
    assert world.chat.requests == []


async def test_a_grader_that_was_deleted_is_said_and_the_model_kept() -> None:
    report, after = await finish(world_with(completed()), training=ended(grader_version=7))
    assert report.facts["note"].startswith("Not compared: No grader")
    assert after.training is not None
    assert after.training.model == "ft:1"


async def test_a_backend_that_is_away_is_asked_again_later_and_one_that_forgot_is_believed_as_watched() -> (
    None
):
    world = world_with(completed())
    world.trainer.refusal = TrainerUnavailable("away")
    ctx = await context(world)
    with pytest.raises(TrainerUnavailable):
        await finish(world, ctx)
    world.trainer.refusal = TrainerRefused("no such job", code="404")
    report, _ = await finish(world, ctx)
    assert (report.facts["model"], report.facts["pattern"]) == ("ft:1", "improving")


# ---------------------------------------------------------------- kills and stops


@pytest.mark.parametrize("checkpoints", [1, 7, 39])
async def test_after_a_kill_no_answer_that_was_kept_is_asked_for_again(checkpoints: int) -> None:
    world = world_with(completed())
    ctx = await context(world)
    ctx.die_after = checkpoints
    with pytest.raises(LostLease):
        await finish(world, ctx)
    asked = _asked(world)
    report, _ = await finish(world, world.context(ctx.workflow, done=ctx.done))
    assert _asked(world) - asked == 40 - checkpoints
    assert (report.facts["after"], report.facts["count"]) == (0.74, 20)


async def test_who_stops_the_comparison_keeps_what_was_compared_and_the_model() -> None:
    world = world_with(completed())
    ctx = await context(world)
    ctx.stop_after = 10
    report, after = await finish(world, ctx)
    assert 0 < report.facts["count"] < 20
    assert report.facts["note"].startswith("Stopped: compared on ")
    assert after.training is not None
    assert after.training.model == "ft:1"


def _asked(world: World) -> int:
    return len([request for request in world.chat.requests if request.schema is None])
