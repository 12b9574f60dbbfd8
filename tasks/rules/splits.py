"""Which row trains, which validates, which tests.

Numbers of domain.md §8. Decides sides, writes no file. Keeps some 20 bytes a row while it works and one byte
a row in its answer, so that a million rows are no burden.

When rules collide, the earlier one wins: a locked test set, which nothing joins, then no leakage between the sides, then no
generated row in validation, then a row of each topic in validation, then the exact size. What had to yield is
said in `notes`.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tasks.rules.apportion import apportion

Side = Literal["train", "validation", "test", "left_out"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")
TRAIN, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, 3
ENOUGH_REAL_ROWS = 30
NO_TOPIC = "uncategorised"

_NAMES: tuple[Side, ...] = (*SIDES, "left_out")


@dataclass(frozen=True, slots=True)
class SplitRow:
    """What a split needs of a valid row. Rows with the same `group` (near-duplicates, one source) stay
    together."""

    id: str
    topic: str | None = None
    group: str | None = None
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """`sides[i]` is the side of the i-th row: 0 train, 1 validation, 2 test, 3 none of them (it resembles a locked test row).

    `synthetic_validation`: generated rows had to validate. `leakage`: rows of one source stand on both sides.
    """

    sides: bytes
    synthetic_validation: bool
    leakage: bool
    notes: tuple[str, ...] = ()

    def side(self, index: int) -> Side:
        return _NAMES[self.sides[index]]

    def count(self, side: Side) -> int:
        return self.sides.count(_NAMES.index(side))

    def indices(self, side: Side) -> Iterator[int]:
        wanted = _NAMES.index(side)
        return (index for index, found in enumerate(self.sides) if found == wanted)


def split(
    rows: Iterable[SplitRow],
    *,
    train: float = 0.9,
    validation: float = 0.1,
    test: float = 0.0,
    seed: int = 0,
    locked_test: Collection[str] = (),
) -> Split:
    """Sides for the rows in their order, stratified by topic; the same rows and seed give the same answer.

    Validation (and test) get floor(n × share), divided among topics by largest remainder, at least one row of
    each topic in validation where it has two or more. `locked_test` are the ids of an earlier version's test
    set: they stay in it and nothing joins them; other rows of their groups are on no side. Raises ValueError
    for shares that do not sum to 1.
    """
    if min(train, validation, test) < 0 or abs(train + validation + test - 1) > 1e-6 or train == 0:
        raise ValueError("The shares of train, validation and test are positive and sum to 1.")
    table = _read(rows, locked_test)
    units = _Units(table, restricted=_is_restricted(table))
    sides = bytearray(len(table.topics))
    locked = units.claim_locked(sides) if locked_test else 0
    rng = random.Random(seed)
    if test and not locked:
        _fill(sides, units, TEST, test, rng)
    if validation:
        _fill(sides, units, VALIDATION, validation, rng)
    synthetic = any(flag and side == VALIDATION for flag, side in zip(table.generated, sides, strict=True))
    return Split(bytes(sides), synthetic, units.by_row, _notes(table, units, sides, synthetic))


@dataclass(slots=True)
class _Table:
    """The rows as columns."""

    names: list[str] = field(default_factory=list)
    topics: array[int] = field(default_factory=lambda: array("I"))
    groups: array[int] = field(default_factory=lambda: array("Q"))  # 0: no group
    generated: bytearray = field(default_factory=bytearray)
    locked: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Leakage:
    """Rows of validation and test that have company in training: the same text, a near-duplicate of it, the same source.

    A row counts once, under the first that applies. `examples` are (kind, its text, the text in training).
    """

    held_out: int = 0
    exact: int = 0
    near: int = 0
    same_source: int = 0
    examples: tuple[tuple[str, str, str], ...] = ()

    @property
    def rows(self) -> int:
        return self.exact + self.near + self.same_source


def _read(rows: Iterable[SplitRow], locked_test: Collection[str]) -> _Table:
    table = _Table()
    codes: dict[str, int] = {}
    for row in rows:
        topic = row.topic or NO_TOPIC
        if topic not in codes:
            codes[topic] = len(codes)
            table.names.append(topic)
        table.topics.append(codes[topic])
        table.groups.append(_digest(row.group) if row.group else 0)
        table.generated.append(row.generated)
        table.locked.append(row.id in locked_test)
    return table


def _digest(group: str) -> int:
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") or 1


def _is_restricted(table: _Table) -> bool:
    """Whether generated rows must stay out of validation."""
    return 0 < table.generated.count(1) <= len(table.generated) - ENOUGH_REAL_ROWS


class _Units:
    """What may only move as a whole: a row without company (its index), or a group (−1 − its number).

    `free` holds, per topic, the units that may leave the training side; a group belongs to the topic of its
    first row.
    """

    def __init__(self, table: _Table, *, restricted: bool) -> None:
        self.table = table
        self.order: array[int] = array("I", sorted(_grouped(table), key=table.groups.__getitem__))
        self.edges = _spans(self.order, table.groups)
        self.by_row = self._is_one_source()
        if self.by_row:
            self.order, self.edges = array("I"), array("I")
        self.restricted = restricted
        self.free = self._free()
        if restricted and not any(
            self.free
        ):  # every real row has generated children: better synthetic than none
            self.restricted = False
            self.free = self._free()

    def rows(self, unit: int) -> Sequence[int]:
        if unit >= 0:
            return (unit,)
        start, end = self.edges[-2 - 2 * unit], self.edges[-1 - 2 * unit]
        return self.order[start:end]

    def topics_of(self, unit: int) -> dict[int, int]:
        """Rows per topic in a unit."""
        if unit >= 0:
            return {self.table.topics[unit]: 1}
        counts: dict[int, int] = {}
        for row in self.rows(unit):
            counts[self.table.topics[row]] = counts.get(self.table.topics[row], 0) + 1
        return counts

    def claim_locked(self, sides: bytearray) -> int:
        """Puts the locked rows on the test side, and what is bound to them on none."""
        claimed = 0
        for unit in self._all():
            rows = self.rows(unit)
            locked = [row for row in rows if self.table.locked[row]]
            if locked:
                _put(sides, rows, LEFT_OUT)
                claimed += _put(sides, locked, TEST)
        for units in self.free:
            units[:] = array("q", (unit for unit in units if sides[self.rows(unit)[0]] == TRAIN))
        return claimed

    def _all(self) -> Iterator[int]:
        together = bytearray(len(self.table.topics))
        for number in range(len(self.edges) // 2):
            for row in self.rows(-1 - number):
                together[row] = 1
            yield -1 - number
        yield from (row for row, taken in enumerate(together) if not taken)

    def _free(self) -> list[array[int]]:
        free: list[array[int]] = [array("q") for _ in self.table.names]
        for unit in self._all():
            rows = self.rows(unit)
            if not (self.restricted and any(self.table.generated[row] for row in rows)):
                free[self.table.topics[rows[0]]].append(unit)
        return free

    def _is_one_source(self) -> bool:
        """Everything comes from a single source: then only a split by row is possible, and it leaks."""
        total = len(self.table.topics)
        return self.edges.tolist() == [0, total] and total > 1


def _grouped(table: _Table) -> Iterator[int]:
    return (row for row, group in enumerate(table.groups) if group)


def _spans(order: Sequence[int], groups: Sequence[int]) -> array[int]:
    """Where each group of two or more rows begins and ends in `order`, which is sorted by group: 2 numbers a group."""
    edges, start = array("I"), 0
    for place in range(1, len(order) + 1):
        if place == len(order) or groups[order[place]] != groups[order[start]]:
            if place - start > 1:
                edges.extend((start, place))
            start = place
    return edges


@dataclass(slots=True)
class _Filling:
    """One side being filled: what it should get per topic, what it has, what the training side has left."""

    sides: bytearray
    side: int
    units: _Units
    quotas: list[int]
    left: list[int]
    given: list[int] = field(default_factory=list)

    def take(self, topic: int, allowed: Callable[[Mapping[int, int]], bool]) -> None:
        """Moves every free unit of the topic that is allowed when its turn comes."""
        kept = array("q")
        for unit in self.units.free[topic]:
            topics = self.units.topics_of(unit)
            if allowed(topics):
                self._move(unit, topics)
            else:
                kept.append(unit)
        self.units.free[topic] = kept

    def take_smallest(self, topic: int, *, keep: int) -> None:
        """Moves the topic's smallest unit that leaves every topic at least `keep` rows to train on."""
        free = self.units.free[topic]
        movable = [unit for unit in free if self._leaves(self.units.topics_of(unit), keep)]
        if movable:
            unit = min(movable, key=lambda one: len(self.units.rows(one)))
            free.remove(unit)
            self._move(unit, self.units.topics_of(unit))

    def within_quotas(self, topics: Mapping[int, int]) -> bool:
        return all(self.given[topic] + count <= self.quotas[topic] for topic, count in topics.items())

    def within_total(self, topics: Mapping[int, int]) -> bool:
        room = sum(self.quotas) - sum(self.given)
        return sum(topics.values()) <= room and self._leaves(topics, 1)

    def _leaves(self, topics: Mapping[int, int], keep: int) -> bool:
        return all(self.left[topic] - count >= keep for topic, count in topics.items())

    def _move(self, unit: int, topics: Mapping[int, int]) -> None:
        _put(self.sides, self.units.rows(unit), self.side)
        for topic, count in topics.items():
            self.given[topic] += count
            self.left[topic] -= count


def _fill(sides: bytearray, units: _Units, side: int, share: float, rng: random.Random) -> None:
    """Draws units at random: what fits the quotas, then one for empty topics, then up to the exact size."""
    topics = range(len(units.free))
    left = _train_sizes(units.table, sides)
    quotas = _quotas(units, left, share, at_least=1 if side == VALIDATION else 0)
    filling = _Filling(sides, side, units, quotas, left, [0] * len(quotas))
    for topic in topics:
        rng.shuffle(units.free[topic])
        filling.take(topic, filling.within_quotas)
    for topic in topics:
        if quotas[topic] and not filling.given[topic]:
            filling.take_smallest(topic, keep=1)
    for topic in topics:
        if sum(filling.given) < sum(quotas):
            filling.take(topic, filling.within_total)
    if side == VALIDATION and not any(filling.given) and sum(map(len, units.free)) > 1:
        filling.take_smallest(max(topics, key=lambda topic: len(units.free[topic])), keep=0)


def _quotas(units: _Units, left: Sequence[int], share: float, *, at_least: int) -> list[int]:
    """Rows per topic for one side, as far as its free units reach and with one row left to train on."""
    sizes = _sizes(units.table)
    reach = [sum(len(units.rows(unit)) for unit in free) for free in units.free]
    seats = apportion(
        int(sum(sizes) * share + 1e-9),
        {str(topic): size for topic, size in enumerate(sizes)},
        minimum={str(topic): at_least for topic in range(len(sizes))},
        capacity={str(topic): max(0, min(reach[topic], left[topic] - 1)) for topic in range(len(sizes))},
    )
    return [seats[str(topic)] for topic in range(len(sizes))]


def _sizes(table: _Table) -> list[int]:
    sizes = [0] * len(table.names)
    for topic in table.topics:
        sizes[topic] += 1
    return sizes


def _train_sizes(table: _Table, sides: bytearray) -> list[int]:
    sizes = [0] * len(table.names)
    for topic, side in zip(table.topics, sides, strict=True):
        sizes[topic] += side == TRAIN
    return sizes


def _put(sides: bytearray, rows: Sequence[int], side: int) -> int:
    for row in rows:
        sides[row] = side
    return len(rows)


def _notes(table: _Table, units: _Units, sides: bytearray, synthetic: bool) -> tuple[str, ...]:
    notes = []
    if synthetic:
        notes.append("Synthetic validation: generated rows validate, because too few real rows can.")
    if units.by_row:
        notes.append(
            "All rows come from one source, so they were split by row: the two sides resemble each other."
        )
    left_out = sides.count(LEFT_OUT)
    if left_out:
        notes.append(
            f"{left_out:,} newer rows resemble the locked test set, so they neither join it nor train."
        )
    seen = {topic for topic, side in zip(table.topics, sides, strict=True) if side == VALIDATION}
    without = [
        table.names[topic] for topic, size in enumerate(_sizes(table)) if size > 1 and topic not in seen
    ]
    if without and VALIDATION in sides:
        notes.append(f"No validation row without leakage or generated rows: {', '.join(sorted(without))}.")
    return tuple(notes)
