"""TF-IDF: like texts have like rows, rare words weigh more, and what was fitted can be stored and read back."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tasks.sorting.weights import Weights, fitted

TEXTS = [
    f"please refund my {thing}, it is broken" for thing in ("lamp", "chair", "phone", "clock", "radio")
] + [f"reset the password of my {thing} account" for thing in ("lamp", "chair", "phone", "clock", "radio")]


def test_rows_have_length_one_and_like_texts_are_alike() -> None:
    weights, tokens = fitted(TEXTS)
    found = weights.matrix(tokens).toarray()
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    likeness = found @ found.T
    assert likeness[0, 1] > 0.5 > 0.3 > likeness[0, 6]


def test_a_text_of_unknown_words_is_an_empty_row() -> None:
    weights, _ = fitted(TEXTS)
    assert weights.of(["horses gallop", ""]).nnz == 0


def test_stored_and_read_back_it_weighs_the_same() -> None:
    weights, _ = fitted(TEXTS)
    kept = io.BytesIO()
    np.savez(kept, **weights.arrays())
    again = Weights.from_arrays(dict(np.load(io.BytesIO(kept.getvalue()), allow_pickle=False)))
    assert (again.of(TEXTS) != weights.of(TEXTS)).nnz == 0
    assert again.names() == weights.names()


def test_features_are_bounded_and_pairs_are_among_them() -> None:
    weights, _ = fitted(TEXTS * 10, features=12)
    assert weights.features <= 12
    assert "refund" in weights.names()
    wide, _ = fitted(TEXTS * 10)
    assert "reset the" in wide.names() and "of my" not in wide.names()


@pytest.mark.parametrize("texts", [["one"], ["the of and"], ["", ""], ["?!"], ["日本語", "別の文章"]])
def test_odd_texts_are_no_error(texts: list[str]) -> None:
    weights, tokens = fitted(texts)
    assert weights.matrix(tokens).shape == (len(texts), weights.features)
