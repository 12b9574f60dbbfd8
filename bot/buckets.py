"""Rate buckets: how long a call to Slack has to wait so that it is not refused, and what a refusal teaches.

Figures are Slack's published ones (slack.md), a little under. No call is made here; the clock and the sleep are arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

OTHER_PER_MINUTE = 90.0
PER_MINUTE: dict[str, float] = {
    "chat.update": 48,
    "chat.delete": 48,
    "conversations.replies": 45,
    "conversations.history": 45,
    "chat.postEphemeral": 95,
    "assistant.threads.setStatus": 55,
    "users.info": 95,
    "reactions.add": 45,
    "usergroups.users.list": 18,
    "conversations.info": 45,
}
BURST = 8.0
POST_BURST = 3.0


@dataclass(slots=True)
class _Bucket:
    per_second: float
    size: float
    tokens: float
    filled_at: float
    closed_until: float = 0.0


class Buckets:
    """One bucket a method, and one a channel for `chat.postMessage` (one a second, short bursts allowed)."""

    def __init__(
        self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._buckets: dict[str, _Bucket] = {}

    async def take(self, method: str, channel: str = "") -> None:
        """Wait for a turn. Waiters are served about in the order they came."""
        bucket = self._bucket(method, channel)
        while (seconds := self._wait(bucket)) > 0:
            await self._sleep(seconds)

    def take_now(self, method: str, channel: str = "") -> bool:
        """Take a turn if there is one just now; never waits."""
        return self._wait(self._bucket(method, channel)) <= 0

    def close(self, method: str, channel: str, seconds: float) -> None:
        """Slack said to come back later: nobody else tries before then either."""
        bucket = self._bucket(method, channel)
        bucket.closed_until = max(bucket.closed_until, self._clock() + seconds)

    def _wait(self, bucket: _Bucket) -> float:
        now = self._clock()
        if now < bucket.closed_until:
            return bucket.closed_until - now
        bucket.tokens = min(bucket.size, bucket.tokens + (now - bucket.filled_at) * bucket.per_second)
        bucket.filled_at = now
        if bucket.tokens >= 1 - 1e-9:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) / bucket.per_second

    def _bucket(self, method: str, channel: str) -> _Bucket:
        posting = method == "chat.postMessage"
        key = f"{method} {channel}" if posting else method
        if key not in self._buckets:
            per_second = 1.0 if posting else PER_MINUTE.get(method, OTHER_PER_MINUTE) / 60
            size = POST_BURST if posting else BURST
            self._buckets[key] = _Bucket(per_second, size, size, self._clock())
        return self._buckets[key]
