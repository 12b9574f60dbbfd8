"""Closing sentences that say nothing of the matter: "Sent from my phone", a signature, a courtesy.

Many messages of a team end in the same words whatever they are about; left in, they become topics of their own. A sentence is
boilerplate when it closes many texts that are otherwise different. Pure; what is stripped is only not compared, never removed
from a record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

FEWEST = 5  # texts that must close with a sentence before it counts
SHARE = 0.02  # and the share of all texts
LEFT_CHARACTERS = 15  # a text that would be shorter without its closing keeps it
_END = re.compile(r"(?<=[.!?])\s+")


def without_closings(texts: Sequence[str]) -> list[str]:
    """The texts without closing sentences that at least 5 texts and 2 % of all end in; same length and order."""
    split = [_END.split(text.strip()) for text in texts]
    closings = Counter(_plain(sentences[-1]) for sentences in split if len(sentences) > 1)
    common = {words for words, count in closings.items() if count >= max(FEWEST, SHARE * len(texts))}
    return [_stripped(text, sentences, common) for text, sentences in zip(texts, split, strict=True)]


def _stripped(text: str, sentences: list[str], common: set[str]) -> str:
    kept = list(sentences)
    while len(kept) > 1 and _plain(kept[-1]) in common:
        kept.pop()
    shorter = " ".join(kept)
    return shorter if len(shorter) >= LEFT_CHARACTERS else text


def _plain(sentence: str) -> str:
    return " ".join(sentence.casefold().split())
