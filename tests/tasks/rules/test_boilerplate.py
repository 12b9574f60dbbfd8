"""Closing sentences that many texts share are left out of comparisons; what a text is about is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.boilerplate import without_closings


def test_a_closing_that_many_texts_share_is_left_out() -> None:
    texts = [f"Where is parcel number {n}? I have guests coming at the weekend." for n in range(8)]
    assert without_closings(texts)[3] == "Where is parcel number 3?"


def test_a_closing_of_few_texts_stays() -> None:
    texts = ["Where is my parcel? It is a gift."] * 4 + [f"Please refund order {n} today." for n in range(20)]
    assert without_closings(texts) == texts


def test_a_text_that_is_nothing_but_the_closing_keeps_it() -> None:
    texts = ["Hi. Please call me back today." for _ in range(9)]
    assert without_closings(texts) == texts


def test_the_subject_in_front_is_never_taken_away() -> None:
    texts = ["I was charged twice for one order. Thanks a lot!" for _ in range(9)]
    assert set(without_closings(texts)) == {"I was charged twice for one order."}


@given(st.lists(st.text(max_size=80), max_size=30))
def test_every_text_keeps_its_place_and_never_becomes_empty(texts: list[str]) -> None:
    found = without_closings(texts)
    assert len(found) == len(texts)
    assert all(
        bool(after.strip()) == bool(before.strip()) for before, after in zip(texts, found, strict=True)
    )
