"""Whether a zstd file is whole. The library reads a file that ends too early without a word, so its frames are followed here.

Only headers are looked at (RFC 8878, 3.1): of a frame, of its blocks, of frames to skip. What is in them is the library's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPED_MAGIC = b"\x2a\x4d\x18"  # after a first byte of 0x50 to 0x5f
_RLE_BLOCK = 1

_Walk = Generator[int, bytes, None]
"""Yields how many bytes it wants next, is sent them; a negative number means so many are of no interest."""


class Frames:
    """Follows the bytes as they pass. `whole` says whether the last of them ended a frame."""

    def __init__(self) -> None:
        self._walk = _frames(self)
        self._wanted = next(self._walk)
        self._held = b""
        self.between = True  # set by the walk: at the border of two frames
        self.strange = False

    @property
    def whole(self) -> bool:
        """False when the file ends within a frame; what is no frame at all is not judged."""
        return self.strange or (self.between and not self._held)

    def watch(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if not self.strange:
                self._follow(piece)
            yield piece

    def _follow(self, piece: bytes) -> None:
        at = 0
        while at < len(piece) and not self.strange:
            if self._wanted < 0:
                passed = min(-self._wanted, len(piece) - at)
                self._wanted += passed
                at += passed
                if self._wanted == 0:
                    self._wanted = self._walk.send(b"")
                continue
            taken = piece[at : at + self._wanted - len(self._held)]
            self._held += taken
            at += len(taken)
            if len(self._held) == self._wanted:
                held, self._held = self._held, b""
                self._wanted = self._walk.send(held)


def _frames(state: Frames) -> _Walk:
    while True:
        magic = yield 4
        state.between = False
        if magic == _MAGIC:
            yield from _frame()
        elif magic[1:] == _SKIPPED_MAGIC and magic[0] >> 4 == 5:
            size = int.from_bytes((yield 4), "little")
            if size:
                yield -size
        else:
            state.strange = True
            while True:
                yield -(1 << 62)
        state.between = True


def _frame() -> _Walk:
    described = (yield 1)[0]
    single, checked = described >> 5 & 1, described >> 2 & 1
    dictionary = (0, 1, 2, 4)[described & 3]
    content = (single, 2, 4, 8)[described >> 6]
    rest = (0 if single else 1) + dictionary + content
    if rest:
        yield -rest
    last = False
    while not last:
        header = int.from_bytes((yield 3), "little")
        last = bool(header & 1)
        size = 1 if header >> 1 & 3 == _RLE_BLOCK else header >> 3
        if size:
            yield -size
    if checked:
        yield -4
