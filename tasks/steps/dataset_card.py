"""Writes the dataset card alone, as README.md: what the dataset is, where it comes from, how it was made, what to beware of."""

from __future__ import annotations

import asyncio

from storage import paths
from storage.records import Json
from tasks.exporting.readme import readme
from tasks.step import Step, StepContext, StepReport
from tasks.steps.card_facts import card_facts
from tasks.steps.common import pinned_manifest
from tasks.steps.outgoing import file_stem


async def run(ctx: StepContext, params: Json) -> StepReport:
    """No params: it is about the version that the workflow stands on."""
    manifest = await pinned_manifest(ctx)
    text = readme(await card_facts(ctx, manifest))
    path = paths.export(ctx.workflow.tenant, ctx.task.id)
    size = await asyncio.to_thread(ctx.deps.blobs.put, path, (text.encode(),))
    name = f"{file_stem(ctx.workflow.name)}-v{manifest.version}-README.md"
    facts: Json = {
        "format": "card",
        "format_title": "Dataset card",
        "rows": manifest.totals.valid,
        "dataset_version": manifest.version,
        "path": path,
        "file_name": name,
        "size": size,
        "files": [{"path": path, "file_name": name, "size": size}],
    }
    return StepReport(facts=facts, view="export", summary="dataset card written")


DATASET_CARD = Step(
    name="dataset_card",
    title="Writing the dataset card",
    body=run,
    needs=("valid_rows",),
    finishes=False,
    timeout_seconds=1800,
)
