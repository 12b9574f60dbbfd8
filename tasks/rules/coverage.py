"""How evenly the rows cover the topics, and what to do about the gaps.

Numbers of domain.md §4. Works on counts per leaf topic, never on rows. Advice only: nothing here forbids a
step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.rules.generation import Strategy, default_strategy
from tasks.rules.problems import Problem

Rating = Literal["excellent", "good", "fair", "poor", "critical"]
Status = Literal["under", "ok", "over"]
Action = Literal["generate", "review", "adjust_targets", "continue"]

TOLERANCE = 1e-9
SMALL_GAP = 1.0  # percentage points; a topic that the goal stresses lacks nothing within them
GAP_POINTS = 5.0
GOOD_BALANCE = 0.5
ROWS_PER_TOPIC = 100


@dataclass(frozen=True, slots=True)
class TopicCoverage:
    """Percentages of the categorised rows; `gap` = target − percentage, in points."""

    topic: str
    count: int
    percentage: float
    target: float
    gap: float
    status: Status


@dataclass(frozen=True, slots=True)
class Coverage:
    """`score` is None for an empty dataset. `reasons` says what keeps it from being `ready`; it is advice."""

    distribution: tuple[TopicCoverage, ...]
    score: float | None
    rating: Rating | None
    min_max_ratio: float | None
    total: int
    uncategorised: int
    under: tuple[str, ...]
    synthetic_share: float
    multi_turn_share: float
    ready: bool
    reasons: tuple[Problem, ...]
    recommend_generation: bool


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One piece of advice. `topic` is a leaf id, or "" for the dataset as a whole; `strategy` only for
    `generate`."""

    topic: str
    action: Action
    reason: str
    suggested_count: int = 0
    strategy: Strategy | None = None


def analyze(
    counts: Mapping[str, int],
    targets: Mapping[str, float] | None = None,
    *,
    uncategorised: int = 0,
    synthetic: int = 0,
    multi_turn_share: float = 0.0,
    validation_counts: Mapping[str, int] | None = None,
) -> Coverage:
    """Coverage of `counts` (leaf id → valid rows, empty leaves included) against `targets` (leaf id →
    percent).

    Without targets every leaf should have the same share. `validation_counts` is asked only once a split
    exists.
    """
    wanted = target_shares(counts, targets)
    total = sum(counts.values())
    distribution = tuple(
        _topic_coverage(topic, count, total, wanted[topic]) for topic, count in counts.items()
    )
    score = balance_score(counts, targets)
    under = tuple(entry.topic for entry in distribution if entry.status == "under")
    everything = total + uncategorised
    share = synthetic / everything if everything else 0.0
    reasons = _reasons(score, counts, wanted, share, validation_counts)
    return Coverage(
        distribution=distribution,
        score=score,
        rating=None if score is None else rating(score),
        min_max_ratio=min_max_ratio(counts),
        total=total,
        uncategorised=uncategorised,
        under=under,
        synthetic_share=share,
        multi_turn_share=multi_turn_share,
        ready=not reasons,
        reasons=reasons,
        recommend_generation=bool(under) or (score is not None and score < GOOD_BALANCE - TOLERANCE),
    )


def balance_score(counts: Mapping[str, int], targets: Mapping[str, float] | None = None) -> float | None:
    """Evenness in [0, 1]: (1/D − m) / (1 − m), where D = Σ p²/t and m is the smallest target share.

    1 when shares equal targets, 0 when everything sits in the topic with the smallest target, 1 for one topic
    alone, None without rows. Topics with target 0 are left out. With uniform targets this is Simpson
    evenness.
    """
    wanted = {topic: share for topic, share in target_shares(counts, targets).items() if share > 0}
    total = sum(counts[topic] for topic in wanted)
    if not total:
        return None
    if len(wanted) == 1:
        return 1.0
    smallest = min(wanted.values())
    spread = sum((counts[topic] / total) ** 2 / share for topic, share in wanted.items())
    return min(1.0, max(0.0, (1 / spread - smallest) / (1 - smallest)))


def rating(score: float) -> Rating:
    ladder: tuple[tuple[float, Rating], ...] = (
        (0.8, "excellent"),
        (0.5, "good"),
        (0.35, "fair"),
        (0.2, "poor"),
    )
    return next((name for limit, name in ladder if score >= limit - TOLERANCE), "critical")


def min_max_ratio(counts: Mapping[str, int]) -> float | None:
    """The smallest topic's rows over the largest one's; None without rows."""
    largest = max(counts.values(), default=0)
    return min(counts.values()) / largest if largest else None


def target_shares(counts: Mapping[str, int], targets: Mapping[str, float] | None) -> dict[str, float]:
    """The wanted share per topic, summing to 1; uniform without targets. A topic without a target wants
    nothing."""
    whole = sum(targets.get(topic, 0.0) for topic in counts) if targets else 0.0
    if not targets or whole <= 0:
        return {topic: 1 / len(counts) for topic in counts}
    return {topic: targets.get(topic, 0.0) / whole for topic in counts}


def validate_targets(targets: Mapping[str, float], topics: Sequence[str]) -> tuple[Problem, ...]:
    """What is wrong with percentages per leaf topic; nothing when they may be set."""
    problems = [
        Problem("unknown_topic", f"{topic} is not a leaf of the topic tree.")
        for topic in targets
        if topic not in topics
    ]
    problems += [
        Problem("invalid_target", f"The target of {topic} must be a number from 0 to 100.")
        for topic, percent in targets.items()
        if not 0 <= percent <= 100
    ]
    whole = sum(targets.values())
    if abs(whole - 100) > 0.01:
        problems.append(
            Problem("targets_not_100", f"The targets sum to {whole:g} %; they must sum to 100 %.")
        )
    return tuple(problems)


def recommendations(
    coverage: Coverage, goal: str = "", names: Mapping[str, str] | None = None
) -> tuple[Recommendation, ...]:
    """What to do next, most useful first: topics that the goal stresses and the data lacks, then the widest
    gaps.

    `names` maps leaf ids to what people call them (keywords may be added: they are only searched for the
    goal's words).
    """
    known = names or {}
    needed = rows_needed(coverage)
    stressed = {entry.topic for entry in coverage.distribution if _stresses(goal, entry.topic, known)}
    lacking = [entry for entry in coverage.distribution if _lacks(entry, stressed)]
    lacking.sort(key=lambda entry: (entry.topic not in stressed, -entry.gap))
    advice = [_generate(entry, coverage, needed[entry.topic], entry.topic in stressed) for entry in lacking]
    advice += [_review(entry) for entry in coverage.distribution if entry.status == "over"]
    if coverage.uncategorised:
        advice.append(Recommendation("", "review", _untold(coverage.uncategorised)))
    if coverage.score is not None and coverage.score < 0.35 - TOLERANCE:
        advice.append(
            Recommendation(
                "", "adjust_targets", "If your traffic really looks like this, set targets to match."
            )
        )
    if not lacking:
        advice.append(
            Recommendation("", "continue", "The topics are covered well enough to go on to the grader.")
        )
    return tuple(advice)


def rows_needed(coverage: Coverage) -> dict[str, int]:
    """Rows that bring each topic under its target up to it, if all of them are filled together."""
    short = {entry.topic: entry for entry in coverage.distribution if entry.gap > TOLERANCE}
    kept = coverage.total - sum(entry.count for entry in short.values())
    rest = 1 - sum(entry.target for entry in short.values()) / 100
    future = kept / rest if rest > TOLERANCE else float(coverage.total)
    return {
        entry.topic: max(0, math.ceil(entry.target / 100 * future - entry.count - TOLERANCE))
        if entry.topic in short
        else 0
        for entry in coverage.distribution
    }


def _topic_coverage(topic: str, count: int, total: int, wanted: float) -> TopicCoverage:
    share = count / total if total else 0.0
    gap = (wanted - share) * 100
    return TopicCoverage(topic, count, share * 100, wanted * 100, gap, _status(gap, count, wanted * total))


def _status(gap: float, count: int, wanted_count: float) -> Status:
    if gap > GAP_POINTS + TOLERANCE or count < wanted_count / 2 - TOLERANCE:
        return "under"
    return "over" if gap < -GAP_POINTS - TOLERANCE else "ok"


def _reasons(
    score: float | None,
    counts: Mapping[str, int],
    wanted: Mapping[str, float],
    synthetic_share: float,
    validation_counts: Mapping[str, int] | None,
) -> tuple[Problem, ...]:
    total = sum(counts.values())
    asked = [topic for topic in counts if wanted[topic] > 0]
    reasons = []
    if score is None or score < GOOD_BALANCE - TOLERANCE:
        reasons.append(Problem("unbalanced", "The balance is below 0.5."))
    small = [topic for topic in asked if counts[topic] < ROWS_PER_TOPIC]
    if small and total >= ROWS_PER_TOPIC * len(
        asked
    ):  # "where possible": there are rows enough for every topic
        reasons.append(Problem("few_rows", f"Under {ROWS_PER_TOPIC} rows: {', '.join(small)}."))
    if synthetic_share >= 0.5 - TOLERANCE:
        reasons.append(
            Problem(
                "mostly_synthetic", f"{synthetic_share:.0%} of the rows are generated; keep it under half."
            )
        )
    heavy = [topic for topic, count in counts.items() if total and count / total > 0.4 + TOLERANCE]
    if heavy and len(counts) > 3:
        reasons.append(Problem("dominant_topic", f"Over 40 % of the rows: {', '.join(heavy)}."))
    absent = [topic for topic in asked if validation_counts is not None and not validation_counts.get(topic)]
    if absent:
        reasons.append(Problem("not_in_validation", f"No validation row: {', '.join(absent)}."))
    return tuple(reasons)


def _untold(rows: int) -> str:
    return "1 row has no topic yet." if rows == 1 else f"{rows:,} rows have no topic yet."


def _lacks(entry: TopicCoverage, stressed: set[str]) -> bool:
    return entry.status == "under" or (entry.topic in stressed and entry.gap > SMALL_GAP)


def _generate(entry: TopicCoverage, coverage: Coverage, needed: int, stressed: bool) -> Recommendation:
    reason = (
        f"{entry.count} rows are {entry.percentage:.0f} % of the data, the target is {entry.target:.0f} %."
    )
    if stressed:
        reason = f"The goal stresses this topic, and the data lacks it: {reason}"
    few = entry.count < 3  # too few rows to vary or to show as examples
    strategy: Strategy = "topic_description" if few else default_strategy(coverage.multi_turn_share)
    return Recommendation(entry.topic, "generate", reason, needed, strategy)


def _review(entry: TopicCoverage) -> Recommendation:
    reason = f"{entry.percentage:.0f} % of the rows are here, the target is {entry.target:.0f} %: look whether they belong."
    return Recommendation(entry.topic, "review", reason)


def _stresses(goal: str, topic: str, names: Mapping[str, str]) -> bool:
    """A goal that names a branch stresses every leaf of it."""
    return bool(_stems(goal) & _stems(f"{topic} {names.get(topic, '')}"))


_COMMON = frozenset(
    {"customer", "support", "question", "other", "general", "response", "answer", "request", "with", "about"}
)


def _stems(text: str) -> set[str]:
    """The first letters of the longer words, so that "calculations" meets "calculation" and "calculating"."""
    cleaned = "".join(letter if letter.isalnum() else " " for letter in text.casefold())
    words = [word for word in cleaned.split() if len(word) > 3]
    return {word[:7] for word in words if word not in _COMMON and word.removesuffix("s") not in _COMMON}
