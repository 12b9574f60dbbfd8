"""Small text tools that every role of the stand-in uses: words, stems, overlap, seeded choice. No model, no data files."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")

STOP_WORDS = frozenset(
    """a about after again all also am an and any are as at be because been before being both but by can could did do
    does doing down during each few for from further had has have having he her here hers him his how i if in into is
    it its itself just me more most my no nor not now of off on once only or other our out over own please really s
    same she should so some such t than that the their them then there these they this those through to too under
    until up us very was we were what when where which while who whom why will with would you your yours i'm i've
    i'd it's don't can't didn't that's get got like want need tell know hi hello hey thanks thank maybe let let's
    also been still even""".split()  # noqa: SIM905  a list of 160 quoted words reads worse
)


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers, in order."""
    return [word.lower() for word in _WORD.findall(text)]


def content_words(text: str) -> list[str]:
    """Words that carry meaning, in order, repeated as they occur."""
    return [word for word in tokens(text) if word not in STOP_WORDS and (len(word) > 2 or word.isdigit())]


def stems(text: str) -> list[str]:
    """Stems of the content words: enough to match "refunds" with "refund" and "shipping" with "shipped"."""
    return [stem(word) for word in content_words(text)]


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "edly", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    word = word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
    return word.rstrip("ey") if len(word) > 4 else word


def sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def overlap(wanted: Iterable[str], present: Iterable[str]) -> float:
    """Share of the distinct `wanted` that are `present`; 0 when nothing is wanted."""
    distinct = set(wanted)
    return len(distinct & set(present)) / len(distinct) if distinct else 0.0


def jaccard(left: Iterable[str], right: Iterable[str]) -> float:
    a, b = set(left), set(right)
    return len(a & b) / len(a | b) if a | b else 0.0


def number_from(*parts: object) -> int:
    """A 64-bit number that only depends on the parts."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def seeded(*parts: object) -> random.Random:
    return random.Random(number_from(*parts))


def chosen(options: Sequence[T], *parts: object) -> T:
    return options[number_from(*parts) % len(options)]


def token_count(text: str) -> int:
    """About four characters a token; what usage reports."""
    return (len(text) + 3) // 4


def title_case(phrase: str) -> str:
    return " ".join(word if word.isupper() else word[:1].upper() + word[1:] for word in phrase.split())


def joined(parts: Sequence[str], *, last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"
