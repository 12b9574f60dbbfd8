"""A text as its character trigrams: as sets to compare two texts exactly, as numbers to sign many at once.

The definition is that of `rules.generation.NearDuplicates`: letters and digits, case-folded, single spaces, a space at either end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WIDTH = 3
_FOLD = bytes(code if code < 128 and chr(code).isalnum() else 32 for code in range(256)).lower()
_OTHER = re.compile(r"[\W_]+")
_ODD = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))  # of xxHash: large odd primes


@dataclass(frozen=True, slots=True)
class Shingles:
    """The trigrams of some texts in one row of 32-bit numbers; those of text i stand from `starts[i]` to `starts[i + 1]`."""

    numbers: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]


def plain(text: str) -> str:
    """What two texts are compared by: `rules.generation.normalised`, ten times as fast on ASCII. "" has nothing to compare."""
    if text.isascii():
        return b" ".join(text.encode().translate(_FOLD).split()).decode()
    return _OTHER.sub(" ", text.casefold()).strip()


def trigrams(plain_text: str) -> frozenset[str]:
    """The trigrams of a plain text that is not empty."""
    padded = f" {plain_text} "
    return frozenset(padded[at : at + WIDTH] for at in range(len(padded) - WIDTH + 1))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard: the share of all their trigrams that both have, 0 to 1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def shingles(plain_texts: Sequence[str]) -> Shingles:
    """The trigrams of plain texts that are not empty, as numbers that depend on the three characters alone."""
    padded = "".join(f" {text} " for text in plain_texts)
    codes = _codes(padded)
    lengths = np.fromiter((len(text) + 2 for text in plain_texts), dtype=np.int64, count=len(plain_texts))
    ends = np.cumsum(lengths)
    inside = np.ones(len(codes), dtype=np.bool_)
    inside[ends - 1] = inside[ends - 2] = False  # a trigram that begins there would reach into the next text
    numbers = codes[:-2] * _ODD[0] + codes[1:-1] * _ODD[1] + codes[2:] * _ODD[2]
    numbers ^= numbers >> np.uint32(15)
    numbers *= _ODD[1]
    numbers ^= numbers >> np.uint32(13)
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths - WIDTH + 1)))
    return Shingles(numbers[inside[:-2]], starts)


def _codes(text: str) -> npt.NDArray[np.uint32]:
    if text.isascii():
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.uint32)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32)


def similarities(
    plain_texts: Sequence[str], one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The similarity of many pairs at once, by the places of their texts. Trigrams count as equal when their 32 bits are."""
    numbers, starts = _distinct(plain_texts)
    sizes = np.diff(starts)
    keys = np.concatenate([_of_pairs(numbers, starts, side) for side in (one, other)])
    keys.sort()
    twice = keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)
    shared = np.bincount(twice.astype(np.int64), minlength=len(one))
    return shared / (sizes[one] + sizes[other] - shared)


def _distinct(plain_texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Each text's distinct trigrams, and where those of text i begin."""
    found = shingles(plain_texts)
    texts = np.repeat(np.arange(len(plain_texts), dtype=np.uint64), np.diff(found.starts))
    keys = texts << np.uint64(32) | found.numbers
    keys.sort()
    fresh = np.ones(len(keys), dtype=np.bool_)
    fresh[1:] = keys[1:] != keys[:-1]
    keys = keys[fresh]
    edges = np.arange(len(plain_texts) + 1, dtype=np.uint64) << np.uint64(32)
    return keys & np.uint64(0xFFFFFFFF), np.searchsorted(keys, edges)


def _of_pairs(
    numbers: npt.NDArray[np.uint64], starts: npt.NDArray[np.int64], texts: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """The trigrams of one side of the pairs, each with its pair's number above it."""
    sizes = starts[texts + 1] - starts[texts]
    ends = np.cumsum(sizes)
    places = np.arange(ends[-1]) + np.repeat(starts[texts] - (ends - sizes), sizes)
    pairs = np.repeat(np.arange(len(texts), dtype=np.uint64), sizes)
    return pairs << np.uint64(32) | numbers[places]
