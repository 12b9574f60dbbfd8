"""One operation's work, shared among the workers that are free.

The task's own worker names the shares and wakes helpers. Everybody who takes part, itself included, claims one share after
the other under a lease of the share's own, does it, and saves what came of it under the share's name. Whoever dies loses
the share in hand and nothing else: its lease runs out and somebody claims it. Only the task's own worker shows progress
and reports; a helper writes nothing but shares. What a share is, is the operation's business (`tasks.step.Fan`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog

from storage.codec import from_json
from storage.errors import LostLease, StorageError
from storage.ports import State
from storage.records import Json, Lease, Task, Tenant, Workflow
from tasks.deps import Deps
from tasks.heartbeat import LEASE_SECONDS, Heartbeat
from tasks.running import RunContext, ShareContext
from tasks.step import Cancelled, Fan, Step

SHARES = "~shares"  # the checkpoint that tells helpers which shares there are
_LOOK_SECONDS = 0.25  # between looks at what others have done
_CALL_SECONDS = 5.0  # between calls for helpers, while shares are free
_OVERDUE_SECONDS = 60.0

_log = structlog.get_logger(__name__)


async def spread(
    ctx: RunContext, shares: Mapping[str, int], label: str, *, step: Step, open_state: Callable[[], State]
) -> bool:
    """`StepContext.spread` for the task's own worker."""
    if step.fan is None:
        raise RuntimeError(f"{step.name} has no fan")
    if ctx.cancelled():
        return True
    if any(name not in ctx.done for name in shares):
        prepared = await step.fan.prepare(ctx, ctx.task.params)
        crew = _Crew(ctx.deps, step, step.fan, ctx.task, ctx.workflow, open_state, prepared)
        await ctx.checkpoint(SHARES, {"names": list(shares)})
        await _lead(crew, ctx, shares, label)
    ctx.take_over(await ctx.deps.state.load(ctx.task.tenant, ctx.task.id))
    ctx.reached = (sum(rows for name, rows in shares.items() if name in ctx.done), sum(shares.values()))
    return any(name not in ctx.done for name in shares)


async def lend_a_hand(
    deps: Deps, operations: Mapping[str, Step], open_state: Callable[[], State], tenant: Tenant, task_id: str
) -> None:
    """Do shares of somebody else's running task until none is free, or until other tasks wait for a worker.

    What goes wrong with a share is left to the task's own worker, which meets the same and reports it.
    """
    task = await deps.state.get(tenant, Task, task_id)
    step = operations.get(task.operation) if task else None
    if task is None or step is None or step.fan is None:
        return
    crew = _Crew(
        deps, step, step.fan, task, from_json(Workflow, task.inputs["workflow"]), open_state, helping=True
    )
    while await crew.is_wanted():
        named = (await deps.state.load(tenant, task_id)).get(SHARES) or {}
        done = await deps.state.saved(tenant, task_id)
        claimed = await crew.claim([name for name in named.get("names") or () if name not in done])
        if claimed is None:
            return
        try:
            await crew.do(*claimed)
        except Exception as error:  # noqa: BLE001 - see above; a bug shows in the task's own worker
            _log.info("share_left", task=task_id, share=claimed[0], error=type(error).__name__)
            return
        if await deps.queue.others_wait(task):
            return


async def _lead(crew: _Crew, ctx: RunContext, shares: Mapping[str, int], label: str) -> None:
    """Work and watch until every share is done, or until somebody stopped the task and nobody works on it any more."""
    over = asyncio.Event()
    watch = asyncio.create_task(_watch(crew, ctx, shares, label, over))
    try:
        while await _goes_on(crew, ctx, shares, stopped=watch.done()):
            done = await crew.state.saved(ctx.task.tenant, ctx.task.id)
            claimed = await crew.claim([name for name in shares if name not in done])
            if claimed is not None:
                await crew.do(*claimed)
            else:
                await asyncio.sleep(_LOOK_SECONDS)
    finally:
        over.set()
        await asyncio.wait([watch])
    await watch


async def _goes_on(crew: _Crew, ctx: RunContext, shares: Mapping[str, int], *, stopped: bool) -> bool:
    """Whether there is anything to do or to wait for. Claims nothing more once somebody has stopped the task."""
    while True:
        done = await crew.state.saved(ctx.task.tenant, ctx.task.id)
        if all(name in done for name in shares):
            return False
        if not (stopped or ctx.cancelled()):
            return True
        if not await crew.somebody_works(shares):
            return False
        await asyncio.sleep(_LOOK_SECONDS)


async def _watch(
    crew: _Crew, ctx: RunContext, shares: Mapping[str, int], label: str, over: asyncio.Event
) -> None:
    """Show how far everybody has come, and call for helpers while there are shares for them."""
    total, called = sum(shares.values()), 0.0
    while not over.is_set():
        done = await crew.state.saved(ctx.task.tenant, ctx.task.id)
        rows = sum(count for name, count in shares.items() if name in done)
        rows += int(shares.get(crew.at, 0) * crew.part_done) if crew.at not in done else 0
        await ctx.progress(rows, total, f"{rows:,} of {total:,} {label}")
        left = len(shares) - sum(name in done for name in shares)
        if left > 1 and time.monotonic() - called >= _CALL_SECONDS:
            called = time.monotonic()
            await crew.deps.queue.help(ctx.task, left - 1)
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _LOOK_SECONDS)


@dataclass(slots=True)
class _Crew:
    """One process's part in a task. `at` is the share in hand."""

    deps: Deps
    step: Step
    fan: Fan
    task: Task
    workflow: Workflow
    open_state: Callable[[], State]
    prepared: Any = None
    helping: bool = False
    at: str = ""
    ctx: ShareContext | None = None

    @property
    def state(self) -> State:
        return self.deps.state

    @property
    def part_done(self) -> float:
        return self.ctx.part_done if self.ctx else 0.0

    async def is_wanted(self) -> bool:
        """Whether the task still runs and nobody has stopped it."""
        task = await self.state.get(self.task.tenant, Task, self.task.id)
        return task is not None and task.status == "running" and not task.cancel_requested

    async def claim(self, left: Sequence[str]) -> tuple[str, Lease] | None:
        """The first of these shares that nobody has; helpers begin to look from different places."""
        start = os.getpid() % len(left) if self.helping and left else 0
        for name in (*left[start:], *left[:start]):
            lease = await self.state.claim(
                self.task.tenant, _lease_name(self.task, name), seconds=LEASE_SECONDS
            )
            if lease is not None:
                return name, lease
        return None

    async def somebody_works(self, shares: Mapping[str, int]) -> bool:
        done = await self.state.saved(self.task.tenant, self.task.id)
        for name in shares:
            if name not in done and await self.state.held(self.task.tenant, _lease_name(self.task, name)):
                return True
        return False

    async def do(self, name: str, lease: Lease) -> None:
        """Do a claimed share, unless it was done before it was claimed, and give its lease back.

        Lost to somebody else means nothing here: they do it. Raises what the work raises, but not `Cancelled`.
        """
        try:
            saved = await self.state.load(self.task.tenant, self.task.id)
            if name not in saved:
                await self._under_heartbeat(name, lease, saved)
        except (Cancelled, LostLease):
            return
        finally:
            with suppress(StorageError):  # it expires by itself
                await self.state.release(lease)

    async def _under_heartbeat(self, name: str, lease: Lease, saved: Mapping[str, Json]) -> None:
        loop = asyncio.get_running_loop()

        def leave() -> None:
            loop.call_soon_threadsafe(work.cancel)

        heartbeat = Heartbeat(
            lease,
            self.task.id,
            open_state=self.open_state,
            on_lost=leave,
            until=time.monotonic() + self.step.timeout_seconds + _OVERDUE_SECONDS,
            on_overdue=lambda: os._exit(os.EX_TEMPFAIL),
        )
        self.at = name
        self.ctx = ShareContext(
            task=replace(self.task, done=0, total=0),
            workflow=self.workflow,
            deps=self.deps,
            lease=lease,
            title=self.step.title,
            heartbeat=heartbeat,
            saved=saved,
            share=name,
        )
        work = asyncio.create_task(self._work(self.ctx, name))
        try:
            with heartbeat:
                await work
        except asyncio.CancelledError:
            if not heartbeat.lost:
                raise
            raise LostLease(lease.name) from None
        finally:
            self.at, self.ctx = "", None

    async def _work(self, ctx: ShareContext, name: str) -> None:
        if self.prepared is None:
            self.prepared = await self.fan.prepare(ctx, self.task.params)
        await ctx.finish(name, await self.fan.work(ctx, self.prepared, name))


def _lease_name(task: Task, share: str) -> str:
    return f"task:{task.id}:{share}"
