"""Coverage of a dataset version as cards, tools and the workflow's record show it: JSON made from totals, no rows read."""

from __future__ import annotations

from storage.manifests import Manifest, Summary
from storage.records import Json, OutboxEvent, Workflow
from tasks.rules import coverage as rules
from tasks.rules import topics as topic_rules
from tasks.step import Next

SHOWN_TOPICS = 80
SHOWN_ADVICE = 12


def measure(workflow: Workflow, totals: Summary) -> rules.Coverage:
    """The workflow's leaf topics against its targets; rows of topics that are gone count as uncategorised."""
    counts = {leaf.id: 0 for leaf in topic_rules.leaves(workflow.topics)}
    strays = 0
    for topic, found in totals.topics.items():
        if topic in counts:
            counts[topic] = found.rows
        else:
            strays += found.rows
    valid = max(1, totals.valid)
    return rules.analyze(
        counts,
        dict(workflow.targets) or None,
        uncategorised=totals.uncategorised + totals.unlabelled + strays,
        synthetic=totals.valid_generated,
        multi_turn_share=(totals.valid - totals.single_turn) / valid,
    )


def facts(workflow: Workflow, totals: Summary) -> Json:
    """The `coverage` event's data (docs/events.md); {} without topics."""
    if not workflow.topics:
        return {}
    found = measure(workflow, totals)
    names = {leaf.id: leaf.name for leaf in topic_rules.leaves(workflow.topics)}
    searched = {
        leaf.id: f"{leaf.name} {' '.join(leaf.keywords)}" for leaf in topic_rules.leaves(workflow.topics)
    }
    return {
        "workflow_id": workflow.id,
        "balance_score": None if found.score is None else round(found.score, 4),
        "rating": found.rating,
        "min_max_ratio": None if found.min_max_ratio is None else round(found.min_max_ratio, 4),
        "distribution": [_line(entry, names) for entry in found.distribution[:SHOWN_TOPICS]],
        "under_represented": list(found.under)[:SHOWN_TOPICS],
        "recommendations": [
            {
                "topic": advice.topic,
                "name": names.get(advice.topic, ""),
                "action": advice.action,
                "reason": advice.reason,
                "suggested_count": advice.suggested_count,
                "strategy": advice.strategy,
            }
            for advice in rules.recommendations(found, workflow.goal, searched)[:SHOWN_ADVICE]
        ],
        "uncategorized_count": found.uncategorised,
        "total": found.total,
        "synthetic_share": round(found.synthetic_share, 4),
        "ready": found.ready,
        "not_ready_because": [problem.message for problem in found.reasons],
    }


def again_for_new_topics(workflow: Workflow, manifest: Manifest) -> tuple[Next, ...]:
    """Sorting once more, where the topics were changed while an operation worked and its rows carry topics that are gone."""
    known = {leaf.id for leaf in topic_rules.leaves(workflow.topics)}
    strays = [topic for topic, found in manifest.totals.topics.items() if found.rows and topic not in known]
    return (Next("categorize", {"mode": "unlabeled_only"}),) if known and strays else ()


def event(workflow: Workflow, data: Json, *, key: str) -> OutboxEvent:
    """The coverage card as a new message of the workflow's thread."""
    return OutboxEvent(
        kind="coverage", channel=workflow.channel, thread_ts=workflow.thread_ts, data=data, key=key
    )


def _line(entry: rules.TopicCoverage, names: dict[str, str]) -> Json:
    return {
        "topic": entry.topic,
        "name": names.get(entry.topic, entry.topic),
        "count": entry.count,
        "percentage": round(entry.percentage, 2),
        "target": round(entry.target, 2),
        "gap": round(entry.gap, 2),
        "status": entry.status,
    }
