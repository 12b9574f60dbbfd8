"""Text cut into lines without ever holding more than one of them beyond a small batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PREVIEW_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines, each with its newline; only the very last of a file may lack it. `first` is counted from 1."""

    first: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line over the limit: dropped while it streamed by, but for its beginning."""

    line: int
    size: int
    preview: bytes


def batches(pieces: Iterator[bytes], max_line_bytes: int) -> Iterator[Lines | TooLong]:
    """The lines of a text, many at a time."""
    waiting = bytearray()
    line = 1
    piece: bytes | None = next(pieces, None)
    while piece is not None:
        seen = len(waiting)
        waiting += piece
        end = waiting.rfind(b"\n", seen) + 1
        if end:
            yield Lines(line, bytes(waiting[:end]))
            line += waiting.count(b"\n", 0, end)
            del waiting[:end]
        if len(waiting) > max_line_bytes:
            size, rest = _skip(len(waiting), pieces)
            yield TooLong(line, size, bytes(waiting[:PREVIEW_BYTES]))
            line += 1
            waiting = bytearray()
            piece = rest or next(pieces, None)
        else:
            piece = next(pieces, None)
    if waiting:
        yield Lines(line, bytes(waiting))


def _skip(size: int, pieces: Iterator[bytes]) -> tuple[int, bytes]:
    """Read on to the end of a line of which `size` bytes have been seen: (its length, what follows it)."""
    for piece in pieces:
        end = piece.find(b"\n")
        if end >= 0:
            return size + end, piece[end + 1 :]
        size += len(piece)
    return size, b""
