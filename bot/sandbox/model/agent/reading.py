"""Counts and topics in people's words, and the lists that results and events have shown so far."""

from __future__ import annotations

import re
from typing import Any

from bot.sandbox.model.agent.situation import Situation, find
from bot.sandbox.model.words import overlap, stems

_NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "dozen": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100,
}  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.#%-])(\d{1,6})(?![\w%-])|\b(" + "|".join(list(_NUMBERS)[1:]) + r")\b", re.I)


def number_in(words: str) -> int | None:
    """The first count that is said, in digits or in words; percentages and names such as "E2" are none."""
    match = _NUMBER.search(words)
    if not match:
        return None
    return int(match.group(1)) if match.group(1) else _NUMBERS[match.group(2).lower()]


def topics_named(words: str, situation: Situation) -> list[str]:
    """Ids of known topics that the words name; the plain noun phrase where no topic is known by it."""
    known = known_topics(situation)
    said = set(stems(words))
    hits = [
        (overlap(stems(name), said), -place, identifier)
        for place, (identifier, name) in enumerate(known.items())
    ]
    strong = [identifier for share, _, identifier in sorted(hits, reverse=True) if share >= 0.5]
    if strong:
        named = {
            known[identifier].casefold(): identifier for identifier in reversed(strong)
        }  # a name that two trees have
        return [identifier for identifier in strong if identifier in named.values()][:4]
    phrase = re.search(
        r"\b(?:for|about|on|under|in)\s+(?:the\s+)?(?P<after>[A-Za-z][\w &/'-]{2,40}?)(?:\s+(?:topics?|categor\w+))?\s*[.!?,]?$"
        r"|(?:more|another|new|\d+|some|few)\s+(?P<before>[A-Za-z][\w &/'-]{2,30}?)\s+(?:examples?|rows?|records?|samples?|questions?|cases)",
        words,
        re.I,
    )
    noun = (phrase.group("after") or phrase.group("before") or "").strip() if phrase else ""
    vague = {
        "really",
        "complex",
        "synthetic",
        "more",
        "new",
        "additional",
        "them",
        "these",
        "those",
        "each",
        "topic",
        "training",
    }
    return [noun] if noun and not set(noun.lower().split()) & vague else []


def known_topics(situation: Situation) -> dict[str, str]:
    """Topic id → name, of every topic that was seen in results and events."""
    found: dict[str, str] = {}
    for seen in situation.knowledge():
        _collect_topics(seen, found, 0)
    return found


def find_first(situation: Situation, key: str) -> list[Any]:
    """The newest list that was seen under the key; [] when there is none."""
    for seen in situation.knowledge():
        found = find(seen, key)
        if isinstance(found, list):
            return found
    return []


def _collect_topics(value: Any, found: dict[str, str], depth: int) -> None:
    if depth > 6 or len(found) > 200:
        return
    if isinstance(value, list):
        for item in value:
            _collect_topics(item, found, depth + 1)
    elif isinstance(value, dict):
        identifier = value.get("topic") or (
            value.get("id") if {"children", "keywords"} & value.keys() else None
        )
        if isinstance(identifier, str) and identifier and identifier != "none":
            name = value.get("name") or identifier.rsplit("/", 1)[-1].replace("_", " ")
            found.setdefault(identifier, str(name))
        for key, item in value.items():
            if key in ("by_topic", "targets") and isinstance(item, dict):
                for topic in item:
                    found.setdefault(topic, topic.rsplit("/", 1)[-1].replace("_", " "))
            _collect_topics(item, found, depth + 1)
