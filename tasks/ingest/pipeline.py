"""The one pass: source → text → rows → records → judged, hashed, compared → parts of a new dataset version.

A valid row costs about ten microseconds; whatever is odd about a row, or a file, takes the careful way. Nothing grows with
the file but the digests of the rows. A stopped or refused run leaves no version behind, only objects that nothing names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from storage.datasets import Datasets
from storage.manifests import Manifest, Source
from storage.records import Tenant
from tasks.ingest.csv_rows import csv_rows
from tasks.ingest.errors import NOT_UTF8, IngestCancelled, UnreadableFile, shortened
from tasks.ingest.formats import HEAD_BYTES, Kind, kind_of
from tasks.ingest.json_values import elements
from tasks.ingest.lines import Element, Lines, TooLong, ValueRow, batches
from tasks.ingest.parquet_rows import MAGIC, parquet_rows
from tasks.ingest.reader import RowReader
from tasks.ingest.recorder import Recorder
from tasks.ingest.streams import Progress, limited, peek, text_pieces
from tasks.rules.hygiene import Hygiene, Statistics, hygiene, statistics
from tasks.rules.limits import Limits

_NAMES: dict[Kind, str] = {
    "jsonl": "JSONL",
    "json": "JSON",
    "json array": "JSON array",
    "csv": "CSV",
    "parquet": "Parquet",
}
ESTIMATE = "estimate: characters / 4"
_PROGRESS_BYTES = 4 << 20
_PROGRESS_ROWS = 20_000  # of a file that came as a whole before its first row


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
    parent: Manifest | None = None,
    count_tokens: Callable[[str], int] | None = None,
    progress: Callable[[int, int], object] = lambda read, rows: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """Read a file into version 1 of a dataset, or into a version of its own beside `parent`.

    `progress` hears (bytes read, rows) every few megabytes, and `cancelled` is asked as often. Raises `UnreadableFile`
    (nothing of it can be used), `IngestCancelled`, and whatever the source or the store raises.
    """
    limits = limits or Limits()
    state = Progress()
    writer = datasets.writer(tenant, dataset_id)
    recorder = Recorder(writer, shortened(file_name), limits, count_tokens)
    reader = RowReader(recorder, shortened(file_name), limits, exact_tokens=count_tokens is not None)
    kind, rows = _cut_up(limited(source, file_name, limits, state), file_name, limits, state)
    watch = _Watch(state, recorder, progress, cancelled)
    for piece in rows:
        watch.look()
        reader.take(piece)
        _refuse_too_many(recorder.rows, file_name, limits)
    reader.finish()
    _refuse_too_many(recorder.rows, file_name, limits)
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
        parent=parent,
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


def _refuse_too_many(rows: int, file_name: str, limits: Limits) -> None:
    if rows > limits.max_rows:
        raise UnreadableFile("too_many_rows", file_name, f"it has more than {limits.max_rows:,} rows")


def _cut_up(
    raw: Iterator[bytes], file_name: str, limits: Limits, state: Progress
) -> tuple[Kind, Iterator[Lines | Element | TooLong | ValueRow]]:
    """What kind of file it is, and its rows."""
    head, raw = peek(raw, len(MAGIC))
    if head == MAGIC:
        return "parquet", parquet_rows(raw, file_name, limits, state)
    text = text_pieces(raw, file_name, limits, state)
    head, text = peek(text, HEAD_BYTES)
    if not head.strip():
        raise UnreadableFile("empty_file", file_name, "the file is empty")
    kind = kind_of(head, file_name, complete=len(head) < HEAD_BYTES)
    if kind == "jsonl":
        return kind, batches(text, limits.max_line_bytes)
    if kind == "csv":
        return kind, csv_rows(text, limits)
    return kind, elements(text, in_array=kind == "json array", max_bytes=limits.max_line_bytes)


class _Watch:
    """Tells how far the reading is, and asks whether to go on, at the beginning and every few megabytes."""

    def __init__(
        self,
        state: Progress,
        recorder: Recorder,
        progress: Callable[[int, int], object],
        cancelled: Callable[[], bool],
    ) -> None:
        self._state, self._recorder = state, recorder
        self._progress, self._cancelled = progress, cancelled
        self._bytes = self._rows = -_PROGRESS_BYTES

    def look(self) -> None:
        """Raises `IngestCancelled`."""
        read, rows = self._state.read, self._recorder.rows
        if read - self._bytes < _PROGRESS_BYTES and rows - self._rows < _PROGRESS_ROWS:
            return
        self._bytes, self._rows = read, rows
        if self._cancelled():
            raise IngestCancelled
        self._progress(read, rows)


def _format(kind: Kind, state: Progress) -> str:
    name = _NAMES[kind]
    encoding = "" if state.encoding == "utf-8" else f" in {state.encoding.upper()}"
    packed = f", {state.compression}" if state.compression else ""
    return f"{name}{encoding}{packed}"


def _file_problems(state: Progress, reader: RowReader, recorder: Recorder) -> tuple[str, ...]:
    cut = state.cut or (reader.unfinished and recorder.last_was_bad)
    told = ["The file seems to be cut off; everything before the end was read."] if cut else []
    if any(NOT_UTF8 in problem.detail for problem in recorder.problems):
        told.append(
            "Some rows are not UTF-8. Save the file as UTF-8 (in Excel: CSV UTF-8) and share it again."
        )
    return (*told, *state.damaged[:5])


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
