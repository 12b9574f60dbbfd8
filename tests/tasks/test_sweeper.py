"""What was accepted and is done by nobody is found; what is under way or waits its turn is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.errors import Unavailable
from storage.memory import MemoryState
from storage.records import Change, Proposal, Task, Tenant, Workflow
from tasks.desk import Desk
from tasks.queue import QueueUnreadable
from tasks.settings import Settings
from tasks.sweeper import Swept, due, sweep
from tests.fakes import FakeQueue
from tests.tasks.toys import an_operation, begin, grow, workflow

pytestmark = pytest.mark.anyio
TOY = an_operation(grow)


class World:
    def __init__(self) -> None:
        self.state, self.queue = MemoryState(), FakeQueue()
        self.desk = Desk(
            state=self.state,
            queue=self.queue,
            settings=Settings(),
            operations={TOY.name: TOY},
            clock=lambda: 100.0,
        )

    async def sweep(self, now: float = 200.0) -> Swept:
        return await sweep(self.desk, self.queue, now=now)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("created_at", "result", "now", "expected"),
    [
        (100.0, {}, 104.9, False),
        (100.0, {}, 105.0, True),
        (100.0, {"woken_at": 150.0}, 154.0, False),
        (100.0, {"woken_at": 150.0}, 155.0, True),
        (100.0, {"retry_at": 160.0}, 159.0, False),
        (100.0, {"retry_at": 160.0}, 160.0, True),
        (100.0, {"retry_at": 160.0, "woken_at": 160.0}, 161.0, False),
    ],
)
def test_when_a_task_is_due(
    tenant: Tenant, created_at: float, result: dict[str, Any], now: float, expected: bool
) -> None:
    task = Task("t", tenant, "w", "C", "1", "toy", {}, {}, "U", created_at, result=result)
    assert due(task, now=now) is expected


async def test_a_task_without_job_and_lease_is_woken_once_as_a_further_attempt(
    world: World, tenant: Tenant
) -> None:
    task = await begin(world.state, tenant, TOY)
    assert (await world.sweep()).tasks == (task.id,)
    job = world.queue.take()
    stored = await world.state.get(tenant, Task, task.id)
    assert stored is not None and stored.attempt == job.attempt == 1
    assert (await world.sweep(201.0)).tasks == (), "it has only just been woken"
    assert (await world.sweep(206.0)).tasks == (task.id,)


@pytest.mark.parametrize("status", ["queued", "running"])
async def test_a_task_that_somebody_works_on_is_left_alone(world: World, tenant: Tenant, status: Any) -> None:
    task = await begin(world.state, tenant, TOY, status=status)
    lease = await world.state.claim(tenant, f"task:{task.id}", seconds=60)
    assert lease is not None
    assert await world.sweep() == Swept()
    await world.state.release(lease)
    assert (await world.sweep()).tasks == (task.id,)


async def test_a_task_that_waits_in_the_queue_is_left_alone_however_long(
    world: World, tenant: Tenant
) -> None:
    task = await begin(world.state, tenant, TOY)
    await world.desk.wake(task)
    assert await world.sweep(99_999.0) == Swept()


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled"])
async def test_a_task_that_is_over_is_left_alone(world: World, tenant: Tenant, status: Any) -> None:
    await begin(world.state, tenant, TOY, status=status)
    assert await world.sweep() == Swept()


async def test_an_approved_proposal_whose_effect_was_lost_is_settled_once(
    world: World, tenant: Tenant
) -> None:
    current = workflow(tenant)
    payload = {"step": "topics_config", "reason": "not needed"}
    proposal = Proposal("p1", tenant, "w1", "C1", "1.0", "skip", "Skip", payload, {}, "U1", 1.0)
    await world.state.commit(tenant, Change(puts=(current, decided(proposal))))
    assert (await world.sweep()).proposals == ("p1",)
    assert await world.sweep() == Swept()
    after = await world.state.get(tenant, Workflow, "w1")
    assert after is not None and after.steps["topics_config"].status == "skipped"


async def test_one_proposal_that_cannot_be_settled_does_not_hold_up_the_others(
    world: World, tenant: Tenant
) -> None:
    broken = Proposal("p1", tenant, "w1", "C1", "1.0", "skip", "Skip", {"step": "nonsense"}, {}, "U1", 1.0)
    sound = replace(broken, id="p2", payload={"step": "categorize", "reason": "no"})
    await world.state.commit(tenant, Change(puts=(workflow(tenant), decided(broken), decided(sound))))
    assert (await world.sweep()).proposals == ("p2",)


async def test_tenants_are_swept_apart(world: World, tenant: Tenant) -> None:
    other = Tenant(enterprise="E1", team=tenant.team)
    for who in (tenant, other):
        await begin(world.state, who, TOY)
    await world.sweep()
    assert {job.tenant for job in world.queue.jobs} == {tenant, other}


async def test_a_queue_that_cannot_be_read_wakes_nothing(world: World, tenant: Tenant) -> None:
    class Unreadable(FakeQueue):
        async def waiting(self) -> frozenset[str]:
            raise QueueUnreadable("down")

    await begin(world.state, tenant, TOY)
    with pytest.raises(Unavailable):
        await sweep(world.desk, Unreadable(), now=200.0)
    assert world.queue.jobs == []


def decided(proposal: Proposal) -> Proposal:
    from storage.records import Decision

    return replace(proposal, status="approved", decisions=(Decision("U1", True, 2.0, "button"),))
