"""How fast a model server may be asked: token buckets fed by its rate-limit headers, and pauses after a 429.

Callers wait for their turn before they send; nobody is ever turned away here. Without headers the rate is learned: a 429 lowers
it, answers raise it again. `SharedLimiter` keeps all processes together under one limit per model, fair between teams;
`LocalLimiter` serves one process without Redis. Knows HTTP headers, but neither the client nor what is asked.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import structlog

from storage.errors import Unavailable
from storage.redis_turnstile import PATIENCE_SECONDS, Outcome, Turnstile, Window

LOWERED_TO = 0.7  # of the rate at which a server without headers refused more than it answered,
EASED_TO = 0.9  # and of the rate at which it refused some
RAISED_BY = 0.05  # calls a second, per answered call: five percent a second, so that a lowered rate finds its way up again
SMALLEST_RATE = 0.2  # calls per second
_ASK_AGAIN_SECONDS = 0.4 * PATIENCE_SECONDS  # at the latest, or the place in the queue is lost

asking_team: ContextVar[str] = ContextVar("asking_team", default="")
"""For whom the calls of this task are made: set where a turn or a worker's task begins, so that teams are served in turn."""

_log = structlog.get_logger(__name__)


class Limiter(Protocol):
    """What whoever asks a server does around each call. A turn is taken once and given back once, by one of the last three."""

    async def acquire(self, tokens: int = 0, *, model: str = "") -> str:
        """Wait for this call's turn. `tokens`: a rough size of the request, counted where the server counts tokens."""
        ...

    async def answered(self, turn: str, headers: Mapping[str, str], *, model: str = "") -> None:
        """The call came back with an answer; its headers say what is left."""
        ...

    async def refused(self, turn: str, headers: Mapping[str, str], *, pause: float, model: str = "") -> None:
        """The call came back with a 429: everybody waits for what it asked, or for `pause` seconds."""
        ...

    async def failed(self, turn: str, *, model: str = "") -> None:
        """The call came back with nothing to learn from."""
        ...

    async def close(self) -> None: ...


class SharedLimiter:
    """Implements `Limiter` on the turnstile that all processes share; one queue per server and model.

    Redis being away limits nobody: a 429 is waited out by the callers anyway.
    """

    def __init__(
        self,
        turnstile: Turnstile,
        *,
        server: str,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._turnstile = turnstile
        self._server = server
        self._sleep = sleep

    async def acquire(self, tokens: int = 0, *, model: str = "") -> str:
        turn, name = secrets.token_hex(8), self._name(model)
        try:
            while pause := await self._turnstile.turn(name, turn, team=asking_team.get(), tokens=tokens):
                await self._sleep(min(pause, _ASK_AGAIN_SECONDS))
        except Unavailable as error:
            _log.warning("turnstile_away", reason=str(error))
        except asyncio.CancelledError:
            await asyncio.shield(self._over(model, turn, "left"))
            raise
        return turn

    async def answered(self, turn: str, headers: Mapping[str, str], *, model: str = "") -> None:
        await self._over(model, turn, "answered", headers)

    async def refused(self, turn: str, headers: Mapping[str, str], *, pause: float, model: str = "") -> None:
        asked = retry_after(headers)
        await self._over(model, turn, "refused", headers, pause=pause if asked is None else asked)

    async def failed(self, turn: str, *, model: str = "") -> None:
        await self._over(model, turn, "failed")

    async def close(self) -> None:
        await self._turnstile.close()

    async def _over(
        self,
        model: str,
        turn: str,
        outcome: Outcome,
        headers: Mapping[str, str] | None = None,
        *,
        pause: float = 0.0,
    ) -> None:
        requests, tokens = _window(headers or {}, "requests"), _window(headers or {}, "tokens")
        try:
            await self._turnstile.over(
                self._name(model), turn, outcome, requests=requests, tokens=tokens, pause=pause
            )
        except Unavailable as error:
            _log.warning("turnstile_away", reason=str(error))

    def _name(self, model: str) -> str:
        return f"{self._server}|{model}"


class LocalLimiter:
    """Implements `Limiter` for everything in this process that asks one server. Belongs to no event loop."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._requests: _Bucket | None = None
        self._tokens: _Bucket | None = None
        self._learned = False
        self._blocked_until = 0.0
        self._in_flight = 0
        self._waiting = 0
        self._lowered_at = -1.0
        self._window = _Window()

    async def acquire(self, tokens: int = 0, *, model: str = "") -> str:
        while True:
            pause = self._reserve(tokens)
            if pause <= 0:
                break
            await self._wait(pause)
            if self._clock() >= self._blocked_until:
                break
        self._in_flight += 1
        self._window.sent(self._clock())
        return ""

    async def answered(self, turn: str, headers: Mapping[str, str], *, model: str = "") -> None:
        self._in_flight = max(0, self._in_flight - 1)
        self._window.came_back(self._clock(), answered=True)
        self._learn(headers, unseen=self._in_flight)
        if self._learned and self._requests:
            self._requests.rate += RAISED_BY

    async def refused(self, turn: str, headers: Mapping[str, str], *, pause: float, model: str = "") -> None:
        self._in_flight = max(0, self._in_flight - 1)
        now = self._clock()
        self._window.came_back(now, answered=False)
        asked = retry_after(headers)
        self._blocked_until = max(self._blocked_until, now + (pause if asked is None else asked))
        if not self._learn(
            headers, unseen=0
        ):  # what is under way will be refused as well, and then costs nothing
            self._lower(now)

    async def failed(self, turn: str, *, model: str = "") -> None:
        self._in_flight = max(0, self._in_flight - 1)

    async def close(self) -> None:
        return None

    async def _wait(self, seconds: float) -> None:
        self._waiting += 1
        try:
            await self._sleep(seconds)
        finally:
            self._waiting -= 1

    def _reserve(self, tokens: int) -> float:
        now = self._clock()
        waits = [self._blocked_until - now]
        if self._requests:
            waits.append(self._requests.take(1, now))
        if self._tokens and tokens:
            waits.append(self._tokens.take(tokens, now))
        return max(waits)

    def _learn(self, headers: Mapping[str, str], *, unseen: int) -> bool:
        """Take over what the headers say; False when they say nothing about requests.

        The server cannot have counted the `unseen` calls still under way, nor those that have reserved and wait.
        """
        now = self._clock()
        self._tokens = _from_headers(headers, "tokens", now, self._tokens, spent=0) or self._tokens
        known = None if self._learned else self._requests
        requests = _from_headers(headers, "requests", now, known, spent=unseen + self._waiting)
        if requests is None:
            return False
        self._requests, self._learned = requests, False
        return True

    def _lower(self, now: float) -> None:
        """Once a second at most: calls that were under way together are refused together."""
        if now < self._lowered_at + 1:
            return
        self._lowered_at = now
        before = self._requests.rate if self._requests else self._window.rate(now)
        rate = max(SMALLEST_RATE, before * (LOWERED_TO if self._window.mostly_refused else EASED_TO))
        level = min(0.0, self._requests.refilled(now)) if self._requests else 0.0
        self._requests = _Bucket(capacity=max(1.0, rate / 10), rate=rate, level=level, at=now)
        self._learned = True


@dataclass(slots=True)
class _Bucket:
    """`level` may fall below zero: that is the queue of those who have reserved and wait."""

    capacity: float
    rate: float
    level: float
    at: float
    told: bool = False  # the rate comes from the server's own words

    def refilled(self, now: float) -> float:
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now
        return self.level

    def take(self, amount: float, now: float) -> float:
        """Reserve; the seconds until the reservation is covered."""
        self.level = self.refilled(now) - min(amount, self.capacity)
        return 0.0 if self.level >= 0 else -self.level / self.rate


@dataclass(slots=True)
class _Window:
    """Calls sent in this second and the one before: what a server without headers refused to keep up with."""

    second: int = 0
    now: int = 0
    before: int = 0
    counted: int = 0
    answers: int = 0
    refusals: int = 0

    def sent(self, at: float) -> None:
        if int(at) != self.second:
            self.before = self.now if int(at) == self.second + 1 else 0
            self.second, self.now = int(at), 0
        self.now += 1

    def came_back(self, at: float, *, answered: bool) -> None:
        if int(at) != self.counted:
            self.counted, self.answers, self.refusals = int(at), 0, 0
        self.answers += answered
        self.refusals += not answered

    @property
    def mostly_refused(self) -> bool:
        """Whether more calls of this second were refused than answered."""
        return self.refusals > self.answers

    def rate(self, at: float) -> float:
        return float(max(self.now, self.before, 1))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, `retry-after` in seconds or as a date; None when unsaid."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def duration_seconds(text: str) -> float | None:
    """`6m0s`, `1h2m`, `20ms`, `1.5s` or plain seconds; None for anything else."""
    plain = _number(text)
    if plain is not None:
        return plain
    if not re.fullmatch(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+", text.strip()):
        return None
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(amount) * units[unit] for amount, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text))


def _from_headers(
    headers: Mapping[str, str], what: str, now: float, known: _Bucket | None, *, spent: int
) -> _Bucket | None:
    limit = _number(headers.get(f"x-ratelimit-limit-{what}", ""))
    left = _number(headers.get(f"x-ratelimit-remaining-{what}", ""))
    reset = duration_seconds(headers.get(f"x-ratelimit-reset-{what}", ""))
    if not limit or left is None:
        return None
    rate = known.rate if known else limit / 60
    if reset and left < limit / 2:  # before that, a window that has just begun would look slow
        seen = (limit - left) / reset
        rate = min(seen, known.rate * 1.1) if known and known.told else seen
    told = bool(reset and left < limit / 2) or bool(known and known.told)
    level = min(limit, left) - spent
    return _Bucket(capacity=limit, rate=max(rate, SMALLEST_RATE), level=level, at=now, told=told)


def _window(headers: Mapping[str, str], what: str) -> Window | None:
    limit = _number(headers.get(f"x-ratelimit-limit-{what}", ""))
    left = _number(headers.get(f"x-ratelimit-remaining-{what}", ""))
    if not limit or left is None:
        return None
    return Window(limit, left, duration_seconds(headers.get(f"x-ratelimit-reset-{what}", "")))


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(?:\.\d{1,9})?", text.strip()) else None
