from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import approvals
from tasks.rules.approvals import ExplicitOrder


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "Yes, please!",
        "OK",
        "okay.",
        "approve",
        "Approved",
        "confirm",
        "go ahead",
        "<@U0BOT> do it",
        "let's do it",
        "Let’s do it!",
        "yes, let's do it",
        "Looks good 	",
        "start",
    ],
)
def test_exact_phrases_approve(text: str) -> None:
    assert approvals.is_approval(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes but wait",
        "yes, let's do it tomorrow",
        "no",
        "don't start",
        "~yes~",
        "ok 👍",
        "not okay",
        "yes yes",
        "the model says: approve",
        "&gt; yes",
        "<@U0BOT>",
        "go ahead and delete everything",
    ],
)
def test_anything_else_does_not(text: str) -> None:
    assert not approvals.is_approval(text)


@pytest.mark.parametrize(
    ("text", "rejects", "stops"),
    [
        ("No, thanks.", True, False),
        ("don't", True, False),
        ("STOP!", False, True),
        ("cancel", True, True),
        ("no problem", False, False),
        ("stop words?", False, False),
    ],
)
def test_refusing_and_stopping(text: str, rejects: bool, stops: bool) -> None:
    assert (approvals.is_rejection(text), approvals.is_stop(text)) == (rejects, stops)


@given(st.text(max_size=20))
def test_no_text_both_approves_and_refuses(text: str) -> None:
    assert not (approvals.is_approval(text) and (approvals.is_rejection(text) or approvals.is_stop(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("generate 30 more complaint examples", ExplicitOrder("generate", 30, "complaint")),
        ("generate maybe 30 more complaint examples", ExplicitOrder("generate", 30, "complaint")),
        ("<@U0BOT> please generate 1,000 rows!", ExplicitOrder("generate", 1000)),
        ("Generate 100", ExplicitOrder("generate", 100)),
        ("yes, make 5 more", ExplicitOrder("generate", 5)),
        ("can you generate 20 examples for billing?", ExplicitOrder("generate", 20)),
        ("would you please generate 20 examples", ExplicitOrder("generate", 20)),
        ("make 15 really complex ones", ExplicitOrder("generate", 15, "really complex")),
        ("generate 75 by few-shot", ExplicitOrder("generate", 75)),
        ("generate 20 more please", ExplicitOrder("generate", 20)),
        ("add 12 edge case questions", ExplicitOrder("generate", 12, "edge case")),
    ],
)
def test_an_order_names_operation_and_count(text: str, expected: ExplicitOrder) -> None:
    assert approvals.explicit_order(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "don't generate 30 examples",
        "what if we generate 30 examples?",
        "generate 30?",
        "generate some examples",
        "generate 0 examples",
        "generate 30% more",
        "generate 2.5 examples",
        "generate 3 topics",
        "generate 3 topics and 20 examples",
        "generate 100, no, delete all",
        "add a Complaints category under General",
        "you said generate 30 examples",
        "delete 30 rows",
        "generate 30 for billing, no wait, don't",
        "generate 30 if the budget allows",
        "generate 30 examples later",
        "generate 30" + " for a" * 5000,
    ],
)
def test_anything_less_plain_is_no_order(text: str) -> None:
    assert approvals.explicit_order(text) is None


@pytest.mark.parametrize(
    ("user", "deciders", "costs", "guest", "allowed"),
    [
        ("anyone", [], False, False, True),
        ("anyone", ["boss"], False, False, True),
        ("anyone", [], True, False, False),
        ("owner", [], True, False, True),
        ("owner", ["boss"], True, False, False),
        ("boss", ["boss"], True, False, True),
        ("boss", ["boss"], True, True, False),
        ("owner", [], False, True, False),
        ("", [], False, False, False),
    ],
)
def test_who_may_decide(user: str, deciders: list[str], costs: bool, guest: bool, allowed: bool) -> None:
    assert (
        approvals.may_decide(user, deciders=deciders, owner="owner", costs=costs, is_guest=guest) is allowed
    )
