"""One attempt at a task: whatever happens, the records say so, once, and people and agent are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import LostLease, Unavailable
from storage.memory import MemoryState
from storage.records import Change, Consent, Proposal, Task, Tenant, Workflow
from tasks import attempt
from tasks.heartbeat import Heartbeat
from tasks.jobs import perform, run_task
from tasks.models.port import ModelAnswerInvalid, ModelRefused, ModelUnavailable, Usage
from tasks.step import Draft, Next, Step, StepContext, StepError, StepReport
from tests.fakes import FakeQueue
from tests.tasks.toys import an_operation, begin, deps, grow

pytestmark = pytest.mark.anyio
LANE = "C1:1.0"


class World:
    """State in memory, a queue to look into, and what stands in them after a task was performed."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.state = MemoryState()
        self.queue = FakeQueue()

    async def perform(self, *operations: Step, task: Task, **settings: Any) -> Task:
        kit = deps(self.state, self.queue, **settings)
        await perform(kit, {step.name: step for step in operations}, lambda: self.state, self.tenant, task.id)
        return await self.task(task)

    async def task(self, task: Task) -> Task:
        found = await self.state.get(self.tenant, Task, task.id)
        assert found is not None
        return found

    async def workflow(self) -> Workflow:
        found = await self.state.get(self.tenant, Workflow, "w1")
        assert found is not None
        return found

    async def words(self) -> list[dict[str, Any]]:
        return [item.data for item in await self.state.waiting(self.tenant, LANE)]

    async def cards(self) -> list[tuple[str, Any]]:
        events = await self.state.read(self.tenant, limit=99)
        return [(event.kind, event.data.get("status", event.data)) for event in events]


@pytest.fixture
def world(tenant: Tenant) -> World:
    return World(tenant)


# ---------------------------------------------------------------- success


async def test_a_finished_task_leaves_its_result_everywhere_in_one_commit(world: World) -> None:
    step = an_operation(grow)
    task = await begin(world.state, world.tenant, step)
    done = await world.perform(step, task=task)
    assert (done.status, done.result, done.finished_at) == ("finished", {"rows": 30}, 100.0)
    after = await world.workflow()
    assert after.valid_rows == 40 and after.applied == (task.id,)
    assert (after.steps["categorize"].status, after.steps["categorize"].summary) == ("completed", "30 rows")
    assert (await world.cards())[-2:] == [
        ("progress", "finished"),
        ("toy_result", {"workflow_id": "w1", "task_id": task.id, "rows": 30}),
    ]
    word = {
        "event": "step_finished",
        "operation": "toy",
        "title": "A toy",
        "step": "categorize",
        "task_id": task.id,
        "partial": False,
        "summary": "30 rows",
        "rows": 30,
    }
    assert await world.words() == [word]
    assert await world.state.load(world.tenant, task.id) == {}
    assert not await world.state.held(world.tenant, f"task:{task.id}")


async def test_a_task_that_is_over_or_held_is_not_run_again(world: World) -> None:
    runs = []

    async def count(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        runs.append(params)
        return StepReport(facts={})

    step = an_operation(count)
    task = await begin(world.state, world.tenant, step, {"n": 1})
    held = await world.state.claim(world.tenant, f"task:{task.id}", seconds=60)
    assert held is not None
    await world.perform(step, task=task)
    assert runs == []
    await world.state.release(held)
    for _ in range(3):
        await world.perform(step, task=task)
    assert runs == [{"n": 1}]


async def test_the_operation_sees_the_workflow_it_was_started_on_and_changes_the_newest(world: World) -> None:
    async def rename(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        assert ctx.workflow.name == "Support"
        current = await world.workflow()
        await world.state.commit(world.tenant, Change(puts=(replace(current, name="Renamed meanwhile"),)))
        return StepReport(facts={}, change=lambda w: replace(w, goal=f"{w.name}!"))

    step = an_operation(rename)
    await world.perform(step, task=await begin(world.state, world.tenant, step))
    assert (await world.workflow()).goal == "Renamed meanwhile!"


async def test_a_conflict_at_the_end_is_tried_again_on_the_newest_workflow(world: World) -> None:
    meddled: list[bool] = []

    class Meddling(MemoryState):
        async def commit(self, tenant: Tenant, change: Change) -> None:
            finishing = any(isinstance(put, Task) and put.status == "finished" for put in change.puts)
            if finishing and not meddled:
                meddled.append(True)
                current = await self.get(tenant, Workflow, "w1")
                assert current is not None
                await super().commit(tenant, Change(puts=(replace(current, valid_rows=100),)))
            await super().commit(tenant, change)

    world.state = Meddling()
    step = an_operation(grow)
    done = await world.perform(step, task=await begin(world.state, world.tenant, step))
    assert done.status == "finished" and meddled
    assert (await world.workflow()).valid_rows == 130
    assert [word["event"] for word in await world.words()] == ["step_finished"]


async def test_an_operation_that_only_proposes_leaves_its_step_under_way_and_a_card(world: World) -> None:
    draft = Draft(kind="topics", title="Topics", payload={"hierarchy": []})

    async def propose(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        return StepReport(facts={"leaves": 3}, drafts=(draft,), say=False)

    step = an_operation(propose, step="topics_config", finishes=False)
    await world.perform(step, task=await begin(world.state, world.tenant, step))
    (proposal,) = await world.state.find(world.tenant, Proposal, "proposal:open")
    assert (proposal.kind, proposal.asked_by) == ("topics", "U1")
    assert (await world.workflow()).steps["topics_config"].status == "in_progress"
    assert "proposal" in [kind for kind, _ in await world.cards()]
    assert await world.words() == []


async def test_a_following_operation_is_started_with_the_result_it_builds_on(world: World) -> None:
    async def first(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        then = (Next("second", {"mode": "all"}), Next("needy"))
        return StepReport(facts={}, change=lambda w: replace(w, dataset_version=2), then=then, say=False)

    one = an_operation(first, name="first")
    two = an_operation(grow, name="second", step="coverage_generation")
    needy = an_operation(grow, name="needy", needs=("grader",))
    await world.perform(one, two, needy, task=await begin(world.state, world.tenant, one))
    job = world.queue.take()
    assert world.queue.jobs == [], "what still needs something is not started"
    assert (job.operation, job.params, job.inputs["workflow"]["dataset_version"]) == (
        "second",
        {"mode": "all"},
        2,
    )
    after = await world.workflow()
    assert (after.steps["categorize"].status, after.steps["coverage_generation"].status) == (
        "completed",
        "in_progress",
    )
    assert (await world.perform(one, two, needy, task=job)).status == "finished"


async def test_records_of_the_report_are_stored_and_its_cost_is_counted_with_the_metered_one(
    world: World,
) -> None:
    consent = Consent(id="host", tenant=world.tenant, by="U1", at=1.0)

    async def spend(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        ctx.meter("any", Usage(input_tokens=1_000_000, output_tokens=500_000))
        assert ctx.spent_usd() == 3.0
        return StepReport(facts={}, records=(consent,), cost_usd=2.0)

    step = an_operation(spend)
    await world.perform(step, task=await begin(world.state, world.tenant, step))
    assert await world.state.get(world.tenant, Consent, "host") == replace(consent, version=1)
    assert (await world.workflow()).spent_usd == 5.0


# ---------------------------------------------------------------- failure


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (StepError("Add rows.", code="too_few", next="upload a file"), "too_few", "Add rows."),
        (ModelRefused("secret text", code="model_not_found"), "model_refused", "(model_not_found)"),
        (ModelAnswerInvalid("secret text"), "model_answer", "could not be used"),
        (RuntimeError("secret text"), "unexpected", "(error "),
        (TimeoutError("secret text"), "unexpected", "(error "),
    ],
)
async def test_a_failure_is_told_in_plain_words_and_the_task_is_over(
    world: World, error: Exception, code: str, words: str
) -> None:
    async def fail(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        ctx.meter("any", Usage(input_tokens=1_000_000))
        raise error

    step = an_operation(fail)
    done = await world.perform(step, task=await begin(world.state, world.tenant, step))
    assert (done.status, done.result["code"]) == ("failed", code)
    assert words in done.error and "secret" not in done.error
    after = await world.workflow()
    assert (after.steps["categorize"].status, after.steps["categorize"].reason) == ("failed", done.error)
    assert after.spent_usd == 1.0, "what was spent is counted all the same"
    (word,) = await world.words()
    assert (word["event"], word["message"], word["operation"]) == ("step_failed", done.error, "toy")
    assert (await world.cards())[-1] == ("progress", "failed")


@pytest.mark.parametrize("error", [ModelUnavailable("503"), Unavailable("S3: 503")])
async def test_what_does_not_answer_is_tried_again_later_and_people_are_told_what_is_waiting(
    world: World, error: Exception
) -> None:
    errors = [error]

    async def stumble(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        if "half" not in ctx.done:
            await ctx.checkpoint("half", {"rows": 5})
            raise errors.pop()
        return StepReport(facts=ctx.done["half"])

    step = an_operation(stumble)
    task = await begin(world.state, world.tenant, step)
    waiting = await world.perform(step, task=task)
    assert (waiting.status, waiting.result["retry_at"]) == ("queued", 105.0)
    assert "does not answer; trying again in 5 s" in waiting.label
    assert (await world.cards())[-1] == ("progress", "waiting")
    assert await world.words() == []
    assert (await world.perform(step, task=task)).result == {"rows": 5}


@pytest.mark.parametrize(("number", "pause"), [(0, 5), (1, 10), (3, 40), (4, 60), (15, 60)])
async def test_pauses_grow(world: World, number: int, pause: float) -> None:
    async def down(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        raise ModelUnavailable("503")

    step = an_operation(down)
    waiting = await world.perform(step, task=await begin(world.state, world.tenant, step, attempt=number))
    assert waiting.result["retry_at"] == 100.0 + pause


async def test_after_many_attempts_a_task_gives_up_and_says_what_it_waited_for(world: World) -> None:
    step = an_operation(grow)
    result = {"waiting_for": "The model server does not answer"}
    task = await begin(world.state, world.tenant, step, attempt=attempt.ATTEMPTS, result=result)
    done = await world.perform(step, task=task)
    assert (done.status, done.result["code"]) == ("failed", "gave_up")
    assert done.error.startswith("The model server does not answer; given up after 20 attempts")


async def test_an_operation_that_takes_too_long_is_stopped(world: World) -> None:
    async def forever(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        await asyncio.Event().wait()
        raise AssertionError

    step = an_operation(forever, timeout_seconds=0)
    done = await world.perform(step, task=await begin(world.state, world.tenant, step))
    assert (done.status, done.result["code"]) == ("failed", "timeout")


async def test_an_operation_this_version_does_not_know_fails_plainly(world: World) -> None:
    task = await begin(world.state, world.tenant, an_operation(grow, name="from_the_future"))
    done = await world.perform(task=task)
    assert (done.status, done.result["code"]) == ("failed", "unknown_operation")


async def test_a_bug_in_applying_the_result_is_a_failure_too(world: World) -> None:
    async def wrong(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        return StepReport(facts={}, change=lambda w: replace(w, nonsense=1))  # type: ignore[call-arg]

    step = an_operation(wrong)
    done = await world.perform(step, task=await begin(world.state, world.tenant, step))
    assert (done.status, done.result["code"]) == ("failed", "unexpected")


# ---------------------------------------------------------------- stopping


@pytest.fixture
def quick_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quick(Heartbeat):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "look_seconds": 0.005})

    monkeypatch.setattr(attempt, "Heartbeat", Quick)


async def ask_to_stop(world: World, task: Task) -> None:
    current = await world.task(task)
    await world.state.commit(world.tenant, Change(puts=(replace(current, cancel_requested=True),)))


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.002)


@pytest.mark.usefixtures("quick_heartbeat")
async def test_a_task_stops_at_its_next_checkpoint_when_asked(world: World) -> None:
    parts = []

    async def parts_forever(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        await ask_to_stop(world, ctx.task)
        while True:
            parts.append(1)
            await ctx.checkpoint(str(len(parts)), {})
            await asyncio.sleep(0.002)

    step = an_operation(parts_forever)
    done = await asyncio.wait_for(world.perform(step, task=await begin(world.state, world.tenant, step)), 10)
    assert (done.status, done.result["code"]) == ("cancelled", "cancelled")
    assert (await world.workflow()).steps["categorize"].status == "pending"
    assert (await world.cards())[-1] == ("progress", "cancelled")


@pytest.mark.usefixtures("quick_heartbeat")
async def test_an_operation_that_stops_by_itself_keeps_what_is_done(world: World) -> None:
    async def keep(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        await ask_to_stop(world, ctx.task)
        made = 0
        while not ctx.cancelled():
            made = 7
            await asyncio.sleep(0.002)
        await ctx.checkpoint("made", {"rows": made})
        await ctx.progress(made, 10, "stopping")
        return StepReport(facts={"rows": made}, change=lambda w: replace(w, valid_rows=17), partial=True)

    step = an_operation(keep)
    done = await asyncio.wait_for(world.perform(step, task=await begin(world.state, world.tenant, step)), 10)
    assert (done.status, done.result, done.done, done.total) == ("cancelled", {"rows": 7}, 7, 10)
    after = await world.workflow()
    assert (after.valid_rows, after.steps["categorize"].status) == (17, "pending")
    (word,) = await world.words()
    assert (word["event"], word["partial"]) == ("step_finished", True)


async def test_a_task_stopped_before_it_began_does_nothing(world: World) -> None:
    step = an_operation(grow)
    done = await world.perform(step, task=await begin(world.state, world.tenant, step, cancel_requested=True))
    assert done.status == "cancelled" and (await world.workflow()).valid_rows == 10


async def test_a_task_of_a_deleted_workflow_ends_quietly(world: World) -> None:
    step = an_operation(grow)
    task = await begin(world.state, world.tenant, step)
    await world.state.commit(world.tenant, Change(puts=(replace(await world.workflow(), status="deleted"),)))
    assert (await world.perform(step, task=task)).status == "cancelled"
    assert await world.words() == []


@pytest.mark.usefixtures("quick_heartbeat")
async def test_an_overtaken_copy_is_stopped_and_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.heartbeat._RENEW_SECONDS", 0.0)
    step = an_operation(grow)
    task = await begin(world.state, world.tenant, step)

    async def overtaken(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        world.state._room(world.tenant).leases.clear()  # as if it had expired
        assert await world.state.claim(world.tenant, f"task:{task.id}", seconds=60)
        await asyncio.sleep(10)
        raise AssertionError("it should have been stopped")

    with pytest.raises(LostLease):
        await asyncio.wait_for(world.perform(an_operation(overtaken), task=task), 5)
    assert (await world.task(task)).status == "running"
    assert await world.words() == []


async def test_a_copy_that_has_not_heard_of_its_successor_writes_nothing_either(world: World) -> None:
    async def stalled(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        world.state._room(world.tenant).leases.clear()
        assert await world.state.claim(world.tenant, f"task:{ctx.task.id}", seconds=60)
        return StepReport(facts={"rows": 1}, change=lambda w: replace(w, valid_rows=0))

    step = an_operation(stalled)
    task = await begin(world.state, world.tenant, step)
    with pytest.raises(LostLease):
        await world.perform(step, task=task)
    assert (await world.task(task)).status == "running"
    assert (await world.workflow()).valid_rows == 10 and await world.words() == []


# ---------------------------------------------------------------- progress


async def test_progress_is_shown_at_most_once_a_second_on_one_card(world: World) -> None:
    async def busy(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        for done in range(200):
            await ctx.progress(done, 200, "sorting")
        return StepReport(facts={})

    step = an_operation(busy)
    task = await begin(world.state, world.tenant, step)
    began = time.monotonic()
    done = await world.perform(step, task=task)
    shown = [kind for kind in await world.cards() if kind == ("progress", "running")]
    assert 2 <= len(shown) <= 3 + (time.monotonic() - began)
    assert (done.done, done.total, done.status) == (200, 200, "finished")
    events = await world.state.read(world.tenant, limit=99)
    assert {event.card for event in events if event.kind == "progress"} == {f"task:{task.id}"}


async def test_a_process_that_is_not_equipped_runs_nothing() -> None:
    with pytest.raises(RuntimeError, match="equip"):
        run_task("-.T1", "t1", 0)
