"""The common case at speed: chat rows of plain text whose columns are known, decoded a batch at a time by msgspec.

It only ever says yes. A row that is not plainly valid (an unknown key, a tool call, a short message, a key too many) is
handed to the careful reader, which gives the same record wherever both can read a row: a property test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from storage.digests import BETWEEN, digests_of
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


class _Pattern(NamedTuple):
    """What a sequence of roles says by itself. `split`: messages before it are input; 0 when it wants care."""

    turns: int
    split: int
    users: tuple[int, ...]
    names: str  # the roles, as a digest wants them


class FastRow(msgspec.Struct, gc=False):
    """A row that is valid by itself; only whether it repeats another is open."""

    messages: list[_Message]
    split: int  # messages before it are input
    item: dict[str, Any]
    id: str
    turns: int
    characters: int
    output_characters: int
    digest: bytes


class FastReader:
    """Reads chat rows whose columns besides `messages` are among `columns`."""

    def __init__(self, columns: Iterable[str], limits: Limits, *, exact_tokens: bool) -> None:
        self.columns = frozenset(columns) - _RESERVED
        self._limits = limits
        self._exact_tokens = exact_tokens
        self._most_characters = 4 * limits.max_tokens
        self._names = tuple(sorted(name for name in self.columns if name.isidentifier()))
        names = {name: f"c{number}" for number, name in enumerate(self._names)}
        fields: Any = [
            ("messages", list[_Message], msgspec.field(name="messages")),
            ("row_id", str | msgspec.UnsetType, msgspec.field(name="id", default=msgspec.UNSET)),
            *((names[name], Any, msgspec.field(name=name, default=msgspec.UNSET)) for name in self._names),
        ]
        kind = msgspec.defstruct("_Row", fields, forbid_unknown_fields=True, gc=False)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)
        self._fields = tuple(names.items())
        self._getters = [attrgetter(field) for field in ("row_id", *names.values())]
        self._patterns: dict[tuple[str, ...], _Pattern] = {}

    def read(self, batch: Lines) -> list[FastRow] | None:
        """A batch of plain rows in order; None when a single one of them wants care."""
        data = batch.data
        try:
            rows = self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if len(rows) != batch.lines:
            return None  # blank lines: the line numbers would be off
        if self._keys(rows) != _keys_in(data):
            return None  # a key given twice, or text that looks like one: look at each line
        return self._plain(rows)

    def read_one(self, line: bytes) -> FastRow | None:
        """One row, or None when it wants care."""
        try:
            rows = [self._decoder.decode(line)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        plain = self._plain(rows) if self._keys(rows) == _keys_in(line) else None
        return plain[0] if plain else None

    def _keys(self, rows: list[Any]) -> int:
        """How many keys the rows have, if each is there once."""
        given = len(rows) + 2 * sum(map(len, map(_MESSAGES, rows)))
        for getter in self._getters:
            given += len(rows) - list(map(getter, rows)).count(msgspec.UNSET)
        return given

    def _plain(self, rows: list[Any]) -> list[FastRow] | None:
        """The rows looked at one by one; None as soon as one wants care."""
        found: list[FastRow] = []
        pieces: list[str] = []
        unset = msgspec.UNSET
        patterns, least, most = self._patterns, self._limits.min_user_characters, self._most_characters
        for row in rows:
            messages = row.messages
            roles = tuple([message.role for message in messages])
            texts = [message.content for message in messages]
            pattern = patterns.get(roles) or self._pattern(roles)
            turns, split, users, names = pattern
            characters = sum(map(len, texts))
            if not split or characters > most or len(texts[split - 1].strip()) < least:
                return None
            if turns > 1 and not all(texts[at].strip() for at in users):
                return None
            if self._exact_tokens and sum(len(text.encode()) for text in texts) > EXACT_ABOVE_BYTES:
                return None
            after = sum(map(len, texts[split:]))
            id = "" if row.row_id is unset else row.row_id
            item = {}
            for name, field in self._fields:
                if (value := getattr(row, field)) is not unset:
                    item[name] = value
            found.append(FastRow(messages, split, item, id, turns, characters, after, b""))
            pieces += (names, *texts, BETWEEN)
        digests = digests_of(pieces, len(found))
        if digests is None:
            return None
        for plain, digest in zip(found, digests, strict=True):
            plain.digest = digest
        return found

    def _pattern(self, roles: tuple[str, ...]) -> _Pattern:
        users = tuple(at for at, role in enumerate(roles) if role == "user")
        plain = bool(users) and "tool" not in roles
        pattern = _Pattern(len(users), users[-1] + 1 if plain else 0, users, ",".join(roles))
        if len(self._patterns) < _MAX_PATTERNS:
            self._patterns[roles] = pattern
        return pattern


def record(row: FastRow, id: str, file_name: str, line: int) -> _Record:
    """The row as it rests in a part."""
    before, after = row.messages[: row.split], row.messages[row.split :]
    return _Record(id, _Turns(before), _Turns(after) if after else _NOTHING, row.item, _Line(file_name, line))


def encoded(records: list[_Record]) -> bytes:
    """Lines of JSON."""
    return _ENCODER.encode_lines(records)


def lines_of(data: bytes) -> Iterator[bytes]:
    """The lines of a batch without their ends."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return iter(lines)


def _keys_in(data: bytes) -> int:
    """How often `":` stands in the text: once for each key, when it is written without a space and no text has it.

    Two bytes are compared at a time, once from the first byte on and once from the second.
    """
    even = np.frombuffer(data, dtype="<u2", count=len(data) // 2)
    odd = np.frombuffer(data, dtype="<u2", offset=1, count=(len(data) - 1) // 2)
    return int(np.count_nonzero(even == _KEY_END) + np.count_nonzero(odd == _KEY_END))


_MESSAGES = attrgetter("messages")
_MAX_PATTERNS = 10_000
_NOTHING = _Turns()
_ENCODER = msgspec.json.Encoder()
