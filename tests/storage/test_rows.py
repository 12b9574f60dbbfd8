"""The record form: what rests, what comes back, and the forms that trainers want."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import Corrupt
from storage.rows import (
    COLUMNS,
    Input,
    Output,
    Row,
    conversation_text,
    decode,
    encode,
    last_user_message,
    split_conversation,
    to_openai_dpo,
    to_openai_rft,
    to_openai_sft,
    to_record,
)

USER = {"role": "user", "content": "Where is my parcel?"}
ANSWER = {"role": "assistant", "content": "On its way."}
SYSTEM = {"role": "system", "content": "Be kind."}


def test_columns_do_not_rest_in_the_row() -> None:
    row = Row(id="r1", input=Input([USER]), topic="billing", error="duplicate", tokens=9, is_generated=True)
    assert b"billing" not in encode(row)
    assert decode(encode(row)) == Row(id="r1", input=Input([USER]))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), st.lists(st.dictionaries(st.text(), json_values)), st.dictionaries(st.text(), json_values))
def test_any_row_survives_rest(id: str, messages: list[dict[str, Any]], item: dict[str, Any]) -> None:
    try:
        row = Row(id=id, input=Input(messages), item=item)
        line = encode(row)
    except ValueError:
        return  # half a surrogate pair: refused, not mangled
    assert b"\n" not in line
    assert decode(line) == row


def test_a_spoiled_row_is_corrupt() -> None:
    for line in (b"", b"{", b'{"input": {}}', b'{"id": 5}', b'{"id":"\xff"}'):
        with pytest.raises(Corrupt):
            decode(line)


@pytest.mark.parametrize(
    ("roles", "input_size"),
    [("su", 2), ("sua", 2), ("suaua", 4), ("uata", 1), ("sa", 2), ("", 0), ("a", 1)],
)
def test_everything_up_to_the_last_user_message_is_input(roles: str, input_size: int) -> None:
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
    messages = [{"role": names[role], "content": str(n)} for n, role in enumerate(roles)]
    before, after = split_conversation(messages)
    assert (before, after) == (messages[:input_size], messages[input_size:])


def test_the_last_user_message_reads_parts_too() -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "two"},
    ]
    assert (
        last_user_message(Row(id="r", input=Input([USER, {"role": "user", "content": parts}]))) == "one\ntwo"
    )
    assert last_user_message(Row(id="r", input=Input([SYSTEM]))) == ""


def test_a_conversation_reads_as_paragraphs() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": {"name": "find"}}]}
    assert conversation_text([SYSTEM, USER, call]) == (
        'system: Be kind.\n\nuser: Where is my parcel?\n\nassistant: {"id":"c1","function":{"name":"find"}}'
    )


def test_rft_rows_end_with_the_user_and_keep_every_column() -> None:
    row = Row(
        id="r",
        input=Input([SYSTEM, USER], tools=[{"type": "function"}]),
        output=Output([ANSWER]),
        item={"customer": "gold"},
    )
    assert to_openai_rft(row) == {
        "customer": "gold",
        "reference_answer": "On its way.",
        "tools": [{"type": "function"}],
        "messages": [SYSTEM, USER],
    }
    given = msgspec.structs.replace(row, item={"reference_answer": "Tomorrow."})
    assert to_openai_rft(given)["reference_answer"] == "Tomorrow."
    assert "reference_answer" not in to_openai_rft(Row(id="r", input=Input([USER])))


def test_sft_needs_an_answer() -> None:
    assert to_openai_sft(Row(id="r", input=Input([USER]))) is None
    assert to_openai_sft(Row(id="r", input=Input([USER]), output=Output([ANSWER]))) == {
        "messages": [USER, ANSWER]
    }
    by_column = Row(id="r", input=Input([USER]), item={"reference_answer": "Soon."})
    assert to_openai_sft(by_column) == {"messages": [USER, {"role": "assistant", "content": "Soon."}]}


def test_preferences_need_both_sides() -> None:
    worse = {"role": "assistant", "content": "No idea."}
    row = Row(id="r", input=Input([USER]), output=Output([ANSWER]), item={"rejected": [worse]})
    assert to_openai_dpo(row) == {
        "input": {"messages": [USER]},
        "preferred_output": [ANSWER],
        "non_preferred_output": [worse],
    }
    assert to_openai_dpo(Row(id="r", input=Input([USER]), output=Output([ANSWER]))) is None


def test_a_record_shows_columns_beside_its_fields() -> None:
    row = Row(
        id="r",
        input=Input([USER]),
        item={"customer": "gold", "id": "theirs"},
        topic="billing",
        error="duplicate",
    )
    record = to_record(row)
    assert (record["id"], record["customer"], record["topic"], record["valid"]) == (
        "r",
        "gold",
        "billing",
        False,
    )
    assert set(COLUMNS) >= {"topic", "error"}
