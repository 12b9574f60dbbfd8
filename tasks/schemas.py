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


def synthetic_rows(*, mode: str, strategy: str = "few_shot") -> OutputSchema:
    """`mode` rft asks for a text a row, sft for a whole conversation. `row` is the number of the brief that was followed."""
    content: Json = {"messages": _list(_turn(strategy))} if mode == "sft" else {"text": TEXT}
    row = _object(row=INTEGER, seed=INTEGER, persona=TEXT, **_STRATEGY_PARTS.get(strategy, {}), **content)
    return OutputSchema("synthetic_rows", _object(rows=_list(row)))


_STRATEGY_PARTS: dict[str, Json] = {
    "topic_description": {
        "keyword": TEXT,
        "difficulty": {"type": "string", "enum": ["easy", "medium", "hard"]},
    },
    "scenario_expansion": {"scenario": TEXT},
    "tool_chain": {"tools": TEXTS},
}


def _turn(strategy: str) -> Json:
    """A message of a generated conversation; only tool chains have calls and results in it."""
    if strategy != "tool_chain":
        return _object(role={"type": "string", "enum": ["system", "user", "assistant", "tool"]}, content=TEXT)
    call = _object(id=TEXT, name=TEXT, arguments=TEXT)
    role = {"type": "string", "enum": ["system", "user", "assistant", "tool"]}
    return _object(role=role, content=TEXT, tool_calls=_list(call), tool_call_id=TEXT)


def goal_topics() -> OutputSchema:
    """Topics and voices that follow from a goal, where there are no rows to find them in."""
    topic = _object(path=TEXTS, description=TEXT, keywords=TEXTS)
    return OutputSchema("goal_topics", _object(topics=_list(topic), personas=TEXTS))


def personas() -> OutputSchema:
    return OutputSchema("personas", _object(personas=TEXTS))


def paraphrases() -> OutputSchema:
    return OutputSchema("paraphrases", _object(rows=_list(_object(row=INTEGER, text=TEXT))))


def translations() -> OutputSchema:
    """`language` is that of the text as it came, so that it can be translated back."""
    return OutputSchema("translations", _object(rows=_list(_object(row=INTEGER, language=TEXT, text=TEXT))))


def knowledge_rows(kind: str) -> OutputSchema:
    """Rows from passages: a procedure answers in `steps`, the others with a text."""
    content: Json = {"steps": TEXTS} if kind == "procedures" else {"answer": TEXT}
    row = _object(passage=INTEGER, question=TEXT, **content, quote=TEXT)
    return OutputSchema(f"knowledge_{kind}", _object(rows=_list(row)))


def knowledge_check() -> OutputSchema:
    check = _object(row=INTEGER, supported={"type": "boolean"}, quote=TEXT)
    return OutputSchema("knowledge_check", _object(checks=_list(check)))


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
