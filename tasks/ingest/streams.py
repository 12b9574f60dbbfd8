"""From stored bytes to UTF-8 text, in pieces of bounded size, whatever the packing. Knows nothing of rows."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, cast

import zstandard
from isal import isal_zlib
from isal.igzip_lib import IsalError

from tasks.ingest import formats
from tasks.ingest.errors import UnreadableFile
from tasks.ingest.zstd_frames import Frames
from tasks.rules.limits import Limits

PIECE_BYTES = 256 << 10
_RATIO_MATTERS_ABOVE = 64 << 20


@dataclass(slots=True)
class Progress:
    """How far the reading has come. `cut` is set when the packed file ends before its end mark, `damaged` names parts that could
    not be read."""

    read: int = 0
    expanded: int = 0
    compression: formats.Compression = ""
    encoding: formats.Encoding = "utf-8"
    cut: bool = False
    damaged: list[str] = field(default_factory=list)


def text_pieces(
    source: Iterable[bytes], file_name: str, limits: Limits, progress: Progress
) -> Iterator[bytes]:
    """The file's text as UTF-8 without a byte order mark. Raises `UnreadableFile`."""
    head, packed = peek(iter(source), 16)
    if not head:
        raise UnreadableFile("empty_file", file_name, "the file is empty")
    progress.compression = formats.compression_of(head)
    plain = _expanded(packed, file_name, limits, progress) if progress.compression else packed
    head, plain = peek(plain, formats.HEAD_BYTES)
    text = formats.text_of(head, file_name)
    progress.encoding = text.encoding
    return _decoded(_without(plain, text.skip), text.encoding)


def peek(pieces: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes (fewer when there are fewer), and the pieces as if nobody had looked."""
    head: list[bytes] = []
    seen = 0
    for piece in pieces:
        head.append(piece)
        seen += len(piece)
        if seen >= size:
            break
    return b"".join(head)[:size], _chained(head, pieces)


def _chained(first: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    while first:
        yield first.pop(0)
    yield from rest


def limited(source: Iterable[bytes], file_name: str, limits: Limits, progress: Progress) -> Iterator[bytes]:
    """The source in small pieces, counted. Raises `UnreadableFile` past the limit."""
    for chunk in source:
        progress.read += len(chunk)
        if progress.read > limits.max_file_bytes:
            why = f"the file is over the limit of {_megabytes(limits.max_file_bytes)}"
            raise UnreadableFile("file_too_large", file_name, why)
        view = memoryview(chunk)
        yield from (bytes(view[at : at + PIECE_BYTES]) for at in range(0, len(chunk), PIECE_BYTES))


def _expanded(packed: Iterator[bytes], file_name: str, limits: Limits, progress: Progress) -> Iterator[bytes]:
    plain = _gunzip(packed, progress) if progress.compression == "gzip" else _unzstd(packed, progress)
    try:
        for piece in plain:
            progress.expanded += len(piece)
            refuse_bomb(progress.expanded, file_name, limits, progress)
            yield piece
    except (IsalError, zstandard.ZstdError) as error:  # type: ignore[misc]  # the stub takes the class for an instance
        if not progress.expanded:
            why = f"it says that it is compressed, but it cannot be unpacked ({error})"
            raise UnreadableFile("broken_compression", file_name, why) from error
        progress.cut = True  # what came out so far is whole; the end is missing


def refuse_bomb(expanded: int, file_name: str, limits: Limits, progress: Progress) -> None:
    """Raises `UnreadableFile` when so many unpacked bytes are over a limit for what has been read."""
    ratio = expanded / max(1, progress.read)
    bomb = expanded > _RATIO_MATTERS_ABOVE and ratio > limits.max_expansion
    if expanded > limits.max_expanded_bytes or bomb:
        limit = _megabytes(limits.max_expanded_bytes)
        why = f"unpacked it is over the limit of {limit}, or suspiciously much larger than packed ({ratio:,.0f} times)"
        raise UnreadableFile("expands_too_much", file_name, why)


def _gunzip(packed: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    """All members of a gzip file; padding after the last is ignored."""
    unpacker = isal_zlib.decompressobj(31)
    for piece in packed:
        while piece:
            if unpacker.eof:
                if not piece.startswith(b"\x1f\x8b"):
                    return
                unpacker = isal_zlib.decompressobj(31)
            out = unpacker.decompress(piece, PIECE_BYTES)
            piece = unpacker.unconsumed_tail or (unpacker.unused_data if unpacker.eof else b"")
            if out:
                yield out
    while out := unpacker.decompress(b"", PIECE_BYTES) if not unpacker.eof else b"":
        yield out
    progress.cut = not unpacker.eof


def _unzstd(packed: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    """All frames of a zstd file. The window is bounded, so that a header cannot ask for gigabytes."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frames = Frames()
    source = cast(IO[bytes], _Reader(frames.watch(packed)))
    reader = unpacker.stream_reader(source, read_across_frames=True)
    while out := reader.read(PIECE_BYTES):
        yield out
    progress.cut = not frames.whole


class _Reader:
    """Pieces as the `read` that the zstd library wants."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        data = self._left or next(self._pieces, b"")
        taken, self._left = (data, b"") if size < 0 else (data[:size], data[size:])
        return taken


def _without(pieces: Iterator[bytes], skip: int) -> Iterator[bytes]:
    for piece in pieces:
        rest = piece[skip:]
        skip -= len(piece) - len(rest)
        if rest:
            yield rest


def _decoded(pieces: Iterator[bytes], encoding: formats.Encoding) -> Iterator[bytes]:
    """UTF-8 passes as it is: what is wrong in it is the fault of one row, and is found there."""
    if encoding == "utf-8":
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
