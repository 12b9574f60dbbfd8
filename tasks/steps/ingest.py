"""Reads an uploaded file into version 1 of the workflow's dataset and says what is in it, unasked.

The file already lies in storage; it is streamed from there. Topics are proposed next. Where rows may not go to a model yet, the
consent card comes with the overview.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from storage.errors import NotFound
from storage.records import Json, Workflow
from tasks import consent
from tasks.ingest import IngestCancelled, IngestReport, UnreadableFile, ingest
from tasks.step import Cancelled, Draft, Next, Step, StepContext, StepError, StepReport
from tasks.steps.common import (
    VERSION,
    dataset_record,
    has_model,
    limits_of,
    may_send_rows,
    newest_workflow,
    save_report,
    standing_on,
)
from tasks.steps.find_near_duplicates import later
from tasks.steps.overview import overview

REPORT = "ingest"  # under the task's id: the overview, for a restart between reading and committing


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `upload_path` in the store, `file_name` as the person named it."""
    facts = ctx.done.get(REPORT) or await _read(ctx, str(params["upload_path"]), str(params["file_name"]))
    manifest = await asyncio.to_thread(
        ctx.deps.datasets.manifest,
        ctx.workflow.tenant,
        ctx.workflow.dataset_id,
        int(facts["dataset_version"]),
    )
    drafts = await _consent(ctx)

    def change(workflow: Workflow) -> Workflow:
        return standing_on(workflow, manifest)

    usable = manifest.totals.valid > 0
    return StepReport(
        facts={**facts, "goal": (await newest_workflow(ctx)).goal},
        change=change,
        view="overview",
        records=await dataset_record(ctx, manifest),
        drafts=drafts,
        then=(Next("propose_topics", {"method": "auto"}), *later(manifest)) if usable else (),
    )


async def _read(ctx: StepContext, path: str, file_name: str) -> Json:
    try:
        report = await asyncio.to_thread(_ingested, ctx, path, file_name, _teller(ctx))
    except UnreadableFile as error:
        raise StepError(
            f"{error}. Nothing was changed; upload a corrected file.", code=error.code, next="upload a file"
        ) from error
    except IngestCancelled as error:
        raise Cancelled from error
    except NotFound as error:
        raise StepError(
            f"{file_name} is no longer in storage. Upload it again.", code="upload_gone", next="upload a file"
        ) from error
    facts = await asyncio.to_thread(
        overview,
        ctx,
        report.manifest,
        hygiene=report.hygiene,
        statistics=report.statistics,
        problems=report.problems,
    )
    await save_report(ctx, REPORT, facts)
    await ctx.checkpoint(
        VERSION, {"dataset_id": report.manifest.dataset_id, "version": report.manifest.version}
    )
    await ctx.checkpoint(REPORT, facts)
    return facts


def _ingested(ctx: StepContext, path: str, file_name: str, tell: Callable[[int, int], None]) -> IngestReport:
    return ingest(
        ctx.deps.blobs.read(path),
        file_name,
        ctx.deps.datasets,
        ctx.workflow.tenant,
        ctx.workflow.dataset_id,
        by=ctx.task.by,
        at=ctx.deps.clock(),
        limits=limits_of(ctx),
        progress=tell,
        cancelled=ctx.cancelled,
    )


def _teller(ctx: StepContext) -> Callable[[int, int], None]:
    """Progress from the reading thread to the task, which lives on the event loop."""
    loop = asyncio.get_running_loop()

    def tell(read: int, rows: int) -> None:
        label = f"{rows:,} rows read ({read / 1e6:,.1f} MB)"
        asyncio.run_coroutine_threadsafe(ctx.progress(rows, 0, label), loop).result()

    return tell


async def _consent(ctx: StepContext) -> tuple[Draft, ...]:
    if not has_model(ctx) or await may_send_rows(ctx):
        return ()
    return (consent.card(ctx.deps.settings.provider),)


INGEST = Step(name="ingest", title="Reading the file", body=run, timeout_seconds=6 * 3600)
