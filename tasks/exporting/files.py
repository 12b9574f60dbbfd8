"""Rows to files, streamed: each format's writer, gzip around one file, zip around several. Counts what was left out.

A writer may look at all rows once before it writes (`survey`), where the columns of the whole file have to be known first.
Memory holds a batch of rows, never the file.
"""

from __future__ import annotations

import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from isal import isal_zlib

from storage.rows import Row
from tasks.exporting import csv_table, forms, parquet_table
from tasks.exporting.forms import Form
from tasks.exporting.sink import Sink

BATCH_ROWS = 500
CHUNK_BYTES = 1 << 18
MOST_NAMES = 200  # names of lost columns that are told apart
PACKED_BYTES = 1 << 18
GZIP = 31  # zlib's way of saying: with gzip's head and checksum


@dataclass(slots=True)
class Tally:
    """What became of the rows: written, left out by reason, and in how many rows something of that name was lost."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    formulas: int = 0

    def lose(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.lost or len(self.lost) < MOST_NAMES:
                self.lost[name] += 1


class Writer(Protocol):
    """`survey` comes first where `surveys` says so; `chunks` may be called for several files of one layout."""

    surveys: bool

    def survey(self, rows: Iterable[Row], most_columns: int) -> None: ...

    def chunks(self, rows: Iterable[Row], tally: Tally) -> Iterator[bytes]: ...


@dataclass(slots=True)
class JsonLines:
    form: Form
    surveys: bool = False

    def survey(self, rows: Iterable[Row], most_columns: int) -> None:
        """Every line names its own columns."""

    def chunks(self, rows: Iterable[Row], tally: Tally) -> Iterator[bytes]:
        encoder = msgspec.json.Encoder()
        batch: list[Any] = []
        for row in rows:
            shaped = self.form.shape(row)
            if isinstance(shaped, str):
                tally.left_out[shaped] += 1
                continue
            tally.rows += 1
            tally.lose(self.form.lost(row))
            batch.append(shaped)
            if len(batch) == BATCH_ROWS:
                yield encoder.encode_lines(batch)
                batch.clear()
        if batch:
            yield encoder.encode_lines(batch)


@dataclass(slots=True)
class CsvFile:
    header: tuple[str, ...] = ()
    surveys: bool = True

    def survey(self, rows: Iterable[Row], most_columns: int) -> None:
        self.header = csv_table.header_of(rows, most_columns)

    def chunks(self, rows: Iterable[Row], tally: Tally) -> Iterator[bytes]:
        known = frozenset(self.header)
        yield csv_table.BOM + (",".join(self.header) + "\n").encode()
        batch: list[str] = []
        for row in rows:
            cells = csv_table.cells_of(row)
            if isinstance(cells, str):
                tally.left_out[cells] += 1
                continue
            tally.rows += 1
            tally.lose(csv_table.lost(row, cells, known))
            tally.formulas += csv_table.looks_like_a_formula(cells)
            batch.append(csv_table.line(cells, self.header))
            if len(batch) == BATCH_ROWS:
                yield "".join(batch).encode()
                batch.clear()
        if batch:
            yield "".join(batch).encode()


@dataclass(slots=True)
class ParquetFile:
    layout: parquet_table.Layout = parquet_table.EMPTY
    surveys: bool = True

    def survey(self, rows: Iterable[Row], most_columns: int) -> None:
        self.layout = parquet_table.layout_of(rows, most_columns)

    def chunks(self, rows: Iterable[Row], tally: Tally) -> Iterator[bytes]:
        return parquet_table.file_of(self._lines(rows, tally), self.layout)

    def _lines(self, rows: Iterable[Row], tally: Tally) -> Iterator[tuple[dict[str, Any], int]]:
        for row in rows:
            values = parquet_table.values_of(row, self.layout)
            if isinstance(values, str):
                tally.left_out[values] += 1
                continue
            tally.rows += 1
            tally.lose(parquet_table.lost(row, self.layout))
            yield values, row.tokens


@dataclass(frozen=True, slots=True)
class Format:
    """A format as people ask for it. `ending` is the file name's."""

    title: str
    ending: str
    make: Callable[[], Writer]


def _lines(form: Form) -> Callable[[], Writer]:
    return lambda: JsonLines(form)


FORMATS: dict[str, Format] = {
    "jsonl": Format("JSONL records", ".jsonl", _lines(forms.RECORD)),
    "chat": Format("chat", ".jsonl", _lines(forms.CHAT)),
    "openai_sft": Format("OpenAI supervised", ".jsonl", _lines(forms.SFT)),
    "openai_dpo": Format("OpenAI preference", ".jsonl", _lines(forms.DPO)),
    "openai_rft": Format("OpenAI reinforcement", ".jsonl", _lines(forms.RFT)),
    "instruction": Format("instruction", ".jsonl", _lines(forms.INSTRUCTION)),
    "completion": Format("prompt and completion", ".jsonl", _lines(forms.COMPLETION)),
    "classification": Format("classification", ".jsonl", _lines(forms.CLASSIFICATION)),
    "sharegpt": Format("ShareGPT", ".jsonl", _lines(forms.SHAREGPT)),
    "csv": Format("CSV", ".csv", CsvFile),
    "parquet": Format("Parquet", ".parquet", ParquetFile),
}


def expressible(row: Row, format: str) -> bool:
    """Whether the row comes back from a file of that format exactly as it is: conversation, columns, labels and origin."""
    if format == "csv":
        return not isinstance(csv_table.cells_of(row), str) and csv_table.kept(row) == forms.essence(row)
    if format == "parquet":
        alone = parquet_table.layout_of((row,), len(row.item) + len(parquet_table.OWN))
        return not row.raw and parquet_table.kept(row, alone) == forms.essence(row)
    form = next(one for one in forms.FORMS if one.name == format)
    return not isinstance(form.shape(row), str) and form.kept(row) == forms.essence(row)


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """One file, packed while it streams."""
    packer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, GZIP)
    for piece in gathered(chunks):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of a good size: a packer that is handed a header line alone packs what follows five times worse."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= PACKED_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def zipped(files: Iterable[tuple[str, Iterable[bytes]]], at: float) -> Iterator[bytes]:
    """Several files as one .zip, each read only when its turn comes. `at` is the time that the entries carry."""
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, chunks in files:
            entry = zipfile.ZipInfo(
                name, time.gmtime(max(at, 315_532_800.0))[:6]
            )  # zip knows no time before 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                for chunk in chunks:
                    file.write(chunk)
                    if sink.waiting >= CHUNK_BYTES:
                        yield sink.taken()
    yield sink.taken()
