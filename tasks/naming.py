"""What sets a group of texts apart, in words; and a name for it that reads like one where no model can be asked.

A term speaks for a group when many of its texts have it and few others do. A name is a phrase that people wrote ("Delivery
address"), or two words joined ("Refund and voucher"); greetings, days, and verbs that could be about anything name nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tasks.sorting.stop_words import SMALL_TALK, STOP_WORDS
from tasks.sorting.tokens import plain

TERMS = 10
NAMED_SHARE = 0.2  # of a group's texts that a name alone should stand for; below, two words make it
PHRASE = 1.3  # how much more two words in a row tell than one
_WORD = re.compile(r"[^\W\d_]+")
NOUN = 0.5  # from this share on a word is used as a noun
_DETERMINERS = (
    "the a an my your our his her their this that these those of no any some each every with for about"
)
_PRONOUNS = "to i you we they he she it who not can cannot could will would should must may might did do does didn don please and was were"
_BEFORE_NOUNS, _BEFORE_VERBS = frozenset(_DETERMINERS.split()), frozenset(_PRONOUNS.split())


def terms_of(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """For each group up to ten words and pairs of neighbours, most telling first, none of them part of another; spelled
    as the texts spell them."""
    counts = [_counted(group) for group in groups]
    everywhere = sum(counts, Counter[str]())
    total = sum(len(group) for group in groups)
    found = []
    for group, count in zip(groups, counts, strict=True):
        others = max(1, total - len(group))
        least = 1 if len(group) < 4 else 2
        scores = {
            term: _telling(inside / len(group), (everywhere[term] - inside) / others)
            * (PHRASE if " " in term else 1.0)
            for term, inside in count.items()
            if inside >= least
        }
        ranked = sorted(scores, key=lambda term: (-scores[term], term))
        kept = _without_repeats([term for term in ranked if scores[term] > 0 or total == len(group)])[:TERMS]
        found.append(tuple(_spelled(kept, group)))
    return found


def names_of(groups: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[str]:
    """A short name for each (terms, texts), spelled as the texts spell it; "" for a group without a term. No two are the same."""
    nouns = _nouns([text for _, texts in groups for text in texts])
    taken: set[str] = set()
    names = []
    for terms, texts in groups:
        offered = list(_offered(terms, texts, nouns))
        name = next((one for one in offered if one.casefold() not in taken), "")
        taken.add(name.casefold())
        names.append(name)
    return names


def _offered(terms: Sequence[str], texts: Sequence[str], nouns: Mapping[str, float]) -> Iterator[str]:
    """Names from best to worst. A phrase that many texts have stands alone; else two terms are joined."""
    spelled = [(term, [plain(word) for word in term.casefold().split()]) for term in terms]
    named = [term for term, words in spelled if nouns.get(words[-1], 0.5) >= NOUN] or list(terms)
    said = [" ".join(_plain_words(text)) for text in texts]
    if named and " " in named[0] and _share(named[0], said) >= NAMED_SHARE:
        yield _titled(named[0])
    yield from (_titled(f"{named[0]} and {other}") for other in named[1:])
    yield from (_titled(one) for one in named)


def _share(term: str, said: Sequence[str]) -> float:
    words = " ".join(_plain_words(term))
    return sum(words in one for one in said) / max(1, len(said))


def _titled(words: str) -> str:
    return words[:1].upper() + words[1:]


def _nouns(texts: Sequence[str]) -> dict[str, float]:
    """How noun-like each word is used, 0 to 1: "my order" and "an order" speak for it, "to order" and "I order" against.

    Words that are seldom met in either place are left out."""
    for_it, against = Counter[str](), Counter[str]()
    for text in texts:
        words = _WORD.findall(text.casefold())
        for before, word in pairwise(words):
            for_it[plain(word)] += before in _BEFORE_NOUNS
            against[plain(word)] += before in _BEFORE_VERBS
    met = {word for word in {*for_it, *against} if for_it[word] + against[word] >= 2}
    return {word: for_it[word] / (for_it[word] + against[word]) for word in met}


def _counted(texts: Sequence[str]) -> Counter[str]:
    """In how many texts each word and pair stands; a text that repeats itself does not weigh more."""
    return Counter(term for text in texts for term in _candidates(text))


def _candidates(text: str) -> set[str]:
    words = _plain_words(text)
    telling = [word if _tells(word) else "" for word in words]
    pairs = {f"{one} {other}" for one, other in pairwise(telling) if one and other and one != other}
    return {word for word in telling if word} | pairs


def _plain_words(text: str) -> list[str]:
    return [plain(word) for word in _WORD.findall(text.casefold())]


def _tells(word: str) -> bool:
    return word not in STOP_WORDS and word not in SMALL_TALK and (len(word) > 2 or not word.isascii())


def _telling(inside: float, outside: float) -> float:
    """How much a term's presence speaks for the group: its share there times the log of how much likelier it is there."""
    return inside * math.log((inside + 0.01) / (outside + 0.01))


def _without_repeats(terms: Sequence[str]) -> tuple[str, ...]:
    """A word that is part of a pair already chosen says nothing new."""
    kept: list[str] = []
    for term in terms:
        if not any(set(term.split()) & set(other.split()) for other in kept):
            kept.append(term)
    return tuple(kept)


def _spelled(terms: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Each term as the texts mostly write it: "VAT", "return labels"."""
    wanted = {word for term in terms for word in term.split()}
    seen: dict[str, Counter[str]] = {word: Counter() for word in wanted}
    for text in texts:
        for word in _WORD.findall(text):
            if (found := plain(word.casefold())) in wanted:
                seen[found][word if word.isupper() and len(word) > 1 else word.casefold()] += 1
    best = {
        word: max(counts, key=lambda one: (counts[one], one)) if counts else word
        for word, counts in seen.items()
    }
    return [" ".join(best[word] for word in term.split()) for term in terms]
