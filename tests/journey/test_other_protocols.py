"""The same product on S3, with a Slack, a Redis and a model server that have bad days.

Nothing in the processes knows whose servers these are; they are told addresses. What counts at the end is the same as on a
good day: nothing lost, nothing doubled.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.sandbox.workspace.person import words
from tests.journey.stack import Stack
from tests.journey.walk import GOAL, Walk, doubled
from tests.journey.ways import JUDGING, assert_deployed, by_words

NEVER = "100000"  # seconds between two looks at a training job: only a webhook brings its news


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(
        tmp_path_factory.mktemp("stack"),
        storage="s3",
        webhooks=True,
        rooms=10,
        environment={"TRAINING_POLL_SECONDS": NEVER},
    ) as running:
        yield running


@pytest.fixture
def walk(stack: Stack) -> Walk:
    return Walk(stack, stack.person("U0ADA", stack.fresh_channel()))


def test_the_journey_on_s3_with_every_event_twice_and_under_new_ids(stack: Stack, walk: Walk) -> None:
    walk.person.faults(duplicate_events=10_000, retry_events=10_000)
    by_words(walk)
    walk.person.faults()
    assert_deployed(walk)
    assert len(stack.training_jobs()) == 1
    posted = [one for one in walk.thread() if one["user"] == "U0ADA"]
    assert len(posted) == len({one["ts"] for one in posted})


def test_events_out_of_order_are_heard_once_each(walk: Walk) -> None:
    walk.sample(text=f"The goal: {GOAL}.")
    walk.rest()
    walk.person.faults(shuffle_events=3, duplicate_events=6)
    said = [walk.person.post(text, thread_ts=walk.thread_ts) for text in ("where are we?", JUDGING, "thanks")]
    for ts in said:
        walk.heard(ts)
    walk.rest()
    walk.person.faults()
    assert len([one for one in walk.proposals() if one.kind == "grader"]) == 1
    heard = [message.text for message in walk.stack.model.agent_requests[-1].messages]
    assert len([text for text in heard if JUDGING in text]) == 1
    assert doubled(walk) == []


def test_a_slack_that_is_slow_down_and_forgetful(walk: Walk) -> None:
    faults = walk.person.faults
    faults(enforce_limits=True)
    faults(rate_limit={"method": "chat.postMessage", "times": 3, "seconds": 1})
    faults(server_error={"method": "chat.postMessage", "times": 2, "status": 500})
    faults(server_error={"method": "chat.update", "times": 2, "status": 503})
    faults(dropped_response={"method": "chat.postMessage", "times": 2})
    walk.sample(text=f"The goal: {GOAL}.")
    walk.rest()
    walk.say("yes")
    faults()
    assert walk.workflow.steps["categorize"].status == "completed"
    assert len(walk.cards("rows valid")) == len(walk.cards("Rows sorted into topics")) == 1
    assert doubled(walk) == [] and walk.person.cards_invalid() == []


def test_redis_killed_in_the_middle_of_a_step_and_of_a_turn(stack: Stack, walk: Walk) -> None:
    walk.sample(text=f"The goal: {GOAL}.")
    walk.rest()
    in_step = stack.wires.arm("topic_labels", 1, stack.kill_redis)
    walk.say("yes", rest=False)
    assert in_step.tripped.wait(60)
    walk.rest()
    in_turn = stack.wires.arm("agent", 1, stack.kill_redis)
    walk.say(JUDGING, rest=False)
    assert in_turn.tripped.wait(60)
    walk.rest()
    workflow = walk.workflow
    assert workflow.steps["categorize"].status == "completed"
    assert [move.what for move in workflow.history].count("categorize completed") == 1
    assert [one.kind for one in walk.proposals()] == ["grader"]
    assert doubled(walk) == []


def test_a_model_server_that_is_down_for_a_while(stack: Stack, walk: Walk) -> None:
    walk.sample(text=f"The goal: {GOAL}.")
    walk.rest()
    stack.provider("/standin/faults", {"kind": "server_error", "times": 10_000, "role": "agent"})
    shown = len(walk.cards())
    walk.say("Can you add Complaints under General?", rest=False)
    told = walk.wait_for("model")
    stack.provider("/standin/faults", method="DELETE")
    walk.rest()
    assert len(walk.cards()) > shown + 1, "told that it waits, and answered later"
    assert "Complaints" in words(walk.card(action="proposal.approve")) and told
    assert doubled(walk) == []
