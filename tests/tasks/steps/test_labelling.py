"""The first stage of categorising: keywords that agree."""

from __future__ import annotations

import pytest

from storage.records import Topic
from tasks.steps.labelling import Keywords

BILLING = Topic("billing", "Billing", "", ("refund", "invoice", "credit card"))
LOGIN = Topic("login", "Login", "", ("password", "locked out", "account"))
DATA = Topic("data", "Data", "", ("account", "privacy"))


@pytest.mark.parametrize(
    ("text", "topic", "accepted"),
    [
        ("Please refund my invoice", "billing", True),
        ("Refunds of invoices, please", "billing", True),
        ("My credit card has no refund and no invoice", "billing", True),
        ("I forgot my password", "login", False),
        ("Refund my password invoice", "billing", False),
        ("My account", None, False),
        ("Horses", None, False),
        ("", None, False),
        ("An accountant's invoicement", None, False),
    ],
)
def test_keywords_are_sure_only_where_several_agree(text: str, topic: str | None, accepted: bool) -> None:
    label = Keywords((BILLING, LOGIN, DATA)).label(text)
    assert (label.topic if label else None) == topic
    assert (label is not None and label.confidence >= 0.9) == accepted


def test_a_batch_says_what_each_text_says_alone() -> None:
    keywords = Keywords((BILLING, LOGIN, DATA))
    texts = [
        "Please refund my invoice",
        "",
        "My credit card",
        "I forgot my password",
        "Horses",
        "locked out of privacy",
    ]
    best, confidence = keywords.guesses(keywords.dictionary.tokens(texts))
    ids = [("billing", "login", "data")[place] if place >= 0 else None for place in best]
    labels = [keywords.label(text) for text in texts]
    assert ids == [label.topic if label else None for label in labels]
    assert [round(float(one), 4) for one in confidence] == [
        label.confidence if label else 0.0 for label in labels
    ]


def test_longer_keywords_count_more_and_leaves_without_any_are_never_met() -> None:
    empty = Topic("none", "?!", "", ())
    keywords = Keywords((empty, BILLING))
    assert keywords.label("?!") is None
    phrase, word = keywords.label("My credit card"), keywords.label("My refund")
    assert phrase and word and phrase.confidence > word.confidence
    assert Keywords(()).label("anything") is None
