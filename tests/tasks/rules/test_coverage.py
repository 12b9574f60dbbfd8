from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import coverage


def counted(*counts: int) -> dict[str, int]:
    return {f"t{number}": count for number, count in enumerate(counts)}


@pytest.mark.parametrize(
    ("counts", "score"),
    [
        ((45, 15, 90), 0.59),
        ((45, 45, 90), 0.83),
        ((180, 23, 45, 47), 0.45),
        ((92, 180, 45, 47), 0.65),
        ((145, 198, 131, 13), 0.69),
        ((10, 10, 10), 1.0),
        ((30, 0, 0), 0.0),
        ((7,), 1.0),
    ],
)
def test_balance_of_the_worked_examples(counts: tuple[int, ...], score: float) -> None:
    assert coverage.balance_score(counted(*counts)) == pytest.approx(score, abs=0.005)


def test_an_empty_dataset_has_no_balance() -> None:
    found = coverage.analyze(counted(0, 0))
    assert (found.score, found.rating, found.min_max_ratio, found.ready) == (None, None, None, False)


def test_balance_is_one_when_shares_equal_targets_and_zero_in_the_smallest() -> None:
    targets = {"t0": 50.0, "t1": 30.0, "t2": 20.0}
    assert coverage.balance_score(counted(50, 30, 20), targets) == pytest.approx(1.0)
    assert coverage.balance_score(counted(0, 0, 20), targets) == pytest.approx(0.0)


def test_a_topic_without_target_is_left_out_of_the_score() -> None:
    targets = {"t0": 50.0, "t1": 50.0, "t2": 0.0}
    assert coverage.balance_score(counted(10, 10, 500), targets) == pytest.approx(1.0)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=12), st.data())
def test_balance_lies_between_zero_and_one(counts: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0, 100), min_size=len(counts), max_size=len(counts)))
    score = coverage.balance_score(counted(*counts), counted(*weights))  # type: ignore[arg-type]
    assert score is None or 0 <= score <= 1


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.8, "excellent"),
        (0.79, "good"),
        (0.5, "good"),
        (0.49, "fair"),
        (0.35, "fair"),
        (0.34, "poor"),
        (0.2, "poor"),
        (0.19, "critical"),
    ],
)
def test_ratings(score: float, expected: str) -> None:
    assert coverage.rating(score) == expected


@pytest.mark.parametrize(
    ("counts", "statuses"),
    [
        ((50, 50), ["ok", "ok"]),
        ((45, 55), ["ok", "ok"]),  # five points exactly
        ((44, 56), ["under", "over"]),
        ((49, *[105] * 10, 101), ["under", *["ok"] * 11]),  # within five points, but below half of its target
        ((50, *[105] * 10, 100), ["ok"] * 12),
    ],
)
def test_status_per_topic(counts: tuple[int, ...], statuses: list[str]) -> None:
    found = coverage.analyze(counted(*counts))
    assert [entry.status for entry in found.distribution] == statuses


def test_generation_is_recommended_for_a_topic_that_is_under_in_a_balanced_whole() -> None:
    found = coverage.analyze(counted(44, 56))
    assert found.score is not None
    assert found.score > 0.9
    assert found.recommend_generation
    assert not coverage.analyze(counted(50, 50)).recommend_generation


@pytest.mark.parametrize(
    ("counts", "more", "codes"),
    [
        ((120, 120, 120, 120), {}, []),
        ((500, 1, 1), {}, ["unbalanced", "few_rows"]),
        ((20, 20, 20), {}, []),  # a hundred each is not possible with sixty rows
        ((120, 120), {"synthetic": 120}, ["mostly_synthetic"]),
        ((300, 120, 120, 120), {}, ["dominant_topic"]),
        ((300, 120, 120), {}, []),  # three topics may be uneven
        ((120, 120), {"validation_counts": {"t0": 3}}, ["not_in_validation"]),
    ],
)
def test_readiness_names_its_reasons(
    counts: tuple[int, ...], more: dict[str, object], codes: list[str]
) -> None:
    found = coverage.analyze(counted(*counts), **more)  # type: ignore[arg-type]
    assert [reason.code for reason in found.reasons] == codes
    assert found.ready == (not codes)


def test_the_topic_that_the_goal_stresses_is_named_first() -> None:
    counts = {"reports": 5, "calculations/interest": 24, "budget": 130, "cards": 141}
    found = coverage.recommendations(
        coverage.analyze(counts), "accurate calculation", {"calculations/interest": "Interest calculations"}
    )
    assert found[0].topic == "calculations/interest"
    assert "goal stresses" in found[0].reason
    assert found[1].topic == "reports"


def test_a_topic_that_the_goal_stresses_lacks_nothing_when_it_is_nearly_there() -> None:
    found = coverage.recommendations(coverage.analyze({"calculations": 98, "reports": 100}), "calculations")
    assert [advice.action for advice in found] == ["continue"]


def test_rows_without_a_topic_are_counted_in_words() -> None:
    found = coverage.recommendations(coverage.analyze(counted(50, 50), uncategorised=1))
    assert "1 row has no topic yet." in [advice.reason for advice in found]


def test_suggested_counts_reach_the_targets_together() -> None:
    found = coverage.analyze(counted(10, 20, 100))
    needed = coverage.rows_needed(found)
    assert needed == {"t0": 90, "t1": 80, "t2": 0}


def test_a_topic_without_examples_is_described_rather_than_varied() -> None:
    found = coverage.recommendations(coverage.analyze(counted(0, 50), multi_turn_share=0.9))
    assert found[0].strategy == "topic_description"
    found = coverage.recommendations(coverage.analyze(counted(10, 50), multi_turn_share=0.9))
    assert found[0].strategy == "message_variation"


def test_balanced_data_goes_on() -> None:
    assert [advice.action for advice in coverage.recommendations(coverage.analyze(counted(50, 50)))] == [
        "continue"
    ]


@pytest.mark.parametrize(
    ("targets", "codes"),
    [
        ({"a": 60, "b": 40}, []),
        ({"a": 60, "b": 30}, ["targets_not_100"]),
        ({"a": 60, "x": 40}, ["unknown_topic"]),
        ({"a": 120, "b": -20}, ["invalid_target", "invalid_target"]),
        ({"a": float("nan"), "b": 100}, ["invalid_target"]),
    ],
)
def test_targets_are_checked(targets: dict[str, float], codes: list[str]) -> None:
    assert [problem.code for problem in coverage.validate_targets(targets, ["a", "b"])] == codes
