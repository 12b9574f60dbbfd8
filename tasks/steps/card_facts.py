"""What the dataset card says, gathered: lineage, health, topics, how generated rows were made, consent.

Reads heads of versions and, of the rows, only parts that hold generated ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from storage.datasets import Datasets
from storage.manifests import Head, Manifest
from storage.records import Consent, Topic
from tasks.drafting import consent_id
from tasks.exporting.readme import CardFacts, VersionLine
from tasks.rules import hygiene
from tasks.step import StepContext
from tasks.steps.common import leaf_names, limits_of

MOST_VERSIONS = 500
MOST_GENERATORS = 50
UNKNOWN = "unknown"


async def card_facts(ctx: StepContext, manifest: Manifest) -> CardFacts:
    """Everything but files and split, which belong to an export."""
    versions = await asyncio.to_thread(lineage, ctx.deps.datasets, manifest.head)
    made = await asyncio.to_thread(generators, ctx.deps.datasets, manifest)
    totals, coverage = manifest.totals, ctx.workflow.coverage
    balance = coverage.get("balance_score") if isinstance(coverage, Mapping) else None
    return CardFacts(
        name=ctx.workflow.name,
        goal=ctx.workflow.goal,
        dataset_id=manifest.dataset_id,
        version=manifest.version,
        made_at=ctx.deps.clock(),
        source=manifest.head.source,
        totals=totals,
        hygiene=hygiene.hygiene(totals, limits=limits_of(ctx)),
        statistics=hygiene.statistics(totals, tokens_by=manifest.head.source.tokens_by),
        versions=versions,
        topics=topics_of(manifest, ctx.workflow.topics),
        generators=made,
        balance=float(balance) if isinstance(balance, int | float) else None,
        consent=await _consent(ctx),
    )


def lineage(datasets: Datasets, newest: Head) -> tuple[VersionLine, ...]:
    """The version and those it was made from, newest first."""
    heads = datasets.lineage(newest.tenant, newest.dataset_id, version=newest.version, limit=MOST_VERSIONS)
    return tuple(
        VersionLine(one.version, one.parent, one.operation, one.by, one.at, one.totals.rows, one.totals.valid)
        for one in heads
    )


def generators(datasets: Datasets, manifest: Manifest) -> dict[str, int]:
    """Valid generated rows by strategy and model, most first."""
    counts: Counter[str] = Counter()
    for part, ref in enumerate(manifest.parts):
        if ref.summary.valid_generated:
            for row in datasets.rows(manifest, part, ("error", "is_generated")):
                if row.valid and row.is_generated:
                    names = [str(row.provenance.get(name) or UNKNOWN)[:80] for name in ("strategy", "model")]
                    name = f"{names[0]}, by {names[1]}"
                    counts[name if name in counts or len(counts) < MOST_GENERATORS else "others"] += 1
    return dict(counts.most_common())


def topics_of(manifest: Manifest, tree: tuple[Topic, ...]) -> tuple[tuple[str, int, int], ...]:
    """(name, rows, generated ones) of each leaf, empty ones included, most rows first; then rows without one."""
    summaries, names = manifest.totals.topics, leaf_names(tree)
    listed = {**dict.fromkeys(names, 0), **{id: found.rows for id, found in summaries.items()}}
    rows = [
        (names.get(id, id), count, summaries[id].generated if id in summaries else 0)
        for id, count in sorted(listed.items(), key=lambda pair: -pair[1])
    ]
    if rows and manifest.totals.uncategorised:
        rows.append(("(no topic)", manifest.totals.uncategorised, 0))
    return tuple(rows)


async def _consent(ctx: StepContext) -> str:
    settings = ctx.deps.settings
    if settings.allows_provider():
        return f"Rows may be sent to {settings.provider}: whoever runs the bot lists it as allowed."
    found = await ctx.deps.state.get(ctx.workflow.tenant, Consent, consent_id(settings.provider))
    return f"{found.by} agreed that rows may be sent to {settings.provider}." if found else ""
