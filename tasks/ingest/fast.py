"""The common case at speed: rows of plain text whose shape and columns are known, decoded a batch at a time by msgspec.

It only ever says yes. A row that is not plainly valid (an unknown key, a tool call, a short message, a key too many) is
handed to the careful reader, which gives the same record wherever both can read a row: a property test compares them.
What can be done for all rows of a batch at once is: a call of Python per row and fact is what costs here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from storage.digests import BETWEEN, conversation_digest, digests_of
from tasks.ingest.careful import depth
from tasks.ingest.fast_forms import UNSET, Form, Message
from tasks.ingest.key_counts import UNSURE, keys_in, openings
from tasks.ingest.lines import Lines
from tasks.ingest.shapes import MAX_ID
from tasks.rules.limits import Limits
from tasks.rules.validation import EXACT_ABOVE_BYTES

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Turns(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    messages: list[Message] = []


class Line(msgspec.Struct, gc=False):
    file: str
    line: int


class Record(msgspec.Struct, omit_defaults=True, gc=False):
    """What `storage.rows.Row` looks like at rest; `item` is the decoded row without what was taken out of it."""

    id: str
    input: Turns
    output: Turns = Turns()
    item: Any = {}
    provenance: Line | None = None


@dataclass(slots=True)
class Plain:
    """Rows that are valid by themselves, as columns of one length; only whether they repeat others is open.

    `places` says where each stood in its batch, `lines` where in the file; `ids` are those the rows brought, "" where there is none; `labels` is empty where rows have none.
    """

    places: list[int]
    lines: list[int]
    records: list[Record]
    ids: list[str]
    digests: list[bytes]
    turns: Numbers
    characters: Numbers
    answer_characters: Numbers
    answered: Flags
    referenced: Flags
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.records)

    def part(self, start: int, end: int) -> Plain:
        """Some of the rows, in order."""
        if start == 0 and end >= len(self.records):
            return self
        some = slice(start, end)
        return Plain(
            self.places[some],
            self.lines[some],
            self.records[some],
            self.ids[some],
            self.digests[some],
            self.turns[some],
            self.characters[some],
            self.answer_characters[some],
            self.answered[some],
            self.referenced[some],
            self.labels[some],
        )


class _Pattern(NamedTuple):
    """What a sequence of roles says by itself. `split`: messages before it are input; 0 when it wants care."""

    turns: int
    split: int
    users: tuple[int, ...]
    names: str  # the roles, as a digest wants them


class FastReader:
    """Reads rows of one form."""

    def __init__(self, form: Form, file_name: str, limits: Limits, *, exact_tokens: bool) -> None:
        self.form = form
        self._file_name = file_name
        self._least = max(1, limits.min_user_characters)
        self._depth = limits.max_depth
        self._most = 4 * limits.max_tokens
        self._exact_tokens = exact_tokens
        self._patterns: dict[tuple[str, ...], _Pattern] = {}

    def read(self, batch: Lines) -> tuple[Plain, list[tuple[int, bytes]]]:
        """The plain rows of a batch of lines, and its other lines with their places, from 0."""
        try:
            rows: list[Any] = self.form.decoder.decode_lines(batch.data)
        except UNREADABLE:
            rows = []
        if len(rows) == batch.lines and self._are_whole(batch.data, rows):
            plain, odd = self._plain(rows, range(len(rows)), range(batch.first, batch.first + len(rows)), [])
            texts = lines_of(batch.data) if odd else []
        else:
            texts = lines_of(batch.data)
            plain, odd = self.read_some(texts, range(batch.first, batch.first + len(texts)))
        return plain, [(place, texts[place]) for place in odd]

    def read_some(self, texts: Sequence[bytes], lines: Sequence[int]) -> tuple[Plain, list[int]]:
        """As `read`, but each text is decoded by itself, so that a bad one spoils no other. `lines` are where they begin."""
        rows: list[Any] = []
        places: list[int] = []
        odd: list[int] = []
        decode = self.form.decoder.decode
        for place, text in enumerate(texts):
            try:
                rows.append(decode(text))
                places.append(place)
            except UNREADABLE:
                odd.append(place)
        if not self._are_whole(b"\n".join([texts[place] for place in places]), rows):
            whole = [self._are_whole(texts[place], (row,)) for place, row in zip(places, rows, strict=True)]
            odd += compress(places, [not one for one in whole])
            rows, places = list(compress(rows, whole)), list(compress(places, whole))
        return self._plain(rows, places, lines, odd)

    def _are_whole(self, data: bytes, rows: Sequence[Any]) -> bool:
        """Whether no row of the text has a key twice or is nested too deep."""
        counted = keys_in(data)
        if counted == self.form.keys(rows):
            if self.form.lists * len(rows) == openings(data):
                return True  # nothing but messages has a structure
        elif counted == UNSURE or counted != keys_in(_ENCODER.encode_lines(rows)):
            return False
        return all(depth(text, self._depth) <= self._depth for text in lines_of(data))

    def _plain(
        self, rows: Sequence[Any], places: Sequence[int], lines: Sequence[int], odd: list[int]
    ) -> tuple[Plain, list[int]]:
        """The plain ones among the rows, which stood at those places of their batch; the places of the others."""
        talks = self.form.messages(rows)
        found: list[Plain] = []
        for roles, members in _by_roles(talks).items():
            pattern = self._patterns.get(roles) or self._pattern(roles)
            if pattern.split:
                chosen = range(len(rows)) if len(members) == len(rows) else members
                found.append(
                    self._alike(
                        pattern,
                        len(roles),
                        [rows[at] for at in chosen],
                        [talks[at] for at in chosen],
                        [places[at] for at in chosen],
                        lines,
                    )
                )
        plain = _in_order(found)
        if len(plain) < len(rows):
            odd = [*odd, *({*places} - {*plain.places})]
        return plain, sorted(odd)

    def _alike(
        self,
        pattern: _Pattern,
        turns: int,
        rows: list[Any],
        talks: list[list[Message]],
        places: list[int],
        lines: Sequence[int],
    ) -> Plain:
        """The plain ones among rows of one sequence of roles, column by column."""
        texts = list(map(_CONTENT, chain.from_iterable(talks)))
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)).reshape(len(rows), turns)
        sizes, answers = lengths.sum(axis=1), lengths[:, pattern.split :].sum(axis=1)
        ids = _own_ids(rows)
        good = self._good(pattern, turns, texts, sizes, ids)
        if not good.all():
            kept = np.flatnonzero(good).tolist()
            if not kept:
                return _in_order([])
            better = [talks[at] for at in kept]
            return self._alike(
                pattern, turns, [rows[at] for at in kept], better, [places[at] for at in kept], lines
            )
        stood = [lines[place] for place in places]
        split = pattern.split
        answered = split < turns
        inputs = map(Turns, [talk[:split] for talk in talks] if answered else talks)
        outputs = map(Turns, [talk[split:] for talk in talks]) if answered else repeat(_NOTHING)
        labels, referenced = self._labels(rows), self._referenced(rows, answers)
        items = self._items(rows)
        records = list(
            map(Record, repeat(""), inputs, outputs, items, map(Line, repeat(self._file_name), stood))
        )
        pieces = [BETWEEN] * (len(rows) * (turns + 2))
        pieces[:: turns + 2] = [pattern.names] * len(rows)
        for turn in range(turns):
            pieces[turn + 1 :: turns + 2] = texts[turn::turns]
        return Plain(
            places=places,
            lines=stood,
            records=records,
            ids=ids,
            digests=digests_of(pieces, len(rows)) or [_digest(record) for record in records],
            turns=np.full(len(rows), len(pattern.users), dtype=np.int64),
            characters=sizes,
            answer_characters=answers,
            answered=np.full(len(rows), answered, dtype=np.bool_),
            referenced=referenced,
            labels=labels,
        )

    def _good(self, pattern: _Pattern, turns: int, texts: list[str], sizes: Numbers, ids: list[str]) -> Flags:
        """Which rows are plainly valid."""
        last = map(len, map(str.strip, texts[pattern.split - 1 :: turns]))
        good = np.fromiter(last, dtype=np.int64, count=len(sizes)) >= self._least
        good &= sizes <= self._most
        for user in pattern.users[:-1]:
            said = map(bool, map(str.strip, texts[user::turns]))
            good &= np.fromiter(said, dtype=np.bool_, count=len(sizes))
        if any(ids):
            good &= np.fromiter((id != _NO_ID and len(id) <= MAX_ID for id in ids), np.bool_, len(ids))
        if self._exact_tokens:
            for at in np.flatnonzero(4 * sizes + 2 * turns > EXACT_ABOVE_BYTES).tolist():
                counted = sum(len(text.encode()) + 2 for text in texts[at * turns : (at + 1) * turns])
                good[at] &= counted <= EXACT_ABOVE_BYTES
        return good

    def _referenced(self, rows: list[Any], answers: Numbers) -> Flags:
        """Which rows say what a good answer is: the column of that name, else the answer itself."""
        field = self.form.columns.get("reference_answer")
        if field is None:
            return answers > 0
        given = zip(map(attrgetter(field), rows), answers.tolist(), strict=True)
        said = (bool(text) if type(text) is str else answer > 0 for text, answer in given)
        return np.fromiter(said, dtype=np.bool_, count=len(rows))

    def _labels(self, rows: list[Any]) -> list[Any]:
        field = self.form.columns.get("label")
        return list(map(attrgetter(field), rows)) if field else []

    def _items(self, rows: list[Any]) -> Iterable[Any]:
        """Of each row only what is kept as its item."""
        if not self.form.columns:
            return repeat(_NO_ITEM)
        for row in rows:
            for field in self.form.consumed:
                setattr(row, field, UNSET)
        return rows

    def _pattern(self, roles: tuple[str, ...]) -> _Pattern:
        users = tuple(at for at, role in enumerate(roles) if role == "user")
        plain = bool(users) and "tool" not in roles
        pattern = _Pattern(len(users), users[-1] + 1 if plain else 0, users, ",".join(roles))
        if len(self._patterns) < _MAX_PATTERNS:
            self._patterns[roles] = pattern
        return pattern


def _by_roles(talks: list[list[Message]]) -> dict[tuple[str, ...], Sequence[int]]:
    """The positions of rows by their sequence of roles. In most batches there is one or a few."""
    roles = list(map(_ROLE, chain.from_iterable(talks)))
    longest = len(talks[0]) if talks else 0
    lengths = list(map(len, talks))
    if lengths.count(longest) == len(talks) and roles == roles[:longest] * len(talks):
        return {tuple(roles[:longest]): range(len(talks))} if talks else {}
    found: dict[tuple[str, ...], list[int]] = {}
    end = 0
    for at, length in enumerate(lengths):
        start, end = end, end + length
        found.setdefault(tuple(roles[start:end]), []).append(at)
    return dict(found)


def _own_ids(rows: list[Any]) -> list[str]:
    """The ids that rows brought: "" where there is none, a mark where it cannot serve."""
    given = list(map(_ROW_ID, rows))
    if given.count(UNSET) == len(given):
        return [""] * len(given)
    return ["" if id is UNSET else str(id) or _NO_ID for id in given]


def _in_order(found: list[Plain]) -> Plain:
    """Several columns of rows as one, ordered as the rows were."""
    if len(found) == 1:
        return found[0]
    order = np.argsort([place for one in found for place in one.places]).tolist()

    def ordered(lists: Iterable[list[Any]]) -> list[Any]:
        values = list(chain.from_iterable(lists))
        return [values[at] for at in order] if values else []

    def array(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.concatenate(arrays)[order] if arrays else np.zeros(0, dtype=np.int64)

    return Plain(
        places=ordered(one.places for one in found),
        lines=ordered(one.lines for one in found),
        records=ordered(one.records for one in found),
        ids=ordered(one.ids for one in found),
        digests=ordered(one.digests for one in found),
        turns=array([one.turns for one in found]),
        characters=array([one.characters for one in found]),
        answer_characters=array([one.answer_characters for one in found]),
        answered=array([one.answered for one in found]),
        referenced=array([one.referenced for one in found]),
        labels=ordered(one.labels for one in found),
    )


def encoded(records: Sequence[Record]) -> bytes:
    """Lines of JSON."""
    return _ENCODER.encode_lines(records)


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a batch without their ends."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _digest(record: Record) -> bytes:
    messages = [*record.input.messages, *record.output.messages]
    return conversation_digest([{"role": said.role, "content": said.content} for said in messages])


_MAX_PATTERNS = 10_000
_NOTHING = Turns()
_NO_ID = " "  # an id that cannot be one
_ROLE, _CONTENT, _ROW_ID = attrgetter("role"), attrgetter("content"), attrgetter("row_id")
_NO_ITEM: dict[str, Any] = {}
_ENCODER = msgspec.json.Encoder()
