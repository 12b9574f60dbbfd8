from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import dry_run, iteration, sampling
from tasks.rules.dry_run import DryRunStats, TopicStats

HEALTHY = DryRunStats(
    count=100,
    errors=0,
    mean=0.45,
    std=0.18,
    minimum=0.0,
    maximum=1.0,
    median=0.45,
    percentiles={},
    share_above_zero=0.95,
    share_perfect=0.05,
    share_binary=0.10,
    buckets=(20, 20, 20, 20, 20),
)
NEAR = 1e-10  # within the tolerance: as good as the limit itself


def bell(mean: float, std: float, count: int = 200) -> list[float]:
    rng = random.Random(7)
    drawn = [rng.gauss(0, 1) for _ in range(count)]
    middle = sum(drawn) / count
    spread = (sum((x - middle) ** 2 for x in drawn) / count) ** 0.5
    return [mean + (x - middle) / spread * std for x in drawn]


def judged(scores: list[float | None], topics: list[str | None] | None = None) -> tuple[str, set[str]]:
    found = dry_run.findings(dry_run.statistics(scores, topics=topics))
    return dry_run.verdict(found), {finding.code for finding in found}


def test_the_healthy_run_has_no_finding() -> None:
    assert dry_run.findings(HEALTHY) == ()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"mean": 0.25}, None),
        ({"mean": 0.25 - NEAR}, None),
        ({"mean": 0.249}, ("too_hard", "error", {"dataset": "attention", "grader": "attention"})),
        ({"mean": 0.65}, None),
        ({"mean": 0.65 + NEAR}, None),
        ({"mean": 0.651}, ("too_easy", "warning", {"dataset": "attention"})),
        ({"mean": 0.90}, ("too_easy", "warning", {"dataset": "attention"})),
        ({"mean": 0.901}, ("too_easy", "error", {"dataset": "attention"})),
        ({"std": 0.10}, None),
        ({"std": 0.099}, ("low_variance", "warning", {"grader": "attention"})),
        ({"std": 0.02}, ("low_variance", "warning", {"grader": "attention"})),
        ({"std": 0.02 - NEAR}, ("low_variance", "warning", {"grader": "attention"})),
        ({"std": 0.019}, ("no_signal", "error", {"grader": "attention"})),
        ({"std": 0.25}, None),
        ({"std": 0.251}, ("high_variance", "warning", {})),
        ({"share_binary": 0.80}, None),
        ({"share_binary": 0.801}, ("binary_scoring", "warning", {"grader": "attention"})),
        ({"share_above_zero": 0.201}, None),
        ({"share_above_zero": 0.20}, ("cannot_do_it", "warning", {"dataset": "problem"})),
        ({"share_above_zero": 0.10}, ("cannot_do_it", "warning", {"dataset": "problem"})),
        ({"share_above_zero": 0.099}, ("cannot_do_it", "error", {"dataset": "problem"})),
        ({"share_perfect": 0.299}, None),
        ({"share_perfect": 0.30}, ("many_perfect", "note", {})),
        ({"share_perfect": 0.50}, ("many_perfect", "note", {})),
        ({"share_perfect": 0.501}, ("nothing_to_learn", "warning", {"dataset": "attention"})),
        ({"topics": (TopicStats("a", 0.25, 0.2, 9),)}, None),
        ({"topics": (TopicStats("a", 0.249, 0.2, 9),)}, ("low_topic", "note", {"a": "attention"})),
        ({"topics": (TopicStats("a", 0.15, 0.2, 9),)}, ("low_topic", "note", {"a": "attention"})),
        ({"topics": (TopicStats("a", 0.149, 0.2, 9),)}, ("weak_topic", "warning", {"a": "problem"})),
        ({"count": 95, "errors": 5}, None),
        ({"count": 94, "errors": 6}, ("grader_errors", "error", {"grader": "problem"})),
        ({"zero_variance_share": 0.70}, None),
        ({"zero_variance_share": 0.701}, ("zero_variance_prompts", "error", {"dataset": "attention"})),
    ],
)
def test_each_condition_on_both_sides_of_its_limit(
    changed: dict[str, object], expected: tuple[str, str, dict[str, str]] | None
) -> None:
    found = dry_run.findings(replace(HEALTHY, **changed))  # type: ignore[arg-type]
    assert [(one.code, one.severity, dict(one.quality)) for one in found] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("scores", "topics", "verdict", "code"),
    [
        (bell(0.45, 0.18), None, "GO", None),
        (bell(0.22, 0.15), None, "NO-GO", "too_hard"),
        ([1.0] * 18 + [0.0] * 82, None, "NO-GO", "binary_scoring"),
        ([0.93] * 100, None, "NO-GO", "too_easy"),
        ([0.5] * 100, None, "NO-GO", "no_signal"),
        (
            [0.05, 0.2] * 8 + [0.3, 0.7] * 60,
            ["a"] * 8 + ["b"] * 8 + ["c"] * 120,
            "WARNING",
            "weak_topic",
        ),
        ([*bell(0.45, 0.18, 92), *[None] * 8], None, "NO-GO", "grader_errors"),
    ],
)
def test_v1_dry_runs(
    scores: list[float | None], topics: list[str | None] | None, verdict: str, code: str | None
) -> None:
    found, codes = judged(scores, topics)
    assert found == verdict
    assert code is None or code in codes
    assert (found == "GO") == (not codes)


def test_v1_binary_scores_name_the_grader_and_escalate() -> None:
    stats = dry_run.statistics([1.0] * 18 + [0.0] * 82)
    found = dry_run.findings(stats)
    assert dry_run.cause(found) == "grader"
    assert iteration.next_action(stats, found) == "escalate"


@pytest.mark.parametrize(
    ("mean", "std", "allowed"),
    [
        (0.10, 0.2, True),
        (0.099, 0.2, False),
        (0.5, 0.02, True),
        (0.5, 0.019, False),
        (0.10 - NEAR, 0.02 - NEAR, True),
    ],
)
def test_no_override_without_any_signal(mean: float, std: float, allowed: bool) -> None:
    stats = replace(HEALTHY, mean=mean, std=std)
    assert dry_run.may_override(stats) is allowed
    assert (iteration.next_action(stats, dry_run.findings(stats)) == "hard_stop") is not allowed


def test_errors_never_count_as_zero() -> None:
    stats = dry_run.statistics([0.4, None, 0.6])
    assert (stats.mean, stats.count, stats.errors) == (0.5, 2, 1)
    assert stats.error_rate == pytest.approx(1 / 3)


def test_a_run_without_any_score_is_a_no_go_that_blames_the_grader() -> None:
    stats = dry_run.statistics([None, None])
    found = dry_run.findings(stats)
    assert (dry_run.verdict(found), dry_run.cause(found), dry_run.may_override(stats)) == (
        "NO-GO",
        "grader",
        False,
    )
    assert dry_run.verdict(dry_run.findings(dry_run.statistics([]))) == "NO-GO"


def test_statistics_of_a_small_run() -> None:
    stats = dry_run.statistics([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], topics=["a", "a", "b", "b", None, "b"])
    assert stats.mean == pytest.approx(0.5)
    assert stats.std == pytest.approx(0.3416, abs=1e-4)
    assert stats.percentiles[10] == pytest.approx(0.1)
    assert stats.percentiles[75] == pytest.approx(0.75)
    assert stats.buckets == (1, 1, 1, 1, 2)
    assert (stats.share_above_zero, stats.share_perfect) == (pytest.approx(5 / 6), pytest.approx(1 / 6))
    assert [(one.topic, one.count) for one in stats.topics] == [("a", 2), ("b", 3)]
    assert stats.zero_variance_share is None


def test_rollouts_of_one_prompt_show_whether_it_can_teach() -> None:
    stats = dry_run.statistics([0.5, 0.5, 0.1, 0.9, 0.3, None], prompts=["a", "a", "b", "b", "c", "c"])
    assert stats.zero_variance_share == 0.5


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (0.09, "hard_stop"),
        (0.10, "too_hard"),
        (0.24, "too_hard"),
        (0.25, "healthy"),
        (0.65, "healthy"),
        (0.66, "getting_easy"),
        (0.85, "getting_easy"),
        (0.86, "too_easy"),
    ],
)
def test_health(mean: float, expected: str) -> None:
    assert dry_run.health(mean) == expected


@pytest.mark.parametrize(
    ("mean", "expected"), [(0.10, "viable"), (0.099, "marginal"), (0.05, "marginal"), (0.049, "not_viable")]
)
def test_viability(mean: float, expected: str) -> None:
    assert dry_run.viability(mean) == expected


# ---------------------------------------------------------------- from run to run


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        (0.03, "stalled"),
        (0.53 - 0.50, "stalled"),
        (0.031, "improving"),
        (-0.03, "stalled"),
        (-0.031, "regressing"),
    ],
)
def test_a_change_of_exactly_three_hundredths_is_stalled(delta: float, expected: str) -> None:
    assert iteration.change_pattern(delta) == expected


def test_the_comparison_is_paired_by_row() -> None:
    before = {str(row): row / 100 for row in range(50)}
    after = {row: score + 0.05 + (0.01 if int(row) % 2 else -0.01) for row, score in before.items()}
    found = iteration.compare(before, {**after, "new": 0.0})
    assert found.pairs == 50
    assert found.delta == pytest.approx(0.05)
    assert found.pattern == "improving"
    assert not found.within_noise
    assert found.interval == (pytest.approx(0.0471, abs=1e-3), pytest.approx(0.0529, abs=1e-3))


def test_a_noisy_change_is_said_to_be_within_noise() -> None:
    found = iteration.compare({"a": 0.1, "b": 0.9, "c": 0.5}, {"a": 0.9, "b": 0.3, "c": 0.7})
    assert found.within_noise


def test_runs_without_common_rows_are_compared_by_their_means() -> None:
    found = iteration.compare({"a": 0.2}, {"b": 0.6})
    assert (found.interval, found.pattern) == (None, "improving")


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.706), (3, 3.182), (10, 2.228), (30, 2.042), (1000, 1.962)]
)
def test_student_quantiles(freedom: int, expected: float) -> None:
    assert iteration.student_95(freedom) == pytest.approx(expected, rel=0.01)


def test_v2_three_runs_within_noise_climb_the_ladder() -> None:
    patterns = [iteration.change_pattern(0.46 - 0.45), iteration.change_pattern(0.44 - 0.46)]
    weak = replace(HEALTHY, mean=0.2)
    assert iteration.stalled_twice(patterns)
    assert iteration.next_action(weak, dry_run.findings(weak), patterns) == "escalate"
    assert iteration.rung(patterns[:1]) == "targeted data fix"
    assert iteration.rung(patterns) == "grader refinement"
    assert iteration.rung([*patterns, "stalled"]) == "30–50 % more data on weak topics"
    assert iteration.rung(["stalled"] * 20) == "reassess the task"


def test_the_next_action_is_the_first_that_matches() -> None:
    weak = replace(HEALTHY, mean=0.2)
    assert iteration.next_action(HEALTHY, ()) == "train"
    assert iteration.next_action(weak, dry_run.findings(weak)) == "iterate"
    assert iteration.next_action(weak, dry_run.findings(weak), lever_left=False) == "train"
    assert (
        iteration.next_action(weak, dry_run.findings(weak), ["stalled", "improving", "stalled"]) == "iterate"
    )


# ---------------------------------------------------------------- sampling


@pytest.mark.parametrize(
    ("valid", "asked", "expected"),
    [
        (514, {}, 51),
        (487, {}, 50),
        (20, {}, 20),
        (10_000, {}, 300),
        (0, {}, 0),
        (200, {"percentage": 15}, 30),
        (3, {"percentage": 1}, 1),
        (100, {"count": 7}, 7),
        (5, {"count": 7}, 5),
    ],
)
def test_sample_sizes(valid: int, asked: dict[str, float], expected: int) -> None:
    assert sampling.sample_size(valid, **asked) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [{"count": 0}, {"percentage": 0}, {"percentage": 101}])
def test_impossible_sample_sizes_are_refused(asked: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="dry run"):
        sampling.sample_size(100, **asked)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=200), st.integers(0, 250), st.integers())
def test_samples_are_sorted_distinct_and_proportional(topics: list[str | None], size: int, seed: int) -> None:
    chosen = sampling.stratified_sample(topics, size, seed)
    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) == min(size, len(topics))
    for topic in set(topics):
        share = topics.count(topic) * len(chosen) / len(topics)
        seats = sum(topics[index] == topic for index in chosen)
        assert share - 4 < seats < share + 4
        assert seats >= 1 or len(chosen) < len(set(topics))
    assert chosen == sampling.stratified_sample(topics, size, seed)


def test_samples_are_spread_over_the_file() -> None:
    chosen = sampling.stratified_sample(["a"] * 1000, 10, seed=3)
    assert [index // 100 for index in chosen] == list(range(10))


def test_rows_kept_for_inspection() -> None:
    kept = sampling.samples([0.1, None, 0.9, 0.5, 0.6], size=2)
    assert (kept.highest, kept.lowest, kept.around_mean) == ((2, 4), (0, 3), (3, 4))
