"""Some rows of one part changed or taken out: only their blocks are written, and the summary stays exact without a recount."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from storage.datasets.blocks import Blocks, all_lines, with_blocks
from storage.datasets.columns import filled_columns, read_columns, with_columns, with_values
from storage.datasets.content import Content
from storage.datasets.parts import rows_of
from storage.datasets.summaries import summarise
from storage.manifests import FIRST_LINES, OTHER, PartRef, Summary, less, summed
from storage.rows import COLUMNS, Row, decode, encode

Change = tuple[Row, Row]
"""A row as it was and as it becomes, columns laid over both."""


def with_rows(content: Content, part: PartRef, changes: Mapping[int, Change]) -> PartRef:
    """The part with the rows at some positions replaced, columns included."""
    if not changes:
        return part
    blocks = Blocks(content, part)
    rewritten: dict[int, Sequence[bytes]] = {}
    worded = [at for at, (old, new) in sorted(changes.items()) if not same_line(old, new)]
    for number, places in blocks.by_block(worded):
        lines = list(blocks.lines(number))
        for at in places:
            lines[at - blocks.span(number).start] = encode(changes[at][1])
        rewritten[number] = lines
    made = with_blocks(content, part, rewritten) if rewritten else part
    made = with_values(content, made, _column_changes(changes))
    gone, come = [old for old, _ in changes.values()], [new for _, new in changes.values()]
    return _counted(content, made, gone, come)


def without_rows(content: Content, part: PartRef, gone: Mapping[int, Row]) -> PartRef:
    """The part without the rows at some positions. It keeps its place, and its blocks theirs, even when nothing is left."""
    if not gone:
        return part
    blocks = Blocks(content, part, whole=True)
    rewritten: dict[int, Sequence[bytes]] = {}
    for number, _ in blocks.by_block(sorted(gone)):
        pairs = zip(blocks.span(number), blocks.lines(number), strict=True)
        rewritten[number] = [line for at, line in pairs if at not in gone]
    made = with_blocks(content, part, rewritten)
    columns = filled_columns(content, part, [ref.name for ref in part.columns])
    kept = {name: _left(values, gone) for name, values in columns.items()}
    return _counted(content, with_columns(content, made, kept), list(gone.values()), ())


def same_line(one: Row, other: Row) -> bool:
    """Whether two rows differ in their columns at most."""
    columns = {name: getattr(other, name) for name in COLUMNS}
    return one is other or msgspec.structs.replace(one, **columns) == other


def first_lines(content: Content, part: PartRef, code: str) -> list[int]:
    """The first lines of the uploaded file whose rows have that error."""
    errors = filled_columns(content, part, ("error",))["error"]
    lines: list[int] = []
    for _, text in Blocks(content, part).at([at for at, error in enumerate(errors) if error == code]):
        lines += [line] if (line := decode(text).line) else []
        if len(lines) == FIRST_LINES:
            break
    return sorted(lines)


def recounted(content: Content, part: PartRef) -> Summary:
    """The summary of a part from its rows."""
    return summarise(rows_of(all_lines(content, part), read_columns(content, part, COLUMNS)))


def _column_changes(changes: Mapping[int, Change]) -> dict[str, dict[int, Any]]:
    return {
        name: {
            at: getattr(new, name)
            for at, (old, new) in changes.items()
            if getattr(old, name) != getattr(new, name)
        }
        for name in COLUMNS
    }


def _left(values: Sequence[Any], gone: Collection[int]) -> list[Any]:
    return [value for at, value in enumerate(values) if at not in gone]


def _counted(content: Content, part: PartRef, gone: Sequence[Row], come: Sequence[Row]) -> PartRef:
    """The changed part with its summary; only error codes that lost one of their first lines are looked up again."""
    if OTHER in (*part.summary.labels, *part.summary.tools):  # what counts together cannot be told apart
        return replace(part, summary=recounted(content, part))
    minus, plus = summarise(gone), summarise(come)
    summary = summed([less(part.summary, minus), plus])
    lines = {code: found for code, found in summary.error_lines.items() if code in summary.errors}
    for code in set(minus.errors) & set(lines):
        lines[code] = first_lines(content, part, code)
    return replace(part, summary=_with_lines(summary, lines))


def _with_lines(summary: Summary, lines: dict[str, list[int]]) -> Summary:
    return replace(summary, error_lines={code: lines.get(code, []) for code in summary.errors})
