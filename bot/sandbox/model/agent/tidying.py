"""Arguments of cleaning, from a person's words: what they name is done; "only" and "just" leave the rest."""

from __future__ import annotations

import re

from bot.sandbox.model.agent.situation import Situation
from bot.sandbox.model.asks import Json
from bot.sandbox.model.words import joined

_KINDS = (
    ("near_duplicates", r"\b(near|almost|similar)[\w -]{0,12}\b(duplicates?|same|identical|copies|rows)\b"),
    ("remove_duplicates", r"(?<!near-)(?<!near )\bduplicates?\b|\bde-?dup"),
    ("fix_formatting", r"\b(formatting|mojibake|encoding|html|entities|blank lines|control characters)\b"),
    ("empty_turns", r"\bempty (turns?|messages?)\b"),
    ("refusals", r"\brefusals?\b"),
)
_FOUND = {
    "remove_duplicates": "exact duplicates", "near_duplicates": "near-duplicates", "fix_formatting": "rows with broken formatting",
    "empty_turns": "rows with empty turns", "refusals": "refusals", "personal_data": "rows with personal data",
}  # fmt: skip
_PRIVATE = r"\b(personal|pii|private|e-?mails?|phones?|cards?|secrets?|keys?|tokens?|anonymi[sz]\w+|redact\w*|sensitive)\b"


def cleaning(words: str, situation: Situation) -> Json:
    """Everything as usual, besides what the words ask for or leave out."""
    named = [name for name, pattern in _KINDS if re.search(pattern, words, re.I)]
    private = _private(words)
    arguments: Json = dict.fromkeys(named, True) | ({"personal_data": private} if private else {})
    if re.search(r"\b(only|just|nothing but)\b", words, re.I):
        arguments = {**{name: False for name, _ in _KINDS}, **arguments}
    return arguments


def _private(words: str) -> str:
    if not re.search(_PRIVATE, words, re.I):
        return ""
    if re.search(
        r"\b(drop|remove|delete|throw out)\b[\w ]{0,24}\b(rows?|records?)\b.*" + _PRIVATE, words, re.I
    ):
        return "drop"
    return "report" if re.search(r"\b(report|only show|count)\b", words, re.I) else "mask"


def looked_words(data: Json) -> str:
    """After the look for what to clean."""
    found = data.get("found")
    if not isinstance(found, dict):
        return ""
    if not found:
        return "There is nothing to clean."
    named = joined(
        [f"{count} {_FOUND.get(code, str(code).replace('_', ' '))}" for code, count in found.items()]
    )
    return f"I found {named}. Nothing is changed yet; choose on the card what is done."


def cleaned_words(data: Json) -> str:
    """After the cleaning."""
    before, rows = data.get("rows_before"), data.get("rows")
    return (
        f"The data is cleaned: {rows} of {before} rows stay. Undo brings the version before back."
        if rows
        else ""
    )


def added_words(data: Json) -> str:
    """After one row was added or changed."""
    if not isinstance(data.get("record"), dict):
        return ""
    state = "it is valid" if data.get("valid") else f"it is rejected: {data.get('mend')}"
    return f"The row stands in dataset version {data.get('dataset_version')}; {state}."


def undone_words(data: Json) -> str:
    """After the last edit was taken back."""
    return str(data.get("note") or "")


def near_words(data: Json) -> str:
    """After near-duplicates were counted."""
    count = data.get("near_duplicates")
    if not isinstance(count, int):
        return ""
    return (
        f"{count} rows are near-duplicates of an earlier one; nothing was removed."
        if count
        else "There are no near-duplicates."
    )
