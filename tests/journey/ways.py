"""Ways through the journey that several tests take, and what must be true at its end."""

from __future__ import annotations

import time

from bot.sandbox.workspace.person import words
from storage.records import STEP_NAMES
from tests.journey.walk import GOAL, Walk, doubled

JUDGING = "Judge accuracy 40, tone 25, completeness 20 and brevity 15."


def by_words(walk: Walk) -> list[str]:
    """All seven steps, and nothing clicked. The messages that approved, in order."""
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
    walk.say("test the grader on 5 rows")
    assert walk.shows("Grader test")
    grader = walk.say("looks good")
    walk.say("upload the dataset")
    walk.say("run the dry run")
    assert walk.shows("Dry run:")
    walk.say("start the training")
    training = walk.say("approve")
    walk.say("deploy the model")
    deployment = walk.say("yes")
    walk.say("try it with: I was charged twice this month, what now?")
    assert walk.shows("Side by side")
    return [topics, more, grader, training, deployment]


def to_the_end(walk: Walk) -> None:
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
    assert {name: workflow.steps[name].status for name in STEP_NAMES} == dict.fromkeys(
        STEP_NAMES, "completed"
    )
    assert len(walk.tasks("start_training")) == len(walk.tasks("deploy")) == 1
    began = workflow.created_at - 1
    assert all(move.by and began <= move.at <= time.time() + 1 for move in workflow.history)
    assert [move.at for move in workflow.history] == sorted(move.at for move in workflow.history)
    finished = [name for name in STEP_NAMES for move in workflow.history if move.what == f"{name} completed"]
    assert finished == list(STEP_NAMES), "each step's end is recorded once"
    assert doubled(walk) == []
    assert walk.person.cards_invalid() == []
