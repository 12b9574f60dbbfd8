"""What each row of a round shall be in particular: every combination of what varies once, before any comes twice.

A row's number within its topic decides its combination, so a repeat asks for the same, and a round that goes on with an
earlier one begins where that one ended. Pure; writes no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tasks.rules.generation import DIFFICULTIES, Difficulty

MOST_ASPECTS = 8
USUAL_ASPECTS = (
    "something is missing that one would need to know",
    "several things at once",
    "unusual amounts or dates",
    "a tight deadline",
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One combination: what differs from the base scenario, who speaks, and how hard it is."""

    aspects: tuple[str, ...]
    persona: str
    difficulty: Difficulty


@dataclass(frozen=True, slots=True)
class Cell:
    """A keyword of a topic at one difficulty."""

    keyword: str
    difficulty: Difficulty


def options(aspect: str) -> tuple[str, ...]:
    """What an aspect can be: "tone: calm, angry" is calm or angry; "late fees" is there or not ("")."""
    name, colon, listed = aspect.partition(":")
    values = [value.strip() for value in listed.split(",") if value.strip()] if colon else []
    return tuple(f"{name.strip()}: {value}" for value in values) if len(values) > 1 else (aspect.strip(), "")


def combinations(aspects: Sequence[str], personas: int) -> int:
    """How many rows a scenario carries without repeating itself."""
    return _crossed(aspects) * max(1, personas) * len(DIFFICULTIES)


def scenario(aspects: Sequence[str], personas: Sequence[str], number: int) -> Scenario:
    """The combination of that number, from 0; all numbers below `combinations` give different ones."""
    kinds = _crossed(aspects)
    place, lap = number % kinds, number // kinds
    persona_lap, difficulty_lap = lap % max(1, len(personas)), lap // max(1, len(personas))
    return Scenario(
        aspects=_nth(aspects, place),
        persona=personas[(place + persona_lap) % len(personas)] if personas else "",
        difficulty=DIFFICULTIES[(place + persona_lap + difficulty_lap) % len(DIFFICULTIES)],
    )


def cell(keywords: Sequence[str], number: int) -> Cell:
    """Keyword and difficulty of that number, from 0: all of them are met before one comes again."""
    words = keywords or ("",)
    place, lap = number % len(words), number // len(words)
    return Cell(words[place], DIFFICULTIES[(place + lap) % len(DIFFICULTIES)])


def _crossed(aspects: Sequence[str]) -> int:
    return prod(len(options(aspect)) for aspect in aspects)


def _nth(aspects: Sequence[str], place: int) -> tuple[str, ...]:
    chosen = []
    for aspect in aspects:
        values = options(aspect)
        chosen.append(values[place % len(values)])
        place //= len(values)
    return tuple(value for value in chosen if value)
