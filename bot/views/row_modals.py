"""Modals for rows: browse and review them, read one whole. Dicts in, view dicts out. Forms are `row_forms.py`.

What a person has chosen travels in the view's metadata and in its state; nothing is kept between two clicks elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bot.views.kit import (
    Block,
    Choice,
    Json,
    actions,
    button,
    clip,
    context,
    divider,
    escape,
    listed,
    mapped,
    option,
    person,
    plain,
    real,
    say,
    section,
    whole,
)
from bot.views.modals import MOST_OPTIONS
from bot.views.rows import facts, line

BROWSE = "rows"
MOST_TURNS = 20
MOST_COLUMNS = 12
ANY = "any"
BULK = (
    "With every row that matches: a card in the thread counts them exactly and asks before anything happens."
)
VALIDITY = (Choice("Valid and rejected", ANY), Choice("Valid", "yes"), Choice("Rejected", "no"))
SOURCES = (Choice("Any source", ANY), Choice("Uploaded", "uploaded"), Choice("Generated", "generated"))
CONFIDENCE = (
    Choice("Any confidence", ANY),
    Choice("High: 80 % or more", "high"),
    Choice("Medium: 50 to 80 %", "medium"),
    Choice("Needs review: below 50 %", "low"),
    Choice("Unsure: below 70 %", "unsure"),
)
SCORES = (
    Choice("Any score", ANY),
    Choice("Score below 0.25", "poor"),
    Choice("Score 0.25 to 0.65", "middle"),
    Choice("Score 0.65 or more", "good"),
)
BANDS: dict[str, tuple[float, float]] = {
    "high": (0.8, 1.01),
    "medium": (0.5, 0.8),
    "low": (0.0, 0.5),
    "unsure": (0.0, 0.7),
}
SCORE_BANDS: dict[str, tuple[float, float]] = {
    "poor": (0.0, 0.25),
    "middle": (0.25, 0.65),
    "good": (0.65, 1.01),
}


# ---------------------------------------------------------------- waiting, and what went wrong


def waiting(title: str, meta: Json, *, name: str = BROWSE) -> Block:
    """Shown at once, since a trigger lives three seconds; the contents follow."""
    return modal(name, title, meta, [section("Looking…")])


def said(title: str, meta: Json, text: str, *, name: str = BROWSE) -> Block:
    """A modal that only says something; `text` is mrkdwn made by code."""
    return modal(name, title, meta, [section(text)])


# ---------------------------------------------------------------- browsing


def browse(meta: Json, data: Json) -> Block:
    """A page of rows under filters. `data`: rows, topics [Choice], filter {field: value}, total, position, more, note."""
    chosen, reviewing = mapped(data.get("filter")), bool(data.get("reviewing"))
    topics, round_ = list(data.get("topics") or ()), whole(meta.get("n"))
    rows = [mapped(row) for row in listed(data.get("rows"))]
    picks = [option(one.text, one.value) for one in topics[:MOST_OPTIONS]]
    blocks: list[Block | None] = [
        section(str(data["note"])) if data.get("note") else None,
        _filters(chosen, topics, round_),
        _search(str(chosen.get("text") or ""), round_),
        context(_counted(data, len(rows))),
        divider(),
        *(block for row in rows for block in _row(row, picks if reviewing else [])),
        section("No row here. Other filters may find some.") if not rows and not data.get("more") else None,
        section("Nothing found so far; *Next* searches on.") if not rows and data.get("more") else None,
        _paging(data, reviewing),
        *_all_of_them(data, picks),
    ]
    return modal(BROWSE, "Review rows" if reviewing else "Rows", meta, blocks, submit="Done")


def _filters(chosen: Json, topics: Sequence[Choice], round_: int) -> Block | None:
    everything = (Choice("All topics", ANY), Choice("No topic", "none"), *topics[: MOST_OPTIONS - 2])
    return actions(
        choice("rows.filter:topic", "Topic", everything, str(chosen.get("topic") or ANY)),
        choice("rows.filter:valid", "Validity", VALIDITY, str(chosen.get("valid") or ANY)),
        choice("rows.filter:confidence", "Confidence", CONFIDENCE, str(chosen.get("confidence") or ANY)),
        choice("rows.filter:source", "Source", SOURCES, str(chosen.get("source") or ANY)),
        choice("rows.filter:score", "Score", SCORES, str(chosen.get("score") or ANY)),
        button("Clear", "rows.clear", "all", label="Clear all filters"),
        block_id=f"filters_{round_}",
    )


def _search(text: str, round_: int) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": "rows.filter:text", "max_length": 200}
    if text:
        element["initial_value"] = text[:200]
    element["placeholder"] = {"type": "plain_text", "text": "words that the row must contain"}
    element["dispatch_action_config"] = {"trigger_actions_on": ["on_enter_pressed"]}
    block: Block = {
        "type": "input",
        "block_id": f"text_{round_}",
        "label": plain("Text", 20),
        "element": element,
        "optional": True,
        "dispatch_action": True,
    }
    return block


def _counted(data: Json, shown: int) -> str:
    total, before = data.get("total"), whole(data.get("position"))
    span = f"Rows {before + 1:,}–{before + shown:,}" if shown else "No rows"
    if total is not None:
        return f"{span} of {whole(total):,} · version {whole(data.get('version'))}"
    return f"{span}{' and more' if data.get('more') else ''} · version {whole(data.get('version'))}"


def _row(row: Json, picks: list[Block]) -> list[Block | None]:
    id = str(row.get("id") or "")
    opener = button("Open", "rows.open", id, label=f"Open the row {say(row.get('text', ''), 40)}")
    if not picks or len(id) > 200:
        return [section(line(row), opener if len(id) <= 2_000 else None)]
    select: Block = {
        "type": "static_select",
        "action_id": f"review.pick:{id}",
        "placeholder": plain("Pick a topic", 150),
        "options": picks,
    }
    held = [one for one in picks if one["value"] == row.get("topic_key")]
    if held:
        select["initial_option"] = held[0]
    # a choice that stays as it is tells nobody anything, so agreeing has a button of its own
    right = button("It's right", f"review.keep:{id}", held[0]["value"]) if held and _is_unsure(row) else None
    return [section(line(row)), actions(select, right, opener)]


def _is_unsure(row: Json) -> bool:
    sure = real(row.get("confidence"))
    return sure is None or sure < 1.0


def _paging(data: Json, reviewing: bool) -> Block | None:
    back = button("Previous", "rows.page:previous", "previous") if whole(data.get("position")) else None
    on = button("Next", "rows.page:next", "next", style="primary") if data.get("more") else None
    add = None if reviewing else button("Add a row", "rows.add", "modal")
    undo = button("Undo the last edit", "rows.undo", str(data["undo"])) if data.get("undo") else None
    return actions(back, on, add, undo)


def _all_of_them(data: Json, picks: list[Block]) -> list[Block | None]:
    """What can be done with every row that matches, on this page or not."""
    if not listed(data.get("rows")):
        return []
    total = data.get("total")
    all_of = f"all {whole(total):,}" if total is not None else "all that match"
    move: Block | None = None
    if picks:
        move = {
            "type": "static_select",
            "action_id": "rows.move",
            "placeholder": plain(f"Move {all_of} to…", 150),
            "options": picks,
        }
    drop = button(f"Delete {all_of}…", "rows.delete", "matching", style="danger")
    return [
        divider(),
        section(str(data["note"])) if data.get("note") else context(BULK),
        actions(move, drop),
    ]


# ---------------------------------------------------------------- one row


def row(meta: Json, data: Json) -> Block:
    """One row, whole. `data`: facts (mrkdwn), turns [{role, text}], columns [{name, value}], source, link, quote, problem."""
    turns = [mapped(turn) for turn in listed(data.get("turns"))]
    columns = [mapped(one) for one in listed(data.get("columns"))]
    id = str(data.get("id") or "")
    blocks: list[Block | None] = [
        section(str(data["note"])) if data.get("note") else None,
        section(facts(mapped(data.get("row")))) if data.get("row") else None,
        section(f"⚠️ *{say(data['problem'], 300)}*\n{say(data.get('mend') or '', 300)}")
        if data.get("problem")
        else None,
        actions(
            button("Edit", "rows.edit", id, style="primary") if data.get("editable") else None,
            button("Delete…", "rows.delete", id, style="danger"),
        )
        if id and len(id) <= 2_000
        else None,
        context(str(data["not_editable"])) if data.get("not_editable") else None,
        *(_turn(turn) for turn in turns[:MOST_TURNS]),
        context(f"… and {len(turns) - MOST_TURNS} more turns.") if len(turns) > MOST_TURNS else None,
        divider() if columns else None,
        *(
            section(f"*{say(one.get('name', ''), 80)}*\n{escape(clip(str(one.get('value', '')), 600))}")
            for one in columns[:MOST_COLUMNS]
        ),
        context(f"… and {len(columns) - MOST_COLUMNS} more columns.")
        if len(columns) > MOST_COLUMNS
        else None,
        context(*_source(data)),
        section(f"*It cites*\n> {say(data['quote'], 600)}") if data.get("quote") else None,
    ]
    return modal("row", "A row", meta, blocks)


def _turn(turn: Json) -> Block | None:
    role = str(turn.get("role") or "?").capitalize()
    text = str(turn.get("text") or "") or "(nothing)"
    return section(f"*{say(role, 30)}*\n{escape(clip(text, 2_200))}")


def _source(data: Json) -> list[str]:
    link = str(data.get("link") or "")
    where = say(data.get("source") or "not known", 240)
    parts = [f"*From:* <{link}|{where}>" if link and not set(link) & set("<>|") else f"*From:* {where}"]
    if data.get("by"):
        parts.append(f"*By:* {person(str(data['by']))}")
    parts.append(f"*Id:* {say(data.get('id') or '', 80)}")
    if data.get("tokens"):
        parts.append(f"*Tokens:* {whole(data['tokens']):,}")
    return parts


# ---------------------------------------------------------------- parts


def modal(
    name: str,
    title: str,
    meta: Json,
    blocks: Sequence[Block | None],
    *,
    submit: str = "",
    close: str = "Close",
) -> Block:
    view: Block = {
        "type": "modal",
        "callback_id": name,
        "title": plain(title, 24),
        "close": plain(close, 24),
        "private_metadata": json.dumps(dict(meta), ensure_ascii=False, separators=(",", ":")),
        "blocks": [block for block in blocks if block][:100],
    }
    return {**view, "submit": plain(submit, 24)} if submit else view


def choice(action: str, label: str, choices: Sequence[Choice], chosen: str) -> Block:
    options = [option(one.text, one.value) for one in choices[:MOST_OPTIONS]]
    element: Block = {
        "type": "static_select",
        "action_id": action,
        "options": options,
        "placeholder": plain(label, 150),
    }
    held = [one for one in options if one["value"] == chosen]
    return {**element, "initial_option": held[0]} if held else element
