"""Groups of texts: found, spread over families, named so that people can read them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.clustering import MOST, clusters
from tasks.naming import names_of, terms_of
from tasks.rules.topics import MAX_CHILDREN
from tasks.sorting.weights import fitted

SUBJECTS = {
    "refund": ("When does the refund for my {t} arrive, order {n}?", "I want my money back for the {t}, the refund is late"),
    "reset link": ("The reset link for my {t} never comes", "I cannot log in, my reset link has expired again"),
    "tracking": ("The tracking of my parcel with the {t} shows nothing", "Where is the courier with my parcel, tracking {n}?"),
    "invoice": ("Please send the invoice with VAT for the {t}", "Our accountant needs an invoice for order {n}"),
}  # fmt: skip
THINGS = ("lamp", "chair", "phone", "clock", "radio", "kettle", "tent", "drill")


def texts(count: int) -> tuple[list[str], list[str]]:
    chance = random.Random(4)
    made, truth = [], []
    for place in range(count):
        subject = list(SUBJECTS)[place % 4]
        pattern = chance.choice(SUBJECTS[subject])
        made.append(
            f"Hello, {pattern.format(t=chance.choice(THINGS), n=chance.randrange(1000, 9999))} Thanks!"
        )
        truth.append(subject)
    return made, truth


def found(said: list[str], **fields: int) -> tuple[object, ...]:
    weights, tokens = fitted(said)
    return clusters(weights.matrix(tokens), said, seed=1, **fields)


def test_what_is_alike_comes_together() -> None:
    said, truth = texts(200)
    groups = found(said, levels=1)
    assert 4 <= len(groups) <= MAX_CHILDREN
    assert sorted(member for group in groups for member in group.members) == list(range(200))
    pure = sum(
        max(truth.count(one) and [truth[m] for m in group.members].count(one) for one in SUBJECTS)
        for group in groups
    )
    assert pure / 200 > 0.85
    assert [len(group.members) for group in groups] == sorted(
        (len(group.members) for group in groups), reverse=True
    )


def test_names_read_like_names_and_differ() -> None:
    said, _ = texts(200)
    groups = found(said, levels=1)
    names = names_of([(group.terms, [said[member] for member in group.members]) for group in groups])
    assert len(set(names)) == len(names) and all(names)
    words = " ".join(names).casefold()
    assert "reset link" in words and "tracking" in words and "invoice" in words
    assert not {"hello", "thanks", "cannot", "please", "want"} & set(words.split())
    assert all(name[0].isupper() and len(name.split()) <= 5 for name in names)


def test_capitals_stay_where_the_texts_have_them() -> None:
    ((terms,), name) = (
        terms_of([["the VAT rate"] * 5]),
        names_of([(("VAT rate",), ["the VAT rate"] * 5)])[0],
    )
    assert terms == ("VAT rate",) and name == "VAT rate"


@pytest.mark.parametrize("count", [0, 1, 3, 9, 40])
def test_few_texts_make_few_groups(count: int) -> None:
    said, _ = texts(count)
    groups = found(said) if said else clusters(np.zeros((0, 1)), said, seed=1)
    assert sum(len(group.members) for group in groups) == count
    assert len(groups) <= max(1, count // 4)


@given(st.lists(st.text(alphabet="abc é日?", max_size=12), min_size=8, max_size=40), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_any_texts_are_grouped_each_once(said: list[str], seed: int) -> None:
    weights, tokens = fitted(said)
    groups = clusters(weights.matrix(tokens), said, seed=seed)
    assert sorted(member for group in groups for member in group.members) == list(range(len(said)))


def test_families_are_bounded_and_only_of_several() -> None:
    chance = random.Random(2)
    words = [f"word{letter}" for letter in "abcdefghijklmnopqrst"]
    said = [" ".join(chance.choices(words[place % 10 : place % 10 + 5], k=6)) for place in range(900)]
    groups = found(said)
    families = [group.family for group in groups if group.family >= 0]
    assert len(groups) <= MOST
    assert all(families.count(family) > 1 for family in families)
    assert (
        len({*families, *(-place for place, group in enumerate(groups, 1) if group.family < 0)})
        <= MAX_CHILDREN
    )
