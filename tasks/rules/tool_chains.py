"""Whether a generated row really needs, and really uses, a chain of tools. Definitions are those of the rows themselves.

`tools` are OpenAI's `{"type": "function", "function": {"name", "description", "parameters"}}`, or the inner object alone. The
check of arguments knows the parts of JSON Schema that tool definitions are written in; what it does not know it lets pass.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.rules.generation import normalised

MOST_PATTERNS = 12
LONGEST = 6
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}

Definition = Mapping[str, Any]


def function_of(tool: Any) -> Definition:
    """The part of a definition that has name and parameters; {} for what is none."""
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else {}
    return inner if isinstance(inner, Mapping) and isinstance(inner.get("name"), str) else {}


def catalogue(lists: Iterable[Sequence[Any] | None]) -> dict[str, Any]:
    """Definitions by name, in the order in which they first occur; the first definition of a name counts."""
    found: dict[str, Any] = {}
    for tools in lists:
        for tool in tools or ():
            name = function_of(tool).get("name")
            if name:
                found.setdefault(str(name), tool)
    return found


def calls_in(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(tool, arguments as JSON text) of every call in a conversation, in order."""
    calls = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            inner = call.get("function", call) if isinstance(call, Mapping) else {}
            calls.append((str(inner.get("name") or ""), inner.get("arguments") or ""))
    return calls


def patterns_in(conversations: Iterable[Sequence[Mapping[str, Any]]]) -> list[tuple[str, ...]]:
    """The chains of two tools and more that conversations call, the most frequent first."""
    seen: Counter[tuple[str, ...]] = Counter()
    for messages in conversations:
        chain = tuple(name for name, _ in calls_in(messages))[:LONGEST]
        if len(chain) > 1:
            seen[chain] += 1
    return [chain for chain, _ in seen.most_common(MOST_PATTERNS)]


def named_tool(text: str, names: Iterable[str]) -> str:
    """The tool that a text gives away, "" when it names none.

    A name of several words is given away in any spelling ("get_order", "getOrder", "get order"); a single everyday word
    ("search") only where it is meant as a tool: in quotes or code marks, or beside "tool", "function", "API".
    """
    plain = f" {normalised(text)} "
    for name in names:
        words = normalised(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).split()
        if len(words) > 1:
            said = f" {' '.join(words)} " in plain or f" {''.join(words)} " in plain
        else:
            word = re.escape(words[0]) if words else "$^"
            said = bool(
                re.search(
                    rf"[`\"'“]{word}[`\"'”]|\b{word}\s*\(\)|\b{word} (?:tool|function|api)\b|\b(?:tool|function|api) {word}\b",
                    text,
                    re.IGNORECASE,
                )
            )
        if said:
            return name
    return ""


def chain_problem(
    messages: Sequence[Mapping[str, Any]], pattern: Sequence[str], tools: Mapping[str, Any]
) -> str:
    """Why a conversation does not follow the chain: order, arguments, results, and an answer at the end; "" when it does."""
    calls = calls_in(messages)
    called = [name for name, _ in calls]
    if called != list(pattern):
        return f"Calls {' → '.join(called) or 'no tool'} instead of {' → '.join(pattern)}."
    for name, arguments in calls:
        problem = arguments_problem(arguments, function_of(tools.get(name)).get("parameters") or {})
        if problem:
            return f"{name}: {problem}"
    asked = [
        str(call.get("id"))
        for message in messages
        for call in message.get("tool_calls") or ()
        if isinstance(call, Mapping)
    ]
    answered = [
        str(message.get("tool_call_id"))
        for message in messages
        if message.get("role") == "tool" and message.get("content")
    ]
    if sorted(asked) != sorted(answered):
        return "Not every call has its result."
    return ""


def arguments_problem(arguments: Any, schema: Mapping[str, Any]) -> str:
    """What is wrong with a call's arguments; "" when they fit the tool's parameters."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            return "the arguments are not JSON."
    if not isinstance(arguments, dict):
        return "the arguments are not an object."
    return misfit(arguments, schema, "arguments")


def misfit(value: Any, schema: Mapping[str, Any], at: str) -> str:
    """The first place where a value does not fit a JSON schema; "" when it fits."""
    kinds = schema.get("type")
    allowed = [kinds] if isinstance(kinds, str) else list(kinds or ())
    if allowed and not any(_is(value, kind) for kind in allowed):
        return f"{at} is not {' or '.join(map(str, allowed))}."
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} is none of {schema['enum']!r}."
    if "const" in schema and value != schema["const"]:
        return f"{at} is not {schema['const']!r}."
    if schema.get("anyOf") and all(misfit(value, one, at) for one in schema["anyOf"]):
        return f"{at} fits none of its alternatives."
    if isinstance(value, dict):
        return _object_misfit(value, schema, at)
    if isinstance(value, list):
        found = (
            misfit(item, schema.get("items") or {}, f"{at}[{place}]") for place, item in enumerate(value)
        )
        return next((problem for problem in found if problem), "")
    return _range_misfit(value, schema, at)


def _object_misfit(value: Mapping[str, Any], schema: Mapping[str, Any], at: str) -> str:
    known = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            return f"{at}.{name} is missing."
    for name, inner in value.items():
        if name in known:
            problem = misfit(inner, known[name], f"{at}.{name}")
            if problem:
                return problem
        elif schema.get("additionalProperties") is False:
            return f"{at}.{name} is not a parameter."
    return ""


def _range_misfit(value: Any, schema: Mapping[str, Any], at: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            return f"{at} is below {schema['minimum']}."
        if "maximum" in schema and value > schema["maximum"]:
            return f"{at} is above {schema['maximum']}."
    return ""


def _is(value: Any, kind: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES.get(str(kind), (object,)))
