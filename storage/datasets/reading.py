"""Reading a version: part by part, in bounded memory, opening as few parts and blocks as the question allows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import msgspec

from storage import codec, paths
from storage.blobs import BlobStore
from storage.datasets.blocks import Blocks, all_lines
from storage.datasets.cache import Cache
from storage.datasets.columns import chunk, chunks, columns_at, filled_columns, read_columns
from storage.datasets.content import Content
from storage.datasets.equals import rows_at
from storage.datasets.filters import RowFilter, matching, may_hold, may_mention, mentions, valid_rows
from storage.datasets.index import places_of
from storage.datasets.listing import read_listing
from storage.datasets.parts import rows_of
from storage.digests import id_key
from storage.errors import Corrupt, NotFound
from storage.manifests import Head, Manifest
from storage.records import Tenant
from storage.rows import COLUMNS, Row, decode, to_record

SCAN_PARTS = 8  # parts that one page may open; a search through everything is a job of many pages
EXPORT_ROWS = 500
_ID = re.compile(rb'\{"id":("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows and where to go on; `cursor` is "" at the end. A page may be short, even empty, before the end."""

    rows: tuple[Row, ...]
    cursor: str


class DatasetReader:
    """The reading half of `Datasets`. Raises `NotFound`, `Unavailable`, `Corrupt`."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._cache = Cache()

    def head(self, tenant: Tenant, dataset_id: str, version: int) -> Head:
        """Lineage and totals: one small read, however many rows there are."""
        head = codec.loads(Head, self._blobs.get(paths.version(tenant, dataset_id, version)))
        if (head.tenant, head.dataset_id, head.version) != (tenant, dataset_id, version):
            raise Corrupt(f"version {version} of {dataset_id} says that it is another")
        return head

    def manifest(self, tenant: Tenant, dataset_id: str, version: int) -> Manifest:
        """A whole version."""
        head = self.head(tenant, dataset_id, version)
        parts, index, pages = read_listing(self._content_of(tenant, dataset_id), head.parts_digest)
        return Manifest(head=head, parts=parts, index=index, pages=pages)

    def rows(self, manifest: Manifest, part: int, columns: Sequence[str] = COLUMNS) -> Iterator[Row]:
        """The rows of one part in order, the named columns laid over them."""
        content, ref = self._content(manifest), manifest.parts[part]
        return rows_of(all_lines(content, ref), read_columns(content, ref, columns))

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
        return filled_columns(self._content(manifest), manifest.parts[part], names)

    def get_record(self, manifest: Manifest, record_id: str) -> Row:
        """One row by its id. Raises `NotFound`."""
        part, at = self.locate(manifest, record_id)
        return next(self.pick(manifest, [(part, at)]))

    def locate(self, manifest: Manifest, record_id: str) -> tuple[int, int]:
        """(part, position) of a row. Raises `NotFound`."""
        return located(self._content(manifest), manifest, record_id)[:2]

    def pick(self, manifest: Manifest, places: Iterable[tuple[int, int]]) -> Iterator[Row]:
        """The rows at some (part, position), in the order of the file; each part is opened once."""
        content = self._content(manifest)
        wanted: dict[int, list[int]] = {}
        for part, at in sorted(set(places)):
            wanted.setdefault(part, []).append(at)
        for part, positions in wanted.items():
            ref = manifest.parts[part]
            lines = (line for _, line in Blocks(content, ref).at(positions))
            yield from rows_of(lines, columns_at(content, ref, positions))

    def page(
        self, manifest: Manifest, *, where: RowFilter | None = None, cursor: str = "", limit: int = 10
    ) -> Page:
        """The next rows that match, at most `limit`, opening at most eight parts. Raises ValueError for a strange cursor."""
        where = where or RowFilter()
        part, at = _place(cursor)
        opened = 0
        rows: list[Row] = []
        while part < len(manifest.parts):
            if may_hold(manifest.parts[part].summary, where):
                if opened == SCAN_PARTS:
                    return Page(tuple(rows), f"{part}.{at}")
                opened += 1
                for place, row in self._matching(manifest, part, where, at):
                    if len(rows) == limit:
                        return Page(tuple(rows), f"{part}.{place}")
                    rows.append(row)
            part, at = part + 1, 0
        return Page(tuple(rows), "")

    def places(self, manifest: Manifest, part: int, where: RowFilter) -> list[int]:
        """Positions of a part's matching rows, in order. Only its columns are read, unless a text is asked for."""
        ref = manifest.parts[part]
        if not may_hold(ref.summary, where):
            return []
        if where.text:
            return [at for at, _ in self._matching(manifest, part, where, 0)]
        return matching(range(ref.rows), lambda name: self.columns(manifest, part, (name,))[name], where)

    def sample(self, manifest: Manifest, k: int, *, seed: int, topic: str | None = None) -> tuple[Row, ...]:
        """`k` valid rows (fewer when there are fewer), one at random from each k-th of the file, repeatable by seed."""
        counts = [valid_rows(part.summary, topic) for part in manifest.parts]
        total = sum(counts)
        k = min(k, total)
        rng = random.Random(seed)
        edges = [total * i // k for i in range(k + 1)] if k else [0]
        ranks = [rng.randrange(low, high) for low, high in pairwise(edges)]
        return tuple(self.pick(manifest, self._ranked(manifest, counts, ranks, topic)))

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

    def places_of(self, manifest: Manifest, ids: Iterable[str]) -> dict[int, list[int]]:
        """Part → positions of the rows with these ids; ids that are none are left out."""
        content, wanted = self._content(manifest), set(ids)
        starts = {msgspec.json.encode(id) for id in wanted}
        found: dict[int, list[int]] = {}
        places = places_of(content, manifest.index, map(id_key, wanted))
        for part, listed in groupby(places, key=itemgetter(0)):
            blocks = Blocks(content, manifest.parts[part])
            for _, block in listed:
                lines = enumerate(blocks.lines(block), blocks.span(block).start)
                found.setdefault(part, []).extend(at for at, line in lines if _id_in(line) in starts)
        return {part: places for part, places in found.items() if places}

    def _rows_at(
        self, manifest: Manifest, part: int, places: Collection[int] | None
    ) -> Iterator[tuple[int, Row]]:
        """Rows of a part with their positions: all, or those at some positions."""
        if places is None:
            return enumerate(self.rows(manifest, part))
        content, ref = self._content(manifest), manifest.parts[part]
        return rows_at(content, ref, Blocks(content, ref), sorted(places))

    def _content(self, manifest: Manifest) -> Content:
        return self._content_of(manifest.tenant, manifest.dataset_id)

    def _content_of(self, tenant: Tenant, dataset_id: str) -> Content:
        return Content(self._blobs, tenant, dataset_id, self._cache)

    def _matching(
        self, manifest: Manifest, part: int, where: RowFilter, first: int
    ) -> Iterator[tuple[int, Row]]:
        """Matching rows of a part from position `first` on, a chunk of its columns and a block of its rows at a time."""
        content, ref = self._content(manifest), manifest.parts[part]
        blocks = Blocks(content, ref, whole=bool(where.text))
        for number, span in chunks(ref, first):
            columns = _Chunk(content, manifest, part, number)
            places = [at for at in matching(span, columns.get, where) if at >= first]
            for at, line in blocks.at(places):
                if where.text and not may_mention(line, where.text):
                    continue
                values = {name: columns.get(name)[at - span.start] for name in COLUMNS}
                row = msgspec.structs.replace(decode(line), **values)
                if mentions(row, where.text):
                    yield at, row

    def _ranked(
        self, manifest: Manifest, counts: list[int], ranks: list[int], topic: str | None
    ) -> Iterator[tuple[int, int]]:
        """Where the valid rows with those (ascending) ranks are."""
        before = 0
        for part, count in enumerate(counts):
            here = [rank - before for rank in ranks if before <= rank < before + count]
            before += count
            if here and count == manifest.parts[part].rows:
                yield from ((part, rank) for rank in here)
            elif here:
                valid = self.places(manifest, part, RowFilter(topic=topic, valid=True))
                yield from ((part, valid[rank]) for rank in here)


class _Chunk:
    """The columns of one chunk of a part, read as they are asked for."""

    def __init__(self, content: Content, manifest: Manifest, part: int, number: int) -> None:
        self._content, self._ref, self._number = content, manifest.parts[part], number
        self._read: dict[str, list[Any]] = {}

    def get(self, name: str) -> list[Any]:
        if name not in self._read:
            self._read[name] = chunk(self._content, self._ref, name, self._number)
        return self._read[name]


def located(content: Content, manifest: Manifest, record_id: str) -> tuple[int, int, int]:
    """(part, position, block) of a row. Raises `NotFound`."""
    start = b'{"id":' + msgspec.json.encode(record_id)
    for part, block in places_of(content, manifest.index, [id_key(record_id)]):
        blocks = Blocks(content, manifest.parts[part])
        for at, line in enumerate(blocks.lines(block), blocks.span(block).start):
            if line.startswith(start):
                return part, at, block
    raise NotFound(record_id)


def _id_in(line: bytes) -> bytes:
    """The id as the line spells it, in quotes; `encode` puts it first."""
    found = _ID.match(line)
    return found[1] if found else b""


def _place(cursor: str) -> tuple[int, int]:
    if not cursor:
        return 0, 0
    part, _, at = cursor.partition(".")
    if not (part.isdecimal() and at.isdecimal()):
        raise ValueError(f"not a cursor: {cursor[:40]!r}")
    return int(part), int(at)
