"""What every adapter of state keeps, tried on memory and on the embedded server alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import Conflict, LostLease
from storage.memory import MemoryState
from storage.ports import State
from storage.records import (
    STEP_NAMES,
    Change,
    Consent,
    Grader,
    InboxItem,
    OutboxEvent,
    Proposal,
    Snapshot,
    StepState,
    Task,
    Tenant,
    Topic,
    TrainingSummary,
    Transition,
    Workflow,
)
from storage.redis_state import connect

pytestmark = pytest.mark.anyio
LANE = "C1:1.0"


@pytest.fixture(params=["memory", "redis"])
async def state(request: pytest.FixtureRequest) -> AsyncIterator[State]:
    opened: State = (
        MemoryState() if request.param == "memory" else connect(request.getfixturevalue("redis_url"))
    )
    yield opened
    await opened.close()


def a_workflow(tenant: Tenant, id: str = "w1", **fields: Any) -> Workflow:
    base = Workflow(
        id=id,
        tenant=tenant,
        channel="C1",
        thread_ts="1.0",
        owner="U1",
        name="Support",
        created_at=1.0,
        updated_at=1.0,
    )
    return replace(base, **fields)


def a_task(tenant: Tenant, id: str = "t1", **fields: Any) -> Task:
    base = Task(
        id=id,
        tenant=tenant,
        workflow_id="w1",
        channel="C1",
        thread_ts="1.0",
        operation="categorize",
        params={"threshold": 0.7},
        inputs={},
        by="U1",
        created_at=2.0,
    )
    return replace(base, **fields)


def an_item(id: str, text: str = "hello") -> InboxItem:
    return InboxItem(id=id, kind="message", user="U1", text=text, at=3.0, data={"ts": id})


def an_event(key: str, **fields: Any) -> OutboxEvent:
    return replace(OutboxEvent(kind="note", channel="C1", thread_ts="1.0", data={"n": 1}, key=key), **fields)


# ---------------------------------------------------------------- documents


async def test_a_document_comes_back_as_it_was_written_one_version_on(state: State, tenant: Tenant) -> None:
    workflow = a_workflow(
        tenant,
        steps={
            name: StepState(status="completed", summary="7 topics • 1,008 records") for name in STEP_NAMES
        },
        topics=(
            Topic(id="billing", name="Billing", children=(Topic(id="billing/refunds", name="Rückgabe ☂"),)),
        ),
        targets={"billing/refunds": 100.0},
        history=(Transition(at=1.0, by="U1", what="started"),),
        snapshots=(Snapshot(id="s1", at=1.0, by="U1", before="training", state={"deep": [{"a": None}]}),),
        training=TrainingSummary(
            job_id="j",
            trainer="openai",
            status="running",
            base_model="m",
            configuration={"epochs": 3},
            digest="d",
            dataset_version=1,
            grader_version=2,
            requested_by="U1",
            started_at=5.0,
        ),
        applied=("t1",),
    )
    await state.commit(tenant, Change(puts=(workflow,)))
    assert await state.get(tenant, Workflow, "w1") == replace(workflow, version=1)


async def test_an_unknown_document_is_none(state: State, tenant: Tenant) -> None:
    assert await state.get(tenant, Workflow, "nothing") is None


@pytest.mark.parametrize("version", [0, 2, 7])
async def test_a_document_that_moved_on_conflicts_and_nothing_of_the_change_is_written(
    state: State, tenant: Tenant, version: int
) -> None:
    await state.commit(tenant, Change(puts=(a_workflow(tenant),)))
    change = Change(
        puts=(a_task(tenant), a_workflow(tenant, version=version, name="other")),
        events=(an_event("k"),),
        items=((LANE, an_item("i")),),
        transcript=(LANE, ({"role": "user"},)),
    )
    with pytest.raises(Conflict):
        await state.commit(tenant, change)
    assert await state.get(tenant, Task, "t1") is None
    assert await state.read(tenant, limit=9) == ()
    assert await state.waiting(tenant, LANE) == ()
    assert await state.transcript(tenant, LANE, last=9) == ()
    await state.commit(tenant, Change(items=((LANE, an_item("i")),), events=(an_event("k"),)))
    assert len(await state.waiting(tenant, LANE)) == len(await state.read(tenant, limit=9)) == 1


async def test_putting_one_document_twice_in_a_change_is_a_bug(state: State, tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="twice"):
        await state.commit(tenant, Change(puts=(a_task(tenant), a_task(tenant, label="again"))))


async def test_of_many_writers_at_once_each_update_is_kept(state: State, tenant: Tenant) -> None:
    await state.commit(tenant, Change(puts=(a_workflow(tenant),)))

    async def spend() -> None:
        while True:
            now = await state.get(tenant, Workflow, "w1")
            assert now is not None
            try:
                return await state.commit(tenant, Change(puts=(replace(now, spent_usd=now.spent_usd + 1),)))
            except Conflict:
                await asyncio.sleep(0)

    await asyncio.gather(*(spend() for _ in range(25)))
    after = await state.get(tenant, Workflow, "w1")
    assert after is not None and (after.spent_usd, after.version) == (25.0, 26)


# ---------------------------------------------------------------- indexes


async def test_an_index_lists_its_documents_oldest_id_first_and_follows_their_changes(
    state: State, tenant: Tenant
) -> None:
    await state.commit(tenant, Change(puts=tuple(a_task(tenant, id) for id in ("t3", "t1", "t2"))))
    assert [task.id for task in await state.find(tenant, Task, "task:open")] == ["t1", "t2", "t3"]
    second = await state.get(tenant, Task, "t2")
    assert second is not None
    await state.commit(tenant, Change(puts=(replace(second, status="finished"),)))
    assert [task.id for task in await state.find(tenant, Task, "task:open")] == ["t1", "t3"]
    assert [task.id for task in await state.find(tenant, Task, "task:workflow:w1")] == ["t1", "t2", "t3"]


async def test_an_index_never_gives_another_kind_or_another_tenant(state: State, tenant: Tenant) -> None:
    other = Tenant(enterprise="E1", team=tenant.team)
    await state.commit(tenant, Change(puts=(a_workflow(tenant), a_task(tenant))))
    assert await state.find(tenant, Proposal, "task:open") == ()
    assert await state.find(tenant, Grader, "workflow") == ()
    assert await state.find(other, Task, "task:open") == ()
    assert await state.get(other, Workflow, "w1") is None


async def test_a_deleted_workflow_leaves_every_index(state: State, tenant: Tenant) -> None:
    await state.commit(tenant, Change(puts=(a_workflow(tenant),)))
    await state.commit(tenant, Change(puts=(a_workflow(tenant, version=1, status="deleted"),)))
    for index in ("workflow", "workflow:channel:C1", "workflow:owner:U1", "workflow:thread:C1:1.0"):
        assert await state.find(tenant, Workflow, index) == ()


async def test_a_consent_is_kept_under_its_provider(state: State, tenant: Tenant) -> None:
    await state.commit(tenant, Change(puts=(Consent(id="api-openai-com", tenant=tenant, by="U1", at=1.0),)))
    assert await state.get(tenant, Consent, "api-openai-com") is not None


# ---------------------------------------------------------------- leases


async def test_a_lease_is_held_by_one_and_its_fence_grows(state: State, tenant: Tenant) -> None:
    first = await state.claim(tenant, "task:t1", seconds=60)
    assert first is not None
    assert await state.claim(tenant, "task:t1", seconds=60) is None
    assert await state.held(tenant, "task:t1") and not await state.held(tenant, "task:t2")
    await state.release(first)
    await state.release(first)
    assert not await state.held(tenant, "task:t1")
    second = await state.claim(tenant, "task:t1", seconds=60)
    assert second is not None and second.fence > first.fence


async def test_a_stalled_holder_writes_nothing_once_another_has_begun(state: State, tenant: Tenant) -> None:
    stalled = await state.claim(tenant, "task:t1", seconds=0.01)
    assert stalled is not None
    await asyncio.sleep(0.03)
    fresh = await state.claim(tenant, "task:t1", seconds=60)
    assert fresh is not None
    assert not await state.renew(stalled, seconds=60)
    with pytest.raises(LostLease):
        await state.commit(tenant, Change(puts=(a_task(tenant),), lease=stalled))
    with pytest.raises(LostLease):
        await state.save(stalled, "t1", "part-1", {"rows": 1})
    with pytest.raises(LostLease):
        await state.write(stalled, LANE, {"reply": 1})
    await state.release(stalled)
    assert await state.held(tenant, "task:t1")
    assert await state.get(tenant, Task, "t1") is None
    assert await state.load(tenant, "t1") == {} and await state.entries(tenant, LANE) == ()
    await state.commit(tenant, Change(puts=(a_task(tenant),), lease=fresh))


async def test_an_expired_lease_that_nobody_took_may_be_extended(state: State, tenant: Tenant) -> None:
    lease = await state.claim(tenant, "task:t1", seconds=0.01)
    assert lease is not None
    await asyncio.sleep(0.03)
    assert not await state.held(tenant, "task:t1")
    assert await state.renew(lease, seconds=60)
    assert await state.claim(tenant, "task:t1", seconds=60) is None


async def test_of_many_claims_at_once_one_succeeds(state: State, tenant: Tenant) -> None:
    claims = await asyncio.gather(*(state.claim(tenant, "task:t1", seconds=60) for _ in range(20)))
    assert sum(claim is not None for claim in claims) == 1


# ---------------------------------------------------------------- inbox


async def test_what_is_accepted_waits_in_order_and_a_repeat_is_dropped(state: State, tenant: Tenant) -> None:
    accepted = [await state.accept(tenant, LANE, an_item(id)) for id in ("a", "b", "a", "c", "b")]
    assert accepted == [True, True, False, True, False]
    assert [item.id for item in await state.waiting(tenant, LANE)] == ["a", "b", "c"]
    assert (await state.waiting(tenant, LANE))[0] == an_item("a")


async def test_a_lane_is_ready_until_its_last_item_is_consumed(state: State, tenant: Tenant) -> None:
    for id in ("a", "b"):
        await state.accept(tenant, LANE, an_item(id))
    await state.commit(tenant, Change(consumed=(LANE, ("a", "never seen"))))
    assert await state.ready(9) == ((tenant, LANE),)
    await state.commit(tenant, Change(consumed=(LANE, ("b",))))
    assert await state.ready(9) == () and await state.waiting(tenant, LANE) == ()
    assert not await state.accept(tenant, LANE, an_item("a")), "a repeat of something already dealt with"


async def test_ready_lanes_of_all_tenants_come_longest_waiting_first(state: State, tenant: Tenant) -> None:
    other = Tenant(enterprise="E1", team=tenant.team)
    for who, lane, id in (
        (other, "C9:1", "a"),
        (tenant, "C1:1", "b"),
        (other, "C2:1", "c"),
        (other, "C9:1", "d"),
    ):
        await state.accept(who, lane, an_item(id))
        await asyncio.sleep(0.002)
    assert await state.ready(9) == ((other, "C9:1"), (tenant, "C1:1"), (other, "C2:1"))
    assert await state.ready(1) == ((other, "C9:1"),)
    await state.commit(other, Change(consumed=("C9:1", ("a",))))
    assert (await state.ready(9))[-1] == (other, "C9:1"), "its remaining item is the youngest"


async def test_consuming_under_a_lost_lease_leaves_the_items(state: State, tenant: Tenant) -> None:
    await state.accept(tenant, LANE, an_item("a"))
    old = await state.claim(tenant, LANE, seconds=0.01)
    await asyncio.sleep(0.03)
    assert await state.claim(tenant, LANE, seconds=60)
    with pytest.raises(LostLease):
        await state.commit(tenant, Change(lease=old, consumed=(LANE, ("a",))))
    assert len(await state.waiting(tenant, LANE)) == 1


async def test_a_change_can_leave_an_item_in_a_lane_once(state: State, tenant: Tenant) -> None:
    for _ in range(2):
        await state.commit(tenant, Change(items=((LANE, an_item("finished:t1")),)))
    assert [item.id for item in await state.waiting(tenant, LANE)] == ["finished:t1"]
    assert await state.ready(9) == ((tenant, LANE),)


# ---------------------------------------------------------------- journal, transcript, checkpoints


async def test_a_journal_is_kept_until_the_turn_is_committed(state: State, tenant: Tenant) -> None:
    lease = await state.claim(tenant, LANE, seconds=60)
    assert lease is not None
    for entry in ({"reply": 1}, {"reply": 1}, {"result": {"ok": True}}):
        await state.write(lease, LANE, entry)
    assert await state.entries(tenant, LANE) == ({"reply": 1}, {"reply": 1}, {"result": {"ok": True}})
    said = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"})
    await state.commit(tenant, Change(lease=lease, consumed=(LANE, ()), transcript=(LANE, said)))
    assert await state.entries(tenant, LANE) == ()
    assert await state.transcript(tenant, LANE, last=9) == said
    assert await state.transcript(tenant, LANE, last=1) == said[1:]
    assert await state.transcript(tenant, LANE, last=0) == ()


async def test_a_transcript_is_bounded(state: State, tenant: Tenant) -> None:
    for start in (0, 300):
        messages = tuple({"n": number} for number in range(start, start + 300))
        await state.commit(tenant, Change(transcript=(LANE, messages)))
    kept = await state.transcript(tenant, LANE, last=1000)
    assert (len(kept), kept[0], kept[-1]) == (400, {"n": 200}, {"n": 599})


async def test_checkpoints_are_found_again_and_cleared(state: State, tenant: Tenant) -> None:
    lease = await state.claim(tenant, "task:t1", seconds=60)
    assert lease is not None
    await state.save(lease, "t1", "part-1", {"rows": 10})
    await state.save(lease, "t1", "part-2", {"rows": 20})
    await state.save(lease, "t1", "part-2", {"rows": 21})
    assert await state.load(tenant, "t1") == {"part-1": {"rows": 10}, "part-2": {"rows": 21}}
    assert await state.saved(tenant, "t1") == frozenset(await state.load(tenant, "t1"))
    await state.save(lease, "t1", "piece", {})
    await state.forget(lease, "t1", ["piece", "never there"])
    assert await state.saved(tenant, "t1") == {"part-1", "part-2"}
    await state.clear(tenant, "t1")
    await state.clear(tenant, "t1")
    assert await state.load(tenant, "t1") == {}


# ---------------------------------------------------------------- outbox


async def test_events_wait_in_order_until_delivered_and_a_used_key_is_dropped(
    state: State, tenant: Tenant
) -> None:
    await state.commit(tenant, Change(events=(an_event("k1", card="task:t1", to="U1"), an_event("k2"))))
    await state.commit(tenant, Change(events=(an_event("k2"), an_event("k3"))))
    events = await state.read(tenant, limit=9)
    assert [event.key for event in events] == ["k1", "k2", "k3"]
    assert replace(events[0], position="") == an_event("k1", card="task:t1", to="U1")
    assert [event.key for event in await state.read(tenant, limit=2)] == ["k1", "k2"]
    await state.delivered(tenant, (events[0].position, events[2].position))
    await state.delivered(tenant, (events[0].position,))
    await state.delivered(tenant, ())
    assert [event.key for event in await state.read(tenant, limit=9)] == ["k2"]
    await state.commit(tenant, Change(events=(an_event("k1"),)))
    assert [event.key for event in await state.read(tenant, limit=9)] == ["k2"], "delivered once is for good"


async def test_everyone_who_wrote_is_among_the_tenants(state: State, tenant: Tenant) -> None:
    other = Tenant(enterprise="E1", team="T2")
    assert await state.tenants() == ()
    await state.commit(tenant, Change(puts=(a_workflow(tenant),)))
    await state.accept(other, LANE, an_item("a"))
    assert set(await state.tenants()) == {tenant, other}


async def test_what_was_posted_is_recalled(state: State, tenant: Tenant) -> None:
    assert await state.recall(tenant, "task:t1") is None
    await state.remember(tenant, "task:t1", {"ts": "1.1"})
    await state.remember(tenant, "task:t1", {"ts": "1.2"})
    assert await state.recall(tenant, "task:t1") == {"ts": "1.2"}


async def test_what_cannot_be_stored_writes_nothing(state: State, tenant: Tenant) -> None:
    with pytest.raises(TypeError):
        await state.commit(tenant, Change(puts=(a_workflow(tenant), a_task(tenant, params={"f": object()}))))
    assert await state.get(tenant, Workflow, "w1") is None


async def test_a_living_store_answers_ping(state: State) -> None:
    await state.ping()
