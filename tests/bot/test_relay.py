"""The outbox is shown in order, once, at Slack's pace, and nothing blocks the line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bot.relay import Relay
from bot.slack_api import SlackUnavailable
from storage.memory import MemoryState
from storage.records import Change, OutboxEvent, Tenant

pytestmark = pytest.mark.anyio
TENANT = Tenant("", "T1")


class Screen:
    """What people would see; `trouble` raises for an event's key as often as it says."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []
        self.trouble: dict[str, list[Exception]] = {}

    async def deliver(self, tenant: Tenant, event: OutboxEvent) -> None:
        await asyncio.sleep(0)
        if self.trouble.get(event.key):
            raise self.trouble[event.key].pop(0)
        self.shown.append((event.key, event.channel))

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.shown]


class Line:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.state = MemoryState()
        self.screen = Screen()
        self.relay = self.another()

    def another(self) -> Relay:
        return Relay(state=self.state, poster=self.screen, clock=lambda: self.now, poll_seconds=0.005)

    async def say(self, *keys: str, channel: str = "C1") -> None:
        await self.post(*(OutboxEvent("notice", channel, "1.0", {"text": key}, key=key) for key in keys))

    async def progress(self, key: str, status: str = "running", card: str = "task:t1") -> None:
        await self.post(
            OutboxEvent("progress", "C1", "1.0", {"status": status, "task_id": "t1"}, key=key, card=card)
        )

    async def post(self, *events: OutboxEvent) -> None:
        await self.state.commit(TENANT, Change(events=events))
        self.relay.notify()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.relay.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)


async def test_events_are_shown_in_order_and_leave_the_outbox() -> None:
    line = Line()
    async with line.running():
        await line.say("a", "b", "c")
        await line.until(lambda: line.screen.keys == ["a", "b", "c"])
        await asyncio.sleep(0.05)
    assert line.screen.keys == ["a", "b", "c"]
    assert await line.state.read(TENANT, limit=9) == ()


async def test_progress_is_coalesced_and_its_end_is_shown_at_once() -> None:
    line = Line()
    async with line.running():
        await line.progress("p0", "queued")
        await line.until(lambda: line.screen.keys == ["p0"])
        for number in range(1, 6):
            await line.progress(f"p{number}")
        await asyncio.sleep(0.05)
        assert line.screen.keys == ["p0"]  # five seconds have not passed
        line.now += 6
        await line.progress("p6")
        await line.until(lambda: len(line.screen.keys) == 2)
        assert line.screen.keys == ["p0", "p6"]
        await line.progress("p7")
        await line.progress("over", "finished")
        await line.say("result")
        await line.until(lambda: line.screen.keys[-1] == "result")
    assert line.screen.keys == ["p0", "p6", "over", "result"]
    assert await line.state.read(TENANT, limit=9) == ()


async def test_slack_being_away_holds_one_channel_not_the_others() -> None:
    line = Line()
    line.screen.trouble["a"] = [SlackUnavailable("500")] * 50
    async with line.running():
        await line.say("a", "after-a")
        await line.say("b", channel="C2")
        await line.until(lambda: line.screen.keys == ["b"])
        assert [event.key for event in await line.state.read(TENANT, limit=9)] == ["a", "after-a"]


async def test_what_was_not_shown_is_shown_after_a_restart() -> None:
    line = Line()
    line.screen.trouble["a"] = [SlackUnavailable("500")]
    async with line.running():
        await line.say("a")
        await line.until(lambda: not line.screen.trouble["a"])
    line.relay = line.another()
    async with line.running():
        await line.until(lambda: line.screen.keys == ["a"])


async def test_a_poisonous_event_does_not_block_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.relay.PAUSES_SECONDS", (0.0,))
    line = Line()
    line.screen.trouble["bad"] = [RuntimeError("bug")] * 99
    async with line.running():
        await line.say("bad", "good")
        await line.until(lambda: line.screen.keys == ["good"])


async def test_only_one_process_relays_a_workspace() -> None:
    line = Line()
    other = asyncio.create_task(line.another().run())
    async with line.running():
        await line.say(*[f"m{i}" for i in range(30)])
        await line.until(lambda: len(line.screen.keys) >= 30)
        await asyncio.sleep(0.03)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert line.screen.keys == [f"m{i}" for i in range(30)]
