"""The turnstile that all processes share, on a real Redis: nobody is lost, one limit for all, teams in turn."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.redis_turnstile import Turnstile, Window, open_turnstile
from tasks.models.limiter import SharedLimiter, asking_team

pytestmark = pytest.mark.anyio


@pytest.fixture
async def turnstile(redis_url: str) -> AsyncIterator[Turnstile]:
    opened = open_turnstile(redis_url)
    yield opened
    await opened.close()


@pytest.fixture
def name() -> str:
    return secrets.token_hex(4)


async def closed_door(turnstile: Turnstile, name: str, *, rate: float) -> None:
    """A server that has said: nothing left, so many a second come back."""
    assert await turnstile.turn(name, "first", team="T", tokens=0) == 0
    await turnstile.over(name, "first", "answered", requests=Window(rate * 10, 0, 10))


async def served(turnstile: Turnstile, name: str, tickets: list[tuple[str, str]]) -> list[str]:
    """The tickets in the order in which they were let through; each asks in turn until it is."""
    order: list[str] = []
    while len(order) < len(tickets):
        for ticket, team in tickets:
            if ticket not in order and not await turnstile.turn(name, ticket, team=team, tokens=0):
                order.append(ticket)
                await turnstile.over(name, ticket, "failed")
        await asyncio.sleep(0.002)
    return order


async def test_teams_are_served_in_turn_however_many_calls_one_of_them_has(
    turnstile: Turnstile, name: str
) -> None:
    await closed_door(turnstile, name, rate=100)
    many = [(f"a{number}", "A") for number in range(6)]
    order = await served(turnstile, name, [*many, ("b0", "B"), ("b1", "B")])
    assert order.index("b0") <= 2 and order.index("b1") <= 4
    assert [ticket for ticket in order if ticket[0] == "a"] == [ticket for ticket, _ in many]


async def test_asking_again_after_a_lost_answer_takes_no_second_turn(turnstile: Turnstile, name: str) -> None:
    await closed_door(turnstile, name, rate=0.5)
    await turnstile.over(
        name, "first", "answered", requests=Window(5, 5)
    )  # a repeat of what is over: unheard
    assert await turnstile.turn(name, "one", team="T", tokens=0) > 0
    free = secrets.token_hex(4)
    assert [await turnstile.turn(free, "one", team="T", tokens=0) for _ in range(2)] == [0, 0]
    await turnstile.over(free, "one", "answered", requests=Window(60, 1, 59))
    assert await turnstile.turn(free, "two", team="T", tokens=0) == 0, "the one that was left"
    assert await turnstile.turn(free, "three", team="T", tokens=0) > 0


async def test_who_gives_up_waiting_makes_room(turnstile: Turnstile, name: str) -> None:
    await closed_door(turnstile, f"{name}|", rate=2)
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    limiter = SharedLimiter(turnstile, server=name, sleep=sleep)
    waiting = asyncio.create_task(limiter.acquire(model=""))
    await asleep.wait()
    alone = await turnstile.turn(f"{name}|", "x", team="T", tokens=0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await turnstile.turn(f"{name}|", "x", team="T", tokens=0) <= alone


async def test_a_refusal_holds_everybody_for_as_long_as_the_server_asked(
    turnstile: Turnstile, name: str
) -> None:
    assert await turnstile.turn(name, "one", team="T", tokens=0) == 0
    await turnstile.over(name, "one", "refused", pause=30)
    assert 29 < await turnstile.turn(name, "two", team="U", tokens=0) <= 30.1


async def test_tokens_count_where_the_server_counts_them(turnstile: Turnstile, name: str) -> None:
    assert await turnstile.turn(name, "one", team="T", tokens=10) == 0
    await turnstile.over(name, "one", "answered", tokens=Window(6000, 100, 59))
    assert await turnstile.turn(name, "two", team="T", tokens=50) == 0
    assert 1 < await turnstile.turn(name, "three", team="T", tokens=250) < 2.1


class Server:
    """Refuses above `rate` calls a second; says in headers what is left, when it talks."""

    def __init__(self, *, rate: float, burst: float, talks: bool) -> None:
        self.rate, self.burst, self.talks = rate, burst, talks
        self.level, self.at = burst, time.monotonic()
        self.answered = self.refused = 0

    def ask(self) -> tuple[bool, dict[str, str]]:
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            self.refused += 1
            return False, self.headers()
        self.level -= 1
        self.answered += 1
        return True, self.headers()

    def headers(self) -> dict[str, str]:
        reset = (self.burst - self.level) / self.rate
        said = {"limit": f"{self.burst:.0f}", "remaining": f"{int(self.level)}", "reset": f"{reset:.3f}s"}
        return {f"x-ratelimit-{key}-requests": value for key, value in said.items()} if self.talks else {}


@pytest.mark.parametrize(("talks", "most_refused"), [(True, 400), (False, 800)])
async def test_two_processes_keep_to_one_limit_and_lose_no_call(
    redis_url: str, name: str, talks: bool, most_refused: int
) -> None:
    """Before anything is known all 400 go at once; afterwards one that says what is left refuses next to none."""
    server = Server(rate=200, burst=50, talks=talks)
    turnstiles = [open_turnstile(redis_url) for _ in range(2)]

    async def call(limiter: SharedLimiter, team: str) -> None:
        asking_team.set(team)
        while True:
            turn = await limiter.acquire(model="m")
            await asyncio.sleep(0.005)
            good, headers = server.ask()
            if good:
                return await limiter.answered(turn, headers, model="m")
            await limiter.refused(turn, headers, pause=0.05, model="m")

    limiters = [SharedLimiter(turnstile, server=name) for turnstile in turnstiles]
    calls = [asyncio.create_task(call(limiters[number % 2], f"T{number % 3}")) for number in range(400)]
    await asyncio.wait_for(asyncio.gather(*calls), 60)
    for turnstile in turnstiles:
        await turnstile.close()
    assert server.answered == 400
    assert server.refused < most_refused


async def test_redis_being_away_limits_nobody(tmp_path: Path) -> None:
    away = open_turnstile(f"unix://{tmp_path}/nobody.sock")
    limiter = SharedLimiter(away, server="s")
    turn = await limiter.acquire(model="m")
    await limiter.answered(turn, {}, model="m")
    await limiter.close()
