"""Counts near-duplicates of a dataset of any size: by itself after a large upload, or when somebody asks.

Workers share the parts; the task's own worker joins what they found. What is found is kept, so that a split and the next question need not
look again. Nothing is removed: `clean` does that, when a person has approved it.
"""

from __future__ import annotations

import asyncio

from storage.manifests import Manifest
from storage.records import Json
from storage.rows import last_user_message
from tasks.cleaning import safe_excerpt
from tasks.near_duplicates import copies_by_part, groups, place_of, sign_part
from tasks.near_duplicates.union import Rows
from tasks.step import Cancelled, Fan, Next, Step, StepContext, StepReport
from tasks.steps.common import pinned_manifest

SHOWN_EXAMPLES = 3
COMPARED_AT_ONCE = 20_000  # rows in which the overview counts near-duplicates itself


def later(manifest: Manifest) -> tuple[Next, ...]:
    """The follow-up of an overview that is too large to count near-duplicates itself."""
    return (
        (Next("find_near_duplicates", {"asked": False}),) if manifest.totals.rows > COMPARED_AT_ONCE else ()
    )


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `asked` true when a person wants to know; otherwise nothing is said where there is none."""
    manifest = await pinned_manifest(ctx)
    shares = {f"part{number}": part.rows for number, part in enumerate(manifest.parts)}
    if await ctx.spread(shares, label="rows compared"):
        raise Cancelled
    facts = await asyncio.to_thread(_found, ctx, manifest)
    asked = bool(params.get("asked", True))
    return StepReport(
        facts=facts, view="near_duplicates" if asked or facts["near_duplicates"] else "", say=asked
    )


async def _prepare(ctx: StepContext, params: Json) -> Manifest:
    return await pinned_manifest(ctx)


async def _work(ctx: StepContext, manifest: Manifest, share: str) -> Json:
    number = int(share.removeprefix("part"))
    signed = await asyncio.to_thread(
        sign_part, ctx.deps.datasets, manifest, number, kind="prompt", blobs=ctx.deps.blobs
    )
    return {"signed": len(signed.digests)}


def _found(ctx: StepContext, manifest: Manifest) -> Json:
    leaders = groups(ctx.deps.datasets, manifest, blobs=ctx.deps.blobs, stop=ctx.cancelled)
    if ctx.cancelled():
        raise Cancelled
    count, examples = copies_shown(ctx, manifest, leaders)
    return {
        "near_duplicates": count,
        "duplicates": manifest.totals.errors.get("duplicate", 0),
        "rows": manifest.totals.rows,
        "valid": manifest.totals.valid,
        "examples": examples,
        "dataset_version": manifest.version,
    }


def copies_shown(ctx: StepContext, manifest: Manifest, leaders: Rows) -> tuple[int, list[Json]]:
    """How many valid rows resemble an earlier one, and the first few of them with that one; personal data masked."""
    datasets = ctx.deps.datasets
    count, shown = 0, list[tuple[tuple[int, int], tuple[int, int]]]()
    for part, at, first in copies_by_part(datasets, manifest, leaders):
        count += 1
        if len(shown) < SHOWN_EXAMPLES:
            shown.append(((part, at), place_of(manifest, first)))
    examples = [
        {"text": _excerpt(ctx, manifest, one), "after": _excerpt(ctx, manifest, other)}
        for one, other in shown
    ]
    return count, examples


def _excerpt(ctx: StepContext, manifest: Manifest, place: tuple[int, int]) -> str:
    return safe_excerpt(last_user_message(next(ctx.deps.datasets.pick(manifest, [place]))))


FIND_NEAR_DUPLICATES = Step(
    name="find_near_duplicates",
    title="Looking for near-duplicates",
    body=run,
    needs=("valid_rows",),
    fan=Fan(_prepare, _work),
    timeout_seconds=2 * 3600,
)
