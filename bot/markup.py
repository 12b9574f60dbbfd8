"""Slack's markup to plain words: what somebody typed, as a dataset should have it. Pure.

Formatting signs such as *bold* stay, since people type them; only what Slack itself put into angle brackets is undone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

_TAG = re.compile(r"<([^<>\n]{1,4000})>")
_PERSON = re.compile(r"@([UW][A-Z0-9]+)")


def plain(text: str, names: Mapping[str, str]) -> str:
    """Mentions become names, channels their name, links their text; `&amp;`, `&lt;`, `&gt;` what they stand for.

    `names` maps user ids to what people are called; an unknown one becomes "@somebody".
    """
    return html.unescape(_TAG.sub(lambda found: _meant(found[1], names), text)).strip()


def people_in(text: str) -> list[str]:
    """The ids of everybody who is mentioned, in order."""
    return list(dict.fromkeys(_PERSON.findall(" ".join(_TAG.findall(text)))))


def _meant(inside: str, names: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    if person := _PERSON.fullmatch(target):
        return f"@{names.get(person[1]) or label.lstrip('@') or 'somebody'}"
    if target.startswith("#"):
        return f"#{label or 'a channel'}"
    if target.startswith("!date"):
        return label or "a date"
    if target.startswith("!subteam"):
        return f"@{label.lstrip('@') or 'a group'}"
    if target.startswith("!"):
        return f"@{label.lstrip('@') or target[1:]}"
    if target.startswith("mailto:"):
        return label or target.removeprefix("mailto:")
    return label or target
