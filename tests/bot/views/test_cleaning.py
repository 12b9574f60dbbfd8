"""The cleaning card and its form: what is ticked is what would be done, and rows cannot act in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.sandbox.workspace.block_kit import validate_view
from bot.views import cleaning, proposals
from tests.bot.views import cases

META = {"channel": "C1", "thread_ts": "1.0"}


def read(blocks: Any) -> str:
    return "\n".join(block["text"]["text"] for block in blocks if block and block["type"] == "section")


@pytest.mark.parametrize("number", [0, 3, cases.MANY])
@pytest.mark.parametrize("text", ["Refunds", cases.HOSTILE])
def test_slack_takes_the_form(number: int, text: str) -> None:
    assert validate_view(cleaning.form(META, cases.PAYLOADS["clean"](number, text))) == []


def test_slack_takes_the_form_of_nothing() -> None:
    assert validate_view(cleaning.form(META, {})) == []


def test_the_form_begins_with_what_the_card_says() -> None:
    view = cleaning.form(META, cases.PAYLOADS["clean"](3, "x"))
    what, private = (block["element"] for block in view["blocks"][:2])
    assert [one["value"] for one in what["initial_options"]] == ["remove_duplicates", "fix_formatting"]
    assert private["initial_option"]["value"] == "mask"
    assert json.loads(view["private_metadata"]) == META


def test_what_is_ticked_is_what_would_be_done() -> None:
    words = read(cleaning.proposal(cases.PAYLOADS["clean"](3, "x")))
    assert "☑️ *Exact duplicates*: 3 rows would be removed" in words
    assert "⬜ *Near-duplicates*: 3 rows stay as they are." in words
    assert "☑️ *Personal data and secrets*: 3 rows would be masked" in words
    params = {"personal_data": "report"}
    assert "are only reported" in read(
        cleaning.proposal({**cases.PAYLOADS["clean"](3, "x"), "params": params})
    )


def test_an_approved_card_still_says_everything_that_was_chosen() -> None:
    card = proposals.render(cases.proposal("clean", status="done"))
    words = read(card.blocks)
    assert all(title in words for title in cleaning.TITLES.values())


def test_a_card_on_which_nothing_is_chosen_has_nothing_to_approve() -> None:
    findings = [{"code": "near_duplicates", "rows": 3}, {"code": "personal_data", "rows": 2}]
    body = {"rows": 9, "findings": findings, "params": {"personal_data": "report"}}
    labels = json.dumps(proposals.render(cases.proposal("clean", payload=body)).blocks)
    assert "nothing is chosen yet" in labels
    assert "Clean it" not in labels
    assert '"Edit"' in labels


def test_rows_mention_nobody_on_the_card() -> None:
    words = read(cleaning.proposal(cases.PAYLOADS["clean"](3, "<!channel> <@U0EVIL>")))
    assert "<!channel>" not in words
    assert "<@U0EVIL>" not in words
    assert "&lt;!channel&gt;" in words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, ""),
        ({"held_out": 51}, "none of 51 held-out rows"),
        ({"held_out": 51, "near": 2, "exact": 1}, "1 with the same text, 2 with nearly the same text"),
        ({"held_out": 51, "locked_test": 5, "left_out": 1}, "5 test rows locked"),
    ],
)
def test_leakage_is_said_with_its_kinds(found: Any, words: str) -> None:
    assert words in cleaning.leakage(found)
