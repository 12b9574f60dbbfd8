"""What a modal is told before it is accepted, and that each modal is one that Slack takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.listeners import forms
from bot.sandbox.workspace.block_kit import validate_view
from bot.views import modals
from bot.views.kit import Choice
from tests.bot.views.cases import HOSTILE

META = {"channel": "C1", "thread_ts": "1.0", "proposal_id": "p1"}


def view_of(name: str, values: dict[str, Any], metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {
        block: {
            block: {"selected_option": {"value": value}} if block in ("kind", "preset") else {"value": value}
        }
        for block, value in values.items()
    }
    blocks = [{"type": "input", "block_id": block} for block in values]
    return {
        "callback_id": name,
        "private_metadata": json.dumps(metadata or {}),
        "state": {"values": state},
        "blocks": blocks,
    }


@pytest.mark.parametrize(
    ("name", "values", "wrong"),
    [
        ("goal", {"goal": "be helpful"}, ""),
        ("row_add", {"text": "Where is it?"}, ""),
        ("row_add", {"text": " "}, "text"),
        ("row_thread", {"role_0": "user", "turn_0": "Where is it?", "workflow": "w1", "topic": "w1|k"}, ""),
        ("row_thread", {"role_0": "assistant", "turn_0": "Here."}, "role_0"),
        ("row_thread", {"role_0": "user", "turn_0": ""}, "role_0"),
        ("row_thread", {"role_0": "user", "turn_0": "Hm?", "workflow": "w1", "topic": "w2|k"}, "topic"),
        ("goal", {"goal": " "}, "goal"),
        ("topics", {"outline_0": "Billing\n  Refunds"}, ""),
        ("topics", {"outline_0": "Billing\n  Refunds\n  Refunds", "outline_1": ""}, ""),
        ("topics", {"outline_0": " "}, "outline_0"),
        ("topics", {"outline_0": "A\n B\n  C\n   D"}, "outline_0"),
        ("grader", {"kind": "criteria", "criteria": "Accuracy | 40 | right\nTone | 60 | kind"}, ""),
        ("grader", {"kind": "criteria", "criteria": "Accuracy | 0.4 | right\nTone | 0.6 | kind"}, ""),
        ("grader", {"kind": "criteria", "criteria": "Accuracy | 40 | right"}, "criteria"),
        ("grader", {"kind": "criteria", "criteria": "Accuracy"}, "criteria"),
        ("grader", {"kind": "criteria", "criteria": "Accuracy | much | right"}, "criteria"),
        ("grader", {"kind": "preset", "preset": ""}, "preset"),
        ("grader", {"kind": "preset", "preset": "quality"}, ""),
        ("grader", {"kind": "script", "script": "def grade(sample, item):\n    return 1.0"}, ""),
        ("grader", {"kind": "script", "script": "function evaluate(input) { return 1 }"}, ""),
        ("grader", {"kind": "script", "script": "function grade(input) { return 1 }"}, "script"),
        ("grader", {"kind": "script", "script": "def other(a, b):\n    return 1"}, "script"),
        ("generation", {"count": "30"}, ""),
        ("generation", {"count": "many"}, "count"),
        ("generation", {"count": "0"}, "count"),
        ("generation", {"count": "1,000"}, ""),
        ("bootstrap", {"goal": "be kind", "topic_count": "6", "count": "20"}, ""),
        ("bootstrap", {"goal": "", "topic_count": "6", "count": "20"}, "goal"),
        ("bootstrap", {"goal": "be kind", "topic_count": "1", "count": "20"}, "topic_count"),
        ("bootstrap", {"goal": "be kind", "topic_count": "6", "count": "0"}, "count"),
        ("training", {"train_split": "0.9", "epochs": ""}, ""),
        ("training", {"train_split": "nan", "epochs": "0"}, "train_split"),
        ("try", {"prompt": ""}, "prompt"),
        ("override", {"reason": "we know"}, ""),
        ("override", {"reason": ""}, "reason"),
        ("something else", {"x": ""}, ""),
    ],
)
def test_a_form_is_checked_before_it_is_accepted(name: str, values: dict[str, Any], wrong: str) -> None:
    errors = forms.errors_of(view_of(name, values))
    assert (wrong in errors) if wrong else errors == {}


def test_an_error_for_a_block_that_is_not_shown_is_shown_somewhere() -> None:
    view = view_of("grader", {"kind": "script"})
    assert set(forms.errors_of(view)) == {"kind"}


def test_criteria_survive_a_round_trip() -> None:
    text = "Accuracy | 40 | The facts are right\nTone | 60 | Friendly | and brief"
    read = [
        {"name": one.name, "weight": one.weight, "description": one.description}
        for one in forms.criteria_of(text)
    ]
    assert forms.criteria_of(forms.criteria_text(read)) == forms.criteria_of(text)


def test_a_long_outline_is_cut_between_lines_and_put_together_again() -> None:
    outline = "\n".join(f"{'  ' * (i % 3)}Topic number {i} with a long name" for i in range(300))
    parts = modals.outline_parts(outline)
    assert len(parts) > 1 and all(len(part) <= modals.INPUT_CHARACTERS for part in parts)
    assert forms.outline_text({f"outline_{i}": part for i, part in enumerate(parts)}) == outline


CHOICES = [Choice(HOSTILE, f"v{i}") for i in range(150)]


@pytest.mark.parametrize(
    "view",
    [
        modals.goal(META, ""),
        modals.goal(META, HOSTILE * 9),
        modals.topics(META, ""),
        modals.topics(META, "\n".join(["Billing", "  Refunds"] * 400)),
        modals.template(META, CHOICES),
        modals.grader(META, kind="script", criteria=HOSTILE * 9, script=HOSTILE * 9, presets=CHOICES),
        modals.generation(
            META, count=50, strategy="v1", strategies=CHOICES[:4], topics=CHOICES, chosen=["v3"]
        ),
        modals.generation(META, count=50, strategy="", strategies=CHOICES[:4], topics=[], chosen=[]),
        modals.generation(
            META,
            count=5,
            strategy="v2",
            strategies=CHOICES[:5],
            topics=CHOICES,
            chosen=[],
            more={
                "generation_mode": "sft",
                "base_scenario": HOSTILE * 9,
                "aspects": HOSTILE * 9,
                "tool_patterns": HOSTILE,
            },
        ),
        modals.bootstrap(META, ""),
        modals.bootstrap(META, HOSTILE * 9),
        modals.training(META, epochs="2", train_split="0.9", effort="high", rows=HOSTILE),
        modals.export(META, CHOICES[:11]),
        modals.try_model(META),
        modals.override(META, "Train anyway"),
    ],
)
def test_slack_takes_the_modal(view: dict[str, Any]) -> None:
    assert validate_view(view) == []


def test_an_outline_beyond_a_modal_is_not_forced_into_one() -> None:
    assert modals.topics(META, "\n".join(f"Topic {i} {'x' * 80}" for i in range(600))) is None


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"turn_0": "Where is it?", "col_0": "any words", "col_1": "[1, 2]"}, set()),
        ({"turn_0": " ", "turn_1": "Here."}, {"turn_0"}),
        ({"turn_0": "Where is it?", "col_1": "not json"}, {"col_1"}),
        ({"turn_0": "Where is it?", "col_1": ""}, set()),
    ],
)
def test_an_edited_row_keeps_a_user_and_readable_columns(values: dict[str, Any], wrong: set[str]) -> None:
    metadata = {"turns": ["user", "assistant"], "kinds": "sj"}
    assert set(forms.errors_of(view_of("row_edit", values, metadata))) == wrong


def test_turns_that_the_form_does_not_show_may_be_the_users() -> None:
    metadata = {"turns": ["", "user"], "kinds": ""}
    assert forms.errors_of(view_of("row_edit", {"turn_1": " "}, metadata)) == {}
