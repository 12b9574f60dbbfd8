"""S1: another team's ids in every tool and button, and clicks of people who may not: refused, recorded, nothing told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.tooling import Tool
from agent.tools import TOOLS
from bot.actions import BUTTON_TOOLS, HANDLERS
from storage.records import Json
from tasks.trainers.port import TrainingJob
from tests.acceptance import stages
from tests.acceptance.house import COLLEAGUE, GUEST, OWNER, START, House
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio

SECRET = "reimbursement"  # a word of every other row of theirs; ours are about other things
OURS = stages.plans_of({("Apples",): 30, ("Pears",): 20})


async def two_teams() -> tuple[House, House, Json]:
    """(ours, theirs, ids of everything that is theirs), on one state and one blob store."""
    ours = House()
    theirs = House(team="T0TWO", beside=ours, start=START + 5_000)
    theirs.trainer.job = TrainingJob(id="job-theirs", status="queued")
    stages_model, stages.MODEL = stages.MODEL, "ft:theirs:tuned"
    try:
        await stages.trained(theirs)
    finally:
        stages.MODEL = stages_model
    await theirs.say("back to the topics", use("rollback_to_step", step="categorize"))
    await stages.uploaded(ours, plans=OURS)
    await ours.approve()
    return ours, theirs, await ids_of(theirs)


async def ids_of(theirs: House) -> Json:
    workflow = await theirs.workflow()
    assert workflow.training and workflow.upload
    (proposal,) = await theirs.proposals()
    return {
        "workflow": workflow.id,
        "dataset": workflow.dataset_id,
        "proposal": proposal.id,
        "task": (await theirs.tasks())[0].id,
        "row": (await theirs.rows())[0].id,
        "job": workflow.training.job_id,
        "model": workflow.training.model,
        "snapshot": workflow.snapshots[-1].id,
        "grader": f"{workflow.id}.1",
        "file": workflow.upload.backend_dataset_id,
    }


def everything(house: House) -> Any:
    """Every document of the team, as it rests."""
    room = house.state._rooms[house.tenant]
    return {name: stored.json for name, stored in room.documents.items()}


def attempts(tool: Tool, ids: Json) -> list[Json]:
    """The tool's arguments with every one of their ids in every place that takes text, one place at a time."""
    properties = {**tool.parameters["properties"], "workflow_id": {"type": "string"}}
    base = {name: _plain(properties[name]) for name in tool.parameters["required"]}
    return [
        {**base, name: [id] if schema.get("type") == "array" else id}
        for name, schema in properties.items()
        if _takes_text(schema)
        for id in ids.values()
    ]


def _takes_text(schema: Json) -> bool:
    inner = schema.get("items", schema) if schema.get("type") == "array" else schema
    return inner.get("type") == "string" and "enum" not in inner


def _plain(schema: Json) -> Any:
    if "anyOf" in schema:
        return _plain(schema["anyOf"][0])
    return (
        schema["enum"][0]
        if "enum" in schema
        else {"object": {}, "array": [], "string": "x", "number": 1}[schema["type"]]
    )


async def test_no_tool_reaches_what_belongs_to_another_team() -> None:
    ours, theirs, ids = await two_teams()
    ours.model.structured |= {
        "topic_changes": lambda data: {"operations": [], "summary": ""},
        "grader_criteria": lambda data: {"criteria": [], "summary": ""},
    }
    before = everything(theirs)
    for tool in TOOLS:
        for number, arguments in enumerate(attempts(tool, ids)):
            result = await ours.call(tool.name, arguments, key=f"{tool.name}{number}")
            assert SECRET not in json.dumps(result), (tool.name, arguments)
            if arguments.get("workflow_id"):
                assert not result["ok"], (tool.name, arguments)
    await ours.settle()
    assert everything(theirs) == before
    read = [json.dumps([str(one.content) for one in request.messages]) for request in ours.model.requests]
    assert not any(SECRET in text for text in read)


@pytest.mark.parametrize(
    ("tool", "name", "which"),
    [
        ("start_finetune_workflow", "existing_dataset_id", "dataset"),
        ("update_record", "record_id", "row"),
        ("rollback_to_step", "snapshot_id", "snapshot"),
        ("cancel_job", "job_id", "job"),
        ("cancel_job", "job_id", "task"),
        ("configure_training", "model_base", "model"),
    ],
)
async def test_an_id_of_theirs_is_refused_in_so_many_words(tool: str, name: str, which: str) -> None:
    ours, theirs, ids = await two_teams()
    before = everything(theirs)
    extra = {
        "update_record": {"updates": {"topic": "apples"}},
        "start_finetune_workflow": {"training_goals": "x"},
    }
    result = await ours.call(tool, {name: ids[which], **extra.get(tool, {})})
    assert not result["ok"] and result["error"]
    assert everything(theirs) == before


async def test_training_goes_on_only_from_models_of_its_own_workflow() -> None:
    house = await stages.trained()
    stranger = await house.call("start_training", {"resume_from": "ft:theirs:tuned"}, key="k1")
    assert not stranger["ok"]
    assert (await house.call("deploy_model", {"model": "ft:theirs:tuned"}, key="k2"))["ok"] is False
    own = await house.call("start_training", {"resume_from": stages.MODEL}, key="k3")
    assert own["status"] == "proposed"


async def test_no_button_reaches_what_belongs_to_another_team() -> None:
    ours, theirs, ids = await two_teams()
    before, versions = everything(theirs), (await ours.workflow()).history
    actions = [*HANDLERS, *(f"next.{name}" for name in BUTTON_TOOLS), "review.pick:" + ids["row"]]
    with capture_logs() as logs:
        for action in ("proposal.approve", "proposal.reject", "proposal.edit", "task.cancel"):
            for id in ids.values():
                await ours.press(action, id)
    assert (await ours.workflow()).history == versions
    assert any(entry["event"] == "unknown_proposal" for entry in logs)
    for action in actions:
        await ours.press(action, ids["workflow"])
    assert everything(theirs) == before
    shown = "\n".join(message.words for message in ours.slack.messages)
    assert SECRET not in shown


@pytest.mark.parametrize("elsewhere", ["C0OTHER", "D0ADA"])
async def test_a_proposal_is_decided_only_where_it_stands(elsewhere: str) -> None:
    house = await stages.uploaded()
    (proposal,) = await house.proposals()
    await house.press("proposal.approve", proposal.id, channel=elsewhere)
    assert (await house.proposals())[0].status == "open"
    assert "I do not know that proposal here." in house.notices


@pytest.mark.parametrize(("user", "home"), [(GUEST, ""), (COLLEAGUE, "T0TWO")])
async def test_guests_and_people_of_other_organisations_decide_nothing(user: str, home: str) -> None:
    house = await stages.uploaded()
    (proposal,) = await house.proposals()
    with capture_logs() as logs:
        await house.press("proposal.approve", proposal.id, user=user, home=home)
    assert (await house.proposals())[0].status == "open"
    assert "Guests and people of other organisations" in house.notices[-1]
    assert house.slack.messages[-1].to == user
    assert {"event": "decision_refused", "user": user}.items() <= _entry(logs, "decision_refused").items()
    for action in ("next.export_dataset", "goal.open", "topics.regenerate", "task.cancel"):
        await house.press(action, (await house.workflow()).id, user=user, home=home)
    assert len(await house.tasks()) == 2  # reading the file, finding topics


def _entry(logs: Any, event: str) -> Json:
    return next(dict(entry) for entry in logs if entry["event"] == event)


async def test_a_guests_yes_in_the_thread_decides_nothing() -> None:
    house = await stages.uploaded()
    await house.say("yes", user=GUEST)
    assert (await house.proposals())[0].status == "open"
    await house.say("yes", user=OWNER)
    assert (await house.workflow()).topics


async def test_what_costs_is_decided_by_approvers_alone_where_there_are_any() -> None:
    house = House(approvers=(COLLEAGUE,))
    await stages.ready_to_train(house)
    await house.say("train", use("start_training"))
    (proposal,) = await house.proposals()
    await house.press("proposal.approve", proposal.id)
    assert f"Only <@{COLLEAGUE}> can approve this" in house.notices[-1]
    await house.say("yes")
    assert house.trainer.requests == {}
    await house.press("proposal.approve", proposal.id, user=COLLEAGUE)
    assert len(house.trainer.requests) == 1


async def test_the_same_ids_in_another_team_are_other_things() -> None:
    """Two teams that did the same thing at the same second share no document, whatever their ids are."""
    ours = House()
    theirs = House(team="T0TWO", beside=ours)
    await stages.in_coverage(ours)
    await stages.in_coverage(theirs)
    assert (await ours.workflow()).id == (await theirs.workflow()).id
    await ours.say("delete it", use("delete_workflow"))
    await ours.approve()
    assert (await theirs.workflow()).status == "active"
    assert len(await theirs.rows()) == 60
