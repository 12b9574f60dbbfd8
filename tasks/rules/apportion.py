"""Dividing a whole number fairly among parts, by largest remainder.

Used where topics share a sample or a split. Does not choose rows; it only says how many each part gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction


def apportion(
    total: int,
    weights: Mapping[str, int],
    *,
    minimum: Mapping[str, int] | None = None,
    capacity: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Seats per part, in proportion to `weights`, never under its minimum nor over its capacity.

    The answer sums to `total`, or to the sum of the minima when that is more, or to the sum of the capacities
    when that is less. Equal remainders go to the part that stands first, so that the same input gives the
    same answer.
    """
    limit = {part: weights[part] if capacity is None else capacity.get(part, 0) for part in weights}
    floor = {part: min((minimum or {}).get(part, 0), limit[part]) for part in weights}
    seats = {
        part: max(floor[part], min(limit[part], whole)) for part, whole in _wholes(total, weights).items()
    }
    remainders = _remainders(total, weights)
    while (left := total - sum(seats.values())) > 0:
        if not _give(left, seats, limit, remainders):
            break
    while (excess := sum(seats.values()) - total) > 0:
        if not _take(excess, seats, floor, remainders):
            break
    return seats


def _wholes(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    whole = sum(weights.values())
    return {part: total * weight // whole if whole else 0 for part, weight in weights.items()}


def _remainders(total: int, weights: Mapping[str, int]) -> dict[str, Fraction]:
    whole = sum(weights.values())
    return {
        part: Fraction(total * weight % whole, whole) if whole else Fraction(0)
        for part, weight in weights.items()
    }


def _give(
    left: int, seats: dict[str, int], limit: Mapping[str, int], remainders: Mapping[str, Fraction]
) -> bool:
    """One more seat to each part that has room, largest remainder first. False when nobody has room."""
    takers = sorted(
        (part for part in seats if seats[part] < limit[part]), key=lambda part: -remainders[part]
    )[:left]
    for part in takers:
        seats[part] += 1
    return bool(takers)


def _take(
    excess: int, seats: dict[str, int], floor: Mapping[str, int], remainders: Mapping[str, Fraction]
) -> bool:
    """One seat back from each part above its minimum, the best provided first. False when nobody can give."""
    givers = [part for part in seats if seats[part] > floor[part]]
    givers.sort(key=lambda part: (-seats[part], remainders[part]))
    for part in givers[:excess]:
        seats[part] -= 1
    return bool(givers)
