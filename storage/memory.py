"""State in a dictionary, for tests: what `redis_state` does, in one process, gone with it.

Records pass through the same JSON as on the real server, so a record that would not survive there does not survive here.
Nothing here awaits, so every call is atomic by itself.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from storage import keys
from storage.codec import dumps, loads
from storage.errors import Conflict, LostLease
from storage.kinds import KINDS, TRANSCRIPT_KEPT
from storage.ports import D
from storage.records import Change, Document, InboxItem, Json, Lease, OutboxEvent, Tenant


@dataclass(slots=True)
class _Stored:
    json: bytes
    version: int
    indexes: tuple[str, ...]


@dataclass(slots=True)
class _Room:
    """Everything of one tenant."""

    documents: dict[tuple[str, str], _Stored] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    leases: dict[str, tuple[int, float]] = field(default_factory=dict)  # fence, expiry
    inbox: dict[str, dict[str, tuple[float, bytes]]] = field(
        default_factory=dict
    )  # lane → id → arrival, JSON
    seen: set[str] = field(default_factory=set)
    journal: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    transcript: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    checkpoints: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    outbox: dict[str, bytes] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    posted: dict[str, bytes] = field(default_factory=dict)


class MemoryState:
    """Implements `storage.ports.State`. `clock` gives seconds; leases expire by it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rooms: dict[Tenant, _Room] = {}
        self._wrote: set[Tenant] = set()
        self._count = 0

    # ------------------------------------------------------------ records

    async def get(self, tenant: Tenant, kind: type[D], id: str) -> D | None:
        stored = self._room(tenant).documents.get((KINDS[kind], id))
        return loads(kind, stored.json) if stored else None

    async def find(self, tenant: Tenant, kind: type[D], index: str) -> tuple[D, ...]:
        documents = sorted(self._room(tenant).documents.items())
        return tuple(
            loads(kind, stored.json)
            for (name, _), stored in documents
            if name == KINDS[kind] and index in stored.indexes
        )

    async def commit(self, tenant: Tenant, change: Change) -> None:
        self._check(tenant, change)
        dumps(change)  # what cannot be stored fails before anything is written
        self._wrote.add(tenant)
        for document in change.puts:
            self._put(tenant, document)
        if change.consumed:
            self._consume(tenant, *change.consumed)
        for lane, item in change.items:
            self._accept(tenant, lane, item)
        if change.transcript:
            lane, messages = change.transcript
            kept = self._room(tenant).transcript[lane]
            kept.extend(dumps(message) for message in messages)
            del kept[:-TRANSCRIPT_KEPT]
        for event in change.events:
            self._announce(tenant, event)

    # ------------------------------------------------------------ leases

    async def claim(self, tenant: Tenant, name: str, *, seconds: float) -> Lease | None:
        if await self.held(tenant, name):
            return None
        room = self._room(tenant)
        fence = room.fences[name] = room.fences.get(name, 0) + 1
        room.leases[name] = (fence, self._clock() + seconds)
        return Lease(tenant=tenant, name=name, fence=fence)

    async def renew(self, lease: Lease, *, seconds: float) -> bool:
        if not self._newest(lease):
            return False
        self._room(lease.tenant).leases[lease.name] = (lease.fence, self._clock() + seconds)
        return True

    async def release(self, lease: Lease) -> None:
        leases = self._room(lease.tenant).leases
        if leases.get(lease.name, (0, 0.0))[0] == lease.fence:
            del leases[lease.name]

    async def held(self, tenant: Tenant, name: str) -> bool:
        return self._room(tenant).leases.get(name, (0, 0.0))[1] > self._clock()

    # ------------------------------------------------------------ inbox

    async def accept(self, tenant: Tenant, lane: str, item: InboxItem) -> bool:
        self._wrote.add(tenant)
        return self._accept(tenant, lane, item)

    async def waiting(self, tenant: Tenant, lane: str) -> tuple[InboxItem, ...]:
        return tuple(loads(InboxItem, data) for _, data in self._room(tenant).inbox.get(lane, {}).values())

    async def ready(self, limit: int) -> tuple[tuple[Tenant, str], ...]:
        oldest = [
            (min(arrival for arrival, _ in items.values()), tenant, lane)
            for tenant, room in self._rooms.items()
            for lane, items in room.inbox.items()
            if items
        ]
        return tuple((tenant, lane) for _, tenant, lane in sorted(oldest, key=lambda entry: entry[0])[:limit])

    # ------------------------------------------------------------ journal, checkpoints

    async def entries(self, tenant: Tenant, lane: str) -> tuple[Json, ...]:
        return tuple(loads(dict, entry) for entry in self._room(tenant).journal[lane])

    async def write(self, lease: Lease, lane: str, entry: Json) -> None:
        self._require(lease)
        self._room(lease.tenant).journal[lane].append(dumps(entry))

    async def transcript(self, tenant: Tenant, lane: str, *, last: int) -> tuple[Json, ...]:
        kept = self._room(tenant).transcript[lane]
        return tuple(loads(dict, message) for message in kept[max(0, len(kept) - last) :])

    async def load(self, tenant: Tenant, task_id: str) -> dict[str, Json]:
        return {name: loads(dict, value) for name, value in self._room(tenant).checkpoints[task_id].items()}

    async def saved(self, tenant: Tenant, task_id: str) -> frozenset[str]:
        return frozenset(self._room(tenant).checkpoints[task_id])

    async def save(self, lease: Lease, task_id: str, name: str, value: Json) -> None:
        self._require(lease)
        self._room(lease.tenant).checkpoints[task_id][name] = dumps(value)

    async def forget(self, lease: Lease, task_id: str, names: Sequence[str]) -> None:
        self._require(lease)
        for name in names:
            self._room(lease.tenant).checkpoints[task_id].pop(name, None)

    async def clear(self, tenant: Tenant, task_id: str) -> None:
        self._room(tenant).checkpoints.pop(task_id, None)

    # ------------------------------------------------------------ outbox

    async def tenants(self) -> tuple[Tenant, ...]:
        return tuple(sorted(self._wrote, key=keys.tenant_text))

    async def read(self, tenant: Tenant, *, limit: int) -> tuple[OutboxEvent, ...]:
        entries = list(self._room(tenant).outbox.items())[:limit]
        return tuple(replace(loads(OutboxEvent, data), position=position) for position, data in entries)

    async def delivered(self, tenant: Tenant, positions: tuple[str, ...]) -> None:
        for position in positions:
            self._room(tenant).outbox.pop(position, None)

    async def remember(self, tenant: Tenant, key: str, value: Json) -> None:
        self._room(tenant).posted[key] = dumps(value)

    async def recall(self, tenant: Tenant, key: str) -> Json | None:
        stored = self._room(tenant).posted.get(key)
        return loads(dict, stored) if stored is not None else None

    async def ping(self) -> None:
        return None

    async def close(self) -> None:
        return None

    # ------------------------------------------------------------ helpers

    def _room(self, tenant: Tenant) -> _Room:
        return self._rooms.setdefault(tenant, _Room())

    def _check(self, tenant: Tenant, change: Change) -> None:
        if change.lease:
            self._require(change.lease)
        named = {(KINDS[type(document)], document.id) for document in change.puts}
        if len(named) < len(change.puts):
            raise ValueError("a change puts one document twice")
        for document in change.puts:
            stored = self._room(tenant).documents.get((KINDS[type(document)], document.id))
            if document.version != (stored.version if stored else 0):
                raise Conflict(f"{KINDS[type(document)]}/{document.id}")

    def _put(self, tenant: Tenant, document: Document) -> None:
        after: Document = replace(document, version=document.version + 1)
        stored = _Stored(json=dumps(after), version=after.version, indexes=keys.index_names(after))
        self._room(tenant).documents[KINDS[type(document)], document.id] = stored

    def _consume(self, tenant: Tenant, lane: str, ids: tuple[str, ...]) -> None:
        room = self._room(tenant)
        items = room.inbox.get(lane, {})
        for id in ids:
            items.pop(id, None)
        room.journal.pop(lane, None)

    def _accept(self, tenant: Tenant, lane: str, item: InboxItem) -> bool:
        room = self._room(tenant)
        if item.id in room.seen:
            return False
        room.seen.add(item.id)
        self._count += 1
        room.inbox.setdefault(lane, {})[item.id] = (self._count, dumps(item))
        return True

    def _announce(self, tenant: Tenant, event: OutboxEvent) -> None:
        room = self._room(tenant)
        if event.key not in room.used:
            room.used.add(event.key)
            self._count += 1
            room.outbox[f"{self._count:012d}"] = dumps(event)

    def _newest(self, lease: Lease) -> bool:
        return self._room(lease.tenant).fences.get(lease.name) == lease.fence

    def _require(self, lease: Lease) -> None:
        if not self._newest(lease):
            raise LostLease(lease.name)
