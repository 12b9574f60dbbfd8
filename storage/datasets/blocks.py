"""The rows of a part: gzipped lines of JSON in blocks of some 128 KiB, each of which can be read and replaced alone.

A part's object is its blocks one after the other (a valid gzip file as a whole). A block that was edited rests in an object
of its own until `MAX_PATCHES` of them have come together; then the part's object is put together anew, in which the
blocks that did not change are copied as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from storage.datasets.content import Content, packed, unpacked
from storage.errors import Corrupt
from storage.manifests import Block, PartRef

BLOCK_BYTES = 128 << 10
MAX_PATCHES = 16
_RANGES = 4  # reading more blocks than this one by one costs more than reading the whole object


class Blocks:
    """The blocks of one part, read one by one until reading all of them at once is cheaper. Raises `Corrupt`."""

    def __init__(self, content: Content, part: PartRef, *, whole: bool = False) -> None:
        self._content, self._part = content, part
        self._patches = dict(part.patches)
        self._starts = [0, *accumulate(block.size for block in part.blocks)]
        self._firsts = [0, *accumulate(block.rows for block in part.blocks)]
        self._ranges = _RANGES if whole else 0
        self._whole: bytes | None = None
        self._last: tuple[int, list[bytes]] = (-1, [])
        if self._firsts[-1] != part.rows:
            raise Corrupt(f"part {part.digest}: {self._firsts[-1]} rows in blocks instead of {part.rows}")

    def __len__(self) -> int:
        return len(self._part.blocks)

    def span(self, number: int) -> range:
        """The positions of a block's rows."""
        return range(self._firsts[number], self._firsts[number + 1])

    def packed(self, number: int) -> bytes:
        """A block as it rests."""
        if number in self._patches:
            return self._content.get(self._patches[number])
        start, end = self._starts[number : number + 2]
        if self._whole is None and self._ranges >= _RANGES:
            self._whole = self._content.get(self._object)
        if self._whole is not None:
            return self._whole[start:end]
        self._ranges += 1
        return self._content.get_range(self._object, start, end)

    def text(self, number: int) -> bytes:
        """A block's lines, each with its newline."""
        return unpacked(self.packed(number), f"part {self._part.digest}")

    def lines(self, number: int) -> list[bytes]:
        """A block's rows as they rest, in order."""
        if self._last[0] != number:
            lines = self.text(number).split(b"\n")
            lines.pop()
            if len(lines) != self._part.blocks[number].rows:
                raise Corrupt(f"part {self._part.digest}: {len(lines)} rows in block {number}")
            self._last = (number, lines)
        return self._last[1]

    def by_block(self, places: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """(block, positions in it) for ascending positions of the part."""
        number = 0
        here: list[int] = []
        for at in places:
            while at >= self._firsts[number + 1]:
                if here:
                    yield number, here
                    here = []
                number += 1
            here.append(at)
        if here:
            yield number, here

    def at(self, places: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """(position, line) for ascending positions."""
        for number, here in self.by_block(places):
            lines, first = self.lines(number), self._firsts[number]
            yield from ((at, lines[at - first]) for at in here)

    @property
    def _object(self) -> str:
        return self._part.base or self._part.digest


def all_lines(content: Content, part: PartRef) -> Iterator[bytes]:
    """The part's rows as they rest, in order, a block in memory at a time beside the compressed part."""
    blocks = Blocks(content, part, whole=True)
    for number in range(len(blocks)):
        yield from blocks.lines(number)


def with_blocks(content: Content, part: PartRef, changed: Mapping[int, Sequence[bytes]]) -> PartRef:
    """The part with the lines of some blocks replaced; `size` and counts of rows follow, the summary does not."""
    old = Blocks(content, part)
    grown = sum(map(_size, changed.values())) - sum(len(old.text(number)) for number in changed)
    fresh = {number: packed(b"\n".join((*lines, b""))) for number, lines in changed.items()}
    same_rows = all(part.blocks[number].rows == len(lines) for number, lines in changed.items())
    touched = {number for number, _ in part.patches} | set(fresh)
    if same_rows and len(touched) <= MAX_PATCHES and len(touched) < len(part.blocks):
        return replace(_patched(content, part, fresh), size=part.size + grown)
    rows = [len(changed[n]) if n in changed else block.rows for n, block in enumerate(part.blocks)]
    return replace(_rewritten(content, part, fresh, rows), size=part.size + grown)


def _patched(content: Content, part: PartRef, fresh: Mapping[int, bytes]) -> PartRef:
    base = part.base or part.digest
    patches = {**dict(part.patches), **{number: content.put(data) for number, data in fresh.items()}}
    ordered = tuple(sorted(patches.items()))
    digest = hashlib.sha256(repr((base, ordered)).encode()).hexdigest()
    return replace(part, digest=digest, base=base, patches=ordered)


def _rewritten(content: Content, part: PartRef, fresh: Mapping[int, bytes], rows: Sequence[int]) -> PartRef:
    old = Blocks(content, part, whole=True)
    members = [fresh[n] if n in fresh else old.packed(n) for n in range(len(old))]
    blocks = tuple(Block(count, len(member)) for count, member in zip(rows, members, strict=True))
    return replace(
        part,
        digest=content.put(b"".join(members)),
        rows=sum(rows),
        base="",
        blocks=blocks,
        patches=(),
    )


def _size(lines: Sequence[bytes]) -> int:
    return sum(map(len, lines)) + len(lines)
