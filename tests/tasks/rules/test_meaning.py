from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import meaning

ORIGINAL = "I was charged twice for order A4711 on 3 May. Why did Anna Berger not refund the 49.90 to me?"


@pytest.mark.parametrize(
    ("rewritten", "code"),
    [
        (
            "On 3 May the order A4711 was billed twice. Could you say why Anna Berger has not refunded me the 49.90?",
            None,
        ),
        (ORIGINAL, "duplicate_of_seed"),
        (ORIGINAL.replace("charged", "Charged").replace("?", "!"), "duplicate_of_seed"),
        (ORIGINAL.replace("Why did", "Why  has"), "near_duplicate"),
        (
            "On 4 May the order A4711 was billed twice. Why has Anna Berger not refunded me the 49.90?",
            "changed_facts",
        ),
        (
            "On 3 May the order A4712 was billed twice. Why has Anna Berger not refunded me the 49.90?",
            "changed_facts",
        ),
        ("On 3 May the order A4711 was billed twice. Why has nobody refunded me the 49.90?", "changed_facts"),
        (
            "On 3 May the order A4711 was billed twice. Why did Anna Berger refund me the 49.90 so late?",
            "changed_facts",
        ),
        (
            "On 3 May the order was billed twice. Why has Anna Berger not refunded me the 49.90?",
            "changed_facts",
        ),
    ],
)
def test_a_paraphrase_keeps_every_fact(rewritten: str, code: str | None) -> None:
    found = meaning.problem(ORIGINAL, rewritten)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        ("two weeks ago", "it was 2 weeks ago", True),
        ("charged twice", "billed two times", True),
        ("it costs 1,200.50", "the price is 1200.50", True),
        ("write to a@b.com please", "please mail a@b.com", True),
        ("write to a@b.com please", "please mail a@c.com", False),
        ("I can't log in", "I am unable to log in", True),
        ("I cannot log in", "I am able to log in", False),
        ("Ich kann mich nicht anmelden", "Die Anmeldung klappt nicht", True),
        ("Ich kann mich nicht anmelden", "Die Anmeldung klappt gut", False),
        ("the 2nd invoice", "invoice number 2nd", True),
    ],
)
def test_numbers_addresses_and_denials_are_facts(one: str, other: str, kept: bool) -> None:
    assert (meaning.changed_facts(one, other) == "") is kept


def test_another_text_has_lost_the_meaning() -> None:
    found = meaning.problem("where has the parcel gone that should be here", "quick brown foxes jump high")
    assert found and found.code == "lost_meaning"


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_two_texts_are_judged(one: str, other: str) -> None:
    found = meaning.problem(one, other)
    assert found is None or found.message
