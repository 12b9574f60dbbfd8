"""Turns the outbox into Slack messages: per channel in order, one status card per job, within Slack's limits.

One process relays a tenant at a time, under a lease. An event leaves the outbox when it has been shown, so a killed relay
repeats nothing and loses nothing (`posting.py` knows what is already there). Progress is coalesced: only the newest state
of a card, at most every max(5 s, active cards × 1.5 s); the last state goes out at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from bot.slack_api import SlackError, SlackUnavailable
from bot.views.progress import OVER
from storage.errors import StorageError
from storage.ports import State
from storage.records import Lease, OutboxEvent, Tenant

log = structlog.get_logger(__name__)
LEASE_NAME = "relay"
LEASE_SECONDS = 15.0
POLL_SECONDS = 0.2
READ_EVENTS = 500
PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
ACTIVE_SECONDS = 900.0  # a card that has not moved for so long does not count
TRIES = 6  # of an event that fails for no known reason


class Deliver(Protocol):
    async def deliver(self, tenant: Tenant, event: OutboxEvent) -> None: ...


@dataclass(slots=True)
class _Line:
    """What one channel still has to be shown. `shown_at` is when each progress card last changed."""

    waiting: deque[OutboxEvent] = field(default_factory=deque)
    latest: dict[str, OutboxEvent] = field(default_factory=dict)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Relay:
    """Relays every tenant that this process holds the lease of. `tenant_filter` bounds it to installed workspaces."""

    def __init__(
        self,
        *,
        state: State,
        poster: Deliver,
        serves: Callable[[Tenant], bool] = lambda tenant: True,
        clock: Callable[[], float] = time.monotonic,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._state = state
        self._poster = poster
        self._serves = serves
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._bell = asyncio.Event()
        self._leases: dict[Tenant, tuple[Lease, float]] = {}
        self._lines: dict[tuple[Tenant, str], _Line] = {}
        self._taken: set[tuple[Tenant, str]] = set()
        self._over: set[tuple[Tenant, str]] = set()
        self._shown_at: dict[tuple[Tenant, str], float] = {}

    def notify(self) -> None:
        """Something was probably written to the outbox by this process."""
        self._bell.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    for tenant in await self._state.tenants():
                        if self._serves(tenant) and await self._holds(tenant):
                            await self._take(tenant)
                except StorageError as error:
                    log.warning("outbox_unreadable", error=str(error))
                await self._rest()
        finally:
            await self._leave()

    async def _leave(self) -> None:
        tasks = [line.task for line in self._lines.values() if line.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lease, _ in self._leases.values():
            try:
                await self._state.release(lease)
            except StorageError:
                log.info("relay_lease_left_to_expire")

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()

    async def _holds(self, tenant: Tenant) -> bool:
        """Whether this process is the tenant's relay now; takes the lease or extends it when due."""
        held = self._leases.get(tenant)
        now = self._clock()
        if held and now < held[1]:
            return True
        if held and await self._state.renew(held[0], seconds=LEASE_SECONDS):
            self._leases[tenant] = (held[0], now + LEASE_SECONDS / 3)
            return True
        if held:
            self._drop(tenant)
        lease = await self._state.claim(tenant, LEASE_NAME, seconds=LEASE_SECONDS)
        if lease is None:
            return False
        self._leases[tenant] = (lease, now + LEASE_SECONDS / 3)
        return True

    def _drop(self, tenant: Tenant) -> None:
        """Another process relays this tenant now: it reads the same outbox, so nothing here may go on."""
        self._leases.pop(tenant, None)
        for key in [key for key in self._lines if key[0] == tenant]:
            line = self._lines.pop(key)
            if line.task:
                line.task.cancel()
        self._taken = {entry for entry in self._taken if entry[0] != tenant}
        self._over = {entry for entry in self._over if entry[0] != tenant}

    async def _take(self, tenant: Tenant) -> None:
        events = await self._state.read(tenant, limit=READ_EVENTS)
        self._forget(tenant, {event.position for event in events})
        for event in events:
            if (tenant, event.position) in self._taken:
                continue
            self._taken.add((tenant, event.position))
            line = self._lines.setdefault((tenant, event.channel), _Line())
            line.waiting.append(event)
            line.bell.set()
            if line.task is None or line.task.done():
                line.task = asyncio.create_task(self._work(tenant, event.channel, line))

    def _forget(self, tenant: Tenant, still_there: set[str]) -> None:
        """Delivered events stay known until a read no longer brings them: one that was under way may still do so."""
        gone = {entry for entry in self._over if entry[0] == tenant and entry[1] not in still_there}
        self._over -= gone
        self._taken -= gone

    async def _work(self, tenant: Tenant, channel: str, line: _Line) -> None:
        """Show what the channel's line holds, in order; progress when it is due."""
        while True:
            while line.waiting:
                await self._next(tenant, line, line.waiting.popleft())
            pause = await self._due_cards(tenant, line)
            if not line.waiting and not line.latest:
                self._lines.pop((tenant, channel), None)
                return
            try:
                async with asyncio.timeout(pause):
                    await line.bell.wait()
            except TimeoutError:
                pass
            line.bell.clear()

    async def _next(self, tenant: Tenant, line: _Line, event: OutboxEvent) -> None:
        if event.kind != "progress" or not event.card:
            await self._show(tenant, event)
            return
        older = line.latest.pop(event.card, None)
        if older:
            await self._done(tenant, older)
        if event.data.get("status") in OVER or (tenant, event.card) not in self._shown_at:
            await self._show(tenant, event)
            self._note(tenant, event)
        else:
            line.latest[event.card] = event

    async def _due_cards(self, tenant: Tenant, line: _Line) -> float:
        """Update the cards whose time has come; seconds until the next one's."""
        pause = self._interval()
        for card, event in list(line.latest.items()):
            wait = self._shown_at.get((tenant, card), 0.0) + self._interval() - self._clock()
            if wait <= 0:
                line.latest.pop(card, None)
                await self._show(tenant, event)
                self._note(tenant, event)
            else:
                pause = min(pause, wait)
        return max(0.05, pause)

    def _interval(self) -> float:
        oldest = self._clock() - ACTIVE_SECONDS
        self._shown_at = {card: at for card, at in self._shown_at.items() if at > oldest}
        return max(5.0, len(self._shown_at) * 1.5)

    def _note(self, tenant: Tenant, event: OutboxEvent) -> None:
        if event.data.get("status") in OVER:
            self._shown_at.pop((tenant, event.card), None)
        else:
            self._shown_at[tenant, event.card] = self._clock()

    async def _show(self, tenant: Tenant, event: OutboxEvent) -> None:
        """Deliver, however long Slack is away; give up only on what fails for no known reason."""
        tries = unknown = 0
        while True:
            try:
                await self._poster.deliver(tenant, event)
                break
            except (SlackUnavailable, StorageError) as error:
                log.warning("event_waits", key=event.key, error=str(error))
            except SlackError as error:
                unknown += 1
                log.error("event_refused", key=event.key, kind=event.kind, error=str(error))
            except Exception as error:
                unknown += 1
                log.error("event_failed", key=event.key, kind=event.kind, exc_info=error)
            if unknown >= TRIES:
                log.error("event_given_up", key=event.key, kind=event.kind)
                break
            await asyncio.sleep(PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])
            tries += 1
        await self._done(tenant, event)

    async def _done(self, tenant: Tenant, event: OutboxEvent) -> None:
        for pause in (*PAUSES_SECONDS, 0.0):
            try:
                await self._state.delivered(tenant, (event.position,))
                break
            except StorageError as error:
                log.warning("delivery_not_noted", key=event.key, error=str(error))
                await asyncio.sleep(pause)
        self._over.add((tenant, event.position))
