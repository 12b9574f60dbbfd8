"""R1–R3: what is missing is refused before anything happens outside, by words, button and model alike; late changes warn first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from agent.tools import TOOLS
from storage.records import Workflow
from tasks.step import Need
from tasks.trainers.port import TrainingJob
from tasks.workflow import may_start
from tests.acceptance import stages
from tests.acceptance.house import BOT, COLLEAGUE, House
from tests.acceptance.model import results, use

pytestmark = pytest.mark.anyio

Stage = Callable[[], Awaitable[House]]


async def empty() -> House:
    return House()


CASES: dict[str, tuple[Stage, str, str, list[str]]] = {
    "categorise, no topics": (stages.uploaded, "Categorise my records", "categorize_records", ["topics"]),
    "evaluate, nothing": (
        empty,
        "Run the evaluation",
        "run_dry_run",
        ["valid_rows", "grader", "uploaded_dataset"],
    ),
    "deploy, no model": (stages.graded, "Deploy", "deploy_model", ["trained_model"]),
    "deploy, nothing": (empty, "Deploy", "deploy_model", ["trained_model"]),
    "train, no grader": (
        stages.in_coverage,
        "Train",
        "start_training",
        ["grader", "uploaded_dataset", "dry_run", "verdict"],
    ),
    "train, nothing": (
        empty,
        "Train",
        "start_training",
        ["valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict"],
    ),
}
NEXT = {
    "topics": "generate_topics",
    "valid_rows": "upload a file",
    "grader": "configure_grader",
    "trained_model": "start_training",
}


@pytest.mark.parametrize("case", CASES)
async def test_a_refusal_lists_everything_missing_in_order_and_the_way_on(case: str) -> None:
    """R2: the model itself calls the tool; the refusal does not depend on it."""
    stage, words, tool, codes = CASES[case]
    house = await stage()
    before = await footprint(house)
    await house.say(f"<@{BOT}> {words}", use(tool), "Not yet.")
    (result,) = results(house.model.turns[-1])[-1:]
    if codes == ["trained_model"] and stage is empty:
        codes = ["valid_rows", "trained_model"]
    assert (result["ok"], [one["code"] for one in result["missing"]]) == (False, codes)
    assert result["next"] == NEXT[codes[0]]
    notice = next(text for text in house.notices if "not possible yet" in text)
    lines = [line for line in notice.splitlines() if line[:1].isdigit()]
    assert [line.partition(". ")[2] for line in lines] == [one["message"] for one in result["missing"]]
    assert await footprint(house) == before


BUTTONS = {
    "next.categorize_records": (stages.uploaded, ["topics"]),
    "next.run_dry_run": (stages.in_coverage, ["grader", "uploaded_dataset"]),
    "next.deploy_model": (stages.graded, ["trained_model"]),
    "next.test_grader_sample": (stages.in_coverage, ["grader"]),
}


@pytest.mark.parametrize("action", BUTTONS)
async def test_a_button_is_refused_as_the_model_is(action: str) -> None:
    stage, codes = BUTTONS[action]
    house = await stage()
    before, workflow = await footprint(house), await house.workflow()
    await house.press(action, workflow.id)
    notice = house.notices[-1]
    expected = may_start(workflow, tuple(codes))  # type: ignore[arg-type]
    assert [one.code for one in expected] == codes
    assert all(f"{place}. {one.message}" in notice for place, one in enumerate(expected, 1))
    assert house.slack.messages[-1].to  # for the clicker alone
    assert await footprint(house) == before


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool.needs], ids=lambda tool: tool.name)
async def test_every_tool_with_needs_is_refused_in_an_empty_thread(tool: object) -> None:
    house = House()
    house.thread = "1.000000"
    needs: tuple[Need, ...] = tool.needs  # type: ignore[attr-defined]
    arguments = {name: _any(schema) for name, schema in _required(tool).items()}
    result = await house.call(tool.name, arguments)  # type: ignore[attr-defined]
    assert not result["ok"]
    assert [one["code"] for one in result["missing"]] == [one.code for one in may_start(None, needs)]
    assert result["missing"][0]["code"] == "valid_rows"
    assert house.model.requests == []


def _required(tool: object) -> dict[str, dict[str, object]]:
    parameters = tool.parameters  # type: ignore[attr-defined]
    return {name: parameters["properties"][name] for name in parameters["required"]}


def _any(schema: dict[str, object]) -> object:
    if "enum" in schema:
        return schema["enum"][0]  # type: ignore[index]
    if "anyOf" in schema:
        return _any(schema["anyOf"][0])  # type: ignore[index]
    return {"object": {}, "array": [], "string": "x", "number": 1}[str(schema["type"])]


async def footprint(house: House) -> object:
    """What a refusal must leave as it was: work of models, provider, tasks, proposals, and the workflow."""
    outside = (len(house.model.work), dict(house.trainer.files), dict(house.trainer.requests))
    found = await house.state.find(house.tenant, Workflow, "workflow")
    if not found:
        return outside
    (workflow,) = found
    still = (workflow.steps, workflow.grader_version, workflow.dataset_version, workflow.deployment)
    return (
        *outside,
        [task.id for task in await house.tasks()],
        [one.id for one in await house.proposals()],
        still,
    )


# ---------------------------------------------------------------- R3


async def test_training_again_with_nothing_changed_warns_and_waits_for_a_person() -> None:
    house = await stages.trained()
    house.trainer.job = TrainingJob(id="job-2", status="queued")
    await house.say("train again", use("start_training"))
    (proposal,) = await house.proposals()
    assert any("Nothing has changed since the last training" in text for text in proposal.payload["warnings"])
    assert "Nothing has changed since the last training" in house.slack.messages[-2].words
    assert len(house.trainer.requests) == 1
    await house.approve(user=COLLEAGUE)  # who does not own it, and it costs
    assert len(house.trainer.requests) == 1
    await house.approve()
    assert len(house.trainer.requests) == 2
    assert (await house.workflow()).training.job_id == "job-2"  # type: ignore[union-attr]


async def test_training_again_after_a_change_does_not_warn() -> None:
    house = await stages.trained()
    await house.say("with one epoch more", use("configure_training", hyperparameters={"epochs": 3}))
    await house.say("train again", use("start_training"))
    (proposal,) = await house.proposals()
    assert not any("Nothing has changed" in text for text in proposal.payload["warnings"])


async def test_topics_regenerated_late_warn_with_the_rows_that_lose_theirs() -> None:
    house = await stages.ready_to_train()
    others = stages.plans_of({("Payments",): 1, ("Login",): 1})
    stages.teach(house, others, stages.sheet(stages.PLANS))
    house.model.structured["topic_labels"] = lambda data: {
        "labels": [{"row": row["row"], "topic": "payments", "confidence": 0.9} for row in data["rows"]]
    }
    await house.say("find new topics", use("generate_topics"))
    (proposal,) = await house.proposals()
    assert proposal.payload["loses"] == {"billing": 30, "shipping": 10}
    assert any("would lose their topic" in one.words and "30" in one.words for one in house.slack.messages)
    before = await house.workflow()
    assert (await house.counts()) == {"billing": 30, "login": 20, "shipping": 10}
    await house.approve()
    rows = await house.rows()
    assert {row.previous_topic for row in rows if row.topic == "payments"} >= {"billing", "shipping"}
    after = await house.workflow()
    assert after.dataset_version > before.dataset_version
    assert after.grader_version == before.grader_version
    refused = await house.call("start_training", key="late")
    assert [one["code"] for one in refused["missing"]] == ["uploaded_dataset", "dry_run", "verdict"]


async def test_deleting_after_deployment_says_what_goes_and_is_done_once_confirmed() -> None:
    house = await stages.trained()
    await house.say("deploy", use("deploy_model"))
    await house.approve()
    await house.say("now delete all of it", use("delete_workflow"))
    (proposal,) = await house.proposals()
    owns = " ".join(proposal.payload["owns"])
    assert "60 rows" in owns and "1 grader" in owns and stages.MODEL in owns
    assert (await house.workflow()).status == "completed"
    id = (await house.workflow()).id
    await house.approve()
    stored = await house.state.get(house.tenant, Workflow, id)
    assert stored is not None and stored.status == "deleted"
    assert await house.desk.workflow(house.tenant, id) is None
    await house.say(f"<@{BOT}> status?", use("get_workflow_status"))
    assert results(house.model.turns[-1])[-1]["workflow"] is None
    assert await house.state.find(house.tenant, Workflow, "workflow") == ()
