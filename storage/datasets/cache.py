"""What has been read lately and can never change, kept in this process within a bound of bytes.

Only content-addressed things come here (lists of parts, index buckets), so nothing ever has to be thrown out because it is
wrong. Heads of versions do not: a deleted dataset has to be gone at once. Several threads may share one cache.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

CACHE_BYTES = 16 << 20


class Cache:
    """The least recently used goes first. Sizes are what the callers say, good to a factor of two."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._entries: OrderedDict[tuple[str, ...], tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        return self._held

    def get(self, key: tuple[str, ...], make: Callable[[], tuple[T, int]]) -> T:
        """What is kept under `key`, else what `make` returns with its size; two threads may both make it."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]
        value, size = make()
        self.put(key, value, size)
        return value

    def put(self, key: tuple[str, ...], value: Any, size: int) -> None:
        with self._lock:
            _, before = self._entries.pop(key, (None, 0))
            self._entries[key] = (value, size)
            self._held += size - before
            while self._held > self._limit:
                _, (_, gone) = self._entries.popitem(last=False)
                self._held -= gone
