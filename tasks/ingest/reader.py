"""Makes records of whatever a file was cut into: quickly where rows are plain, with care where they are not.

The first rows are read with care and show shape and columns; from then on the fast reader of that form sees every batch
first. What it does not take is decoded leniently but checked (`_value_of`), or read with all care, which names the fault.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from storage.rows import Row
from tasks.ingest.careful import depth, read_json
from tasks.ingest.errors import BadRow
from tasks.ingest.fast import UNREADABLE, FastReader, Plain, lines_of
from tasks.ingest.fast_forms import form_of
from tasks.ingest.key_counts import UNSURE, keys_in
from tasks.ingest.lines import Element, Lines, TooLong, ValueRow
from tasks.ingest.recorder import Recorder
from tasks.ingest.shapes import to_row
from tasks.rules.limits import Limits
from tasks.rules.validation import Code

LEARN_ROWS = 50  # rows read with care before the fast reader is built from their columns
RELEARN_ROWS = 1_000
BATCH_ROWS, BATCH_BYTES = 500, 256 << 10
_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class _Read:
    """What became of one text: a record with its first error and tokens, what is wrong with it, or nothing but space."""

    line: int
    text: bytes
    row: Row | BadRow | None
    judged: tuple[Code | Literal[""], int] | None = None

    @property
    def matters(self) -> bool:
        """Whether it can be the first of equals, or take an id that others want."""
        return isinstance(self.row, Row) and bool(self.row.id or (self.judged and not self.judged[0]))


class RowReader:
    """Takes pieces in the order of the file; `finish` after the last."""

    def __init__(self, recorder: Recorder, file_name: str, limits: Limits, *, exact_tokens: bool) -> None:
        self._recorder = recorder
        self._file_name = file_name
        self._limits = limits
        self._exact_tokens = exact_tokens
        self._fast: FastReader | None = None
        self._shapes: Counter[str] = Counter()
        self._keys: dict[str, set[str]] = {}
        self._tried: set[str] = set()
        self._careful = 0  # rows read with care since the fast reader was last built
        self._waiting: list[Element | ValueRow] = []
        self._waiting_bytes = 0
        self.columns: dict[str, None] = {}
        self.unfinished = False

    @property
    def shape(self) -> str:
        """The shape of most rows; what else there is follows."""
        found = [shape for shape, _ in self._shapes.most_common()]
        return " and ".join(found) if found else "no known shape"

    def take(self, piece: Lines | Element | TooLong | ValueRow) -> None:
        """Read one piece; elements and CSV rows wait until there are many."""
        if isinstance(piece, Lines):
            self._lines(piece)
        elif isinstance(piece, TooLong):
            self.finish()
            detail = f"it is {piece.size / 1e6:,.1f} MB long and was skipped"
            self._recorder.bad(piece.line, piece.preview, BadRow("exceeds_max_tokens", detail))
        else:
            self._waiting.append(piece)
            self._waiting_bytes += len(piece.text)
            if len(self._waiting) >= BATCH_ROWS or self._waiting_bytes >= BATCH_BYTES or self._fast is None:
                self.finish()

    def finish(self) -> None:
        """Read what is waiting."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not waiting:
            return
        if isinstance(waiting[-1], Element):
            self.unfinished = not waiting[-1].text.endswith(b"}")
        self._batch(waiting)
        self._learn()

    def _lines(self, batch: Lines) -> None:
        self.unfinished = not batch.data.endswith(b"\n")
        if self._fast is None:
            for line, text in enumerate(lines_of(batch.data), batch.first):
                self._write(self._read(Element(line, text.strip())))
        else:
            rows, odd = self._fast.read(batch)
            self._in_order(rows, [(place, Element(batch.first + place, text.strip())) for place, text in odd])
        self._learn()

    def _batch(self, pieces: Sequence[Element | ValueRow]) -> None:
        """Pieces of which each is one row."""
        if self._fast is None:
            odd: Iterable[int] = range(len(pieces))
            rows = None
        else:
            texts = [piece.text if isinstance(piece, Element) else _as_json(piece) for piece in pieces]
            rows, odd = self._fast.read_some(texts, [piece.line for piece in pieces])
        self._in_order(rows, [(place, pieces[place]) for place in odd])

    def _in_order(self, rows: Plain | None, odd: Sequence[tuple[int, Element | ValueRow]]) -> None:
        """The plain rows quickly, and the odd ones between them with care, all in the order of the file.

        Where no odd row can be the first of equals, or take an id, the plain ones are compared with all others at once.
        """
        read = [(place, self._read(piece)) for place, piece in odd]
        if rows is None or not len(rows):
            for _, one in read:
                self._write(one)
            return
        if any(one.matters for _, one in read):
            self._one_by_one(rows, read)
            return
        ready, done = self._recorder.prepared(rows), 0
        for place, one in read:
            before = bisect_left(rows.places, place, done)
            self._recorder.fast(ready, done, before)
            self._write(one)
            done = before
        self._recorder.fast(ready, done, len(rows))
        self._count(len(rows))

    def _one_by_one(self, rows: Plain, read: Sequence[tuple[int, _Read]]) -> None:
        done = 0
        for place, one in (*read, (1 << 62, None)):
            before = bisect_left(rows.places, place, done)
            if before > done:
                some = rows.part(done, before)
                self._recorder.fast(self._recorder.prepared(some), 0, len(some))
            if one is not None:
                self._write(one)
            done = before
        self._count(len(rows))

    def _count(self, rows: int) -> None:
        if self._fast:
            self._shapes[self._fast.form.shape] += rows

    def _read(self, piece: Element | ValueRow) -> _Read:
        """A row read with care, and judged."""
        text = piece.text
        self._careful += bool(text)
        value: dict[str, Any] | BadRow | None
        try:
            if isinstance(piece, Element):
                value = _value_of(text, self._limits) or read_json(text, self._limits) if text else None
            else:
                value = piece.value
            if value is None or isinstance(value, BadRow):
                return _Read(piece.line, text, value)
            shape, row = to_row(value)
        except BadRow as error:
            return _Read(piece.line, text, error)
        self._shapes[shape] += 1
        self._keys.setdefault(shape, set()).update(value)
        self._keep(row.item)
        return _Read(piece.line, text, row, self._recorder.judged(row))

    def _write(self, read: _Read) -> None:
        if isinstance(read.row, BadRow):
            self._recorder.bad(read.line, read.text, read.row)
        elif read.row is not None:
            self._recorder.careful(read.line, read.text, read.row, read.judged)

    def _keep(self, item: Iterable[str]) -> None:
        for name in item:
            if len(self.columns) < self._limits.max_columns:
                self.columns.setdefault(name)

    def _learn(self) -> None:
        """Build the fast reader anew when enough rows have shown columns that it does not know."""
        if self._careful < (RELEARN_ROWS if self._fast else LEARN_ROWS) or not self._shapes:
            return
        self._careful = 0
        shape = self._shapes.most_common(1)[0][0]
        if self._fast is None or self._fast.form.shape != shape or {*self.columns} - self._tried:
            self._tried = {*self.columns}
            columns = list(self.columns)[: self._limits.max_columns - _OWN_KEYS]
            form = form_of(shape, self._keys[shape], columns)
            options = {"exact_tokens": self._exact_tokens}
            self._fast = FastReader(form, self._file_name, self._limits, **options) if form else None


_OWN_KEYS = 5  # that a row may have beside its columns


def _value_of(text: bytes, limits: Limits) -> dict[str, Any] | None:
    """The object, where a quick reader can be trusted with it: every key once, not too deep, not too wide."""
    if len(text) > limits.max_line_bytes or (counted := keys_in(text)) == UNSURE:
        return None
    try:
        value = _DECODER.decode(text)
    except UNREADABLE:
        return None
    if not isinstance(value, dict) or not 0 < len(value) <= limits.max_columns:
        return None
    if counted != keys_in(_ENCODER.encode(value)) or depth(text, limits.max_depth) > limits.max_depth:
        return None
    return value


def _as_json(row: ValueRow) -> bytes:
    """A CSV row as the fast reader takes it; nothing where there is no such row."""
    return b"" if isinstance(row.value, BadRow) else _ENCODER.encode(row.value)
