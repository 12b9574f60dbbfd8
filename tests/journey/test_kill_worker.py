"""kill -9 of `worker` in the middle of everything: the journey completes, and no effect is doubled.

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
    approve_and_kill,
    assert_all_of_it_happened_once,
    generate,
    row,
    rows_kept,
    victim,
    wait_until_running,
)
from tests.journey.stack import Stack
from tests.journey.walk import GOAL, Walk, doubled
from tests.journey.ways import JUDGING


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path) as running:
        yield running


def test_worker_killed_in_every_long_step(stack: Stack) -> None:
    walk = Walk(stack, stack.person())

    def struck(call: str, nth: int, do: Callable[[], object]) -> None:
        with victim(stack, "worker", call, nth):
            do()
        walk.rest()

    walk.sample(text=f"The goal: {GOAL}.")
    struck("topic_hierarchy", 1, lambda: None)
    struck("topic_labels", 1, lambda: walk.say("yes", rest=False))
    struck("synthetic_rows", 1, lambda: generate(walk))
    walk.say(JUDGING)
    struck("judgement", 6, lambda: walk.say("test the grader on 5 rows", rest=False))
    walk.say("looks good")
    struck(FILES, 1, lambda: walk.say("upload the dataset", rest=False))
    struck("judgement", 60, lambda: walk.say("run the dry run", rest=False))
    walk.say("start the training")
    with victim(stack, "worker", "tuned", 3), victim(stack, "worker", JOBS, 1):
        walk.say("yes", rest=False)
    walk.rest()
    walk.say("deploy the model")
    approve_and_kill(walk, "worker")
    assert_all_of_it_happened_once(walk)


def test_worker_killed_while_it_reads_a_large_file(stack: Stack) -> None:
    walk = Walk(stack, stack.person())
    many = 60_000
    walk.begin("many.jsonl", b"\n".join(map(row, range(many))))
    wait_until_running(walk, "ingest")
    stack.restart("worker")
    walk.rest()
    (task,) = walk.tasks("ingest")
    assert task.status == "finished"
    assert (walk.workflow.total_rows, rows_kept(walk)) == (many, many)
    assert len(walk.cards("rows valid")) == 1
    assert doubled(walk) == []
