"""Writing and reading one part: rows as gzipped lines of JSON, columns as gzipped lists beside them.

Equal rows give equal bytes (the gzip header carries no time), so writing the same part twice stores it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from isal import isal_zlib
from isal.igzip_lib import IsalError

from storage.datasets.content import Content
from storage.datasets.index import IndexBuilder
from storage.datasets.summaries import SummaryCounter
from storage.errors import Corrupt
from storage.manifests import ColumnRef, IndexRef, PartRef, Summary
from storage.rows import COLUMNS, Row

PART_BYTES = 8 << 20
PART_ROWS = 20_000
_LEVEL = 1
_GZIP = 31  # zlib's way of asking for a gzip header
_SQUEEZE_BYTES = 256 << 10
MAX_EXCEPTIONS = 20  # values that a manifest lists itself, which saves an object

DEFAULTS: dict[str, Any] = {f.name: f.default for f in msgspec.structs.fields(Row) if f.name in COLUMNS}


class PartWriter:
    """Takes rows one by one and stores a part whenever 8 MiB or 20,000 rows have come together.

    `counts` counts the rows of the part at hand: whoever adds rows counts them there as well, before.
    """

    def __init__(
        self, content: Content, *, first: int = 0, part_bytes: int = PART_BYTES, part_rows: int = PART_ROWS
    ) -> None:
        self._content = content
        self._first = first
        self._part_bytes, self._part_rows = part_bytes, part_rows
        self._index = IndexBuilder(content)
        self._done: list[PartRef] = []
        self._begin()

    def _begin(self) -> None:
        self.counts = SummaryCounter()
        self._buffer = bytearray()
        self._squeezed: list[bytes] = []
        self._squeezer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
        self._rows = self._size = 0
        self._keys: list[int] = []
        self._errors: list[str] = []
        self._tokens: list[int] = []
        self._columns: dict[str, list[Any]] = {"error": self._errors, "tokens": self._tokens}

    @property
    def parts(self) -> int:
        return len(self._done)

    def add_many(
        self, lines: bytes, keys: Iterable[int], errors: Sequence[str], tokens: Sequence[int]
    ) -> None:
        """Encoded rows, each with its newline; the numbers that find them (of ids and conversations); two columns.

        A part ends after the call that fills it, so a call should bring little beside the 8 MiB of a part.
        """
        self._buffer += lines
        self._keys += keys
        self._errors += errors
        self._tokens += tokens
        self._rows += len(errors)
        if len(self._buffer) >= _SQUEEZE_BYTES:
            self._squeeze()
        if self._size + len(self._buffer) >= self._part_bytes or self._rows >= self._part_rows:
            self._end()

    def set(self, name: str, value: Any) -> None:
        """A further column's value for the row about to be added."""
        column = self._columns.setdefault(name, [])
        column.extend([DEFAULTS[name]] * (self._rows - len(column)))
        column.append(value)

    def finish(self) -> tuple[tuple[PartRef, ...], tuple[IndexRef, ...]]:
        """Store what is left; all parts written, and the index over them."""
        if self._rows:
            self._end()
        return tuple(self._done), self._index.finish()

    def _squeeze(self) -> None:
        self._size += len(self._buffer)
        self._squeezed.append(self._squeezer.compress(self._buffer))
        self._buffer.clear()

    def _end(self) -> None:
        self._squeeze()
        self._squeezed.append(self._squeezer.flush())
        for name, values in self._columns.items():
            values.extend([DEFAULTS[name]] * (self._rows - len(values)))
        part = PartRef(
            digest=self._content.put(b"".join(self._squeezed)),
            rows=self._rows,
            size=self._size,
            columns=_stored(self._content, self._columns),
            summary=self.counts.summary(),
        )
        self._index.add(self._keys, self._first + len(self._done))
        self._done.append(part)
        self._begin()


def empty(content: Content) -> PartRef:
    """A part whose last row was taken away; it keeps its place so that the others keep their numbers."""
    return PartRef(digest=content.put(isal_zlib.compress(b"", _LEVEL, _GZIP)), rows=0, size=0)


def read_lines(content: Content, part: PartRef) -> list[bytes]:
    """The part's rows as they rest, in order. Raises `Corrupt`."""
    try:
        data = isal_zlib.decompress(content.get(part.digest), _GZIP)
    except IsalError as error:  # type: ignore[misc]  # the stub takes the class for an instance
        raise Corrupt(f"part {part.digest}: {error}") from error
    lines = data.split(b"\n")
    lines.pop()
    if len(lines) != part.rows:
        raise Corrupt(f"part {part.digest}: {len(lines)} rows instead of {part.rows}")
    return lines


def read_columns(content: Content, part: PartRef, names: Sequence[str]) -> dict[str, list[Any]]:
    """Those of the named columns that are not at their default in every row."""
    return {ref.name: _values(content, ref, part.rows) for ref in part.columns if ref.name in names}


def with_columns(
    content: Content, part: PartRef, values: Mapping[str, Sequence[Any]], summary: Summary
) -> PartRef:
    """The part with some columns replaced; its rows and its other columns are shared with the old one."""
    kept = tuple(ref for ref in part.columns if ref.name not in values)
    return replace(part, columns=(*kept, *_stored(content, values)), summary=summary)


def rows_of(lines: Sequence[bytes], columns: Mapping[str, Sequence[Any]], decode: Any) -> Iterator[Row]:
    """Rows with their columns laid over them."""
    names = tuple(columns)
    if not names:
        yield from map(decode, lines)
        return
    for line, *values in zip(lines, *columns.values(), strict=True):
        yield msgspec.structs.replace(decode(line), **dict(zip(names, values, strict=True)))


def _stored(content: Content, columns: Mapping[str, Sequence[Any]]) -> tuple[ColumnRef, ...]:
    refs = (_stored_column(content, name, columns[name]) for name in COLUMNS if name in columns)
    return tuple(ref for ref in refs if ref is not None)


def _stored_column(content: Content, name: str, values: Sequence[Any]) -> ColumnRef | None:
    common = values[0] if values else DEFAULTS[name]
    if name == "error":
        common = ""
    exceptions = {at: value for at, value in enumerate(values) if value != common}
    if len(exceptions) > MAX_EXCEPTIONS:
        data = isal_zlib.compress(msgspec.json.encode(values), _LEVEL, _GZIP)
        return ColumnRef(name=name, digest=content.put(data))
    if not exceptions and common == DEFAULTS[name]:
        return None
    return ColumnRef(name=name, constant=common, exceptions=exceptions)


def _values(content: Content, ref: ColumnRef, rows: int) -> list[Any]:
    if not ref.digest:
        values = [ref.constant] * rows
        for at, value in ref.exceptions.items():
            values[at] = value
        return values
    try:
        values = msgspec.json.decode(isal_zlib.decompress(content.get(ref.digest), _GZIP), type=list[Any])
    except (IsalError, msgspec.MsgspecError) as error:  # type: ignore[misc]  # the stub takes the class for an instance
        raise Corrupt(f"column {ref.name}: {error}") from error
    if len(values) != rows:
        raise Corrupt(f"column {ref.name}: {len(values)} values for {rows} rows")
    return values
