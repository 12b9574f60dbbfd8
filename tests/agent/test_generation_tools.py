"""Tools that make rows: what is proposed, what is refused and why, and that nothing starts by itself."""

from __future__ import annotations

import pytest

from storage.records import Dataset
from tests.agent.scene import TENANT, TOPICS, Scene, sorted_rows

pytestmark = pytest.mark.anyio


async def test_a_goal_alone_begins_a_workflow_only_when_somebody_asks_for_it() -> None:
    scene = Scene()
    refused = await scene.call("start_finetune_workflow", {"training_goals": "Be kind about late parcels"})
    assert [one["code"] for one in refused["missing"]] == ["valid_rows"]
    arguments = {"training_goals": "Be kind about late parcels", "from_scratch": True}
    begun = await scene.call("start_finetune_workflow", arguments, key="k2")
    again = await scene.call("start_finetune_workflow", arguments, key="k2")
    assert begun["ok"] and begun["workflow_id"] == again["workflow_id"]
    assert begun["name"] == "Be kind about late parcels" and "bootstrap_dataset" in begun["note"]
    planned = await scene.call("bootstrap_dataset", {"topic_count": 99}, key="k3")
    assert planned["status"] == "started"
    (task,) = scene.queue.jobs
    assert (task.operation, task.params["topic_count"]) == ("bootstrap", 20)


async def test_what_needs_rows_is_refused_in_a_workflow_of_a_goal_alone() -> None:
    scene = Scene()
    await scene.call("start_finetune_workflow", {"training_goals": "Be kind", "from_scratch": True})
    for tool, missing in (
        ("categorize_records", ["valid_rows", "topics"]),
        ("augment_dataset", ["valid_rows"]),
        ("generate_synthetic_data", ["topics_or_records"]),
        ("run_dry_run", ["valid_rows", "grader", "uploaded_dataset"]),
    ):
        refused = await scene.call(tool, key=tool)
        assert [one["code"] for one in refused["missing"]] == missing, tool


async def test_with_rows_there_is_no_dataset_to_begin() -> None:
    scene = Scene()
    await scene.workflow()
    refused = await scene.call("bootstrap_dataset")
    assert not refused["ok"] and refused["next"] == "generate_synthetic_data"


async def test_other_words_are_proposed_with_count_and_cost() -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 2), topics=TOPICS)
    result = await scene.call(
        "augment_dataset", {"methods": ["paraphrase", "backtranslate"], "topics": ["Complaints"]}
    )
    (proposal,) = await scene.proposals()
    assert proposal.kind == "augmentation" and proposal.ceiling_usd > 0
    assert (result["total"], result["rows"]) == (4, 2)
    assert proposal.payload["params"]["topics"] == ["complaints"]
    assert scene.queue.jobs == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"topics": ["cars"]}, "billing"),
        ({"record_ids": [f"r{n}" for n in range(501)]}, "too many to name"),
        ({"topics": ["empty"]}, "no rows that people wrote"),
    ],
)
async def test_other_words_of_nothing_are_refused_with_the_way_out(
    arguments: dict[str, list[str]], said: str
) -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 2), topics=(*TOPICS, type(TOPICS[0])("empty", "Empty")))
    result = await scene.call("augment_dataset", arguments)
    assert not result["ok"] and said in result["error"]
    assert await scene.proposals() == ()


async def test_named_voices_are_kept_and_shown_on_the_card() -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 2), topics=TOPICS)
    few = await scene.call(
        "propose_personas", {"personas": [" a nurse on night shift ", "A nurse on night shift"]}
    )
    assert not few["ok"] and "Fewer than two" in few["error"]
    named = {"personas": ["a nurse on night shift", "a pharmacist who is sure", "-"]}
    assert (await scene.call("propose_personas", named, key="k2"))["personas"] == named["personas"][:2]
    stored = await scene.state.get(TENANT, Dataset, "d1")
    assert stored and stored.personas == tuple(named["personas"][:2])
    await scene.call(
        "generate_synthetic_data", {"target_topics": ["complaints"], "count_per_topic": 5}, key="k3"
    )
    (proposal,) = await scene.proposals()
    assert proposal.payload["personas"] == named["personas"][:2]


@pytest.mark.parametrize("count", [0, 5_001])
async def test_too_many_rows_and_none_are_refused(count: int) -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 2), topics=TOPICS)
    result = await scene.call(
        "generate_synthetic_data", {"target_topics": ["complaints"], "count_per_topic": count}
    )
    assert not result["ok"] and f"{count:,} rows" in result["error"]
