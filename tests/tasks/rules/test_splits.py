from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.apportion import apportion
from tasks.rules.splits import SplitRow, split


def rows(
    count: int, topic: str = "a", *, generated: bool = False, group: str | None = None
) -> list[SplitRow]:
    return [
        SplitRow(f"{topic}{generated:d}{group}{number}", topic, group, generated) for number in range(count)
    ]


def validating(table: list[SplitRow], **options: object) -> list[SplitRow]:
    found = split(table, **options)  # type: ignore[arg-type]
    return [table[index] for index in found.indices("validation")]


def test_e1_splits_514_rows_into_463_and_51() -> None:
    real = [row for number, size in enumerate((120, 110, 97, 80, 67)) for row in rows(size, f"t{number}")]
    table = [*real, *rows(13, "complaints"), *rows(27, "complaints", generated=True)]
    found = split(table, seed=5)
    assert (len(table), found.count("train"), found.count("validation")) == (514, 463, 51)
    chosen = validating(table, seed=5)
    assert not any(row.generated for row in chosen)
    assert Counter(row.topic for row in chosen)["complaints"] == 4
    assert (found.synthetic_validation, found.leakage, found.notes) == (False, False, ())


def test_the_same_seed_gives_the_same_split() -> None:
    table = rows(200)
    assert split(table, seed=1) == split(table, seed=1)
    assert split(table, seed=1).sides != split(table, seed=2).sides


def test_every_topic_with_two_rows_validates() -> None:
    table = [*rows(90, "big"), *rows(2, "small"), *rows(1, "single")]
    assert Counter(row.topic for row in validating(table)) == {"big": 8, "small": 1}


@pytest.mark.parametrize("seed", range(8))
def test_a_group_over_two_topics_never_empties_one_of_them(seed: int) -> None:
    pair, both = "pair", "both"
    table = [
        *rows(1, "a"),
        SplitRow("1", "b", both),
        SplitRow("2", "a", both),
        SplitRow("3", "b", pair),
        SplitRow("4", "b", pair),
    ]
    found = split(table, seed=seed)
    assert {table[index].topic for index in found.indices("train")} == {"a", "b"}


def test_generated_rows_validate_only_while_real_ones_are_few() -> None:
    table = [*rows(30), *rows(100, generated=True)]
    assert not any(row.generated for row in validating(table))
    table = [*rows(29), *rows(100, generated=True)]
    found = split(table)
    assert found.synthetic_validation
    assert "Synthetic validation" in found.notes[0]


def test_three_seeds_and_their_variations_split_by_source() -> None:
    table = [row for seed in "xyz" for row in [*rows(1, group=seed), *rows(9, generated=True, group=seed)]]
    found = split(table)
    sides = {
        seed: {found.side(index) for index, row in enumerate(table) if row.group == seed} for seed in "xyz"
    }
    assert sorted(map(sorted, sides.values())) == [["train"], ["train"], ["validation"]]
    assert (found.synthetic_validation, found.leakage) == (True, False)


def test_a_single_source_is_split_by_row_and_says_so() -> None:
    table = [*rows(1, group="x"), *rows(39, generated=True, group="x")]
    found = split(table)
    assert (found.count("validation"), found.leakage) == (4, True)
    assert any("one source" in note for note in found.notes)


def test_seeds_whose_children_train_do_not_validate() -> None:
    seeds = [row for number in range(20) for row in rows(1, group=f"s{number}")]
    children = [row for number in range(20) for row in rows(2, generated=True, group=f"s{number}")]
    table = [*seeds, *children, *rows(40, "free")]
    assert {row.topic for row in validating(table)} == {"free"}


def test_when_every_real_row_has_children_validation_is_synthetic_rather_than_empty() -> None:
    seeds = [row for number in range(40) for row in rows(1, group=f"s{number}")]
    children = [row for number in range(40) for row in rows(3, generated=True, group=f"s{number}")]
    found = split([*seeds, *children])
    assert (found.count("validation"), found.synthetic_validation, found.leakage) == (16, True, False)


def test_a_test_set_is_made_when_asked_and_stays_locked() -> None:
    table = [*rows(60, "a"), *rows(40, "b")]
    found = split(table, train=0.8, validation=0.1, test=0.1, seed=4)
    assert (found.count("train"), found.count("validation"), found.count("test")) == (80, 10, 10)
    locked = {table[index].id for index in found.indices("test")}
    grown = [*rows(50, "c"), *table]
    again = split(grown, train=0.8, validation=0.1, test=0.1, seed=99, locked_test=locked)
    assert {grown[index].id for index in again.indices("test")} == locked


def test_a_new_row_that_resembles_the_locked_test_set_neither_joins_it_nor_trains() -> None:
    table = [SplitRow("new", "a", "pair"), SplitRow("old", "a", "pair"), *rows(50)]
    found = split(table, train=0.8, validation=0.1, test=0.1, locked_test={"old"})
    assert (found.side(0), found.side(1)) == ("left_out", "test")
    assert (found.count("test"), found.count("left_out")) == (1, 1)
    assert any("resemble the locked test set" in note for note in found.notes)


def test_a_locked_row_that_has_left_leaves_a_smaller_test_set() -> None:
    found = split(rows(50), train=0.8, validation=0.1, test=0.1, locked_test={"gone", "a0None3"})
    assert (found.count("test"), found.side(3)) == (1, "test")


@pytest.mark.parametrize(
    "shares",
    [{"train": 0.9, "validation": 0.2}, {"train": 1.2, "validation": -0.2}, {"train": 0, "validation": 1}],
)
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        split(rows(10), **shares)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_few_rows_leave_something_to_train_on(count: int) -> None:
    found = split(rows(count))
    assert found.count("validation") == (1 if count > 1 else 0)


table_of_rows = st.lists(
    st.builds(
        SplitRow,
        id=st.just("x"),
        topic=st.sampled_from(["a", "b", "c", None]),
        group=st.sampled_from([None, None, None, "g1", "g2", "g3", "g4"]),
        generated=st.booleans(),
    ),
    max_size=120,
)


@given(table_of_rows, st.sampled_from([0.0, 0.1]), st.integers(0, 99))
def test_splits_partition_without_leakage(table: list[SplitRow], test: float, seed: int) -> None:
    found = split(table, train=0.9 - test, validation=0.1, test=test, seed=seed)
    assert sum(found.count(side) for side in ("train", "validation", "test")) == len(table)
    assert not table or found.count("train") > 0
    real = sum(not row.generated for row in table)
    chosen = [table[index] for index in found.indices("validation")]
    assert found.synthetic_validation == any(row.generated for row in chosen)
    if real >= 30 and any(row.group is None and not row.generated for row in table):
        assert not found.synthetic_validation
    if not found.leakage:
        sides: dict[str | None, set[str]] = {}
        for index, row in enumerate(table):
            sides.setdefault(row.group, set()).add(found.side(index))
        assert all(len(used) == 1 for group, used in sides.items() if group is not None)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50), min_size=1),
    st.integers(0, 400),
    st.integers(0, 2),
)
def test_seats_sum_to_the_whole_within_bounds(weights: dict[str, int], total: int, least: int) -> None:
    seats = apportion(total, weights, minimum=dict.fromkeys(weights, least))
    floor = sum(min(least, weight) for weight in weights.values())
    assert sum(seats.values()) == max(floor, min(total, sum(weights.values())))
    assert all(min(least, weights[part]) <= seats[part] <= weights[part] for part in weights)
