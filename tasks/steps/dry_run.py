"""The dry run: the base model answers a stratified sample, the current grader scores it, and the rules give a verdict.

Every rollout is a checkpoint, so a killed run pays for nothing twice. A run that was stopped has no verdict. The sample is seeded by
the workflow, so that two runs can be compared row by row; the whole result is a report blob, the workflow keeps its summary.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from storage.manifests import Manifest
from storage.records import DryRunSummary, Json, Workflow
from storage.rows import UNCATEGORISED, Row
from tasks.rules import dry_run as rules
from tasks.rules import iteration
from tasks.rules.sampling import sample_size, samples, stratified_sample
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.answering import (
    Judge,
    answer_and_grade,
    base_model,
    bench,
    check_not_all_refused,
    current_grader,
    shown,
)
from tasks.steps.common import cut, leaf_names, load_report, pinned_manifest, require_sending, save_report
from tasks.steps.parallel import each
from tasks.steps.ways_out import options

REPORT = "dry_run"
MOST_ROLLOUTS = 8
MOST_ROWS = 2_000
RANGES: Json = {
    "mean": [0.25, 0.65],
    "std": [0.10, 0.25],
    "above_zero": [0.20, None],
    "perfect": [None, 0.30],
}


@dataclass(frozen=True, slots=True)
class Scored:
    """Everything that was scored: rows, and one outcome for each (row, rollout), in that order."""

    rows: tuple[Row, ...]
    outcomes: Mapping[tuple[int, int], Json]
    stats: rules.DryRunStats

    def by_row(self) -> dict[str, float]:
        """Row id → mean score over its rollouts."""
        known: dict[str, list[float]] = {}
        for (place, _), outcome in self.outcomes.items():
            if outcome["score"] is not None:
                known.setdefault(self.rows[place].id, []).append(outcome["score"])
        return {row: sum(scores) / len(scores) for row, scores in known.items()}


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `sample_percentage` or `sample_size`, `rollouts` 1–8."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    judge = await current_grader(ctx)
    rollouts = min(MOST_ROLLOUTS, max(1, int(params.get("rollouts") or 1)))
    rows = await _sample(ctx, manifest, params)
    outcomes: dict[tuple[int, int], Json] = {}
    stopped = await _score(ctx, rows, rollouts, judge, outcomes)
    check_not_all_refused(list(outcomes.values()))
    if stopped:
        return _stopped(outcomes, len(rows) * rollouts)
    return await _report(ctx, manifest, judge, _scored(rows, outcomes), rollouts)


async def _sample(ctx: StepContext, manifest: Manifest, params: Json) -> tuple[Row, ...]:
    try:
        size = sample_size(
            manifest.totals.valid, percentage=params.get("sample_percentage"), count=params.get("sample_size")
        )
    except ValueError as error:
        raise StepError(str(error), code="bad_sample", next="run_dry_run") from error
    seed = zlib.crc32(ctx.workflow.id.encode())
    return await asyncio.to_thread(_chosen, ctx, manifest, min(size, MOST_ROWS), seed)


def _chosen(ctx: StepContext, manifest: Manifest, size: int, seed: int) -> tuple[Row, ...]:
    datasets = ctx.deps.datasets
    topics: list[str | None] = []
    places: list[tuple[int, int]] = []
    for number in range(len(manifest.parts)):
        columns = datasets.columns(manifest, number, ("error", "topic"))
        for at, (error, topic) in enumerate(zip(columns["error"], columns["topic"], strict=True)):
            if not error:
                topics.append(topic)
                places.append((number, at))
    return tuple(datasets.pick(manifest, [places[index] for index in stratified_sample(topics, size, seed)]))


async def _score(
    ctx: StepContext,
    rows: tuple[Row, ...],
    rollouts: int,
    judge: Judge,
    outcomes: dict[tuple[int, int], Json],
) -> bool:
    due = [(place, rollout) for place in range(len(rows)) for rollout in range(rollouts)]
    async with bench(ctx) as opened:

        async def one(item: tuple[int, int]) -> None:
            place, rollout = item
            name = f"{place}.{rollout}"
            found = ctx.done.get(name)
            if found is None:
                found = await answer_and_grade(ctx, base_model(ctx), rows[place], judge, opened)
                await ctx.checkpoint(name, found)
            outcomes[item] = found
            await ctx.progress(len(outcomes), len(due), f"{len(outcomes):,} of {len(due):,} answers scored")

        return await each(due, one, stop=ctx.cancelled)


def _scored(rows: tuple[Row, ...], outcomes: dict[tuple[int, int], Json]) -> Scored:
    ordered = dict(sorted(outcomes.items()))
    stats = rules.statistics(
        [outcome["score"] for outcome in ordered.values()],
        topics=[_topic(rows[place]) for place, _ in ordered],
        prompts=[rows[place].id for place, _ in ordered],
    )
    return Scored(rows, ordered, stats)


def _topic(row: Row) -> str | None:
    return None if row.topic in (None, "", UNCATEGORISED) else row.topic


def _stopped(outcomes: dict[tuple[int, int], Json], due: int) -> StepReport:
    facts: Json = {"scored": len(outcomes), "asked": due, "verdict": None}
    return StepReport(
        facts=facts, partial=True, summary=f"stopped after {len(outcomes):,} of {due:,} answers"
    )


# ---------------------------------------------------------------- the result


async def _report(
    ctx: StepContext, manifest: Manifest, judge: Judge, scored: Scored, rollouts: int
) -> StepReport:
    found = rules.findings(scored.stats)
    verdict = rules.verdict(found)
    earlier = await _earlier(ctx)
    compared = iteration.compare(earlier["by_row"], scored.by_row()) if earlier else None
    patterns = [*(earlier["patterns"] if earlier else ()), *((compared.pattern,) if compared else ())]
    next_action = iteration.next_action(scored.stats, found, patterns)
    facts: Json = {
        "verdict": verdict,
        "statistics": _statistics(scored.stats),
        "ranges": RANGES,
        "buckets": list(scored.stats.buckets),
        "by_topic": _by_topic(ctx.workflow, scored.stats, found),
        "findings": [_finding(one, leaf_names(ctx.workflow.topics)) for one in found][:12],
        "cause": rules.cause(found),
        "quality": _quality(found),
        "samples": _samples(scored, card=True),
        "compared": _compared(compared),
        "health": rules.health(scored.stats.mean),
        "next": next_action,
        "ladder": iteration.rung(patterns),
        "stalled": iteration.stalled_twice(patterns),
        "options": options(
            found, verdict, next_action, patterns, may_override=rules.may_override(scored.stats)
        ),
        "may_override": verdict == "NO-GO" and rules.may_override(scored.stats),
        "grader_version": judge.number,
        "dataset_version": manifest.version,
        "rollouts": rollouts,
    }
    whole = {
        **facts,
        "samples": _samples(scored, card=False),
        "by_row": scored.by_row(),
        "patterns": patterns,
    }
    await save_report(ctx, REPORT, {**whole, "outcomes": _outcomes(scored)})
    summary = DryRunSummary(
        task_id=ctx.task.id,
        at=ctx.deps.clock(),
        dataset_version=manifest.version,
        grader_version=judge.number,
        verdict=verdict,
        mean=round(scored.stats.mean, 6),
        std=round(scored.stats.std, 6),
        may_override=rules.may_override(scored.stats),
    )

    def change(workflow: Workflow) -> Workflow:
        return replace(workflow, dry_runs=(*workflow.dry_runs, summary)[-50:])

    line = f"{verdict} • mean {scored.stats.mean:.2f}, std {scored.stats.std:.2f} over {scored.stats.count:,} answers"
    return StepReport(facts=facts, change=change, summary=line, view="dry_run")


async def _earlier(ctx: StepContext) -> Json | None:
    """The last run's scores by row, and how runs have moved since the first. None for a first run."""
    for run in reversed(ctx.workflow.dry_runs):
        report = await load_report(ctx, REPORT, run.task_id)
        if report is not None and report.get("by_row"):
            return {"by_row": report["by_row"], "patterns": list(report.get("patterns") or ())}
    return None


def _statistics(stats: rules.DryRunStats) -> Json:
    return {
        "n": stats.count,
        "errors": stats.errors,
        "mean": round(stats.mean, 4),
        "std": round(stats.std, 4),
        "min": round(stats.minimum, 4),
        "max": round(stats.maximum, 4),
        "median": round(stats.median, 4),
        **{f"p{rank}": round(value, 4) for rank, value in stats.percentiles.items()},
        "above_zero": round(stats.share_above_zero, 4),
        "perfect": round(stats.share_perfect, 4),
        "binary": round(stats.share_binary, 4),
        "zero_variance": stats.zero_variance_share,
    }


def _by_topic(workflow: Workflow, stats: rules.DryRunStats, found: tuple[rules.Finding, ...]) -> list[Json]:
    names = leaf_names(workflow.topics)
    marks = {one.subject: one.quality.get(one.subject, "good") for one in found}
    return [
        {
            "topic": topic.topic,
            "name": names.get(topic.topic, topic.topic),
            "mean": round(topic.mean, 4),
            "std": round(topic.std, 4),
            "count": topic.count,
            "status": marks.get(topic.topic, "good"),
        }
        for topic in stats.topics[:60]
    ]


def _finding(found: rules.Finding, names: Mapping[str, str]) -> Json:
    """For people: a topic by its name. The rules know only ids."""
    message = found.message.replace(found.subject, names.get(found.subject, found.subject), 1)
    return {
        "code": found.code,
        "message": cut(message, 300),
        "severity": found.severity,
        "subject": found.subject,
        "lever": found.lever,
    }


def _quality(found: tuple[rules.Finding, ...]) -> Json:
    """The worst mark of dataset and grader; `good` where nothing was found."""
    order = ("good", "attention", "problem")
    marks = {"dataset": "good", "grader": "good"}
    for one in found:
        for subject in marks:
            mark = str(one.quality.get(subject, "good"))
            marks[subject] = max(marks[subject], mark, key=order.index)
    return dict(marks)


def _samples(scored: Scored, *, card: bool) -> Json:
    keys = list(scored.outcomes)
    chosen = samples([scored.outcomes[key]["score"] for key in keys])
    size = 3 if card else 5

    def pictured(indices: tuple[int, ...]) -> list[Json]:
        found = [shown(scored.rows[keys[index][0]], scored.outcomes[keys[index]]) for index in indices[:size]]
        return (
            [
                {**one, "response": cut(one["response"], 350), "prompt": cut(one["prompt"], 250)}
                for one in found
            ]
            if card
            else found
        )

    groups: Json = {"highest": pictured(chosen.highest), "lowest": pictured(chosen.lowest)}
    return groups if card else {**groups, "around_mean": pictured(chosen.around_mean)}


def _compared(compared: iteration.Comparison | None) -> Json | None:
    if compared is None:
        return None
    return {
        "change": round(compared.delta, 4),
        "trend": compared.pattern,
        "interval": [round(end, 4) for end in compared.interval] if compared.interval else [],
        "within_noise": compared.within_noise,
        "pairs": compared.pairs,
    }


def _outcomes(scored: Scored) -> list[Json]:
    return [
        {"record_id": scored.rows[place].id, "topic": scored.rows[place].topic, "rollout": rollout, **outcome}
        for (place, rollout), outcome in scored.outcomes.items()
    ]


DRY_RUN = Step(
    name="dry_run",
    title="Dry run",
    body=run,
    step="dry_run",
    needs=("valid_rows", "grader", "uploaded_dataset"),
    timeout_seconds=6 * 3600,
)
