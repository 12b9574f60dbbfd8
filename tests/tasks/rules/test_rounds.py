from __future__ import annotations

from typing import Any

import pytest

from storage.records import GenerationRound
from tasks.rules import rounds
from tasks.rules.rounds import Earlier, Want

REQUEST = {"strategy": "few_shot", "target_topics": ["a"], "count_per_topic": 30}
ID = rounds.request_id(REQUEST)


def made(
    kept: int, *, request: str = ID, stopped: bool = False, continued: bool = False, **more: Any
) -> GenerationRound:
    return GenerationRound(
        "t", 1.0, "few_shot", 30, kept, {}, {"a": kept}, None, None, request, stopped, continued, **more
    )


@pytest.mark.parametrize(
    ("history", "go_on", "expected"),
    [
        ([], None, (0, 0)),
        ([made(20, stopped=True)], None, (1, 20)),
        ([made(27)], None, (0, 0)),  # it ran to its end: the same again is a new wish
        ([made(27)], True, (1, 27)),
        ([made(20, stopped=True)], False, (0, 0)),
        ([made(20, stopped=True, request="other")], None, (0, 0)),
        ([made(30), made(20, stopped=True)], None, (1, 20)),  # the one before was another wish
        ([made(10, stopped=True), made(5, stopped=True, continued=True)], None, (2, 15)),
        ([made(10, stopped=True), made(18, continued=True)], None, (0, 0)),
        ([made(10, stopped=True), made(18, continued=True)], True, (2, 28)),
        (
            [made(10, stopped=True), made(9, request="other"), made(5, stopped=True, continued=True)],
            None,
            (2, 15),
        ),
    ],
)
def test_a_stopped_round_is_gone_on_with_and_a_finished_one_only_when_asked(
    history: list[GenerationRound], go_on: bool | None, expected: tuple[int, int]
) -> None:
    found = rounds.earlier(history, ID, go_on=go_on)
    assert (found.rounds, found.kept) == expected
    assert found.asked == 30 * found.rounds


def test_what_is_there_is_taken_off_the_plan() -> None:
    plan = (Want("a", 30), Want("b", 30))
    assert rounds.left(plan, Earlier(1, 60, {"a": 30, "b": 12})) == (Want("b", 18),)
    seeds = (Want("", 3, "r1"), Want("", 3, "r2"))
    assert rounds.left(seeds, Earlier(1, 6, {"": 4}, {"r1": 3, "r2": 1})) == (Want("", 2, "r2"),)
    assert rounds.left(plan, Earlier()) == plan


def test_the_same_request_has_the_same_id_whatever_else_is_said() -> None:
    assert rounds.request_id({**REQUEST, "until_kept": True, "aspects": [], "record_ids": None}) == ID
    assert rounds.request_id({**REQUEST, "count_per_topic": 31}) != ID
    assert rounds.request_id({**REQUEST, "target_topics": ["b"]}) != ID


def test_counts_by_seed_row_are_kept_for_the_newest_request_only() -> None:
    history = rounds.with_round([made(3, by_seed={"r1": 3})], made(2, request="new", by_seed={"r2": 2}))
    assert [one.by_seed for one in history] == [{}, {"r2": 2}]
    assert len(rounds.with_round([made(1)] * 120, made(1))) == rounds.ROUNDS_KEPT
