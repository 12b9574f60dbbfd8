"""The common case at speed: chat rows of plain text whose columns are known, decoded a batch at a time by msgspec.

It only ever says yes. A row that is not plainly valid (an unknown key, a tool call, a short message, a key too many) is
handed to the careful reader, which gives the same record wherever both can read a row: a property test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from storage.digests import digest_of
from tasks.rules.limits import Limits
from tasks.rules.validation import EXACT_ABOVE_BYTES

_RESERVED = frozenset(("messages", "tools", "tool_choice", "input", "output", "id"))
_QUOTE, _COLON = 34, 58


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str


class _Turns(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    messages: list[_Message] = []


class _Line(msgspec.Struct, gc=False):
    file: str
    line: int


class _Record(msgspec.Struct, omit_defaults=True, gc=False):
    """What `storage.rows.Row` looks like at rest."""

    id: str
    input: _Turns
    output: _Turns = _Turns()
    item: dict[str, Any] = {}
    provenance: _Line | None = None


@dataclass(frozen=True, slots=True)
class FastRow:
    """A row that is valid by itself; only whether it repeats another is open."""

    messages: list[_Message]
    split: int  # messages before it are input
    item: dict[str, Any]
    id: str
    digest: bytes
    turns: int
    characters: int
    output_characters: int


class FastReader:
    """Reads chat rows whose columns besides `messages` are among `columns`."""

    def __init__(self, columns: Iterable[str], limits: Limits, *, exact_tokens: bool) -> None:
        self.columns = frozenset(columns) - _RESERVED
        self._limits = limits
        self._exact_tokens = exact_tokens
        self._names = tuple(sorted(name for name in self.columns if name.isidentifier()))
        names = {name: f"c{number}" for number, name in enumerate(self._names)}
        fields: Any = [
            ("messages", list[_Message], msgspec.field(name="messages")),
            ("row_id", str | None, msgspec.field(name="id", default=None)),
            *((names[name], msgspec.Raw | None, msgspec.field(name=name, default=None)) for name in self._names),
        ]
        kind = msgspec.defstruct("_Row", fields, forbid_unknown_fields=True, gc=False)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)
        self._fields = tuple(names.items())

    def read(self, data: bytes) -> list[FastRow | None] | None:
        """A batch's rows in order, None for each that wants care; None altogether when the batch cannot be read whole."""
        try:
            rows = self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if len(rows) != data.count(b"\n") + (not data.endswith(b"\n")):
            return None  # blank lines: the line numbers would be off
        keys = sum(self._keys(row) for row in rows)
        if keys != _keys_in(data):
            return None  # a key given twice, or text that looks like one: look at each line
        return [self._row(row) for row in rows]

    def read_one(self, line: bytes) -> FastRow | None:
        """One row, or None when it wants care."""
        try:
            row = self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return self._row(row) if self._keys(row) == _keys_in(line) else None

    def _keys(self, row: Any) -> int:
        given = sum(getattr(row, field) is not None for _, field in self._fields)
        return 1 + 2 * len(row.messages) + given + (row.row_id is not None)

    def _row(self, row: Any) -> FastRow | None:
        messages: list[_Message] = row.messages
        roles = [message.role for message in messages]
        texts = [message.content for message in messages]
        if "user" not in roles or "tool" in roles:
            return None
        last = len(roles) - 1 - roles[::-1].index("user")
        characters = sum(map(len, texts))
        if self._is_long(characters, texts) or len(texts[last].strip()) < self._limits.min_user_characters:
            return None
        turns = roles.count("user")
        if turns > 1 and not all(text.strip() for role, text in zip(roles, texts, strict=True) if role == "user"):
            return None
        item = {name: value for name, field in self._fields if (value := getattr(row, field)) is not None}
        after = sum(map(len, texts[last + 1 :]))
        return FastRow(
            messages, last + 1, item, row.row_id or "", digest_of(roles, texts), turns, characters, after
        )

    def _is_long(self, characters: int, texts: list[str]) -> bool:
        """Over the limit, or long enough for its tokens to be counted exactly."""
        if characters > 4 * self._limits.max_tokens:
            return True
        might = self._exact_tokens and characters > EXACT_ABOVE_BYTES // 4
        return might and sum(len(text.encode()) for text in texts) > EXACT_ABOVE_BYTES


def encoded(row: FastRow, id: str, file_name: str, line: int) -> bytes:
    """The row as it rests in a part."""
    before, after = _Turns(row.messages[: row.split]), _Turns(row.messages[row.split :])
    return _ENCODER.encode(_Record(id, before, after, row.item, _Line(file_name, line)))


def lines_of(data: bytes) -> Iterator[bytes]:
    """The lines of a batch without their ends."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return iter(lines)


def _keys_in(data: bytes) -> int:
    """How often `":` stands in the text: once for each key, when it is written without a space and no text has it."""
    bytes_ = np.frombuffer(data, dtype=np.uint8)
    return int(np.count_nonzero((bytes_[:-1] == _QUOTE) & (bytes_[1:] == _COLON)))


_ENCODER = msgspec.json.Encoder()
