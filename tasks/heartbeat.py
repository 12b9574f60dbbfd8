"""Keeps a running task's lease alive, and hears when somebody asks the task to stop.

It beats in a thread of its own with a connection of its own, because an operation may compute for longer than a lease
lasts without giving the event loop a turn.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog

from storage.errors import StorageError
from storage.ports import State
from storage.records import Lease, Task

LEASE_SECONDS = 20.0
_RENEW_SECONDS = 5.0
_LOOK_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Heartbeat:
    """`lost` and `stop_asked` are facts to look at; `on_lost` is called once, in the beating thread.

    `open_state` gives a state that belongs to this thread. After `until` (by `time.monotonic`) it beats no more and calls
    `on_overdue`: the event loop should have stopped the operation long before.
    """

    def __init__(
        self,
        lease: Lease,
        task_id: str,
        *,
        open_state: Callable[[], State],
        on_lost: Callable[[], None],
        until: float,
        on_overdue: Callable[[], None],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self.lost = False
        self.stop_asked = False
        self._lease = lease
        self._task_id = task_id
        self._open_state = open_state
        self._on_lost = on_lost
        self._until = until
        self._on_overdue = on_overdue
        self._look_seconds = look_seconds
        self._renewed = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat {task_id}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        with asyncio.Runner() as runner:
            state = self._open_state()
            while not self.lost and not self._over.wait(self._look_seconds):
                if time.monotonic() > self._until:
                    self._on_overdue()
                    break
                runner.run(self._look(state))
            runner.run(state.close())

    async def _look(self, state: State) -> None:
        try:
            if time.monotonic() - self._renewed >= _RENEW_SECONDS:
                await self._renew(state)
            task = await state.get(self._lease.tenant, Task, self._task_id)
        except (
            StorageError
        ) as error:  # the next beat may succeed; an expired lease that nobody took is extended then
            _log.warning("heartbeat_missed", task=self._task_id, reason=str(error))
            return
        self.stop_asked = self.stop_asked or (task is not None and task.cancel_requested)

    async def _renew(self, state: State) -> None:
        if await state.renew(self._lease, seconds=LEASE_SECONDS):
            self._renewed = time.monotonic()
            return
        self.lost = True
        self._on_lost()
