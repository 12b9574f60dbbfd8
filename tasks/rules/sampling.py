"""Which rows a dry run tries, and which scored ones are kept for inspection.

Numbers of domain.md §7. Chooses indices only; the caller passes the valid rows and reads them.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from tasks.rules.apportion import apportion

NO_TOPIC = "uncategorised"


@dataclass(frozen=True, slots=True)
class Samples:
    """Indices into the scores, for inspection."""

    highest: tuple[int, ...]
    lowest: tuple[int, ...]
    around_mean: tuple[int, ...]


def sample_size(valid: int, *, percentage: float | None = None, count: int | None = None) -> int:
    """Rows to try: the count or percentage asked for, else min(300, max(50, 10 %)); at most what there is.

    Raises ValueError for a count under 1 or a percentage outside (0, 100].
    """
    if count is not None:
        if count < 1:
            raise ValueError("A dry run needs at least one row.")
        return min(count, valid)
    if percentage is not None:
        if not 0 < percentage <= 100:
            raise ValueError("The percentage of a dry run lies above 0 and at most at 100.")
        return min(valid, max(1, math.floor(valid * percentage / 100 + 1e-9)))
    return min(valid, 300, max(50, valid // 10))


def stratified_sample(topics_by_row: Sequence[str | None], size: int, seed: int) -> tuple[int, ...]:
    """Sorted row indices: each topic in proportion (at least one row while the size allows), spread over the
    file.

    Each topic's rows are cut into as many stretches as it has seats, and one row is drawn from each.
    """
    rows: dict[str, array[int]] = {}
    for index, topic in enumerate(topics_by_row):
        rows.setdefault(topic or NO_TOPIC, array("I")).append(index)
    size = max(0, min(size, len(topics_by_row)))
    counts = {topic: len(rows[topic]) for topic in sorted(rows)}
    minimum = dict.fromkeys(counts, 1) if size >= len(counts) else {}
    rng = random.Random(seed)
    chosen: list[int] = []
    for topic, seats in apportion(size, counts, minimum=minimum).items():
        chosen += _one_per_stretch(rows[topic], seats, rng)
    return tuple(sorted(chosen))


def samples(scores: Sequence[float | None], *, size: int = 5) -> Samples:
    """The highest, the lowest, and those nearest the mean."""
    known = [(score, index) for index, score in enumerate(scores) if score is not None]
    mean = fmean(score for score, _ in known) if known else 0.0
    rising = sorted(known)
    return Samples(
        highest=tuple(index for _, index in sorted(known, key=lambda pair: (-pair[0], pair[1]))[:size]),
        lowest=tuple(index for _, index in rising[:size]),
        around_mean=tuple(
            index for _, index in sorted(known, key=lambda pair: (abs(pair[0] - mean), pair[1]))[:size]
        ),
    )


def _one_per_stretch(rows: Sequence[int], seats: int, rng: random.Random) -> list[int]:
    edges = [len(rows) * seat // seats for seat in range(seats + 1)] if seats else []
    return [rows[rng.randrange(low, high)] for low, high in pairwise(edges)]
