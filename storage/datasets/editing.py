"""New versions: whatever changes is written beside the old, and everything else is shared with it.

A version gets the first free number after its parent's, so two writers never overwrite each other; which number a
workflow stands on is decided by its record, not here. An unfinished edit leaves unreachable objects and nothing else.
What makes a row valid is a `Check` that the caller brings: storage knows no rules but "the first of two equals stays".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from isal import isal_zlib

from storage import codec, paths
from storage.blobs import BlobStore
from storage.datasets import parts as part_files
from storage.datasets.index import extended, parts_with
from storage.datasets.open_part import OpenPart
from storage.datasets.parts import PartWriter, read_columns, read_lines, rows_of, with_columns
from storage.datasets.reading import DatasetReader, _PartList
from storage.datasets.summaries import relabelled, summarise
from storage.digests import DigestSet, content_id, conversation_digest, conversation_key, id_key, text_digest
from storage.errors import NotFound
from storage.manifests import Head, IndexRef, Manifest, PartRef, Source, summed
from storage.records import Tenant
from storage.rows import COLUMNS, Row, decode, encode

DUPLICATE = "duplicate"
Check = Callable[[Row], tuple[str, int]]
"""Judges one row by itself: (first error's code or "", tokens)."""

_BATCH = 1_000


class Datasets(DatasetReader):
    """Dataset versions. Reading comes from `DatasetReader`; every method here leaves its argument's version as it was."""

    def __init__(
        self,
        blobs: BlobStore,
        *,
        part_bytes: int = part_files.PART_BYTES,
        part_rows: int = part_files.PART_ROWS,
    ) -> None:
        super().__init__(blobs)
        self._limits = {"part_bytes": part_bytes, "part_rows": part_rows}

    def writer(self, tenant: Tenant, dataset_id: str, *, first: int = 0) -> PartWriter:
        """For whoever has many rows: takes encoded rows, stores parts. Hand its result to `write_version`."""
        return PartWriter(self._content_of(tenant, dataset_id), first=first, **self._limits)

    def write_version(
        self,
        tenant: Tenant,
        dataset_id: str,
        parts: Sequence[PartRef],
        index: Sequence[IndexRef],
        *,
        operation: str,
        by: str,
        at: float,
        parent: Manifest | None = None,
        source: Source | None = None,
    ) -> Manifest:
        """Store a version made of parts that are stored already. `source` defaults to the parent's."""
        content = self._content_of(tenant, dataset_id)
        listed = msgspec.json.encode(_PartList(parts=tuple(parts), index=tuple(index)))
        head = Head(
            tenant=tenant,
            dataset_id=dataset_id,
            version=parent.version + 1 if parent else 1,
            parent=parent.version if parent else None,
            operation=operation,
            by=by,
            at=at,
            totals=summed([part.summary for part in parts]),
            source=source or (parent.head.source if parent else Source()),
            parts_digest=content.put(isal_zlib.compress(listed, 1, 31)),
        )
        while not self._blobs.create(paths.version(tenant, dataset_id, head.version), codec.dumps(head)):
            head = replace(head, version=head.version + 1)
        return Manifest(head=head, parts=tuple(parts), index=tuple(index))

    def set_columns(self, manifest: Manifest, part: int, values: Mapping[str, Sequence[Any]]) -> PartRef:
        """Store new columns for one part and return it, to be made part of a version by `commit`.

        A `PartRef` is plain data: a task may keep it as its checkpoint. Raises ValueError for a column that is
        unknown or has not one value for each row.
        """
        old, content = manifest.parts[part], self._content(manifest)
        wrong = [name for name, column in values.items() if name not in COLUMNS or len(column) != old.rows]
        if wrong:
            raise ValueError(f"columns {wrong} do not fit part {part}: {old.rows} rows")
        columns = {**read_columns(content, old, COLUMNS), **values}
        if {"error", "tokens", "is_generated"} & set(values):
            summary = summarise(rows_of(read_lines(content, old), columns, decode))
        else:
            summary = relabelled(old.summary, columns, old.rows)
        return with_columns(content, old, values, summary)

    def commit(
        self, manifest: Manifest, changed: Mapping[int, PartRef], *, operation: str, by: str, at: float
    ) -> Manifest:
        """A version in which some parts are replaced."""
        return self._next(manifest, changed, manifest.index, operation=operation, by=by, at=at)

    def replace_record(
        self,
        manifest: Manifest,
        record_id: str,
        change: Callable[[Row], Row],
        *,
        check: Check,
        by: str,
        at: float,
        operation: str = "edit",
    ) -> Manifest:
        """Change one row (its columns too) and judge it again; one part is rewritten. Raises `NotFound`.

        The row keeps its id. Where it was the first of equals in its part, the next of them becomes valid.
        """
        number, part, place = self._opened(manifest, record_id)
        old = part.row(place)
        new = msgspec.structs.replace(change(old), id=record_id)
        error, tokens = check(new)
        before, after = conversation_digest(old.messages), conversation_digest(new.messages)
        if not error and not (old.valid and before == after):
            error = DUPLICATE if self._is_taken(manifest, after, number, part, place) else ""
        part.put(place, msgspec.structs.replace(new, error=error, tokens=tokens))
        if old.valid and before != after:
            _promote(part, before)
        additions = {} if error or before == after else {conversation_key(after): number}
        index = extended(self._content(manifest), manifest.index, additions)
        return self._next(manifest, {number: part.stored()}, index, operation=operation, by=by, at=at)

    def append_rows(
        self, manifest: Manifest, rows: Iterable[Row], *, check: Check, operation: str, by: str, at: float
    ) -> Manifest:
        """Add rows in new parts, judged and compared with everything that is there. A row without a free id gets one."""
        first = len(manifest.parts)
        writer = self.writer(manifest.tenant, manifest.dataset_id, first=first)
        known = _Known(self, manifest)
        for batch in _batches(rows, _BATCH):
            digests = [conversation_digest(row.messages) for row in batch]
            known.look_up(batch, digests)
            for row, digest in zip(batch, digests, strict=True):
                error, tokens = check(row)
                taken = not error and not known.add(digest)
                judged = msgspec.structs.replace(
                    row, id=known.free_id(row.id, digest), error=DUPLICATE if taken else error, tokens=tokens
                )
                _write(writer, judged, digest)
        parts, index = writer.finish()
        all_parts, all_index = (*manifest.parts, *parts), (*manifest.index, *index)
        return self.write_version(
            manifest.tenant,
            manifest.dataset_id,
            all_parts,
            all_index,
            operation=operation,
            by=by,
            at=at,
            parent=manifest,
        )

    def drop_rows(
        self, manifest: Manifest, drop: Callable[[Row], bool], *, operation: str, by: str, at: float
    ) -> Manifest:
        """A version without the rows that `drop` names; only parts that lose rows are rewritten."""
        changed: dict[int, PartRef] = {}
        for number, part in enumerate(manifest.parts):
            kept = [row for row in self.rows(manifest, number) if not drop(row)]
            if len(kept) < part.rows:
                changed[number] = self._rewritten(manifest, kept)
        return self._next(manifest, changed, manifest.index, operation=operation, by=by, at=at)

    def revalidate(
        self,
        manifest: Manifest,
        *,
        check: Check,
        by: str,
        at: float,
        progress: Callable[[int], object] = lambda rows: None,
    ) -> Manifest:
        """Judge every row again, duplicates over the whole dataset included; only columns are rewritten.

        `progress` hears the number of rows done after each part.
        """
        seen, done = DigestSet(), 0
        changed: dict[int, PartRef] = {}
        index = manifest.index
        for number, part in enumerate(manifest.parts):
            judged, digests = _judged(self.rows(manifest, number), check, seen)
            values: dict[str, list[Any]] = {
                "error": [error for error, _ in judged],
                "tokens": [tokens for _, tokens in judged],
            }
            if values != self.columns(manifest, number, ("error", "tokens")):
                changed[number] = self.set_columns(manifest, number, values)
                fresh = {conversation_key(digest): number for digest in digests}
                index = extended(self._content(manifest), index, fresh)
            done += part.rows
            progress(done)
        return self._next(manifest, changed, index, operation="validate", by=by, at=at)

    def delete(self, tenant: Tenant, dataset_id: str) -> None:
        """Remove every version of a dataset for good."""
        for path in list(self._blobs.list(paths.dataset(tenant, dataset_id))):
            self._blobs.delete(path)

    def _next(
        self,
        manifest: Manifest,
        changed: Mapping[int, PartRef],
        index: Sequence[IndexRef],
        *,
        operation: str,
        by: str,
        at: float,
    ) -> Manifest:
        parts = [changed.get(number, part) for number, part in enumerate(manifest.parts)]
        return self.write_version(
            manifest.tenant,
            manifest.dataset_id,
            parts,
            index,
            operation=operation,
            by=by,
            at=at,
            parent=manifest,
        )

    def _rewritten(self, manifest: Manifest, rows: Sequence[Row]) -> PartRef:
        """A part of these rows, whatever its size, so that the parts after it keep their numbers."""
        limits = {"part_bytes": 1 << 62, "part_rows": 1 << 62}
        writer = PartWriter(self._content(manifest), **limits)
        for row in rows:
            _write(writer, row, None)
        parts, _ = writer.finish()
        return parts[0] if parts else part_files.empty(self._content(manifest))

    def _opened(self, manifest: Manifest, record_id: str) -> tuple[int, OpenPart, int]:
        """The part that holds a row, opened, and the row's position. Raises `NotFound`."""
        content, key = self._content(manifest), id_key(record_id)
        for number in parts_with(content, manifest.index, [key]).get(key, ()):
            part = OpenPart(content, manifest.parts[number])
            if (place := part.find(record_id)) is not None:
                return number, part, place
        raise NotFound(record_id)

    def _is_taken(self, manifest: Manifest, digest: bytes, number: int, opened: OpenPart, place: int) -> bool:
        """Whether another valid row of the dataset has that conversation; part `number` is the opened one."""
        content, key = self._content(manifest), conversation_key(digest)
        for found in parts_with(content, manifest.index, [key]).get(key, ()):
            part = opened if found == number else OpenPart(content, manifest.parts[found])
            for at, row in part.rows(error=""):
                if (found, at) != (number, place) and conversation_digest(row.messages) == digest:
                    return True
        return False


class _Known:
    """Which conversations and ids an existing version and the rows added so far already have."""

    def __init__(self, datasets: Datasets, manifest: Manifest) -> None:
        self._datasets, self._manifest = datasets, manifest
        self._content = datasets._content(manifest)
        self._added, self._added_ids = DigestSet(), DigestSet()
        self._stored: set[bytes] = set()
        self._stored_ids: set[str] = set()

    def look_up(self, rows: Sequence[Row], digests: Sequence[bytes]) -> None:
        """Ask the index about a batch at once. A hit is confirmed in its part, for entries may be out of date."""
        keys = {conversation_key(digest) for digest in digests} | {id_key(row.id) for row in rows if row.id}
        found = parts_with(self._content, self._manifest.index, keys)
        suspects = {part for parts in found.values() for part in parts}
        self._stored, self._stored_ids = set(), set()
        for row in self._datasets.iter_rows(
            self._manifest, only_valid=False, columns=("error",), parts=sorted(suspects)
        ):
            if id_key(row.id) in found:
                self._stored_ids.add(row.id)
            if row.valid and conversation_key(digest := conversation_digest(row.messages)) in found:
                self._stored.add(digest)

    def add(self, digest: bytes) -> bool:
        """True when no valid row has the conversation yet."""
        return digest not in self._stored and self._added.add(digest)

    def free_id(self, wanted: str, digest: bytes) -> str:
        """The wanted id when it is free, else one made of the content and the number of its occurrence."""
        count = 0
        while (
            not wanted or wanted in self._stored_ids or not self._added_ids.add(text_digest(wanted.encode()))
        ):
            count += 1
            wanted = content_id(digest, count)
        return wanted


def _write(writer: PartWriter, row: Row, digest: bytes | None) -> None:
    """Add a row with all its columns; with a digest it is indexed as well."""
    writer.counts.add(row)
    for name in COLUMNS[2:]:
        value = getattr(row, name)
        if value != part_files.DEFAULTS[name]:
            writer.set(name, value)
    keys: tuple[int, ...] = ()
    if digest is not None:
        keys = (id_key(row.id), conversation_key(digest)) if row.valid else (id_key(row.id),)
    writer.add_many(encode(row) + b"\n", keys, (row.error,), (row.tokens,))


def _promote(part: OpenPart, digest: bytes) -> None:
    """The first duplicate of a conversation whose valid row has just changed becomes valid."""
    for at, row in part.rows(error=DUPLICATE):
        if conversation_digest(row.messages) == digest:
            part.put(at, msgspec.structs.replace(row, error=""))
            return


def _judged(rows: Iterable[Row], check: Check, seen: DigestSet) -> tuple[list[tuple[str, int]], list[bytes]]:
    """(error, tokens) of each row, and the conversations of the valid ones."""
    judged, digests = [], []
    for row in rows:
        error, tokens = check(row)
        if not error:
            digest = conversation_digest(row.messages)
            error = "" if seen.add(digest) else DUPLICATE
            digests += [digest] if not error else []
        judged.append((error, tokens))
    return judged, digests


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
