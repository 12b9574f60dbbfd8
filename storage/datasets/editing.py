"""New versions: whatever changes is written beside the old, and everything else is shared with it.

A version gets the first free number after its parent's, so two writers never overwrite each other; which number a
workflow stands on is decided by its record, not here. An unfinished edit leaves unreachable objects and nothing else.
What makes a row valid is a `Check` that the caller brings: storage knows no rules but "one of equals is valid".

A change of many rows can be made part by part (`changed_part`, `dropped_part`, `set_columns`): each gives a `PartRef`, which
is plain data, so that a task may keep it as its checkpoint or have it made by another worker; `commit_rows` or `commit`
makes the version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from storage import codec, paths
from storage.blobs import BlobStore
from storage.datasets import parts as part_files
from storage.datasets.appending import Known, added
from storage.datasets.changing import Change, recounted, with_rows, without_rows
from storage.datasets.columns import read_columns, with_columns
from storage.datasets.content import Content
from storage.datasets.equals import DUPLICATE, Affected, affected_by, findable, judged, settle
from storage.datasets.filters import RowFilter
from storage.datasets.history import history, version_diff
from storage.datasets.index import IndexBuilder, extended, joined, known_keys
from storage.datasets.listing import write_listing
from storage.datasets.parts import PartWriter
from storage.datasets.reading import DatasetReader, located
from storage.datasets.summaries import relabelled
from storage.digests import DigestSet, conversation_digest, conversation_key
from storage.manifests import Diff, Head, IndexRef, Manifest, PartRef, Source
from storage.records import Tenant
from storage.rows import COLUMNS, Row

Check = Callable[[Row], tuple[str, int]]
"""Judges one row by itself: (first error's code or "", tokens)."""

Progress = Callable[[int], object]
"""Hears the number of rows done after each part. What it raises stops the change, and no version is made."""

DETAIL_BYTES = 4_000


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

    # ---------------------------------------------------------------- versions

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
        detail: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Store a version made of parts that are stored already. `source` defaults to the parent's.

        `detail` is kept with the lineage. Raises ValueError when it has more than 4,000 bytes of JSON.
        """
        content = self._content_of(tenant, dataset_id)
        digest, pages, totals = write_listing(content, parts, index, parent)
        head = Head(
            tenant=tenant,
            dataset_id=dataset_id,
            version=parent.version + 1 if parent else 1,
            parent=parent.version or None if parent else None,  # version 0 is a dataset without rows
            operation=operation,
            by=by,
            at=at,
            totals=totals,
            source=source or (parent.head.source if parent else Source()),
            parts_digest=digest,
            detail=_bounded(detail),
        )
        while not self._blobs.create(paths.version(tenant, dataset_id, head.version), codec.dumps(head)):
            head = replace(head, version=head.version + 1)
        return Manifest(head=head, parts=tuple(parts), index=tuple(index), pages=pages)

    def commit(
        self,
        manifest: Manifest,
        changed: Mapping[int, PartRef],
        *,
        operation: str,
        by: str,
        at: float,
        detail: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """A version in which some parts have other columns (`set_columns`)."""
        content = self._content(manifest)
        parts = [changed.get(number, part) for number, part in enumerate(manifest.parts)]
        index = _index_after(content, manifest, changed)
        return self._version(manifest, parts, index, operation=operation, by=by, at=at, detail=detail)

    def lineage(
        self, tenant: Tenant, dataset_id: str, *, version: int | None = None, limit: int = 100
    ) -> list[Head]:
        """Heads, newest first: of all versions, or of one and those it came from. One small read each."""
        return history(self.head, self._blobs, tenant, dataset_id, version=version, limit=limit)

    def diff(self, old: Manifest, new: Manifest, *, progress: Progress = lambda rows: None) -> Diff:
        """What happened to the rows from one version of a dataset to another. Only what differs is read."""
        return version_diff(self._content(new), old, new, progress)

    def delete(self, tenant: Tenant, dataset_id: str) -> None:
        """Remove every version of a dataset for good."""
        for path in list(self._blobs.list(paths.dataset(tenant, dataset_id))):
            self._blobs.delete(path)

    # ---------------------------------------------------------------- one row

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
        detail: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Change one row (its columns too) and judge it again; its block is rewritten. Raises `NotFound`.

        The row keeps its id. Where it was the valid one of equals, the next of them becomes valid.
        """
        content = self._content(manifest)
        number, place, block = located(content, manifest, record_id)
        old = next(self.pick(manifest, [(number, place)]))
        affected = Affected()
        new = judged(old, change(old), check, affected)
        keys = set(map(conversation_key, affected.gained))
        if new.error == DUPLICATE and keys and not known_keys(content, manifest.index, keys):
            new, affected.gained = msgspec.structs.replace(new, error=""), set()
        parts = list(manifest.parts)
        parts[number] = with_rows(content, parts[number], {place: (old, new)})
        index = extended(content, manifest.index, [(key, number, block) for key in keys])
        if affected.gained or DUPLICATE in manifest.totals.errors:
            settle(content, parts, index, affected)
        return self._version(manifest, parts, index, operation=operation, by=by, at=at, detail=detail)

    # ---------------------------------------------------------------- many rows

    def set_columns(self, manifest: Manifest, part: int, values: Mapping[str, Sequence[Any]]) -> PartRef:
        """Store new columns for one part and return it, to be made part of a version by `commit`.

        Raises ValueError for a column that is unknown or has not one value for each row.
        """
        old, content = manifest.parts[part], self._content(manifest)
        wrong = [name for name, column in values.items() if name not in COLUMNS or len(column) != old.rows]
        if wrong:
            raise ValueError(f"columns {wrong} do not fit part {part}: {old.rows} rows")
        made = with_columns(content, old, values)
        if {"error", "tokens", "is_generated"} & set(values):
            return replace(made, summary=recounted(content, made))
        return replace(made, summary=relabelled(old.summary, read_columns(content, made, COLUMNS), old.rows))

    def changed_part(
        self,
        manifest: Manifest,
        part: int,
        change: Callable[[Row], Row | None],
        *,
        check: Check,
        places: Collection[int] | None = None,
    ) -> PartRef:
        """One part with `change` applied to its rows, or to those at some positions, for `commit_rows`.

        None takes a row out; a row that stays keeps its id. Where only columns differ, only columns are written and nothing
        is judged; a row with other words is judged, and counts as a duplicate until `commit_rows` has settled that.
        """
        content, ref = self._content(manifest), manifest.parts[part]
        changes: dict[int, Change] = {}
        gone: dict[int, Row] = {}
        for at, row in self._rows_at(manifest, part, places):
            new = change(row)
            if new is None:
                gone[at] = row
            elif new is not row and (better := judged(row, new, check, Affected())) != row:
                changes[at] = (row, better)
        return without_rows(content, with_rows(content, ref, changes), gone)

    def dropped_part(self, manifest: Manifest, part: int, drop: Callable[[Row], bool]) -> PartRef:
        """One part without the rows that `drop` names, for `commit_rows`; the same `PartRef` when it names none."""
        gone = {at: row for at, row in self._rows_at(manifest, part, None) if drop(row)}
        return without_rows(self._content(manifest), manifest.parts[part], gone)

    def commit_rows(
        self,
        manifest: Manifest,
        changed: Mapping[int, PartRef],
        *,
        operation: str,
        by: str,
        at: float,
        detail: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """A version with parts made by `changed_part` or `dropped_part`, in which one of equal rows is valid again."""
        content = self._content(manifest)
        differing = {n: part for n, part in sorted(changed.items()) if part != manifest.parts[n]}
        parts = [differing.get(number, part) for number, part in enumerate(manifest.parts)]
        index = _index_after(content, manifest, differing)
        if any(DUPLICATE in part.summary.errors for part in parts):
            for number, part in differing.items():
                settle(content, parts, index, affected_by(content, manifest.parts[number], part))
        return self._version(manifest, parts, index, operation=operation, by=by, at=at, detail=detail)

    def change_rows(
        self,
        manifest: Manifest,
        change: Callable[[Row], Row | None],
        *,
        check: Check,
        operation: str,
        by: str,
        at: float,
        where: RowFilter | None = None,
        ids: Collection[str] | None = None,
        detail: Mapping[str, Any] | None = None,
        progress: Progress = lambda rows: None,
    ) -> Manifest:
        """A version with `change` applied to all rows, or to those that match, or to those with some ids (`changed_part`)."""
        wanted = None if ids is None else self.places_of(manifest, ids)
        changed: dict[int, PartRef] = {}
        done = 0
        for number, part in enumerate(manifest.parts):
            places = None if wanted is None else wanted.get(number, [])
            if where is not None:
                matching = self.places(manifest, number, where)
                places = matching if places is None else sorted(set(places) & set(matching))
            if places is None or places:
                changed[number] = self.changed_part(manifest, number, change, check=check, places=places)
            done += part.rows
            progress(done)
        return self.commit_rows(manifest, changed, operation=operation, by=by, at=at, detail=detail)

    def drop_rows(
        self,
        manifest: Manifest,
        drop: Callable[[Row], bool],
        *,
        operation: str,
        by: str,
        at: float,
        detail: Mapping[str, Any] | None = None,
        progress: Progress = lambda rows: None,
    ) -> Manifest:
        """A version without the rows that `drop` names; only parts that lose rows are rewritten."""
        changed: dict[int, PartRef] = {}
        done = 0
        for number, part in enumerate(manifest.parts):
            changed[number] = self.dropped_part(manifest, number, drop)
            done += part.rows
            progress(done)
        return self.commit_rows(manifest, changed, operation=operation, by=by, at=at, detail=detail)

    def append_rows(
        self,
        manifest: Manifest,
        rows: Iterable[Row],
        *,
        check: Check,
        operation: str,
        by: str,
        at: float,
        detail: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Add rows in new parts, judged and compared with everything that is there. A row without a free id gets one."""
        content = self._content(manifest)
        writer = self.writer(manifest.tenant, manifest.dataset_id, first=len(manifest.parts))
        parts, segments = added(writer, rows, check, Known(content, manifest))
        index = joined(content, manifest.index, segments)
        all_parts = (*manifest.parts, *parts)
        return self._version(manifest, all_parts, index, operation=operation, by=by, at=at, detail=detail)

    def revalidate(
        self,
        manifest: Manifest,
        *,
        check: Check,
        by: str,
        at: float,
        progress: Progress = lambda rows: None,
        detail: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Judge every row again, duplicates over the whole dataset included; only columns are rewritten."""
        seen, done = DigestSet(), 0
        changed: dict[int, PartRef] = {}
        for number, part in enumerate(manifest.parts):
            values = _judgements(self.rows(manifest, number), check, seen)
            if values != self.columns(manifest, number, ("error", "tokens")):
                changed[number] = self.set_columns(manifest, number, values)
            done += part.rows
            progress(done)
        return self.commit(manifest, changed, operation="validate", by=by, at=at, detail=detail)

    # ---------------------------------------------------------------- below

    def _version(
        self, manifest: Manifest, parts: Sequence[PartRef], index: Sequence[IndexRef], **how: Any
    ) -> Manifest:
        return self.write_version(manifest.tenant, manifest.dataset_id, parts, index, parent=manifest, **how)


def _index_after(
    content: Content, manifest: Manifest, changed: Mapping[int, PartRef]
) -> tuple[IndexRef, ...]:
    """The index with what the rows of changed parts have newly come to say."""
    builder = IndexBuilder(content)
    for number, part in sorted(changed.items()):
        for key, block in findable(content, manifest.parts[number], part):
            builder.add((key,), number, block)
    return joined(content, manifest.index, builder.finish())


def _judgements(rows: Iterable[Row], check: Check, seen: DigestSet) -> dict[str, list[Any]]:
    """The columns `error` and `tokens` of some rows; the first of equals is valid."""
    errors: list[str] = []
    lengths: list[int] = []
    for row in rows:
        error, tokens = check(row)
        if not error and not seen.add(conversation_digest(row.messages)):
            error = DUPLICATE
        errors.append(error)
        lengths.append(tokens)
    return {"error": errors, "tokens": lengths}


def _bounded(detail: Mapping[str, Any] | None) -> dict[str, Any]:
    found = dict(detail or {})
    if len(codec.dumps(found)) > DETAIL_BYTES:
        raise ValueError(f"the detail of a version is limited to {DETAIL_BYTES:,} bytes")
    return found
