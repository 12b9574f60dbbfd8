"""Prepares the current version for a training elsewhere: one JSONL file for each side, and the dataset card beside them.

The sides are those of `splitting.py`: by topic, without leakage, with a test set that stays locked in every later version. A side
that is written is not written again after a restart.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace

from storage import paths
from storage.manifests import Manifest
from storage.records import Json
from tasks.exporting.files import FORMATS, Tally
from tasks.exporting.readme import CardFacts, readme
from tasks.exporting.shares import WITH_TEST, Shares
from tasks.rules.splits import SIDES, Side
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.card_facts import card_facts
from tasks.steps.common import pinned_manifest
from tasks.steps.export import asked_shares, divided, split_facts, split_line
from tasks.steps.outgoing import Outgoing, file_stem, left_out_of, not_carried_of, teller
from tasks.steps.splitting import Sides

TASK_TYPES = {"chat": "chat", "completion": "completion", "classification": "classification"}
MOST_NAMES = 20


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `task_type` chat | completion | classification, `splits` "80/10/10"."""
    task_type = str(params.get("task_type") or "chat")
    if task_type not in TASK_TYPES:
        raise StepError(
            f"task_type is one of {', '.join(TASK_TYPES)}.", code="format", next="prepare_dataset"
        )
    shares = asked_shares(str(params.get("splits") or WITH_TEST), "all")
    manifest = await pinned_manifest(ctx)
    chosen = await divided(ctx, manifest, shares)
    written = {
        side: await _side(ctx, manifest, chosen, side, task_type)
        for side in SIDES
        if chosen.split.count(side)
    }
    rows: dict[str, int] = {side: int(one["rows"]) for side, one in written.items()}
    if not rows.get("train"):
        raise StepError(
            f"No row that trains fits {FORMATS[TASK_TYPES[task_type]].title}; chat holds every conversation.",
            code="nothing_to_export",
            next="prepare_dataset",
        )
    card = await card_facts(ctx, manifest)
    facts = _facts(ctx, manifest, chosen, shares, written, card)
    facts["files"] += [await _card_file(ctx, card, chosen, shares, rows)]
    facts |= {"task_type": task_type, "format": "jsonl", "size": sum(one["size"] for one in facts["files"])}
    return StepReport(facts=facts, view="prepared", summary=f"{sum(rows.values()):,} rows prepared")


async def _side(ctx: StepContext, manifest: Manifest, chosen: Sides, side: Side, task_type: str) -> Json:
    """One file in the store: its rows, size and what was left out."""
    done = ctx.done.get(f"side.{side}")
    if done is not None:
        return done
    tally = Tally()
    tell = teller(ctx, manifest.totals.rows, f"rows read for {side}")
    going = Outgoing(
        ctx.deps.datasets, manifest, cancelled=ctx.cancelled, tell=tell, sides=chosen.split.sides
    )
    path = paths.export(ctx.workflow.tenant, f"{ctx.task.id}-{side}")
    chunks = FORMATS[TASK_TYPES[task_type]].make().chunks(going.rows(side), tally)
    size = await asyncio.to_thread(ctx.deps.blobs.put, path, chunks)
    found: Json = {
        "path": path,
        "rows": tally.rows,
        "size": size,
        "left_out": left_out_of(tally),
        "not_carried": not_carried_of(tally),
    }
    await ctx.checkpoint(f"side.{side}", found)
    return found


def _facts(
    ctx: StepContext,
    manifest: Manifest,
    chosen: Sides,
    shares: Shares,
    written: dict[Side, Json],
    card: CardFacts,
) -> Json:
    known = asdict(card.statistics)
    known |= {name: dict(list(known[name].items())[:MOST_NAMES]) for name in ("tools", "labels")}
    health = card.hygiene
    return {
        "dataset_id": manifest.dataset_id,
        "dataset_version": manifest.version,
        "rows": sum(int(one["rows"]) for one in written.values()),
        "splits": {side: one["rows"] for side, one in written.items()},
        "shares": str(shares),
        "statistics": known,
        "validation": {
            "total": health.total,
            "valid": health.valid,
            "rejected": health.rejected,
            "health": health.health,
            "counts": dict(health.counts),
        },
        "paths": {side: one["path"] for side, one in written.items()},
        "files": [
            {
                "path": one["path"],
                "size": one["size"],
                "rows": one["rows"],
                "file_name": _name(ctx, manifest, side),
            }
            for side, one in written.items()
        ],
        "left_out": _together(written, "left_out", "why"),
        "not_carried": _together(written, "not_carried", "name"),
        **split_facts(chosen),
    }


def _name(ctx: StepContext, manifest: Manifest, what: str) -> str:
    return f"{file_stem(ctx.workflow.name)}-v{manifest.version}-{what}.jsonl"


def _together(written: dict[Side, Json], name: str, key: str) -> list[Json]:
    """The sides' counts added up by their key."""
    total: dict[str, int] = {}
    for one in (found for side in written.values() for found in side[name]):
        total[str(one[key])] = total.get(str(one[key]), 0) + int(one["rows"])
    return [{key: label, "rows": rows} for label, rows in sorted(total.items(), key=lambda pair: -pair[1])]


async def _card_file(
    ctx: StepContext, card: CardFacts, chosen: Sides, shares: Shares, rows: dict[str, int]
) -> Json:
    files = [(f"{side}.jsonl", count) for side, count in rows.items()]
    text = readme(replace(card, files=files, split=split_line(chosen, shares, rows)))

    path = paths.export(ctx.workflow.tenant, f"{ctx.task.id}-card")
    size = await asyncio.to_thread(ctx.deps.blobs.put, path, (text.encode(),))
    name = f"{file_stem(ctx.workflow.name)}-v{card.version}-README.md"
    return {"path": path, "size": size, "file_name": name}


PREPARE_DATASET = Step(
    name="prepare_dataset",
    title="Preparing the dataset",
    body=run,
    needs=("valid_rows",),
    finishes=False,
    timeout_seconds=2 * 3600,
)
