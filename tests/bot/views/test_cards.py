"""Every card of every kind is one that Slack takes: empty, typical and enormous; and nobody's words act in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.sandbox.workspace.block_kit import validate_message, validate_view
from bot.views import VIEWS, help, home, proposals
from bot.views.kit import Rendered, model_markdown, say
from tests.bot.views import cases

SIZES = {"typical": (3, "Refunds"), "hostile": (3, cases.HOSTILE), "enormous": (cases.MANY, cases.HOSTILE)}


def faults(card: Rendered) -> list[str]:
    return validate_message(card.text, list(card.blocks))


@pytest.mark.parametrize("kind", sorted(VIEWS))
def test_a_card_without_data_is_still_a_card(kind: str) -> None:
    assert faults(VIEWS[kind]({})) == []


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("kind", sorted(VIEWS))
def test_slack_takes_the_card(kind: str, size: str) -> None:
    data = cases.events(*SIZES[size])[kind]
    assert faults(VIEWS[kind](data)) == []


def test_every_kind_of_event_has_a_case() -> None:
    assert set(cases.events(1, "x")) == set(VIEWS)


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("status", cases.STATUSES)
@pytest.mark.parametrize("kind", sorted(cases.PAYLOADS))
def test_slack_takes_a_proposal_in_each_state(kind: Any, status: Any, size: str) -> None:
    number, text = SIZES[size]
    card = proposals.render(
        cases.proposal(kind, number, text, status=status, ceiling_usd=2.5, deciders=("U0ADA", "S0APPROVERS"))
    )
    assert faults(card) == []
    assert ("proposal.approve" in json.dumps(card.blocks)) is (status == "open")


@pytest.mark.parametrize("kind", sorted(cases.PAYLOADS))
def test_slack_takes_a_proposal_with_an_empty_payload(kind: Any) -> None:
    assert faults(proposals.render(cases.proposal(kind, payload={}))) == []


@pytest.mark.parametrize("kind", sorted(set(VIEWS) - {"notice"}))
def test_nobody_is_mentioned_by_data(kind: str) -> None:
    card = VIEWS[kind](cases.events(2, "<!channel> <@U0EVIL> <!subteam^S1>")[kind])
    read = card.text + json.dumps(
        [block for block in card.blocks if block["type"] not in ("table", "header")]
    )
    for mention in ("<!channel>", "<@U0EVIL>", "<!subteam"):
        assert mention not in _parsed_by_slack(card), read


def _parsed_by_slack(card: Rendered) -> str:
    """The strings in which Slack would turn a mention into one: `text`, mrkdwn and markdown."""
    found = [card.text]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") in ("mrkdwn", "markdown"):
                found.append(value["text"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, (list, tuple)):
            for inner in value:
                walk(inner)

    walk(card.blocks)
    return "\n".join(found)


def test_a_card_that_costs_asks_once_more_before_it_spends() -> None:
    card = proposals.render(cases.proposal("training", ceiling_usd=12.0, deciders=("U0ADA",)))
    buttons = [
        element for block in card.blocks if block["type"] == "actions" for element in block["elements"]
    ]
    approve = next(item for item in buttons if item["action_id"] == "proposal.approve")
    assert "$12.00" in approve["confirm"]["text"]["text"]
    assert "<@U0ADA>" in json.dumps(card.blocks)


def test_going_back_to_a_version_says_what_that_means() -> None:
    body = {"action": "restore", "to": 1, "version": 3, "count": 9, "total": 8, "valid": 9}
    card = json.dumps(proposals.render(cases.proposal("rows", payload=body)).blocks)
    assert "the dataset is as it was in that version" in card
    assert "exactly these rows" not in card


def test_a_question_before_it_is_done_keeps_its_capitals() -> None:
    card = json.dumps(proposals.render(cases.proposal("rows", payload={"action": "delete"})).blocks)
    assert "Exactly these rows change" in card
    assert "and Undo brings it back" in card


def test_a_round_that_would_tip_the_balance_warns_and_only_an_evening_one_says_so() -> None:
    def said(before: float, after: float) -> str:
        body = {"total": 40, "strategy": "few_shot", "balance": before, "expected_balance": after}
        return json.dumps(proposals.render(cases.proposal("generation", payload=body)).blocks)

    assert "less even" in said(0.9, 0.2) and "catch up" not in said(0.9, 0.2)
    assert "catch up" in said(0.5, 0.7) and "less even" not in said(0.5, 0.7)


def test_a_round_without_topics_speaks_of_no_balance() -> None:
    card = json.dumps(VIEWS["generated"]({"kept": 3, "generated": 4, "asked": 4}).blocks)
    assert "Balance" not in card


def test_an_approved_card_says_who_and_when() -> None:
    card = proposals.render(cases.proposal("topics", status="done"))
    assert "Approved by <@U0ADA>" in json.dumps(card.blocks, ensure_ascii=False)


def test_a_grader_error_is_not_shown_as_zero() -> None:
    data = {"samples": [{"prompt": "p", "response": "r", "score": None, "error": "timed out"}]}
    assert "timed out" in json.dumps(VIEWS["grader_test"](data).blocks)


@pytest.mark.parametrize("number", [0, 3, 400])
def test_slack_takes_the_home_tab(number: int) -> None:
    workflow = {
        "name": cases.HOSTILE,
        "step": "dry_run",
        "percent": 40,
        "owner": "U0ADA",
        "updated_at": 1e9,
        "link": "https://x.example/p",
    }
    data = {
        "workflows": [workflow] * number,
        "approvals": [{"title": cases.HOSTILE, "link": "https://x.example/q"}] * number,
    }
    assert validate_view(home.render(data)) == []


def test_slack_takes_the_greeting() -> None:
    assert faults(help.greeting()) == []


def test_a_chart_has_a_place_words_and_a_text_equivalent() -> None:
    card = VIEWS["coverage"](cases.events(5, "Refunds")["coverage"])
    assert card.chart is not None
    images = [block for block in card.blocks if block["type"] == "image"]
    assert len(images) == 1 and "Refunds" in images[0]["alt_text"]
    assert any(block["type"] == "table" for block in card.blocks)


def test_escaping_leaves_no_half_entity() -> None:
    assert say("<" * 300, 50).count("&lt;") == 49
    assert model_markdown("hello <!channel> and <@U1> there") == "hello  and  there"


def test_a_card_speaks_of_topics_settings_and_checkpoints_as_people_do() -> None:
    row = {"topic": "uncategorised", "name": "uncategorised", "before": 0.1, "after": 0.2, "count": 3}
    done = {"model": "ft:m:1", "best_checkpoint": "ft:m:1:ckpt-18", "by_topic": [row], "next": "back_to_data"}
    read = json.dumps(VIEWS["training_done"](done).blocks)
    assert "(no topic)" in read and "uncategorised" not in read
    assert "`ckpt-18`" in read and "back_to_data" not in read
    begun = json.dumps(VIEWS["training_started"]({"hyperparameters": {"n_epochs": 2}}).blocks)
    assert "epochs 2" in begun and "n epochs" not in begun


def test_work_that_is_over_takes_one_line() -> None:
    card = VIEWS["progress"]({"title": "Sorting", "status": "finished", "label": "465 records"})
    assert card.blocks[0]["text"]["text"].count("\n") == 0
