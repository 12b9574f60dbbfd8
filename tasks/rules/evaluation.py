"""Before and after: is the trained model better, and where.

Numbers of domain.md §9. Compares scores that somebody else produced, on the same rows; a pair in which either
score is missing (a grader error) is left out and counted.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

MAX_ROWS = 100
RESAMPLES = 2000
NEEDED_GAIN = 0.10
TOLERANCE = 1e-9
NO_TOPIC = "uncategorised"


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """One row scored before and after, in [0, 1]; `criteria` maps a criterion to its (before, after)."""

    before: float | None
    after: float | None
    topic: str | None = None
    criteria: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """Means before and after, their paired difference, and its 95 % interval (None with fewer than two
    pairs).

    `p_value` is two-sided, from the same resamples.
    """

    before: float
    after: float
    delta: float
    interval: tuple[float, float] | None
    p_value: float | None
    count: int

    @property
    def significant(self) -> bool:
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    @property
    def worse(self) -> bool:
        """Worse beyond its interval."""
        return self.interval is not None and self.interval[1] < -TOLERANCE

    @property
    def relative(self) -> float | None:
        """The gain relative to before; None where before is 0."""
        return self.delta / self.before if self.before > TOLERANCE else None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`success`: up by more than 10 % relative, and no topic worse beyond its interval. `worse_topics` names
    those."""

    overall: Change
    topics: Mapping[str, Change]
    criteria: Mapping[str, Change]
    skipped: int
    success: bool
    worse_topics: tuple[str, ...]


def compare(pairs: Sequence[ScoredPair], *, seed: int = 0) -> Evaluation:
    """The comparison overall, per topic and per criterion. Raises ValueError when no pair has both scores."""
    scored = [(pair.before, pair.after, pair.topic or NO_TOPIC) for pair in pairs]
    known = [
        (before, after, topic) for before, after, topic in scored if before is not None and after is not None
    ]
    if not known:
        raise ValueError("No row was scored both before and after; there is nothing to compare.")
    overall = paired_bootstrap([(before, after) for before, after, _ in known], seed=seed)
    names = sorted({topic for _, _, topic in known})
    topics = {
        name: paired_bootstrap(
            [(before, after) for before, after, topic in known if topic == name], seed=seed
        )
        for name in names
    }
    worse = tuple(name for name, change in topics.items() if change.worse)
    return Evaluation(
        overall=overall,
        topics=topics,
        criteria=_criteria(pairs, seed),
        skipped=len(pairs) - len(known),
        success=has_gained(overall) and not worse,
        worse_topics=worse,
    )


def paired_bootstrap(
    pairs: Sequence[tuple[float, float]], *, seed: int = 0, resamples: int = RESAMPLES
) -> Change:
    """The mean difference after − before with its percentile interval, from seeded resamples of the pairs.

    (Efron and Tibshirani, An Introduction to the Bootstrap, chapters 13 and 15.) Raises ValueError without
    pairs.
    """
    if not pairs:
        raise ValueError("There is no pair of scores to compare.")
    before = fmean(pair[0] for pair in pairs)
    after = fmean(pair[1] for pair in pairs)
    changes = [later - earlier for earlier, later in pairs]
    delta, count = fmean(changes), len(changes)
    if count < 2:
        return Change(before, after, delta, None, None, count)
    rng = random.Random(seed)
    means = sorted(fmean(rng.choices(changes, k=count)) for _ in range(resamples))
    low, high = means[int(0.025 * resamples)], means[min(resamples - 1, int(0.975 * resamples))]
    return Change(before, after, delta, (low, high), _p_value(means), count)


def has_gained(change: Change) -> bool:
    """Up by more than 10 % relative; from nothing, any gain counts."""
    if change.relative is None:
        return change.delta > TOLERANCE
    return change.relative > NEEDED_GAIN + TOLERANCE


def _criteria(pairs: Sequence[ScoredPair], seed: int) -> dict[str, Change]:
    known: dict[str, list[tuple[float, float]]] = {}
    for pair in pairs:
        for name, (before, after) in pair.criteria.items():
            if before is not None and after is not None:
                known.setdefault(name, []).append((before, after))
    return {name: paired_bootstrap(scores, seed=seed) for name, scores in known.items()}


def _p_value(means: Sequence[float]) -> float:
    """Twice the smaller tail beyond no change, never 0: a finite number of resamples cannot show that."""
    up = sum(1 for mean in means if mean <= TOLERANCE)
    down = sum(1 for mean in means if mean >= -TOLERANCE)
    return min(1.0, 2 * (min(up, down) + 1) / (len(means) + 1))
