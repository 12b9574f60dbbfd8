"""A row as cells of a CSV file, and what reading them again gives back.

Where a row is one question and one answer in plain text it fills `system`, `prompt` and `completion`; any other fills
`messages` with JSON. Cells are written exactly as they are, also those that a spreadsheet would run as a formula: a mark
before them would come back as part of the data (decision 8). How many there are is counted, and said on the card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from storage.rows import Message, Row
from tasks.exporting.forms import Reason, answer_of, conversation_kept, exchange_of, extras
from tasks.ingest.csv_rows import RECORD_BYTES, RECORD_LINES
from tasks.ingest.shapes import with_structures
from tasks.rules.limits import Limits

OWN = ("id", "topic", "system", "prompt", "completion", "messages", "tools", "tool_choice")
BOM = b"\xef\xbb\xbf"  # without it Excel takes the file for Latin-1
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TAKEN = frozenset(("id", "messages", "tools", "tool_choice"))
_NOT_PLAIN = frozenset(
    ("input", "conversations", "instruction", "chosen", "preferred_output", "text", "system", "prompt",
     "completion", "response", "answer", "output")
)  # fmt: skip  # beside a prompt these columns would be taken for something else
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f]")
_NAME = re.compile(
    r"[^\s,;|\"\x00-\x1f\x85\u2028\u2029](?:[^\n\r\t,;|\"\x00-\x1f\x85\u2028\u2029]*[^\s,;|\"\x00-\x1f])?"
)
Cells = dict[str, str]


def cells_of(row: Row) -> Cells | Reason:
    """What the row fills, by column; or why it cannot be in a CSV file."""
    if row.raw:
        return "unreadable"
    columns = _columns(row)
    said = exchange_of(row)
    own: Cells = {"id": row.id} if _fits(row.id) else {}
    if not isinstance(said, str) and not _NOT_PLAIN & columns.keys() and _fits(said.question):
        texts = {"system": said.system, "prompt": said.question, "completion": said.answer}
        if all(_fits(text) for text in texts.values() if text):
            return _bounded(
                {**own, **_tools(row), **columns, **{k: text for k, text in texts.items() if text}}
            )
    return _bounded(
        {**own, **_tools(row), **columns, "messages": _text([*row.input.messages, *answer_of(row)])}
    )


def kept(row: Row) -> Row:
    """The record that reading the row's cells gives back. Only for rows that have cells."""
    cells = cells_of(row)
    assert not isinstance(cells, str)  # noqa: S101  asked only of rows that have cells
    read = with_structures({name: text for name, text in cells.items() if text.strip()}, Limits())
    taken = _TAKEN if "messages" in cells else _TAKEN | {"system", "prompt", "completion"}
    messages: list[Message] = [*row.input.messages, *answer_of(row)]
    if "messages" not in cells:
        said = exchange_of(row)
        messages = messages if isinstance(said, str) else said.messages
    found = conversation_kept(row, messages, {n: value for n, value in read.items() if n not in taken})
    given = msgspec.structs.replace(found.input, tool_choice=read.get("tool_choice"))
    return msgspec.structs.replace(found, id=read.get("id", ""), input=given)


def lost(row: Row, cells: Cells, header: frozenset[str]) -> Iterator[str]:
    """Names of what the row has and its line does not, because no cell can hold it or the header has no room."""
    yield from (name for name in extras(row) if name != "topic")
    for name, value in row.item.items():
        if value is not None and (name in _TAKEN or name not in cells or name not in header):
            yield name
    if row.topic and "topic" in row.item:
        yield "topic"


def header_of(rows: Iterable[Row], most: int) -> tuple[str, ...]:
    """The columns that the rows fill, ours first, the rest as they come; at most `most`."""
    found: dict[str, None] = {}
    for row in rows:
        cells = cells_of(row)
        if not isinstance(cells, str):
            found.update(dict.fromkeys(cells))
    return tuple([name for name in OWN if name in found] + [name for name in found if name not in OWN])[:most]


def line(cells: Cells, header: Sequence[str]) -> str:
    """One record. Every cell is in quotes, so that nothing in it can end it."""
    return ",".join(f'"{text.replace(chr(34), chr(34) * 2)}"' if (text := cells.get(name)) else ""
                    for name in header) + "\n"  # fmt: skip


def looks_like_a_formula(cells: Cells) -> bool:
    return any(text.startswith(FORMULA) for text in cells.values())


def _columns(row: Row) -> Cells:
    """The row's extra columns as text, and its topic; those without a value or with a name no header can hold are left out."""
    found = {name: _text(value) for name, value in row.item.items() if value is not None}
    found |= {"topic": row.topic} if row.topic else {}
    return {n: text for n, text in found.items() if n not in _TAKEN and _may_head(n) and _fits(text)}


@lru_cache(maxsize=4_096)
def _may_head(name: str) -> bool:
    """Whether a header may hold the name: nothing in it separates columns, and nothing around it would be cut off."""
    return _NAME.fullmatch(name) is not None


def _tools(row: Row) -> Cells:
    given = {"tools": row.input.tools, "tool_choice": row.input.tool_choice}
    found = {name: _text(value) for name, value in given.items() if value is not None}
    return {name: text for name, text in found.items() if _fits(text)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _fits(text: str) -> bool:
    """Whether a cell may hold it: blank ones are read as absent, and control characters make a file look binary."""
    return not text.isspace() and text != "" and (text.isprintable() or not _UNPRINTABLE.search(text))


def _bounded(cells: Cells) -> Cells | Reason:
    """A reader gives a record up that seems to have an open quote: after a megabyte, or a thousand lines."""
    size = sum(len(text) for text in cells.values())
    if 4 * size > RECORD_BYTES:  # characters may be four bytes long, and quotes are doubled
        size = sum(len(text.encode()) + text.count('"') + 3 for text in cells.values())
    lines = sum(text.count("\n") + text.count("\r") for text in cells.values())
    return cells if size <= RECORD_BYTES and lines < RECORD_LINES else "too_long"
