"""The columns of a part: gzipped lists of values in chunks of 1,024 rows, so that a page reads a chunk and not a part.

A column is absent where every row has its default, a constant where nearly all rows agree, and an object else. Up to
`MAX_EXCEPTIONS` rows that differ from that are listed in the manifest, so that an edit writes no column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import msgspec

from storage.datasets.content import Content, packed, unpacked
from storage.errors import Corrupt
from storage.manifests import ColumnRef, PartRef
from storage.rows import COLUMNS, Row

CHUNK_ROWS = 1_024
MAX_EXCEPTIONS = 20

DEFAULTS: dict[str, Any] = {f.name: f.default for f in msgspec.structs.fields(Row) if f.name in COLUMNS}
_values = msgspec.json.Decoder(list[Any])


def read_columns(content: Content, part: PartRef, names: Sequence[str]) -> dict[str, list[Any]]:
    """Those of the named columns that are not at their default in every row."""
    return {ref.name: _all_of(content, ref, part.rows) for ref in part.columns if ref.name in names}


def filled_columns(content: Content, part: PartRef, names: Sequence[str]) -> dict[str, list[Any]]:
    """The named columns, every one of them with a value for each row."""
    found = read_columns(content, part, names)
    return {name: found[name] if name in found else [DEFAULTS[name]] * part.rows for name in names}


def chunk(content: Content, part: PartRef, name: str, number: int) -> list[Any]:
    """A column's values for the rows of one chunk, from `number * CHUNK_ROWS` on."""
    rows = range(number * CHUNK_ROWS, min(part.rows, (number + 1) * CHUNK_ROWS))
    ref = next((ref for ref in part.columns if ref.name == name), None)
    if ref is None:
        return [DEFAULTS[name]] * len(rows)
    if ref.digest:
        start = ref.ends[number - 1] if number else 0
        values = _decoded(ref, content.get_range(ref.digest, start, ref.ends[number]))
    else:
        values = [ref.constant] * len(rows)
    return _checked(ref, values, rows)


def chunks(part: PartRef, first: int = 0) -> Iterator[tuple[int, range]]:
    """(number, positions) of the part's chunks, beginning with the one that holds position `first`."""
    for number in range(first // CHUNK_ROWS, -(-part.rows // CHUNK_ROWS)):
        yield number, range(number * CHUNK_ROWS, min(part.rows, (number + 1) * CHUNK_ROWS))


def values_in(content: Content, part: PartRef, name: str, span: range) -> list[Any]:
    """A column's values for some consecutive rows."""
    numbers = range(span.start // CHUNK_ROWS, -(-span.stop // CHUNK_ROWS))
    values = [value for number in numbers for value in chunk(content, part, name, number)]
    first = numbers.start * CHUNK_ROWS
    return values[span.start - first : span.stop - first]


def columns_at(content: Content, part: PartRef, places: Sequence[int]) -> dict[str, list[Any]]:
    """The values of all stored columns for some rows of the part, in the order asked."""
    names = [ref.name for ref in part.columns]
    numbers = {at // CHUNK_ROWS for at in places}
    if len(numbers) > 2:
        whole = read_columns(content, part, names)
        return {name: [values[at] for at in places] for name, values in whole.items()}
    chunks = {(name, n): chunk(content, part, name, n) for name in names for n in numbers}
    return {name: [chunks[name, at // CHUNK_ROWS][at % CHUNK_ROWS] for at in places] for name in names}


def with_columns(content: Content, part: PartRef, values: Mapping[str, Sequence[Any]]) -> PartRef:
    """The part with some columns replaced; the summary is the caller's."""
    fresh = {name: _stored(content, name, column) for name, column in values.items()}
    return _with_refs(part, fresh)


def with_values(content: Content, part: PartRef, changes: Mapping[str, Mapping[int, Any]]) -> PartRef:
    """The part with some values of some columns (name → position → value) replaced; the summary is the caller's."""
    old = {ref.name: ref for ref in part.columns}
    fresh = {
        name: _excepted(content, part, old.get(name) or ColumnRef(name, constant=DEFAULTS[name]), values)
        for name, values in changes.items()
        if values
    }
    return _with_refs(part, fresh)


def _with_refs(part: PartRef, fresh: Mapping[str, ColumnRef | None]) -> PartRef:
    refs = {ref.name: ref for ref in part.columns if ref.name not in fresh}
    refs |= {name: ref for name, ref in fresh.items() if ref is not None}
    return replace(part, columns=tuple(refs[name] for name in COLUMNS if name in refs))


def _excepted(content: Content, part: PartRef, ref: ColumnRef, values: Mapping[int, Any]) -> ColumnRef | None:
    """The column with exceptions more; rewritten when they have become too many."""
    exceptions = {**dict(ref.exceptions), **values}
    if not ref.digest:
        exceptions = {at: value for at, value in exceptions.items() if value != ref.constant}
    if len(exceptions) > MAX_EXCEPTIONS:
        whole = _all_of(content, ref, part.rows)
        for at, value in values.items():
            whole[at] = value
        return _stored(content, ref.name, whole)
    if not ref.digest and not exceptions and ref.constant == DEFAULTS[ref.name]:
        return None
    return replace(ref, exceptions=tuple(sorted(exceptions.items(), key=lambda pair: pair[0])))


def _stored(content: Content, name: str, values: Sequence[Any]) -> ColumnRef | None:
    common = values[0] if values and name != "error" else DEFAULTS[name]
    if len(values) - values.count(common) > MAX_EXCEPTIONS:
        starts = range(0, len(values), CHUNK_ROWS)
        chunks = [packed(msgspec.json.encode(values[start : start + CHUNK_ROWS])) for start in starts]
        return ColumnRef(
            name=name, digest=content.put(b"".join(chunks)), ends=tuple(accumulate(map(len, chunks)))
        )
    exceptions = tuple([(at, value) for at, value in enumerate(values) if value != common])
    if not exceptions and common == DEFAULTS[name]:
        return None
    return ColumnRef(name=name, constant=common, exceptions=exceptions)


def _all_of(content: Content, ref: ColumnRef, rows: int) -> list[Any]:
    if not ref.digest:
        return _checked(ref, [ref.constant] * rows, range(rows))
    data, values, start = content.get(ref.digest), [], 0
    for end in ref.ends:
        values += _decoded(ref, data[start:end])
        start = end
    return _checked(ref, values, range(rows))


def _checked(ref: ColumnRef, values: list[Any], rows: range) -> list[Any]:
    """One value for each row, exceptions laid over them."""
    if len(values) != len(rows):
        raise Corrupt(f"column {ref.name}: {len(values)} values for {len(rows)} rows")
    for at, value in ref.exceptions:
        if at in rows:
            values[at - rows.start] = value
    return values


def _decoded(ref: ColumnRef, data: bytes) -> list[Any]:
    try:
        return _values.decode(unpacked(data, f"column {ref.name}"))
    except msgspec.MsgspecError as error:
        raise Corrupt(f"column {ref.name}: {error}") from error
