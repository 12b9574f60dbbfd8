"""How different texts are from one another: the figures beside generated rows, and the choice of examples that differ.

distinct-n is the share of different word n-grams among all of them (Li et al. 2016, "A Diversity-Promoting Objective
Function"). It falls as texts grow in number, so it is only ever compared between equally many texts. Similarity is the Jaccard
index of character trigrams, as for near-duplicates. Pure; judges nothing and rejects nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.rules.generation import NearDuplicates, normalised

COMPARED = 150  # texts at most: similarity looks at every pair
ORDERS = (1, 2, 3)
WIDTH = 3


@dataclass(frozen=True, slots=True)
class Diversity:
    """Of `rows` texts; each figure is None where there is too little text to tell. All lie between 0 and 1."""

    rows: int
    distinct: tuple[float | None, ...]
    self_similarity: float | None
    near_duplicate_share: float | None


def measure(texts: Sequence[str]) -> Diversity:
    """The figures of at most `COMPARED` texts, taken evenly from all of them."""
    chosen = evenly(texts, COMPARED)
    return Diversity(
        rows=len(chosen),
        distinct=tuple(distinct(chosen, order) for order in ORDERS),
        self_similarity=self_similarity(chosen),
        near_duplicate_share=near_duplicate_share(chosen),
    )


def distinct(texts: Sequence[str], order: int) -> float | None:
    """Different n-grams of words over all n-grams of words; None where no text has `order` words."""
    grams: list[tuple[str, ...]] = []
    for text in texts:
        words = normalised(text).split()
        grams += [tuple(words[start : start + order]) for start in range(len(words) - order + 1)]
    return len(set(grams)) / len(grams) if grams else None


def self_similarity(texts: Sequence[str]) -> float | None:
    """The mean over all texts of how much the most similar other one resembles; None for fewer than two texts."""
    if len(texts) < 2:
        return None
    sets = [_trigrams(text) for text in texts]
    closest = [0.0] * len(sets)
    for place, one in enumerate(sets):
        for other in range(place + 1, len(sets)):
            alike = _jaccard(one, sets[other])
            closest[place] = max(closest[place], alike)
            closest[other] = max(closest[other], alike)
    return sum(closest) / len(closest)


def near_duplicate_share(texts: Sequence[str]) -> float | None:
    """The share of texts that nearly repeat (0.9 and more) one before them; None without texts."""
    if not texts:
        return None
    seen, repeats = NearDuplicates(), 0
    for place, text in enumerate(texts):
        repeats += seen.find(text) is not None
        seen.add(str(place), text)
    return repeats / len(texts)


@dataclass(frozen=True, slots=True)
class Pool:
    """Texts to choose from again and again; what is compared is made once. Built by `pool`."""

    sets: tuple[frozenset[str], ...]

    def farthest(self, k: int, *, start: int = 0) -> list[int]:
        """Places of `k` texts that differ: begin at `start`, then always the one whose nearest chosen text is farthest away.

        (Gonzalez 1985: at worst half as spread as the best choice.) Fewer when there are fewer texts.
        """
        if not self.sets or k <= 0:
            return []
        chosen = [start % len(self.sets)]
        nearest = [_jaccard(one, self.sets[chosen[0]]) for one in self.sets]
        while len(chosen) < min(k, len(self.sets)):
            left = (place for place in range(len(self.sets)) if place not in chosen)
            best = min(left, key=nearest.__getitem__)
            chosen.append(best)
            alike = (_jaccard(one, self.sets[best]) for one in self.sets)
            nearest = [max(before, now) for before, now in zip(nearest, alike, strict=True)]
        return chosen


def pool(texts: Iterable[str]) -> Pool:
    return Pool(tuple(_trigrams(text) for text in texts))


def similarity(one: str, other: str) -> float:
    """How alike two texts are, 0 to 1."""
    return _jaccard(_trigrams(one), _trigrams(other))


def evenly(texts: Sequence[str], most: int) -> list[str]:
    """At most `most` texts, taken at equal distances."""
    count = min(most, len(texts))
    return [texts[place * len(texts) // count] for place in range(count)]


def _trigrams(text: str) -> frozenset[str]:
    plain = f" {normalised(text)} "
    return frozenset(plain[start : start + WIDTH] for start in range(max(1, len(plain) - WIDTH + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
