"""The transcript: append-only, cut from the front in coarse steps, never in the middle of a turn."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent import transcript
from storage.records import InboxItem

turns = st.lists(
    st.tuples(st.integers(1, 20_000), st.integers(0, 3), st.integers(1, 12_000)), min_size=1, max_size=40
)


def play(shape: list[tuple[int, int, int]]) -> list[list[dict[str, Any]]]:
    """What is told at the beginning of each turn."""
    stored: tuple[dict[str, Any], ...] = ()
    told = []
    for words, calls, size in shape:
        told.append(list(transcript.window(stored)))
        new: list[dict[str, Any]] = [{"role": "user", "content": "u" * words, "at": 0.0}]
        for place in range(calls):
            call = {"id": f"c{len(stored)}{place}", "name": "look", "arguments": "{}"}
            new.append({"role": "assistant", "content": "", "calls": [call], "at": 0.0})
            new.append({"role": "tool", "content": "r" * size, "call": call["id"], "at": 0.0})
        new.append({"role": "assistant", "content": "done", "calls": [], "at": 0.0})
        stored = (*stored, *transcript.placed(new, stored))[-400:]
    told.append(list(transcript.window(stored)))
    return told


@given(turns)
def test_what_is_told_begins_with_somebody_and_no_result_lacks_its_call(
    shape: list[tuple[int, int, int]],
) -> None:
    for told in play(shape):
        assert not told or told[0]["role"] == "user"
        called = {call["id"] for message in told for call in message.get("calls", ())}
        assert {message["call"] for message in told if message["role"] == "tool"} <= called


@given(turns)
def test_the_front_moves_rarely(shape: list[tuple[int, int, int]]) -> None:
    tellings = [told for told in play(shape) if told]
    moves = sum(1 for one, other in itertools.pairwise(tellings) if one[0] != other[0])
    grown = transcript.end_of(tuple(tellings[-1])) if tellings else 0
    assert moves <= grown // transcript.STEP_CHARACTERS + 1


def test_a_long_transcript_stays_bounded() -> None:
    told = play([(500, 2, 2_000)] * 200)[-1]
    size = transcript.end_of(tuple(told)) - told[0]["o"]
    assert size <= transcript.KEPT_CHARACTERS + transcript.STEP_CHARACTERS
    assert len(told) < 400


def test_a_persons_words_are_named_and_cut() -> None:
    item = InboxItem("1", "message", "U1", "x" * 30_000, 1.0)
    content = transcript.from_item(item)["content"]
    assert content.startswith("<@U1>: xxx") and "10000 more characters" in content


def test_what_happened_is_one_json_object() -> None:
    item = InboxItem("1", "event", "", "", 1.0, {"event": "step_finished", "operation": "categorize"})
    assert transcript.from_item(item)["content"] == '{"event": "step_finished", "operation": "categorize"}'
    file = InboxItem("1", "file", "U1", "", 1.0, {"name": "a.jsonl"})
    assert transcript.from_item(file)["content"] == '{"event": "file", "name": "a.jsonl"}'
