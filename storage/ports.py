"""What the rest of the house asks of state. Every adapter passes the same contract suite (`tests/storage`).

All calls are awaited and take the tenant first. Adapters raise only `storage.errors`. Blobs have their own, synchronous
port in `blobs.py`: rows are streamed by workers, state is awaited by everyone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from storage.records import Change, Document, InboxItem, Json, Lease, OutboxEvent, Tenant

D = TypeVar("D", bound=Document)


class Records(Protocol):
    """Documents with optimistic concurrency, and the one commit that binds them to leases, inbox and outbox."""

    async def get(self, tenant: Tenant, kind: type[D], id: str) -> D | None:
        """The document at its newest version; None when there is none."""
        ...

    async def find(self, tenant: Tenant, kind: type[D], index: str) -> tuple[D, ...]:
        """All documents of an index named in `keys.index_names`, oldest id first; never another kind's."""
        ...

    async def commit(self, tenant: Tenant, change: Change) -> None:
        """Apply all of `change` or nothing. Raises `Conflict` (a document moved on) or `LostLease`."""
        ...


class Leases(Protocol):
    """Who works on what. A fence outlives its lease, so a stalled holder cannot write after a successor has begun."""

    async def claim(self, tenant: Tenant, name: str, *, seconds: float) -> Lease | None:
        """The lease with a fresh fence; None while somebody holds it."""
        ...

    async def renew(self, lease: Lease, *, seconds: float) -> bool:
        """Extend; False when it has passed to somebody else."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give back at once; harmless when already lost."""
        ...

    async def held(self, tenant: Tenant, name: str) -> bool:
        """True while some process holds an unexpired lease."""
        ...


class Inbox(Protocol):
    """What arrived and has not been dealt with, per lane, in order."""

    async def accept(self, tenant: Tenant, lane: str, item: InboxItem) -> bool:
        """Store the item and mark the lane ready, in one atomic step. False: seen before, nothing stored."""
        ...

    async def waiting(self, tenant: Tenant, lane: str) -> tuple[InboxItem, ...]:
        """Every unconsumed item of the lane, oldest first."""
        ...

    async def ready(self, limit: int) -> tuple[tuple[Tenant, str], ...]:
        """Lanes of all tenants that have something waiting, longest waiting first."""
        ...


class Journal(Protocol):
    """What a turn has done so far, so that another process can take it up; and what earlier turns said."""

    async def entries(self, tenant: Tenant, lane: str) -> tuple[Json, ...]:
        """The unfinished turn's entries, in order."""
        ...

    async def write(self, lease: Lease, lane: str, entry: Json) -> None:
        """Append; raises `LostLease`."""
        ...

    async def transcript(self, tenant: Tenant, lane: str, *, last: int) -> tuple[Json, ...]:
        """The last messages of finished turns, oldest first."""
        ...


class Checkpoints(Protocol):
    """What a task has finished so far, by name."""

    async def load(self, tenant: Tenant, task_id: str) -> dict[str, Json]: ...

    async def saved(self, tenant: Tenant, task_id: str) -> frozenset[str]:
        """The names alone."""
        ...

    async def save(self, lease: Lease, task_id: str, name: str, value: Json) -> None:
        """Store under the task's lease; raises `LostLease`."""
        ...

    async def forget(self, lease: Lease, task_id: str, names: Sequence[str]) -> None:
        """Remove some, as far as they are there, under the task's lease; raises `LostLease`."""
        ...

    async def clear(self, tenant: Tenant, task_id: str) -> None: ...


class Outbox(Protocol):
    """Events waiting to be shown, in order, and what was shown for them."""

    async def tenants(self) -> tuple[Tenant, ...]:
        """Every tenant that ever wrote."""
        ...

    async def read(self, tenant: Tenant, *, limit: int) -> tuple[OutboxEvent, ...]:
        """The oldest undelivered events, with `position` set."""
        ...

    async def delivered(self, tenant: Tenant, positions: tuple[str, ...]) -> None:
        """Remove them; harmless when repeated."""
        ...

    async def remember(self, tenant: Tenant, key: str, value: Json) -> None:
        """Keep what the relay posted for a card or an event (channel, ts, …)."""
        ...

    async def recall(self, tenant: Tenant, key: str) -> Json | None: ...


class State(Records, Leases, Inbox, Journal, Checkpoints, Outbox, Protocol):
    """All of it: what a composition root hands around. Ask for the narrowest port that does."""

    async def ping(self) -> None:
        """Raises `Unavailable`."""
        ...

    async def close(self) -> None: ...
