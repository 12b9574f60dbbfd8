"""The seven steps to a deployed model, in the four ways of acceptance.md: by buttons, by words, from three rows, without topics.

The product runs as the Procfile says; the person sees and does what the workspace offers. What is asserted is what is kept:
each step's end, who moved the workflow and when, and the evidence of each approval.
"""

from __future__ import annotations

import pytest

from bot.sandbox import journey
from tests.journey.stack import Stack
from tests.journey.walk import Walk
from tests.journey.ways import assert_deployed, by_words


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
    evidence = by_words(walk)
    assert_deployed(walk)
    approvals = [move.evidence for move in walk.workflow.history if move.what.startswith("approved: ")]
    assert approvals == evidence, "each approval carries its message"
