"""Data that leaves: the card of an export, of a prepared dataset, of a dataset card; and the form that asks for one.

`shared` is set by the relay when the files themselves stand in the thread; without it each file has a link that expires.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    actions,
    bullets,
    button,
    context,
    count,
    fields,
    header,
    listed,
    mapped,
    rendered,
    say,
    section,
    whole,
)

SIDES = ("train", "validation", "test")
SIDE_NAMES = {"train": "Training", "validation": "Validation", "test": "Test"}
NO_FILE = "The file could not be put into the thread, so here is a link instead."
LINK_NOTE = "The link works for an hour and for whoever has it; *New link* makes another for you."


def export(data: Json) -> Rendered:
    """Files to take away, what is in them and what is not."""
    is_card = data.get("format") == "card"
    title = "Dataset card" if is_card else "Export ready"
    name, rows = say(data.get("file_name") or "export", 120), count(data.get("rows"), "row")
    about = f"version {whole(data.get('dataset_version'))}" if data.get("dataset_version") else ""
    told = [title, name, *([] if is_card else [rows])]
    return rendered(
        ", ".join(told) if is_card else f"{title}: {name}, {rows}",
        [
            header(title),
            _files(data),
            fields([] if is_card else _counts(data, about)),
            *_caveats(data),
            _next(data, is_card),
            _footer(data),
        ],
    )


def prepared(data: Json) -> Rendered:
    """A dataset divided for training: sides, leakage, files."""
    rows = count(data.get("rows"), "row")
    health = mapped(data.get("validation"))
    facts = [
        *_sides(data),
        ("For", say(data.get("task_type") or "chat", 40)),
        (
            "Dataset",
            f"`{say(data.get('dataset_id') or '', 80)}`, version {whole(data.get('dataset_version'))}",
        ),
        ("Rejected rows, left out", f"{whole(health.get('rejected')):,}"),
    ]
    return rendered(
        f"Dataset prepared: {rows}",
        [
            header("Dataset prepared"),
            _files(data),
            fields(facts),
            *_caveats(data),
            _next(data, False),
            _footer(data),
        ],
    )


# ---------------------------------------------------------------- parts


def _files(data: Json) -> Block | None:
    """Each file with its link, or where it is."""
    files = [mapped(one) for one in listed(data.get("files"))]
    if not files and data.get("file_name"):  # a card of an earlier version
        files = [{"file_name": data["file_name"], "link": data.get("link") or ""}]
    lines = [_file(one, bool(data.get("shared"))) for one in files]
    lead = f"{NO_FILE}\n" if data.get("not_shared") else ""
    return section(lead + ("\n".join(lines[:10])))


def _file(file: Mapping[str, Any], shared: bool) -> str:
    name, size = say(file.get("file_name") or "export", 120), _size(file.get("size"))
    link = str(file.get("link") or "")
    if shared:
        return f"`{name}`{size}, in this thread"
    usable = link.startswith(("http://", "https://")) and not any(mark in link for mark in "<>|\n ")
    return f"<{link}|Download {name.replace('|', ' ')}>{size}" if usable else f"{name}{size}"


def _counts(data: Json, about: str) -> list[tuple[str, str]]:
    form = say(data.get("format_title") or data.get("format") or "JSONL", 60)
    facts = [("Rows", f"{whole(data.get('rows')):,}"), ("Format", form), ("Dataset", about)]
    if data.get("with_invalid"):
        facts.append(("Rejected rows", "included"))
    if whole(data.get("generated_left_out")):
        facts.append(("Generated rows", "left out"))
    return facts + (_sides(data) if data.get("splits") else [])


def _sides(data: Json) -> list[tuple[str, str]]:
    sides = mapped(data.get("splits"))
    shares = say(data.get("shares") or "", 40)
    found = [(SIDE_NAMES[side], count(sides[side], "row")) for side in SIDES if side in sides]
    return [*found, ("Divided", shares)] if shares else found


def _caveats(data: Json) -> list[Block | None]:
    """What is not in the files and why, and what to beware of."""
    lines = [
        f"{count(one.get('rows'), 'row')} {say(one.get('why') or '', 160)}: left out"
        for one in map(mapped, listed(data.get("left_out")))
    ]
    names = [
        f"`{say(one.get('name') or '', 60)}` ({count(one.get('rows'), 'row')})"
        for one in map(mapped, listed(data.get("not_carried")))
    ]
    total = max(whole(data.get("not_carried_count")), len(names))
    if names:
        more = f" and {total - 5:,} more" if total > 5 else ""
        lines.append(f"The format cannot hold {count(total, 'column')}: {', '.join(names[:5])}{more}")
    if whole(data.get("formulas")):
        lines.append(
            f"{count(data.get('formulas'), 'row')} with a cell that begins like a formula: import the columns as text, "
            "a spreadsheet may run it"
        )
    lines += [say(note, 300) for note in listed(data.get("notes"))]
    return [section(bullets(lines, most=10)), section(_leakage(mapped(data.get("leakage"))))]


def _leakage(found: Mapping[str, Any]) -> str:
    """Held-out rows that resemble rows of training."""
    if not found:
        return ""
    kinds = (("exact", "the same text"), ("near", "nearly the same text"), ("same_source", "the same source"))
    parts = [f"{whole(found.get(name)):,} with {words}" for name, words in kinds if whole(found.get(name))]
    held = whole(found.get("held_out"))
    text = f"*Leakage*: none of the {held:,} held-out rows has company in training." if held else ""
    if parts:
        text = f"*Leakage*: of {held:,} held-out rows {', '.join(parts)} as rows that train."
    locked, out = whole(found.get("locked_test")), whole(found.get("left_out"))
    text += (
        f"\n{count(locked, 'test row')} locked: later versions keep them out of training." if locked else ""
    )
    return text + (f"\n{count(out, 'row')} on no side, for they resemble locked test rows." if out else "")


def _next(data: Json, is_card: bool) -> Block | None:
    workflow, task = str(data.get("workflow_id") or ""), str(data.get("task_id") or "")
    fresh = button("New link", "export.link", task) if task and not data.get("shared") else None
    card = None if is_card else button("Dataset card", "next.write_dataset_card", workflow)
    divide = (
        None
        if is_card or data.get("splits")
        else button("Prepare 80/10/10", "next.prepare_dataset", workflow)
    )
    return actions(button("Export…", "export.open", workflow), divide, card, fresh)


def _footer(data: Json) -> Block | None:
    return context("" if data.get("shared") else LINK_NOTE)


def _size(value: object) -> str:
    size = whole(value)
    if not size:
        return ""
    return f" ({size / 1e6:,.1f} MB)" if size >= 100_000 else f" ({max(1, size // 1000):,} kB)"
