"""Writing parts: rows in blocks, columns beside them, numbers for the index.

Equal rows give equal bytes, so writing the same part twice stores it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from storage.datasets import blocks, columns
from storage.datasets.content import Content, packed
from storage.datasets.index import IndexBuilder
from storage.datasets.summaries import SummaryCounter
from storage.manifests import Block, IndexRef, PartRef
from storage.rows import COLUMNS, Row, decode

PART_BYTES = 8 << 20
PART_ROWS = 20_000


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
        self._keys: list[int] = []
        self._members: list[bytes] = []
        self._blocks: list[Block] = []
        self._rows = self._rows_in_blocks = self._size = 0
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

        A block, and a part, ends after the call that fills it, so a call should bring some 256 KiB at most.
        """
        self._buffer += lines
        self._keys += keys
        self._errors += errors
        self._tokens += tokens
        self._rows += len(errors)
        if len(self._buffer) >= blocks.BLOCK_BYTES:
            self._end_block()
        if self._size + len(self._buffer) >= self._part_bytes or self._rows >= self._part_rows:
            self._end()

    def set(self, name: str, value: Any) -> None:
        """A further column's value for the row about to be added."""
        column = self._columns.setdefault(name, [])
        column.extend([columns.DEFAULTS[name]] * (self._rows - len(column)))
        column.append(value)

    def finish(self) -> tuple[tuple[PartRef, ...], tuple[IndexRef, ...]]:
        """Store what is left; all parts written, and the index over them."""
        if self._rows:
            self._end()
        return tuple(self._done), self._index.finish()

    def _end_block(self) -> None:
        member = packed(self._buffer)
        self._index.add(self._keys, self._first + len(self._done), len(self._blocks))
        self._members.append(member)
        self._blocks.append(Block(self._rows - self._rows_in_blocks, len(member)))
        self._rows_in_blocks = self._rows
        self._size += len(self._buffer)
        self._buffer.clear()
        self._keys.clear()

    def _end(self) -> None:
        if self._buffer:
            self._end_block()
        for name, values in self._columns.items():
            values.extend([columns.DEFAULTS[name]] * (self._rows - len(values)))
        part = PartRef(
            digest=self._content.put(b"".join(self._members)),
            rows=self._rows,
            size=self._size,
            blocks=tuple(self._blocks),
            summary=self.counts.summary(),
        )
        self._done.append(columns.with_columns(self._content, part, self._columns))
        self._begin()


def write_row(writer: PartWriter, row: Row, line: bytes, keys: tuple[int, ...]) -> None:
    """Add a row with all its columns and count it; `line` is the row encoded."""
    writer.counts.add(row)
    for name in COLUMNS[2:]:
        value = getattr(row, name)
        if value != columns.DEFAULTS[name]:
            writer.set(name, value)
    writer.add_many(line + b"\n", keys, (row.error,), (row.tokens,))


def rows_of(lines: Iterable[bytes], values: Mapping[str, Sequence[Any]]) -> Iterator[Row]:
    """Rows with their columns laid over them."""
    names = tuple(values)
    if not names:
        yield from map(decode, lines)
        return
    for line, *found in zip(lines, *values.values(), strict=True):
        yield msgspec.structs.replace(decode(line), **dict(zip(names, found, strict=True)))
