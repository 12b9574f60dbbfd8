"""The card before many rows are changed: how many exactly, a few of them, what it does to the coverage, how to undo it.

Made by the tools where counting is quick, and by `find_rows` where a worker counts first. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from storage.manifests import Manifest
from storage.records import Json, Workflow
from storage.rows import UNCATEGORISED, Row, conversation_text, last_user_message
from tasks.rules import coverage as rules
from tasks.rules import topics as topic_rules
from tasks.selection import Found, Selection, to_params
from tasks.step import Draft

Action = Literal["delete", "move", "restore"]
EXAMPLE_CHARACTERS = 200
SHOWN_TOPICS = 12


def draft(
    workflow: Workflow,
    manifest: Manifest,
    selection: Selection,
    found: Found,
    examples: Sequence[Row],
    *,
    action: Action,
    topic: str = "",
) -> Draft:
    """The proposal to delete these rows, or to move them to a topic. `manifest` is the version that was counted."""
    names = {leaf.id: leaf.name for leaf in topic_rules.leaves(workflow.topics)}
    verb = "Delete" if action == "delete" else "Move"
    rows = f"{found.rows:,} row{'s' if found.rows != 1 else ''}"
    where = f" to {names.get(topic, topic)}" if action == "move" else ""
    payload: Json = {
        "params": {
            **to_params(selection),
            "action": action,
            "topic": topic,
            "version": manifest.version,
            "count": found.rows,
        },
        "action": action,
        "count": found.rows,
        "valid": found.valid,
        "total": manifest.totals.rows,
        "everything": selection.is_everything,
        "topic": names.get(topic, topic),
        "which": which(selection, names),
        "examples": [
            {"text": preview(row, EXAMPLE_CHARACTERS), "topic": row.topic or ""} for row in examples
        ],
        "coverage": _coverage(workflow, manifest, found, names, action, topic),
        "version": manifest.version,
        "warnings": _warnings(workflow, manifest, found, action),
    }
    return Draft("rows", f"{verb} {rows}{where}"[:140], payload)


def restoring(workflow: Workflow, now: Manifest, then: Manifest) -> Draft:
    """The proposal to stand on an earlier (or later) version again."""
    payload: Json = {
        "params": {"action": "restore", "version": then.version},
        "action": "restore",
        "count": then.totals.rows,
        "valid": then.totals.valid,
        "total": now.totals.rows,
        "version": now.version,
        "to": then.version,
        "made_by": then.head.operation,
        "warnings": _results_of_before(workflow),
    }
    return Draft("rows", f"Go back to dataset version {then.version}", payload)


def which(selection: Selection, names: dict[str, str]) -> list[str]:
    """The selection in plain words, one condition each."""
    where = selection.where
    if selection.ids:
        return [f"{len(selection.ids)} named row{'s' if len(selection.ids) != 1 else ''}"]
    words = []
    if where.topic:
        words.append(
            "no topic" if where.topic == UNCATEGORISED else f"topic {names.get(where.topic, where.topic)}"
        )
    if where.valid is not None:
        words.append("valid" if where.valid else "rejected")
    if where.confidence:
        words.append(f"sure to {_span(where.confidence)}")
    if where.score:
        words.append(f"score {_span(where.score)}")
    if where.source:
        words.append(where.source)
    if where.text:
        words.append(f"saying “{where.text[:80]}”")
    return words or ["every row"]


def preview(row: Row, characters: int) -> str:
    """The beginning of what a row says: its last user message, else its conversation, else the text as it came."""
    text = last_user_message(row) or conversation_text(row.messages) or row.raw
    return text if len(text) <= characters else text[:characters] + "…"


def _span(bounds: tuple[float, float]) -> str:
    low, high = bounds
    if low <= 0:
        return f"below {high:g}"
    return f"{low:g} or more" if high > 1 else f"{low:g} to {high:g}"


def _coverage(
    workflow: Workflow, manifest: Manifest, found: Found, names: dict[str, str], action: Action, topic: str
) -> Json:
    """Balance and rows by topic, before and after; {} without topics."""
    if not names:
        return {}
    totals = manifest.totals.topics
    before = {id: totals[id].rows if id in totals else 0 for id in names}
    after = {id: rows - found.by_topic.get(id, 0) for id, rows in before.items()}
    if action == "move" and topic in after:
        after[topic] += found.valid
    targets = dict(workflow.targets) or None
    moved = [id for id in names if before[id] != after[id]]
    lines = [{"name": names[id], "before": before[id], "after": after[id]} for id in moved[:SHOWN_TOPICS]]
    return {
        "balance_before": _rounded(rules.balance_score(before, targets)),
        "balance_after": _rounded(rules.balance_score(after, targets)),
        "topics": lines,
        "more": max(0, len(moved) - SHOWN_TOPICS),
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def _warnings(workflow: Workflow, manifest: Manifest, found: Found, action: Action) -> list[str]:
    words = []
    left = manifest.totals.valid - found.valid
    if action == "delete" and left == 0:
        words.append(
            "No valid row would be left: nothing can be sorted, generated or trained until rows come."
        )
    elif action == "delete" and 0 < left < 10:
        words.append(f"Only {left} valid rows would be left.")
    return words + _results_of_before(workflow)


def _results_of_before(workflow: Workflow) -> list[str]:
    """What was made of the rows as they are, and stays as it is."""
    words = []
    if workflow.deployment:
        words.append(
            f"The deployed model {workflow.deployment.model_id} stays as it is: it has learned from the rows as they are now."
        )
    elif workflow.training and workflow.training.status in ("pending", "queued", "running", "paused"):
        words.append("The training that runs goes on with the rows that it began with.")
    if workflow.upload and workflow.upload.dataset_version == workflow.dataset_version:
        words.append(
            "The dataset has to be uploaded again, and the dry run repeated, before the next training."
        )
    return words
