from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import diversity

TEXTS = st.lists(st.text("ab c", min_size=1, max_size=20), max_size=12)


@pytest.mark.parametrize(
    ("texts", "order", "expected"),
    [
        (["a b c", "d e f"], 1, 1.0),
        (["a b a b"], 1, 0.5),
        (["a b a b"], 2, 2 / 3),  # a b, b a, a b
        (["A, b!", "a B"], 2, 0.5),  # case and points make no difference
        (["a", "b"], 2, None),  # no pair of words anywhere
        ([], 1, None),
    ],
)
def test_distinct_n_is_different_n_grams_over_all(
    texts: list[str], order: int, expected: float | None
) -> None:
    assert diversity.distinct(texts, order) == (pytest.approx(expected) if expected is not None else None)


def test_self_similarity_is_the_mean_of_the_nearest_other() -> None:
    same = "where is my parcel today"
    assert diversity.self_similarity([same, same]) == 1.0
    assert diversity.self_similarity([same, "quick brown fox"]) == pytest.approx(0.0, abs=0.02)
    found = diversity.self_similarity([same, same, "quick brown fox"])
    assert found == pytest.approx(2 / 3, abs=0.02)
    assert diversity.self_similarity([same]) is None


def test_texts_that_nearly_repeat_an_earlier_one_are_counted() -> None:
    texts = [
        "where is my parcel with number seven",
        "Where is my parcel with number seven!",
        "a refund please",
    ]
    assert diversity.near_duplicate_share(texts) == pytest.approx(1 / 3)
    assert diversity.near_duplicate_share([]) is None


def test_examples_that_differ_are_chosen_rather_than_neighbours() -> None:
    texts = [
        "refund my order now",
        "refund my order today",
        "the password is wrong",
        "refund my orders now",
        "which courier",
    ]
    assert set(diversity.pool(texts).farthest(3)) == {0, 2, 4}
    assert diversity.pool(texts).farthest(3, start=2)[0] == 2
    assert diversity.pool(texts).farthest(9, start=11)[0] == 1  # starts wrap around
    assert diversity.pool([]).farthest(3) == []


@given(TEXTS, st.integers(0, 8), st.integers(0, 20))
def test_chosen_examples_are_as_many_as_there_can_be_and_none_twice(
    texts: list[str], k: int, start: int
) -> None:
    chosen = diversity.pool(texts).farthest(k, start=start)
    assert len(chosen) == len(set(chosen)) == min(k, len(texts))
    assert all(0 <= place < len(texts) for place in chosen)


@given(TEXTS)
def test_every_figure_is_a_share(texts: list[str]) -> None:
    found = diversity.measure(texts)
    figures = [*found.distinct, found.self_similarity, found.near_duplicate_share]
    assert all(figure is None or 0 <= figure <= 1 for figure in figures)
    assert found.rows == len(texts)


def test_many_texts_are_compared_by_an_even_selection() -> None:
    assert diversity.evenly([str(n) for n in range(10)], 5) == ["0", "2", "4", "6", "8"]
    assert diversity.measure([f"text number {n}" for n in range(400)]).rows == diversity.COMPARED
