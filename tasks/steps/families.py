"""Which rows of a dataset version belong together, and what of it ended up on two sides of a split.

A family is joined transitively by near-duplicates, by a seed and what grew from it, by a document and by a Slack thread. Where
one document makes up most of a dataset, its sections are kept together instead of the whole of it, or its passages where sections are
too large for the sides to come out at their sizes, and that is said. Reads every row once and keeps numbers only; the rules of splitting are `tasks/rules/splits.py`.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from storage.datasets import Datasets
from storage.digests import id_key
from storage.manifests import Manifest
from storage.rows import Row
from tasks.near_duplicates import place_of, prompt_text
from tasks.near_duplicates.shingles import plain
from tasks.near_duplicates.union import Groups, Rows
from tasks.rules.splits import TRAIN, Leakage, Split, SplitRow
from tasks.steps.common import cut

MOST_OF_ONE = {
    "document": 0.5,
    "section": 0.05,
    "passage": 1.0,
}  # of all rows: the share up to which a level is kept together
SHOWN_EXAMPLES, EXAMPLE_CHARACTERS = 3, 160
LEVELS = ("document", "section", "passage")
KINDS = ("", "exact", "near", "same_source")  # the closest first
COLUMNS = ("error", "topic", "is_generated")
Keys = npt.NDArray[np.uint64]


@dataclass(slots=True)
class _Keyed:
    """Rows that have something in common with others, under the number of what it is."""

    keys: array[int] = field(default_factory=lambda: array("Q"))
    rows: array[int] = field(default_factory=lambda: array("I"))

    def add(self, name: str, row: int) -> None:
        self.keys.append(_number(name))
        self.rows.append(row)

    def arrays(self) -> tuple[Keys, Rows]:
        return np.array(self.keys, dtype=np.uint64), np.array(self.rows, dtype=np.uint32)


@dataclass(slots=True)
class Families:
    """The valid rows of a version as columns; `leaders` names every row's family, `sources` what a row was made from."""

    numbers: array[int] = field(default_factory=lambda: array("I"))
    topics: array[int] = field(default_factory=lambda: array("H"))
    names: list[str | None] = field(default_factory=list)
    generated: bytearray = field(default_factory=bytearray)
    texts: array[int] = field(default_factory=lambda: array("Q"))  # of what each row asks; 0 for nothing
    locked: dict[int, str] = field(default_factory=dict)
    leaders: Rows = field(default_factory=lambda: np.empty(0, np.uint32))
    sources: tuple[Keys, Rows] = (np.empty(0, np.uint64), np.empty(0, np.uint32))
    notes: tuple[str, ...] = ()

    def rows(self) -> Iterator[SplitRow]:
        """What the rules of splitting need; only rows that have company are in a group."""
        numbers = np.array(self.numbers, dtype=np.uint32)
        sizes = np.bincount(self.leaders[numbers], minlength=1).astype(np.uint32)
        for index, number in enumerate(self.numbers):
            leader = int(self.leaders[number])
            yield SplitRow(
                self.locked.get(index, ""),
                self.names[self.topics[index]],
                str(leader) if sizes[leader] > 1 else None,
                bool(self.generated[index]),
            )


def families(datasets: Datasets, manifest: Manifest, near: Rows, *, locked: Collection[str] = ()) -> Families:
    """`near` is what `tasks.near_duplicates.groups` found for the version."""
    made, codes = Families(), dict[str | None, int]()
    ids, seeds = array("Q"), _Keyed()
    threads, levels = _Keyed(), tuple(_Keyed() for _ in LEVELS)
    number = 0
    for part in range(len(manifest.parts)):
        for row in datasets.rows(manifest, part, COLUMNS):
            ids.append(id_key(row.id))
            if row.valid:
                _enter(made, codes, row, number, locked)
                _sources(row, number, threads, levels)
                for seed in _listed(row.provenance.get("seed")):
                    seeds.keys.append(id_key(seed))
                    seeds.rows.append(number)
            number += 1
    grouped = Groups(near.copy())
    _join_seeds(grouped, ids, seeds)
    grouped.join_equal(*threads.arrays())
    level, documents = _kept_together(levels, len(made.numbers))
    grouped.join_equal(*documents.arrays())
    if level != "document":
        made.notes = (
            f"Most rows come from one document: rows of one {level} were kept together, not all of the document, so other "
            "parts of it stand on both sides.",
        )
    made.leaders = grouped.leaders
    made.sources = _both(_both(threads.arrays(), documents.arrays()), _own_and(seeds, ids))
    return made


def _kept_together(levels: Sequence[_Keyed], rows: int) -> tuple[str, _Keyed]:
    """The coarsest level at which no single source is too large a share of the rows, and its rows."""
    named = zip(LEVELS, levels, strict=True)
    return next((level, keyed) for level, keyed in named if _largest(keyed) <= MOST_OF_ONE[level] * rows)


def leakage(datasets: Datasets, manifest: Manifest, found: Families, made: Split, near: Rows) -> Leakage:
    """What of validation and test has company in training, counted once a row under the closest kind, with a few examples."""
    side = np.frombuffer(made.sides, dtype=np.uint8)
    held, trains = np.flatnonzero((side == 1) | (side == 2)), np.flatnonzero(side == TRAIN)
    kinds = np.zeros(len(held), dtype=np.uint8)
    for kind in ("same_source", "near", "exact"):
        values = _values(found, near, kind)
        kinds[_in_training(values[held], values[trains])] = KINDS.index(kind)
    shown = np.flatnonzero(kinds)[:SHOWN_EXAMPLES].tolist()
    pairs = [(KINDS[int(kinds[place])], int(held[place])) for place in shown]
    counts = np.bincount(kinds, minlength=len(KINDS)).tolist()
    examples = tuple(_example(datasets, manifest, found, near, trains, kind, row) for kind, row in pairs)
    return Leakage(len(held), counts[1], counts[2], counts[3], examples)


def _values(found: Families, near: Rows, kind: str) -> Keys:
    """For each valid row a number that is the same where it has that in common with another; 0 for nothing."""
    if kind == "exact":
        return np.array(found.texts, dtype=np.uint64)
    if kind == "same_source":
        return _source_numbers(found)
    return near[np.array(found.numbers, dtype=np.uint32)].astype(np.uint64) + np.uint64(1)


def _in_training(held: Keys, trains: Keys) -> npt.NDArray[np.bool_]:
    """Which of the held-out values, other than 0, training has as well. Sorts one of them instead of joining both."""
    known = np.sort(trains)
    places = np.minimum(np.searchsorted(known, held), max(0, len(known) - 1))
    return (held != 0) & (known[places] == held) if len(known) else np.zeros(len(held), dtype=np.bool_)


def _example(
    datasets: Datasets,
    manifest: Manifest,
    found: Families,
    near: Rows,
    trains: npt.NDArray[np.int64],
    kind: str,
    row: int,
) -> tuple[str, str, str]:
    """(kind, the row's text, the text of one of its like in training)."""
    values = _values(found, near, kind)
    other = int(trains[np.flatnonzero(values[trains] == values[row])[0]])
    texts = [_text_of(datasets, manifest, found.numbers[at]) for at in (row, other)]
    return kind, texts[0], texts[1]


def _source_numbers(found: Families) -> Keys:
    """One number for the sources of each valid row, joined among themselves (0: none)."""
    keys, rows = found.sources
    joined = Groups(np.arange(len(found.leaders), dtype=np.uint32))
    joined.join_equal(keys, rows)
    numbers = np.array(found.numbers, dtype=np.uint32)
    named = np.zeros(len(found.leaders), dtype=np.bool_)
    named[rows] = True
    return np.where(named[numbers], joined.leaders[numbers].astype(np.uint64) + np.uint64(1), np.uint64(0))


def _text_of(datasets: Datasets, manifest: Manifest, number: int) -> str:
    row = next(datasets.pick(manifest, [place_of(manifest, number)]))
    return cut(" ".join(prompt_text(row).split()), EXAMPLE_CHARACTERS)


# ---------------------------------------------------------------- reading


def _enter(
    made: Families, codes: dict[str | None, int], row: Row, number: int, locked: Collection[str]
) -> None:
    if row.topic not in codes:
        codes[row.topic] = len(codes)
        made.names.append(row.topic)
    if row.id in locked:
        made.locked[len(made.numbers)] = row.id
    made.numbers.append(number)
    made.topics.append(codes[row.topic])
    made.generated.append(row.is_generated)
    text = plain(prompt_text(row))
    made.texts.append(_number(text) if text else 0)


def _sources(row: Row, number: int, threads: _Keyed, levels: Sequence[_Keyed]) -> None:
    for permalink in _listed(row.provenance.get("permalink")):
        threads.add(f"permalink:{permalink}", number)
    for document in _listed(row.provenance.get("document")):
        passage = row.provenance.get("chunk", number)
        section = row.provenance.get("source", passage)
        for keyed, name in zip(levels, ("", f"\x1f{section}", f"\x1f\x1f{passage}"), strict=True):
            keyed.add(f"document:{document}{name}", number)


def _listed(value: object) -> Sequence[str]:
    """One name, or several, or none."""
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [] if value in (None, "") else [str(value)]


def _number(name: str) -> int:
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") or 1


def _join_seeds(grouped: Groups, ids: array[int], seeds: _Keyed) -> None:
    keys, rows = _own_and(seeds, ids)
    grouped.join_equal(keys, rows)


def _own_and(seeds: _Keyed, ids: array[int]) -> tuple[Keys, Rows]:
    """Rows that grew from a seed under its id, and the seeds themselves."""
    keys, rows = seeds.arrays()
    if not len(keys):
        return keys, rows
    own = np.array(ids, dtype=np.uint64)
    parents = np.flatnonzero(np.isin(own, keys)).astype(np.uint32)
    return _both((keys, rows), (own[parents], parents))


def _both(one: tuple[Keys, Rows], other: tuple[Keys, Rows]) -> tuple[Keys, Rows]:
    return np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1]))


def _largest(keyed: _Keyed) -> int:
    """Rows of the commonest key."""
    return int(np.unique(keyed.arrays()[0], return_counts=True)[1].max()) if len(keyed.keys) else 0
