"""A dataset from a goal: topics first, then rows for them, then version 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.records import Dataset, Json
from storage.rows import last_user_message
from tasks.models.port import ModelAnswerInvalid
from tasks.step import StepError
from tasks.steps.bootstrap import BOOTSTRAP
from tasks.steps.generate import GENERATE
from tests.fakes import FakeChat
from tests.makers import TENANT, TOPICS, World, rows, settings
from tests.tasks.steps.test_generation import Writer

pytestmark = pytest.mark.anyio
PARAMS: Json = {"topic_count": 3, "count_per_topic": 4, "generation_mode": "rft"}
THOUGHT: Json = {
    "topics": [
        {"path": ["Late parcels"], "description": "Where is it?", "keywords": ["late", "courier"]},
        {"path": ["Customs", "Fees"], "description": "What is owed?", "keywords": ["duty"]},
        {"path": [], "description": "", "keywords": []},
        {"path": ["One too many"], "description": "", "keywords": []},
    ],
    "personas": [
        "a shop owner in a hurry",
        "A shop owner in a hurry",
        7,
        "somebody who has waited for weeks",
    ],
}


async def test_topics_and_voices_follow_from_the_goal() -> None:
    world = World(chat=FakeChat(goal_topics=lambda data: THOUGHT))
    workflow = await world.workflow(None)
    report = await BOOTSTRAP.run(world.context(workflow, "bootstrap"), PARAMS)
    (draft,) = report.drafts
    assert draft.kind == "topics" and draft.ceiling_usd == 0
    assert report.facts["topics"] == ["late_parcels", "customs/fees"]
    assert draft.payload["bootstrap"] == {
        "count_per_topic": 4,
        "generation_mode": "rft",
        "personas": ["a shop owner in a hurry", "somebody who has waited for weeks"],
    }
    (asked,) = world.chat.asked("goal_topics")
    assert (asked["goal"], asked["count"]) == (workflow.goal, 3)
    assert report.change(workflow) == workflow


async def test_rows_for_approved_topics_are_proposed_with_their_cost_and_no_model_is_asked() -> None:
    world = World()
    workflow = await world.workflow(None, topics=TOPICS)
    report = await BOOTSTRAP.run(
        world.context(workflow, "bootstrap"), {**PARAMS, "personas": ["x y z", "a b c"]}
    )
    (draft,) = report.drafts
    assert draft.kind == "generation" and draft.ceiling_usd > 0
    assert draft.payload["total"] == 12 and draft.payload["from_goal"]
    assert draft.payload["params"]["strategy"] == "topic_description"
    assert draft.payload["personas"] == ["x y z", "a b c"]
    assert world.chat.requests == []


async def test_the_rows_are_version_one_of_a_new_dataset() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(None, topics=TOPICS)
    params = {"strategy": "topic_description", "count_per_topic": 4, "personas": ["x y z", "a b c"]}
    params["target_topics"] = [topic.id for topic in TOPICS]
    report = await GENERATE.run(world.context(workflow, "generate", params=params), params)
    after = report.change(workflow)
    assert (report.facts["dataset_version"], report.facts["from_goal"]) == (1, True)
    assert (after.dataset_version, after.valid_rows) == (1, 12)
    assert [next.operation for next in report.then] == ["categorize"]
    (dataset,) = [record for record in report.records if isinstance(record, Dataset)]
    assert (dataset.id, dataset.latest, dataset.personas) == (after.dataset_id, 1, ("x y z", "a b c"))
    manifest = world.datasets.manifest(TENANT, after.dataset_id, 1)
    assert manifest.head.parent is None
    assert {found.topic for found in world.datasets.iter_rows(manifest)} == {topic.id for topic in TOPICS}


async def test_rows_of_a_file_that_came_meanwhile_are_the_dataset_and_the_generated_ones_join_them() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    begun = await world.workflow(None, topics=TOPICS)
    params = {"strategy": "topic_description", "count_per_topic": 4, "target_topics": ["shipping"]}
    manifest = world.dataset(rows(labelled=True))
    now = replace(begun, dataset_id="d1", dataset_version=1, total_rows=30, valid_rows=30)
    await world.put(now)
    report = await GENERATE.run(world.context(begun, "generate", params=params), params)
    after = report.change(replace(now, version=2))
    grown = world.datasets.manifest(TENANT, "d1", report.facts["dataset_version"])
    assert grown.totals.rows == manifest.totals.rows + 4
    assert last_user_message(next(world.datasets.iter_rows(grown))).startswith("I was charged")
    assert after.dataset_id == "d1"


@pytest.mark.parametrize("strategy", ["few_shot", "message_variation", "tool_chain"])
async def test_what_grows_from_rows_is_refused_while_there_are_none(strategy: str) -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(None, topics=TOPICS)
    with pytest.raises(StepError, match="grows from rows"):
        await GENERATE.run(world.context(workflow), {"strategy": strategy, "target_topics": ["shipping"]})


@pytest.mark.parametrize(
    "answer",
    [
        ModelAnswerInvalid("no"),
        {"topics": []},
        {"topics": [{"path": [" "], "description": "", "keywords": []}]},
    ],
)
async def test_a_model_that_thinks_of_nothing_is_said_to(answer: Any) -> None:
    world = World(chat=FakeChat(goal_topics=lambda data: answer))
    workflow = await world.workflow(None)
    with pytest.raises(StepError, match="topics"):
        await BOOTSTRAP.run(world.context(workflow, "bootstrap"), PARAMS)


async def test_with_rows_there_is_nothing_to_begin() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(rows()))
    with pytest.raises(StepError, match="There are rows by now"):
        await BOOTSTRAP.run(world.context(workflow, "bootstrap"), PARAMS)


async def test_without_consent_not_even_the_goal_is_sent() -> None:
    world = World(settings=settings(allowed_providers=()))
    workflow = await world.workflow(None)
    with pytest.raises(StepError, match="consent"):
        await BOOTSTRAP.run(world.context(workflow, "bootstrap"), PARAMS)
