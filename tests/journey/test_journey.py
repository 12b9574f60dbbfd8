"""The seven steps to a deployed model, in the four ways of acceptance.md: by buttons, by words, from three rows, without topics.

The product runs as the Procfile says; the person sees and does what the workspace offers. What is asserted is what is kept:
each step's end, who moved the workflow and when, and the evidence of each approval.
"""

from __future__ import annotations

import json
import time

import pytest

from bot.sandbox import journey
from bot.sandbox.workspace.person import words
from storage.records import STEP_NAMES
from tests.journey.stack import Stack
from tests.journey.walk import GOAL, Walk, doubled, rest

pytestmark = pytest.mark.xdist_group("journey")

JUDGING = "Judge accuracy 40, tone 25, completeness 20 and brevity 15."
SEEDS = [
    ("I was charged twice for my order this month.", "I am sorry. I have refunded the second charge; it arrives in three days."),
    ("My parcel has not arrived, where is it?", "It left our depot yesterday and should reach you tomorrow."),
    ("How do I change the email address of my account?", "Open Settings, then Account, and enter the new address there."),
]  # fmt: skip


@pytest.fixture
def walk(stack: Stack) -> Walk:
    return Walk(stack, stack.person())


def test_j1_the_journey_by_buttons(stack: Stack, walk: Walk) -> None:
    said: list[str] = []
    assert journey.play(stack.workspace.url, say=said.append) == 0, "\n".join(said)
    walk.thread_ts = next(one["ts"] for one in walk.person.messages() if one.get("reply_count"))
    walk.rest()
    assert_deployed(walk)
    approvals = [move for move in walk.workflow.history if move.what.startswith("approved: ")]
    assert len(approvals) == 5, "topics, generation, grader, training, deployment"
    assert {move.evidence for move in approvals} == {"button"}


def test_j2_the_journey_by_words(walk: Walk) -> None:
    walk.sample(text=f"The goal: {GOAL}.")
    walk.rest()
    walk.say("Can you add Complaints under General?")
    assert "Complaints" in words(walk.card(action="proposal.approve"))
    topics = walk.say("Yes, let's do it!")
    assert walk.workflow.steps["categorize"].status == "completed"
    more = walk.say("Generate 5 more complaint examples")
    if walk.proposals():
        more = walk.say("go ahead")
    (made,) = walk.workflow.rounds
    assert made.kept and made.asked == made.kept + sum(made.rejected.values())
    assert walk.workflow.valid_rows == 487 + made.kept, "each row is counted once"
    walk.say(JUDGING)
    assert walk.shows("rader")
    walk.say("test the grader on 5 rows")
    assert walk.shows("Grader test")
    grader = walk.say("looks good")
    walk.say("upload the dataset")
    walk.say("run the dry run")
    assert walk.shows("Dry run:")
    walk.say("start the training")
    training = walk.say("approve")
    deployment_asked = walk.say("deploy the model")
    deployment = walk.say("yes")
    assert float(deployment) > float(deployment_asked)
    walk.say("try it with: I was charged twice this month, what now?")
    assert walk.shows("Side by side")
    assert_deployed(walk)
    history = walk.workflow.history
    evidence = [move.evidence for move in history if move.what.startswith("approved: ")]
    assert evidence == [topics, more, grader, training, deployment], "each approval carries its message"


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
    _to_the_end(walk)
    assert_deployed(walk)


def test_j4_the_journey_without_topics(walk: Walk) -> None:
    walk.sample()
    walk.rest()
    _to_the_end(walk)
    steps = walk.workflow.steps
    skipped = [name for name in STEP_NAMES if steps[name].status == "skipped"]
    assert skipped == ["topics_config", "categorize", "coverage_generation"]
    assert walk.workflow.status == "completed" and walk.workflow.deployment is not None
    assert all(steps[name].by == "U0ADA" for name in skipped)
    card = words(walk.card("Dry run:"))
    assert "Topic\n" not in card, "no table of topics without topics"


def test_a_second_thread_has_a_workflow_of_its_own(stack: Stack, walk: Walk) -> None:
    other = Walk(stack, stack.person("U0GRACE"))
    walk.sample(text=f"The goal: {GOAL}.")
    other.sample(text=f"The goal: {GOAL}.")
    rest(stack)
    assert walk.workflow.id != other.workflow.id
    walk.say("yes")
    assert walk.workflow.steps["topics_config"].status == "completed"
    assert other.workflow.steps["topics_config"].status != "completed"


def _to_the_end(walk: Walk) -> None:
    """From the grader on, by words."""
    walk.say(JUDGING)
    walk.click("proposal.approve", contains="Grader")
    walk.say("upload the dataset")
    walk.say("run the dry run")
    walk.say("start the training")
    walk.say("yes")
    walk.say("deploy the model")
    walk.say("yes")


def assert_deployed(walk: Walk) -> None:
    """Deployed once, with every transition by somebody at some time, and every card valid and posted once."""
    workflow = walk.workflow
    assert workflow.status == "completed", walk.last_words()
    assert workflow.deployment is not None and workflow.deployment.by == "U0ADA"
    assert {name: workflow.steps[name].status for name in STEP_NAMES} == dict.fromkeys(STEP_NAMES, "completed")
    assert len(walk.tasks("start_training")) == len(walk.tasks("deploy")) == 1
    began = workflow.created_at - 1
    assert all(move.by and began <= move.at <= time.time() + 1 for move in workflow.history)
    assert [move.at for move in workflow.history] == sorted(move.at for move in workflow.history)
    finished = [name for name in STEP_NAMES for move in workflow.history if move.what == f"{name} completed"]
    assert finished == list(STEP_NAMES), "each step's end is recorded once"
    assert doubled(walk) == []
    assert walk.person.cards_invalid() == []
