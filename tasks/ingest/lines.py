"""Text cut into lines without ever holding more than one of them beyond a small batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.ingest.errors import BadRow

PREVIEW_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines, each with its newline; only the very last of a file may lack it. `first` is counted from 1."""

    first: int
    data: bytes

    @property
    def lines(self) -> int:
        ends = int(
            np.count_nonzero(np.frombuffer(self.data, dtype=np.uint8) == 10)
        )  # ten times as fast as bytes.count
        return ends + (not self.data.endswith(b"\n"))


@dataclass(frozen=True, slots=True)
class Element:
    """One row's text, over however many lines; `line` is the one it begins on."""

    line: int
    text: bytes


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One row of a table: its object, or what is wrong with it. `text` is how it stands in the file."""

    line: int
    text: bytes
    value: dict[str, Any] | BadRow


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line over the limit: dropped while it streamed by, but for its beginning."""

    line: int
    size: int
    preview: bytes


def batches(pieces: Iterator[bytes], max_line_bytes: int) -> Iterator[Lines | TooLong]:
    """The lines of a text, many at a time."""
    waiting: list[bytes] = []  # the beginning of a line whose end has not come yet
    size = 0
    line = 1
    piece: bytes | None = next(pieces, None)
    while piece is not None:
        end = piece.rfind(b"\n") + 1
        if end:
            yield (batch := Lines(line, b"".join((*waiting, piece[:end]))))
            line += batch.lines
            waiting, size = [], 0
        waiting.append(piece[end:])
        size += len(piece) - end
        piece = None
        if size > max_line_bytes:
            preview = b"".join(waiting)[:PREVIEW_BYTES]
            size, piece = _skip(size, pieces)
            yield TooLong(line, size, preview)
            line += 1
            waiting, size = [], 0
        piece = piece or next(pieces, None)
    if size:
        yield Lines(line, b"".join(waiting))


def _skip(size: int, pieces: Iterator[bytes]) -> tuple[int, bytes]:
    """Read on to the end of a line of which `size` bytes have been seen: (its length, what follows it)."""
    for piece in pieces:
        end = piece.find(b"\n")
        if end >= 0:
            return size + end, piece[end + 1 :]
        size += len(piece)
    return size, b""
