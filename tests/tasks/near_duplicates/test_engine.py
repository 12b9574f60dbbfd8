"""Near-duplicates found in bounded memory: the same as comparing every pair."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.near_duplicates import NearIndex
from tasks.near_duplicates.joining import joined
from tasks.near_duplicates.shingles import plain, similarities, similarity, trigrams
from tasks.near_duplicates.signatures import from_bytes, sign
from tasks.near_duplicates.spool import TextSpool
from tasks.rules.generation import NearDuplicates, normalised

LONG = (
    "please tell me where the parcel with my new lamp is because the courier said yesterday it was delivered"
)


def grouped(texts: list[str], *, part_rows: int = 7) -> list[int]:
    parts = [texts[at : at + part_rows] for at in range(0, len(texts), part_rows)]
    found = joined([sign(part) for part in parts], lambda part, at: [parts[part][place] for place in at])
    return found.tolist()


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (LONG, LONG.upper() + "!!", True),  # case and punctuation do not count
        (LONG, LONG.replace("lamp", "lamps"), True),
        (LONG, LONG.replace("the parcel with my new lamp", "my refund for order 5812"), False),
        ("Was ist mit dem Paket für Österreich passiert?", "was ist mit dem paket für österreich passiert", True),
        ("数据集中的重复行应该被找到并显示", "数据集中的重复行应该被找到并显示。", True),
        ("???", "???", False),  # nothing that can be compared
        ("", "", False),
        ("ab", "AB", True),
    ],
)  # fmt: skip
def test_what_is_a_near_duplicate(one: str, other: str, together: bool) -> None:
    assert grouped([one, "something else entirely, to stand between them", other])[2] == (
        0 if together else 2
    )
    index = NearIndex()
    index.add("one", one)
    found = index.find(other)
    assert (found is not None and found.key == "one") == together


@given(st.text(max_size=60))
def test_texts_are_compared_as_the_rule_says(text: str) -> None:
    assert plain(text) == normalised(text)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_the_fast_similarity_is_the_exact_one(one: str, other: str) -> None:
    plains = [plain(one) or "x", plain(other) or "x"]
    fast = similarities(plains, np.array([0]), np.array([1]))[0]
    assert fast == pytest.approx(similarity(trigrams(plains[0]), trigrams(plains[1])))


words = st.lists(
    st.sampled_from(
        ["refund", "parcel", "login", "invoice", "late", "broken", "again", "please", "help", "today"]
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(words.map(" ".join), max_size=25))
def test_nothing_is_grouped_that_no_chain_of_near_pairs_joins(texts: list[str]) -> None:
    found = grouped(texts)
    sets = [trigrams(plain(text)) for text in texts]
    for row, leader in enumerate(found):
        assert leader <= row
        if leader != row:
            mates = [other for other in range(len(texts)) if other != row and found[other] == leader]
            assert any(similarity(sets[row], sets[mate]) >= 0.9 - 1e-9 for mate in mates)


def test_planted_copies_are_found_and_honest_texts_are_left_alone() -> None:
    rng = random.Random(3)
    vocabulary = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(900)]
    texts = [" ".join(rng.choices(vocabulary, k=30)) for _ in range(600)]
    copies = {}
    for at in range(0, 600, 3):
        copies[len(texts)] = at
        texts.append(texts[at].replace(texts[at].split()[4], rng.choice(vocabulary), 1))
    exact = [trigrams(plain(text)) for text in texts]
    near = {row: at for row, at in copies.items() if similarity(exact[row], exact[at]) >= 0.9}
    found = grouped(texts, part_rows=100)
    assert len(near) > 150
    assert sum(found[row] == at for row, at in near.items()) >= 0.98 * len(near)
    assert all(found[row] == row for row in range(600))


def test_groups_are_transitive_and_led_by_their_first_row() -> None:
    first = LONG
    second = first.replace("new", "now")
    third = second.replace("lamp", "lump")
    assert grouped([third, "quite another question about invoices", first, second]) == [0, 1, 0, 0]


def test_a_thousand_equal_and_a_thousand_almost_equal_texts_are_cheap() -> None:
    texts = [LONG] * 1_000 + [f"{LONG} {number}" for number in range(1_000)]
    assert set(grouped(texts, part_rows=500)) == {0}


def test_the_same_texts_always_give_the_same_groups_and_signatures() -> None:
    texts = [f"{LONG} number {number // 2} of many that came in" for number in range(40)]
    assert grouped(texts) == grouped(texts)
    signed = sign(texts)
    again = from_bytes(signed.to_bytes())
    assert (again.digests == signed.digests).all()
    assert (again.bands == signed.bands).all()
    assert (again.sketches == signed.sketches).all()
    alone = sign(texts[3:4])
    assert (alone.bands[:, 0] == signed.bands[:, 3]).all()
    with pytest.raises(ValueError, match="signatures"):
        from_bytes(b"123")


def test_no_rows_have_no_groups() -> None:
    assert joined([], lambda part, at: []).tolist() == []
    assert joined([sign([])], lambda part, at: []).tolist() == []


def test_a_stop_returns_what_was_found_until_then() -> None:
    found = joined([sign([LONG, LONG, LONG + " 1"])], lambda part, at: [LONG] * len(at), stop=lambda: True)
    assert found.tolist() == [0, 0, 2]


def test_the_index_answers_as_the_exact_one_over_thousands_of_texts() -> None:
    rng = random.Random(5)
    vocabulary = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(500)]
    texts = [" ".join(rng.choices(vocabulary, k=12)) for _ in range(2_500)]
    index, exact = NearIndex(), NearDuplicates()
    for number, text in enumerate(texts):
        index.add(f"row{number}", text)
        exact.add(f"row{number}", text)
    assert len(index) == 2_500
    for text in (*texts[:40], *(text + "s" for text in texts[40:80]), "nothing like it at all"):
        assert index.find(text) == exact.find(text)


def test_the_spool_gives_back_what_it_was_given() -> None:
    texts = ["", "one", "two " * 100_000, "größer 数据", "half a pair \ud83d"]
    with TextSpool() as spool:
        assert [spool.append(text) for text in texts[:3]] == [0, 1, 2]
        spool.extend(texts[3:])
        assert [spool[number] for number in (4, 0, 3, 2, 1)] == [texts[n] for n in (4, 0, 3, 2, 1)]
        assert len(spool) == 5
