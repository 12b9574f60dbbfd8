"""From signatures to groups: equal texts first, then candidates by shared bands, each compared as it stands.

Two rows are in one group when a chain of near-duplicates joins them (union-find); the earliest leads. Within a band a row is
compared with the eight rows before it in the same bucket and with the bucket's first, unless they are together already: a bucket of
n rows costs 9 n comparisons at most, never n squared. About 60 bytes of memory a row while it works, 4 in its answer; keys and the
texts of candidates lie in temporary files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.near_duplicates.shingles import plain, similarities
from tasks.near_duplicates.signatures import BANDS, NOTHING, SKETCH_WORDS, Signed, may_be_near
from tasks.near_duplicates.spool import TextSpool
from tasks.near_duplicates.union import Groups, Rows

THRESHOLD = 0.9
NEIGHBOURS = 8  # rows before it in its bucket that a row is compared with
REMEMBERED_PAIRS = 1 << 20  # pairs that were too different, so that further bands do not compare them again
COMPARED_AT_ONCE = 1_000
SKETCHES_AT_ONCE = 50_000
Texts = Callable[[int, Sequence[int]], Iterable[str]]
"""The texts of some rows of a part: (part, ascending positions) to their texts, as they are in the rows."""


def joined(
    parts: Iterable[Signed], texts: Texts, *, threshold: float = THRESHOLD, stop: Callable[[], bool] = bool
) -> Rows:
    """For each row, parts in order, the number of the row that leads its group: its own where nothing before resembles it.

    `texts` is asked once for each part that has candidates. When `stop` says so, what has been found until then is returned.
    """
    with tempfile.TemporaryDirectory(prefix="near-") as name, TextSpool() as spool:
        keys = _Keys(Path(name))
        for part in parts:
            keys.add(part)
        groups, comparable = _equal_texts(keys.digests())
        marked = _marked(keys, comparable)
        del comparable
        places = _spooled(keys, marked, texts, spool)
        work = _Work(groups, spool, places, keys.sketches(marked), threshold)
        rows = np.flatnonzero(marked).astype(np.uint32)
        for band in range(BANDS):
            if stop():
                break
            _join_band(keys.band(band)[rows], rows, work)
        return groups.leaders


# ---------------------------------------------------------------- keys on disk


class _Keys:
    """Digests and band keys of all rows, one file each; a band is read when its turn comes."""

    def __init__(self, folder: Path) -> None:
        self._digests = folder / "digests"
        self._bands = [folder / f"band{number}" for number in range(BANDS)]
        self._sketches = folder / "sketches"
        self.sizes: list[int] = []

    def add(self, part: Signed) -> None:
        self.sizes.append(len(part.digests))
        paths = (self._digests, self._sketches, *self._bands)
        for path, values in zip(paths, (part.digests, part.sketches, *part.bands), strict=True):
            with path.open("ab") as file:
                file.write(np.ascontiguousarray(values).tobytes())

    def digests(self) -> npt.NDArray[np.uint64]:
        return np.fromfile(self._digests, dtype=np.uint64) if self.sizes else np.empty(0, np.uint64)

    def band(self, number: int) -> npt.NDArray[np.uint32]:
        return np.fromfile(self._bands[number], dtype=np.uint32) if self.sizes else np.empty(0, np.uint32)

    def sketches(self, marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
        """Those of the marked rows, in order."""
        found, first = [np.empty((0, SKETCH_WORDS), np.uint64)], 0
        for size in self.sizes:
            offset, count = 8 * SKETCH_WORDS * first, SKETCH_WORDS * size
            part = np.fromfile(self._sketches, dtype=np.uint64, offset=offset, count=count)
            found.append(part.reshape(size, SKETCH_WORDS)[marked[first : first + size]])
            first += size
        return np.concatenate(found)


def _equal_texts(digests: npt.NDArray[np.uint64]) -> tuple[Groups, npt.NDArray[np.bool_]]:
    """Rows of equal texts joined; and which rows are still to be compared: one of each text."""
    order = np.argsort(digests, kind="stable").astype(np.uint32)
    ordered = digests[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    fresh |= ordered == NOTHING
    first = np.maximum.accumulate(np.where(fresh, np.arange(len(order), dtype=np.uint32), np.uint32(0)))
    leaders = np.empty(len(order), dtype=np.uint32)
    leaders[order] = order[first]
    comparable = np.zeros(len(order), dtype=np.bool_)
    comparable[order[fresh & (ordered != NOTHING)]] = True
    return Groups(leaders), comparable


def _marked(keys: _Keys, comparable: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Rows that share a band with another one."""
    marked = np.zeros(len(comparable), dtype=np.bool_)
    rows = np.flatnonzero(comparable).astype(np.uint32)
    for band in range(BANDS):
        found = _shared(keys.band(band)[rows], rows) if len(rows) else None
        if found is not None:
            marked[found[0]] = True
    return marked


def _shared(values: npt.NDArray[np.uint32], rows: Rows) -> tuple[Rows, npt.NDArray[np.uint32]]:
    """Rows whose value somebody shares, by value and number; and the number of each one's bucket."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same = ordered[1:] == ordered[:-1]
    kept = np.zeros(len(ordered), dtype=np.bool_)
    kept[1:] |= same
    kept[:-1] |= same
    fresh = np.ones(len(ordered), dtype=np.bool_)
    fresh[1:] = ~same
    return rows[order[kept]], np.cumsum(fresh[kept], dtype=np.uint32)


def _spooled(
    keys: _Keys, marked: npt.NDArray[np.bool_], texts: Texts, spool: TextSpool
) -> npt.NDArray[np.uint32]:
    """Where in the spool each row's text is (0 for rows that nobody will ask for); one look at each part with candidates."""
    places = np.zeros(len(marked), dtype=np.uint32)
    places[marked] = np.arange(np.count_nonzero(marked), dtype=np.uint32)
    first = 0
    for part, size in enumerate(keys.sizes):
        wanted = np.flatnonzero(marked[first : first + size])
        if len(wanted):
            spool.extend(map(plain, texts(part, wanted.tolist())))
        first += size
    return places


# ---------------------------------------------------------------- comparing


@dataclass(slots=True)
class _Work:
    groups: Groups
    spool: TextSpool
    places: npt.NDArray[np.uint32]
    sketches: npt.NDArray[np.uint64]
    threshold: float
    different: npt.NDArray[np.uint64] = field(
        default_factory=lambda: np.zeros(REMEMBERED_PAIRS, dtype=np.uint64)
    )


def _join_band(values: npt.NDArray[np.uint32], rows: Rows, work: _Work) -> None:
    """Compares what shares a bucket: with the bucket's first, then with the rows ever further before."""
    rows, buckets = _shared(values, rows)
    starts = np.flatnonzero(np.diff(buckets, prepend=np.uint32(0)))
    for one, other in _pairs(rows, buckets, starts):
        leaders = work.groups.leaders
        apart = leaders[one] != leaders[other]
        if apart.any():
            _compare(one[apart], other[apart], work)


def _pairs(
    rows: Rows, buckets: npt.NDArray[np.uint32], starts: npt.NDArray[np.int64]
) -> Iterator[tuple[Rows, Rows]]:
    if not len(rows):
        return
    first = rows[starts][buckets - buckets[0]]
    yield first[first != rows], rows[first != rows]
    for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
        together = buckets[step:] == buckets[:-step]
        if not together.any():
            return
        yield rows[:-step][together], rows[step:][together]


def _compare(one: Rows, other: Rows, work: _Work) -> None:
    """Joins the pairs that are near-duplicates and remembers those that are not."""
    alike = _alike(one, other, work)
    one, other = one[alike], other[alike]
    names = one.astype(np.uint64) << np.uint64(32) | other
    slots = (names * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - REMEMBERED_PAIRS.bit_length() + 1)
    fresh = work.different[slots] != names
    one, other, names, slots = one[fresh], other[fresh], names[fresh], slots[fresh]
    near = np.zeros(len(one), dtype=np.bool_)
    for start in range(0, len(one), COMPARED_AT_ONCE):
        some = slice(start, start + COMPARED_AT_ONCE)
        near[some] = _near(one[some], other[some], work)
    work.different[slots[~near]] = names[~near]
    work.groups.join(list(zip(one[near].tolist(), other[near].tolist(), strict=True)))


def _alike(one: Rows, other: Rows, work: _Work) -> npt.NDArray[np.bool_]:
    alike = np.zeros(len(one), dtype=np.bool_)
    for start in range(0, len(one), SKETCHES_AT_ONCE):
        some = slice(start, start + SKETCHES_AT_ONCE)
        first, second = (work.sketches[work.places[rows[some]]] for rows in (one, other))
        alike[some] = may_be_near(first, second)
    return alike


def _near(one: Rows, other: Rows, work: _Work) -> npt.NDArray[np.bool_]:
    places, at = np.unique(np.concatenate((one, other)), return_inverse=True)
    texts = [work.spool[place] for place in work.places[places].tolist()]
    return similarities(texts, at[: len(one)], at[len(one) :]) >= work.threshold - 1e-9
