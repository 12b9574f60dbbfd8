"""Erases what a deleted workflow alone owned: upload, documents, dataset versions, reports, exports.

The workflow is marked deleted by the approval itself, so that whatever else runs for it stops.

Names, decisions and who took them stay as records, for the audit. A dataset that another workflow works on stays. What a
training backend or a deployment already has is theirs to delete: the card says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from storage import paths
from storage.records import Json, Task, WaitingFile, Workflow
from tasks.rules.splits import SIDES
from tasks.step import Step, StepContext, StepReport
from tasks.steps.shared_documents import documents_of

REPORTS = ("ingest", "dry_run", "evaluation")


async def run(ctx: StepContext, params: Json) -> StepReport:
    """No params. Repeating it after a crash deletes what is left."""
    tenant, workflow = ctx.workflow.tenant, ctx.workflow
    tasks = await ctx.deps.state.find(tenant, Task, f"task:workflow:{workflow.id}")
    others = await ctx.deps.state.find(tenant, Workflow, "workflow")
    shared = any(other.dataset_id == workflow.dataset_id for other in others if other.id != workflow.id)
    documents = await documents_of(ctx.deps.state, workflow)
    waiting = await ctx.deps.state.find(tenant, WaitingFile, f"waiting:workflow:{workflow.id}")
    for path in (
        *_owned(tasks),
        *(file.path for file in waiting),
        *(paths.passages(tenant, document.id) for document in documents),
    ):
        await asyncio.to_thread(ctx.deps.blobs.delete, path)
    if workflow.dataset_id and not shared:
        await asyncio.to_thread(ctx.deps.datasets.delete, tenant, workflow.dataset_id)
    at = ctx.deps.clock()

    def change(current: Workflow) -> Workflow:
        return replace(current, updated_at=at, snapshots=(), topics=(), coverage={})

    return StepReport(facts={"dataset_kept": shared}, change=change, say=False)


def _owned(tasks: tuple[Task, ...]) -> Iterator[str]:
    for task in tasks:
        if task.operation in ("ingest", "merge") and task.params.get("upload_path"):
            yield str(task.params["upload_path"])
        if task.operation == "read_documents":
            yield from (str(file["upload_path"]) for file in task.params.get("files") or ())
        if task.operation in ("export", "dataset_card"):
            yield paths.export(task.tenant, task.id)
        if task.operation == "prepare_dataset":
            yield from (paths.export(task.tenant, f"{task.id}-{part}") for part in (*SIDES, "card"))
        yield from (paths.report(task.tenant, kind, task.id) for kind in REPORTS)
        if task.operation == "categorize":
            yield paths.learned(task.tenant, task.id)


ERASE = Step(name="erase", title="Deleting the workflow", body=run, timeout_seconds=3600, after_deletion=True)
