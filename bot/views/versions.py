"""Two versions of a dataset side by side: what joined, left and changed, and how each came to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.views.kit import (
    NO_TOPIC,
    Json,
    Rendered,
    bullets,
    context,
    count,
    fields,
    header,
    listed,
    mapped,
    person,
    rendered,
    say,
    section,
    table,
    when,
    whole,
)
from tasks.rules.lineage import made_by

KINDS = (
    ("added", "Added"),
    ("removed", "Removed"),
    ("changed", "Changed"),
    ("topics", "Another topic"),
    ("validity", "Valid or not"),
)
WORDS = {"added": "added", "removed": "removed", "changed": "changed", "validity": "valid or not"}


def compared(data: Json) -> Rendered:
    """What happened to the rows between them."""
    old, new = whole(data.get("old")), whole(data.get("new"))
    rows, valid = listed(data.get("rows")) or [0, 0], listed(data.get("valid")) or [0, 0]
    counts = [(title, count(data[name], "row")) for name, title in KINDS if whole(data.get(name))]
    same = "" if counts else "Not one row differs."
    return rendered(
        f"Version {old} against {new}: {', '.join(f'{title.lower()} {words}' for title, words in counts) or same}",
        [
            header(f"Version {old} → {new}"),
            fields([*counts, ("Rows", _arrow(rows)), ("Valid", _arrow(valid))]),
            section(same),
            _moves(data),
            section(bullets([_example(mapped(one)) for one in listed(data.get("examples"))], most=8)),
            _history(data),
            context("What rows say is data. Versions are kept: ask me to go back to one."),
        ],
    )


def _arrow(pair: list[Any]) -> str:
    before, after = (whole(value) for value in (*pair, 0, 0)[:2])
    return f"{before:,} → {after:,}"


def _moves(data: Json) -> dict[str, Any] | None:
    moves = [mapped(one) for one in listed(data.get("topic_moves"))]
    rows = [[_topic(one.get("from")), _topic(one.get("to")), f"{whole(one.get('rows')):,}"] for one in moves]
    return table(["From topic", "To topic", "Rows"], rows, numbers=(2,), most=12)


def _topic(value: object) -> str:
    return "(fits nowhere)" if value == NO_TOPIC else str(value or "(not sorted yet)")


def _made_by(operation: object) -> str:
    """What made a version, as people say it."""
    return say(made_by(str(operation or "")), 40)


def _example(one: Mapping[str, Any]) -> str:
    kind = WORDS.get(str(one.get("kind")), "changed")
    before, after = say(one.get("before") or "", 140), say(one.get("after") or "", 140)
    if one.get("kind") == "validity":
        return f"`{say(one.get('id') or '', 40)}`: {before or 'valid'} → {after or 'valid'}"
    return f"_{kind}_ {before}{' → ' if before and after else ''}{after}"


def _history(data: Json) -> dict[str, Any] | None:
    """How the newer version came to be, newest first."""
    lines = []
    for one in map(mapped, listed(data.get("versions"))):
        made = f" from {whole(one.get('parent'))}" if one.get("parent") else ""
        lines.append(
            f"*{whole(one.get('number'))}*{made}: {_made_by(one.get('operation'))} by "
            f"{person(str(one.get('by') or ''))}, {when(float(one.get('at') or 0))}, {count(one.get('rows'), 'row')}"
        )
    return section(bullets(lines, most=8)) if lines else None
