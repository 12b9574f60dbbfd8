"""Where a version comes from, and what it did to the rows. Blocks are compared; rows are decoded only where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from storage import paths
from storage.blobs import BlobStore
from storage.datasets.blocks import Blocks
from storage.datasets.columns import filled_columns
from storage.datasets.content import Content
from storage.manifests import Diff, DiffKind, Head, Manifest, PartRef, RowDiff
from storage.records import Tenant
from storage.rows import COLUMNS, Row, conversation_text, decode, last_user_message, with_columns

EXAMPLES = 5  # of each kind
PREVIEW_CHARACTERS = 200
MAX_MOVES = 100

Difference = tuple[int, Row | None, Row | None]
"""A block, and a row before and after: None where there is none, never both."""


def history(
    head: Callable[[Tenant, str, int], Head],
    blobs: BlobStore,
    tenant: Tenant,
    dataset_id: str,
    *,
    version: int | None,
    limit: int,
) -> list[Head]:
    """The newest versions, or one and its ancestors, newest first."""
    if version is None:
        names = list(blobs.list(paths.versions(tenant, dataset_id)))[-limit:]
        return [head(tenant, dataset_id, paths.version_number(name)) for name in reversed(names)]
    heads: list[Head] = []
    number: int | None = version
    while number and len(heads) < limit:
        heads.append(head(tenant, dataset_id, number))
        number = heads[-1].parent
    return heads


def version_diff(content: Content, old: Manifest, new: Manifest, progress: Callable[[int], object]) -> Diff:
    """What happened to the rows. Parts are compared with those of the same number; rows by their ids."""
    counts = _Counts()
    shared = done = 0
    both = min(len(old.parts), len(new.parts))
    for number in range(max(len(old.parts), len(new.parts))):
        before = old.parts[number] if number < len(old.parts) else _NOTHING
        after = new.parts[number] if number < len(new.parts) else _NOTHING
        if before == after:
            shared += 1
        else:
            for _, was, now in differences(content, before, after):
                counts.add(was, now)
        done += max(before.rows, after.rows)
        progress(done)
    return counts.diff(shared=shared, differing=both - shared)


def differences(content: Content, old: PartRef, new: PartRef) -> Iterator[Difference]:
    """The rows that differ between two states of one part, those of each block matched by their ids."""
    before, after = _Side(content, old), _Side(content, new)
    for number in range(max(len(old.blocks), len(new.blocks))):
        if before.block(number) == after.block(number):
            continue
        was, now = before.rows(number), after.rows(number)
        gone = _decoded({line: values for line, values in was.items() if now.get(line) != values})
        come = _decoded({line: values for line, values in now.items() if was.get(line) != values})
        for id in {**gone, **come}:
            yield number, gone.get(id), come.get(id)


class _Side:
    """One state of a part: the lines of its blocks with the values of their columns."""

    def __init__(self, content: Content, part: PartRef) -> None:
        self._blocks = Blocks(content, part, whole=True)
        self._values = list(zip(*filled_columns(content, part, COLUMNS).values(), strict=True))

    def block(self, number: int) -> tuple[bytes, list[tuple[Any, ...]]]:
        """A block as it rests, with its columns: what is equal need not be unpacked."""
        if number >= len(self._blocks):
            return b"", []
        span = self._blocks.span(number)
        return self._blocks.packed(number), self._values[span.start : span.stop]

    def rows(self, number: int) -> dict[bytes, tuple[Any, ...]]:
        if number >= len(self._blocks):
            return {}
        span = self._blocks.span(number)
        return dict(zip(self._blocks.lines(number), self._values[span.start : span.stop], strict=True))


def _decoded(lines: dict[bytes, tuple[Any, ...]]) -> dict[str, Row]:
    rows = (
        with_columns(decode(line), dict(zip(COLUMNS, values, strict=True))) for line, values in lines.items()
    )
    return {row.id: row for row in rows}


@dataclass(slots=True)
class _Counts:
    kinds: Counter[DiffKind] = field(default_factory=Counter)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[DiffKind, list[RowDiff]] = field(default_factory=dict)

    def add(self, was: Row | None, now: Row | None) -> None:
        if was and now:
            self._compare(was, now)
        elif was:
            self._note("removed", RowDiff(was.id, "removed", before=_preview(was)))
        elif now:
            self._note("added", RowDiff(now.id, "added", after=_preview(now)))

    def _compare(self, was: Row, now: Row) -> None:
        if (was.messages, was.item, was.raw) != (now.messages, now.item, now.raw):
            self._note("changed", RowDiff(now.id, "changed", _preview(was), _preview(now)))
        if was.topic != now.topic:
            pair = (was.topic or "", now.topic or "")
            self.moves[pair if pair in self.moves or len(self.moves) < MAX_MOVES else ("", "")] += 1
            self._note("topic", RowDiff(now.id, "topic", *pair))
        if was.error != now.error:
            self._note("validity", RowDiff(now.id, "validity", was.error, now.error))

    def diff(self, *, shared: int, differing: int) -> Diff:
        return Diff(
            added=self.kinds["added"],
            removed=self.kinds["removed"],
            changed=self.kinds["changed"],
            topics=self.kinds["topic"],
            validity=self.kinds["validity"],
            topic_moves=tuple((*pair, count) for pair, count in self.moves.most_common()),
            parts_shared=shared,
            parts_differing=differing,
            examples=tuple(example for found in self.examples.values() for example in found),
        )

    def _note(self, kind: DiffKind, example: RowDiff) -> None:
        self.kinds[kind] += 1
        found = self.examples.setdefault(kind, [])
        if len(found) < EXAMPLES:
            found.append(example)


def _preview(row: Row) -> str:
    text = last_user_message(row) or conversation_text(row.messages) or row.raw
    return text if len(text) <= PREVIEW_CHARACTERS else text[: PREVIEW_CHARACTERS - 1] + "…"


_NOTHING = PartRef(digest="", rows=0, size=0)
