"""CSV records as JSON objects, one header, any of four separators, line breaks inside quotes.

A quote that never closes would swallow the rest of the file: a record is given up after a megabyte or a thousand lines,
reported by its first line, and reading goes on with the line after it. Cells stay text, but for those of columns that
hold structures (`messages`, `tools` …), which are read as JSON.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.ingest.errors import NOT_UTF8, BadRow
from tasks.ingest.formats import delimiter_of
from tasks.ingest.lines import Lines, TooLong, ValueRow, batches
from tasks.ingest.shapes import with_structures
from tasks.rules.limits import Limits

RECORD_BYTES = 1 << 20
RECORD_LINES = 1_000


def csv_rows(pieces: Iterator[bytes], limits: Limits) -> Iterator[ValueRow | TooLong]:
    """The records after the header."""
    records = _records(pieces, limits.max_line_bytes)
    first = next(records, None)
    if not isinstance(first, _Record):
        return
    header_text = first.text.decode("utf-8", "replace")
    delimiter = delimiter_of(header_text.partition("\n")[0])
    header = _names(_cells(header_text, delimiter))
    for record in records:
        yield (
            record
            if isinstance(record, TooLong)
            else ValueRow(record.line, record.text, _value(record, header, delimiter, limits))
        )


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    text: bytes
    open: bool = False  # a quote was not closed


def _value(record: _Record, header: list[str], delimiter: str, limits: Limits) -> dict[str, Any] | BadRow:
    if record.open:
        return BadRow("invalid_data_structure", "a quote is opened and never closed")
    try:
        cells = _cells(record.text.decode("utf-8"), delimiter)
    except UnicodeDecodeError as error:
        return BadRow("invalid_data_structure", f"byte {error.start + 1} {NOT_UTF8}")
    except csv.Error as error:
        return BadRow("invalid_data_structure", str(error))
    if len(cells) != len(header):
        return BadRow("invalid_data_structure", f"it has {len(cells)} cells under {len(header)} columns")
    value = {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}
    return with_structures(value, limits)


def _cells(text: str, delimiter: str) -> list[str]:
    """The cells of one record. The library's limit on a field is process-wide, so it is only ever raised."""
    if csv.field_size_limit() < 2 * RECORD_BYTES:
        csv.field_size_limit(2 * RECORD_BYTES)
    return next(csv.reader([text.rstrip("\r\n")] if "\n" not in text else text.splitlines(keepends=True),
                           delimiter=delimiter), [])  # fmt: skip


def _names(cells: list[str]) -> list[str]:
    """Column names, made unique: the second `text` is `text_2`."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell.strip() or f"column_{number}"
        names.append(name if name not in names else f"{name}_{number}")
    return names


def _records(pieces: Iterator[bytes], max_line_bytes: int) -> Iterator[_Record | TooLong]:
    """Physical lines put together while a quote is open."""
    waiting: list[tuple[int, bytes]] = []
    quotes = size = 0
    for line in _lines(pieces, max_line_bytes):
        if isinstance(line, TooLong):
            yield from _given_up(waiting)
            waiting, quotes, size = [], 0, 0
            yield line
            continue
        waiting.append(line)
        quotes += line[1].count(b'"')
        size += len(line[1])
        if quotes % 2 == 0:
            yield from _whole(waiting)
            waiting, quotes, size = [], 0, 0
        elif size > RECORD_BYTES or len(waiting) > RECORD_LINES:
            yield from _given_up(waiting)
            waiting, quotes, size = [], 0, 0
    yield from _given_up(waiting)


def _whole(lines: list[tuple[int, bytes]]) -> Iterator[_Record]:
    text = b"".join(text for _, text in lines)
    if text.strip():
        yield _Record(lines[0][0], text)


def _given_up(lines: list[tuple[int, bytes]]) -> Iterator[_Record]:
    """The line whose quote never closed is broken; those after it are read again on their own."""
    while lines:
        yield _Record(lines[0][0], lines[0][1], open=True)
        lines = lines[1:]
        while lines:
            quotes, taken = 0, 0
            for _, text in lines:
                quotes += text.count(b'"')
                taken += 1
                if quotes % 2 == 0:
                    break
            if quotes % 2:
                break
            yield from _whole(lines[:taken])
            lines = lines[taken:]


def _lines(pieces: Iterator[bytes], max_line_bytes: int) -> Iterator[tuple[int, bytes] | TooLong]:
    for batch in batches(pieces, max_line_bytes):
        if isinstance(batch, Lines):
            yield from enumerate(batch.data.splitlines(keepends=True), batch.first)
        else:
            yield batch
