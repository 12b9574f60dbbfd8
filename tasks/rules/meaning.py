"""Whether a rewritten text still says what the original said, as far as code can tell without understanding it.

Facts must stay exactly: numbers, codes, addresses, names, and whether something is denied. Wording must change, but not
beyond recognition. The lists of negations are of English, German, French, Spanish and Italian; where a word of one is an
innocent word of another, the texts compared are of one language, so it counts on both sides alike.
"""

from __future__ import annotations

import re
from collections import Counter

from tasks.rules.diversity import similarity
from tasks.rules.generation import Rejection, normalised

TOO_ALIKE = 0.9  # of character trigrams: nothing was rewritten
TOO_FAR = 0.12  # of trigrams and of longer words both: another text
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ADDRESS = re.compile(r"https?://\S+|[\w.+-]+@[\w-]+\.[\w.]+")
_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{3,}\b")
_NAME = re.compile(r"(?<![.!?:…\n\"“”»«(])(?<!^)\s([A-ZÀ-Þ][\w'’-]{2,}(?:\s[A-ZÀ-Þ][\w'’-]+)*)")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|nobody|without|cannot|neither|nor|unable"
    r"|nicht|kein\w*|nie|niemals|nichts|niemand|ohne|weder"
    r"|pas|jamais|rien|personne|sans|aucun\w*|nunca|nada|nadie|ningun\w*|sin|tampoco|non|mai|niente|nessun\w*|senza)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)
_COUNTED = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTED, start=2)} | {
    "twice": "2",
    "thrice": "3",
}


def problem(original: str, rewritten: str) -> Rejection | None:
    """Why the rewritten text may not stand for the original, or None when it may."""
    alike = similarity(original, rewritten)
    if normalised(original) == normalised(rewritten):
        return Rejection("duplicate_of_seed", "The same text as the row it was made from.")
    if alike >= TOO_ALIKE:
        return Rejection("near_duplicate", f"{alike:.0%} like the row it was made from.")
    changed = changed_facts(original, rewritten)
    if changed:
        return Rejection("changed_facts", changed)
    if max(alike, shared_words(original, rewritten)) < TOO_FAR:
        return Rejection("lost_meaning", f"Only {alike:.0%} like the row it was made from.")
    return None


def changed_facts(original: str, rewritten: str) -> str:
    """The first fact that is not the same in both, in words; "" when all are."""
    for what, facts in (("number", _numbers), ("address or code", _codes)):
        before, after = facts(original), facts(rewritten)
        if before != after:
            missing, added = list((before - after).elements()), list((after - before).elements())
            return f"A {what} changed: {', '.join([*missing, *added][:4])}."
    lost = [name for name in _names(original) if normalised(name) not in normalised(rewritten)]
    if lost:
        return f"A name is gone: {', '.join(lost[:4])}."
    if bool(_NEGATION.search(original)) != bool(_NEGATION.search(rewritten)):
        return "One of the two denies something, the other does not."
    return ""


def shared_words(one: str, other: str) -> float:
    """The share of longer words (by their first five letters) that two texts have in common, 0 to 1."""
    mine, theirs = _stems(one), _stems(other)
    return len(mine & theirs) / min(len(mine), len(theirs)) if mine and theirs else 0.0


def _numbers(text: str) -> Counter[str]:
    digits = [re.sub(r"[.,](?=\d{3}\b)", "", found).replace(",", ".") for found in _NUMBER.findall(text)]
    words = [_NUMBER_WORDS[word] for word in normalised(text).split() if word in _NUMBER_WORDS]
    return Counter(digits + words)


def _codes(text: str) -> Counter[str]:
    addresses = [found.rstrip(".,;!?)").casefold() for found in _ADDRESS.findall(text)]
    codes = [
        found.casefold()
        for found in _CODE.findall(_ADDRESS.sub(" ", text))
        if not re.fullmatch(r"\d+\w{2}", found)
    ]
    return Counter(addresses + codes)


def _names(text: str) -> list[str]:
    """Words with a capital in the middle of a sentence, days and months of English among them."""
    return [name for name in _NAME.findall(text) if name not in ("I'm", "I've", "I'd", "I'll")]


def _stems(text: str) -> set[str]:
    return {word[:5] for word in normalised(text).split() if len(word) > 3}
