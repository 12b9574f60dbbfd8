"""How far two judges agree: a model and people, or people among themselves.

domain.md §6. Spearman for scores, Cohen's κ for labels, each with a 95 % interval; None where it is not
defined.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean

Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Agreement:
    """`value` in [−1, 1] with its interval; None where too few ratings, or ratings all alike, say nothing."""

    value: float | None
    low: float | None
    high: float | None
    count: int


def spearman(one: Sequence[float], other: Sequence[float]) -> Agreement:
    """Rank correlation, ties at their mean rank. Interval by Fisher's z with the variance of Bonett and
    Wright (2000).

    Raises ValueError for sequences of different length.
    """
    _check(one, other)
    value = _pearson(_ranks(one), _ranks(other))
    if value is None or len(one) < 4:
        return Agreement(value, None, None, len(one))
    if abs(value) > 1 - 1e-12:
        return Agreement(value, value, value, len(one))
    margin = Z_95 * math.sqrt((1 + value**2 / 2) / (len(one) - 3))
    middle = math.atanh(value)
    return Agreement(value, math.tanh(middle - margin), math.tanh(middle + margin), len(one))


def cohen_kappa(one: Sequence[Hashable], other: Sequence[Hashable]) -> Agreement:
    """Agreement on labels beyond chance (Cohen 1960), with his large-sample interval.

    Raises ValueError for sequences of different length.
    """
    _check(one, other)
    count = len(one)
    if not count:
        return Agreement(None, None, None, 0)
    observed = sum(mine == yours for mine, yours in zip(one, other, strict=True)) / count
    mine, yours = Counter(one), Counter(other)
    chance = sum(mine[label] * yours[label] for label in mine) / count**2
    if chance > 1 - 1e-12:
        return Agreement(None, None, None, count)
    value = (observed - chance) / (1 - chance)
    margin = Z_95 * math.sqrt(observed * (1 - observed) / count) / (1 - chance)
    return Agreement(value, max(-1.0, value - margin), min(1.0, value + margin), count)


def _check(one: Sequence[object], other: Sequence[object]) -> None:
    if len(one) != len(other):
        raise ValueError("Two judges must have rated the same samples.")


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2
        start = end + 1
    return ranks


def _pearson(one: Sequence[float], other: Sequence[float]) -> float | None:
    if len(one) < 2:
        return None
    middle, centre = fmean(one), fmean(other)
    spread = math.sqrt(sum((x - middle) ** 2 for x in one) * sum((y - centre) ** 2 for y in other))
    if spread < 1e-12:
        return None
    shared = sum((x - middle) * (y - centre) for x, y in zip(one, other, strict=True))
    return max(-1.0, min(1.0, shared / spread))
