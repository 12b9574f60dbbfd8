"""From one dry run to the next: what changed, whether it is noise, and what to try now.

Numbers of domain.md §7. Knows scores and patterns of earlier runs; judging a single run is `dry_run.py`'s
part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from typing import Literal

from tasks.rules.dry_run import DryRunStats, Finding, above, below, may_override, suspect_grader, verdict

Pattern = Literal["improving", "regressing", "stalled"]
NextAction = Literal["hard_stop", "escalate", "iterate", "train"]

LADDER = (
    "targeted data fix",
    "grader refinement",
    "30–50 % more data on weak topics",
    "restructure topics",
    "training configuration",
    "reassess the task",
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`interval` is the paired 95 % interval of the change, None with fewer than two rows in common."""

    delta: float
    interval: tuple[float, float] | None
    pattern: Pattern
    pairs: int

    @property
    def within_noise(self) -> bool:
        return self.interval is None or self.interval[0] <= 0 <= self.interval[1]


def compare(previous: Mapping[str, float], current: Mapping[str, float]) -> Comparison:
    """The change since the last run, over the rows that both runs scored (row id → score).

    Without two rows in common the plain difference of the means is given, with no interval.
    """
    common = [row for row in current if row in previous]
    changes = [current[row] - previous[row] for row in common]
    if len(changes) >= 2:
        delta = fmean(changes)
        margin = student_95(len(changes) - 1) * stdev(changes) / math.sqrt(len(changes))
        return Comparison(delta, (delta - margin, delta + margin), change_pattern(delta), len(changes))
    delta = _mean(current) - _mean(previous)
    return Comparison(delta, None, change_pattern(delta), len(changes))


def change_pattern(delta: float) -> Pattern:
    """A change of exactly 0.03 is stalled."""
    if above(delta, 0.03):
        return "improving"
    return "regressing" if below(delta, -0.03) else "stalled"


def next_action(
    stats: DryRunStats, found: Sequence[Finding], patterns: Sequence[Pattern] = (), *, lever_left: bool = True
) -> NextAction:
    """First match of §7. `patterns` are the comparisons so far, oldest first."""
    if not may_override(stats):
        return "hard_stop"
    if stalled_twice(patterns) or suspect_grader(stats):
        return "escalate"
    if verdict(found) != "GO" and lever_left:
        return "iterate"
    return "train"


def rung(patterns: Sequence[Pattern]) -> str:
    """Where on the ladder we stand: it begins at the first rung and climbs whenever two stalls follow each
    other."""
    climbs = sum(1 for pair in pairwise(patterns) if pair == ("stalled", "stalled"))
    return LADDER[min(climbs, len(LADDER) - 1)]


def stalled_twice(patterns: Sequence[Pattern]) -> bool:
    return tuple(patterns[-2:]) == ("stalled", "stalled")


def student_95(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t (exact for 1 and 2 degrees, Cornish–Fisher beyond: Abramowitz
    26.7.5)."""
    if freedom <= 2:
        return 12.706 if freedom == 1 else 4.303
    z = 1.959964
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _mean(scores: Mapping[str, float]) -> float:
    return fmean(scores.values()) if scores else 0.0
