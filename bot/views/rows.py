"""Cards about rows: a few of them in the thread, the proposal to change many, and what came of it. Forms are `row_modals.py`."""

from __future__ import annotations

import json

from bot.views.kit import (
    NO_TOPIC,
    Block,
    Json,
    Rendered,
    actions,
    bullets,
    button,
    context,
    count,
    fields,
    figure,
    header,
    listed,
    mapped,
    more,
    percent,
    real,
    rendered,
    say,
    section,
    table,
    whole,
)
from tasks.rules.lineage import MADE_BY

SHOWN = 8
ROW_CHARACTERS = 220
DONE = {"delete": "deleted", "move": "moved", "restore": "restored"}


def listing(data: Json) -> Rendered:
    """A few rows that somebody asked to see, and the way to all of them."""
    rows = [mapped(row) for row in listed(data.get("rows"))]
    shown, total = rows[:SHOWN], data.get("total")
    which = ", ".join(say(word, 90) for word in listed(data.get("which"))[:8]) or "every row"
    of = f" of {count(total, 'row')}" if real(total) is not None else ""
    return rendered(
        f"{count(len(shown), 'row')}: {which}" if shown else f"No row here: {which}",
        [
            header("Rows"),
            context(f"{_first(len(shown), total)}{of} · {which}" if shown else f"None so far · {which}"),
            *(section(line(row)) for row in shown),
            actions(
                button("Browse rows", "rows.browse", preset(mapped(data.get("where"))), style="primary"),
                button("Add a row", "rows.add", str(data.get("workflow_id") or "")),
            ),
        ],
    )


def _first(shown: int, total: object) -> str:
    """How many are shown; "the first" where more may match than anybody has counted."""
    return f"The first {shown:,}" if real(total) is None and shown == SHOWN else f"{shown:,}"


def line(row: Json) -> str:
    """A row in two lines of mrkdwn: what it is, and how it begins."""
    return f"{facts(row)}\n> {say(row.get('text') or '(no text)', ROW_CHARACTERS)}"


def facts(row: Json) -> str:
    """Line, topic, confidence, score, state; never by sign alone."""
    parts = [f"line {whole(row.get('line'))}" if whole(row.get("line")) else ""]
    parts.append(f"*{topic_of(row.get('topic'))}*")
    if real(row.get("confidence")) is not None:
        parts.append(f"{percent(row['confidence'])} sure")
    if real(row.get("score")) is not None:
        parts.append(f"score {figure(row['score'])}")
    parts.append("generated" if row.get("generated") else "")
    parts.append("" if row.get("valid", True) else f"⚠️ rejected: {say(_code(row), 60)}")
    return " · ".join(part for part in parts if part)


def topic_of(name: object) -> str:
    text = str(name or "")
    return "no topic" if text in ("", NO_TOPIC) else say(text, 80)


def preset(where: Json) -> str:
    """A filter as a button carries it; none where it would not fit."""
    text = json.dumps(dict(where), ensure_ascii=False, separators=(",", ":"))
    return text if where and len(text) <= 1_500 else "all"


def changed(data: Json) -> Rendered:
    """What became of rows that were to be deleted, moved or brought back."""
    action, number = str(data.get("action") or "delete"), whole(data.get("count"))
    done = DONE.get(action, "changed")
    topic = f" to {say(data['topic'], 80)}" if data.get("topic") else ""
    words = f"{count(number, 'row')} {done}{topic}"
    if action == "restore":
        words = f"Dataset version {whole(data.get('dataset_version'))} stands again: {count(number, 'row')}"
    left = whole(data.get("left_as_changed"))
    return rendered(
        words,
        [
            section(f"✅ *{words}*"),
            fields(
                [
                    ("Rows now", f"{whole(data.get('total')):,} ({whole(data.get('valid_count')):,} valid)"),
                    ("Balance", figure(data.get("balance_score"))),
                    ("Dataset version", f"{whole(data.get('dataset_version'))}"),
                ]
            ),
            section(
                f"{count(left, 'row')} had been changed by somebody since the card was shown, and stayed as they are."
                if left
                else ""
            ),
            actions(
                button("Undo", "rows.undo", str(whole(data.get("version_before")))),
                button("Browse rows", "rows.browse", "all"),
            ),
            context("The version before stays; Undo asks first, then stands on it again."),
        ],
    )


def proposal(payload: Json) -> list[Block | None]:
    """The body of a proposal of kind `rows`."""
    if payload.get("action") == "restore":
        return _going_back(payload)
    number, total = whole(payload.get("count")), whole(payload.get("total"))
    delete = payload.get("action") != "move"
    what = "Delete" if delete else "Move"
    where = "" if delete else f" to *{topic_of(payload.get('topic'))}*"
    which = ", ".join(say(word, 90) for word in listed(payload.get("which"))[:8])
    every = " *That is every row of the dataset.*" if payload.get("everything") else ""
    return [
        section(f"{what} *{count(number, 'row')}* of {total:,}{where}: {which}.{every}"),
        section(_examples(listed(payload.get("examples")), number)),
        *_coverage(mapped(payload.get("coverage"))),
        _warnings(payload),
        context(
            f"Exactly these rows, as version {whole(payload.get('version'))} has them. "
            "The version before stays: *Undo* brings it back."
        ),
    ]


def _going_back(payload: Json) -> list[Block | None]:
    valid, now = whole(payload.get("valid")), whole(payload.get("total"))
    made_by = (
        f" ({say(MADE_BY.get(str(payload['made_by']), str(payload['made_by']).replace('_', ' ')), 60)})"
        if payload.get("made_by")
        else ""
    )
    return [
        section(
            f"Stand on dataset version *{whole(payload.get('to'))}*{made_by} again: "
            f"{count(payload.get('count'), 'row')}, {valid:,} valid. Now there are {now:,}."
        ),
        _warnings(payload),
        context(
            f"Version {whole(payload.get('version'))}, which stands now, stays too: you can come back to it."
        ),
    ]


def _examples(examples: list[object], number: int) -> str:
    shown = [mapped(one) for one in examples[:5]]
    lines = [f"> • {say(one.get('text') or '(no text)', 200)}" for one in shown]
    rest = more(len(shown), number, "rows")
    return "\n".join(["*Some of them*", *lines, *([rest] if rest else [])]) if lines else ""


def _coverage(data: Json) -> list[Block | None]:
    lines = [mapped(one) for one in listed(data.get("topics"))]
    if not data:
        return []
    balance = f"{figure(data.get('balance_before'))} → {figure(data.get('balance_after'))}"
    rows = [
        (one.get("name") or "", f"{whole(one.get('before')):,}", f"{whole(one.get('after')):,}")
        for one in lines
    ]
    rest = f" {whole(data.get('more')):,} more topics change." if whole(data.get("more")) else ""
    return [
        section(f"*Coverage:* balance {balance}.{rest}"),
        table(("Topic", "Rows now", "Rows after"), rows, numbers=(1, 2), most=12),
    ]


def _warnings(payload: Json) -> Block | None:
    lines = [say(one, 300) for one in listed(payload.get("warnings"))]
    return section("⚠️ *Mind*\n" + bullets(lines, 6)) if lines else None


def _code(row: Json) -> str:
    return str(row.get("error") or "not valid").replace("_", " ")
