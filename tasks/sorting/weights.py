"""How much each word and pair of neighbours says about a text: TF-IDF, fitted once on a sample, applied to anything.

Sublinear counts, smoothed inverse document frequency, rows of length 1. Words that nearly every text or hardly any has are left
out, so that a million rows need no more memory than the sample did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sorting.stop_words import STOP_WORDS
from tasks.sorting.tokens import Dictionary, Ints, Tokens

Floats = NDArray[np.float32]
Matrix = Any  # scipy.sparse.csr_matrix of float32; scipy brings no types

FEATURES = 40_000
COMMON = 0.7  # of the texts: a word in more of them says little


@dataclass(frozen=True, slots=True)
class Weights:
    """`words[n]`: the feature of word n, or -1; `pairs`: the codes of pairs that are features, ascending; `idf` by feature."""

    dictionary: Dictionary
    words: Ints
    pairs: Ints
    idf: Floats

    @property
    def features(self) -> int:
        return len(self.idf)

    def matrix(self, tokens: Tokens) -> Matrix:
        """(texts, features), each row of length 1 or empty. About 60,000 short texts a second on one core."""
        text, feature = self._found(tokens)
        return _normalised(self._counted(text, feature, tokens.texts), self.idf)

    def of(self, texts: Sequence[str]) -> Matrix:
        return self.matrix(self.dictionary.tokens(texts))

    def names(self) -> list[str]:
        """The words of each feature."""
        spelled = ("", *self.dictionary.words)
        names = [""] * self.features
        for number, feature in enumerate(self.words):
            if feature >= 0:
                names[feature] = spelled[number]
        single = int((self.words >= 0).sum())
        for place, code in enumerate(self.pairs):
            names[single + place] = f"{spelled[code >> 32]} {spelled[code & 0xFFFFFFFF]}"
        return names

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, to be stored; `from_arrays` is the way back."""
        return {
            "dictionary": np.array("\n".join(self.dictionary.words)),
            "words": self.words,
            "pairs": self.pairs,
            "idf": self.idf,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Weights:
        words = str(arrays["dictionary"]).split("\n")
        return cls(
            Dictionary(words if words != [""] else ()), arrays["words"], arrays["pairs"], arrays["idf"]
        )

    def _found(self, tokens: Tokens) -> tuple[Ints, Ints]:
        """(text, feature) of every word and pair that is one."""
        known = self.words[tokens.words]
        codes, beside = tokens.pairs()
        place = np.searchsorted(self.pairs, codes)
        place[place == len(self.pairs)] = 0
        is_pair = self.pairs[place] == codes if len(self.pairs) else np.zeros(len(codes), dtype=bool)
        single = int((self.words >= 0).sum())
        return (
            np.concatenate([tokens.text[known >= 0], beside[is_pair]]),
            np.concatenate([known[known >= 0], place[is_pair] + single]),
        )

    def _counted(self, text: Ints, feature: Ints, texts: int) -> Matrix:
        from scipy.sparse import csr_matrix

        ones = np.ones(len(text), dtype=np.float32)
        return csr_matrix((ones, (text, feature)), shape=(texts, self.features), dtype=np.float32)


def fitted(texts: Sequence[str], *, features: int = FEATURES) -> tuple[Weights, Tokens]:
    """The weights that these texts give, and the texts' tokens, so that nobody reads them twice."""
    dictionary = Dictionary(growing=True)
    tokens = dictionary.tokens(texts)
    least = 1 if len(texts) < 50 else 2
    words, word_idf = _words(dictionary, tokens, least)
    pairs, pair_idf = _pairs(dictionary, tokens, least + 1, features - len(word_idf))
    frozen = Dictionary(dictionary.words)
    return Weights(frozen, words, pairs, np.concatenate([word_idf, pair_idf]).astype(np.float32)), tokens


def _words(dictionary: Dictionary, tokens: Tokens, least: int) -> tuple[Ints, Floats]:
    """Each word's feature, and the weights of the features. Words of one sign say nothing, except where a script is made of them."""
    counts = _document_counts(tokens.words, tokens.text, len(dictionary) + 1)
    telling = np.array([False, *(_tells(word) for word in dictionary.words)])
    chosen = telling & (counts >= least) & (counts <= max(least, COMMON * tokens.texts))
    if not chosen.any():  # a handful of texts, or nothing but stop words: better than nothing
        chosen = counts > 0
        chosen[0] = False
    features = np.full(len(dictionary) + 1, -1, dtype=np.int64)
    features[chosen] = np.arange(int(chosen.sum()))
    return features, _idf(counts[chosen], tokens.texts)


def _pairs(dictionary: Dictionary, tokens: Tokens, least: int, most: int) -> tuple[Ints, Floats]:
    """The most frequent pairs of which at least one word tells something."""
    telling = np.array([False, *(_tells(word) for word in dictionary.words)])
    codes, text = tokens.pairs()
    useful = telling[codes >> 32] | telling[codes & 0xFFFFFFFF]
    pairs, place = np.unique(codes[useful], return_inverse=True)
    counts = _document_counts(place, text[useful], len(pairs))
    enough = np.flatnonzero((counts >= least) & (counts <= COMMON * tokens.texts))
    best = np.sort(enough[np.argsort(-counts[enough], kind="stable")[: max(0, most)]])
    return pairs[best], _idf(counts[best], tokens.texts)


def _document_counts(items: Ints, text: Ints, size: int) -> Ints:
    """In how many texts each item occurs."""
    once = np.unique(items * (int(text.max(initial=0)) + 1) + text)
    return np.bincount(once // (int(text.max(initial=0)) + 1), minlength=size)


def _idf(counts: Ints, texts: int) -> Floats:
    return (np.log((1 + texts) / (1 + counts)) + 1).astype(np.float32)


def _tells(word: str) -> bool:
    return word not in STOP_WORDS and (len(word) > 1 or not word.isascii())


def _normalised(counts: Matrix, idf: Floats) -> Matrix:
    counts.data = (1 + np.log(counts.data)) * idf[counts.indices]
    squares = np.bincount(_rows(counts), weights=counts.data**2, minlength=counts.shape[0])
    lengths = np.sqrt(np.maximum(squares, 1e-12)).astype(np.float32)
    counts.data /= lengths[_rows(counts)]
    return counts


def _rows(matrix: Matrix) -> Ints:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
