"""How alike two texts are, from 0 to 1, by the measures that OpenAI's `text_similarity` grader names.

Pure and dependency-free. METEOR is left out: it needs a dictionary of synonyms that we do not have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

COMPARED_CHARACTERS = 4_000  # SequenceMatcher is quadratic; longer texts are compared by their beginnings
COMPARED_WORDS = 2_000


def fuzzy_match(one: str, other: str) -> float:
    """Share of characters in matching blocks, case and spacing aside."""
    left, right = _plain(one)[:COMPARED_CHARACTERS], _plain(other)[:COMPARED_CHARACTERS]
    return SequenceMatcher(None, left, right, autojunk=False).ratio() if left or right else 1.0


def bleu(response: str, reference: str) -> float:
    """Sentence BLEU up to 4-grams with brevity penalty; add-one smoothing above single words (Lin and Och 2004)."""
    said, wanted = _words(response), _words(reference)
    if not said or not wanted:
        return float(said == wanted)
    logs = []
    for size in range(1, min(4, len(said), len(wanted)) + 1):
        matched, total = _overlap(said, wanted, size)
        smooth = 0 if size == 1 else 1
        if matched + smooth == 0:
            return 0.0
        logs.append(math.log((matched + smooth) / (total + smooth)))
    penalty = min(0.0, 1 - len(wanted) / len(said))
    return math.exp(penalty + sum(logs) / len(logs))


def gleu(response: str, reference: str) -> float:
    """The smaller of precision and recall over all 1- to 4-grams (Wu et al. 2016)."""
    said, wanted = _words(response), _words(reference)
    counts = [
        (_overlap(said, wanted, size)[0], _count(said, size), _count(wanted, size)) for size in (1, 2, 3, 4)
    ]
    matched, said_total, wanted_total = (sum(column) for column in zip(*counts, strict=True))
    return matched / max(said_total, wanted_total) if max(said_total, wanted_total) else 1.0


def rouge_n(size: int) -> Callable[[str, str], float]:
    """F1 of n-grams in common."""

    def measure(response: str, reference: str) -> float:
        said, wanted = _words(response), _words(reference)
        matched = _overlap(said, wanted, size)[0]
        return _f1(matched, _count(said, size), _count(wanted, size))

    return measure


def rouge_l(response: str, reference: str) -> float:
    """F1 of the longest common subsequence of words."""
    said, wanted = _words(response), _words(reference)
    return _f1(_longest_common(said, wanted), len(said), len(wanted))


MEASURES: dict[str, Callable[[str, str], float]] = {
    "fuzzy_match": fuzzy_match,
    "bleu": bleu,
    "gleu": gleu,
    **{f"rouge_{size}": rouge_n(size) for size in range(1, 6)},
    "rouge_l": rouge_l,
}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _words(text: str) -> list[str]:
    cleaned = "".join(letter if letter.isalnum() else " " for letter in text.casefold())
    return cleaned.split()[:COMPARED_WORDS]


def _grams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + size]) for start in range(_count(words, size)))


def _count(words: Sequence[str], size: int) -> int:
    return max(0, len(words) - size + 1)


def _overlap(said: Sequence[str], wanted: Sequence[str], size: int) -> tuple[int, int]:
    return sum((_grams(said, size) & _grams(wanted, size)).values()), _count(said, size)


def _f1(matched: int, said: int, wanted: int) -> float:
    return 2 * matched / (said + wanted) if said + wanted else 1.0


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for place, candidate in enumerate(other, start=1):
            above = row[place]
            row[place] = before + 1 if word == candidate else max(row[place], row[place - 1])
            before = above
    return row[-1]
