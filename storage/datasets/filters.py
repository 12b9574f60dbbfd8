"""Which rows a page shows, and how few values it takes to find them: summaries first, then columns, words last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from storage.manifests import Summary
from storage.rows import UNCATEGORISED, Row, conversation_text


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows a page shows; everything given must hold.

    topic       a leaf id, or "uncategorised" for the rows that fit nowhere or that nobody has sorted yet
    confidence  at least the first, below the second (so that (0.0, 0.7) are the rows to review); the same for `score`
    source      "uploaded", "generated", or None for both
    text        appears somewhere in the conversation, whatever the case
    """

    topic: str | None = None
    valid: bool | None = None
    confidence: tuple[float, float] | None = None
    score: tuple[float, float] | None = None
    source: Literal["uploaded", "generated"] | None = None
    text: str = ""


def may_hold(summary: Summary, where: RowFilter) -> bool:
    """False when the summary already says that no row of the part matches."""
    holds = summary.rows > 0
    if where.valid is not None:
        holds = holds and (summary.valid if where.valid else summary.invalid) > 0
    if where.source is not None:
        holds = holds and (
            summary.generated > 0 if where.source == "generated" else summary.generated < summary.rows
        )
    named = where.topic not in (None, UNCATEGORISED)
    if named and (where.valid or not summary.invalid):  # topics count valid rows only
        holds = holds and valid_rows(summary, where.topic) > 0
    return holds


def valid_rows(summary: Summary, topic: str | None) -> int:
    """How many valid rows there are, of one topic or of all."""
    if topic is None:
        return summary.valid
    if topic == UNCATEGORISED:
        return summary.uncategorised
    found = summary.topics.get(topic)
    return found.rows if found else 0


def matching(rows: range, column: Callable[[str], Sequence[Any]], where: RowFilter) -> list[int]:
    """The positions of `rows` whose columns match; `column` gives one's values for these rows, and is asked only if needed."""
    places: Sequence[int] = rows
    for name, holds in _tests(where):
        values = column(name)
        places = [at for at in places if holds(values[at - rows.start])]
        if not places:
            break
    return list(places)


def _tests(where: RowFilter) -> list[tuple[str, Callable[[Any], bool]]]:
    tests: list[tuple[str, Callable[[Any], bool]]] = []
    if where.topic is not None:
        tests.append(("topic", lambda topic: (topic or UNCATEGORISED) == where.topic))
    if where.valid is not None:
        tests.append(("error", lambda error: (not error) == where.valid))
    if where.source is not None:
        tests.append(("is_generated", lambda made: bool(made) == (where.source == "generated")))
    for name, bounds in (("topic_confidence", where.confidence), ("score", where.score)):
        if bounds is not None:
            tests.append((name, _within(*bounds)))
    return tests


def _within(low: float, below: float) -> Callable[[Any], bool]:
    return lambda value: value is not None and low <= value < below


def may_mention(line: bytes, text: str) -> bool:
    """False when the bytes alone say that the text is not in the row: plain words in plain ASCII need no decoding."""
    plain = text.isascii() and text.isprintable() and not {'"', "\\"} & set(text)
    return not (plain and line.isascii()) or text.lower().encode() in line.lower()


def mentions(row: Row, text: str) -> bool:
    return not text or text.casefold() in (conversation_text(row.messages) or row.raw).casefold()
