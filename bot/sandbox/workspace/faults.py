"""Switches for bad weather: what goes wrong next, how often. Set by POST /sandbox/faults, used up as it happens.

Everything here is something Slack is known to do. Nothing goes wrong unless somebody asked for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["rate_limit", "server_error", "slow", "dropped_response"]
COUNTED = ("retry_events", "duplicate_events", "shuffle_events", "drop_events")
PER_METHOD: tuple[Kind, ...] = ("rate_limit", "server_error", "slow", "dropped_response")
PER_MINUTE: dict[str, int] = {
    "chat.update": 50,
    "chat.delete": 50,
    "conversations.replies": 50,
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "chat.appendStream": 100,
    "assistant.threads.setStatus": 60,
    "chat.postEphemeral": 100,
    "views.open": 100,
    "views.push": 100,
    "views.update": 100,
    "views.publish": 100,
}
OTHERWISE_PER_MINUTE = 100
POST_BURST = 5


@dataclass(slots=True)
class MethodFault:
    """One fault of the Web API: `times` calls of `method` ("*" for all) meet it."""

    kind: Kind
    method: str
    times: int
    seconds: float = 1.0
    status: int = 503


@dataclass(slots=True)
class Faults:
    """What will go wrong. Event faults count events still to be hit.

    retry_events: sent again with the same id and retry headers; duplicate_events: sent again under a new event id;
    shuffle_events: held back until that many are waiting, then sent in reverse; drop_events: the first attempt gets
    lost, as if the connection failed (the retries follow). history_objects caps a history page (15 for apps outside
    the Marketplace) to one call a minute; enforce_limits turns on Slack's per-minute limits.
    """

    retry_events: int = 0
    duplicate_events: int = 0
    shuffle_events: int = 0
    drop_events: int = 0
    history_objects: int = 0
    enforce_limits: bool = False
    methods: list[MethodFault] = field(default_factory=list)
    _calls: dict[str, deque[float]] = field(default_factory=dict)

    def arm(self, wish: dict[str, Any]) -> None:
        """Switch faults on. Raises ValueError for one that does not exist."""
        for name, value in wish.items():
            if name in COUNTED or name == "history_objects":
                setattr(self, name, int(value))
            elif name == "enforce_limits":
                self.enforce_limits = bool(value)
            elif name in PER_METHOD:
                self.methods.append(_method_fault(name, value))
            else:
                raise ValueError(f"no such fault: {name}")

    def clear(self) -> None:
        """Fair weather."""
        for name in (*COUNTED, "history_objects"):
            setattr(self, name, 0)
        self.enforce_limits = False
        self.methods.clear()
        self._calls.clear()

    def take(self, name: str) -> bool:
        """Whether the next event is hit by a counted fault; uses one up."""
        left = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return bool(left > 0)

    def of_call(self, method: str) -> MethodFault | None:
        """The fault that this call meets, if any; uses one up."""
        for fault in self.methods:
            if fault.times > 0 and fault.method in ("*", method):
                fault.times -= 1
                return fault
        return None

    def wait_for_quota(self, method: str, channel: str, clock: Callable[[], float] = time.monotonic) -> int:
        """Seconds until this call is within Slack's limits; 0 when it is (and then it is counted)."""
        if self.history_objects and method in ("conversations.history", "conversations.replies"):
            return self._wait(method, 1, 60.0, clock())
        if not self.enforce_limits:
            return 0
        if method == "chat.postMessage":
            return self._wait(f"{method} {channel}", POST_BURST, float(POST_BURST), clock())
        return self._wait(method, PER_MINUTE.get(method, OTHERWISE_PER_MINUTE), 60.0, clock())

    def _wait(self, key: str, most: int, window_seconds: float, now: float) -> int:
        calls = self._calls.setdefault(key, deque())
        while calls and calls[0] <= now - window_seconds:
            calls.popleft()
        if len(calls) >= most:
            return max(1, int(calls[0] + window_seconds - now) + 1)
        calls.append(now)
        return 0


def _method_fault(kind: Kind, value: Any) -> MethodFault:
    if not isinstance(value, dict):
        raise ValueError(f"{kind} needs an object: method, times, seconds, status")
    return MethodFault(
        kind=kind,
        method=str(value.get("method", "*")),
        times=int(value.get("times", 1)),
        seconds=float(value.get("seconds", 1.0)),
        status=int(value.get("status", 503)),
    )
