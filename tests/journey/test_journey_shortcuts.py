"""Shorter ways to a deployed model: from three rows, without topics; and two workflows side by side (acceptance.md: J3, J4)."""

from __future__ import annotations

import json

import pytest

from bot.sandbox.workspace.person import words
from storage.records import STEP_NAMES
from tests.journey.stack import Stack
from tests.journey.walk import GOAL, Walk, rest
from tests.journey.ways import assert_deployed, to_the_end

SEEDS = [
    ("I was charged twice for my order this month.", "I am sorry. I have refunded the second charge; it arrives in three days."),
    ("My parcel has not arrived, where is it?", "It left our depot yesterday and should reach you tomorrow."),
    ("How do I change the email address of my account?", "Open Settings, then Account, and enter the new address there."),
]  # fmt: skip


@pytest.fixture
def walk(stack: Stack) -> Walk:
    return Walk(stack, stack.person(channel=stack.fresh_channel()))


def test_j3_the_journey_from_three_rows(walk: Walk) -> None:
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]}
        for asked, answered in SEEDS
    ]
    walk.begin("seeds.jsonl", "\n".join(map(json.dumps, rows)).encode(), f"The goal: {GOAL}.")
    walk.rest()
    assert (walk.workflow.total_rows, walk.workflow.valid_rows) == (3, 3)
    walk.say("Generate 60 examples from these")
    walk.click("proposal.approve", contains="Generate")
    kept = sum(one.kept for one in walk.workflow.rounds)
    assert kept >= 30, walk.last_words()
    assert walk.workflow.valid_rows == 3 + kept, "each row counted once"
    walk.say("propose topics")
    walk.say("yes")
    assert walk.workflow.steps["categorize"].status == "completed"
    to_the_end(walk)
    assert_deployed(walk)


def test_j4_the_journey_without_topics(walk: Walk) -> None:
    walk.sample()
    walk.rest()
    to_the_end(walk)
    steps = walk.workflow.steps
    skipped = [name for name in STEP_NAMES if steps[name].status == "skipped"]
    assert skipped == ["topics_config", "categorize", "coverage_generation"]
    assert walk.workflow.status == "completed" and walk.workflow.deployment is not None
    assert all(steps[name].by == "U0ADA" for name in skipped)
    warned = words(walk.card("quality may suffer")).partition("quality may suffer")[0].splitlines()[-1]
    assert "opics" in warned, "also of topics that were proposed and not decided"
    card = words(walk.card("Dry run:"))
    assert "Topic\n" not in card, "no table of topics without topics"


def test_a_second_thread_has_a_workflow_of_its_own(stack: Stack, walk: Walk) -> None:
    other = Walk(stack, stack.person("U0GRACE", stack.fresh_channel()))
    walk.sample(text=f"The goal: {GOAL}.")
    other.sample(text=f"The goal: {GOAL}.")
    rest(stack)
    assert walk.workflow.id != other.workflow.id
    walk.say("yes")
    assert walk.workflow.steps["topics_config"].status == "completed"
    assert other.workflow.steps["topics_config"].status != "completed"
