"""The voices that rows are generated in: short descriptions of people, cleaned and each once. Pure."""

from __future__ import annotations

from collections.abc import Iterable

MOST, LONGEST = 24, 160


def voices(given: Iterable[object]) -> tuple[str, ...]:
    """Usable descriptions in their order: one line, not empty, cut, none twice whatever its capitals."""
    found: dict[str, str] = {}
    for one in given:
        text = " ".join(one.split())[:LONGEST].strip(" -•.") if isinstance(one, str) else ""
        if len(text) > 2:
            found.setdefault(text.casefold(), text)
    return tuple(found.values())[:MOST]
