"""A quick probe before the whole pipeline: can the base model do this at all, as the grader sees it? (domain.md §7)"""

from __future__ import annotations

import asyncio

from storage.records import Json
from storage.rows import Row
from tasks.rules import dry_run as rules
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.answering import (
    answer_and_grade,
    base_model,
    bench,
    check_not_all_refused,
    current_grader,
    shown,
)
from tasks.steps.common import pinned_manifest, require_sending
from tasks.steps.parallel import each

SAMPLE_SIZE, MOST = 5, 10


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `sample_size` 5, 1 to 10."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    judge = await current_grader(ctx)
    size = min(MOST, max(1, int(params.get("sample_size") or SAMPLE_SIZE)))
    rows = await asyncio.to_thread(ctx.deps.datasets.sample, manifest, size, seed=7)
    outcomes: dict[str, Json] = {}
    async with bench(ctx) as opened:

        async def one(row: Row) -> None:
            name = f"row.{row.id}"
            found = ctx.done.get(name) or await answer_and_grade(ctx, base_model(ctx), row, judge, opened)
            outcomes[row.id] = found
            if name not in ctx.done:
                await ctx.checkpoint(name, found)

        stopped = await each(rows, one, stop=ctx.cancelled)
    check_not_all_refused(list(outcomes.values()))
    scores = [found["score"] for found in outcomes.values() if found["score"] is not None]
    if not scores:
        raise StepError(
            "Every answer was an error, so nothing can be said. Test the grader first.",
            next="test_grader_sample",
        )
    mean = sum(scores) / len(scores)
    facts: Json = {
        "workflow_id": ctx.workflow.id,
        "mean": round(mean, 4),
        "verdict": rules.viability(mean),
        "errors": len(outcomes) - len(scores),
        "samples": [shown(row, outcomes[row.id]) for row in rows if row.id in outcomes],
    }
    return StepReport(facts=facts, view="viability", partial=stopped)


CHECK_VIABILITY = Step(
    name="check_viability",
    title="Viability probe",
    body=run,
    needs=("valid_rows", "grader"),
    timeout_seconds=900,
)
