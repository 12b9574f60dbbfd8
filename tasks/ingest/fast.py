"""The common case at speed: chat rows of plain text whose columns are known, decoded a batch at a time by msgspec.

It only ever says yes. A row that is not plainly valid (an unknown key, a tool call, a short message, a key too many) is
handed to the careful reader, which gives the same record wherever both can read a row: a property test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec
import numpy as np

from storage.datasets.summaries import SummaryCounter
from storage.digests import digests_of, joined
from tasks.ingest.lines import Lines
from tasks.rules.limits import Limits
from tasks.rules.validation import EXACT_ABOVE_BYTES

_RESERVED = frozenset(("messages", "tools", "tool_choice", "input", "output", "id"))
_KEY_END = int.from_bytes(b'":', "little")


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


class FastRow(msgspec.Struct, gc=False):
    """A row that is valid by itself; only whether it repeats another is open. `text` is what its digest is made of."""

    messages: list[_Message]
    split: int  # messages before it are input
    item: dict[str, Any]
    id: str
    turns: int
    characters: int
    output_characters: int
    text: str
    digest: bytes = b""


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
            *((names[name], Any, msgspec.field(name=name, default=msgspec.UNSET)) for name in self._names),
        ]
        kind = msgspec.defstruct("_Row", fields, forbid_unknown_fields=True, gc=False)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)
        self._fields = tuple(names.items())

    def read(self, batch: Lines) -> list[FastRow] | None:
        """A batch of plain rows in order; None when a single one of them wants care."""
        data = batch.data
        try:
            rows = self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if len(rows) != batch.lines:
            return None  # blank lines: the line numbers would be off
        if sum(map(self._keys, rows)) != _keys_in(data):
            return None  # a key given twice, or text that looks like one: look at each line
        plain = [found for row in rows if (found := self._row(row)) is not None]
        return _with_digests(plain) if len(plain) == len(rows) else None

    def read_one(self, line: bytes) -> FastRow | None:
        """One row, or None when it wants care."""
        try:
            row = self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        found = self._row(row) if self._keys(row) == _keys_in(line) else None
        return _with_digests([found])[0] if found else None

    def _keys(self, row: Any) -> int:
        """How many keys the row has, if each is there once."""
        given = len(self._fields) + 2 + 2 * len(row.messages) - (row.row_id is None)
        for _, field in self._fields:
            given -= getattr(row, field) is msgspec.UNSET
        return given

    def _row(self, row: Any) -> FastRow | None:
        messages: list[_Message] = row.messages
        roles = [message.role for message in messages]
        texts = [message.content for message in messages]
        turns = roles.count("user")
        if not turns or "tool" in roles:
            return None
        split = len(roles)
        while roles[split - 1] != "user":
            split -= 1
        characters = sum(map(len, texts))
        if (
            self._is_long(characters, texts)
            or len(texts[split - 1].strip()) < self._limits.min_user_characters
        ):
            return None
        if turns > 1 and not all(
            text.strip() for role, text in zip(roles, texts, strict=True) if role == "user"
        ):
            return None
        item = {}
        for name, field in self._fields:
            if (value := getattr(row, field)) is not msgspec.UNSET:
                item[name] = value
        after = sum(map(len, texts[split:]))
        return FastRow(
            messages, split, item, row.row_id or "", turns, characters, after, joined(roles, texts)
        )

    def _is_long(self, characters: int, texts: list[str]) -> bool:
        """Over the limit, or long enough for its tokens to be counted exactly."""
        if characters > 4 * self._limits.max_tokens:
            return True
        might = self._exact_tokens and characters > EXACT_ABOVE_BYTES // 4
        return might and sum(len(text.encode()) for text in texts) > EXACT_ABOVE_BYTES


def record(row: FastRow, id: str, file_name: str, line: int) -> _Record:
    """The row as it rests in a part."""
    before, after = row.messages[: row.split], row.messages[row.split :]
    return _Record(id, _Turns(before), _Turns(after) if after else _NOTHING, row.item, _Line(file_name, line))


def encoded(records: list[_Record]) -> bytes:
    """Lines of JSON."""
    return _ENCODER.encode_lines(records)


class Totals:
    """Sums over some fast rows, to be added to a part's counts at once."""

    def __init__(self) -> None:
        self._rows = self._turns = self._single = self._tokens = self._output_tokens = 0
        self._with_output = self._with_reference = 0
        self._labels: list[Any] = []

    def add(self, row: FastRow, tokens: int) -> None:
        has_output = row.split < len(row.messages)
        self._rows += 1
        self._turns += row.turns
        self._single += row.turns == 1
        self._tokens += tokens
        self._output_tokens += round(tokens * row.output_characters / row.characters)
        self._with_output += has_output
        self._with_reference += has_output or bool(row.item.get("reference_answer"))
        if "label" in row.item:
            self._labels.append(row.item["label"])

    def into(self, counts: SummaryCounter) -> None:
        counts.rows += self._rows
        counts.valid_rows += self._rows
        counts.unlabelled += self._rows
        counts.turns += self._turns
        counts.single_turn += self._single
        counts.input_tokens += self._tokens - self._output_tokens
        counts.output_tokens += self._output_tokens
        counts.with_output += self._with_output
        counts.with_reference += self._with_reference
        for label in self._labels:
            counts.named(tools=(), has_tools=False, label=label)


def lines_of(data: bytes) -> Iterator[bytes]:
    """The lines of a batch without their ends."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return iter(lines)


def _with_digests(rows: list[FastRow]) -> list[FastRow]:
    for row, digest in zip(rows, digests_of([row.text for row in rows]), strict=True):
        row.digest, row.text = digest, ""
    return rows


def _keys_in(data: bytes) -> int:
    """How often `":` stands in the text: once for each key, when it is written without a space and no text has it.

    Two bytes are compared at a time, once from the first byte on and once from the second.
    """
    even = np.frombuffer(data, dtype="<u2", count=len(data) // 2)
    odd = np.frombuffer(data, dtype="<u2", offset=1, count=(len(data) - 1) // 2)
    return int(np.count_nonzero(even == _KEY_END) + np.count_nonzero(odd == _KEY_END))


_NOTHING = _Turns()
_ENCODER = msgspec.json.Encoder()
