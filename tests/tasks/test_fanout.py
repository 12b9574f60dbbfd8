"""Shares of one task: each is done once, by whoever is there, and nobody's death costs more than the share in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from storage.memory import MemoryState
from storage.records import Change, Json, Task, Tenant, Workflow
from tasks.deps import Deps
from tasks.fanout import SHARES, lend_a_hand
from tasks.heartbeat import LEASE_SECONDS
from tasks.jobs import perform
from tasks.models.port import ModelUnavailable, Usage
from tasks.settings import Price
from tasks.step import Fan, Step, StepContext, StepReport
from tests.fakes import FakeQueue
from tests.tasks.toys import an_operation, begin, deps

pytestmark = pytest.mark.anyio
NAMES = {f"part{number}": 10 for number in range(6)}
Before = Callable[[StepContext, str], Awaitable[None]]


@dataclass
class Mill:
    """An operation whose shares are written down when they are done; `before` may hold one up or break it."""

    tenant: Tenant
    state: MemoryState = field(default_factory=MemoryState)
    queue: FakeQueue = field(default_factory=FakeQueue)
    done: list[str] = field(default_factory=list)
    prepared: int = 0
    before: Before | None = None

    @property
    def step(self) -> Step:
        return an_operation(self.run, name="mill", fan=Fan(self.prepare, self.work))

    @property
    def kit(self) -> Deps:
        return deps(self.state, self.queue, prices={"m": Price(input=1.0, output=0.0)})

    async def run(self, ctx: StepContext, params: Json) -> StepReport:
        stopped = await ctx.spread(NAMES, label="rows milled")
        rows = sum(value["rows"] for value in ctx.done.values())
        return StepReport(facts={"rows": rows, "parts": sorted(ctx.done)}, partial=stopped)

    async def prepare(self, ctx: StepContext, params: Json) -> str:
        self.prepared += 1
        return "grain"

    async def work(self, ctx: StepContext, prepared: str, name: str) -> Json:
        assert prepared == "grain"
        if self.before is not None:
            await self.before(ctx, name)
        await asyncio.sleep(0)
        ctx.meter("m", Usage(input_tokens=1_000_000, output_tokens=0))
        self.done.append(name)
        return {"rows": 10}

    async def start(self) -> Task:
        return await begin(self.state, self.tenant, self.step)

    async def parent(self, task: Task) -> Task:
        await perform(self.kit, {"mill": self.step}, lambda: self.state, self.tenant, task.id)
        return await self.task(task)

    async def helper(self, task: Task) -> None:
        await lend_a_hand(self.kit, {"mill": self.step}, lambda: self.state, self.tenant, task.id)

    async def task(self, task: Task) -> Task:
        found = await self.state.get(self.tenant, Task, task.id)
        assert found is not None
        return found

    async def spent(self) -> float:
        workflow = await self.state.get(self.tenant, Workflow, "w1")
        assert workflow is not None
        return workflow.spent_usd

    async def under_way(self, task: Task) -> None:
        while SHARES not in await self.state.saved(self.tenant, task.id):
            await asyncio.sleep(0)


@pytest.fixture
def mill(tenant: Tenant) -> Mill:
    return Mill(tenant)


async def test_alone_a_worker_does_every_share_and_counts_the_money(mill: Mill) -> None:
    done = await mill.parent(await mill.start())
    assert (done.status, done.result["rows"], (done.done, done.total)) == ("finished", 60, (60, 60))
    assert sorted(mill.done) == sorted(NAMES) and mill.prepared == 1
    assert await mill.spent() == 6.0


async def test_two_workers_do_each_share_once_and_both_are_paid(mill: Mill) -> None:
    both = asyncio.Barrier(2)

    async def together(ctx: StepContext, name: str) -> None:
        if len(mill.done) < 2:
            await both.wait()  # passes only when two are at work at once

    mill.before = together
    task = await mill.start()
    parent = asyncio.create_task(mill.parent(task))
    await mill.under_way(task)
    await asyncio.wait_for(asyncio.gather(parent, mill.helper(task)), 10)
    done = parent.result()
    assert (done.status, done.result["rows"]) == ("finished", 60)
    assert sorted(mill.done) == sorted(NAMES) and mill.prepared == 2
    assert await mill.spent() == 6.0


async def test_a_share_whose_worker_died_is_done_by_another_when_its_lease_ran_out(mill: Mill) -> None:
    clock = [0.0]
    mill.state = MemoryState(clock=lambda: clock[0])
    task = await mill.start()
    assert await mill.state.claim(mill.tenant, f"task:{task.id}:part3", seconds=LEASE_SECONDS)
    parent = asyncio.create_task(mill.parent(task))
    while len(mill.done) < 5:
        await asyncio.sleep(0)
    assert "part3" not in mill.done
    clock[0] += LEASE_SECONDS + 1
    done = await asyncio.wait_for(parent, 10)
    assert (done.status, done.result["rows"], mill.done[-1]) == ("finished", 60, "part3")


async def test_a_second_attempt_does_only_what_is_missing(mill: Mill) -> None:
    task = await mill.start()

    async def dies(ctx: StepContext, name: str) -> None:
        if len(mill.done) == 4:
            raise ModelUnavailable("away")

    mill.before = dies
    assert (await mill.parent(task)).status == "queued", "postponed"
    mill.before = None
    done = await mill.parent(task)
    assert (done.status, done.result["rows"]) == ("finished", 60)
    assert sorted(mill.done) == sorted(NAMES), "no share was done twice"
    assert await mill.spent() == 6.0


async def test_a_helper_that_fails_leaves_its_share_to_the_others(mill: Mill) -> None:
    parent_may_go = asyncio.Event()
    failed: list[str] = []

    async def before(ctx: StepContext, name: str) -> None:
        if asyncio.current_task() is not None and not failed and mill.done == [] and parent_may_go.is_set():
            failed.append(name)
            raise ModelUnavailable("only here")
        if not failed:
            parent_may_go.set()
            while not failed:
                await asyncio.sleep(0)

    mill.before = before
    task = await mill.start()
    parent = asyncio.create_task(mill.parent(task))
    await mill.under_way(task)
    await asyncio.wait_for(parent_may_go.wait(), 10)
    await mill.helper(task)
    done = await asyncio.wait_for(parent, 10)
    assert failed and (done.status, done.result["rows"]) == ("finished", 60)
    assert sorted(mill.done) == sorted(NAMES)


async def test_stopping_keeps_and_counts_what_every_worker_finished(mill: Mill) -> None:
    task = await mill.start()

    async def stops(ctx: StepContext, name: str) -> None:
        if len(mill.done) == 2:
            now = await mill.task(task)
            await mill.state.commit(mill.tenant, Change(puts=(replace(now, cancel_requested=True),)))
            while not ctx.cancelled():
                await asyncio.sleep(0.01)

    mill.before = stops
    done = await asyncio.wait_for(mill.parent(task), 20)
    assert done.status == "cancelled"
    assert done.result["rows"] == 10 * len(mill.done) == 30


async def test_a_helper_comes_too_late_or_for_nothing(mill: Mill) -> None:
    task = await mill.start()
    await mill.helper(task)  # nobody has begun
    await mill.parent(task)
    await mill.helper(task)  # it is over
    assert sorted(mill.done) == sorted(NAMES)


async def test_a_helper_makes_room_for_other_tasks_after_the_share_in_hand(mill: Mill) -> None:
    task = await mill.start()
    hold = asyncio.Event()

    async def waits(ctx: StepContext, name: str) -> None:
        if name == "part0":
            await hold.wait()

    mill.before = waits
    parent = asyncio.create_task(mill.parent(task))
    await mill.under_way(task)
    await asyncio.sleep(0.05)
    await mill.queue.wake(replace(task, id="another"))
    await mill.helper(task)
    assert len(mill.done) == 1
    hold.set()
    assert (await asyncio.wait_for(parent, 10)).status == "finished"


async def test_what_was_overtaken_writes_nothing(mill: Mill) -> None:
    clock = [0.0]
    mill.state = MemoryState(clock=lambda: clock[0])
    task = await mill.start()
    overtaken: list[str] = []

    async def stalls(ctx: StepContext, name: str) -> None:
        if not overtaken:
            overtaken.append(name)
            clock[0] += LEASE_SECONDS + 1
            lease = await mill.state.claim(mill.tenant, f"task:{task.id}:{name}", seconds=LEASE_SECONDS)
            assert lease is not None
            await mill.state.save(lease, task.id, name, {"rows": 7})
            await mill.state.release(lease)

    mill.before = stalls
    done = await asyncio.wait_for(mill.parent(task), 10)
    assert done.result["rows"] == 57, "the share of the one who took over counts"


async def test_what_a_share_saved_on_its_way_is_forgotten_once_it_is_done(mill: Mill) -> None:
    task = await mill.start()
    seen: list[set[str]] = []

    async def saves(ctx: StepContext, name: str) -> None:
        await ctx.checkpoint(f"{name}/piece", {"rows": 0})
        await ctx.checkpoint(f"{name}.kept", {"rows": 0})
        seen.append(set(await mill.state.saved(mill.tenant, task.id)))

    mill.before = saves
    done = await mill.parent(task)
    assert all(f"{name}/piece" in names for name, names in zip(NAMES, seen, strict=True))
    assert not {piece for piece in seen[-1] if piece.endswith("/piece")} - {"part5/piece"}
    assert set(done.result["parts"]) == {*NAMES, *(f"{name}.kept" for name in NAMES)}
