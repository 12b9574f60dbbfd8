"""Every row shape that is recognised without being asked, and how it becomes the record form (domain.md §1).

Each row is recognised by itself, so a file may mix shapes. Columns that a shape does not use are kept in `item`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from storage.rows import Input, Message, Output, Row, split_conversation
from tasks.ingest.careful import read_value
from tasks.ingest.errors import BadRow
from tasks.rules.limits import Limits
from tasks.rules.validation import structure_problem

Shape = Literal[
    "record", "chat", "preference", "ShareGPT", "instruction", "prompt/completion", "classification"
]

PROMPT = ("prompt", "question", "input")
COMPLETION = ("completion", "response", "answer", "output")
ANSWERS = ("output", "response", "completion", "answer")
_CHOSEN = ("chosen", "preferred_output")
_REJECTED = ("rejected", "non_preferred_output")
SHAREGPT_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
}
_OWN = frozenset(("valid", "errors", "error", "tokens", "raw", "problem", "previous_topic", "score"))
_STRUCTURED = frozenset(
    ("messages", "conversations", "input", "output", "tools", "tool_choice", *_CHOSEN, *_REJECTED)
)
MAX_ID = 200


def recognise(value: Mapping[str, Any]) -> Shape:
    """The shape of a row. Raises `BadRow` with missing_input when it is none that we know."""
    if "messages" in value:
        return "chat"
    if isinstance(value.get("input"), dict) and not _has(value, _CHOSEN):
        return "record"
    if _has(value, _CHOSEN) and _has(value, _REJECTED):
        return "preference"
    if "conversations" in value:
        return "ShareGPT"
    if "instruction" in value:
        return "instruction"
    if "text" in value and "label" in value:
        return "classification"
    if _has(value, PROMPT):
        return "prompt/completion"
    columns = ", ".join(sorted(map(str, value))[:5]) or "nothing"
    raise BadRow("missing_input", f"found only {columns[:200]}")


def to_row(value: Mapping[str, Any]) -> tuple[Shape, Row]:
    """The record that a row describes; `id` is "" when it brought none. Raises `BadRow`."""
    shape = recognise(value)
    rest = dict(value)
    row = _READERS[shape](rest)
    found = structure_problem(row.messages)
    if found:
        raise BadRow("invalid_data_structure", found)
    return shape, row


def with_structures(value: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """A row of a table, in which cells that hold lists or objects as text are read as such; what is no JSON stays text."""
    return {name: _structure(cell, limits) if name in _STRUCTURED else cell for name, cell in value.items()}


def _structure(cell: Any, limits: Limits) -> Any:
    if not isinstance(cell, str) or cell.lstrip()[:1] not in ("[", "{"):
        return cell
    try:
        return read_value(cell, limits)
    except BadRow:
        return cell


def _has(value: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(value.get(name) is not None for name in names)


def _take(rest: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if rest.get(name) is not None:
            return rest.pop(name)
    return None


def _record(rest: dict[str, Any]) -> Row:
    given = rest.pop("input")
    if given.get("messages") is None:
        raise BadRow("missing_messages", "input has no messages")
    output = rest.pop("output", None)
    return Row(
        id=_id(rest),
        input=Input(_messages(given["messages"]), _tools(given.get("tools")), given.get("tool_choice")),
        output=_output(output),
        topic=_text_or_none(rest.pop("topic", None)),
        topic_confidence=_share_or_none(rest.pop("topic_confidence", None)),
        topic_method=_text_or_none(rest.pop("topic_method", None)),
        is_generated=rest.pop("is_generated", False) is True,
        provenance=_mapping(rest.pop("provenance", None)),
        item={**_mapping(rest.pop("item", None)), **{k: v for k, v in rest.items() if k not in _OWN}},
    )


def _output(output: Any) -> Output:
    if output is None:
        return Output()
    if not isinstance(output, dict):
        return Output(_messages(output, role="assistant"))
    if "role" in output or "content" in output:
        return Output([output])
    calls = output.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise BadRow("invalid_data_structure", "the output's tool_calls are not a list")
    return Output(_messages(output.get("messages") or []), calls, _text_or_none(output.get("finish_reason")))


def _chat(rest: dict[str, Any]) -> Row:
    messages = rest.pop("messages")
    if messages is None:
        raise BadRow("missing_messages", "messages is null")
    return _conversation(_messages(messages), rest)


def _sharegpt(rest: dict[str, Any]) -> Row:
    turns = rest.pop("conversations")
    if not isinstance(turns, list):
        raise BadRow("invalid_data_structure", "conversations is not a list")
    return _conversation(_system(rest) + [_sharegpt_message(turn) for turn in turns], rest)


def _sharegpt_message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise BadRow("invalid_data_structure", "a turn is not an object")
    if "role" in turn:
        return turn
    speaker = str(turn.get("from", ""))
    more = {name: value for name, value in turn.items() if name not in ("from", "value")}
    return {"role": SHAREGPT_ROLES.get(speaker, speaker), "content": turn.get("value"), **more}


def _instruction(rest: dict[str, Any]) -> Row:
    instruction, given = rest.pop("instruction"), rest.pop("input", None)
    parts = [part for part in (instruction, given) if part]
    if not all(isinstance(part, str) for part in parts):
        raise BadRow("invalid_data_structure", "instruction and input are not text")
    answer = _take(rest, ANSWERS)
    messages = [*_system(rest), {"role": "user", "content": "\n\n".join(parts)}]
    return _conversation([*messages, *_messages(answer or [], role="assistant")], rest)


def _prompt(rest: dict[str, Any]) -> Row:
    prompt, completion = _take(rest, PROMPT), _take(rest, COMPLETION)
    messages = [*_system(rest), *_messages(prompt, role="user")]
    return _conversation([*messages, *_messages(completion or [], role="assistant")], rest)


def _classification(rest: dict[str, Any]) -> Row:
    text, label = rest.pop("text"), rest["label"]
    if isinstance(label, list | dict):
        raise BadRow("invalid_data_structure", "label is neither text nor a number")
    answer = [{"role": "assistant", "content": str(label)}] if label is not None else []
    return _conversation([*_system(rest), *_messages(text, role="user"), *answer], rest)


def _preference(rest: dict[str, Any]) -> Row:
    prompt = _take(rest, PROMPT)
    chosen, rejected = _take(rest, _CHOSEN), _take(rest, _REJECTED)
    better, worse = _messages(chosen, role="assistant"), _messages(rejected, role="assistant")
    if isinstance(prompt, dict):
        rest = {**rest, **{name: prompt[name] for name in ("tools", "tool_choice") if name in prompt}}
        prompt = prompt.get("messages")
    given = _messages(prompt, role="user") if prompt is not None else []
    if not given:  # whole conversations on both sides: they part after the last user message
        given, better = split_conversation(better)
        worse = split_conversation(worse)[1]
    row = _conversation([*_system(rest), *given], {**rest, "rejected": worse})
    return Row(id=row.id, input=row.input, output=Output(better), item=row.item)


def _conversation(messages: list[Message], rest: dict[str, Any]) -> Row:
    before, after = split_conversation(messages)
    tools, choice = _tools(rest.pop("tools", None)), rest.pop("tool_choice", None)
    return Row(id=_id(rest), input=Input(before, tools, choice), output=Output(after), item=rest)


_READERS: dict[Shape, Callable[[dict[str, Any]], Row]] = {
    "record": _record,
    "chat": _chat,
    "preference": _preference,
    "ShareGPT": _sharegpt,
    "instruction": _instruction,
    "prompt/completion": _prompt,
    "classification": _classification,
}


def _messages(value: Any, role: str = "") -> list[Message]:
    """A list of messages as it is, an object with messages, or text as one message of that role."""
    if isinstance(value, str) and not role and value.lstrip().startswith("["):
        value = _parsed(value)
    if isinstance(value, dict):
        value = value.get("messages", [value])
    if isinstance(value, str | int | float) and role:
        return [{"role": role, "content": str(value)}]
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        raise BadRow("invalid_data_structure", "messages is not a list of objects")
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _tools(value: Any) -> list[Any] | None:
    if value is None or isinstance(value, list):
        return value
    if isinstance(value, str) and isinstance(parsed := _parsed(value), list):
        return parsed
    raise BadRow("invalid_data_structure", "tools is not a list")


def _system(rest: dict[str, Any]) -> list[Message]:
    """The system message of a shape that has it as a column; anything but text stays a column."""
    given = rest.get("system")
    if given is not None and not isinstance(given, str):
        return []
    rest.pop("system", None)
    return [{"role": "system", "content": given}] if given else []


def _id(rest: dict[str, Any]) -> str:
    """The row's own id, taken out of it; "" when there is none that can serve."""
    given = rest.get("id")
    if isinstance(given, bool) or not isinstance(given, str | int):
        return ""
    if not 0 < len(str(given)) <= MAX_ID:
        return ""
    return str(rest.pop("id"))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _share_or_none(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value <= 1 else None
