"""One row cleaned: messages, parts, tool calls and columns alike, and the same row when there is nothing to do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.rows import Input, Output, Row
from tasks.cleaning import Choices, cleaned, scan
from tests.makers import row

MASK = Choices(personal_data="mask")
MAIL = "ada@corp.io"


def test_a_clean_row_stays_the_same_object() -> None:
    honest = row("Where is my parcel, please tell me?", answer="It is on its way.", item={"level": 3})
    assert cleaned(honest, Choices(personal_data="mask", near_duplicates=True, refusals=True)) == (
        honest,
        frozenset(),
    )
    assert cleaned(honest, MASK)[0] is honest
    assert scan(honest) == type(scan(honest))()


def test_everything_of_a_row_is_masked_tool_calls_and_nested_columns_too() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": f'{{"to": "{MAIL}"}}'}}
    given = Row(
        id="1",
        input=Input(messages=[{"role": "user", "content": [{"type": "text", "text": f"Write to {MAIL}"}]}]),
        output=Output(messages=[{"role": "assistant", "content": None, "tool_calls": [call]}]),
        item={"owner": {"mails": [MAIL, "bob@corp.io"]}, "count": 3},
    )
    made, did = cleaned(given, MASK)
    assert made is not None
    assert did == {"personal_data"}
    assert made.input.messages[0]["content"][0]["text"] == "Write to [EMAIL_1]"
    assert made.output.messages[0]["tool_calls"][0]["function"]["arguments"] == '{"to": "[EMAIL_1]"}'
    assert made.item == {"owner": {"mails": ["[EMAIL_1]", "[EMAIL_2]"]}, "count": 3}
    assert (made.id, scan(made).personal) == ("1", ())


def test_rows_with_personal_data_are_dropped_when_asked_but_not_for_an_address_of_a_machine() -> None:
    drop = Choices(personal_data="drop")
    assert cleaned(row(f"Write to {MAIL} at once"), drop) == (None, frozenset({"personal_data"}))
    assert cleaned(row("The server at 8.8.8.8 is slow"), drop)[0] is not None


def test_empty_turns_go_but_never_the_last_word_of_a_user() -> None:
    turns = [
        {"role": "user", "content": "Hello, I need some help"},
        {"role": "assistant", "content": "  "},
        {"role": "user", "content": "Where is my parcel?"},
    ]
    made, did = cleaned(Row(id="1", input=Input(messages=turns)), Choices())
    assert made is not None
    assert [one["role"] for one in made.input.messages] == ["user", "user"]
    assert did == {"empty_turns"}
    only = Row(id="2", input=Input(messages=[{"role": "user", "content": ""}]))
    assert cleaned(only, Choices())[0] is only
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]
    shown = Row(id="3", input=Input(messages=picture))
    assert cleaned(shown, Choices())[0] is shown


def test_a_refusal_goes_and_the_question_stays_only_when_chosen() -> None:
    refused = row("How do I do that?", answer="I'm sorry, but I can't help with that.")
    assert cleaned(refused, Choices())[0] is refused
    made, did = cleaned(refused, Choices(refusals=True))
    assert made is not None
    assert (made.output.messages, made.input.messages, did) == ([], refused.input.messages, {"refusals"})


def test_excerpts_hide_what_is_personal_and_show_what_cannot_be_seen() -> None:
    found = scan(row(f"A &amp; B\u200b of {MAIL} with AKIAIOSFODNN7EXAMPLE"))
    shown = str(found.excerpts)
    assert MAIL not in shown
    assert "AKIA" not in shown
    assert {kind for kind, _, _ in found.excerpts} == {"formatting", "personal_data"}
    assert found.formatting == ("entities", "invisible")


texts = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [MAIL, "&amp;", "\r\n", "Ã©", "4242424242424242", "\nUser:", "", "I can't help with that."]
        ),
    ),
    max_size=5,
).map(" ".join)
rows = st.builds(
    lambda asked, answer, note: row(asked, id="x", answer=answer, item={"note": note}), texts, texts, texts
)


@given(rows, st.booleans(), st.booleans())
def test_a_cleaned_row_is_clean(given_row: Row, formatting: bool, mask: bool) -> None:
    choices = Choices(fix_formatting=formatting, refusals=True, personal_data="mask" if mask else "report")
    made, did = cleaned(given_row, choices)
    assert made is not None
    assert (made is given_row) == (not did)
    again, _ = cleaned(made, choices)
    assert again is not None
    found = scan(again)
    assert not (formatting and found.formatting)
    assert not (mask and {"email", "card"} & set(found.personal))
