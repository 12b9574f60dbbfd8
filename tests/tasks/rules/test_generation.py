from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import coverage, generation
from tasks.rules.generation import NearDuplicates, check

HONEST = "My order 4711 never arrived, can you find out where it is?"


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def code(messages: object, **options: object) -> str | None:
    rejection = check(messages, **options)  # type: ignore[arg-type]
    return rejection.code if rejection else None


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (said(HONEST), None),
        ("text", "invalid_structure"),
        ([], "invalid_structure"),
        ([{"role": "robot", "content": "x"}], "invalid_structure"),
        ([{"role": "user"}], "invalid_structure"),
        ([{"role": "user", "content": 7}], "invalid_structure"),
        ([{"role": "user", "content": [{"type": "text", "text": HONEST}]}], None),
        ([{"role": "assistant", "content": HONEST}], "no_user_message"),
        (said("  "), "no_user_message"),
        (said("Where is it, please"), "too_short"),  # 19 characters
        (said("Where is it, please?"), None),  # 20
        (said("x " * 1000), None),  # 1,999 once trimmed
        (said("x" * 2000), None),
        (said("x" * 2001), "too_long"),
    ],
)
def test_rows_are_rejected_for_their_shape_and_length(messages: object, expected: str | None) -> None:
    assert code(messages) == expected


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I cannot have opinions about parcels.",
        "I'm sorry, but I can't assist with that request at all.",
        "I’m sorry, I cannot help with that. Please ask something else.",
        "I am unable to generate such content for this topic.",
        "Sure, here is a variation of the message you gave me: where is it?",
        "Here are 5 examples of customer questions: where is my order?",
        "Hello {{persona}}, I would like to know about my bill.",
        "Dear [your name], I want my money back for order 12.",
        "My order is <insert order number here> and it is late.",
        "<|im_start|>user where is my order, it is late",
        "Rewritten message: where is my order, it is late",
        "Lorem ipsum dolor sit amet, where is my order?",
    ],
)
def test_a_models_own_voice_is_an_artifact(text: str) -> None:
    assert code(said(text)) == "llm_artifact"


@pytest.mark.parametrize(
    "text",
    [
        "Why is the field null after saving? TODO comments say nothing.",
        "I'm sorry, but I can't find my invoice from March anywhere.",
        "I cannot create an account, the button does nothing at all.",
        "Sorry, I can't help my mother log in, she forgot her password.",
        "In Jinja {{ user.name }} renders empty, what am I missing?",
        "Here is what happened: the card was charged twice yesterday.",
        "Can you write a function that returns undefined for NaN input?",
        "Do you run as an AI model or is there a person behind this?",
        "The array [user_id] is empty and the <title> tag is missing.",
        "Of course I already restarted it, the error is still there.",
    ],
)
def test_honest_text_is_kept(text: str) -> None:
    assert code(said(text)) is None


def test_rules_apply_in_order() -> None:
    near = NearDuplicates()
    near.add("row-1", HONEST)
    assert code(said(HONEST), seeds=[HONEST.upper()], near=near) == "duplicate_of_seed"
    assert code(said(HONEST), near=near, topic="a", predicted=("b", 0.99)) == "near_duplicate"
    assert code(said("As an AI model, I say"), seeds=["x"]) == "llm_artifact"


def test_off_topic_is_said_with_the_names_that_people_know() -> None:
    found = generation.check(
        [{"role": "user", "content": "My invoice shows the wrong address, please."}],
        topic="a/code",
        predicted=("b/bills", 0.95),
        names={"a/code": "Writing code", "b/bills": "Bills"},
    )
    assert found is not None
    assert found.message == "Reads as Bills (95%), not as Writing code."


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (("a", 0.99), None),
        (("b", 0.79), None),
        (("b", 0.8), "off_topic"),
        ((None, 0.9), "off_topic"),
        (None, None),
    ],
)
def test_a_row_is_off_topic_only_when_the_categoriser_is_sure(
    predicted: tuple[str | None, float] | None, expected: str | None
) -> None:
    assert code(said(HONEST), topic="a", predicted=predicted) == expected


def test_near_duplicates_are_found_with_the_most_similar_first() -> None:
    near = NearDuplicates()
    near.add("other", "Please tell me how to change the address on my invoices.")
    near.add("same", HONEST)
    match = near.find(HONEST.replace("?", " !!"))
    assert match is not None
    assert match.key == "same"
    assert match.similarity >= 0.9
    assert near.find("I would like to order three green chairs for the office") is None


@given(
    st.lists(st.text("abc ", min_size=3, max_size=12), max_size=30), st.text("abc ", min_size=3, max_size=12)
)
def test_the_index_finds_exactly_what_a_full_search_finds(texts: list[str], text: str) -> None:
    near = NearDuplicates(threshold=0.6)
    for number, one in enumerate(texts):
        near.add(str(number), one)

    def shingles(one: str) -> set[str]:
        plain = f" {generation.normalised(one)} "
        return {plain[at : at + 3] for at in range(max(1, len(plain) - 2))}

    mine = shingles(text)
    best = max((len(mine & shingles(one)) / len(mine | shingles(one)) for one in texts), default=0.0)
    match = near.find(text)
    assert (match.similarity if match else None) == (best if best >= 0.6 - 1e-9 else None)


@pytest.mark.parametrize(("share", "expected"), [(0.5, "few_shot"), (0.51, "message_variation")])
def test_the_default_strategy_follows_the_conversations(share: float, expected: str) -> None:
    assert generation.default_strategy(share) == expected


def test_a_plan_fills_what_is_under_unless_topics_are_named() -> None:
    assert generation.plan(["a", "b"]) == (("a", 50), ("b", 50))
    assert generation.plan(["a", "b"], ["c", "c"], 10) == (("c", 10),)


def test_the_expected_balance_counts_what_is_planned() -> None:
    future = generation.expected_counts({"a": 10, "b": 60}, [("a", 50)])
    assert future == {"a": 60, "b": 60}
    assert coverage.balance_score(future) == 1.0


def test_batches_cycle_through_difficulties_and_personas() -> None:
    assert [generation.difficulty(index) for index in range(4)] == ["easy", "medium", "hard", "easy"]
    assert generation.persona(0) == generation.persona(len(generation.PERSONAS))


@pytest.mark.parametrize(
    ("count", "asked", "expected"), [(20, False, False), (21, False, True), (3, True, True)]
)
def test_large_batches_are_previewed(count: int, asked: bool, expected: bool) -> None:
    assert generation.needs_preview(count, asked=asked) is expected
