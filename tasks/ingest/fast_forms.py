"""The shapes that the fast reader knows, each as a struct that msgspec decodes and a function to the messages in it.

A form admits only what needs no thought: text where text is expected, and no column that would change what the row is. It
says the same as `shapes.py`, which is the measure: a property test compares the two. Rows that a form does not admit are
read by that module.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

import msgspec

from tasks.ingest.shapes import ANSWERS, COMPLETION, PROMPT, SHAREGPT_ROLES, Shape

UNSET = msgspec.UNSET
Said = Literal["system", "developer", "user", "assistant", "tool"]
Speaker = Literal["system", "user", "assistant", "human", "gpt", "chatgpt", "bot", "model"]
_TELLING = frozenset(
    ("id", "messages", "tools", "tool_choice", "conversations", "instruction", "text", "chosen", "rejected",
     "preferred_output", "non_preferred_output", *PROMPT, *COMPLETION, *ANSWERS)
)  # fmt: skip


class Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Said
    content: str


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    speaker: Speaker = msgspec.field(name="from")
    value: str


@dataclass(frozen=True, slots=True)
class Form:
    """One shape with its columns. `decoder` gives rows; `messages` their conversations, in order.

    `columns` maps the names of kept columns to the fields of a row, `consumed` are the fields that are no columns: set to
    UNSET, what is left of a row is its `item`. `keys` counts the keys that rows had when none was there twice; those inside
    columns with a structure of their own it leaves out. `lists` is how many lists a row has, those columns apart.
    """

    shape: Shape
    decoder: msgspec.json.Decoder[Any]
    messages: Callable[[Sequence[Any]], list[list[Message]]]
    columns: dict[str, str]
    consumed: tuple[str, ...]
    keys: Callable[[Sequence[Any]], int]
    lists: int


def form_of(shape: str, keys: Collection[str], kept: Collection[str]) -> Form | None:
    """The form for rows of a shape whose keys were among `keys` and whose kept columns are `kept`; None when there is none."""
    make = _FORMS.get(shape)
    found = make(frozenset(keys)) if make else None
    if found is None:
        return None
    fields, messages = found
    taken = {name for _, _, name in fields} | ({*_TELLING} if shape != "chat" else {*_NEVER_KEPT})
    names = [name for name in sorted(kept) if name not in taken and _can_be_named(name)]
    columns = {name: f"c{number}" for number, name in enumerate(names)}
    required = [(field, kind, msgspec.field(name=name)) for field, kind, name in fields if field in _REQUIRED]
    optional = [(field, kind, name) for field, kind, name in fields if field not in _REQUIRED]
    optional += [("row_id", str | int, "id"), *((field, Any, name) for name, field in columns.items())]
    defaults = [
        (field, kind | msgspec.UnsetType, msgspec.field(name=name, default=UNSET))
        for field, kind, name in optional
    ]
    row = msgspec.defstruct("_Row", [*required, *defaults], forbid_unknown_fields=True, gc=False)
    consumed = (*(field for field, _, _ in fields if field != "label"), "row_id")
    lists = int(fields[0][0] in ("messages", "turns"))
    keys_of = _keys(fields[0][0], [field for field, _, _ in optional])
    if "label" in taken and shape == "classification":
        columns["label"] = "label"
    return Form(shape, msgspec.json.Decoder(row), messages, columns, consumed, keys_of, lists)  # type: ignore[arg-type]


def _keys(first: str, optional: Sequence[str]) -> Callable[[Sequence[Any]], int]:
    """Counts a row's first field, its optional fields that are there, and two keys for each of its turns."""
    whole, rest = attrgetter(first), [attrgetter(field) for field in optional]
    label = int(first == "text")  # the one form with two fields that every row has

    def count(rows: Sequence[Any]) -> int:
        turns = sum(map(len, map(whole, rows))) if first in ("messages", "turns") else 0
        there = sum(len(rows) - list(map(getter, rows)).count(UNSET) for getter in rest)
        return (1 + label) * len(rows) + 2 * turns + there

    return count


_Field = tuple[str, Any, str]  # the struct's field, its type, the row's key
_Made = tuple[list[_Field], Callable[[Sequence[Any]], list[list[Message]]]]
_REQUIRED = frozenset(("messages", "turns", "asked", "instruction", "text", "label"))
_NEVER_KEPT = frozenset(("id", "input", "output", "tools", "tool_choice"))


def _chat(keys: frozenset[str]) -> _Made | None:
    return [("messages", list[Message], "messages")], _messages_of


def _messages_of(rows: Sequence[Any]) -> list[list[Message]]:
    return [row.messages for row in rows]


def _sharegpt(keys: frozenset[str]) -> _Made | None:
    fields: list[_Field] = [
        ("turns", list[_Turn], "conversations"),
        ("system", str, "system"),
    ]
    return fields, _turns_of


def _turns_of(rows: Sequence[Any]) -> list[list[Message]]:
    roles = SHAREGPT_ROLES
    return [
        _led(row.system, [Message(roles.get(turn.speaker, turn.speaker), turn.value) for turn in row.turns])
        for row in rows
    ]


def _prompt(keys: frozenset[str]) -> _Made | None:
    asked, answered = _only(PROMPT, keys), _only(COMPLETION, keys)
    if asked is None or (answered is None and keys & {*COMPLETION}):
        return None
    fields: list[_Field] = [("asked", str, asked), ("system", str, "system")]
    return [*fields, ("answer", str, answered or "completion")], _asked_of


def _asked_of(rows: Sequence[Any]) -> list[list[Message]]:
    return [_led(row.system, _answered([Message("user", row.asked)], row.answer)) for row in rows]


def _instruction(keys: frozenset[str]) -> _Made | None:
    answered = _only(ANSWERS, keys)
    if answered is None and keys & {*ANSWERS}:
        return None
    fields: list[_Field] = [
        ("instruction", str, "instruction"),
        ("more", str | None, "input"),
        ("system", str, "system"),
    ]
    return [*fields, ("answer", str, answered or "output")], _instructed_of


def _instructed_of(rows: Sequence[Any]) -> list[list[Message]]:
    found = []
    for row in rows:
        parts = [part for part in (row.instruction, row.more) if part and part is not UNSET]
        found.append(_led(row.system, _answered([Message("user", "\n\n".join(parts))], row.answer)))
    return found


def _classification(keys: frozenset[str]) -> _Made | None:
    return [
        ("text", str, "text"),
        ("label", str | int, "label"),
        ("system", str, "system"),
    ], _labelled_of


def _labelled_of(rows: Sequence[Any]) -> list[list[Message]]:
    return [
        _led(row.system, [Message("user", row.text), Message("assistant", str(row.label))]) for row in rows
    ]


def _led(system: Any, messages: list[Message]) -> list[Message]:
    return [Message("system", system), *messages] if system and system is not UNSET else messages


def _answered(messages: list[Message], answer: Any) -> list[Message]:
    if answer and answer is not UNSET:
        messages.append(Message("assistant", answer))
    return messages


def _only(names: tuple[str, ...], keys: frozenset[str]) -> str | None:
    """The one of the names that is there: with two the order of `shapes.py` decides row by row."""
    found = [name for name in names if name in keys]
    return found[0] if len(found) == 1 else None


def _renamed(name: str) -> Any:
    return msgspec.field(name=name, default=UNSET)


def _can_be_named(name: str) -> bool:
    return name.isprintable() and not {'"', "\\"} & {*name}


_FORMS: dict[str, Callable[[frozenset[str]], _Made | None]] = {
    "chat": _chat,
    "ShareGPT": _sharegpt,
    "prompt/completion": _prompt,
    "instruction": _instruction,
    "classification": _classification,
}
