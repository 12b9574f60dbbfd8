"""Judges every row again, after limits or rows have changed: a new version when anything came out differently."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from storage.manifests import Manifest
from storage.records import Json, Workflow
from tasks.rules.hygiene import hygiene, statistics
from tasks.rules.limits import Limits
from tasks.rules.validation import check_row
from tasks.step import Step, StepContext, StepReport
from tasks.steps import coverage
from tasks.steps.common import dataset_record, limits_of, make_version_once, pinned_manifest, standing_on
from tasks.steps.overview import overview


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `limits` {min_user_characters, max_tokens} in place of the settings' ones."""
    given = {name: int(value) for name, value in (params.get("limits") or {}).items() if name in CHANGEABLE}
    limits = replace(limits_of(ctx), **given)
    before = await pinned_manifest(ctx)
    manifest = await make_version_once(ctx, lambda: _revalidated(ctx, before, limits))
    found = hygiene(manifest.totals, limits=limits)
    figures = statistics(manifest.totals, tokens_by=manifest.head.source.tokens_by)
    facts = await asyncio.to_thread(overview, ctx, manifest, hygiene=found, statistics=figures)
    covered = coverage.facts(ctx.workflow, manifest.totals)

    def change(workflow: Workflow) -> Workflow:
        if workflow.dataset_version not in (before.version, manifest.version):
            return workflow  # rows were changed meanwhile; what was judged here is no longer what stands
        return replace(standing_on(workflow, manifest), coverage=covered or workflow.coverage)

    return StepReport(
        facts=facts, change=change, view="overview", records=await dataset_record(ctx, manifest)
    )


CHANGEABLE = ("min_user_characters", "max_tokens")


def _revalidated(ctx: StepContext, manifest: Manifest, limits: Limits) -> Manifest:
    return ctx.deps.datasets.revalidate(
        manifest, check=lambda row: check_row(row, limits), by=ctx.task.by, at=ctx.deps.clock()
    )


VALIDATE = Step(
    name="validate", title="Checking every row", body=run, needs=("valid_rows",), timeout_seconds=3600
)
