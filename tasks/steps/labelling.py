"""Keywords: the first and cheapest stage of categorising, and what a label is. Pure.

Keywords decide only where several agree and none points elsewhere. A whole batch of texts is looked through at once; the stages
after it are in `tasks/sorting/` (similarity) and `categorize.py` (the model).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.records import Topic
from tasks.sorting.tokens import Dictionary, Ints, Tokens, code_of, runs, words_of

KEYWORD_ACCEPTED = 0.9
LONGEST_PHRASE = 4  # words; a longer keyword is never met word for word

Confidences = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Label:
    topic: str
    confidence: float


class Keywords:
    """Looks for the leaves' keywords and names as whole words, plurals included; what two leaves share says nothing.

    `dictionary` may be a larger one, so that a batch's tokens serve other stages too; it must know the keywords' words.
    """

    def __init__(self, leaves: Iterable[Topic], dictionary: Dictionary | None = None) -> None:
        leaves = tuple(leaves)
        self._leaves = tuple(leaf.id for leaf in leaves)
        owners = _owners(leaves)
        self.dictionary = dictionary or Dictionary(sorted({word for phrase in owners for word in phrase}))
        told = [(phrase, topics[0]) for phrase, topics in owners.items() if len(topics) == 1]
        self._topics = np.array([topic for _, topic in told], dtype=np.int64)
        self._weights = np.array([1.0 + 0.5 * (len(phrase) - 1) for phrase, _ in told])
        self._tables = [_table(told, size, self.dictionary) for size in range(1, LONGEST_PHRASE + 1)]

    def label(self, text: str) -> Label | None:
        """The topic that keywords point to; 0.9 and more only when several point to it and none elsewhere."""
        best, confidence = self.guesses(self.dictionary.tokens([text]))
        return Label(self._leaves[best[0]], round(float(confidence[0]), 4)) if best[0] >= 0 else None

    def guesses(self, tokens: Tokens) -> tuple[Ints, Confidences]:
        """For each text the place of its topic among the leaves (-1: no keyword) and the confidence in it."""
        weights = self._weights_by_topic(tokens)
        best = weights.argmax(axis=1) if weights.shape[1] else np.zeros(tokens.texts, dtype=np.int64)
        most = weights.max(axis=1, initial=0.0)
        others = weights.sum(axis=1) - most
        return np.where(most > 0, best, -1), _confidence(most, others)

    def _weights_by_topic(self, tokens: Tokens) -> Confidences:
        """(texts, leaves): each phrase of a leaf counts once a text, longer ones more."""
        found = [
            _found(tokens, codes, phrases, size) for size, (codes, phrases) in enumerate(self._tables, 1)
        ]
        text = np.concatenate([one for one, _ in found])
        phrase = np.concatenate([other for _, other in found])
        once = np.unique(text * max(1, len(self._topics)) + phrase)
        text, phrase = np.divmod(once, max(1, len(self._topics)))
        places, size = text * len(self._leaves) + self._topics[phrase], tokens.texts * len(self._leaves)
        sums = np.bincount(places, self._weights[phrase], size).astype(np.float64)
        return sums.reshape(tokens.texts, len(self._leaves))


def _owners(leaves: Sequence[Topic]) -> dict[tuple[str, ...], list[int]]:
    """Each phrase and the places of the leaves that have it."""
    owners: dict[tuple[str, ...], list[int]] = {}
    for place, leaf in enumerate(leaves):
        for phrase in sorted({tuple(words_of(word)) for word in (*leaf.keywords, leaf.name)} - {()}):
            owners.setdefault(phrase, []).append(place)
    return owners


def _table(
    told: Sequence[tuple[tuple[str, ...], int]], size: int, dictionary: Dictionary
) -> tuple[NDArray[np.uint64], Ints]:
    """(codes of the phrases of that many words, ascending; which phrase each is)."""
    coded = {
        code_of([dictionary.number(word) for word in phrase]): place
        for place, (phrase, _) in enumerate(told)
        if len(phrase) == size
    }
    order = sorted(coded)
    return np.array(order, dtype=np.uint64), np.array([coded[code] for code in order], dtype=np.int64)


def _found(tokens: Tokens, codes: NDArray[np.uint64], phrases: Ints, size: int) -> tuple[Ints, Ints]:
    """(text, phrase) of every place where a phrase stands."""
    if not len(codes):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    here, text = runs(tokens, size)
    place = np.searchsorted(codes, here)
    place[place == len(codes)] = 0
    hit = codes[place] == here
    return text[hit], phrases[place[hit]]


def _confidence(best: Confidences, others: Confidences) -> Confidences:
    alone = np.select([best >= 3, best >= 2, best > 1], [0.96, 0.92, 0.8], 0.7)
    return np.where(best <= 0, 0.0, np.where(others > 0, 0.8 * best / np.maximum(best + others, 1e-9), alone))
