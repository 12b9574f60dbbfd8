"""Many model calls at once, within bounds: the loop of every operation that works through rows.

What is under way when somebody stops the task, or when a call fails, is finished and kept: it has been paid for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
AT_ONCE = 16


async def each(
    items: Iterable[T],
    work: Callable[[T], Awaitable[None]],
    *,
    stop: Callable[[], bool],
    at_once: int = AT_ONCE,
) -> bool:
    """Run `work` for every item, at most `at_once` at a time; True when `stop` ended it early.

    After a failure no new item is begun; the first failure is raised once everything under way has ended.
    """
    waiting = iter(items)
    failures: list[Exception] = []
    stopped = False

    async def worker() -> None:
        nonlocal stopped
        for item in waiting:
            stopped = stopped or stop()
            if stopped or failures:
                return
            try:
                await work(item)
            except Exception as error:  # noqa: BLE001  raised below, when the others have ended
                failures.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    if failures:
        raise failures[0]
    return stopped
