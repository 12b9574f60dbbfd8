"""Finding the part that holds a row, or a conversation, without opening the parts.

Every row leaves two 64-bit numbers: one of its id, one of its conversation. They rest sorted in buckets of at most 65,536,
so that a look-up reads one bucket per half million numbers whatever the dataset's size. An entry may be out of date
(a row that was edited away); whoever looks up confirms in the part itself.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from storage.datasets.content import Content
from storage.manifests import IndexRef

SEGMENT_KEYS = 500_000
BUCKET_KEYS = 65_536
_PAIR = np.dtype([("key", "<u8"), ("part", "<u4")])


class IndexBuilder:
    """Collects (key, part) and writes a segment whenever half a million have come together."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._keys = array("Q")
        self._parts = array("I")
        self._done: list[IndexRef] = []

    def add(self, keys: Iterable[int], part: int) -> None:
        before = len(self._keys)
        self._keys.extend(keys)
        self._parts.extend([part] * (len(self._keys) - before))
        if len(self._keys) >= SEGMENT_KEYS:
            self._flush()

    def finish(self) -> tuple[IndexRef, ...]:
        if self._keys:
            self._flush()
        return tuple(self._done)

    def _flush(self) -> None:
        pairs = np.empty(len(self._keys), dtype=_PAIR)
        pairs["key"], pairs["part"] = self._keys, self._parts
        self._done.append(_write(self._content, pairs))
        self._keys, self._parts = array("Q"), array("I")


def parts_with(
    content: Content, index: Sequence[IndexRef], keys: Iterable[int]
) -> dict[int, tuple[int, ...]]:
    """For each key, the parts that may hold it; keys that nowhere appear are left out."""
    wanted = np.unique(np.fromiter(keys, dtype=np.uint64))
    found: dict[int, list[int]] = {}
    for segment in index:
        for pairs, asked in _buckets(content, segment, wanted):
            rows = pairs[np.isin(pairs["key"], asked)]
            for key, part in zip(rows["key"].tolist(), rows["part"].tolist(), strict=True):
                found.setdefault(key, []).append(part)
    return {key: tuple(dict.fromkeys(parts)) for key, parts in found.items()}


def extended(
    content: Content, index: Sequence[IndexRef], additions: Mapping[int, int]
) -> tuple[IndexRef, ...]:
    """The index with some (key → part) more; a small last segment is rewritten rather than followed by another."""
    if not additions:
        return tuple(index)
    fresh = np.array(list(additions.items()), dtype=_PAIR)
    if index and index[-1].keys + len(fresh) <= BUCKET_KEYS:
        old = [pairs for pairs, _ in _buckets(content, index[-1], None)]
        return (*index[:-1], _write(content, np.concatenate([*old, fresh])))
    return (*index, _write(content, fresh))


def _write(content: Content, pairs: npt.NDArray[np.void]) -> IndexRef:
    pairs = pairs[np.argsort(pairs["key"], kind="stable")]
    bits = max(0, (len(pairs) - 1) // BUCKET_KEYS).bit_length()
    first_keys = (
        np.arange(2**bits, dtype=np.uint64) << np.uint64(64 - bits) if bits else np.zeros(1, np.uint64)
    )
    edges = [*np.searchsorted(pairs["key"], first_keys).tolist(), len(pairs)]
    spans = pairwise(edges)
    buckets = tuple(content.put(pairs[start:end].tobytes()) if end > start else "" for start, end in spans)
    return IndexRef(keys=len(pairs), bits=bits, buckets=buckets)


def _buckets(
    content: Content, segment: IndexRef, wanted: npt.NDArray[np.uint64] | None
) -> Iterable[tuple[npt.NDArray[np.void], npt.NDArray[np.uint64]]]:
    """The segment's buckets that can hold the wanted keys, each with those keys; all of them when None is asked."""
    for number, digest in enumerate(segment.buckets):
        asked = wanted if wanted is not None else np.empty(0, dtype=np.uint64)
        if wanted is not None and segment.bits:
            asked = wanted[(wanted >> np.uint64(64 - segment.bits)) == number]
        if digest and (wanted is None or len(asked)):
            yield np.frombuffer(content.get(digest), dtype=_PAIR), asked
