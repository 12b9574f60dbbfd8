"""The numbers of a finished training in the shapes that cards, the agent and the workflow's record carry. Pure."""

from __future__ import annotations

from storage.records import Json, Topic
from tasks.rules import evaluation as rules
from tasks.rules.training import TrainingAnalysis
from tasks.steps.common import cut, leaf_names

SHOWN_TOPICS, SHOWN_CRITERIA = 40, 12
NAME_CHARACTERS = 80
KEPT = (
    "before",
    "after",
    "change",
    "significant",
    "interval",
    "count",
    "success",
    "best_checkpoint",
    "next",
    "worst_pattern",
    "note",
)


def figures(found: rules.Evaluation | None) -> Json:
    """The comparison as a whole; empty values when there was none."""
    if found is None:
        return {
            "before": None,
            "after": None,
            "change": None,
            "significant": False,
            "interval": [],
            "count": 0,
        }
    overall = found.overall
    return {
        "before": round(overall.before, 4),
        "after": round(overall.after, 4),
        "change": round(overall.delta, 4),
        "significant": overall.significant,
        "interval": [round(end, 4) for end in overall.interval] if overall.interval else [],
        "p_value": overall.p_value,
        "count": overall.count,
        "skipped": found.skipped,
        "success": found.success,
        "worse_topics": [cut(name, NAME_CHARACTERS) for name in found.worse_topics[:20]],
    }


def tables(found: rules.Evaluation | None, analysis: TrainingAnalysis, topics: tuple[Topic, ...]) -> Json:
    """`by_topic` and `by_criterion`, one line each; the largest topics where there are too many for a card."""
    if found is None:
        return {"by_topic": [], "by_criterion": []}
    names = leaf_names(topics)
    largest = sorted(found.topics, key=lambda topic: (-found.topics[topic].count, topic))[:SHOWN_TOPICS]
    by_topic = [
        {
            "topic": cut(topic, NAME_CHARACTERS),
            **_line(names.get(topic, topic), found.topics[topic]),
            "pattern": analysis.topics.get(topic, ""),
        }
        for topic in largest
    ]
    by_criterion = [_line(name, change) for name, change in list(found.criteria.items())[:SHOWN_CRITERIA]]
    return {"by_topic": by_topic, "by_criterion": by_criterion}


def small(facts: Json) -> Json:
    """What the workflow's record keeps; the whole report is a blob."""
    return {name: facts[name] for name in KEPT if name in facts}


def summary_of(facts: Json) -> str:
    """The pipeline's line: "reward 0.52 → 0.68"."""
    if facts["before"] is None:
        return "trained, not compared"
    return f"reward {facts['before']:.2f} → {facts['after']:.2f}"


def _line(name: str, change: rules.Change) -> Json:
    return {
        "name": cut(name, NAME_CHARACTERS),
        "before": round(change.before, 4),
        "after": round(change.after, 4),
        "change": round(change.delta, 4),
        "count": change.count,
        "worse": change.worse,
    }
