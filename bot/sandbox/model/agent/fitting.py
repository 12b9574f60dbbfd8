"""Fits a call's arguments to the schema of the tool on offer: its names, its types, nothing it does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.sandbox.model.asks import Json, Tool
from bot.sandbox.model.words import content_words, stem

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "count": ("count_per_topic", "total", "n"),
    "count_per_topic": ("count", "total", "n"),
    "prompt": ("message", "text", "question", "input"),
    "training_goals": ("goal", "training_goal", "goals"),
    "target_topics": ("topics",),
    "sample_size": ("count", "n"),
    "job_id": ("task_id",),
    "lens": ("organise_by", "perspective"),
}


def fit(arguments: Mapping[str, Any], tool: Tool) -> Json:
    """Only what the schema knows, in its types; required parameters without a value are filled with null or nothing."""
    properties: Json = tool.parameters.get("properties") or {}
    fitted: Json = {}
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in sorted(
        given, key=lambda one: one not in properties
    ):  # its own name first, other names for what is left
        known = next((key for key in (name, *_SYNONYMS.get(name, ())) if key in properties), None)
        if known is not None and known not in fitted:
            fitted[known] = _typed(given[name], properties[known])
    for name in tool.parameters.get("required") or ():
        if name not in fitted:
            fitted[name] = _absent(properties.get(name) or {})
    return fitted


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value in the schema's type; objects keep what their schema knows, enums their closest member."""
    options = [option for option in schema.get("anyOf") or () if option.get("type") != "null"]
    if options:
        return _typed(value, next((one for one in options if _is_type(value, one.get("type"))), options[0]))
    kind = schema.get("type")
    if "const" in schema:
        return schema["const"]
    if schema.get("enum") and value not in schema["enum"]:
        near = [one for one in schema["enum"] if set(_stems_of(one)) & set(_stems_of(value))]
        return near[0] if near else schema["enum"][0]
    if kind == "string" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if kind == "integer" and isinstance(value, (int, float)):
        return int(value)
    if kind == "object" and isinstance(value, dict) and schema.get("properties"):
        return fit(value, Tool("", "", dict(schema)))
    if kind == "array" and isinstance(value, list):
        return [_typed(item, schema.get("items") or {}) for item in value]
    return value


def _is_type(value: Any, kind: object) -> bool:
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,), "number": (int, float), "integer": (int,), "object": (dict,), "array": (list,), "boolean": (bool,),
    }  # fmt: skip
    return isinstance(value, kinds.get(str(kind), (object,)))


def _absent(schema: Mapping[str, Any]) -> Any:
    """What stands for "not given" in a required parameter."""
    if "default" in schema:
        return schema["default"]
    kinds = schema.get("type")
    if any(option.get("type") == "null" for option in schema.get("anyOf") or ()) or (
        isinstance(kinds, list) and "null" in kinds
    ):
        return None
    if schema.get("enum"):
        return schema["enum"][0]
    empty: Json = {"array": [], "object": {}, "integer": 0, "number": 0, "boolean": False}
    return empty.get(str(kinds), "")


def _stems_of(value: object) -> list[str]:
    return [stem(word) for word in content_words(str(value).replace("_", " "))]
