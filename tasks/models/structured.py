"""Answers that must be JSON: found in what a model wrote, checked against the schema that was asked for.

Understands the part of JSON Schema that this project's schemas use (docs/model-calls.md). Asks nobody: `wire.py` does.
"""

from __future__ import annotations

import json
import re
from typing import Any

from storage.records import Json
from tasks.models.port import ModelAnswerInvalid, OutputSchema

_FENCED = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)


def parse(text: str, schema: OutputSchema) -> Any:
    """The JSON value in `text`, bare, fenced or wrapped in prose. Raises `ModelAnswerInvalid` saying what does not fit."""
    value = _find(text)
    problem = mismatch(value, schema.schema)
    if problem:
        raise ModelAnswerInvalid(f"{schema.name}: {problem}")
    return value


def instruction(schema: OutputSchema) -> str:
    """What a server without structured output is told instead."""
    shape = json.dumps(schema.schema, sort_keys=True)
    return f"Answer with one JSON value and nothing else: no prose, no code fence. It must be valid for this JSON schema:\n{shape}"


def mismatch(value: Any, schema: Json, path: str = "answer") -> str:
    """The first place where `value` is not valid for `schema`, in words; "" when it is."""
    if "anyOf" in schema:
        found = [mismatch(value, option, path) for option in schema["anyOf"]]
        return "" if "" in found else found[0]
    if "enum" in schema and value not in schema["enum"]:
        return f"{path} is {_short(value)}, not one of the allowed values"
    types = schema.get("type", [])
    names = types if isinstance(types, list) else [types]
    if names and not any(_is(value, name) for name in names):
        return f"{path} should be {' or '.join(names)}, not {_short(value)}"
    if isinstance(value, dict):
        return _object_mismatch(value, schema, path)
    if isinstance(value, list):
        return _array_mismatch(value, schema, path)
    return _bounds_mismatch(value, schema, path)


def _object_mismatch(value: Json, schema: Json, path: str) -> str:
    known = schema.get("properties", {})
    absent = [name for name in schema.get("required", ()) if name not in value]
    if absent:
        return f"{path} lacks {', '.join(absent)}"
    if schema.get("additionalProperties") is False:
        unknown = [name for name in value if name not in known]
        if unknown:
            return f"{path} has the unknown field {_short(unknown[0])}"
    problems = (
        mismatch(value[name], inner, f"{path}.{name}") for name, inner in known.items() if name in value
    )
    return next((problem for problem in problems if problem), "")


def _array_mismatch(value: list[Any], schema: Json, path: str) -> str:
    if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", len(value)):
        return f"{path} has {len(value)} items"
    inner = schema.get("items", {})
    problems = (mismatch(item, inner, f"{path}[{place}]") for place, item in enumerate(value))
    return next((problem for problem in problems if problem), "")


def _bounds_mismatch(value: Any, schema: Json, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if value < schema.get("minimum", value) or value > schema.get("maximum", value):
        return f"{path} is {value}, outside {schema.get('minimum', '')}…{schema.get('maximum', '')}"
    return ""


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "number": (int, float),
        "null": (type(None),),
    }
    return isinstance(value, kinds.get(name, ()))


def _find(text: str) -> Any:
    candidates = [text, *(match.group(1) for match in _FENCED.finditer(text)), *_outermost(text)]
    for candidate in candidates:
        try:
            return json.loads(candidate.strip(), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
    raise ModelAnswerInvalid("the answer is not JSON" if text.strip() else "the answer is empty")


def _outermost(text: str) -> list[str]:
    """From the first opening bracket to the last closing one, for answers wrapped in prose."""
    spans = [(text.find(opening), text.rfind(closing)) for opening, closing in ("{}", "[]")]
    return [text[first : last + 1] for first, last in sorted(spans) if -1 < first < last]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
