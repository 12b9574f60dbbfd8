"""The clock of fine-tuning jobs: real time, sped up, and pushed ahead by hand. Nothing sleeps on it."""

from __future__ import annotations

import time
from collections.abc import Callable


class SandboxClock:
    """Seconds since 1970 as the jobs see them: real elapsed seconds × speed, plus what was advanced."""

    def __init__(self, *, speed: float, real: Callable[[], float] = time.time) -> None:
        self._speed = speed
        self._real = real
        self._started = real()
        self._advanced = 0.0

    def now(self) -> float:
        return self._started + (self._real() - self._started) * self._speed + self._advanced

    def real_seconds_until(self, moment: float) -> float:
        return max(0.0, (moment - self.now()) / self._speed) if self._speed > 0 else float("inf")

    def advance(self, seconds: float) -> None:
        self._advanced += max(0.0, seconds)
