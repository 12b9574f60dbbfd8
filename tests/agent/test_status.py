"""Where a workflow stands, as people and the model are told it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent import status
from storage.records import STEP_NAMES, Proposal, StepState, Task, Tenant, Workflow
from tasks import workflow as flow

TENANT = Tenant("", "T1")


def workflow(*completed: str) -> Workflow:
    made = flow.create(
        id="w1", tenant=TENANT, channel="C1", thread_ts="1.0", owner="U1", name="Support", goal="g", at=100.0
    )
    begun = replace(made, dataset_version=1, total_rows=10, valid_rows=9)
    for step in completed:
        begun = flow.finish(begun, step, summary=f"{step} done", by="U1", at=200.0)  # type: ignore[arg-type]
    return begun


TASK = Task("t1", TENANT, "w1", "C1", "1.0", "dry_run", {}, {}, "U1", 1.0, status="running", done=3, total=9)
PROPOSAL = Proposal("p1", TENANT, "w1", "C1", "1.0", "grader", "Grader: 4 criteria", {}, {}, "U1", 1.0)


@pytest.mark.parametrize(
    ("done", "position", "word"),
    [
        (0, "step 1 of 7", "Approve topics"),
        (2, "step 3 of 7", "Fill the gaps"),
        (4, "step 5 of 7", "Upload the dataset"),
        (6, "step 7 of 7", "Deploy"),
        (7, "", "Try the model"),
    ],
)
def test_the_step_and_what_is_next(done: int, position: str, word: str) -> None:
    facts = status.describe(workflow(*STEP_NAMES[:done]), (), (), 300.0)
    assert facts["workflow"]["position"] == position
    assert word in facts["next"]
    assert [line["status"] for line in facts["pipeline"]].count("complete") == done


def test_what_waits_comes_before_what_runs() -> None:
    assert "Decide: Grader" in status.describe(workflow(), (TASK,), (PROPOSAL,), 300.0)["next"]
    facts = status.describe(workflow(), (TASK,), (), 300.0)
    assert "dry run" in facts["next"]
    assert facts["jobs"] == [
        {
            "id": "t1",
            "operation": "dry_run",
            "status": "running",
            "done": 3,
            "total": 9,
            "label": "",
            "started_at": None,
            "stopping": False,
        }
    ]


def test_coming_back_names_what_is_done() -> None:
    facts = status.welcome_back(workflow("topics_config"), (), (), 200.0 + 7200)
    assert facts["hours_ago"] == 2.0
    assert facts["done"] == {"topics_config": "topics_config done"}
    assert facts["last_what"] == "topics_config completed"


def test_a_workflow_without_a_file_has_not_started() -> None:
    made = replace(workflow(), dataset_version=0, steps={step: StepState() for step in STEP_NAMES})
    facts = status.describe(made, (), (), 300.0)
    assert (facts["workflow"]["step"], facts["workflow"]["percent"]) == ("not_started", 0)
