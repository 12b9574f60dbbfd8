"""Generates rows after approval, keeps the good ones, and says exactly what became of the others.

Asking and judging are `generating.py`; this decides how many of what, appends the kept rows to a new version and records the round.
Stopping keeps what was made, counted exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from storage.manifests import Manifest
from storage.records import GenerationRound, Json, Topic, Workflow
from storage.rows import Row
from tasks.rules import coverage as coverage_rules
from tasks.rules import generation as rules
from tasks.rules import topics as topic_rules
from tasks.rules.validation import check_row
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps import coverage
from tasks.steps.common import (
    dataset_record,
    limits_of,
    make_version_once,
    manifest_of,
    newest_workflow,
    pinned_manifest,
    require_sending,
    standing_on,
)
from tasks.steps.generating import Harvest, harvest

COUNT_PER_TOPIC, VARIATIONS, MOST_ROWS = 50, 3, 5_000


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `strategy`, `generation_mode`, `target_topics`, `count_per_topic`, `record_ids`, `variations_per_record`,
    `base_scenario`, `aspects`, `tool_patterns`."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    rounds = len((await newest_workflow(ctx)).rounds)  # a task is pinned without its workflow's past
    params = {**params, "strategy": strategy_of(manifest, params), "round": rounds}
    plan = planned(ctx, manifest, params)
    asked = sum(count for _, count in plan)
    found, stopped = await harvest(ctx, manifest, params, plan)
    if not found.made and not stopped:
        message = "Nothing was added: the model wrote nothing that can be read. Try another strategy, or another model."
        raise StepError(message, code="nothing_generated", next="generate_synthetic_data")
    return await _report(ctx, params, asked, found, partial=stopped)


def strategy_of(manifest: Manifest, params: Json) -> rules.Strategy:
    """The strategy asked for, else the one that suits the data. Raises `StepError` for one that does not exist."""
    wanted = params.get("strategy")
    if not wanted:
        totals = manifest.totals
        return rules.default_strategy((totals.valid - totals.single_turn) / max(1, totals.valid))
    for strategy in rules.STRATEGIES:
        if strategy == wanted:
            return strategy
    raise StepError(
        f"There is no strategy {wanted!r}; there are: {', '.join(rules.STRATEGIES)}.", code="unknown_strategy"
    )


def planned(ctx: StepContext, manifest: Manifest, params: Json) -> list[tuple[str, int]]:
    """(leaf id, rows) for each topic; ("", rows) where rows grow from seeds. Raises `StepError`."""
    record_ids = params.get("record_ids") or ()
    named = params.get("target_topics") or ()
    if record_ids and not named:
        rows = len(record_ids) * max(1, int(params.get("variations_per_record") or VARIATIONS))
        return [("", min(MOST_ROWS, rows))]
    leaves = {leaf.id: leaf for leaf in topic_rules.leaves(ctx.workflow.topics)}
    if not leaves:
        message = "No topics yet: approve topics, or name the rows to grow from."
        raise StepError(message, code="topics_or_records", next="generate_topics")
    topics = [_leaf(str(one), leaves) for one in named]
    count = max(1, int(params.get("count_per_topic") or COUNT_PER_TOPIC))
    plan = rules.plan(_under(ctx, manifest), topics, count)
    if sum(rows for _, rows in plan) > MOST_ROWS:
        raise StepError(
            f"That is more than {MOST_ROWS:,} rows in one round. Ask for fewer.", code="too_many_rows"
        )
    return list(plan)


def _under(ctx: StepContext, manifest: Manifest) -> tuple[str, ...]:
    """The under-represented topics; the one that lacks most where none is."""
    measured = coverage.measure(ctx.workflow, manifest.totals)
    needed = coverage_rules.rows_needed(measured)
    return measured.under or tuple(sorted(needed, key=lambda topic: -needed[topic])[:1])


def _leaf(wanted: str, leaves: Mapping[str, Topic]) -> str:
    """A leaf's id, by id or by name. Raises `StepError`."""
    if wanted in leaves:
        return wanted
    slug = topic_rules.slug(wanted.rpartition("/")[2])
    found = [
        leaf.id
        for leaf in leaves.values()
        if slug in (leaf.id.rpartition("/")[2], topic_rules.slug(leaf.name))
    ]
    if len(found) != 1:
        raise StepError(
            f"There is no topic {wanted!r}; there are: {', '.join(list(leaves)[:20])}.", code="unknown_topic"
        )
    return found[0]


async def _report(ctx: StepContext, params: Json, asked: int, found: Harvest, *, partial: bool) -> StepReport:
    """The kept rows on the newest dataset version, so that edits made in the meantime stay."""
    newest = await newest_workflow(ctx)
    base = await manifest_of(ctx, newest if newest.dataset_id == ctx.workflow.dataset_id else ctx.workflow)
    grown = await _appended(ctx, base, found.rows) if found.rows else base
    duplicates = _invalid(base, grown)
    kept = len(found.rows) - sum(duplicates.values())
    rejected = {**found.rejected, **({"no_answer": found.failed} if found.failed else {})}
    for code, count in duplicates.items():
        rejected[code] = rejected.get(code, 0) + count
    before = coverage.measure(ctx.workflow, base.totals).score if ctx.workflow.topics else None
    covered = coverage.facts(standing_on(newest, grown), grown.totals)
    by_topic = found.by_topic
    made = GenerationRound(
        task_id=ctx.task.id,
        at=ctx.deps.clock(),
        strategy=str(params["strategy"]),
        asked=asked,
        kept=kept,
        rejected=rejected,
        by_topic=by_topic,
        balance_before=before,
        balance_after=covered.get("balance_score"),
    )
    facts: Json = {
        "asked": asked,
        "generated": found.made,
        "kept": kept,
        "valid": kept,
        "rejected": rejected,
        "by_topic": dict(sorted(by_topic.items(), key=lambda item: -item[1])[:40]),
        "made_by_topic": dict(sorted(found.made_by_topic.items(), key=lambda item: -item[1])[:40]),
        "strategy": str(params["strategy"]),
        "balance_before": None if before is None else round(before, 4),
        "balance_after": covered.get("balance_score"),
        "new_balance_score": covered.get("balance_score"),
        "partial": partial,
        "coverage": covered,
        "dataset_version": grown.version,
    }

    def change(workflow: Workflow) -> Workflow:
        with_round = replace(workflow, rounds=(*workflow.rounds, made)[-100:])
        if grown is base or workflow.dataset_version not in (base.version, ctx.workflow.dataset_version):
            return with_round
        stands = standing_on(with_round, grown)
        return replace(stands, coverage=coverage.facts(stands, grown.totals))

    return StepReport(
        facts=facts,
        change=change,
        summary=f"{kept:,} of {asked:,} generated rows kept",
        view="generated",
        records=await dataset_record(ctx, grown),
        then=coverage.again_for_new_topics(newest, grown),
        partial=partial,
    )


async def _appended(ctx: StepContext, base: Manifest, rows: Sequence[Row]) -> Manifest:
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
            operation="generate",
            by=ctx.task.by,
            at=ctx.deps.clock(),
        ),
    )


def _invalid(base: Manifest, grown: Manifest) -> dict[str, int]:
    """Generated rows that validation did not accept, by code: they are in the dataset, shown and excluded."""
    return {
        code: more
        for code, count in grown.totals.errors.items()
        if (more := count - base.totals.errors.get(code, 0)) > 0
    }


GENERATE = Step(
    name="generate",
    title="Generating rows",
    body=run,
    step="coverage_generation",
    needs=("valid_rows", "goal", "topics_or_records"),
    timeout_seconds=2 * 3600,
)
