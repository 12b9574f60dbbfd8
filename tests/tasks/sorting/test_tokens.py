"""Texts as numbers: the same word has one number however it is written, and no text runs into the next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sorting.tokens import Dictionary, code_of, plain, runs, words_of


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("refunds", "refund"),
        ("companies", "company"),
        ("boxes", "box"),
        ("crashes", "crash"),
        ("address", "address"),
        ("status", "status"),
        ("this", "this"),
        ("gas", "gas"),
        ("404", "404"),
        ("20261120", "<number>"),
        ("", ""),
    ],
)
def test_plain_words(word: str, expected: str) -> None:
    assert plain(word) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My Refunds, please!", ["my", "refund", "please"]),
        ("delete_my_account", ["delete", "my", "account"]),
        ("日本語 text", ["日", "本", "語", "text"]),
        ("Straße", ["strasse"]),
        ("", []),
        ("?! …", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


@given(st.lists(st.text(max_size=40), max_size=8))
def test_a_batch_reads_as_its_texts_one_by_one(texts: list[str]) -> None:
    dictionary = Dictionary(growing=True)
    tokens = dictionary.tokens(texts)
    spelled = ("", *dictionary.words)
    assert tokens.texts == len(texts)
    for place, text in enumerate(texts):
        assert [spelled[word] for word in tokens.words[tokens.text == place]] == words_of(text)


def test_a_dictionary_that_does_not_grow_knows_no_new_words() -> None:
    dictionary = Dictionary(["refund"])
    assert dictionary.tokens(["Refunds for horses"]).words.tolist() == [1, 0, 0]
    assert len(dictionary) == 1


def test_runs_and_pairs_stay_within_a_text() -> None:
    dictionary = Dictionary(growing=True)
    tokens = dictionary.tokens(["credit card", "card credit card"])
    credit, card = dictionary.number("credit"), dictionary.number("card")
    codes, text = runs(tokens, 2)
    assert codes.tolist() == [code_of(pair) for pair in ([credit, card], [card, credit], [credit, card])]
    assert text.tolist() == [0, 1, 1]
    pairs, where = tokens.pairs()
    assert pairs[0] == pairs[2] != pairs[1]
    assert where.tolist() == [0, 1, 1]
    assert len(runs(tokens, 9)[0]) == 0 and np.issubdtype(runs(tokens, 9)[1].dtype, np.integer)
