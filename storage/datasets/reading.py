"""Reading a version: part by part, in bounded memory, opening as few parts as the question allows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import msgspec
from isal import igzip

from storage import codec, paths
from storage.blobs import BlobStore
from storage.datasets.content import Content
from storage.datasets.index import parts_with
from storage.datasets.parts import DEFAULTS, read_columns, read_lines, rows_of
from storage.digests import id_key
from storage.errors import Corrupt, NotFound
from storage.manifests import Head, IndexRef, Manifest, PartRef, Summary
from storage.records import Tenant
from storage.rows import COLUMNS, UNCATEGORISED, Row, conversation_text, decode, to_record

SCAN_PARTS = 8  # parts that one page may open; a search through everything is a job of many pages
EXPORT_ROWS = 500


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows a page shows; everything given must hold.

    topic       a leaf id, or "uncategorised"
    confidence  at least the first, below the second (so that (0.0, 0.7) are the rows to review); the same for `score`
    source      "uploaded", "generated", or None for both
    text        appears somewhere in the conversation, whatever the case
    """

    topic: str | None = None
    valid: bool | None = None
    confidence: tuple[float, float] | None = None
    score: tuple[float, float] | None = None
    source: Literal["uploaded", "generated"] | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows and where to go on; `cursor` is "" at the end. A page may be short, even empty, before the end."""

    rows: tuple[Row, ...]
    cursor: str


class _PartList(msgspec.Struct, frozen=True):
    parts: tuple[PartRef, ...]
    index: tuple[IndexRef, ...]


class DatasetReader:
    """The reading half of `Datasets`. Raises `NotFound`, `Unavailable`, `Corrupt`."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def head(self, tenant: Tenant, dataset_id: str, version: int) -> Head:
        """Lineage and totals: one small read, however many rows there are."""
        head = codec.loads(Head, self._blobs.get(paths.version(tenant, dataset_id, version)))
        if (head.tenant, head.dataset_id, head.version) != (tenant, dataset_id, version):
            raise Corrupt(f"version {version} of {dataset_id} says that it is another")
        return head

    def manifest(self, tenant: Tenant, dataset_id: str, version: int) -> Manifest:
        """A whole version."""
        head = self.head(tenant, dataset_id, version)
        listed = self._content_of(tenant, dataset_id).get(head.parts_digest)
        found = codec.loads(_PartList, igzip.decompress(listed))
        return Manifest(head=head, parts=found.parts, index=found.index)

    def rows(self, manifest: Manifest, part: int, columns: Sequence[str] = COLUMNS) -> Iterator[Row]:
        """The rows of one part in order, the named columns laid over them."""
        content, ref = self._content(manifest), manifest.parts[part]
        return rows_of(read_lines(content, ref), read_columns(content, ref, columns), decode)

    def iter_rows(
        self,
        manifest: Manifest,
        *,
        only_valid: bool = True,
        columns: Sequence[str] = COLUMNS,
        parts: Iterable[int] | None = None,
    ) -> Iterator[Row]:
        """All rows, or those of some parts, in order, one part in memory at a time."""
        names = tuple({*columns, "error"}) if only_valid else columns
        for number in range(len(manifest.parts)) if parts is None else parts:
            if only_valid and not manifest.parts[number].summary.valid:
                continue
            for row in self.rows(manifest, number, names):
                if not (only_valid and row.error):
                    yield row

    def columns(self, manifest: Manifest, part: int, names: Sequence[str]) -> dict[str, list[Any]]:
        """The named columns of one part, every one of them with a value for each row. The rows stay unread."""
        ref = manifest.parts[part]
        found = read_columns(self._content(manifest), ref, names)
        return {name: found.get(name) or [DEFAULTS[name]] * ref.rows for name in names}

    def get_record(self, manifest: Manifest, record_id: str) -> Row:
        """One row by its id. Raises `NotFound`."""
        part, at = self.locate(manifest, record_id)
        return next(self.pick(manifest, [(part, at)]))

    def locate(self, manifest: Manifest, record_id: str) -> tuple[int, int]:
        """(part, position) of a row. Raises `NotFound`."""
        content = self._content(manifest)
        key = id_key(record_id)
        start = b'{"id":' + msgspec.json.encode(record_id)
        for part in parts_with(content, manifest.index, [key]).get(key, ()):
            for at, line in enumerate(read_lines(content, manifest.parts[part])):
                if line.startswith(start):
                    return part, at
        raise NotFound(record_id)

    def pick(self, manifest: Manifest, places: Iterable[tuple[int, int]]) -> Iterator[Row]:
        """The rows at some (part, position), in the order of the file; each part is opened once."""
        content = self._content(manifest)
        wanted: dict[int, list[int]] = {}
        for part, at in sorted(set(places)):
            wanted.setdefault(part, []).append(at)
        for part, positions in wanted.items():
            lines = read_lines(content, manifest.parts[part])
            columns = read_columns(content, manifest.parts[part], COLUMNS)
            chosen = {name: [values[at] for at in positions] for name, values in columns.items()}
            yield from rows_of([lines[at] for at in positions], chosen, decode)

    def page(
        self, manifest: Manifest, *, where: RowFilter | None = None, cursor: str = "", limit: int = 10
    ) -> Page:
        """The next rows that match, at most `limit`, opening at most eight parts. Raises ValueError for a strange cursor."""
        where = where or RowFilter()
        part, at = _place(cursor)
        opened = 0
        rows: list[Row] = []
        while part < len(manifest.parts):
            if _may_hold(manifest.parts[part].summary, where):
                if opened == SCAN_PARTS:
                    return Page(tuple(rows), f"{part}.{at}")
                opened += 1
                for place, row in self._matching(manifest, part, where, at):
                    if len(rows) == limit:
                        return Page(tuple(rows), f"{part}.{place}")
                    rows.append(row)
            part, at = part + 1, 0
        return Page(tuple(rows), "")

    def sample(self, manifest: Manifest, k: int, *, seed: int, topic: str | None = None) -> tuple[Row, ...]:
        """`k` valid rows (fewer when there are fewer), one at random from each k-th of the file, repeatable by seed."""
        counts = [_valid_rows(part.summary, topic) for part in manifest.parts]
        total = sum(counts)
        k = min(k, total)
        rng = random.Random(seed)
        edges = [total * i // k for i in range(k + 1)] if k else [0]
        ranks = [rng.randrange(low, high) for low, high in pairwise(edges)]
        return tuple(self.pick(manifest, self._places(manifest, counts, ranks, topic)))

    def topic_counts(self, manifest: Manifest) -> dict[str, int]:
        """Valid rows per topic, from the totals."""
        return {topic: found.rows for topic, found in manifest.totals.topics.items()}

    def export_jsonl(
        self,
        manifest: Manifest,
        *,
        form: Callable[[Row], dict[str, Any] | None] = to_record,
        only_valid: bool = True,
        include_generated: bool = True,
    ) -> Iterator[bytes]:
        """The rows as JSONL in some form (`to_record`, `to_openai_rft`, …), streamed; a form's None leaves a row out."""
        batch: list[dict[str, Any]] = []
        for row in self.iter_rows(manifest, only_valid=only_valid):
            shaped = form(row) if include_generated or not row.is_generated else None
            if shaped is not None:
                batch.append(shaped)
            if len(batch) == EXPORT_ROWS:
                yield msgspec.json.Encoder().encode_lines(batch)
                batch.clear()
        if batch:
            yield msgspec.json.Encoder().encode_lines(batch)

    def _content(self, manifest: Manifest) -> Content:
        return self._content_of(manifest.tenant, manifest.dataset_id)

    def _content_of(self, tenant: Tenant, dataset_id: str) -> Content:
        return Content(self._blobs, tenant, dataset_id)

    def _matching(
        self, manifest: Manifest, part: int, where: RowFilter, first: int
    ) -> Iterator[tuple[int, Row]]:
        """Matching rows of a part from position `first` on. Without a match in its columns its rows stay unread."""
        content, ref = self._content(manifest), manifest.parts[part]
        columns = read_columns(content, ref, COLUMNS)
        whole = {name: columns.get(name) or [DEFAULTS[name]] * ref.rows for name in COLUMNS}
        places = [at for at in range(first, ref.rows) if _matches({n: whole[n][at] for n in COLUMNS}, where)]
        lines = read_lines(content, ref) if places else []
        for at in places:
            if not _may_mention(lines[at], where.text):
                continue
            row = msgspec.structs.replace(decode(lines[at]), **{name: whole[name][at] for name in COLUMNS})
            if _mentions(row, where.text):
                yield at, row

    def _places(
        self, manifest: Manifest, counts: list[int], ranks: list[int], topic: str | None
    ) -> Iterator[tuple[int, int]]:
        """Where the valid rows with those (ascending) ranks are."""
        before = 0
        for part, count in enumerate(counts):
            here = [rank - before for rank in ranks if before <= rank < before + count]
            before += count
            if here:
                columns = self.columns(manifest, part, ("error", "topic"))
                pairs = enumerate(zip(columns["error"], columns["topic"], strict=True))
                valid = [at for at, (error, found) in pairs if not error and topic in (None, found)]
                yield from ((part, valid[rank]) for rank in here)


def _place(cursor: str) -> tuple[int, int]:
    if not cursor:
        return 0, 0
    part, _, at = cursor.partition(".")
    if not (part.isdecimal() and at.isdecimal()):
        raise ValueError(f"not a cursor: {cursor[:40]!r}")
    return int(part), int(at)


def _valid_rows(summary: Summary, topic: str | None) -> int:
    if topic is None:
        return summary.valid
    if topic == UNCATEGORISED:
        return summary.uncategorised
    found = summary.topics.get(topic)
    return found.rows if found else 0


def _may_hold(summary: Summary, where: RowFilter) -> bool:
    """False when the summary already says that no row of the part matches."""
    holds = summary.rows > 0
    if where.valid is not None:
        holds = holds and (summary.valid if where.valid else summary.invalid) > 0
    if where.source is not None:
        holds = holds and (
            summary.generated > 0 if where.source == "generated" else summary.generated < summary.rows
        )
    if where.topic is not None and (where.valid or not summary.invalid):  # topics count valid rows only
        holds = holds and _valid_rows(summary, where.topic) > 0
    return holds


def _matches(columns: dict[str, Any], where: RowFilter) -> bool:
    return (
        (where.topic is None or columns["topic"] == where.topic)
        and (where.valid is None or (not columns["error"]) == where.valid)
        and (where.source is None or bool(columns["is_generated"]) == (where.source == "generated"))
        and _within(columns["topic_confidence"], where.confidence)
        and _within(columns["score"], where.score)
    )


def _within(value: float | None, bounds: tuple[float, float] | None) -> bool:
    return bounds is None or (value is not None and bounds[0] <= value < bounds[1])


def _may_mention(line: bytes, text: str) -> bool:
    """False when the bytes alone say that the text is not in the row: plain words in plain ASCII need no decoding."""
    plain = text.isascii() and text.isprintable() and not {'"', "\\"} & set(text)
    return not (plain and line.isascii()) or text.lower().encode() in line.lower()


def _mentions(row: Row, text: str) -> bool:
    return not text or text.casefold() in (conversation_text(row.messages) or row.raw).casefold()
