"""Of the rows that say the same, one is valid: whatever changes rows settles here which one it is.

The rule: a row that is valid stays so; where the valid one is gone, the first of the others in the file takes its place.
A row whose conversation has changed is a duplicate until it has been settled that nobody else has it. Equals are found
through the index, so that settling an edit opens a block or two, not the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from storage.datasets.blocks import Blocks
from storage.datasets.changing import same_line, with_rows
from storage.datasets.columns import columns_at, values_in
from storage.datasets.content import Content
from storage.datasets.history import differences
from storage.datasets.index import places_of
from storage.digests import conversation_digest, conversation_key
from storage.manifests import ColumnRef, IndexRef, PartRef
from storage.rows import Row, decode

DUPLICATE = "duplicate"


@dataclass(slots=True)
class Affected:
    """Conversations to settle: whose valid row is gone, and those that some row has come to have."""

    lost: set[bytes] = field(default_factory=set)
    gained: set[bytes] = field(default_factory=set)


def judged(old: Row, new: Row, check: Callable[[Row], tuple[str, int]], affected: Affected) -> Row:
    """The changed row with its id and what `check` says; nothing is judged where only columns differ."""
    new = msgspec.structs.replace(new, id=old.id)
    if same_line(old, new):
        return msgspec.structs.replace(new, error=old.error, tokens=old.tokens)
    error, tokens = check(new)
    before, after = conversation_digest(old.messages), conversation_digest(new.messages)
    if old.valid and (error or before != after):
        affected.lost.add(before)
    if not error and not (old.valid and before == after):
        affected.gained.add(after)
        error = DUPLICATE
    return msgspec.structs.replace(new, error=error, tokens=tokens)


def affected_by(content: Content, old: PartRef, new: PartRef) -> Affected:
    """The conversations to settle after a part has changed."""
    affected = Affected()
    for _, was, now in differences(content, old, new):
        before = conversation_digest(was.messages) if was else b""
        after = conversation_digest(now.messages) if now else b""
        if was and was.valid and not (now and now.valid and before == after):
            affected.lost.add(before)
        if now and now.error == DUPLICATE and not (was and was.error == DUPLICATE and before == after):
            affected.gained.add(after)
    return affected


def findable(content: Content, old: PartRef, new: PartRef) -> Iterator[tuple[int, int]]:
    """(key, block) of rows that the index has to know by what they say since a part has changed."""
    if old.digest == new.digest and _errors_ref(old) == _errors_ref(new):
        return
    for block, was, now in differences(content, old, new):
        if now is None or now.error not in ("", DUPLICATE):
            continue
        after = conversation_digest(now.messages)
        known = was is not None and was.error in ("", DUPLICATE)
        if not (known and was is not None and conversation_digest(was.messages) == after):
            yield conversation_key(after), block


def _errors_ref(part: PartRef) -> ColumnRef | None:
    return next((ref for ref in part.columns if ref.name == "error"), None)


def settle(content: Content, parts: list[PartRef], index: Sequence[IndexRef], affected: Affected) -> None:
    """Make the first equal valid where none is, in `parts` itself. `index` has to know the rows that changed."""
    wanted = affected.lost | affected.gained
    if not wanted:
        return
    taken: set[bytes] = set()
    first: dict[bytes, tuple[int, int, Row]] = {}
    for number, block in places_of(content, index, map(conversation_key, wanted)):
        if not parts[number].summary.errors.get(DUPLICATE) and not affected.gained:
            continue
        for at, row in _candidates(content, parts[number], block, valid_too=bool(affected.gained)):
            digest = conversation_digest(row.messages)
            if digest in wanted and row.valid:
                taken.add(digest)
            elif digest in wanted:
                first.setdefault(digest, (number, at, row))
    promoted: dict[int, dict[int, tuple[Row, Row]]] = {}
    for digest, (number, at, row) in first.items():
        if digest not in taken:
            better = msgspec.structs.replace(row, error="")
            promoted.setdefault(number, {})[at] = (row, better)
    for number, changes in promoted.items():
        parts[number] = with_rows(content, parts[number], changes)


def _candidates(content: Content, part: PartRef, block: int, *, valid_too: bool) -> Iterator[tuple[int, Row]]:
    """The duplicates of a block, and its valid rows if asked, with their positions and columns."""
    blocks = Blocks(content, part)
    errors = values_in(content, part, "error", blocks.span(block))
    kinds = ("", DUPLICATE) if valid_too else (DUPLICATE,)
    places = [at for at, error in zip(blocks.span(block), errors, strict=True) if error in kinds]
    yield from rows_at(content, part, blocks, places)


def rows_at(
    content: Content, part: PartRef, blocks: Blocks, places: Collection[int]
) -> Iterator[tuple[int, Row]]:
    """The rows at ascending positions of a part, with their columns."""
    ordered = list(places)
    columns = columns_at(content, part, ordered)
    for number, (at, line) in enumerate(blocks.at(ordered)):
        values = {name: column[number] for name, column in columns.items()}
        yield at, msgspec.structs.replace(decode(line), **values)
