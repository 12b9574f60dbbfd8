"""What sorting rows into topics comes to: the new version, its numbers, and the coverage that follows from it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from storage.manifests import Manifest, PartRef
from storage.records import Json, Workflow
from storage.rows import UNCATEGORISED
from tasks.rules import topics as topic_rules
from tasks.step import Next, StepContext, StepReport
from tasks.steps import coverage
from tasks.steps.common import dataset_record, leaf_names, make_version_once, standing_on
from tasks.steps.learning import LEARNED
from tasks.steps.rebase import onto_newest

COLUMNS = ("topic", "topic_confidence", "topic_method", "previous_topic")


async def report(
    ctx: StepContext,
    manifest: Manifest,
    changed: dict[int, PartRef],
    parts: dict[int, Json],
    threshold: float,
    *,
    partial: bool,
) -> StepReport:
    datasets = ctx.deps.datasets
    target, changed = await onto_newest(ctx, manifest, changed, columns=COLUMNS)
    labelled = await make_version_once(
        ctx,
        lambda: datasets.commit(target, changed, operation="categorize", by=ctx.task.by, at=ctx.deps.clock()),
    )
    low = await asyncio.to_thread(_low_count, ctx, labelled, threshold)
    facts = _facts(ctx, labelled, parts, threshold, low)
    newest = standing_on(ctx.workflow, labelled)
    covered = coverage.facts(newest, labelled.totals)

    def change(workflow: Workflow) -> Workflow:
        if workflow.dataset_version not in (manifest.version, target.version):
            return (
                workflow  # the rows were changed while this was being written; the next step works on those
            )
        stands = standing_on(workflow, labelled)
        return replace(stands, coverage=coverage.facts(stands, labelled.totals))

    return StepReport(
        facts=facts,
        change=change,
        summary=f"{len(leaf_names(ctx.workflow.topics))} topics • {facts['assigned_count']:,} records",
        view="categorised",
        records=await dataset_record(ctx, labelled),
        then=() if partial or target is manifest else _again_for_late_rows(ctx, labelled),
        events=() if partial else (coverage.event(ctx.workflow, covered, key=f"coverage:{ctx.task.id}"),),
        partial=partial,
    )


def _again_for_late_rows(ctx: StepContext, labelled: Manifest) -> tuple[Next, ...]:
    """Rows that were added or edited while the others were sorted, and have no topic of this tree, are sorted next."""
    if labelled.totals.unlabelled:
        return (Next("categorize", {"mode": "unlabeled_only"}),)
    return coverage.again_for_new_topics(ctx.workflow, labelled)


def _facts(ctx: StepContext, labelled: Manifest, parts: dict[int, Json], threshold: float, low: int) -> Json:
    totals, learned = labelled.totals, ctx.done.get(LEARNED, {})
    tokens = _summed(parts, "tokens")
    tokens["llm"] = tokens.get("llm", 0) + int(learned.get("tokens", 0))
    names = leaf_names(ctx.workflow.topics)
    by_topic: Json = {
        topic: {
            "name": names[topic],
            "count": found.rows,
            "average_confidence": round(found.average_confidence, 4),
            "band": topic_rules.band(found.average_confidence),
        }
        for topic in list(names)[:80]
        if (found := totals.topics.get(topic)) is not None
    }
    return {
        "assigned_count": sum(found.rows for topic, found in totals.topics.items() if topic in names),
        "low_confidence_count": low,
        "uncategorized_count": totals.uncategorised,
        "threshold": threshold,
        "by_topic": by_topic,
        "by_method": dict(totals.methods),
        "rows_by_stage": _summed(parts, "rows"),
        "tokens": tokens,
        "asked_count": int(learned.get("asked", 0)) + sum(int(saved["asked"]) for saved in parts.values()),
        "learned_from": int(learned.get("asked", 0)),
        "reliability": learned.get("reliability") or {"measured_on": 0},
        "dataset_version": labelled.version,
    }


def _summed(parts: dict[int, Json], name: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for saved in parts.values():
        for key, count in saved[name].items():
            total[key] = total.get(key, 0) + int(count)
    return total


def _low_count(ctx: StepContext, manifest: Manifest, threshold: float) -> int:
    count = 0
    for number in range(len(manifest.parts)):
        columns = ctx.deps.datasets.columns(manifest, number, ("error", "topic", "topic_confidence"))
        rows = zip(columns["error"], columns["topic"], columns["topic_confidence"], strict=True)
        count += sum(
            1
            for error, topic, confidence in rows
            if not error and topic and topic != UNCATEGORISED and (confidence or 0.0) < threshold - 1e-9
        )
    return count
