"""Generates rows after approval, keeps the good ones, and says exactly what became of the others.

Writing is `generating.py`, judging `judging.py`, the plan `planning.py`; this appends the kept rows to a new dataset version (version 1 where
there was nothing but a goal) and records the round. Stopping keeps what was made, counted exactly, and the same request
again makes only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from storage.manifests import Manifest
from storage.records import Dataset, Document, GenerationRound, Json, Workflow
from storage.rows import Row
from tasks.rules import rounds
from tasks.rules.rounds import Earlier, Want
from tasks.rules.validation import check_row
from tasks.rules.voices import voices
from tasks.step import Next, Step, StepContext, StepError, StepReport
from tasks.steps import coverage
from tasks.steps.common import (
    dataset_record,
    limits_of,
    make_version_once,
    newest_workflow,
    require_sending,
    standing_on,
)
from tasks.steps.generating import FAN, harvest
from tasks.steps.judging import Harvest
from tasks.steps.planning import base_manifest, newest_manifest, strategy_of, wants_of
from tasks.steps.variety import variety

SHOWN_TOPICS = 40


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `strategy`, `generation_mode`, `target_topics`, `count_per_topic`, `record_ids`, `variations_per_record`, `base_scenario`,
    `aspects`, `tool_patterns`, `until_kept`, `continue_earlier`."""
    await require_sending(ctx)
    manifest = await base_manifest(ctx)
    history = (await newest_workflow(ctx)).rounds  # a task is pinned without its workflow's past
    params = {**params, "strategy": strategy_of(manifest.totals, params)}
    before = rounds.earlier(history, rounds.request_id(params), go_on=params.get("continue_earlier"))
    wants = rounds.left(wants_of(ctx.workflow, manifest.totals, params), before)
    if not wants:
        message = f"All {before.kept:,} rows of this request are there already; ask for more, or for others."
        raise StepError(message, code="nothing_left", next="generate_synthetic_data")
    found, stopped = await harvest(ctx, manifest, params, wants, round=len(history), offset=before.asked)
    if not found.made and not stopped:
        message = "Nothing was added: the model wrote nothing that can be read. Try another strategy, or another model."
        raise StepError(message, code="nothing_generated", next="generate_synthetic_data")
    return await _report(ctx, params, wants, before, found, partial=stopped)


async def _report(
    ctx: StepContext, params: Json, wants: Sequence[Want], before: Earlier, found: Harvest, *, partial: bool
) -> StepReport:
    """The kept rows on the newest dataset version, so that edits made in the meantime stay."""
    newest = await newest_workflow(ctx)
    base = await newest_manifest(ctx)
    grown = await appended(ctx, base, found.rows, operation="generate") if found.rows else base
    duplicates = invalid(base, grown)
    kept = len(found.rows) - sum(duplicates.values())
    asked = sum(want.count for want in wants)
    rejected = {**found.rejected, **({"no_answer": found.failed} if found.failed else {})}
    for code, count in duplicates.items():
        rejected[code] = rejected.get(code, 0) + count
    score = coverage.measure(ctx.workflow, base.totals).score if ctx.workflow.topics else None
    covered = coverage.facts(standing_on(newest, grown), grown.totals)
    made = GenerationRound(
        task_id=ctx.task.id,
        at=ctx.deps.clock(),
        strategy=str(params["strategy"]),
        asked=asked,
        kept=kept,
        rejected=rejected,
        by_topic=found.by_topic,
        balance_before=score,
        balance_after=covered.get("balance_score"),
        request=rounds.request_id(params),
        stopped=partial,
        continued=before.rounds > 0,
        by_seed=_by_seed(wants, found),
    )
    facts: Json = {
        "asked": asked,
        "generated": found.made,
        "kept": kept,
        "valid": kept,
        "rejected": rejected,
        "rejected_samples": found.samples,
        "by_topic": _largest(found.by_topic),
        "made_by_topic": _largest(found.made_by_topic),
        "strategy": str(params["strategy"]),
        "generation_mode": str(params.get("generation_mode") or "rft"),
        "balance_before": None if score is None else round(score, 4),
        "balance_after": covered.get("balance_score"),
        "new_balance_score": covered.get("balance_score"),
        "diversity": await variety(ctx, base, found.rows),
        "partial": partial,
        "coverage": covered,
        "dataset_version": grown.version,
        **({"earlier": rounds.earlier_json(before)} if before.rounds else {}),
        **({"asked_again": found.asked_again} if found.asked_again else {}),
        **({"from_goal": True} if not base.version else {}),
    }

    def change(workflow: Workflow) -> Workflow:
        with_round = replace(workflow, rounds=rounds.with_round(workflow.rounds, made))
        if grown is base or workflow.dataset_version not in (base.version, ctx.workflow.dataset_version):
            return with_round
        stands = standing_on(with_round, grown)
        return replace(stands, coverage=coverage.facts(stands, grown.totals))

    sort = (Next("categorize", {"mode": "unlabeled_only"}),)  # nothing is left to sort: it settles the step
    return StepReport(
        facts=facts,
        change=change,
        summary=f"{kept:,} of {asked:,} generated rows kept",
        view="generated",
        records=await _records(ctx, params, grown),
        then=sort if not base.version and kept else coverage.again_for_new_topics(newest, grown),
        partial=partial,
    )


async def _records(ctx: StepContext, params: Json, grown: Manifest) -> tuple[Document, ...]:
    """The dataset's document with its newest version; a new one where there was nothing but a goal."""
    if not grown.version or await ctx.deps.state.get(grown.tenant, Dataset, grown.dataset_id):
        return await dataset_record(ctx, grown)
    personas = voices(params.get("personas") or [])
    made = Dataset(
        id=grown.dataset_id,
        tenant=grown.tenant,
        name=ctx.workflow.name,
        file_name="",
        owner=ctx.workflow.owner,
        created_at=ctx.deps.clock(),
        latest=grown.version,
        personas=personas,
    )
    return (made,)


async def appended(ctx: StepContext, base: Manifest, rows: Sequence[Row], *, operation: str) -> Manifest:
    """A version with these rows added, made once however often the task is taken up."""
    limits = limits_of(ctx)
    named = [
        msgspec.structs.replace(row, id=f"g-{ctx.task.id}-{number}")
        for number, row in enumerate(rows, start=1)
    ]
    return await make_version_once(
        ctx,
        lambda: ctx.deps.datasets.append_rows(
            base,
            named,
            check=lambda row: check_row(row, limits),
            operation=operation,
            by=ctx.task.by,
            at=ctx.deps.clock(),
        ),
    )


def invalid(base: Manifest, grown: Manifest) -> dict[str, int]:
    """Generated rows that validation did not accept, by code: they are in the dataset, shown and excluded."""
    return {
        code: more
        for code, count in grown.totals.errors.items()
        if (more := count - base.totals.errors.get(code, 0)) > 0
    }


def _by_seed(wants: Sequence[Want], found: Harvest) -> dict[str, int]:
    return {want.seed: found.kept_by_want.get(place, 0) for place, want in enumerate(wants) if want.seed}


def _largest(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:SHOWN_TOPICS])


GENERATE = Step(
    name="generate",
    title="Generating rows",
    body=run,
    step="coverage_generation",
    needs=("goal", "topics_or_records"),
    timeout_seconds=2 * 3600,
    fan=FAN,
)
