"""Toy operations and what runs them, for the tests of jobs, sweeper and worker."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from storage.ports import State
from storage.records import Change, Json, Task, Tenant, Workflow
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.drafting import new_task
from tasks.queue import Waker
from tasks.settings import Settings
from tasks.step import Step, StepContext, StepReport


class Silent:
    """A client that is only ever closed."""

    async def close(self) -> None:
        return None


def deps(state: State, queue: Waker, *, clock: Callable[[], float] = lambda: 100.0, **settings: Any) -> Deps:
    """Deps whose operations touch nothing but state."""
    silent = cast(Any, {field.name: Silent() for field in dataclasses.fields(Deps)})
    given = {"settings": Settings(**settings), "state": state, "queue": queue, "clock": clock, "trainers": {}}
    return Deps(**{**silent, **given})


def workflow(tenant: Tenant, **fields: Any) -> Workflow:
    made = flow.create(
        id="w1", tenant=tenant, channel="C1", thread_ts="1.0", owner="U1", name="Support", goal="help", at=1.0
    )
    return replace(made, dataset_id="d1", dataset_version=1, total_rows=10, valid_rows=10, **fields)


async def begin(state: State, tenant: Tenant, step: Step, params: Json | None = None, **fields: Any) -> Task:
    """A stored workflow with a queued task of the operation."""
    current = await state.get(tenant, Workflow, "w1") or workflow(tenant)
    task = replace(new_task(step, current, params or {}, by="U1", key="k", at=90.0), **fields)
    begun = current if step.step is None else flow.begin(current, step.step, by="U1", at=90.0)
    await state.commit(tenant, Change(puts=(task, begun)))
    return replace(task, version=1)


def an_operation(body: Callable[[StepContext, Json], Any], **fields: Any) -> Step:
    base = Step(name="toy", title="A toy", body=body, step="categorize")
    return replace(base, **fields)


async def grow(ctx: StepContext, params: Json) -> StepReport:
    """Three parts, each checkpointed."""
    for part in range(3):
        if str(part) not in ctx.done:
            await ctx.checkpoint(str(part), {"rows": 10})
    facts = {"rows": sum(value["rows"] for value in ctx.done.values())}
    return StepReport(facts=facts, change=_grown, summary="30 rows", view="toy_result")


def _grown(workflow: Workflow) -> Workflow:
    return replace(workflow, valid_rows=workflow.valid_rows + 30)
