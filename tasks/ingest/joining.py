"""A further file meets the rows that are there: which of its rows are new, the same, or other words under a known id.

Both sides are dataset versions, read part by part. All that is kept of the smaller questions' side is two numbers a row
(its key and its place, 16 bytes), so that the order of neither file matters. What becomes of a pair is `decided`, a pure rule.

Does not write versions; `tasks/steps/merge.py` does.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from storage.datasets import Datasets
from storage.digests import conversation_digest, conversation_key, id_key, is_content_id
from storage.manifests import Manifest
from storage.rows import Row

Keys = Callable[[Row], Iterable[int]]
Fate = Literal["unchanged", "replaced", "edited", "new"]
LABELS = ("topic", "topic_confidence", "topic_method", "previous_topic", "score")
Place = tuple[int, int]  # part, position


class Places:
    """Where the rows of a version with some key are."""

    def __init__(
        self, datasets: Datasets, manifest: Manifest, keys: Keys, seen: Callable[[int], None]
    ) -> None:
        """`seen` hears the number of rows after each part, and may raise to stop."""
        known, places = array("Q"), array("Q")
        for part in range(len(manifest.parts)):
            for at, row in enumerate(datasets.rows(manifest, part)):
                for key in keys(row):
                    known.append(key)
                    places.append(part << 32 | at)
            seen(manifest.parts[part].rows)
        found = np.frombuffer(known, dtype=np.uint64)
        order = np.argsort(found, kind="stable")
        self._keys, self._places = found[order], np.frombuffer(places, dtype=np.uint64)[order]

    def of(self, keys: Sequence[int]) -> list[list[Place]]:
        """For each key its places, in the order of the file. Two rows may share a key by accident: look at the row."""
        wanted = np.fromiter(keys, dtype=np.uint64, count=len(keys))
        starts = np.searchsorted(self._keys, wanted, side="left").tolist()
        ends = np.searchsorted(self._keys, wanted, side="right").tolist()
        return [
            [(place >> 32, place & 0xFFFFFFFF) for place in self._places[start:end].tolist()]
            for start, end in zip(starts, ends, strict=True)
        ]


@dataclass(slots=True)
class Taken:
    """Which rows of the further file need not be added any more: a bit for each."""

    starts: list[int]
    bits: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @staticmethod
    def none_of(manifest: Manifest) -> Taken:
        starts = [0]
        for part in manifest.parts:
            starts.append(starts[-1] + part.rows)
        return Taken(starts, np.zeros(starts[-1], dtype=np.bool_))

    def add(self, place: Place) -> None:
        self.bits[self.starts[place[0]] + place[1]] = True

    def rest(self, datasets: Datasets, manifest: Manifest) -> Iterator[Row]:
        """The rows that are still to be added, in order."""
        for part, start in enumerate(self.starts[:-1]):
            taken = self.bits[start : self.starts[part + 1]]
            if not taken.all():
                rows = zip(datasets.rows(manifest, part), taken.tolist(), strict=True)
                yield from (row for row, gone in rows if not gone)


def pairs(
    datasets: Datasets, base: Manifest, part: int, further: Manifest, places: Places
) -> Iterator[tuple[int, Row, Place, Row]]:
    """The rows of one part of `base` whose id the further file knows: (position, the row, place there, the row there)."""
    old = list(datasets.rows(base, part))
    found = places.of([id_key(row.id) for row in old])
    wanted = sorted({place for here in found for place in here})
    rows = dict(zip(wanted, datasets.pick(further, wanted), strict=True))
    for at, (row, here) in enumerate(zip(old, found, strict=True)):
        match = next((place for place in here if rows[place].id == row.id), None)
        if match is not None:
            yield at, row, match, rows[match]


def decided(old: Row, new: Row) -> Fate:
    """What becomes of a row whose id comes again.

    An id that the rows did not bring is made of what they say: when its row says something else now, somebody has edited
    it here, and the edit stays. An invalid row replaces nothing: it is added, and shown.
    """
    if says_the_same(old, new) and new.topic in (None, old.topic):
        return "unchanged"
    if is_content_id(new.id):
        return "edited"
    return "replaced" if new.error in ("", "duplicate") else "new"


def replaced(old: Row, new: Row) -> Row:
    """The new row under the old one's id. Its labels stay while the conversation is the same."""
    same_words = conversation_digest(old.messages) == conversation_digest(new.messages)
    if same_words and new.topic in (None, old.topic):
        return msgspec.structs.replace(new, id=old.id, **{name: getattr(old, name) for name in LABELS})
    return msgspec.structs.replace(new, id=old.id, previous_topic=old.topic, score=None)


def says_the_same(one: Row, other: Row) -> bool:
    """Equal but for labels and for where they came from."""
    return (one.input, one.output, one.item, one.raw) == (other.input, other.output, other.item, other.raw)


def carried(old: Row, new: Row) -> Row | None:
    """For a version made only of the new file: the new row with the old one's labels; None when the words are others."""
    if conversation_digest(old.messages) != conversation_digest(new.messages):
        return None
    labels = {name: getattr(old, name) for name in LABELS}
    return new if new.topic else msgspec.structs.replace(new, **labels)


def id_keys(row: Row) -> tuple[int, ...]:
    return (id_key(row.id),)


def id_and_word_keys(row: Row) -> tuple[int, ...]:
    """By id, and by what it says."""
    own, words = id_key(row.id), conversation_key(conversation_digest(row.messages))
    return (own,) if row.raw or own == words else (own, words)
