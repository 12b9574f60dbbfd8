"""Making rows, as people ask for it: five strategies, previews, the same again after a stop, other words, and from nothing but a goal.

The agent is scripted; what writes rows is the sandbox's own stand-in, which knows nothing of these tests.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.sandbox.model.asks import Ask
from bot.sandbox.model.structured.answers import ANSWERS
from storage.records import Json
from storage.rows import Row
from tasks.fanout import lend_a_hand
from tasks.models.port import ModelAnswerInvalid
from tasks.rules import tool_chains
from tasks.steps import OPERATIONS
from tests.acceptance import stages
from tests.acceptance.house import BOT, House, jsonl, until_seen
from tests.acceptance.model import Model, results, use

pytestmark = pytest.mark.anyio
ASK = Ask("stand-in", ())
WRITERS = ("synthetic_rows", "paraphrases", "translations", "goal_topics", "personas")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_order",
            "description": "Look up an order's state and contents.",
            "parameters": {
                "type": "object",
                "properties": {"order": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
                "required": ["order", "days"],
                "additionalProperties": False,
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "refund_order",
            "description": "Return the money paid.",
            "parameters": {
                "type": "object",
                "properties": {
                    "order": {"type": "string"},
                    "reason": {"type": "string", "enum": ["late", "broken"]},
                },
                "required": ["order", "reason"],
            },
        },
    },
]


def writes(house: House) -> House:
    """The stand-in answers every call that makes rows."""
    for name in WRITERS:
        house.model.structured[name] = lambda data, name=name: ANSWERS[name][1](ASK, data)
    return house


async def in_coverage() -> House:
    house = await stages.in_coverage(House())
    return writes(house)


async def generated(house: House, words: str = "more of shipping, please", **arguments: Any) -> Json:
    """Asked for in chat, approved by button; what came of it."""
    given = {"target_topics": ["Shipping"], "count_per_topic": 12, **arguments}
    await house.say(words, use("generate_synthetic_data", **given))
    await house.approve()
    return house.last("generated")


async def made_in(house: House) -> list[Row]:
    return [row for row in await house.rows() if row.is_generated]


def with_tools(number: int) -> Json:
    text = f"Order {number * 7919 + 100} has not come after {number + 2} weeks, I would like my money for it back please"
    return {"id": f"seed-{number}", "messages": [{"role": "user", "content": text}], "tools": TOOLS}


# ---------------------------------------------------------------- strategies


@pytest.mark.parametrize(
    "strategy", ["message_variation", "few_shot", "topic_description", "scenario_expansion"]
)
async def test_a_strategy_is_asked_for_in_chat_and_its_rows_say_how_they_were_made(strategy: str) -> None:
    house = await in_coverage()
    facts = await generated(house, strategy=strategy)
    rows = await made_in(house)
    assert facts["kept"] == len(rows) == facts["generated"] - sum(facts["rejected"].values())
    assert facts["kept"] >= 8
    assert {row.provenance["strategy"] for row in rows} == {strategy}
    assert all(row.provenance["prompt_version"].startswith(f"{strategy}@") for row in rows)
    assert all(row.provenance["persona"] and row.provenance["model"] for row in rows)
    card = house.slack.messages[-2].words + house.slack.messages[-1].words
    assert "distinct-2" in card and "real" in card


async def test_each_strategy_looks_at_other_things() -> None:
    house = await in_coverage()
    asked: dict[str, Json] = {}
    for place, strategy in enumerate(
        ("message_variation", "few_shot", "topic_description", "scenario_expansion")
    ):
        await generated(house, f"more {place}", strategy=strategy, count_per_topic=5, continue_earlier=False)
        asked[strategy] = house.model.asked("synthetic_rows")[-1]
    assert all(example["messages"] for example in asked["message_variation"]["examples"])
    assert all("messages" not in example for example in asked["few_shot"]["examples"])
    assert asked["topic_description"]["examples"] == []
    assert {row["difficulty"] for row in asked["topic_description"]["rows"]} == {"easy", "medium", "hard"}
    assert len({str(row["aspects"]) for row in asked["scenario_expansion"]["rows"]}) == 5
    prompts = {
        str(one.messages[0].content)
        for one in house.model.requests
        if one.schema and one.schema.name == "synthetic_rows"
    }
    assert len(prompts) == 4


async def test_whole_conversations_call_the_rows_own_tools_in_order_with_arguments_that_fit() -> None:
    house = writes(House())
    house.model.structured["topic_hierarchy"] = lambda data: ModelAnswerInvalid("none")
    house.model.script.append(use("start_finetune_workflow", training_goals="Right refunds"))
    await house.upload([with_tools(number) for number in range(4)], text="Right refunds")
    asked = use(
        "generate_synthetic_data",
        strategy="tool_chain",
        generation_mode="sft",
        record_ids=["seed-0", "seed-1"],
        variations_per_record=2,
        tool_patterns=[["find_order", "refund_order"]],
    )
    await house.say("four that need both tools", asked)
    await house.click("Generate")
    facts = house.last("generated")
    assert (facts["asked"], facts["kept"]) == (4, 4), facts["rejected_samples"]
    catalogue = tool_chains.catalogue([TOOLS])
    for row in await made_in(house):
        assert tool_chains.chain_problem(row.messages, ["find_order", "refund_order"], catalogue) == ""
        assert not tool_chains.named_tool(str(row.input.messages[-1]["content"]), catalogue)
        assert tool_chains.catalogue([row.input.tools]).keys() == catalogue.keys()
        assert row.output.messages[-1]["role"] == "assistant"
    seeds = [row.provenance["seed"] for row in await made_in(house)]
    assert sorted(seeds) == ["seed-0", "seed-0", "seed-1", "seed-1"]


async def test_tools_that_no_row_defines_are_refused_with_those_that_exist() -> None:
    house = await in_coverage()
    await house.say(
        "use tools", use("generate_synthetic_data", strategy="tool_chain", target_topics=["Shipping"])
    )
    assert await house.proposals() == (), "nobody is asked to pay for what cannot be done"
    assert "no tools to chain" in str(results(house.model.turns[-1])[-1])
    assert await house.tasks("generate") == []


async def test_conversations_are_asked_for_whole_and_end_with_an_answer() -> None:
    house = await in_coverage()
    await generated(house, strategy="few_shot", generation_mode="sft")
    rows = await made_in(house)
    assert rows and all(row.output.messages[-1]["role"] == "assistant" for row in rows)
    assert all(row.provenance["mode"] == "sft" for row in rows)


# ---------------------------------------------------------------- previews, voices


async def test_two_previews_show_other_examples_and_add_none() -> None:
    house = await in_coverage()
    before = await house.workflow()
    shown = []
    for words in ("show me some first", "others please"):
        await house.say(words, use("generate_preview", target_topics=["Shipping"], strategy="few_shot"))
        shown.append([row["text"] for row in house.last("preview")["rows"]])
    assert len(shown[0]) == len(shown[1]) == 3
    assert not set(shown[0]) & set(shown[1])
    after = await house.workflow()
    assert (after.dataset_version, after.rounds) == (before.dataset_version, ())


async def test_voices_are_proposed_from_the_goal_shown_and_used() -> None:
    house = await in_coverage()
    await house.say("who would write to us?", use("propose_personas"))
    voices = results(house.model.turns[-1])[-1]["personas"]
    assert len(voices) >= 4
    await house.say(
        "more of shipping", use("generate_synthetic_data", target_topics=["Shipping"], count_per_topic=8)
    )
    card = next(one.words for one in reversed(house.slack.messages) if "Voices" in one.words)
    assert voices[0][:30] in card
    await house.approve()
    assert {row.provenance["persona"] for row in await made_in(house)} <= set(voices)


# ---------------------------------------------------------------- the same again


async def test_the_same_request_after_a_stop_makes_only_what_is_missing() -> None:
    """The model asks for the same numbers again; code subtracts what is there."""
    house = await in_coverage()
    house.model.structured["synthetic_rows"] = stages.fresh
    calls = 0

    async def write(data: Json) -> Json:
        nonlocal calls
        calls += 1
        if calls == 5:
            (task,) = [task for task in await house.tasks("generate") if task.status == "running"]
            await house.press("task.cancel", task.id)
        if calls >= 5:
            await until_seen(house.beat)
        return stages.fresh(data)

    house.model.structured["synthetic_rows"] = write
    asked = use(
        "generate_synthetic_data", target_topics=["Shipping"], count_per_topic=300, strategy="few_shot"
    )
    await house.say("300 more of shipping", asked)
    await house.approve()
    kept = house.last("generated")["kept"]
    assert 0 < kept < 300
    house.model.structured["synthetic_rows"] = stages.fresh
    await house.say("go on", asked)
    proposal = await house.proposal("generation")
    assert proposal.payload["total"] == 300 - kept
    card = next(
        one.words for one in reversed(house.slack.messages) if "Goes on with an earlier round" in one.words
    )
    assert f"{kept} rows of it are there already" in card
    await house.approve()
    facts = house.last("generated")
    assert facts["kept"] == 300 - kept
    assert facts["earlier"]["kept"] == kept
    assert (await house.counts())["shipping"] == 310
    await house.say("300 more again", asked)  # nothing was stopped: it is a new wish
    assert (await house.proposal("generation")).payload["total"] == 300


async def test_rejected_rows_are_asked_for_again_only_when_somebody_wants_exactly_that_many() -> None:
    def every_fifth_is_short(data: Json) -> Json:
        rows = stages.fresh(data)["rows"]
        return {"rows": [{**row, "text": "no"} if place % 5 == 0 else row for place, row in enumerate(rows)]}

    house = await in_coverage()
    house.model.structured["synthetic_rows"] = every_fifth_is_short
    facts = await generated(house, count_per_topic=20, strategy="few_shot")
    assert (facts["asked"], facts["kept"], facts.get("asked_again")) == (20, 16, None)
    facts = await generated(house, "exactly 20", count_per_topic=20, strategy="few_shot", until_kept=True)
    assert facts["kept"] > 16
    assert 0 < facts["asked_again"] <= 10  # never more than half of what was approved
    assert facts["generated"] == facts["asked"] + facts["asked_again"]
    missing = await house.call(
        "generate_synthetic_data",
        {
            "target_topics": ["Shipping"],
            "count_per_topic": 20,
            "strategy": "few_shot",
            "continue_earlier": True,
        },
        key="again",
    )
    assert missing["total"] == 20 - facts["kept"] if facts["kept"] < 20 else not missing["ok"]


async def test_a_second_worker_takes_its_share_and_no_batch_is_asked_for_twice() -> None:
    house = await in_coverage()
    other = Model()
    other.structured = house.model.structured
    rounds: list[int] = []
    helper: list[asyncio.Task[None]] = []

    async def write(data: Json) -> Json:
        if not rounds:
            (task,) = [task for task in await house.tasks("generate") if task.status == "running"]
            lent = lend_a_hand(
                replace(house.deps, chat=other), OPERATIONS, lambda: house.beat, house.tenant, task.id
            )  # type: ignore[arg-type, return-value]
            helper.append(asyncio.create_task(lent))
        rounds.append(data["round"])
        return stages.fresh(data)

    house.model.structured["synthetic_rows"] = write
    facts = await generated(house, count_per_topic=500, strategy="few_shot")
    await helper[0]
    assert sorted(rounds) == list(range(50))
    assert (facts["generated"], facts["kept"]) == (500, 500)
    assert (await house.counts())["shipping"] == 510
    assert 0 < len(other.requests) < 50


# ---------------------------------------------------------------- other words


@pytest.mark.parametrize("method", ["paraphrase", "backtranslate"])
async def test_rows_in_other_words_keep_their_facts_and_answers(method: str) -> None:
    house = await in_coverage()
    before = {row.id: row for row in await house.rows()}
    asked = use("augment_dataset", methods=[method], topics=["Shipping"])
    await house.say("say the shipping rows again", asked)
    proposal = await house.proposal("augmentation")
    assert proposal.payload["total"] == 10 and proposal.ceiling_usd > 0
    await house.approve()
    facts = house.last("generated")
    rows = await made_in(house)
    assert facts["kept"] == len(rows) == facts["generated"] - sum(facts["rejected"].values()) > 0
    for row in rows:
        original = before[row.provenance["seed"]]
        assert row.provenance["strategy"] == method
        assert row.topic == original.topic == "shipping"
        assert row.output == original.output
        assert row.input.messages != original.input.messages
    assert len(house.model.asked("translations")) == (2 if method == "backtranslate" else 0)
    assert (await house.workflow()).valid_rows == 60 + len(rows)


async def test_other_words_are_previewed_beside_the_original_and_not_added() -> None:
    house = await in_coverage()
    await house.say("show me", use("augment_dataset", topics=["Shipping"], preview=True))
    preview = house.last("preview")
    assert preview["rows"] and all(row["original"] != row["text"] for row in preview["rows"])
    assert (await house.workflow()).valid_rows == 60
    assert await house.proposals() == ()
    await house.click("Add all of these rows")
    (proposal,) = await house.proposals()
    assert (proposal.kind, proposal.payload["params"]["topics"]) == ("augmentation", ["shipping"])


# ---------------------------------------------------------------- from a goal


async def from_goal(house: House) -> None:
    begin = use(
        "start_finetune_workflow", training_goals="Calm answers about late parcels", from_scratch=True
    )
    plan = use("bootstrap_dataset", topic_count=4, count_per_topic=6)
    house.thread = await house.send(
        f"<@{BOT}> no file yet: make me a dataset from scratch, for calm answers about late parcels"
    )
    house.model.script.extend([begin, plan])
    await house.settle()


async def test_a_dataset_from_the_goal_alone_by_chat() -> None:
    house = writes(House())
    await from_goal(house)
    topics = await house.proposal("topics")
    assert topics.payload["method"] == "goal" and len(topics.payload["hierarchy"]) == 4
    assert (await house.workflow()).dataset_version == 0
    await house.approve()
    generation = await house.proposal("generation")
    assert generation.payload["total"] == 24 and generation.payload["from_goal"]
    assert generation.ceiling_usd > 0
    await house.approve()
    facts = house.last("generated")
    workflow = await house.workflow()
    assert facts["dataset_version"] == 1 and workflow.valid_rows == facts["kept"] > 12
    manifest = house.deps.datasets.manifest(house.tenant, workflow.dataset_id, 1)
    assert (manifest.head.parent, manifest.head.operation) == (None, "generate")
    assert all(row.is_generated and row.topic for row in await house.rows())
    assert any("Every row of this dataset is synthetic" in one.words for one in house.slack.messages)
    assert workflow.steps["categorize"].status == "completed"
    voices = {row.provenance["persona"] for row in await house.rows()}
    assert voices <= set(generation.payload["params"]["personas"])


async def test_a_dataset_from_the_goal_alone_by_buttons() -> None:
    house = writes(House())
    house.thread = await house.send(f"<@{BOT}> hello")
    await house.settle()
    await house.press("bootstrap.open", "thread")
    assert "topic_count" in await house.submit(
        goal="Calm answers about late parcels", topic_count="50", count="5"
    )
    assert await house.submit(goal="Calm answers about late parcels", topic_count="3", count="5") == {}
    await house.approve()
    await house.approve()
    workflow = await house.workflow()
    assert house.last("generated")["dataset_version"] == 1 and workflow.valid_rows > 8
    assert workflow.goal == "Calm answers about late parcels"
    assert house.model.asked("goal_topics")[0]["count"] == 3


async def test_topics_of_the_goal_can_be_changed_before_there_are_rows() -> None:
    house = writes(House())
    await from_goal(house)
    house.model.structured["topic_changes"] = lambda data: {
        "operations": [{"op": "add", "topic": "", "name": "Customs", "parent": "", "into": ""}],
        "summary": "",
    }
    await house.say("add Customs", use("adjust_topics", instruction="add Customs"))
    await house.approve()
    proposal = await house.proposal("generation")
    plan, voices = proposal.payload["plan"], proposal.payload["personas"]
    await house.say("make it 9 each", use("generate_synthetic_data", count_per_topic=9))
    fewer = (await house.proposal("generation")).payload
    assert {line["count"] for line in fewer["plan"]} == {9} and fewer["personas"] == voices
    assert "Customs" in [line["name"] for line in plan] and {line["count"] for line in plan} == {6}


async def test_a_file_shared_after_the_goal_is_the_dataset_then() -> None:
    house = writes(House())
    await from_goal(house)
    workflow = await house.workflow()
    assert not workflow.dataset_id
    refused = await house.call("categorize_records")
    assert [one["code"] for one in refused["missing"]] == ["valid_rows", "topics"]
    house.model.structured["topic_hierarchy"] = lambda data: ModelAnswerInvalid("none")
    content = jsonl([with_tools(number) for number in range(4)])
    house.downloads.files["F0LATER"] = content
    file = {"id": "F0LATER", "name": "later.jsonl", "size": len(content)}
    await house.send("", files=[{**file, "url_private_download": "https://files.slack.com/F0LATER"}])
    await house.settle()
    after = await house.workflow()
    assert (after.id, after.goal, after.valid_rows) == (workflow.id, workflow.goal, 4)
