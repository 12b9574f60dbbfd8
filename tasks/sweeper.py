"""Finds work that was accepted and that nobody is doing: compares records with leases and with the queue.

A task whose worker died, whose job was lost, or whose pause is over is woken again as a further attempt, written before
it is queued. An approved proposal whose effect did not happen is settled. Running twice, or twice at once, is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from storage.errors import Conflict, StorageError, Unavailable
from storage.records import Change, Proposal, Task, Tenant
from tasks.desk import Desk
from tasks.queue import QueueUnreadable, WorkQueue, job_id

GRACE_SECONDS = 5.0  # between a record and its job, and between a job and its lease

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """Ids of what was set going again."""

    tasks: tuple[str, ...] = ()
    proposals: tuple[str, ...] = ()


async def sweep(desk: Desk, queue: WorkQueue, *, now: float) -> Swept:
    """One round over all tenants; `web` does it about every 10 s under a leader lease. Raises `Unavailable`.

    What is wrong with one record is logged and does not keep the others waiting.
    """
    try:
        queued = await queue.waiting()
    except QueueUnreadable as error:
        raise Unavailable("the queue cannot be read") from error
    tasks: list[str] = []
    proposals: list[str] = []
    for tenant in await desk.state.tenants():
        tasks += await _wake_lost_tasks(desk, tenant, queued, now)
        proposals += await _settle_approved(desk, tenant)
    return Swept(tuple(tasks), tuple(proposals))


def due(task: Task, *, now: float) -> bool:
    """Whether an open task should by now be in the queue or under way."""
    woken_at = max(task.created_at, float(task.result.get("woken_at", 0.0)))
    return now >= woken_at + GRACE_SECONDS and now >= float(task.result.get("retry_at", 0.0))


async def _wake_lost_tasks(desk: Desk, tenant: Tenant, queued: frozenset[str], now: float) -> list[str]:
    woken = []
    for task in await desk.state.find(tenant, Task, "task:open"):
        if job_id(task) in queued or not due(task, now=now):
            continue
        if await desk.state.held(tenant, f"task:{task.id}"):
            continue
        if await _wake_again(desk, task, now):
            woken.append(task.id)
    return woken


async def _wake_again(desk: Desk, task: Task, now: float) -> bool:
    again = replace(task, attempt=task.attempt + 1, result={**task.result, "woken_at": now})
    try:
        await desk.state.commit(task.tenant, Change(puts=(again,)))
    except Conflict:
        return False  # it moved while we looked: somebody has it
    _log.info("task_woken", task=task.id, attempt=again.attempt)
    await desk.wake(again)
    return True


async def _settle_approved(desk: Desk, tenant: Tenant) -> list[str]:
    settled = []
    for proposal in await desk.state.find(tenant, Proposal, "proposal:approved"):
        try:
            after = await desk.settle(proposal)
        except StorageError as error:
            _log.warning("proposal_not_settled", proposal=proposal.id, reason=str(error))
            continue
        except Exception:  # noqa: BLE001 - a bug in one effect must not hold up everybody else's
            _log.exception("proposal_not_settled", proposal=proposal.id)
            continue
        if after.status == "done":
            settled.append(proposal.id)
    return settled
