"""The limiter: nobody is lost, the server's rate is kept, headers and refusals are believed."""

from __future__ import annotations

import asyncio
import heapq
import itertools

import pytest

from tasks.models.limiter import LocalLimiter, duration_seconds, retry_after

pytestmark = pytest.mark.anyio


class Time:
    """A clock that jumps to the next sleeper when everybody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleepers: list[tuple[float, int, asyncio.Event]] = []
        self.count = itertools.count()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        heapq.heappush(self.sleepers, (self.now + seconds, next(self.count), event))
        await event.wait()

    async def run(self, tasks: list[asyncio.Task[None]]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            if self.sleepers:
                at, _, event = heapq.heappop(self.sleepers)
                self.now = max(self.now, at)
                event.set()
        for task in tasks:
            task.result()


class Server:
    """Refuses above `rate` calls a second (a bucket of `burst`); tells its state in headers when `talks`."""

    def __init__(self, time: Time, *, rate: float, burst: float, talks: bool) -> None:
        self.time, self.rate, self.burst, self.talks = time, rate, burst, talks
        self.level, self.at = burst, 0.0
        self.refused = 0

    def ask(self) -> tuple[bool, dict[str, str]]:
        self.level = min(self.burst, self.level + (self.time.now - self.at) * self.rate)
        self.at = self.time.now
        served = self.level >= 1
        self.level -= 1 if served else 0
        self.refused += 0 if served else 1
        return served, self.headers()

    def headers(self) -> dict[str, str]:
        if not self.talks:
            return {}
        reset = (self.burst - self.level) / self.rate
        return {
            "x-ratelimit-limit-requests": f"{self.burst:.0f}",
            "x-ratelimit-remaining-requests": f"{int(self.level)}",
            "x-ratelimit-reset-requests": f"{reset:.3f}s",
        }


async def play(calls: int, *, talks: bool, latency: float = 0.05) -> tuple[Server, float]:
    time = Time()
    server = Server(time, rate=100, burst=100, talks=talks)
    limiter = LocalLimiter(clock=time.clock, sleep=time.sleep)

    async def one() -> None:
        while True:
            await limiter.acquire()
            await time.sleep(latency / 2)
            served, headers = server.ask()
            await time.sleep(latency / 2)
            if served:
                await limiter.answered("", headers)
                return
            await limiter.refused("", headers, pause=0.2)

    tasks = [asyncio.ensure_future(one()) for _ in range(calls)]
    await time.run(tasks)
    return server, time.now


async def test_with_headers_nothing_is_lost_and_the_rate_is_used() -> None:
    server, seconds = await play(600, talks=True)
    assert 4.5 <= seconds <= 9
    assert server.refused < 1200


async def test_without_headers_nothing_is_lost_either() -> None:
    _, seconds = await play(400, talks=False)
    assert seconds < 120


async def test_a_free_server_is_not_slowed_down() -> None:
    time = Time()
    limiter = LocalLimiter(clock=time.clock, sleep=time.sleep)
    for _ in range(1000):
        await limiter.acquire(tokens=500)
        await limiter.answered("", {})
    assert time.now == 0


async def test_tokens_count_where_the_server_counts_them() -> None:
    time = Time()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.now += seconds

    limiter = LocalLimiter(clock=time.clock, sleep=sleep)
    await limiter.acquire(tokens=10)
    headers = {"limit": "6000", "remaining": "100", "reset": "59s"}
    await limiter.answered("", {f"x-ratelimit-{name}-tokens": value for name, value in headers.items()})
    await limiter.acquire(tokens=50)
    assert slept == []
    await limiter.acquire(tokens=250)
    assert slept == [pytest.approx(2.0)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1h2m", 3720),
        ("20ms", 0.02),
        ("1.5s", 1.5),
        ("60", 60),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration_seconds(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "later"}, None),
        ({}, None),
    ],
)
def test_the_servers_wish(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
