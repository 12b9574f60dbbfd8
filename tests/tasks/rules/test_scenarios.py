from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import scenarios

ASPECTS = st.lists(
    st.sampled_from(["late fees", "tone: calm, angry", "size: small, usual, large", "abroad"]), unique=True
)


@pytest.mark.parametrize(
    ("aspect", "expected"),
    [
        ("late fees", ("late fees", "")),
        ("tone: calm, angry", ("tone: calm", "tone: angry")),
        ("tone: calm", ("tone: calm", "")),
        (" abroad ", ("abroad", "")),
    ],
)
def test_an_aspect_is_there_or_not_or_one_of_its_values(aspect: str, expected: tuple[str, ...]) -> None:
    assert scenarios.options(aspect) == expected


@given(ASPECTS, st.integers(1, 5))
def test_every_combination_comes_once_before_any_comes_again(aspects: list[str], people: int) -> None:
    voices = [f"p{number}" for number in range(people)]
    count = scenarios.combinations(aspects, people)
    found = [scenarios.scenario(aspects, voices, number) for number in range(count)]
    assert len(set(found)) == count
    assert scenarios.scenario(aspects, voices, count).aspects == found[0].aspects
    kinds = count // people // 3
    assert len({one.aspects for one in found[:kinds]}) == kinds  # what varies first is the scenario itself


def test_everything_plain_is_in_the_first_and_nothing_in_the_last() -> None:
    assert scenarios.scenario(["fees", "abroad"], ["x"], 0).aspects == ("fees", "abroad")
    assert scenarios.scenario(["fees", "abroad"], ["x"], 3).aspects == ()


def test_keywords_and_difficulties_are_crossed() -> None:
    cells = [scenarios.cell(["refund", "invoice"], number) for number in range(6)]
    assert len(set(cells)) == 6
    assert {cell.difficulty for cell in cells} == {"easy", "medium", "hard"}
    assert scenarios.cell([], 1).keyword == ""
