"""A row looked at and a row cleaned, message by message and column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from storage.records import Json
from storage.rows import Message, Row, content_text
from tasks.cleaning.phones import phone_spans
from tasks.rules.cleaning import PERSONAL, FormatProblem, format_problems, is_refusal, mended
from tasks.rules.personal_data import KINDS, MASKED, Kind, Placeholders, find, masked

EXCERPT = 140
MARKS = {"\t": "→", "\n": "⏎", "\r": "\\r", "\u00a0": "⍽", "\u200b": "⌷", "\ufeff": "⌷", "\u2060": "⌷"}
DEEPEST = 100  # nesting of a column that is looked into
Change = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Choices:
    """What to do; the names are those of the tool's parameters."""

    remove_duplicates: bool = True
    near_duplicates: bool = False
    fix_formatting: bool = True
    empty_turns: bool = True
    refusals: bool = False
    personal_data: PERSONAL = "report"

    @classmethod
    def of(cls, params: Json) -> Choices:
        """From a tool's or proposal's parameters; what is missing is at its default."""
        mode = params.get("personal_data")
        given = {name: bool(params[name]) for name in SWITCHES if params.get(name) is not None}
        return cls(**given, personal_data=mode if mode in ("mask", "drop") else "report")

    def params(self) -> Json:
        return {**{name: getattr(self, name) for name in SWITCHES}, "personal_data": self.personal_data}


SWITCHES = ("remove_duplicates", "near_duplicates", "fix_formatting", "empty_turns", "refusals")


@dataclass(frozen=True, slots=True)
class RowScan:
    """What is wrong with one row, and an excerpt of each kind: (before, after), personal data masked in both."""

    formatting: tuple[FormatProblem, ...] = ()
    empty_turns: int = 0
    refusal: bool = False
    personal: tuple[Kind, ...] = ()
    excerpts: tuple[tuple[str, str, str], ...] = ()


def scan(row: Row) -> RowScan:
    """Looks at everything in a row, whatever may be done about it later."""
    formatting, formatted = _formatting(row)
    personal, shown = _personal(row)
    empty = len(row.messages) - len(_spoken(row.input.messages)) - len(_spoken(row.output.messages))
    refusal = is_refusal(row.reference_answer)
    excerpts: list[tuple[str, str, str]] = []
    if formatting:
        excerpts.append(("formatting", *formatted))
    if refusal:
        excerpts.append(("refusals", shortened(safe(row.reference_answer)), ""))
    if empty:
        excerpts.append(("empty_turns", " · ".join(_roles(row)), ""))
    if personal:
        excerpts.append(("personal_data", shown, ""))
    return RowScan(formatting, empty, refusal, personal, tuple(excerpts))


def cleaned(row: Row, choices: Choices) -> tuple[Row | None, frozenset[str]]:
    """The row as chosen, None when it goes, and which of the choices had something to do. The same row when none had."""
    did: set[str] = set()
    if choices.personal_data == "drop" and set(_personal(row)[0]) & MASKED:
        return None, frozenset({"personal_data"})
    if choices.fix_formatting:
        row = _noted(row, _mended(row), "fix_formatting", did)
    if choices.refusals and is_refusal(row.reference_answer):
        row = _noted(row, _without_answer(row), "refusals", did)
    if choices.empty_turns:
        row = _noted(row, _without_empty(row), "empty_turns", did)
    if choices.personal_data == "mask":
        row = _noted(row, _masked(row), "personal_data", did)
    return row, frozenset(did)


def shortened(text: str, around: int = 0) -> str:
    """An excerpt on one line, what cannot be seen made visible; it begins some way before `around`."""
    start = max(0, around - EXCERPT // 3)
    piece = text[start : start + EXCERPT]
    seen = "".join(
        MARKS.get(letter, letter if letter.isprintable() else f"\\x{ord(letter):02x}") for letter in piece
    )
    return ("…" if start else "") + seen + ("…" if start + EXCERPT < len(text) else "")


def safe_excerpt(text: str) -> str:
    """The beginning of a text as it may be shown: everything personal in it masked."""
    return shortened(safe(text))


def _noted(before: Row, after: Row, name: str, did: set[str]) -> Row:
    if after == before:
        return before
    did.add(name)
    return after


# ---------------------------------------------------------------- formatting


def _formatting(row: Row) -> tuple[tuple[FormatProblem, ...], tuple[str, str]]:
    """The kinds, and the first text that has one: (before, after)."""
    kinds: dict[FormatProblem, None] = {}
    shown = ("", "")
    for role, text in _formatted_texts(row):
        found = format_problems(text, role=role)
        if found and not kinds:
            shown = _difference(safe(text), safe(mended(text, role=role)))
        kinds.update(dict.fromkeys(found))
    return tuple(kinds), shown


def _difference(before: str, after: str) -> tuple[str, str]:
    """Excerpts that begin a little before the first difference."""
    pairs = zip(before, after, strict=False)
    at = next((place for place, (old, new) in enumerate(pairs) if old != new), min(len(before), len(after)))
    return shortened(before, at), shortened(after, at)


def _formatted_texts(row: Row) -> list[tuple[str, str]]:
    """(role, text) of every text of the conversation, and of the reference answer's column."""
    found = [(str(message.get("role", "")), text) for message in row.messages for text in _texts(message)]
    answer = row.item.get("reference_answer")
    return [*found, ("assistant", answer)] if isinstance(answer, str) else found


def _texts(message: Message) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _mended(row: Row) -> Row:
    item = row.item
    if isinstance(answer := item.get("reference_answer"), str):
        item = {**item, "reference_answer": mended(answer, role="assistant")}
    return _with_messages(row, _mended_message, item)


def _mended_message(message: Message) -> Message:
    role = str(message.get("role", ""))
    return _with_content(message, lambda text: mended(text, role=role))


def _with_messages(row: Row, change: Callable[[Message], Message], item: dict[str, Any]) -> Row:
    return msgspec.structs.replace(
        row,
        input=msgspec.structs.replace(row.input, messages=[change(one) for one in row.input.messages]),
        output=msgspec.structs.replace(row.output, messages=[change(one) for one in row.output.messages]),
        item=item,
    )


def _with_content(message: Message, change: Change) -> Message:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": change(content)}
    if not isinstance(content, list):
        return message
    parts = [
        {**part, "text": change(part["text"])}
        if isinstance(part, dict) and isinstance(part.get("text"), str)
        else part
        for part in content
    ]
    return {**message, "content": parts}


# ---------------------------------------------------------------- turns


def _spoken(messages: Sequence[Message]) -> list[Message]:
    """The messages without empty turns of user and assistant; all of them when no user would be left to answer."""
    kept = [message for message in messages if not _is_empty(message)]
    asked = any(message.get("role") == "user" for message in messages)
    return kept if not asked or any(message.get("role") == "user" for message in kept) else list(messages)


def _is_empty(message: Message) -> bool:
    content = message.get("content")
    if message.get("role") not in ("user", "assistant") or message.get("tool_calls"):
        return False
    if isinstance(content, list) and any(isinstance(part, dict) and "text" not in part for part in content):
        return False  # a picture says something
    return not content_text(content).strip()


def _without_empty(row: Row) -> Row:
    asked, answer = _spoken(row.input.messages), _spoken(row.output.messages)
    if len(asked) == len(row.input.messages) and len(answer) == len(row.output.messages):
        return row
    return msgspec.structs.replace(
        row,
        input=msgspec.structs.replace(row.input, messages=asked),
        output=msgspec.structs.replace(row.output, messages=answer),
    )


def _without_answer(row: Row) -> Row:
    """The question stays; what was said instead of an answer goes."""
    item = {name: value for name, value in row.item.items() if name != "reference_answer"}
    return msgspec.structs.replace(row, output=type(row.output)(), item=item)


def _roles(row: Row) -> list[str]:
    return [f"{one.get('role', '')}{' (empty)' if _is_empty(one) else ''}" for one in row.messages][:12]


# ---------------------------------------------------------------- personal data


def _personal(row: Row) -> tuple[tuple[Kind, ...], str]:
    """The kinds that the row holds, and an excerpt of the first text that holds one, masked."""
    kinds: set[Kind] = set()
    shown = ""
    for text in _all_texts(row):
        found = find(text, phones=phone_spans)
        kinds.update(hit.kind for hit in found)
        if found and not shown:
            hidden = masked(text, Placeholders(), kinds=frozenset(KINDS), found=found)
            shown = shortened(hidden, hidden.find("["))
    return tuple(kind for kind in KINDS if kind in kinds), shown


def _all_texts(row: Row) -> list[str]:
    found: list[str] = []

    def noted(text: str) -> str:
        found.append(text)
        return text

    _rewritten(row, noted)
    return found


def _masked(row: Row) -> Row:
    places = Placeholders()
    return _rewritten(row, lambda text: masked(text, places, phones=phone_spans))


def safe(text: str) -> str:
    """A text as it may be shown where nobody asked for rows: everything personal in it masked."""
    return masked(text, Placeholders(), phones=phone_spans, kinds=frozenset(KINDS))


def _rewritten(row: Row, change: Change) -> Row:
    """The row with every text of messages and columns changed, arguments of tool calls included."""
    made = _with_messages(row, lambda message: _every(message, change), _every(row.item, change))
    calls = row.output.tool_calls
    if calls:
        made = msgspec.structs.replace(
            made, output=msgspec.structs.replace(made.output, tool_calls=_every(calls, change))
        )
    return msgspec.structs.replace(made, raw=change(row.raw)) if row.raw else made


_NOT_TEXT = frozenset({"role", "type", "id", "tool_call_id", "image_url"})


def _every(value: Any, change: Change, depth: int = 0) -> Any:
    """The value with every string in it changed, names of fields and what is no text left alone."""
    if isinstance(value, str):
        return change(value)
    if depth == DEEPEST:
        return value
    if isinstance(value, dict):
        return {
            name: inner if name in _NOT_TEXT and isinstance(inner, str) else _every(inner, change, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_every(inner, change, depth + 1) for inner in value]
    return value
