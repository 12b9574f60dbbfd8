"""The answer schemas of structured calls, spelled once (docs/model-calls.md). Strict: everything required, nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from storage.records import Json
from tasks.models.port import OutputSchema

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
INTEGER: Json = {"type": "integer"}
TEXTS: Json = {"type": "array", "items": TEXT}
NONE = "none"


def topic_hierarchy() -> OutputSchema:
    topic = _object(path=TEXTS, description=TEXT, keywords=TEXTS, clusters=_list(INTEGER))
    return OutputSchema("topic_hierarchy", _object(topics=_list(topic)))


def topic_changes() -> OutputSchema:
    kinds = {"type": "string", "enum": ["add", "rename", "remove", "merge", "move"]}
    operation = _object(op=kinds, topic=TEXT, name=TEXT, parent=TEXT, into=TEXT)
    return OutputSchema("topic_changes", _object(operations=_list(operation), summary=TEXT))


def topic_labels(leaf_ids: Sequence[str]) -> OutputSchema:
    """Only known leaves, or "none", can be answered."""
    label = _object(row=INTEGER, topic={"type": "string", "enum": [*leaf_ids, NONE]}, confidence=NUMBER)
    return OutputSchema("topic_labels", _object(labels=_list(label)))


def synthetic_rows(*, mode: str) -> OutputSchema:
    """`mode` rft asks for a text a row, sft for a whole conversation."""
    message = _object(role={"type": "string", "enum": ["system", "user", "assistant", "tool"]}, content=TEXT)
    content: Json = {"messages": _list(message)} if mode == "sft" else {"text": TEXT}
    return OutputSchema("synthetic_rows", _object(rows=_list(_object(seed=INTEGER, persona=TEXT, **content))))


def grader_criteria() -> OutputSchema:
    criterion = _object(name=TEXT, description=TEXT, weight=NUMBER)
    return OutputSchema("grader_criteria", _object(criteria=_list(criterion), summary=TEXT))


def judgement() -> OutputSchema:
    score: Json = {"type": "number", "minimum": 0, "maximum": 1}
    return OutputSchema("judgement", _object(score=score, reasoning=TEXT))


def label(labels: Sequence[str]) -> OutputSchema:
    return OutputSchema("label", _object(label={"type": "string", "enum": list(labels)}, reasoning=TEXT))


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(**properties: Any) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
