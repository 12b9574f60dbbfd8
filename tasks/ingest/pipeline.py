"""The one pass: source → text → rows → records → judged, hashed, compared → parts of a new dataset version.

A valid row costs about ten microseconds; whatever is odd about a row, or a file, takes the careful way. Nothing grows with
the file but the digests of the rows. A stopped or refused run leaves no version behind, only objects that nothing names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from storage.datasets import Datasets
from storage.manifests import Manifest, Source
from storage.records import Tenant
from tasks.ingest.careful import read_json
from tasks.ingest.csv_rows import CsvRow, csv_rows
from tasks.ingest.errors import BadRow, IngestCancelled, UnreadableFile, shortened
from tasks.ingest.fast import FastReader, FastRow, lines_of
from tasks.ingest.formats import HEAD_BYTES, Kind, kind_of
from tasks.ingest.json_values import elements
from tasks.ingest.lines import Element, Lines, TooLong, batches
from tasks.ingest.recorder import Recorder
from tasks.ingest.shapes import to_row
from tasks.ingest.streams import Progress, peek, text_pieces
from tasks.rules.hygiene import Hygiene, Statistics, hygiene, statistics
from tasks.rules.limits import Limits

ESTIMATE = "estimate: characters / 4"
_LEARN_ROWS = 50  # rows read with care before the fast reader is built from their columns
_RELEARN_ROWS = 1_000
_PROGRESS_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a file. `problems` are about the file as a whole; those of rows are in `hygiene.problems`."""

    manifest: Manifest
    hygiene: Hygiene
    statistics: Statistics
    format: str
    shape: str
    columns_kept: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def recognised(self) -> str:
        """One line for people: "JSONL, chat, 2 columns kept"."""
        count = len(self.columns_kept)
        kept = f", {count} column{'s' if count > 1 else ''} kept" if count else ""
        return f"{self.format}, {self.shape}{kept}"


def ingest(
    source: Iterable[bytes],
    file_name: str,
    datasets: Datasets,
    tenant: Tenant,
    dataset_id: str,
    *,
    by: str,
    at: float,
    limits: Limits | None = None,
    upload_id: str = "",
    count_tokens: Callable[[str], int] | None = None,
    progress: Callable[[int, int], object] = lambda read, rows: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """Read a file into version 1 of a dataset.

    `progress` hears (bytes read, rows) every few megabytes, and `cancelled` is asked as often. Raises `UnreadableFile`
    (nothing of it can be used), `IngestCancelled`, and whatever the source or the store raises.
    """
    limits = limits or Limits()
    state = Progress()
    text = text_pieces(source, file_name, limits, state)
    head, text = peek(text, HEAD_BYTES)
    if not head.strip():
        raise UnreadableFile("empty_file", file_name, "the file is empty")
    kind = kind_of(head, file_name, complete=len(head) < HEAD_BYTES)
    writer = datasets.writer(tenant, dataset_id)
    recorder = Recorder(writer, shortened(file_name), limits, count_tokens)
    reader = _Reader(recorder, limits, exact_tokens=count_tokens is not None)
    watched = _watched(text, state, recorder, progress, cancelled)
    for piece in _cut_up(watched, kind, limits):
        reader.take(piece)
        if recorder.rows > limits.max_rows:
            raise UnreadableFile("too_many_rows", file_name, f"it has more than {limits.max_rows:,} rows")
    if not recorder.rows:
        raise UnreadableFile("empty_file", file_name, "there are no rows in it")
    parts, index = writer.finish()
    manifest = datasets.write_version(
        tenant,
        dataset_id,
        parts,
        index,
        operation="upload",
        by=by,
        at=at,
        source=Source(
            file_name=shortened(file_name, 500),
            upload_id=upload_id,
            size=state.read,
            format=_format(kind, state),
            shape=reader.shape,
            columns=tuple(reader.columns),
            tokens_by=ESTIMATE if count_tokens is None else f"{ESTIMATE}; exact above 8,000 bytes",
        ),
    )
    progress(state.read, recorder.rows)
    return _report(manifest, recorder, limits, _file_problems(state, reader, recorder))


class _Reader:
    """Makes records of whatever the file was cut into, and learns its columns on the way."""

    def __init__(self, recorder: Recorder, limits: Limits, *, exact_tokens: bool) -> None:
        self._recorder = recorder
        self._limits = limits
        self._exact_tokens = exact_tokens
        self._fast: FastReader | None = None
        self._shapes: Counter[str] = Counter()
        self._careful = 0  # rows read with care since the fast reader was last built
        self.columns: dict[str, None] = {}
        self.unfinished = False

    @property
    def shape(self) -> str:
        """The shape of most rows; what else there is follows."""
        found = [shape for shape, _ in self._shapes.most_common()]
        return " and ".join(found) if found else "no known shape"

    def take(self, piece: Lines | Element | TooLong | CsvRow) -> None:
        if isinstance(piece, Lines):
            self._lines(piece)
        elif isinstance(piece, Element):
            self._element(piece)
        elif isinstance(piece, CsvRow):
            self._value(piece.line, piece.text, piece.value)
        else:
            detail = f"it is {piece.size / 1e6:,.1f} MB long and was skipped"
            self._recorder.bad(piece.line, piece.preview, BadRow("exceeds_max_tokens", detail))

    def _lines(self, batch: Lines) -> None:
        rows = self._fast.read(batch) if self._fast else None
        self.unfinished = not batch.data.endswith(b"\n")
        if rows is None:
            self._mixed(batch)
        else:
            self._quickly(rows, range(batch.first, batch.first + len(rows)))

    def _element(self, element: Element) -> None:
        row = self._fast.read_one(element.text) if self._fast else None
        self.unfinished = not element.text.endswith(b"}")
        if row is not None:
            self._quickly([row], [element.line])
        else:
            self._one(element.line, element.text)
            self._learn()

    def _quickly(self, rows: Sequence[FastRow], lines: Sequence[int]) -> None:
        if rows:
            self._shapes["chat"] += len(rows)
            self._recorder.fast(rows, lines)

    def _mixed(self, batch: Lines) -> None:
        """A batch with something odd in it: the plain rows between the odd ones still go quickly."""
        plain: dict[int, FastRow] = {}
        for number, line in enumerate(lines_of(batch.data), batch.first):
            row = self._fast.read_one(line) if self._fast else None
            if row is not None:
                plain[number] = row
            elif line.strip():
                self._quickly(tuple(plain.values()), tuple(plain))
                plain = {}
                self._one(number, line.strip())
        self._quickly(tuple(plain.values()), tuple(plain))
        self._learn()

    def _one(self, line: int, text: bytes) -> None:
        try:
            value: dict[str, Any] | BadRow = read_json(text, self._limits)
        except BadRow as error:
            value = error
        self._value(line, text, value)

    def _value(self, line: int, text: bytes, value: dict[str, Any] | BadRow) -> None:
        self._careful += 1
        if isinstance(value, BadRow):
            self._recorder.bad(line, text, value)
            return
        try:
            shape, row = to_row(value)
        except BadRow as error:
            self._recorder.bad(line, text, error)
            return
        self._shapes[shape] += 1
        self._keep(row.item)
        self._recorder.careful(line, text, row)

    def _keep(self, item: Iterable[str]) -> None:
        for name in item:
            if len(self.columns) < self._limits.max_columns:
                self.columns.setdefault(name)

    def _learn(self) -> None:
        """Build the fast reader anew when enough rows have shown columns that it does not know."""
        if self._careful < (_RELEARN_ROWS if self._fast else _LEARN_ROWS):
            return
        self._careful = 0
        known = self._fast.columns if self._fast else frozenset()
        if self._shapes["chat"] and (self._fast is None or set(self.columns) - known):
            self._fast = FastReader(self.columns, self._limits, exact_tokens=self._exact_tokens)


def _cut_up(
    text: Iterator[bytes], kind: Kind, limits: Limits
) -> Iterator[Lines | Element | TooLong | CsvRow]:
    if kind == "jsonl":
        return batches(text, limits.max_line_bytes)
    if kind == "csv":
        return csv_rows(text, limits.max_line_bytes)
    return elements(text, in_array=kind == "json array", max_bytes=limits.max_line_bytes)


def _watched(
    text: Iterator[bytes],
    state: Progress,
    recorder: Recorder,
    progress: Callable[[int, int], object],
    cancelled: Callable[[], bool],
) -> Iterator[bytes]:
    told = 0
    for piece in text:
        if state.read - told >= _PROGRESS_BYTES or not told:
            told = state.read
            if cancelled():
                raise IngestCancelled
            progress(state.read, recorder.rows)
        yield piece


def _format(kind: Kind, state: Progress) -> str:
    name = {"jsonl": "JSONL", "json": "JSON", "json array": "JSON array", "csv": "CSV"}[kind]
    encoding = "" if state.encoding == "utf-8" else f" in {state.encoding.upper()}"
    packed = f", {state.compression}" if state.compression else ""
    return f"{name}{encoding}{packed}"


def _file_problems(state: Progress, reader: _Reader, recorder: Recorder) -> tuple[str, ...]:
    cut = state.cut or (reader.unfinished and recorder.last_was_bad)
    return ("The file seems to be cut off; everything before the end was read.",) if cut else ()


def _report(
    manifest: Manifest, recorder: Recorder, limits: Limits, problems: tuple[str, ...]
) -> IngestReport:
    source = manifest.head.source
    return IngestReport(
        manifest=manifest,
        hygiene=hygiene(manifest.totals, details=recorder.problems, limits=limits),
        statistics=statistics(manifest.totals, tokens_by=source.tokens_by),
        format=source.format,
        shape=source.shape,
        columns_kept=source.columns,
        problems=problems,
    )
