"""Starting a training: one job however often it is tried, everything recorded, refusals with a way on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.errors import LostLease
from storage.records import Json, Task, TrainingSummary, Workflow
from tasks.drafting import new_task
from tasks.jobs import perform
from tasks.step import Cancelled, StepError, StepReport
from tasks.steps.start_training import START_TRAINING, training_digest
from tasks.trainers.port import TrainerRefused, TrainerUnavailable, TrainingJob
from tests.fakes import FakeTrainer
from tests.makers import TENANT, TOPICS, Context, World, rows, settings

pytestmark = pytest.mark.anyio
ROWS = {"billing": 24, "login": 20, "shipping": 16}
RUNNING = TrainingSummary(
    job_id="job-0",
    trainer="openai",
    status="running",
    base_model="base",
    configuration={},
    digest="",
    dataset_version=1,
    grader_version=1,
    requested_by="U1",
    started_at=1.0,
)


async def prepared(world: World, **fields: Any) -> Workflow:
    await world.grader()
    manifest = world.dataset(rows(ROWS, labelled=True))
    return await world.workflow(manifest, topics=TOPICS, grader_version=1, **fields)


async def started(world: World, params: Json | None = None, **fields: Any) -> tuple[StepReport, Workflow]:
    workflow = await prepared(world, **fields)
    report = await START_TRAINING.run(world.context(workflow), params or {})
    return report, report.change(workflow)


async def test_the_job_gets_both_files_the_grader_and_the_settings_under_the_tasks_key() -> None:
    world = World()
    report, after = await started(world, {"epochs": 3, "train_split": 0.8})
    (request,) = world.trainer.requests.values()
    assert (request.key, request.base_model, request.method) == ("t1", "base", "reinforcement")
    assert request.training_file != request.validation_file
    assert request.grader["type"] == "multi"
    assert request.hyperparameters == {"n_epochs": 3, "reasoning_effort": "medium"}
    assert report.facts["train_count"] + report.facts["validation_count"] == 60
    assert report.facts["validation_count"] == 12
    assert (report.view, report.facts["job_id"]) == ("training_started", "job-1")
    training = after.training
    assert training is not None
    assert (training.job_id, training.status, training.trainer) == ("job-1", "queued", "openai")
    assert (training.dataset_version, training.grader_version, training.requested_by) == (1, 1, "U1")
    assert training.model == ""


async def test_the_estimate_counts_toward_the_budget_at_once() -> None:
    report, after = await started(World())
    assert report.cost_usd > 0
    assert after.training is not None
    assert after.training.configuration["estimate_usd"] == report.cost_usd


@pytest.mark.parametrize("checkpoints", [0, 1, 2])
async def test_whoever_is_killed_on_the_way_is_followed_by_one_who_makes_one_job(checkpoints: int) -> None:
    world = World()
    workflow = await prepared(world)
    first = world.context(workflow)
    first.die_after = checkpoints
    with pytest.raises(LostLease):
        await START_TRAINING.run(first, {})
    for _ in range(2):
        await START_TRAINING.run(world.context(workflow, done=first.done), {})
    assert len(world.trainer.requests) == 1
    assert len(world.trainer.files) == 2


async def test_a_job_that_is_over_already_when_found_again_is_left_to_the_watch() -> None:
    world = World()
    world.trainer.job = TrainingJob(id="job-1", status="completed", model="ft:1")
    _, after = await started(world)
    assert after.training is not None
    assert (after.training.status, after.training.model) == ("pending", "")


async def test_a_second_training_is_not_started_beside_a_running_one() -> None:
    world = World()
    report, after = await started(world, training=RUNNING)
    assert world.trainer.requests == {}
    assert report.facts["status"] == "already_running"
    assert after.training == RUNNING


@pytest.mark.parametrize(
    ("configuration", "params", "begin_from", "base"),
    [
        ({}, {}, "base", "base"),
        ({"model_base": "other"}, {}, "other", "other"),
        ({"model_base": "other"}, {"model_base": "third"}, "third", "third"),
        ({}, {"resume_from": "ft:base:ckpt-8"}, "ft:base:ckpt-8", "base"),
    ],
)
async def test_it_begins_from_the_model_asked_for_and_is_compared_with_the_base(
    configuration: Json, params: Json, begin_from: str, base: str
) -> None:
    world = World()
    _, after = await started(world, params, configuration=configuration)
    (request,) = world.trainer.requests.values()
    assert request.base_model == begin_from
    assert after.training is not None
    assert after.training.base_model == base


async def test_the_providers_own_settings_win_over_ours() -> None:
    world = World()
    await started(world, {"epochs": 2}, configuration={"hyperparameters": {"n_epochs": 5, "batch_size": 16}})
    (request,) = world.trainer.requests.values()
    assert request.hyperparameters["n_epochs"] == 5
    assert request.hyperparameters["batch_size"] == 16


async def test_the_same_start_has_the_same_digest_and_another_grader_another() -> None:
    world = World()
    params: Json = {"epochs": 2, "trainer": "openai"}
    _, after = await started(world, params, configuration={"method": "reinforcement"})
    assert after.training is not None
    merged = {"method": "reinforcement", **params}
    assert after.training.digest == training_digest(after, merged)
    assert after.training.digest != training_digest(replace(after, grader_version=2), merged)


async def test_a_provider_that_does_not_train_is_explained_with_a_way_on() -> None:
    world = World()
    world.trainer.refusal = TrainerRefused(
        "Fine-tuning is closed for this account.", code="training_not_available"
    )
    workflow = await prepared(world)
    with pytest.raises(StepError, match="closed for this account") as caught:
        await START_TRAINING.run(world.context(workflow, done=_sent()), {})
    assert caught.value.code == "training_not_available"
    assert caught.value.next == "export_dataset"
    assert "Nothing is lost" in str(caught.value)


async def test_an_unknown_backend_is_named_with_those_that_there_are() -> None:
    with pytest.raises(StepError, match=r"no training backend 'mine'; there are: openai"):
        await started(World(), {"trainer": "mine"})


async def test_rows_stay_at_home_without_consent() -> None:
    with pytest.raises(StepError) as caught:
        await started(World(settings=settings(allowed_providers=())))
    assert caught.value.code == "consent"


class Slow(FakeTrainer):
    """Somebody stops the task while the job is being made."""

    stops: Context
    cancelled: tuple[str, ...] = ()

    async def create(self, request: Any) -> TrainingJob:
        self.stops.stop_after = 0
        return await super().create(request)

    async def cancel(self, job_id: str) -> TrainingJob:
        self.cancelled = (*self.cancelled, job_id)
        return await super().cancel(job_id)


async def test_who_stops_it_while_the_job_is_made_stops_the_job_too() -> None:
    trainer = Slow()
    world = World(trainer=trainer)
    ctx = world.context(await prepared(world))
    trainer.stops = ctx
    with pytest.raises(Cancelled):
        await START_TRAINING.run(ctx, {})
    assert trainer.cancelled == ("job-1",)


async def test_a_backend_that_is_away_is_asked_again_later() -> None:
    world = World()
    world.trainer.refusal = TrainerUnavailable("It is away.")
    workflow = await prepared(world)
    task = new_task(START_TRAINING, workflow, {}, by="U1", key="k", at=900.0)
    await world.put(task)
    await perform(world.deps, {"start_training": START_TRAINING}, lambda: world.state, TENANT, task.id)
    waiting = await world.state.get(TENANT, Task, task.id)
    assert waiting is not None
    assert (waiting.status, waiting.result["retry_at"] > 1000.0) == ("queued", True)


def _sent() -> dict[str, Json]:
    return {
        f"file.reinforcement.{side}": {"id": f"file-{side}", "count": 5} for side in ("train", "validation")
    }
