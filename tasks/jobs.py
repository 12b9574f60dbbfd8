"""What a worker runs: one task, under its lease, or shares of another worker's. Jobs may name only `run_task` and `help_task`.

Whoever holds the lease runs the task; everything written carries the lease's fence. How one attempt goes is in
`attempt.py`; what each outcome writes is in `outcomes.py`; what an operation does is in `steps/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from storage import keys
from storage.errors import LostLease, StorageError
from storage.ports import State
from storage.records import Task, Tenant
from tasks import fanout
from tasks.attempt import Attempt
from tasks.deps import Deps
from tasks.heartbeat import LEASE_SECONDS
from tasks.models.limiter import asking_team
from tasks.step import Step

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a worker process is equipped with before it forks.

    build       makes the clients, once in every child
    open_state  a further connection, for the heartbeat's thread
    """

    build: Callable[[], Deps]
    open_state: Callable[[], State]
    operations: Mapping[str, Step]


_workplace: Workplace | None = None


def equip(workplace: Workplace) -> None:
    """Called by the worker before it forks; children inherit it."""
    global _workplace
    _workplace = workplace


def run_task(tenant_text: str, task_id: str, attempt: int) -> None:
    """Run the task unless it is over or somebody else holds it. Raises only when the process is not equipped.

    What went wrong is in the task's record, not in an exception: RQ would keep its traceback, with data in it, in Redis.
    `attempt` tells jobs apart in the log; which attempt it is says the record.
    """
    if _workplace is None:
        raise RuntimeError("equip() this process first; tasks/worker.py does")
    log = _log.bind(task=task_id, attempt=attempt)
    try:
        asyncio.run(_run_alone(_workplace, keys.tenant_from_text(tenant_text), task_id))
    except LostLease:
        log.warning("task_overtaken")
    except StorageError as error:  # not even the failure could be written; the sweeper starts it again
        log.warning("task_left", reason=str(error))
    except Exception:
        log.exception("task_crashed")


def help_task(tenant_text: str, task_id: str, number: int) -> None:
    """Do shares of a task that another worker runs (`fanout.py`). `number` only tells the helpers' jobs apart."""
    if _workplace is None:
        raise RuntimeError("equip() this process first; tasks/worker.py does")
    log = _log.bind(task=task_id, helper=number)
    try:
        asyncio.run(_help(_workplace, keys.tenant_from_text(tenant_text), task_id))
    except StorageError as error:
        log.warning("help_ended", reason=str(error))
    except Exception:
        log.exception("help_crashed")


async def _help(workplace: Workplace, tenant: Tenant, task_id: str) -> None:
    asking_team.set(keys.tenant_text(tenant))
    deps = workplace.build()
    try:
        await fanout.lend_a_hand(deps, workplace.operations, workplace.open_state, tenant, task_id)
    finally:
        await deps.close()


async def _run_alone(workplace: Workplace, tenant: Tenant, task_id: str) -> None:
    deps = workplace.build()
    try:
        await perform(deps, workplace.operations, workplace.open_state, tenant, task_id)
    finally:
        await deps.close()


async def perform(
    deps: Deps, operations: Mapping[str, Step], open_state: Callable[[], State], tenant: Tenant, task_id: str
) -> None:
    """Run one task under its lease. Raises `LostLease` when overtaken, `Unavailable` when state is out of reach."""
    asking_team.set(keys.tenant_text(tenant))
    lease = await deps.state.claim(tenant, f"task:{task_id}", seconds=LEASE_SECONDS)
    if lease is None:
        return
    try:
        task = await deps.state.get(tenant, Task, task_id)
        if task is not None and task.status in ("queued", "running"):
            await Attempt(deps, operations, open_state, lease, task).run()
    finally:
        with suppress(StorageError):  # it expires by itself
            await deps.state.release(lease)
