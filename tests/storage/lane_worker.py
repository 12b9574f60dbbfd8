"""A process for `test_kills.py`: takes lanes, counts what arrived into one document each, sometimes stalls.

usage: python -m tests.storage.lane_worker <redis url> <team>; runs until killed.
"""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import replace

from storage.errors import Conflict, LostLease
from storage.records import Change, Lease, OutboxEvent, Task, Tenant
from storage.redis_state import RedisState, connect

LEASE_SECONDS = 0.25
STALL_SECONDS = 0.4


async def serve(url: str, tenant: Tenant) -> None:
    state = connect(url)
    while True:
        lanes = list(await state.ready(100))
        random.shuffle(lanes)
        for _, lane in lanes[:4]:
            lease = await state.claim(tenant, f"lane:{lane}", seconds=LEASE_SECONDS)
            if lease:
                await take_turn(state, lease, lane)
                await state.release(lease)
        await asyncio.sleep(0.002)


async def take_turn(state: RedisState, lease: Lease, lane: str) -> None:
    """All waiting items as one turn: the document lists them in order, and each has one effect."""
    tenant = lease.tenant
    items = await state.waiting(tenant, lane)
    if not items:
        return
    document = await state.get(tenant, Task, lane_id(lane)) or new_document(tenant, lane)
    if random.random() < 0.05:
        await asyncio.sleep(STALL_SECONDS)  # past the lease: somebody else goes on meanwhile
    seen = [*document.result.get("seen", []), *(item.id for item in items)]
    events = tuple(
        OutboxEvent(
            kind="effect",
            channel=lane,
            thread_ts="",
            data={"item": item.id},
            key=f"effect:{item.id}:{random.random()}",
        )
        for item in items
    )
    change = Change(
        puts=(replace(document, result={"seen": seen}),),
        events=events,
        lease=lease,
        consumed=(lane, tuple(item.id for item in items)),
        transcript=(lane, tuple({"id": item.id} for item in items)),
    )
    try:
        await state.commit(tenant, change)
    except (LostLease, Conflict):
        return


def lane_id(lane: str) -> str:
    return lane.replace(":", "-")


def new_document(tenant: Tenant, lane: str) -> Task:
    return Task(
        id=lane_id(lane),
        tenant=tenant,
        workflow_id="",
        channel=lane,
        thread_ts="",
        operation="count",
        params={},
        inputs={},
        by="",
        created_at=0.0,
    )


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Tenant(enterprise="", team=sys.argv[2])))
