"""Cleans the dataset as a person approved: one new version, made part by part by whoever is free, based on what stands now.

Rows that people edited since the look are judged as they are now. Older versions stay, so nothing is lost: the workflow can go back.
Which rows are personal or secret is never written to a log, an event or the lineage; only counts are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from storage.codec import from_json, to_json
from storage.manifests import Manifest, PartRef
from storage.records import Json, Workflow
from storage.rows import Row
from tasks import workflow as flow
from tasks.cleaning import Choices, cleaned
from tasks.near_duplicates import copies_by_part, same_rows
from tasks.rules.validation import check_row
from tasks.step import Cancelled, Fan, Step, StepContext, StepReport
from tasks.steps import coverage
from tasks.steps.common import (
    dataset_record,
    limits_of,
    load_report,
    make_version_once,
    manifest_of,
    newest_workflow,
    standing_on,
)
from tasks.steps.inspect_cleaning import REPORT

BASE = "base"  # the checkpoint that tells everybody which version is cleaned


@dataclass(frozen=True, slots=True)
class Prepared:
    """What all shares need. `copies` are the ids of near copies by part; `seen` what the look found, by the part's name."""

    manifest: Manifest
    choices: Choices
    copies: dict[int, frozenset[str]]
    seen: Json


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: the choices of `Choices`; `scan`, the task that looked."""
    if BASE not in ctx.done:
        newest = await newest_workflow(ctx)
        same = newest.dataset_id == ctx.workflow.dataset_id
        await ctx.checkpoint(
            BASE, {"version": newest.dataset_version if same else ctx.workflow.dataset_version}
        )
    base = await _base(ctx)
    shares = {f"part{number}": part.rows for number, part in enumerate(base.parts)}
    if await ctx.spread(shares, label="rows cleaned"):
        raise Cancelled
    newest = await newest_workflow(ctx)
    stands = await manifest_of(ctx, newest if newest.dataset_id == base.dataset_id else ctx.workflow)
    did: Counter[str] = Counter()
    prepared = await _prepare(ctx, params)
    made = await make_version_once(ctx, lambda: _version(ctx, prepared, stands, did))
    return await _report(ctx, params, base, stands, made, did or Counter(made.head.detail.get("did") or {}))


async def _base(ctx: StepContext) -> Manifest:
    return await manifest_of(ctx, replace(ctx.workflow, dataset_version=int(ctx.done[BASE]["version"])))


async def _prepare(ctx: StepContext, params: Json) -> Prepared:
    manifest = await _base(ctx)
    choices = Choices.of(params)
    seen = await load_report(ctx, REPORT, str(params.get("scan") or "none")) or {}
    copies = await asyncio.to_thread(_copies, ctx, manifest) if choices.near_duplicates else {}
    return Prepared(manifest, choices, copies, seen)


def _copies(ctx: StepContext, manifest: Manifest) -> dict[int, frozenset[str]]:
    datasets = ctx.deps.datasets
    leaders = same_rows(datasets, manifest, blobs=ctx.deps.blobs)
    places: dict[int, list[int]] = {}
    for part, at, _ in copies_by_part(datasets, manifest, leaders):
        places.setdefault(part, []).append(at)
    return {
        part: frozenset(row.id for row in datasets.pick(manifest, [(part, at) for at in here]))
        for part, here in places.items()
    }


async def _work(ctx: StepContext, prepared: Prepared, share: str) -> Json:
    number = int(share.removeprefix("part"))
    did: Counter[str] = Counter()
    part = await asyncio.to_thread(_cleaned, ctx, prepared, prepared.manifest, number, did)
    same = part == prepared.manifest.parts[number]
    return {"part": None if same else to_json(part), "did": dict(did)}


def _cleaned(
    ctx: StepContext, prepared: Prepared, manifest: Manifest, number: int, did: Counter[str]
) -> PartRef:
    """One part of a version, cleaned; the same part where the look found nothing in it that was chosen."""
    if _is_clean(prepared, manifest.parts[number], number):
        return manifest.parts[number]
    limits = limits_of(ctx)
    change = _change(prepared.choices, prepared.copies.get(number, frozenset()), did)
    return ctx.deps.datasets.changed_part(manifest, number, change, check=lambda row: check_row(row, limits))


def _is_clean(prepared: Prepared, part: PartRef, number: int) -> bool:
    choices, found = prepared.choices, prepared.seen.get(part.digest)
    chosen = {name for name in ("fix_formatting", "empty_turns", "refusals") if getattr(choices, name)}
    chosen |= {"personal_data"} if choices.personal_data != "report" else set()
    dirty = found is None or any(found.get(code) for code in chosen)
    doubled = choices.remove_duplicates and "duplicate" in part.summary.errors
    return not ((bool(chosen) and dirty) or doubled or prepared.copies.get(number))


def _change(choices: Choices, copies: frozenset[str], did: Counter[str]) -> Callable[[Row], Row | None]:
    def change(row: Row) -> Row | None:
        if choices.remove_duplicates and row.error == "duplicate":
            did["remove_duplicates"] += 1
            return None
        if row.id in copies and row.valid:
            did["near_duplicates"] += 1
            return None
        made, what = cleaned(row, choices)
        did.update(what)
        return made

    return change


def _version(ctx: StepContext, prepared: Prepared, stands: Manifest, did: Counter[str]) -> Manifest:
    """The cleaned parts on the version that stands now; a part that was changed meanwhile is cleaned as it is now."""
    changed: dict[int, PartRef] = {}
    for number, part in enumerate(stands.parts):
        known = number < len(prepared.manifest.parts) and part == prepared.manifest.parts[number]
        result = ctx.done[f"part{number}"] if known else None
        if result is None:
            changed[number] = _cleaned(ctx, prepared, stands, number, did)
        else:
            did.update(result["did"])
            if result["part"] is not None:
                changed[number] = from_json(PartRef, result["part"])
    detail = {"did": dict(did), "choices": prepared.choices.params()}
    return ctx.deps.datasets.commit_rows(
        stands, changed, operation="clean", by=ctx.task.by, at=ctx.deps.clock(), detail=detail
    )


async def _report(
    ctx: StepContext, params: Json, base: Manifest, stands: Manifest, made: Manifest, did: Counter[str]
) -> StepReport:
    newest = await newest_workflow(ctx)
    before, after = stands.totals, made.totals
    facts: Json = {
        "did": dict(did),
        "personal_data": Choices.of(params).personal_data,
        "rows_before": before.rows,
        "rows": after.rows,
        "valid_before": before.valid,
        "valid": after.valid,
        "new_duplicates": max(
            0,
            after.errors.get("duplicate", 0)
            - before.errors.get("duplicate", 0)
            + did.get("remove_duplicates", 0),
        ),
        "version_before": stands.version,
        "dataset_version": made.version,
    }

    def change(workflow: Workflow) -> Workflow:
        if workflow.dataset_version not in (base.version, stands.version, ctx.workflow.dataset_version):
            return workflow  # rows were changed in the last moment; what was cleaned is no longer what stands
        at = ctx.deps.clock()
        moved = standing_on(workflow, made)
        moved = replace(moved, coverage=coverage.facts(moved, made.totals) or workflow.coverage)
        return flow.record(moved, by=ctx.task.by, at=at, what=f"data cleaned: version {made.version}")

    return StepReport(
        facts=facts,
        change=change,
        view="cleaned",
        records=await dataset_record(ctx, made),
        then=coverage.again_for_new_topics(newest, made),
    )


CLEAN = Step(
    name="clean",
    title="Cleaning the data",
    body=run,
    fan=Fan(_prepare, _work),
    timeout_seconds=2 * 3600,
)
