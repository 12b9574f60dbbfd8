"""What happened to the rows from one version of the dataset to another: counts, moves between topics, a few examples.

Only what differs is read, but between two versions everything may differ: hence a worker's job.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from storage.errors import NotFound
from storage.manifests import Diff, Manifest
from storage.records import Json
from tasks.step import Cancelled, Step, StepContext, StepError, StepReport
from tasks.steps.card_facts import lineage
from tasks.steps.common import leaf_names
from tasks.steps.outgoing import teller

MOST_MOVES = 15
MOST_EXAMPLES = 12
MOST_VERSIONS = 12


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `old`, `new`: numbers of versions of the workflow's dataset."""
    old, new = [await _version(ctx, int(params[name])) for name in ("old", "new")]
    tell = teller(ctx, max(old.totals.rows, new.totals.rows), "rows compared")

    def told(rows: int) -> None:
        if ctx.cancelled():
            raise Cancelled
        tell(rows)

    found = await asyncio.to_thread(ctx.deps.datasets.diff, old, new, progress=told)
    history = await asyncio.to_thread(lineage, ctx.deps.datasets, new.head)
    facts: Json = {
        "old": old.version,
        "new": new.version,
        "rows": [old.totals.rows, new.totals.rows],
        "valid": [old.totals.valid, new.totals.valid],
        "versions": [asdict(one) for one in history[:MOST_VERSIONS]],
        **_changes(found, leaf_names(ctx.workflow.topics)),
    }
    return StepReport(facts=facts, view="compared", summary=f"version {old.version} against {new.version}")


def _changes(found: Diff, names: dict[str, str]) -> Json:
    moves = [
        {"from": names.get(was, was), "to": names.get(now, now), "rows": rows}
        for was, now, rows in found.topic_moves[:MOST_MOVES]
    ]
    examples = [asdict(one) for one in found.examples if one.kind != "topic"][:MOST_EXAMPLES]
    return {
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "topics": found.topics,
        "validity": found.validity,
        "topic_moves": moves,
        "examples": examples,
    }


async def _version(ctx: StepContext, number: int) -> Manifest:
    try:
        return await asyncio.to_thread(
            ctx.deps.datasets.manifest, ctx.workflow.tenant, ctx.workflow.dataset_id, number
        )
    except NotFound as error:
        raise StepError(
            f"There is no version {number} of this dataset; the newest is {ctx.workflow.dataset_version}.",
            code="version",
            next="compare_dataset_versions",
        ) from error


COMPARE_VERSIONS = Step(
    name="compare_versions",
    title="Comparing versions",
    body=run,
    needs=("valid_rows",),
    finishes=False,
    timeout_seconds=3600,
)
