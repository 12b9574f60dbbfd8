"""One part opened for change: rows are replaced in place, and only those are decoded, so an edit stays quick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
from isal import isal_zlib

from storage.datasets import parts
from storage.datasets.content import Content
from storage.datasets.summaries import summarise
from storage.manifests import FIRST_LINES, PartRef, less, summed
from storage.rows import COLUMNS, Row, decode, encode


class OpenPart:
    """The rows and columns of `ref`; nothing is stored before `stored`."""

    def __init__(self, content: Content, ref: PartRef) -> None:
        self._content, self._ref = content, ref
        self._lines = parts.read_lines(content, ref)
        found = parts.read_columns(content, ref, COLUMNS)
        self._columns: dict[str, list[Any]] = {
            name: found.get(name) or [parts.DEFAULTS[name]] * ref.rows for name in COLUMNS
        }
        self._gone: list[Row] = []
        self._come: list[Row] = []

    def find(self, record_id: str) -> int | None:
        """Where the row with that id is."""
        start = b'{"id":' + msgspec.json.encode(record_id)
        return next((at for at, line in enumerate(self._lines) if line.startswith(start)), None)

    def row(self, at: int) -> Row:
        values = {name: column[at] for name, column in self._columns.items()}
        return msgspec.structs.replace(decode(self._lines[at]), **values)

    def rows(self, *, error: str) -> Iterator[tuple[int, Row]]:
        """The rows with that error ("" for the valid ones), with their positions."""
        for at, found in enumerate(self._columns["error"]):
            if found == error:
                yield at, self.row(at)

    def put(self, at: int, row: Row) -> None:
        """Replace a row and its columns."""
        self._gone.append(self.row(at))
        self._come.append(row)
        self._lines[at] = encode(row)
        for name, column in self._columns.items():
            column[at] = getattr(row, name)

    def stored(self) -> PartRef:
        """Write the part with its changes."""
        text = b"\n".join((*self._lines, b""))
        summary = summed([less(self._ref.summary, summarise(self._gone)), summarise(self._come)])
        summary = replace(summary, error_lines=self._error_lines())
        part = PartRef(
            digest=self._content.put(isal_zlib.compress(text, 1, 31)),
            rows=self._ref.rows,
            size=len(text),
            columns=self._ref.columns,
        )
        return parts.with_columns(self._content, part, self._columns, summary)

    def _error_lines(self) -> dict[str, list[int]]:
        lines: dict[str, list[int]] = {}
        for at, error in enumerate(self._columns["error"]):
            if error and len(lines.setdefault(error, [])) < FIRST_LINES:
                lines[error] += [line] if (line := self.row(at).line) else []
        return lines
