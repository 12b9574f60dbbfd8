"""What a passage is good for, what is taken from it without a model, and what may be written about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import extraction, grounding
from tasks.rules import knowledge as rules

STEPS = "To do it:\n\n1. Open the valve.\n2. Wait for a while.\n3. Close the valve."
PROSE = "A valve is a part that lets water in or keeps it out of the tank."
FIGURES = "The valve weighs 300 grams and costs $12."
TABLE = "Plan | Price\nBasic | low\nPro | high"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (PROSE, ("concepts",)),
        (STEPS, ("procedures",)),
        (FIGURES, ("concepts", "facts")),
        (TABLE, ("concepts", "facts")),
        (f"{PROSE} {PROSE}\n\n{STEPS}", ("concepts", "procedures")),
        ("Too short.", ()),
        ("1. Only one step\n\nand nothing else here", ("concepts",)),
        ("Step 1: Open it.\nStep 2: Close it.", ("procedures",)),
        ("1984. A year\n2. not a list", ("concepts", "facts")),
    ],
)
def test_the_form_of_a_passage_says_what_it_is_good_for(text: str, kinds: tuple[str, ...]) -> None:
    assert rules.kinds_for(text, ()) == kinds


def test_only_what_is_wanted_is_asked_for() -> None:
    assert rules.kinds_for(FIGURES, (), ("facts",)) == ("facts",)
    assert rules.kinds_for(PROSE, (), ("procedures",)) == ()


@pytest.mark.parametrize(
    ("paths", "level"),
    [
        ([("Book", "A"), ("Book", "B")], 2),
        ([("A",), ("B",)], 1),
        ([("Book",), ("Book", "A")], 2),
        ([("Book", "A", "x"), ("Book", "A", "y")], 3),
        ([("Book",), ("Book",)], 0),
        ([], 0),
    ],
)
def test_sections_are_told_apart_below_the_title(paths: list[tuple[str, ...]], level: int) -> None:
    assert rules.branching_level(paths) == level


@pytest.mark.parametrize(
    ("kind", "text", "heading", "questions"),
    [
        ("concepts", PROSE, "Parts", ["What is a valve?"]),
        ("concepts", "Refund: money paid back to the customer.", "Words", ["What does “Refund” mean?"]),
        ("concepts", "Trail Club is our programme for regulars.", "", ["What is Trail Club?"]),
        ("concepts", "It is what you think. This is a thing of beauty.", "", []),
        ("procedures", STEPS, "How to fill the tank", ["How do I fill the tank?"]),
        ("procedures", STEPS, "Filling the tank", ["What are the steps for filling the tank?"]),
        ("procedures", STEPS, "3.1 Tank", ["How do I do this: tank?"]),
        ("facts", FIGURES, "", ["What does the passage say about the valve?"]),
        ("facts", "The valve costs $12.", "", ["What does the passage say about the valve?"]),
        ("facts", "The valve is made of brass and steel.", "", []),
    ],
)
def test_without_a_model_plain_forms_are_taken_word_for_word(
    kind: Any, text: str, heading: str, questions: list[str]
) -> None:
    found = extraction.candidates(kind, text, (heading,) if heading else (), 5)
    assert [row.question for row in found] == questions
    for row in found:
        assert grounding.is_quoted(row.quote, text)


def test_a_procedures_answer_is_its_steps_in_order() -> None:
    (row,) = extraction.candidates("procedures", STEPS, ("How to fill the tank",), 3)
    assert row.answer == "1. Open the valve.\n2. Wait for a while.\n3. Close the valve."
    assert rules.grounded(row, STEPS, ("How to fill the tank",)) is None


@pytest.mark.parametrize(
    ("kind", "given", "answer"),
    [
        ("concepts", {"question": " q ", "answer": "a", "quote": "b"}, "a"),
        ("procedures", {"question": "q", "steps": ["1. Open.", " ", "Step 2: Close."], "quote": "b"}, "1. Open.\n2. Close."),
        ("procedures", {"question": "q", "steps": "Open.", "quote": "b"}, None),
        ("concepts", {"question": "q", "quote": "b"}, None),
        ("facts", {"question": 7, "answer": "a", "quote": "b"}, None),
    ],
)  # fmt: skip
def test_what_a_model_wrote_is_read_or_turned_away(kind: Any, given: Any, answer: str | None) -> None:
    found = rules.candidate(kind, given)
    assert (found.answer if found else None) == answer


@given(
    st.sampled_from(rules.KINDS),
    st.dictionaries(
        st.sampled_from(["question", "answer", "quote", "steps"]),
        st.one_of(
            st.none(), st.text(), st.integers(), st.lists(st.one_of(st.text(), st.integers()), max_size=4)
        ),
    ),
    st.text(max_size=200),
)
def test_nothing_a_model_writes_breaks_the_checks(kind: Any, given: Any, passage: str) -> None:
    found = rules.candidate(kind, given)
    if found is not None:
        rules.check(kind, found, passage, (), rules.Questions(), "c1")


@given(st.sampled_from(rules.KINDS), st.text(max_size=600), st.text(max_size=60))
def test_whatever_is_taken_from_a_passage_is_in_it(kind: Any, text: str, heading: str) -> None:
    for row in extraction.candidates(kind, text, (heading,), 5):
        assert grounding.is_quoted(row.quote, text) or len(grounding.normal(row.quote)) < 12


def test_a_fact_travels_with_its_passage_in_the_persons_turn() -> None:
    row = rules.Candidate("What does it cost?", "The valve costs $12.", "costs $12")
    asked, answered = rules.messages("facts", row, FIGURES)
    assert (asked["role"], answered["role"]) == ("user", "assistant")
    assert asked["content"].startswith("What does it cost?") and FIGURES in asked["content"]
    assert rules.question_of("facts", asked["content"]) == "What does it cost?"
    assert rules.messages("concepts", row, FIGURES)[0]["content"] == "What does it cost?"
