"""kill -9 of `web` in the middle of everything: the journey completes, and no effect is doubled.

Each stage of a journey is struck at its worst instant: the provider has made the file or the job, Slack has posted the card,
the model has answered, and the process dies before it hears so. Leases run out at once instead of after seconds; everything
else is as in production.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journey.kills import (
    FILES,
    JOBS,
    POST,
    approve,
    approve_and_kill,
    assert_all_of_it_happened_once,
    shared,
    victim,
)
from tests.journey.stack import Stack
from tests.journey.walk import Walk
from tests.journey.ways import JUDGING


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path) as running:
        yield running


def test_web_killed_in_every_turn_and_step(stack: Stack) -> None:
    walk = Walk(stack, stack.person())

    def struck(call: str, nth: int, do: Callable[[], object]) -> None:
        with victim(stack, "web", call, nth):
            do()
        walk.rest()

    struck("GET /files-pri/", 1, lambda: shared(walk))
    struck("topic_labels", 1, lambda: walk.say("yes", rest=False))
    struck("agent", 2, lambda: walk.say("Generate 6 more examples", rest=False))
    struck("synthetic_rows", 1, lambda: approve(walk, "Generate"))
    struck(
        "agent",
        1,
        lambda: walk.say(JUDGING, rest=False),
    )
    struck(POST, 2, lambda: walk.say("test the grader on 5 rows", rest=False))
    walk.say("looks good")
    struck(FILES, 1, lambda: walk.say("upload the dataset", rest=False))
    struck("judgement", 40, lambda: walk.say("run the dry run", rest=False))
    struck("agent", 2, lambda: walk.say("start the training", rest=False))
    struck(JOBS, 1, lambda: walk.say("yes", rest=False))
    struck("agent", 2, lambda: walk.say("deploy the model", rest=False))
    approve_and_kill(walk, "web")
    assert_all_of_it_happened_once(walk)
