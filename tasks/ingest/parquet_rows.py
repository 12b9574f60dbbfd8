"""Parquet records as JSON objects, a few at a time. The library is loaded only when such a file comes.

Parquet is read from its end, so the stream first goes to a temporary file. What its footer says is checked against the
limits before a row is read; what the rows unpack to is counted while they come, for a footer may lie and one text can stand
for a million cells. A damaged row group costs its own rows, which are named, and no others. "Line" means row here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tasks.ingest.errors import BadRow, UnreadableFile
from tasks.ingest.lines import TooLong, ValueRow
from tasks.ingest.shapes import with_structures
from tasks.ingest.streams import Progress, refuse_bomb
from tasks.rules.limits import Limits

MAGIC = b"PAR1"
_BATCH_BYTES = 4 << 20
_BATCH_ROWS = 1_000
_FOOTER_BYTES = 64 << 20  # texts and lists in a footer; a real one is far smaller
_ENCODER = msgspec.json.Encoder(enc_hook=str)


def parquet_rows(
    pieces: Iterator[bytes], file_name: str, limits: Limits, progress: Progress
) -> Iterator[ValueRow | TooLong]:
    """The rows of the file, in order. Raises `UnreadableFile` when it is no Parquet or over a limit.

    `pieces` is the file as it was uploaded; `progress` says how much came and what it unpacked to.
    """
    with tempfile.TemporaryDirectory(prefix="finetune-") as folder:
        path = Path(folder, "upload.parquet")
        with path.open("wb") as copy:
            for piece in pieces:
                copy.write(piece)
        yield from _rows(path, file_name, limits, progress)


def _rows(path: Path, file_name: str, limits: Limits, progress: Progress) -> Iterator[ValueRow | TooLong]:
    file = _opened(path, file_name)
    try:
        _refuse_beyond(file.metadata, file.schema_arrow, file_name, limits, progress)
        after = 1
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            yield from _group(file, group, after, rows, file_name, limits, progress)
            after += rows
    finally:
        file.close()


def _opened(path: Path, file_name: str) -> Any:
    import pyarrow
    import pyarrow.parquet

    options = {"thrift_string_size_limit": _FOOTER_BYTES, "thrift_container_size_limit": 1_000_000}
    plain = {"memory_map": False, "pre_buffer": False, "buffer_size": 1 << 20}
    try:
        schema = pyarrow.parquet.ParquetFile(path, **plain, **options).schema
        texts = [
            schema.column(number).path
            for number in range(len(schema))
            if schema.column(number).physical_type == "BYTE_ARRAY"
        ]
        return pyarrow.parquet.ParquetFile(path, read_dictionary=texts, **plain, **options)
    except _errors() as error:
        why = "it begins like Parquet, but is cut off or damaged, so that no row can be read"
        raise UnreadableFile("broken_parquet", file_name, why) from error


def _refuse_beyond(metadata: Any, schema: Any, file_name: str, limits: Limits, progress: Progress) -> None:
    """What the footer already tells: rows, columns, size."""
    if metadata.num_rows > limits.max_rows:
        raise UnreadableFile(
            "too_many_rows",
            file_name,
            f"it has {metadata.num_rows:,} rows, more than the limit of {limits.max_rows:,}",
        )
    if len(schema.names) > limits.max_columns:
        why = f"it has {len(schema.names):,} columns, more than the limit of {limits.max_columns:,}"
        raise UnreadableFile("too_many_columns", file_name, why)
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    refuse_bomb(sum(max(0, group.total_byte_size) for group in groups), file_name, limits, progress)


def _group(
    file: Any, group: int, first: int, rows: int, file_name: str, limits: Limits, progress: Progress
) -> Iterator[ValueRow | TooLong]:
    """The rows of one group; those after a damaged place become one broken row."""
    size = max(1, file.metadata.row_group(group).total_byte_size)
    at_once = max(1, min(_BATCH_ROWS, _BATCH_BYTES * max(1, rows) // size))
    line = first
    try:
        for batch in file.iter_batches(batch_size=at_once, row_groups=[group], use_threads=False):
            for number in range(batch.num_rows):
                row = _row(batch, number, line, limits)
                progress.expanded += row.size if isinstance(row, TooLong) else len(row.text)
                refuse_bomb(progress.expanded, file_name, limits, progress)
                line += 1
                yield row
    except _errors():
        detail = f"rows {line:,} to {first + rows - 1:,} are damaged"
        progress.damaged.append(f"{detail[0].upper()}{detail[1:]}; the rows before and after them were read.")
        yield ValueRow(line, f"Parquet row group {group + 1}".encode(), BadRow("invalid_json", detail))


def _row(batch: Any, number: int, line: int, limits: Limits) -> ValueRow | TooLong:
    """One row. A cell that cannot be text spoils this row only."""
    names = batch.schema.names
    try:
        cells = [batch.column(at)[number] for at in range(len(names))]
        value = {name: _plain(cell.as_py()) for name, cell in zip(names, cells, strict=True)}
        value = {name: cell for name, cell in value.items() if cell is not None}
        text = _ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        shown = f"Parquet row {line}".encode()
        return ValueRow(line, shown, BadRow("invalid_data_structure", _short(error)))
    if len(text) > limits.max_line_bytes:
        return TooLong(line, len(text), text[:1_000])
    return ValueRow(line, text, with_structures(msgspec.json.decode(text), limits))


def _plain(value: Any) -> Any:
    """Without the nulls that a table needs where one message has a field and another has not; content stays."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if item is not None or name == "content"}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8")  # raises ValueError
    return value


def _errors() -> tuple[type[Exception], ...]:
    import pyarrow

    return pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError, NotImplementedError


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__
