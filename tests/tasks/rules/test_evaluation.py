from __future__ import annotations

import pytest

from tasks.rules import evaluation
from tasks.rules.evaluation import ScoredPair


def pairs(count: int, before: float, after: float, topic: str = "a") -> list[ScoredPair]:
    return [ScoredPair(before + row % 5 / 50, after + row % 3 / 50, topic) for row in range(count)]


def test_a_clear_gain_is_a_success() -> None:
    found = evaluation.compare(pairs(50, 0.5, 0.7))
    assert found.success
    assert found.overall.significant
    assert found.overall.p_value is not None
    assert found.overall.p_value < 0.01
    assert found.overall.interval is not None
    assert found.overall.interval[0] < found.overall.delta < found.overall.interval[1]


@pytest.mark.parametrize(
    ("before", "after", "gained"),
    [(0.5, 0.55, False), (0.5, 0.551, True), (0.0, 0.01, True), (0.0, 0.0, False)],
)
def test_success_needs_more_than_a_tenth(before: float, after: float, gained: bool) -> None:
    assert evaluation.compare([ScoredPair(before, after)] * 10).success is gained


def test_a_topic_that_got_worse_spoils_the_success() -> None:
    found = evaluation.compare([*pairs(60, 0.4, 0.7), *pairs(20, 0.6, 0.3, "b")])
    assert found.overall.relative is not None
    assert found.overall.relative > 0.1
    assert (found.success, found.worse_topics) == (False, ("b",))


def test_a_single_row_of_a_topic_proves_nothing() -> None:
    found = evaluation.compare([*pairs(60, 0.4, 0.7), ScoredPair(0.9, 0.1, "b")])
    assert found.topics["b"].interval is None
    assert found.success


def test_errors_are_left_out_and_counted() -> None:
    found = evaluation.compare([*pairs(10, 0.4, 0.7), ScoredPair(None, 0.1), ScoredPair(0.2, None)])
    assert (found.skipped, found.overall.count) == (2, 10)
    with pytest.raises(ValueError, match="nothing to compare"):
        evaluation.compare([ScoredPair(None, None)])


def test_criteria_are_compared_by_themselves() -> None:
    rows = [ScoredPair(0.5, 0.6, criteria={"Accuracy": (0.2, 0.9), "Tone": (0.8, None)}) for _ in range(5)]
    found = evaluation.compare(rows)
    assert set(found.criteria) == {"Accuracy"}
    assert found.criteria["Accuracy"].delta == pytest.approx(0.7)


def test_the_same_seed_gives_the_same_interval() -> None:
    rows = pairs(30, 0.4, 0.45)
    assert evaluation.compare(rows, seed=3) == evaluation.compare(rows, seed=3)
    assert (
        evaluation.compare(rows, seed=3).overall.interval != evaluation.compare(rows, seed=4).overall.interval
    )


def test_no_change_is_not_significant() -> None:
    rows = [ScoredPair(0.5, 0.5 + (0.1 if row % 2 else -0.1)) for row in range(40)]
    found = evaluation.compare(rows)
    assert not found.overall.significant
    assert found.overall.p_value is not None
    assert found.overall.p_value > 0.5
