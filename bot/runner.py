"""Takes up what waits in the inboxes: leases a lane, works on it, keeps the lease alive, gives it back.

One lane is worked on by one process at a time, many lanes at once. A local wake-up makes it immediate; polling finds what
other processes accepted and what a killed one left. What the work is stands in `lanes.py`; this module only knows how
often to try, and that a lane which keeps failing must not be lost silently.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from storage.errors import LostLease, StorageError, Unavailable
from storage.ports import State
from storage.records import Lease, Tenant

log = structlog.get_logger(__name__)
LEASE_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
POLL_SECONDS = 0.5
LANES_A_POLL = 400
PAUSES_SECONDS = (0.5, 2.0, 8.0, 30.0)
LAG_SECONDS = 0.02  # of the event loop; beyond it no further turn is begun: acks come first
LAG_LOOK_SECONDS = 0.05
LEAST_TURNS = 4
TRIES = 4  # of a lane whose work raises something unexpected, before people are told
Place = tuple[Tenant, str]


class Work(Protocol):
    async def __call__(self, lease: Lease, lane: str) -> float:
        """Deal with what waits in the lane. Seconds after which to come back to what was left; 0 when nothing was."""
        ...


@dataclass(slots=True)
class _Trouble:
    tries: int = 0
    not_before: float = 0.0


class Runner:
    """`give_up` is told of a lane that failed `TRIES` times: it says so to people and drops what waits there."""

    def __init__(
        self,
        *,
        state: State,
        work: Work,
        give_up: Callable[[Lease, str, BaseException], Awaitable[None]],
        turns: int = 48,
        clicks: int = 48,
        clock: Callable[[], float] = time.monotonic,
        poll_seconds: float = POLL_SECONDS,
        busy: Callable[[float], None] = lambda lanes: None,
    ) -> None:
        self._busy = busy
        self._state = state
        self._work = work
        self._give_up = give_up
        self._room = {"turn": turns, "click": clicks}
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._running: dict[Place, asyncio.Task[None]] = {}
        self._wanted: dict[Place, None] = {}
        self._again: set[Place] = set()
        self._trouble: dict[Place, _Trouble] = {}
        self._bell = asyncio.Event()
        self._lag = 0.0
        self._polled_at = float("-inf")
        self._crowded = False  # somebody was left waiting for room

    def notify(self, tenant: Tenant, lane: str) -> None:
        """Something was just accepted for this lane by this process."""
        place = (tenant, lane)
        if place in self._trouble and not self._trouble[place].tries:
            del self._trouble[place]  # it only waited for a better time, and somebody spoke
        self._wanted[place] = None
        self._bell.set()

    async def run(self) -> None:
        """Until cancelled; then what runs is cancelled too and can be resumed by anybody."""
        watching = asyncio.create_task(self._watch_lag())
        try:
            while True:
                for place in self._told():
                    self._begin(place)
                for place in await self._found():
                    if place not in self._running:
                        self._begin(place)
                await self._rest()
        finally:
            watching.cancel()
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _told(self) -> tuple[Place, ...]:
        """What this process has just accepted."""
        wanted = tuple(self._wanted)
        self._wanted.clear()
        return wanted

    async def _found(self) -> tuple[Place, ...]:
        """Now and then, everything that waits anywhere: what others accepted, or a killed process left."""
        now = self._clock()
        if now < self._polled_at + self._poll_seconds and not self._crowded:
            return ()
        self._polled_at, self._crowded = now, False
        try:
            return await self._state.ready(LANES_A_POLL)
        except StorageError as error:
            log.warning("inbox_unreadable", error=str(error))
            return ()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    def _begin(self, place: Place) -> None:
        if place in self._running:
            self._again.add(place)
            return
        if self._clock() < self._trouble.get(place, _Trouble()).not_before:
            return
        if not self._has_room(_kind(place[1])):
            self._crowded = True  # it stays in the ready set; a poll finds it when somebody is done
            return
        task = asyncio.create_task(self._hold(place))
        self._running[place] = task
        self._busy(len(self._running))
        task.add_done_callback(lambda _: self._ended(place))

    def _has_room(self, kind: str) -> bool:
        busy = sum(1 for _, lane in self._running if _kind(lane) == kind)
        if kind == "turn" and busy >= LEAST_TURNS and self._lag > LAG_SECONDS:
            return False
        return busy < self._room[kind]

    async def _watch_lag(self) -> None:
        """How late the event loop is: the same lateness that an ack would have."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_LOOK_SECONDS
            await asyncio.sleep(LAG_LOOK_SECONDS)
            self._lag = max(loop.time() - due, self._lag * 0.7)

    def _ended(self, place: Place) -> None:
        self._running.pop(place, None)
        self._busy(len(self._running))
        if place in self._again:
            self._again.discard(place)
            self._wanted[place] = None
        self._bell.set()

    async def _hold(self, place: Place) -> None:
        tenant, lane = place
        try:
            lease = await self._state.claim(tenant, lane, seconds=LEASE_SECONDS)
        except StorageError as error:
            log.warning("lane_not_leased", lane=lane, error=str(error))
            return
        if lease is None:  # another process has it, and looks again itself before it lets go
            tries = self._trouble.get(place, _Trouble()).tries
            self._trouble[place] = _Trouble(tries, self._clock() + self._poll_seconds)
            return
        beating = asyncio.create_task(_heartbeat(self._state, lease, asyncio.current_task()))
        try:
            await self._try(place, lease)
        finally:
            beating.cancel()
            await self._release(lease)

    async def _try(self, place: Place, lease: Lease) -> None:
        try:
            again = await self._work(lease, place[1])
        except LostLease:
            log.info("lane_passed_on", lane=place[1])
        except Unavailable as error:
            log.warning("lane_waits", lane=place[1], error=str(error))
            self._come_back(place)
        except Exception as error:  # noqa: BLE001  a bug in one lane must not stop the others
            await self._failed(place, lease, error)
        else:
            self._trouble.pop(place, None)
            if again:
                self._trouble[place] = _Trouble(0, self._clock() + again)

    async def _failed(self, place: Place, lease: Lease, error: Exception) -> None:
        trouble = self._come_back(place)
        log.error("lane_failed", lane=place[1], tries=trouble.tries, exc_info=error)
        if trouble.tries < TRIES:
            return
        self._trouble.pop(place, None)
        try:
            await self._give_up(lease, place[1], error)
        except StorageError as storage_error:
            log.warning("lane_not_given_up", lane=place[1], error=str(storage_error))

    def _come_back(self, place: Place) -> _Trouble:
        trouble = self._trouble.setdefault(place, _Trouble())
        trouble.not_before = self._clock() + PAUSES_SECONDS[min(trouble.tries, len(PAUSES_SECONDS) - 1)]
        trouble.tries += 1
        return trouble

    async def _release(self, lease: Lease) -> None:
        try:
            await asyncio.shield(self._state.release(lease))
        except StorageError:
            log.info("lease_left_to_expire", lane=lease.name)


async def _heartbeat(state: State, lease: Lease, holder: asyncio.Task[None] | None) -> None:
    """Keep the lease; end the holder's work when somebody else has it."""
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        try:
            if await state.renew(lease, seconds=LEASE_SECONDS):
                continue
        except StorageError as error:
            log.warning("heartbeat_missed", lane=lease.name, error=str(error))
            continue
        if holder:
            holder.cancel()
        return


def _kind(lane: str) -> str:
    return "click" if lane.endswith(":clicks") or lane.startswith(("command:", "person:")) else "turn"
