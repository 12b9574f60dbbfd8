"""The table of validation: first error wins, in order, each with a line and a way to mend it."""

from __future__ import annotations

from typing import Any

import pytest

from storage.manifests import Summary
from storage.rows import Input, Output, Row
from tasks.rules.hygiene import health, hygiene, recommendations, statistics, typical
from tasks.rules.limits import Limits
from tasks.rules.validation import CODES, check_row, explain

USER = {"role": "user", "content": "Where is my parcel?"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": {"name": "find"}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "In Ulm."}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([USER], ""),
        ([USER, {"role": "assistant", "content": "Here."}], ""),
        ([{"role": "developer", "content": "x"}, USER], ""),
        ([USER, CALL, RESULT], ""),
        ([{"role": "user", "content": [{"type": "text", "text": "A question in parts"}]}], ""),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], ""),
        (["hello"], "invalid_data_structure"),
        ([{"role": "user", "content": 5}], "invalid_data_structure"),
        ([{"role": "user", "content": {"text": "x"}}], "invalid_data_structure"),
        ([USER, {"role": "assistant", "tool_calls": "find"}], "invalid_data_structure"),
        ([], "empty_messages"),
        ([{"role": "robot", "content": "x"}], "invalid_role"),
        ([{"content": "no role at all"}], "invalid_role"),
        ([{"role": "User", "content": "Where is my parcel?"}], "invalid_role"),
        ([{"role": "system", "content": "x"}], "no_user_message"),
        ([{"role": "assistant", "content": "x"}], "no_user_message"),
        ([{"role": "user", "content": " \n"}], "empty_user_message"),
        ([{"role": "user", "content": None}], "empty_user_message"),
        ([{"role": "user", "content": ""}, USER], "empty_user_message"),
        ([{"role": "user", "content": "too short"}], "user_message_too_short"),
        ([{"role": "user", "content": "  just long  "}], "user_message_too_short"),
        ([{"role": "user", "content": "ten chars!"}], ""),
        (
            [USER, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Hm"}],
            "user_message_too_short",
        ),
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, USER], ""),
        ([USER, CALL, {"role": "tool", "content": "In Ulm."}], "missing_tool_call_id"),
        ([USER, {"role": "assistant", "tool_calls": [{"function": {}}]}], "missing_tool_call_id"),
        ([USER, CALL, {**RESULT, "tool_call_id": "c2"}], "orphan_tool_result"),
        ([USER, RESULT, CALL], "orphan_tool_result"),
        ([USER, RESULT, {"role": "tool", "content": "x"}], "missing_tool_call_id"),
        ([USER, {"role": "assistant", "content": "x" * 31_982}], "exceeds_max_tokens"),
        ([USER, {"role": "assistant", "content": "x" * 31_981}], ""),
        ([{"role": "robot", "content": "x" * 40_000}], "invalid_role"),
    ],
)
def test_the_first_error_wins(messages: list[Any], code: str) -> None:
    assert check_row(Row(id="r", input=Input(messages)))[0] == code


def test_answers_are_judged_with_the_question() -> None:
    row = Row(id="r", input=Input([USER]), output=Output([RESULT]))
    assert check_row(row)[0] == "orphan_tool_result"


def test_limits_belong_to_the_workflow() -> None:
    short = Row(id="r", input=Input([{"role": "user", "content": "Hi"}]))
    assert check_row(short, Limits(min_user_characters=2))[0] == ""
    assert check_row(Row(id="r", input=Input([USER])), Limits(max_tokens=4)) == ("exceeds_max_tokens", 5)


def test_tokens_are_estimated_or_counted() -> None:
    assert check_row(Row(id="r", input=Input([USER])))[1] == 5
    calls = check_row(Row(id="r", input=Input([USER, CALL])))[1]
    assert calls == -(-(19 + len('[{"id":"c1","function":{"name":"find"}}]')) // 4)
    long = Row(id="r", input=Input([{"role": "user", "content": "word " * 2_000}]))
    assert check_row(long, count_tokens=lambda text: len(text.split()))[1] == 2_000
    assert check_row(Row(id="r", input=Input([USER])), count_tokens=lambda text: 1 / 0)[1] == 5  # type: ignore


def test_a_row_that_is_no_record_keeps_its_error() -> None:
    assert check_row(Row(id="r", raw="{", error="missing_input")) == ("missing_input", 0)
    assert check_row(Row(id="r", raw="{")) == ("invalid_json", 0)


@pytest.mark.parametrize("code", CODES)
def test_every_error_says_where_and_how_to_mend_it(code: Any) -> None:
    problem = explain(code, line=1_214)
    assert problem.message.startswith("Line 1,214 ")
    assert problem.mend.endswith(".")
    assert "{" not in problem.message + problem.mend


def test_a_short_message_says_the_limit_in_force() -> None:
    assert (
        "at least 3 characters"
        in explain("user_message_too_short", line=1, limits=Limits(min_user_characters=3)).mend
    )


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0, "healthy"),
        (0.05, "healthy"),
        (0.051, "warning"),
        (0.15, "warning"),
        (0.151, "critical"),
        (1, "critical"),
    ],
)
def test_health_follows_the_rejection_rate(rate: float, expected: str) -> None:
    assert health(rate) == expected


def test_the_hygiene_report_names_lines_in_the_order_of_codes() -> None:
    totals = Summary(
        rows=500,
        valid=487,
        errors={"duplicate": 3, "no_user_message": 10},
        error_lines={"duplicate": [9, 12, 400], "no_user_message": [1, 2, 3, 4, 5]},
    )
    report = hygiene(totals)
    assert (report.total, report.valid, report.rejected, report.duplicates) == (500, 487, 13, 3)
    assert (report.rate, report.health) == (0.026, "healthy")
    assert list(report.counts) == ["no_user_message", "duplicate"]
    assert [problem.line for problem in report.problems] == [1, 2, 3, 4, 5, 9, 12, 400]
    assert report.recommendations == ()


@pytest.mark.parametrize(
    ("errors", "advised"),
    [
        ({"no_user_message": 5}, 0),
        ({"no_user_message": 6}, 1),
        ({"empty_messages": 3, "empty_user_message": 3}, 1),
        ({"user_message_too_short": 10}, 0),
        ({"user_message_too_short": 11}, 1),
        ({"orphan_tool_result": 1}, 1),
        ({"missing_tool_call_id": 1}, 1),
        ({"exceeds_max_tokens": 1}, 1),
        ({"invalid_json": 90}, 0),
    ],
)
def test_advice_comes_at_its_thresholds(errors: dict[str, int], advised: int) -> None:
    assert len(recommendations(Summary(rows=100, errors=errors))) == advised


def test_typical_rows_are_of_middling_length() -> None:
    rows = [Row(id=str(n), tokens=n) for n in (900, 10, 12, 11, 1)]
    assert [row.id for row in typical(rows, 2)] == ["10", "11"]
    assert typical([]) == ()


def test_statistics_of_nothing_are_zero() -> None:
    found = statistics(Summary())
    assert (found.rows, found.average_turns, found.single_turn_share) == (0, 0, 0)
    assert hygiene(Summary()).rate == 0
