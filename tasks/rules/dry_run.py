"""The dry run's judgement: what the scores say, and whether training is worth it.

Numbers of domain.md §7. Does not call a model or a grader, and does not store anything: scores come in,
findings and a verdict go out. Which rows are tried is in `sampling.py`, what changed since the last run in
`iteration.py`. A score of `None` is a grader error; it is counted apart and never taken for a zero.
"""

from __future__ import annotations

import math
import statistics as st
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from storage.records import Verdict

Severity = Literal["error", "warning", "note"]
Quality = Literal["attention", "problem"]
Health = Literal["hard_stop", "too_hard", "healthy", "getting_easy", "too_easy"]
Viability = Literal["viable", "marginal", "not_viable"]

TOLERANCE = 1e-9
PERCENTILES = (10, 25, 50, 75, 90)
GRADER_FIRST = ("grader_errors", "no_scores", "no_signal", "binary_scoring")


@dataclass(frozen=True, slots=True)
class TopicStats:
    topic: str
    mean: float
    std: float
    count: int


@dataclass(frozen=True, slots=True)
class DryRunStats:
    """Scores in [0, 1]; shares in [0, 1]; `buckets` counts five bands of 0.2, the last one closed at 1.

    `count` is the number of scores, `errors` the number of responses that the grader could not score.
    `zero_variance_share` is over prompts with at least two scores, None when there is none (one rollout).
    """

    count: int
    errors: int
    mean: float
    std: float
    minimum: float
    maximum: float
    median: float
    percentiles: Mapping[int, float]
    share_above_zero: float
    share_perfect: float
    share_binary: float
    buckets: tuple[int, int, int, int, int]
    topics: tuple[TopicStats, ...] = ()
    zero_variance_share: float | None = None

    @property
    def error_rate(self) -> float:
        seen = self.count + self.errors
        return self.errors / seen if seen else 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what needs work: `dataset`, `grader`, or a topic's id; `quality` its mark, if any."""

    code: str
    message: str
    severity: Severity
    subject: str
    lever: str
    quality: Mapping[str, Quality]


def statistics(
    scores: Sequence[float | None],
    *,
    topics: Sequence[str | None] | None = None,
    prompts: Sequence[str] | None = None,
) -> DryRunStats:
    """Everything that §7 asks about the scores of one run.

    `topics[i]` and `prompts[i]` belong to `scores[i]`; rollouts of one prompt share its prompt id.
    With no score at all every figure is 0 and only `errors` speaks.
    """
    known = [score for score in scores if score is not None]
    mean = st.fmean(known) if known else 0.0
    ordered = sorted(known)
    count = len(known)
    return DryRunStats(
        count=count,
        errors=len(scores) - count,
        mean=mean,
        std=st.pstdev(known) if known else 0.0,
        minimum=ordered[0] if ordered else 0.0,
        maximum=ordered[-1] if ordered else 0.0,
        median=percentile(ordered, 50),
        percentiles={rank: percentile(ordered, rank) for rank in PERCENTILES},
        share_above_zero=_share(known, lambda score: score > TOLERANCE),
        share_perfect=_share(known, _is_one),
        share_binary=_share(known, lambda score: score <= TOLERANCE or _is_one(score)),
        buckets=_buckets(known),
        topics=_topic_stats(scores, topics or ()),
        zero_variance_share=_zero_variance_share(scores, prompts or ()),
    )


def verdict(found: Sequence[Finding]) -> Verdict:
    severities = {finding.severity for finding in found}
    if "error" in severities:
        return "NO-GO"
    return "WARNING" if "warning" in severities else "GO"


def findings(stats: DryRunStats) -> tuple[Finding, ...]:
    """Every condition of the §7 table that holds, in the table's order."""
    if not stats.count:
        return (*_error_findings(stats), _no_scores())
    return (
        *_mean_findings(stats),
        *_spread_findings(stats),
        *_share_findings(stats),
        *_topic_findings(stats),
        *_error_findings(stats),
        *_rollout_findings(stats),
    )


def may_override(stats: DryRunStats) -> bool:
    """False where no recorded override can help: a mean below 0.10 or hardly any variance."""
    return not below(stats.mean, 0.10) and not below(stats.std, 0.02)


def health(mean: float) -> Health:
    if below(mean, 0.10):
        return "hard_stop"
    if below(mean, 0.25):
        return "too_hard"
    if not above(mean, 0.65):
        return "healthy"
    return "too_easy" if above(mean, 0.85) else "getting_easy"


def viability(mean: float) -> Viability:
    """What a probe of a few rows says before the whole pipeline is set up."""
    if not below(mean, 0.10):
        return "viable"
    return "not_viable" if below(mean, 0.05) else "marginal"


def suspect_grader(stats: DryRunStats) -> bool:
    """Almost all-or-nothing scores with a low mean: look at samples together before blaming the data."""
    return above(stats.share_binary, 0.80) and below(stats.mean, 0.25)


def cause(found: Sequence[Finding]) -> str:
    """Who is to blame first for what stops the run: `grader`, `dataset`, a topic's id, or "" when nothing
    does.

    A grader that cannot be trusted comes first, because every other figure is then read through it.
    """
    stopping = [finding for finding in found if finding.severity != "note"]
    errors = [finding for finding in stopping if finding.severity == "error"] or stopping
    if not errors:
        return ""
    if any(finding.code in GRADER_FIRST for finding in stopping):
        return "grader"
    return errors[0].subject


def percentile(ordered: Sequence[float], rank: float) -> float:
    """Linear interpolation between the closest ranks of an ascending sequence; 0 when it is empty."""
    if not ordered:
        return 0.0
    position = (len(ordered) - 1) * rank / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def below(value: float, limit: float) -> bool:
    return value < limit - TOLERANCE


def above(value: float, limit: float) -> bool:
    return value > limit + TOLERANCE


# ---------------------------------------------------------------- the table of §7, row by row


def _mean_findings(stats: DryRunStats) -> tuple[Finding, ...]:
    shown = f"Mean score {stats.mean:.2f}"
    if below(stats.mean, 0.25):
        message = f"{shown} is below 0.25: the task is too hard for the base model, or the grader too strict."
        return (
            _finding(
                "too_hard", message, "error", "dataset", "data", dataset="attention", grader="attention"
            ),
        )
    if not above(stats.mean, 0.65):
        return ()
    severity: Severity = "error" if above(stats.mean, 0.90) else "warning"
    message = (
        f"{shown} is above {'0.90' if severity == 'error' else '0.65'}: too easy, or the grader too lenient."
    )
    return (_finding("too_easy", message, severity, "dataset", "data", dataset="attention"),)


def _spread_findings(stats: DryRunStats) -> tuple[Finding, ...]:
    found = []
    if below(stats.std, 0.02):
        message = (
            f"The scores hardly differ (std {stats.std:.3f}, under 0.02): there is no signal to learn from."
        )
        found.append(_finding("no_signal", message, "error", "grader", "grader", grader="attention"))
    elif below(stats.std, 0.10):
        message = f"The grader does not tell answers apart (std {stats.std:.2f}, under 0.10)."
        found.append(_finding("low_variance", message, "warning", "grader", "grader", grader="attention"))
    elif above(stats.std, 0.25):
        message = f"Mostly pass or fail (std {stats.std:.2f}, above 0.25): add partial credit."
        found.append(_finding("high_variance", message, "warning", "grader", "grader"))
    if above(stats.share_binary, 0.80):
        message = f"{stats.share_binary:.0%} of the scores are 0 or 1: suspect the grader before the data."
        found.append(_finding("binary_scoring", message, "warning", "grader", "grader", grader="attention"))
    return tuple(found)


def _share_findings(stats: DryRunStats) -> tuple[Finding, ...]:
    found = []
    if not above(stats.share_above_zero, 0.20):
        severity: Severity = "error" if below(stats.share_above_zero, 0.10) else "warning"
        message = f"Only {stats.share_above_zero:.0%} of the answers score above 0: the base model cannot do it yet."
        message += " Teach it with supervised examples first."
        found.append(_finding("cannot_do_it", message, severity, "dataset", "supervised", dataset="problem"))
    if above(stats.share_perfect, 0.50):
        message = (
            f"{stats.share_perfect:.0%} of the answers are perfect already: there is little left to learn."
        )
        found.append(_finding("nothing_to_learn", message, "warning", "dataset", "data", dataset="attention"))
    elif not below(stats.share_perfect, 0.30):
        message = f"{stats.share_perfect:.0%} of the answers are perfect already."
        found.append(_finding("many_perfect", message, "note", "dataset", "data"))
    return tuple(found)


def _topic_findings(stats: DryRunStats) -> tuple[Finding, ...]:
    found = []
    for topic in stats.topics:
        if below(topic.mean, 0.15):
            message = f"{topic.topic} scores {topic.mean:.2f} on average (under 0.15): review it, exclude it, or teach it"
            message += " with supervised examples."
            found.append(_about(topic, "weak_topic", message, "warning", "problem"))
        elif below(topic.mean, 0.25):
            message = f"{topic.topic} scores {topic.mean:.2f} on average (under 0.25)."
            found.append(_about(topic, "low_topic", message, "note", "attention"))
    return tuple(found)


def _error_findings(stats: DryRunStats) -> tuple[Finding, ...]:
    if not above(stats.error_rate, 0.05):
        return ()
    message = f"The grader failed on {stats.error_rate:.0%} of the answers (over 5 %): the scores are not to be trusted."
    return (_finding("grader_errors", message, "error", "grader", "grader", grader="problem"),)


def _rollout_findings(stats: DryRunStats) -> tuple[Finding, ...]:
    share = stats.zero_variance_share
    if share is None or not above(share, 0.70):
        return ()
    message = f"{share:.0%} of the prompts get the same score every time (over 70 %): most give no gradient."
    return (_finding("zero_variance_prompts", message, "error", "dataset", "data", dataset="attention"),)


def _no_scores() -> Finding:
    message = "No answer got a score, so there is nothing to judge."
    return _finding("no_scores", message, "error", "grader", "grader", grader="problem")


def _finding(
    code: str, message: str, severity: Severity, subject: str, lever: str, **quality: Quality
) -> Finding:
    return Finding(code, message, severity, subject, lever, dict(quality))


def _about(topic: TopicStats, code: str, message: str, severity: Severity, quality: Quality) -> Finding:
    return Finding(code, message, severity, topic.topic, "topic", {topic.topic: quality})


# ---------------------------------------------------------------- figures


def _share(scores: Collection[float], holds: Callable[[float], bool]) -> float:
    return sum(1 for score in scores if holds(score)) / len(scores) if scores else 0.0


def _is_one(score: float) -> bool:
    return score >= 1 - TOLERANCE


def _mean(scores: Collection[float]) -> float:
    return st.fmean(scores) if scores else 0.0


def _buckets(scores: Sequence[float]) -> tuple[int, int, int, int, int]:
    counts = [0, 0, 0, 0, 0]
    for score in scores:
        counts[max(0, min(4, math.floor(score * 5 + TOLERANCE)))] += 1
    return counts[0], counts[1], counts[2], counts[3], counts[4]


def _topic_stats(scores: Sequence[float | None], topics: Sequence[str | None]) -> tuple[TopicStats, ...]:
    by_topic: dict[str, list[float]] = {}
    for score, topic in zip(scores, topics, strict=False):
        if score is not None and topic is not None:
            by_topic.setdefault(topic, []).append(score)
    return tuple(
        TopicStats(topic, st.fmean(known), st.pstdev(known), len(known))
        for topic, known in sorted(by_topic.items())
    )


def _zero_variance_share(scores: Sequence[float | None], prompts: Sequence[str]) -> float | None:
    by_prompt: dict[str, list[float]] = {}
    for score, prompt in zip(scores, prompts, strict=False):
        if score is not None:
            by_prompt.setdefault(prompt, []).append(score)
    repeated = [known for known in by_prompt.values() if len(known) > 1]
    if not repeated:
        return None
    return sum(1 for known in repeated if max(known) - min(known) <= TOLERANCE) / len(repeated)
