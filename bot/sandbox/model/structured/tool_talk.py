"""Conversations that use tools, made from the definitions alone: what a tool is for in plain words, calls that fit, results.

Knows no tool by name: words come from descriptions and parameters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.sandbox.model.asks import Json
from bot.sandbox.model.words import content_words, number_from

_VERB = re.compile(
    r"^(get|gets|fetch|fetches|look up|looks up|find|finds|return|returns|retrieve|retrieves|list|lists)\s+",
    re.I,
)


def purposes(tools: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """(name, what it is good for): the description without its verb, and without the tool's own name in it."""
    for tool in tools:
        inner = _inner(tool)
        name, told = str(inner.get("name") or ""), str(inner.get("description") or "").strip()
        named = re.sub(r"[_\W]+", " ", name).strip().lower()
        plain = _VERB.sub("", re.split(r"(?<=[.!?])\s", told)[0]).rstrip(".")
        plain = re.sub(re.escape(named), "that", plain, flags=re.I) if named else plain
        yield name, f"{plain[:1].lower()}{plain[1:]}" if plain else "one more thing done"


def chained(text: str, chain: Sequence[str], tools: Sequence[Any]) -> list[Json]:
    """The request, one call and its result after the other, and an answer made from the results."""
    known = {str(_inner(tool).get("name")): _inner(tool) for tool in tools}
    messages = [_message("user", text)]
    results = []
    for place, name in enumerate(chain):
        id = f"call_{place + 1}"
        arguments = _value(_inner(known.get(name, {})).get("parameters") or {"type": "object"}, text, name)
        call = {"id": id, "name": name, "arguments": json.dumps(arguments)}
        result = json.dumps({"ok": True, "reference": f"R{number_from(name, text) % 9000 + 1000}"})
        results.append(f"R{number_from(name, text) % 9000 + 1000}")
        messages += [
            {**_message("assistant", ""), "tool_calls": [call]},
            {**_message("tool", result), "tool_call_id": id},
        ]
    said = f"It is done: I looked it up step by step; your references are {', '.join(results)}. Is there anything else?"
    return [*messages, _message("assistant", said)]


def _message(role: str, content: str) -> Json:
    return {"role": role, "content": content, "tool_calls": [], "tool_call_id": ""}


def _inner(tool: Any) -> Mapping[str, Any]:
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {}


def _value(schema: Mapping[str, Any], text: str, name: str) -> Any:
    """A value that fits the schema, made of the request's words."""
    if schema.get("enum"):
        return schema["enum"][number_from(text, name) % len(schema["enum"])]
    if "const" in schema:
        return schema["const"]
    if schema.get("anyOf"):
        return _value(schema["anyOf"][0], text, name)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        wanted = schema.get("required") or list(schema.get("properties") or {})
        return {key: _value((schema.get("properties") or {}).get(key) or {}, text, key) for key in wanted}
    if kind == "array":
        return [_value(schema.get("items") or {}, text, name)]
    if kind in ("integer", "number"):
        number = number_from(text, name) % 90 + 1
        return min(max(number, schema.get("minimum", number)), schema.get("maximum", number))
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    reference = re.search(r"\b(?=\w*\d)[\w-]{3,}\b", text)
    return reference.group() if reference else " ".join(content_words(text)[:3]) or "unknown"
