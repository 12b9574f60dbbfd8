"""Counts the rows that a change is about where that takes a while, then proposes the change. Changes nothing.

A search for words reads every row; it goes part by part and its places are kept, but only to count: the change itself
looks again at the version that is named on the card.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from storage.manifests import Manifest
from storage.records import Json
from storage.rows import Row
from tasks import selection as rows
from tasks.selection import FoundHere, Selection
from tasks.step import Cancelled, Fan, Step, StepContext, StepError, StepReport
from tasks.steps import row_proposal
from tasks.steps.common import pinned_manifest

ALONE_PARTS = 8  # so few are quicker done than spread


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `where`, `ids` (which rows), `action` delete | move, `topic`."""
    manifest, wanted = await pinned_manifest(ctx), rows.from_params(params)
    here = await scanned(ctx, manifest, wanted, label="rows searched")
    found = rows.summed(one.found for one in here.values())
    if not found.rows:
        raise StepError("No row matches; nothing to change.", code="no_rows", next="get_dataset_records")
    shown = await asyncio.to_thread(_examples, ctx, manifest, here)
    draft = row_proposal.draft(
        ctx.workflow,
        manifest,
        wanted,
        found,
        shown,
        action=params["action"],
        topic=str(params.get("topic") or ""),
    )
    facts = {"action": params["action"], "count": found.rows, "which": draft.payload["which"]}
    return StepReport(facts=facts, drafts=(draft,), summary=f"{found.rows:,} rows found", say=False)


async def scanned(
    ctx: StepContext, manifest: Manifest, wanted: Selection, *, label: str
) -> dict[int, FoundHere]:
    """Part → what was found there, for the parts with something. A part is a share, so a search uses all free workers."""
    shares = {f"part{number}": part.rows for number, part in enumerate(manifest.parts)}
    if wanted.ids or len(shares) <= ALONE_PARTS:
        await _alone(ctx, shares)
    elif await ctx.spread(shares, label=label):
        raise Cancelled
    found = {number: rows.loaded(ctx.done[name]) for number, name in enumerate(shares)}
    return {number: here for number, here in found.items() if here.places}


async def _alone(ctx: StepContext, shares: dict[str, int]) -> None:
    prepared = await _prepare(ctx, ctx.task.params)
    for name in shares:
        if name not in ctx.done:
            await ctx.checkpoint(name, await _work(ctx, prepared, name))


@dataclass(frozen=True, slots=True)
class _Search:
    """What every share needs: the version, the rows that are wanted, and where those with ids are."""

    manifest: Manifest
    wanted: Selection
    named: dict[int, list[int]] | None


async def _prepare(ctx: StepContext, params: Json) -> _Search:
    """The version that the card names, else the one that was pinned."""
    manifest = await pinned_manifest(ctx)
    datasets, wanted = ctx.deps.datasets, rows.from_params(params)
    if params.get("version"):
        manifest = await asyncio.to_thread(
            datasets.manifest, manifest.tenant, manifest.dataset_id, int(params["version"])
        )
    named = await asyncio.to_thread(rows.by_part, datasets, manifest, wanted.ids) if wanted.ids else None
    return _Search(manifest, wanted, named)


async def _work(ctx: StepContext, prepared: Any, share: str) -> Json:
    number = int(share.removeprefix("part"))
    places = None if prepared.named is None else prepared.named.get(number, [])
    here = await asyncio.to_thread(
        rows.in_part, ctx.deps.datasets, prepared.manifest, number, prepared.wanted, places
    )
    return rows.saved(here, prepared.manifest.parts[number])


SEARCH = Fan(prepare=_prepare, work=_work)


def _examples(ctx: StepContext, manifest: Manifest, found: dict[int, FoundHere]) -> tuple[Row, ...]:
    places = [(part, at) for part, here in found.items() for at in here.places[: rows.EXAMPLES]]
    return tuple(ctx.deps.datasets.pick(manifest, places[: rows.EXAMPLES]))


FIND_ROWS = Step(
    name="find_rows",
    title="Counting rows",
    body=run,
    needs=(),
    finishes=False,
    timeout_seconds=3600,
    fan=SEARCH,
)
