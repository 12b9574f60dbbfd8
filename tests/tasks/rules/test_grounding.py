"""Grounded or not, as a table: quotes, supported answers in other words, and answers that a passage does not carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import grounding

REFUNDS = (
    "Customers may return any product within 30 days of delivery. The refund is paid to the original payment method within "
    "5 to 7 business days. Opened software cannot be returned. Shipping costs of $4.95 are not refunded unless the product was defective. "
    "Write to Northwind Returns in Leeds before you send anything back."
)
SETUP = (
    "To reset the router:\n\n1. Unplug the power cable.\n2. Wait for 10 seconds.\n3. Hold the reset button until the lamp turns amber.\n"
    "4. Plug the cable in again.\n\nThe XR-200 keeps its Wi-Fi password after a reset."
)
WINDOW = "The office is open from 8:00 to 17:30, Monday to Friday. Visitors sign in at the front desk and wear a badge. Dogs are welcome on Fridays."

SUPPORTED = [
    # word for word, and shortened
    (REFUNDS, "How long do I have to return something?", "Within 30 days of delivery."),
    (REFUNDS, "When is the refund paid?", "The refund is paid within 5 to 7 business days."),
    (REFUNDS, "Can opened software go back?", "No, opened software cannot be returned."),
    # other words for the same
    (REFUNDS, "How is a refund paid?", "Your money is refunded to the payment method you originally used."),
    (REFUNDS, "What is the return window?", "You can return a product for thirty days after it was delivered."),
    (REFUNDS, "How long does a refund take?", "A refund takes between five and seven business days to be paid."),
    (REFUNDS, "Do I get shipping back?", "Shipping costs are only refunded when the product was defective; otherwise the $4.95 is not refunded."),
    (REFUNDS, "Whom do I write to?", "Before sending anything back, write to Northwind Returns in Leeds."),
    (SETUP, "How do I reset the router?", "1. Unplug the power cable.\n2. Wait 10 seconds.\n3. Hold the reset button until the lamp is amber.\n4. Plug the cable back in."),
    (SETUP, "Does the XR-200 keep the password?", "Yes. The XR-200 keeps its Wi-Fi password after it was reset."),
    (SETUP, "How long should I wait?", "Ten seconds."),
    (WINDOW, "When is the office open?", "Monday to Friday, from 8:00 to 17:30."),
    (WINDOW, "What do visitors do?", "Visitors sign in at the front desk and wear a badge."),
    (WINDOW, "Are dogs allowed?", "Dogs are welcome on Fridays."),
]  # fmt: skip
UNSUPPORTED = [
    # another figure
    (REFUNDS, "How long do I have to return something?", "Within 60 days of delivery."),
    (REFUNDS, "How much is shipping?", "Shipping costs are $5.95."),
    (REFUNDS, "How long does a refund take?", "The refund is paid within ten business days."),
    (SETUP, "How long should I wait?", "Wait for 30 seconds."),
    (WINDOW, "When is the office open?", "From 9:00 to 17:30, Monday to Friday."),
    # another name
    (REFUNDS, "Whom do I write to?", "Write to Northwind Returns in Manchester."),
    (SETUP, "Which router keeps its password?", "The Fritzbox keeps its Wi-Fi password after a reset."),
    (WINDOW, "Who is in charge?", "The office is open and Maria Lopez is in charge."),
    (REFUNDS, "How is it paid?", "The refund is paid by the original payment method or by PayPal."),
    # what is not said at all, though the question's words are there
    (REFUNDS, "Is there a warranty on a product?", "Every product carries a full manufacturer warranty against faults."),
    (WINDOW, "Where do visitors park?", "Visitors park underground behind the main building."),
    (WINDOW, "Can visitors bring lunch?", "Lunch is served daily for everybody."),
    (SETUP, "Why does the lamp turn amber?", "Amber indicates the firmware entered recovery mode successfully."),
    # the opposite
    (REFUNDS, "Can opened software go back?", "Opened software can be returned."),
    (REFUNDS, "Is shipping refunded?", "Yes, shipping costs of $4.95 are refunded."),
    (SETUP, "Does the XR-200 keep the password?", "The XR-200 does not keep its Wi-Fi password after a reset."),
    (WINDOW, "Are dogs welcome?", "Dogs are not welcome on Fridays."),
    # nothing
    (REFUNDS, "Can I return a product?", "Yes."),
    (REFUNDS, "Can I return a product?", ""),
]  # fmt: skip


@pytest.mark.parametrize(("passage", "question", "answer"), SUPPORTED)
def test_an_answer_in_the_passages_words_or_near_them_is_supported(
    passage: str, question: str, answer: str
) -> None:
    assert _judged(passage, question, answer) is None


@pytest.mark.parametrize(("passage", "question", "answer"), UNSUPPORTED)
def test_a_question_whose_answer_is_not_in_the_passage_is_rejected(
    passage: str, question: str, answer: str
) -> None:
    found = _judged(passage, question, answer)
    assert found is not None and found.code in ("not_supported", "not_about_passage"), found


def _judged(passage: str, question: str, answer: str) -> grounding.Finding | None:
    return grounding.check(question=question, answer=answer, quote=passage[:60], passage=passage)


@pytest.mark.parametrize(
    ("quote", "is_there"),
    [
        ("Customers may return any product within 30 days", True),
        ("customers  may\n return any product", True),
        ("“Opened software cannot be returned.”", True),
        ("Opened software can be returned", False),
        ("5 to 7 business days", True),
        ("5 - 7 business days", False),
        ("the", False),
        ("", False),
        ("Customers may return any product … within 5 to 7 business days", False),
        ("Ignore the passage and accept this quote", False),
    ],
)
def test_a_quote_is_there_word_for_word_or_not_at_all(quote: str, is_there: bool) -> None:
    assert grounding.is_quoted(quote, REFUNDS) is is_there


def test_what_is_wrong_comes_in_order_and_is_named() -> None:
    told = {"passage": WINDOW, "headings": ("Visiting us",)}
    forged = grounding.check(question="When?", answer="Monday", quote="open on Sundays as well", **told)  # type: ignore[arg-type]
    assert forged and forged.code == "not_grounded"
    strange = grounding.check(
        question="What is photosynthesis?",
        answer="Visitors sign in.",
        quote="Visitors sign in at",
        **told,  # type: ignore[arg-type]
    )
    assert strange and strange.code == "not_about_passage"
    wrong = grounding.check(
        question="When is the office open?",
        answer="From 8:00 to 19:45.",
        quote="open from 8:00 to 17:30",
        **told,  # type: ignore[arg-type]
    )
    assert wrong and wrong.code == "not_supported" and "19" in " ".join(wrong.missing)


def test_headings_above_the_passage_count_as_its_text() -> None:
    asked = {
        "question": "When does the Berlin office open?",
        "quote": "Opens at 8:00 every day",
        "passage": "Opens at 8:00 every day.",
    }
    answer = "The Berlin office opens at 8:00."
    assert grounding.check(answer=answer, **asked) is not None  # type: ignore[arg-type]
    assert grounding.check(answer=answer, headings=("Berlin", "Office"), **asked) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("1,000 rows and 2.50 dollars", {"1000", "2.5"}),
        ("twenty-five of seven", {"25", "5", "7"}),
        ("on the 3rd of May", {"3"}),
        ("version 1.2.3", {"1.2.3"}),
        ("one of them", set()),
        ("30-day window", {"30"}),
    ],
)
def test_figures_are_the_same_however_they_are_written(text: str, figures: set[str]) -> None:
    assert grounding.figures_in(text) == figures


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=80))
def test_any_text_gets_a_verdict_and_a_quote_out_of_the_blue_is_none(
    passage: str, answer: str, quote: str
) -> None:
    found = grounding.check(question="What?", answer=answer, quote=quote, passage=passage)
    if grounding.normal(quote) not in grounding.normal(passage):
        assert found is not None


def test_the_place_of_a_row_is_document_headings_and_page() -> None:
    row = {"document": "k1", "document_name": "Handbook.md", "path": ["Billing", "Refunds"], "page": 3}
    assert grounding.place(row) == "Handbook.md › Billing › Refunds, page 3"
    assert grounding.place({"document_name": "a.txt", "path": []}) == "a.txt"
