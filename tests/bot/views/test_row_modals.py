"""Every modal about rows is one that Slack takes: empty, typical and enormous; and nobody's words act in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.rows import Browsing
from bot.sandbox.workspace.block_kit import validate_view
from bot.views import row_forms, row_modals
from bot.views.kit import Choice
from tests.bot.views.cases import HOSTILE, MANY

META = {"channel": "C0MODELS", "thread_ts": "1790000000.000100"}
SIZES = {"empty": (0, ""), "typical": (3, "Refunds"), "hostile": (3, HOSTILE), "enormous": (MANY, HOSTILE)}


def choices(number: int, text: str) -> list[Choice]:
    return [Choice(text, f"key{n}") for n in range(number)]


def row_of(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"r{number}" + "y" * 150 * (number > 50),
        "line": number,
        "text": text,
        "topic": text,
        "topic_key": "key1",
        "confidence": 0.4,
        "score": 0.2,
        "generated": True,
        "valid": bool(number % 2),
        "error": "user_message_too_short",
    }


def views(number: int, text: str) -> dict[str, dict[str, Any]]:
    trail = tuple((f"{n}.{n * 8}", n * 8) for n in range(200))
    state = Browsing(
        filter={"text": text[:200], "topic": "k" * 16}, trail=trail, following=("9999.99999", 10**6)
    )
    turns = [{"role": "user", "who": text, "text": text, "editable": n % 2 == 0} for n in range(number)]
    columns = [{"name": f"{text[:30]}{n}", "text": text, "value": text} for n in range(number)]
    page = {
        "rows": [row_of(n, text) for n in range(min(8, number))],
        "topics": choices(number, text),
        "filter": {"topic": "key1", "text": text},
        "total": number,
        "more": number > 3,
        "position": 8,
        "note": "✅ Saved.",
        "undo": 3,
    }
    whole = {
        "id": "r1",
        "row": row_of(1, text),
        "turns": turns,
        "columns": columns,
        "source": text,
        "link": "https://x.example/p",
        "quote": text,
        "by": "U0ADA",
        "problem": text,
        "mend": text,
        "editable": True,
    }
    groups = [(text or "w", choices(number, text))] * min(number, 20)
    shown = {
        "turns": turns[:20],
        "columns": columns[:12],
        "topics": choices(number, text),
        "topic": "key1",
        "answer": True,
    }
    return {
        "waiting": row_modals.waiting("Rows", META),
        "said": row_modals.said("Rows", META, "Nothing here."),
        "browse": row_modals.browse({**META, **state.as_meta()}, page),
        "review": row_modals.browse({**META, **state.as_meta()}, {**page, "reviewing": True}),
        "row": row_modals.row({**META, "list": state.as_meta()}, whole),
        "edit": row_forms.edit({**META, "turns": ["user"] * 20}, shown),
        "add": row_forms.add(META, choices(number, text)),
        "thread": row_forms.thread(META, turns, choices(max(1, number), text), groups, note="This thread"),
    }


@pytest.mark.parametrize("size", sorted(SIZES))
def test_slack_takes_every_modal(size: str) -> None:
    for name, view in views(*SIZES[size]).items():
        assert validate_view(view) == [], name
        assert len(view["private_metadata"]) <= 3_000, name


def test_nobodys_words_mention_anybody_in_a_modal() -> None:
    for name, view in views(3, "<!channel> <@U0EVIL> <https://evil.example|Approve>").items():
        texts = [text["text"] for block in view["blocks"] for text in _mrkdwn(block)]
        assert not any(
            "<!channel>" in text or "<@U0EVIL>" in text or "<https://evil" in text for text in texts
        ), name


def test_a_browsing_begins_anew_where_its_metadata_cannot_be_read() -> None:
    from bot.rows import browsing_of

    assert browsing_of({}) == Browsing()
    assert browsing_of({"c": "nonsense", "f": 3}) == Browsing()
    state = Browsing(
        filter={"topic": "k"}, trail=(("", 0), ("3.4", 8)), following=("5.1", 16), reviewing=True, round=2
    )
    assert browsing_of(json.loads(json.dumps(state.as_meta()))) == state


def _mrkdwn(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [found for one in value for found in _mrkdwn(one)]
    if not isinstance(value, dict):
        return []
    mine = [value] if value.get("type") == "mrkdwn" else []
    return mine + [found for inner in value.values() for found in _mrkdwn(inner)]
