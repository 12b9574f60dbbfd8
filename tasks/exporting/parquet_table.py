"""A row as a line of a Parquet file whose columns are typed, and what reading it again gives back.

`messages` is a list of {role, content} where all rows are plain text, else JSON in text, which every reader of such files
takes too. Other columns have the type that all their values share (`columns.py`); what has none is text. The types are
found in a first pass over the rows, so that the second can stream. A null and a value that is not there are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from storage.rows import Message, Row
from tasks.exporting.columns import Fields, Kind, ListOf, as_text, kind_of, together
from tasks.exporting.forms import Json, Reason, answer_of, conversation_kept, extras
from tasks.exporting.sink import Sink
from tasks.ingest.shapes import with_structures
from tasks.rules.limits import Limits

GROUP_ROWS = 2_000
GROUP_TOKENS = 1_000_000  # a row group is held in memory: about 4 MB of text
OWN = ("id", "topic", "messages", "tools", "tool_choice")
_TAKEN = frozenset(("id", "messages", "tools"))
_PLAIN = frozenset(("role", "content"))


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns`: name and type of each, in order. `native`: whether messages are a list of {role, content}."""

    columns: tuple[tuple[str, Kind], ...]
    native: bool

    @property
    def kinds(self) -> dict[str, Kind]:
        return dict(self.columns)


EMPTY = Layout((), True)


def layout_of(rows: Iterable[Row], most: int) -> Layout:
    """The first pass: which columns there are, at most `most`, and of which type."""
    kinds: dict[str, Kind] = {"id": "text", "messages": "text"}
    native = True
    for row in rows:
        if row.raw:
            continue
        native = native and all(_is_plain(message) for message in _messages(row))
        if row.input.tools is not None:
            kinds["tools"] = "text"
        for name, value in _columns(row).items():
            kinds[name] = together(kinds.get(name, "null"), kind_of(value))
    names = [name for name in OWN if name in kinds] + [name for name in kinds if name not in OWN]
    return Layout(tuple((name, kinds[name]) for name in names[:most]), native)


def values_of(row: Row, layout: Layout) -> Json | Reason:
    """The row's line, or why it has none."""
    if row.raw:
        return "unreadable"
    messages = _messages(row)
    said = {"messages": messages if layout.native else msgspec.json.encode(messages).decode()}
    tools = {} if row.input.tools is None else {"tools": msgspec.json.encode(row.input.tools).decode()}
    kinds = layout.kinds
    columns = {
        name: as_text(value) if kinds[name] == "mixed" else value
        for name, value in _columns(row).items()
        if name in kinds
    }
    return {"id": row.id, **said, **tools, **columns}


def kept(row: Row, layout: Layout) -> Row:
    """The record that reading the line gives back."""
    values = values_of(row, layout)
    assert not isinstance(values, str)  # noqa: S101  asked only of rows that have a line
    given = {name: value for name, value in values.items() if name not in _TAKEN and value is not None}
    columns = with_structures({name: _without_nulls(value) for name, value in given.items()}, Limits())
    choice = columns.pop("tool_choice", None)
    found = conversation_kept(row, _messages(row), columns)
    return msgspec.structs.replace(found, input=msgspec.structs.replace(found.input, tool_choice=choice))


def _without_nulls(value: Any) -> Any:
    """What a reader leaves of an object; it cannot know whether a null was there or only had to be filled in."""
    if isinstance(value, dict):
        kept_too = {name: inner for name, inner in value.items() if inner is not None or name == "content"}
        return {name: _without_nulls(inner) for name, inner in kept_too.items()}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def lost(row: Row, layout: Layout) -> Iterator[str]:
    """Names of what the row has and its line does not."""
    yield from (name for name in extras(row) if name != "topic")
    kinds = layout.kinds
    for name, value in row.item.items():
        if value is not None and (name in _TAKEN or name == "tool_choice" or name not in kinds):
            yield name
    if row.topic and "topic" in row.item:
        yield "topic"


def file_of(lines: Iterable[tuple[Json, int]], layout: Layout) -> Iterator[bytes]:
    """The file, streamed a row group at a time; each line comes with its tokens."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(name, _type(kind, name, layout)) for name, kind in layout.columns])
    sink = Sink()
    with parquet.ParquetWriter(pyarrow.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for group in _groups(lines):
            columns = {name: [line.get(name) for line in group] for name, _ in layout.columns}
            writer.write_table(pyarrow.table(columns, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _groups(lines: Iterable[tuple[Json, int]]) -> Iterator[list[Json]]:
    group: list[Json] = []
    size = 0
    for line, tokens in lines:
        group.append(line)
        size += tokens
        if len(group) == GROUP_ROWS or size > GROUP_TOKENS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _type(kind: Kind, name: str, layout: Layout) -> Any:
    import pyarrow

    if name == "messages" and layout.native:
        return pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    return _arrow(kind)


def _arrow(kind: Kind) -> Any:
    import pyarrow

    if isinstance(kind, ListOf):
        return pyarrow.list_(_arrow(kind.of))
    if isinstance(kind, Fields):
        return pyarrow.struct([(name, _arrow(inner)) for name, inner in kind.of])
    simple = {
        "bool": pyarrow.bool_(),
        "int": pyarrow.int64(),
        "long": pyarrow.int64(),
        "float": pyarrow.float64(),
    }
    return simple.get(kind) or (pyarrow.null() if kind == "null" else pyarrow.string())


def _columns(row: Row) -> Json:
    taken = _TAKEN | {"tool_choice"}
    found = {name: value for name, value in row.item.items() if name not in taken}
    choice = {} if row.input.tool_choice is None else {"tool_choice": row.input.tool_choice}
    return {**found, **({"topic": row.topic} if row.topic else {}), **choice}


def _messages(row: Row) -> list[Message]:
    return [*row.input.messages, *answer_of(row)]


def _is_plain(message: Message) -> bool:
    return message.keys() == _PLAIN and all(isinstance(value, str) for value in message.values())
