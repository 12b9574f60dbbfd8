"""Striking a running stack at a chosen instant (tripwire.py), and what must be true after a whole journey of that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def victim(stack: Stack, name: Process, call: str, nth: int) -> Iterator[None]:
    """Kill it when the `nth` such call from now on has been served; afterwards it is started again."""
    wire = stack.wires.arm(call, nth, lambda: stack.kill(name))
    yield
    assert wire.tripped.wait(TRIP_SECONDS), f"{call} never came; lately: {stack.wires.calls[-12:]}"
    stack.revive(name)


def generate(walk: Walk) -> None:
    walk.say("Generate 6 more examples", rest=False)
    approve(walk, "Generate")


def approve(walk: Walk, contains: str) -> None:
    card = walk.wait_for(contains, action="proposal.approve")
    walk.person.click(card, "proposal.approve")


def approve_and_kill(walk: Walk, name: Process) -> None:
    """The click was acknowledged; whatever was under way then is lost with the process."""
    approve(walk, "Deploy")
    walk.stack.restart(name)
    walk.rest()


def shared(walk: Walk) -> None:
    walk.thread_ts = walk.person.share_sample("customer_support.jsonl", f"The goal: {GOAL}.")


def wait_until_running(walk: Walk, operation: str) -> None:
    walk.person.wait_for(
        lambda: any(task.status != "queued" for task in tasks(walk, operation)) or None, TRIP_SECONDS
    )


def tasks(walk: Walk, operation: str) -> list[Task]:
    return walk.tasks(operation) if walk.stack.workflow(walk.thread_ts) else []


def row(number: int) -> bytes:
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
    assert rows_kept(walk) == 487 + made.kept, "rows are kept exactly once"
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


def rows_kept(walk: Walk) -> int:
    """Valid rows of the workflow's dataset version, counted one by one, no id twice."""
    workflow, stack = walk.workflow, walk.stack
    datasets = Datasets(open_store(stack.environment["STORAGE_URL"]))
    manifest = datasets.manifest(stack.tenant, workflow.dataset_id, workflow.dataset_version)
    ids = [row.id for row in datasets.iter_rows(manifest)]
    assert len(ids) == len(set(ids))
    return len(ids)
