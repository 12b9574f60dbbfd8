"""kill -9 in the middle of everything: the journey completes, and no effect is doubled.

Each stage of a journey is struck at its worst instant (tripwire.py): the provider has made the file or the job, Slack has
posted the card, the model has answered, and the process that asked dies before it hears so. Once `web` is the victim, once
`worker`; leases run out at once instead of after seconds, everything else is as in production.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.sandbox.workspace.person import words
from storage.blobs import open_store
from storage.datasets import Datasets
from storage.records import STEP_NAMES, Task
from tests.journey.stack import Process, Stack
from tests.journey.walk import GOAL, Walk, doubled

TRIP_SECONDS = 60.0
JOBS = "POST /v1/fine_tuning/jobs"
FILES = "POST /v1/files"
POST = "POST /api/chat.postMessage"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path) as running:
        yield running


@pytest.mark.xdist_group("kill-worker")
def test_worker_killed_in_every_long_step(stack: Stack) -> None:
    walk = Walk(stack, stack.person())

    def struck(call: str, nth: int, do: Callable[[], object]) -> None:
        with _victim(stack, "worker", call, nth):
            do()
        walk.rest()

    walk.sample(text=f"The goal: {GOAL}.")
    struck("topic_hierarchy", 1, lambda: None)
    struck("topic_labels", 3, lambda: walk.say("yes", rest=False))
    struck("synthetic_rows", 1, lambda: _generate(walk))
    walk.say("Judge accuracy 40, tone 25, completeness 20 and brevity 15.")
    struck("judgement", 6, lambda: walk.say("test the grader on 5 rows", rest=False))
    walk.say("looks good")
    struck(FILES, 1, lambda: walk.say("upload the dataset", rest=False))
    struck("judgement", 60, lambda: walk.say("run the dry run", rest=False))
    walk.say("start the training")
    with _victim(stack, "worker", "tuned", 3), _victim(stack, "worker", JOBS, 1):
        walk.say("yes", rest=False)
    walk.rest()
    walk.say("deploy the model")
    _approve_and_kill(walk, "worker")
    assert_all_of_it_happened_once(walk)


@pytest.mark.xdist_group("kill-web")
def test_web_killed_in_every_turn_and_step(stack: Stack) -> None:
    walk = Walk(stack, stack.person())

    def struck(call: str, nth: int, do: Callable[[], object]) -> None:
        with _victim(stack, "web", call, nth):
            do()
        walk.rest()

    struck("GET /files-pri/", 1, lambda: _shared(walk))
    struck("topic_labels", 2, lambda: walk.say("yes", rest=False))
    struck("agent", 2, lambda: walk.say("Generate 6 more examples", rest=False))
    struck("synthetic_rows", 1, lambda: _approve(walk, "Generate"))
    struck(
        "agent",
        1,
        lambda: walk.say("Judge accuracy 40, tone 25, completeness 20 and brevity 15.", rest=False),
    )
    struck(POST, 2, lambda: walk.say("test the grader on 5 rows", rest=False))
    walk.say("looks good")
    struck(FILES, 1, lambda: walk.say("upload the dataset", rest=False))
    struck("judgement", 40, lambda: walk.say("run the dry run", rest=False))
    struck("agent", 2, lambda: walk.say("start the training", rest=False))
    struck(JOBS, 1, lambda: walk.say("yes", rest=False))
    struck("agent", 2, lambda: walk.say("deploy the model", rest=False))
    _approve_and_kill(walk, "web")
    assert_all_of_it_happened_once(walk)


@pytest.mark.xdist_group("kill-worker")
def test_worker_killed_while_it_reads_a_large_file(stack: Stack) -> None:
    walk = Walk(stack, stack.person())
    many = 60_000
    walk.begin("many.jsonl", b"\n".join(map(_row, range(many))))
    _wait_until_running(walk, "ingest")
    stack.restart("worker")
    walk.rest()
    (task,) = walk.tasks("ingest")
    assert task.status == "finished"
    assert (walk.workflow.total_rows, _rows_kept(walk)) == (many, many)
    assert len(walk.cards("rows valid")) == 1
    assert doubled(walk) == []


# ---------------------------------------------------------------- striking


@contextmanager
def _victim(stack: Stack, name: Process, call: str, nth: int) -> Iterator[None]:
    """Kill it when the `nth` such call from now on has been served; afterwards it is started again."""
    wire = stack.wires.arm(call, nth, lambda: stack.kill(name))
    yield
    assert wire.tripped.wait(TRIP_SECONDS), f"{call} never came; lately: {stack.wires.calls[-12:]}"
    stack.revive(name)


def _generate(walk: Walk) -> None:
    walk.say("Generate 6 more examples", rest=False)
    _approve(walk, "Generate")


def _approve(walk: Walk, contains: str) -> None:
    card = walk.wait_for(contains, action="proposal.approve")
    walk.person.click(card, "proposal.approve")


def _approve_and_kill(walk: Walk, name: Process) -> None:
    """The click was acknowledged; whatever was under way then is lost with the process."""
    _approve(walk, "Deploy")
    walk.stack.restart(name)
    walk.rest()


def _shared(walk: Walk) -> None:
    walk.thread_ts = walk.person.share_sample("customer_support.jsonl", f"The goal: {GOAL}.")


def _wait_until_running(walk: Walk, operation: str) -> None:
    walk.person.wait_for(
        lambda: any(task.status != "queued" for task in _tasks(walk, operation)) or None, TRIP_SECONDS
    )


def _tasks(walk: Walk, operation: str) -> list[Task]:
    return walk.tasks(operation) if walk.stack.workflow(walk.thread_ts) else []


def _row(number: int) -> bytes:
    asked = f"Question {number}: how do I change order {number * 7919}?"
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": f"Open order {number}."}]
    return json.dumps({"messages": turns}).encode()


# ---------------------------------------------------------------- what must hold


def assert_all_of_it_happened_once(walk: Walk) -> None:
    stack, workflow = walk.stack, walk.workflow
    assert workflow.status == "completed" and workflow.deployment is not None, walk.last_words()
    assert all(workflow.steps[name].status == "completed" for name in STEP_NAMES)
    assert len(stack.training_jobs()) == 1, "one training job at the provider"
    assert len(stack.provider("/v1/files?purpose=fine-tune")["data"]) == 2, (
        "training and validation rows, once"
    )
    for operation in (
        "ingest",
        "categorize",
        "generate",
        "test_grader",
        "dry_run",
        "start_training",
        "deploy",
    ):
        assert [task.status for task in walk.tasks(operation)] == ["finished"], operation
    (made,) = workflow.rounds
    assert workflow.valid_rows == 487 + made.kept
    assert _rows_kept(walk) == 487 + made.kept, "rows are kept exactly once"
    whats = [move.what for move in workflow.history]
    for name in STEP_NAMES:
        assert whats.count(f"{name} completed") == 1, whats
    assert len([what for what in whats if what.startswith("approved: ")]) == 5
    assert doubled(walk) == [], "no card was posted twice"
    for told in (
        "rows valid",
        "Rows sorted into topics",
        "Examples added",
        "Grader test",
        "Training started",
    ):
        assert len(walk.cards(told)) == 1, told
    assert len([one for one in walk.cards("Training finished") if "your model" in words(one)]) == 1
    assert walk.person.cards_invalid() == []


def _rows_kept(walk: Walk) -> int:
    """Valid rows of the workflow's dataset version, counted one by one, no id twice."""
    workflow, stack = walk.workflow, walk.stack
    datasets = Datasets(open_store(stack.environment["STORAGE_URL"]))
    manifest = datasets.manifest(stack.tenant, workflow.dataset_id, workflow.dataset_version)
    ids = [row.id for row in datasets.iter_rows(manifest)]
    assert len(ids) == len(set(ids))
    return len(ids)
