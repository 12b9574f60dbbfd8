"""What has to be done now and then by exactly one `web` process: sweeping lost work, asking after training jobs.

The leader holds a lease; when it dies another takes over within seconds. A chore that fails is tried again at its next
time and never stops the others. What the chores are is for `app.py` to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from storage.errors import StorageError
from storage.ports import Leases
from storage.records import Lease, Tenant

log = structlog.get_logger(__name__)
PROCESS_WIDE = Tenant(enterprise="", team="leader")  # a lease only; nothing of anybody is kept under it
LEASE_SECONDS = 15.0
TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Chore:
    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


class Periodic:
    def __init__(
        self,
        *,
        leases: Leases,
        chores: Sequence[Chore],
        clock: Callable[[], float] = time.monotonic,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._leases = leases
        self._chores = {chore.name: chore for chore in chores}
        self._due = dict.fromkeys(self._chores, 0.0)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._bell = asyncio.Event()

    def poke(self, name: str) -> None:
        """Do a chore now rather than at its time, if this process leads."""
        if name in self._due:
            self._due[name] = 0.0
            self._bell.set()

    async def run(self) -> None:
        """Until cancelled."""
        lease: Lease | None = None
        try:
            while True:
                lease = await self._lead(lease)
                if lease:
                    self._start_due()
                await self._rest()
        finally:
            await self._leave(lease)

    async def _lead(self, lease: Lease | None) -> Lease | None:
        try:
            if lease and await self._leases.renew(lease, seconds=LEASE_SECONDS):
                return lease
            return await self._leases.claim(PROCESS_WIDE, "leader", seconds=LEASE_SECONDS)
        except StorageError as error:
            log.warning("leader_unknown", error=str(error))
            return None

    def _start_due(self) -> None:
        now = self._clock()
        for name, chore in self._chores.items():
            if now >= self._due[name] and name not in self._running:
                self._due[name] = now + chore.every_seconds
                task = asyncio.create_task(self._do(chore))
                self._running[name] = task
                task.add_done_callback(lambda _, name=name: self._running.pop(name, None))  # type: ignore[misc]

    async def _do(self, chore: Chore) -> None:
        try:
            await chore.run()
        except StorageError as error:
            log.warning("chore_waits", chore=chore.name, error=str(error))
        except Exception as error:
            log.error("chore_failed", chore=chore.name, exc_info=error)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._tick_seconds):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    async def _leave(self, lease: Lease | None) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        if lease:
            try:
                await self._leases.release(lease)
            except StorageError:
                log.info("leader_lease_left_to_expire")
