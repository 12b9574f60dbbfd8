"""Watching a training: progress once, the end once, and a backend that is away is not a failed job."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from storage.errors import Unavailable
from storage.memory import MemoryState
from storage.records import Change, OutboxEvent, Task, Tenant, TrainingSummary, Workflow
from tasks import training_watch as watch
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.jobs import perform
from tasks.step import registry
from tasks.steps.deploy import DEPLOY
from tasks.steps.finish_training import FINISH_TRAINING
from tasks.steps.start_training import START_TRAINING
from tasks.trainers.port import TrainerRefused, TrainerUnavailable, TrainingJob
from tests.fakes import FakeQueue
from tests.makers import TENANT, TOPICS, World, rows
from tests.tasks.steps.test_finish_training import ROWS, answers, completed
from tests.tasks.steps.test_start_training import RUNNING

pytestmark = pytest.mark.anyio
OPERATIONS = registry(START_TRAINING, FINISH_TRAINING, DEPLOY)
MINUTE = 60.0


@dataclass
class Watched:
    """A world whose clock can be set, with what the thread was shown."""

    world: World
    now: float = 1000.0
    queue: FakeQueue = field(default_factory=FakeQueue)

    @property
    def deps(self) -> Deps:
        return replace(self.world.deps, clock=lambda: self.now, queue=self.queue)

    @property
    def desk(self) -> Desk:
        return Desk(
            state=self.world.state,
            queue=self.queue,
            settings=self.world.settings,
            operations=OPERATIONS,
            clock=lambda: self.now,
        )

    def tells(self, status: Any, **fields: Any) -> None:
        self.world.trainer.refusal = None
        self.world.trainer.job = TrainingJob("job-0", status, **fields)

    async def round(self, *, after: float = 0.0) -> None:
        self.now += after
        await watch.poll_all(self.deps, self.desk)

    async def workflow(self) -> Workflow:
        found = await self.world.state.get(TENANT, Workflow, "w1")
        assert found is not None
        return found

    async def training(self) -> TrainingSummary:
        found = (await self.workflow()).training
        assert found is not None
        return found

    async def shown(self, kind: str) -> list[OutboxEvent]:
        events = await self.world.state.read(TENANT, limit=999)
        return [event for event in events if event.kind == kind]

    async def cards(self) -> list[OutboxEvent]:
        return [event for event in await self.shown("progress") if event.card == "training:job-0"]

    async def perform(self, task: Task) -> None:
        await perform(self.deps, OPERATIONS, lambda: self.world.state, TENANT, task.id)


@pytest.fixture
async def watched() -> Watched:
    """A workflow whose job runs at the backend."""
    world = World(chat=answers())
    await world.grader()
    manifest = world.dataset(rows(ROWS, labelled=True))
    made = await world.workflow(manifest, topics=TOPICS, grader_version=1, training=RUNNING)
    await world.put(flow.begin(made, "training", by="U1", at=2.0))
    found = Watched(world)
    found.tells("running")
    return found


# ---------------------------------------------------------------- progress


async def test_progress_updates_the_jobs_one_card_and_what_the_agent_reads(watched: Watched) -> None:
    metrics = ({"step": 8, "train_reward": 0.61, "valid_reward": 0.58, "train_loss": 0.9},)
    watched.tells("running", progress=0.4, eta_seconds=720.0, metrics=metrics, events=("Step 8/20",))
    await watched.round()
    (card,) = await watched.cards()
    assert card.data == {
        "task_id": "job-0",
        "title": "Training base",
        "status": "running",
        "done": 40,
        "total": 100,
        "label": "step 8 · train reward 0.61 · valid reward 0.58 · about 12 min left",
    }
    training = await watched.training()
    assert (training.progress["share"], training.progress["step"]) == (0.4, 8)
    assert training.progress["metrics"]["valid_reward"] == 0.58


async def test_nothing_new_writes_nothing_not_even_a_new_guess_of_the_end(watched: Watched) -> None:
    watched.tells("running", progress=0.4, eta_seconds=720.0)
    await watched.round()
    version = (await watched.workflow()).version
    watched.tells("running", progress=0.4, eta_seconds=700.0)
    await watched.round(after=10)
    assert (await watched.workflow()).version == version
    assert len(await watched.cards()) == 1


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("pending", "queued"),
        ("queued", "queued"),
        ("running", "running"),
        ("paused", "waiting"),
        ("failed", "failed"),
    ],
)
async def test_each_status_is_shown_in_the_cards_words(watched: Watched, status: str, shown: str) -> None:
    watched.tells(status, progress=0.1)
    await watched.round()
    assert [card.data["status"] for card in await watched.cards()] == [shown]
    assert (await watched.training()).status == status


# ---------------------------------------------------------------- the end


async def finishing(watched: Watched) -> list[Task]:
    tasks = await watched.world.state.find(TENANT, Task, "task:workflow:w1")
    return [task for task in tasks if task.operation == "finish_training"]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_the_end_starts_one_evaluation_and_is_not_asked_about_again(
    watched: Watched, status: str
) -> None:
    watched.tells(status, model="ft:1" if status == "completed" else "", error="bad row")
    for _ in range(3):
        await watched.round(after=10)
    (task,) = await finishing(watched)
    assert task.params == {
        "job_id": "job-0",
        "status": status,
        "model": "ft:1" if status == "completed" else "",
        "error": "bad row",
    }
    assert (task.by, [job.id for job in watched.queue.jobs]) == ("U1", [task.id])
    assert task.inputs["workflow"]["training"]["status"] == status
    assert len(await watched.cards()) == 1
    assert await watched.world.state.find(TENANT, Workflow, "workflow:training") == ()


async def test_a_finished_job_has_no_model_for_others_before_it_was_judged(watched: Watched) -> None:
    watched.tells("completed", model="ft:1")
    await watched.round()
    assert [missing.code for missing in flow.may_start(await watched.workflow(), DEPLOY.needs)] == [
        "trained_model"
    ]


async def test_two_watchers_and_a_webhook_at_once_do_what_one_does(watched: Watched) -> None:
    watched.tells("completed", model="ft:1")
    stale = await watched.workflow()
    await asyncio.gather(
        watch.poll_all(watched.deps, watched.desk),
        watch.poll_all(watched.deps, watched.desk),
        watch.poll(watched.deps, watched.desk, TENANT, stale),
        watch.on_webhook(watched.deps, watched.desk, "job-0"),
    )
    assert len(await finishing(watched)) == 1
    assert len(await watched.cards()) == 1
    assert len([line for line in (await watched.workflow()).history if "job-0" in line.what]) == 1


class Crowded(MemoryState):
    """Somebody else changes the workflow just before every second commit."""

    busy = False
    turns = 0

    async def commit(self, tenant: Tenant, change: Change) -> None:
        self.turns += 1
        if self.busy and self.turns % 2:
            current = await self.get(tenant, Workflow, "w1")
            assert current is not None
            await super().commit(tenant, Change(puts=(replace(current, goal=f"goal {self.turns}"),)))
        await super().commit(tenant, change)


async def test_what_people_change_meanwhile_is_kept(watched: Watched) -> None:
    current = await watched.workflow()
    crowded = Crowded()
    await crowded.commit(TENANT, Change(puts=(replace(current, version=0),)))
    watched.world.state = crowded
    crowded.busy, crowded.turns = True, 0
    watched.tells("completed", model="ft:1")
    await watched.round()
    after = await watched.workflow()
    assert after.goal.startswith("goal ")
    assert after.training is not None and after.training.status == "completed"
    assert len(await finishing(watched)) == 1


# ---------------------------------------------------------------- away and back


async def test_a_backend_that_is_away_is_told_after_half_an_hour_once_and_when_it_is_back(
    watched: Watched,
) -> None:
    watched.world.trainer.refusal = TrainerUnavailable("The training service does not answer.")
    await watched.round()
    training = await watched.training()
    assert (training.status, training.unreachable_since) == ("running", 1000.0)
    await watched.round(after=29 * MINUTE)
    assert await watched.shown("notice") == []
    for _ in range(3):
        await watched.round(after=6 * MINUTE)
    (away,) = await watched.shown("notice")
    assert away.data["level"] == "warning"
    assert "may well be running" in away.data["text"]
    watched.tells("running", progress=0.5)
    await watched.round(after=6 * MINUTE)
    back = (await watched.shown("notice"))[-1]
    assert (back.data["level"], len(await watched.shown("notice"))) == ("info", 2)
    assert (await watched.training()).unreachable_since is None
    assert await finishing(watched) == []


async def test_a_short_absence_is_not_worth_a_word(watched: Watched) -> None:
    await watched.round()
    watched.world.trainer.refusal = TrainerUnavailable("away")
    await watched.round()
    watched.tells("running")
    await watched.round(after=MINUTE)
    assert await watched.shown("notice") == []
    assert (await watched.training()).unreachable_since is None


async def test_pauses_grow_while_it_is_away_and_a_webhook_does_not_wait(watched: Watched) -> None:
    watched.world.trainer.refusal = TrainerRefused("no such key", code="401")
    await watched.round()
    first = (await watched.training()).progress["retry_at"] - watched.now
    await watched.round(after=1)
    assert (await watched.training()).progress["failures"] == 1
    await watched.round(after=first)
    assert (await watched.training()).progress["retry_at"] - watched.now > first
    for _ in range(12):
        await watched.round(after=watch.LONGEST_PAUSE_SECONDS)
    assert (await watched.training()).progress["retry_at"] - watched.now == watch.LONGEST_PAUSE_SECONDS
    watched.tells("completed", model="ft:1")
    await watch.on_webhook(watched.deps, watched.desk, "job-0")
    assert (await watched.training()).status == "completed"


async def test_it_may_end_while_it_was_away(watched: Watched) -> None:
    watched.world.trainer.refusal = TrainerUnavailable("away")
    for _ in range(10):
        await watched.round(after=6 * MINUTE)
    watched.tells("completed", model="ft:1")
    await watched.round(after=6 * MINUTE)
    assert len(await finishing(watched)) == 1
    assert [notice.data["level"] for notice in await watched.shown("notice")] == ["warning", "info"]


async def test_trouble_with_one_job_does_not_keep_the_others_waiting(watched: Watched) -> None:
    other = replace(
        await watched.workflow(),
        id="w0",
        thread_ts="0.5",
        version=0,
        training=replace(RUNNING, trainer="gone"),
    )
    await watched.world.put(other)
    watched.tells("running", progress=0.7)
    await watched.round()
    assert (await watched.training()).progress["share"] == 0.7


async def test_state_that_is_away_is_the_callers_to_know(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: MemoryState, *_: Any) -> Any:
        raise Unavailable("no redis")

    monkeypatch.setattr(MemoryState, "find", away)
    with pytest.raises(Unavailable):
        await watched.round()


# ---------------------------------------------------------------- stopping


async def test_who_stops_the_job_is_recorded_and_a_late_completion_changes_nothing_else(
    watched: Watched,
) -> None:
    assert await watch.cancel(watched.deps, watched.desk, TENANT, await watched.workflow(), by="U2")
    assert (await watched.training()).status == "cancelled"
    (task,) = await finishing(watched)
    await watched.perform(task)
    stopped = await watched.workflow()
    assert stopped.steps["training"].status == "pending"
    assert next(line.by for line in stopped.history if line.what == "training stopped") == "U2"
    watched.tells("completed", model="ft:1")
    for _ in range(2):
        await watch.on_webhook(watched.deps, watched.desk, "job-0")
    late = await watched.workflow()
    assert late.training == stopped.training
    assert late.steps == stopped.steps
    assert len(late.history) == len(stopped.history) + 1
    assert "completed after it had been stopped" in late.history[-1].what
    assert len(await finishing(watched)) == 1


async def test_a_job_that_is_over_cannot_be_stopped(watched: Watched) -> None:
    watched.tells("completed", model="ft:1")
    await watched.round()
    assert not await watch.cancel(watched.deps, watched.desk, TENANT, await watched.workflow(), by="U2")
    assert (await watched.training()).status == "completed"


async def test_a_job_nobody_knows_is_ignored(watched: Watched) -> None:
    before = await watched.workflow()
    await watch.on_webhook(watched.deps, watched.desk, "job-of-somebody-else")
    assert await watched.workflow() == before


# ---------------------------------------------------------------- the whole way


async def test_from_the_approved_start_to_the_deployed_model() -> None:
    """Each task is performed twice, as after a lost answer of the queue."""
    world = World(chat=answers())
    await world.grader()
    made = await world.workflow(world.dataset(rows(ROWS, labelled=True)), topics=TOPICS, grader_version=1)
    watched = Watched(world)
    task = watched.desk.new_task(made, "start_training", {"epochs": 2}, by="U1", key="p1")
    await world.put(task, *watched.desk.begun(made, "start_training", by="U1"))
    world.trainer.job = TrainingJob("job-1", "queued")
    for _ in range(2):
        await watched.perform(task)
    assert (await watched.training()).status == "queued"
    world.trainer.job = completed()
    await watched.round(after=10)
    evaluation = watched.queue.take()
    for _ in range(2):
        await watched.perform(evaluation)
    workflow = await watched.workflow()
    assert workflow.training is not None
    assert (workflow.training.model, workflow.steps["training"].summary) == ("ft:1", "reward 0.50 → 0.74")
    started = await watched.desk.start(TENANT, workflow, "deploy", {}, by="U1", key="p2")
    await watched.perform(started.task)  # type: ignore[union-attr]
    after = await watched.workflow()
    assert (after.status, after.steps["deployment"].status) == ("completed", "completed")
    kinds = [event.kind for event in await world.state.read(TENANT, limit=999)]
    assert [kinds.count(kind) for kind in ("training_started", "training_done", "deployed")] == [1, 1, 1]
    done = next(event for event in await world.state.read(TENANT, limit=999) if event.kind == "training_done")
    assert (done.data["requester"], done.data["workflow_id"]) == ("U1", "w1")
    assert after.spent_usd > 0
