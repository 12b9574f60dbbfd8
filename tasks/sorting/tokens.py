"""Texts as arrays of word numbers: one pass over a whole batch, so that every later stage is arithmetic on arrays.

A word is its case-folded form without a plural "s"; longer numbers are all the same word; scripts without spaces are read sign by sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

UNKNOWN = 0
_BETWEEN = "\x1e"  # parts texts that are read as one; in a text itself it is read as a space
_WORD = re.compile(r"\x1e|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")
_SPELLINGS = 300_000  # remembered; beyond that a spelling is looked at anew each time
_NUMBERS = "<number>"
_PRIME = np.uint64(1_000_003)


@dataclass(frozen=True, slots=True)
class Tokens:
    """`words`: the numbers of all words of all texts, one after the other; `text`: which text each belongs to; `texts`: how many."""

    words: Ints
    text: Ints
    texts: int

    def pairs(self) -> tuple[Ints, Ints]:
        """(number of the first word · 2³² + number of the second, text) of neighbours within a text."""
        beside = self.text[1:] == self.text[:-1]
        return (self.words[:-1][beside] << 32) | self.words[1:][beside], self.text[1:][beside]


class Dictionary:
    """Words and their numbers, from 1. Growing, it numbers new words as they come; otherwise they are `UNKNOWN`."""

    def __init__(self, words: Iterable[str] = (), *, growing: bool = False) -> None:
        self._numbers = {word: number for number, word in enumerate(words, start=1)}
        self._spellings = _Spellings(self._numbers, growing=growing)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def words(self) -> tuple[str, ...]:
        """In the order of their numbers."""
        return tuple(self._numbers)

    def number(self, word: str) -> int:
        return self._spellings[word.casefold()]

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """About 150,000 short texts a second on one core."""
        whole = _BETWEEN.join([text.replace(_BETWEEN, " ") if _BETWEEN in text else text for text in texts])
        found = _WORD.findall(whole.casefold())
        numbers = np.fromiter(map(self._spellings.__getitem__, found), dtype=np.int64, count=len(found))
        ends = numbers < 0
        text = np.cumsum(ends, dtype=np.int64)
        return Tokens(numbers[~ends], text[~ends], len(texts))


class _Spellings(dict[str, int]):
    """Spelling → number; a spelling that is met for the first time is brought to its plain form."""

    def __init__(self, numbers: dict[str, int], *, growing: bool) -> None:
        super().__init__({_BETWEEN: -1})
        self._numbers, self._growing = numbers, growing

    def __missing__(self, spelling: str) -> int:
        word = plain(spelling)
        number = self._numbers.get(word, UNKNOWN)
        if number == UNKNOWN and self._growing:
            number = self._numbers[word] = len(self._numbers) + 1
        if len(self) < _SPELLINGS:
            self[spelling] = number
        return number


def plain(word: str) -> str:
    """A case-folded word without its plural ending; every long number is the same word."""
    if not word.endswith("s"):
        return _NUMBERS if len(word) > 3 and word.isdigit() else word
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "shes", "ches", "xes")) else word[:-1]


def words_of(text: str) -> list[str]:
    """The plain words of one text, in order."""
    return [plain(word) for word in _WORD.findall(text.casefold().replace(_BETWEEN, " "))]


def runs(tokens: Tokens, size: int) -> tuple[NDArray[np.uint64], Ints]:
    """(code, text) of every `size` words of one text that follow each other; `code_of` gives the same code to the same words."""
    last = len(tokens.words) - size + 1
    if last <= 0:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    whole = tokens.text[:last] == tokens.text[size - 1 :]
    codes = np.zeros(int(whole.sum()), dtype=np.uint64)
    for start in range(size):
        codes = codes * _PRIME + tokens.words[start : start + last][whole].astype(np.uint64)
    return codes, tokens.text[:last][whole]


def code_of(words: Sequence[int]) -> int:
    """One number for some words in a row, modulo 2⁶⁴; two different phrases share one about never."""
    code = 0
    for word in words:
        code = (code * int(_PRIME) + word) & 0xFFFF_FFFF_FFFF_FFFF
    return code
