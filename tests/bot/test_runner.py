"""Lanes are taken up at once, by one at a time, and none is lost when work fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bot.runner import Runner
from storage.errors import Unavailable
from storage.memory import MemoryState
from storage.records import Change, InboxItem, Lease, Tenant

pytestmark = pytest.mark.anyio
TENANT = Tenant("", "T1")


class Bench:
    """A runner over memory whose work is a function; `now` is the runner's clock."""

    def __init__(self, work: Callable[[str], float] | None = None, turns: int = 8) -> None:
        self.now = 0.0
        self.state = MemoryState()
        self.worked: list[str] = []
        self.given_up: list[str] = []
        self.body = work
        self.gate = asyncio.Event()
        self.gate.set()
        self.runner = Runner(
            state=self.state,
            work=self.work,
            give_up=self.give_up,
            turns=turns,
            clock=lambda: self.now,
            poll_seconds=0.01,
        )

    async def work(self, lease: Lease, lane: str) -> float:
        self.worked.append(lane)
        await self.gate.wait()
        again = self.body(lane) if self.body else 0.0
        if not again:
            await self._consume(lease, lane)
        return again

    async def give_up(self, lease: Lease, lane: str, error: BaseException) -> None:
        self.given_up.append(lane)
        await self._consume(lease, lane)

    async def _consume(self, lease: Lease, lane: str) -> None:
        ids = tuple(item.id for item in await self.state.waiting(TENANT, lane))
        await self.state.commit(TENANT, Change(lease=lease, consumed=(lane, ids)))

    async def say(self, lane: str, id: str, *, notify: bool = True) -> None:
        await self.state.accept(TENANT, lane, InboxItem(id, "message", "U1", "x", 0.0))
        if notify:
            self.runner.notify(TENANT, lane)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.runner.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.now += 0.5
                await asyncio.sleep(0.002)


async def test_what_another_process_accepted_is_found() -> None:
    bench = Bench()
    await bench.say("C:1", "a", notify=False)
    async with bench.running():
        await bench.until(lambda: bench.worked == ["C:1"])


async def test_what_comes_during_a_turn_is_taken_up_after_it() -> None:
    bench = Bench()
    bench.gate.clear()
    async with bench.running():
        await bench.say("C:1", "a")
        await bench.until(lambda: bench.worked == ["C:1"])
        await bench.say("C:2", "b")
        await bench.until(lambda: "C:2" in bench.worked)  # other lanes do not wait
        assert bench.worked.count("C:1") == 1
        bench.gate.set()
        await bench.say("C:1", "c")
        await bench.until(lambda: bench.worked.count("C:1") >= 2)


async def test_a_lane_that_somebody_else_holds_is_left_alone() -> None:
    bench = Bench()
    lease = await bench.state.claim(TENANT, "C:1", seconds=1e9)
    assert lease
    await bench.say("C:1", "a")
    async with bench.running():
        await asyncio.sleep(0.05)
        assert bench.worked == []
        await bench.state.release(lease)
        await bench.until(lambda: bench.worked == ["C:1"])


async def test_clicks_do_not_wait_behind_turns() -> None:
    bench = Bench(turns=1)
    bench.gate.clear()
    async with bench.running():
        await bench.say("C:1", "a")
        await bench.say("C:2", "b")
        await bench.say("C:1:clicks", "c")
        await bench.until(lambda: "C:1:clicks" in bench.worked)
        assert len([lane for lane in bench.worked if not lane.endswith("clicks")]) == 1


async def test_a_lane_that_keeps_failing_is_given_up_with_a_word() -> None:
    def broken(lane: str) -> float:
        raise RuntimeError("bug")

    bench = Bench(broken)
    async with bench.running():
        await bench.say("C:1", "a")
        await bench.until(lambda: bench.given_up == ["C:1"])
    assert len(bench.worked) == 4
    assert await bench.state.waiting(TENANT, "C:1") == ()


async def test_storage_that_is_away_is_waited_for() -> None:
    away = [True] * 6

    def work(lane: str) -> float:
        if away:
            away.pop()
            raise Unavailable("S3: away")
        return 0.0

    bench = Bench(work)
    async with bench.running():
        await bench.say("C:1", "a")
        await bench.until(lambda: len(bench.worked) == 7)
    assert bench.given_up == []


async def test_a_turn_that_waits_for_the_model_is_taken_up_early_when_somebody_speaks() -> None:
    answers = iter([1e9, 0.0])
    bench = Bench(lambda lane: next(answers))
    async with bench.running():
        await bench.say("C:1", "a")
        await bench.until(lambda: len(bench.worked) == 1)
        await asyncio.sleep(0.03)
        assert len(bench.worked) == 1
        await bench.say("C:1", "b")
        await bench.until(lambda: len(bench.worked) == 2)
