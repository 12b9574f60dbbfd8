"""Finding the block that holds a row, or a conversation, without opening the parts.

Every row leaves two 64-bit numbers: one of its id, one of its conversation. They rest sorted in segments of at most half a
million, and a look-up reads one bucket of some 4,096 from each, whatever the dataset's size. An entry may be out of date (a
row that was edited away or deleted); whoever looks up confirms in the block itself. It never points to a wrong place: a
row stays in its block.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from storage.datasets.content import Content
from storage.manifests import IndexRef

SEGMENT_KEYS = 500_000
BUCKET_KEYS = 4_096
_ENTRY = np.dtype([("key", "<u8"), ("part", "<u4"), ("block", "<u2")])
_BLOCK_BITS = np.uint64(16)
_WHOLE = 16  # from so many buckets on a segment is read at once
Entries = npt.NDArray[np.void]


class IndexBuilder:
    """Collects keys with their part and block, and writes a segment whenever half a million have come together."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._begin()
        self._done: list[IndexRef] = []

    def add(self, keys: Sequence[int], part: int, block: int) -> None:
        self._keys.extend(keys)
        if self._places and self._places[-1][1:] == (part, block):
            self._places[-1] = (self._places[-1][0] + len(keys), part, block)
        else:
            self._places.append((len(keys), part, block))
        if len(self._keys) >= SEGMENT_KEYS:
            self._flush()

    def finish(self) -> tuple[IndexRef, ...]:
        if self._keys:
            self._flush()
        return tuple(self._done)

    def _begin(self) -> None:
        self._keys = array("Q")
        self._places: list[tuple[int, int, int]] = []

    def _flush(self) -> None:
        counts, parts, blocks = np.array(self._places).T
        entries = np.empty(len(self._keys), dtype=_ENTRY)
        entries["key"] = self._keys
        entries["part"], entries["block"] = np.repeat(parts, counts), np.repeat(blocks, counts)
        self._done.append(_write(self._content, entries))
        self._begin()


def places_of(content: Content, index: Sequence[IndexRef], keys: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Every (part, block) that may hold one of the keys, each once, in the order of the file."""
    wanted = _sorted(keys)
    found = [entries for segment in index for entries in _found(content, segment, wanted)]
    if found:
        entries = np.concatenate(found)
        together = np.unique(entries["part"].astype(np.uint64) << _BLOCK_BITS | entries["block"])
        yield from ((place >> 16, place & 0xFFFF) for place in together.tolist())


def known_keys(content: Content, index: Sequence[IndexRef], keys: Iterable[int]) -> set[int]:
    """Those of the keys that appear."""
    wanted = _sorted(keys)
    found = [entries["key"] for segment in index for entries in _found(content, segment, wanted)]
    return set(np.unique(np.concatenate(found)).tolist()) if found else set()


def extended(
    content: Content, index: Sequence[IndexRef], additions: Iterable[tuple[int, int, int]]
) -> tuple[IndexRef, ...]:
    """The index with some (key, part, block) more.

    Last segments that are not much larger than what comes are written together with it, so that there are few, and a number
    is written again a few times at most.
    """
    return _extended(content, index, np.array(list(additions), dtype=_ENTRY))


def _extended(content: Content, index: Sequence[IndexRef], fresh: Entries) -> tuple[IndexRef, ...]:
    kept = list(index)
    while len(fresh) and kept and _goes_with(kept[-1].keys, len(fresh)):
        old = np.frombuffer(content.get(kept.pop().digest), dtype=_ENTRY)
        fresh = np.concatenate([old, fresh])
    return (*kept, _write(content, fresh)) if len(fresh) else tuple(kept)


def joined(content: Content, index: Sequence[IndexRef], segments: Sequence[IndexRef]) -> tuple[IndexRef, ...]:
    """The index with segments more, small ones written together as in `extended`."""
    if len(segments) == 1 and index and _goes_with(index[-1].keys, segments[0].keys):
        entries = np.frombuffer(content.get(segments[0].digest), dtype=_ENTRY)
        return _extended(content, index, entries)
    return (*index, *segments)


def _goes_with(keys: int, more: int) -> bool:
    return keys + more <= BUCKET_KEYS or (keys <= 2 * more and keys + more <= SEGMENT_KEYS)


def _sorted(keys: Iterable[int]) -> npt.NDArray[np.uint64]:
    return np.unique(np.fromiter(keys, dtype=np.uint64))


def _write(content: Content, entries: Entries) -> IndexRef:
    entries = entries[np.argsort(entries["key"], kind="stable")]
    bits = max(0, (len(entries) - 1) // BUCKET_KEYS).bit_length()
    edges = np.arange(1, 2**bits, dtype=np.uint64) << np.uint64(64 - bits) if bits else ()
    ends = (*np.searchsorted(entries["key"], edges).tolist(), len(entries)) if bits else (len(entries),)
    return IndexRef(digest=content.put(entries.tobytes()), keys=len(entries), bits=bits, ends=ends)


def _found(content: Content, segment: IndexRef, wanted: npt.NDArray[np.uint64]) -> Iterator[Entries]:
    """The segment's entries of the wanted keys, which are sorted."""
    for entries, asked in _buckets(content, segment, wanted):
        keys = entries["key"]
        lows, highs = np.searchsorted(keys, asked, "left"), np.searchsorted(keys, asked, "right")
        for low, high in zip(lows[lows < highs].tolist(), highs[lows < highs].tolist(), strict=True):
            yield entries[low:high]


def _buckets(
    content: Content, segment: IndexRef, wanted: npt.NDArray[np.uint64]
) -> Iterator[tuple[Entries, npt.NDArray[np.uint64]]]:
    """The segment's entries bucket by bucket with the keys that each can hold; all at once where many are asked."""
    shift = np.uint64(64 - segment.bits)
    numbers = wanted >> shift if segment.bits else np.zeros(len(wanted), dtype=np.uint64)
    asked = np.unique(numbers).tolist()
    if len(asked) >= _WHOLE:
        yield np.frombuffer(content.get(segment.digest), dtype=_ENTRY), wanted
        return
    for number in asked:
        yield _bucket(content, segment, number), wanted[numbers == number]


def _bucket(content: Content, segment: IndexRef, number: int) -> Entries:
    start, end = segment.ends[number - 1] if number else 0, segment.ends[number]

    def read() -> tuple[Entries, int]:
        size = _ENTRY.itemsize
        data = content.get_range(segment.digest, start * size, end * size) if end > start else b""
        return np.frombuffer(data, dtype=_ENTRY), len(data) + 200

    return content.remembered("bucket", f"{segment.digest}.{number}", read)
