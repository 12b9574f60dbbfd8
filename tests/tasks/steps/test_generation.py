"""Generating rows: plans, filters, counting, stopping, and a restart that pays for nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from storage.errors import LostLease
from storage.records import Json, Workflow
from storage.rows import Input, last_user_message
from tasks.models.port import ModelAnswerInvalid
from tasks.rules.rounds import Want
from tasks.step import StepError, StepReport
from tasks.steps.generate import GENERATE
from tasks.steps.generate_preview import GENERATE_PREVIEW, few
from tests.fakes import FakeChat
from tests.makers import TENANT, TOPICS, Context, World, row, rows, settings

pytestmark = pytest.mark.anyio
PARAMS: Json = {"strategy": "few_shot", "target_topics": ["shipping"], "count_per_topic": 20}
PLACES = [
    "Oslo",
    "Lima",
    "Cairo",
    "Quito",
    "Turin",
    "Delhi",
    "Accra",
    "Perth",
    "Dakar",
    "Leeds",
    "Bonn",
    "Nice",
    "Riga",
    "Kyiv",
    "Minsk",
    "Tunis",
    "Sofia",
    "Basel",
    "Ghent",
    "Porto",
]


class Writer:
    """A generator model that never repeats itself. `spoil` changes some of its texts."""

    def __init__(self, spoil: Callable[[int, str], str] = lambda number, text: text) -> None:
        self.made = 0
        self.spoil = spoil

    def __call__(self, data: Json) -> Json:
        return {"rows": [self.one(data, place) for place in range(data["count"])]}

    def one(self, data: Json, place: int) -> Json:
        number, self.made = self.made, self.made + 1
        place_name = PLACES[number % len(PLACES)]
        text = f"{place_name} depot {number * 7919}: what happened to the crate promised before {PLACES[(number * 3 + 1) % 20]}"
        return {"seed": place, "persona": data["personas"][0], "text": self.spoil(number, text)}


async def generated(world: World, params: Json = PARAMS, **fields: Any) -> tuple[StepReport, Workflow]:
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS, **fields)
    report = await GENERATE.run(world.context(workflow), params)
    return report, report.change(workflow)


async def test_kept_rows_join_a_new_version_with_their_topic_and_where_they_came_from() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    report, after = await generated(world)
    assert (report.facts["asked"], report.facts["kept"]) == (20, 20)
    assert report.facts["balance_before"] == pytest.approx(0.961, abs=1e-3)
    assert report.facts["balance_after"] == pytest.approx(
        0.716, abs=1e-3
    )  # 12/10/28: one topic has too much now
    assert (after.dataset_version, after.valid_rows) == (2, 50)
    assert after.coverage["distribution"][2]["count"] == 28
    manifest = world.datasets.manifest(TENANT, "d1", 2)
    made = [found for found in world.datasets.iter_rows(manifest) if found.is_generated]
    assert {found.topic for found in made} == {"shipping"}
    assert made[0].provenance["strategy"] == "few_shot"
    assert made[0].provenance["seed"].startswith("shipping-")
    assert made[0].provenance["model"] == "writer"
    assert made[0].output.messages == []


async def test_every_rejection_is_counted_by_its_reason_and_the_round_is_remembered() -> None:
    def spoil(number: int, text: str) -> str:
        spoilt = {0: "short", 1: "As an AI language model, I cannot write that.", 2: "", 3: "x" * 2001}
        return spoilt.get(number, text)

    report, after = await generated(World(chat=FakeChat(synthetic_rows=Writer(spoil))))
    assert report.facts["rejected"] == {
        "too_short": 1,
        "llm_artifact": 1,
        "no_user_message": 1,
        "too_long": 1,
    }
    assert report.facts["generated"] == 20
    assert report.facts["kept"] == 16
    (round_,) = after.rounds
    assert (round_.asked, round_.kept, round_.by_topic) == (20, 16, {"shipping": 16})


async def test_near_copies_of_the_dataset_and_of_the_batch_are_rejected() -> None:
    def spoil(number: int, text: str) -> str:
        if number == 1:
            return "Where is my parcel, the courier lost the delivery and tracking 0-amber delta basil 0 is empty"
        return "Bergen depot: what happened to the crate that was promised" if number in (4, 5) else text

    report, _ = await generated(World(chat=FakeChat(synthetic_rows=Writer(spoil))))
    assert sum(report.facts["rejected"].values()) == 2
    assert report.facts["rejected"]["near_duplicate"] >= 1


async def test_a_row_about_another_topic_is_rejected() -> None:
    off = "Please refund the invoice, I was charged for the payment of parcel 77 by mistake"
    report, _ = await generated(
        World(chat=FakeChat(synthetic_rows=Writer(lambda number, text: off if number == 0 else text)))
    )
    assert report.facts["rejected"].get("off_topic", 0) + report.facts["kept"] == 20


async def test_a_batch_of_nonsense_loses_only_itself() -> None:
    writer = Writer()

    def answer(data: Json) -> Any:
        return ModelAnswerInvalid("nonsense") if data["round"] % 10 == 0 else writer(data)

    report, _ = await generated(World(chat=FakeChat(synthetic_rows=answer)))
    assert report.facts["rejected"] == {"no_answer": 10}
    assert report.facts["kept"] == 10


async def test_nothing_usable_at_all_is_said_and_adds_no_version() -> None:
    world = World(chat=FakeChat(synthetic_rows=lambda data: ModelAnswerInvalid("nonsense")))
    with pytest.raises(StepError, match="Nothing was added"):
        await generated(world)


async def test_stopped_in_the_middle_what_was_made_is_kept_and_counted() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS)
    context: Context = world.context(workflow, "generate")
    context.stop_after = 3  # the script, the plan, one batch
    report = await GENERATE.run(context, {**PARAMS, "count_per_topic": 400})
    assert report.partial
    assert 0 < report.facts["kept"] < 400
    assert report.facts["kept"] == report.change(workflow).valid_rows - 30


async def test_after_a_kill_no_batch_is_paid_for_twice_and_no_row_doubled() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS)
    first: Context = world.context(workflow)
    first.die_after = 4  # script, plan and both batches are in; the kill comes before the version is noted
    with pytest.raises(LostLease):
        await GENERATE.run(first, PARAMS)
    asked = len(world.chat.requests)
    report = await GENERATE.run(world.context(workflow, done=first.done), PARAMS)
    assert len(world.chat.requests) == asked
    assert report.facts["kept"] == 20


async def test_seed_rows_need_no_topics() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows({"login": 3})))
    params = {"strategy": "few_shot", "record_ids": ["login-0", "login-2"], "variations_per_record": 5}
    report = await GENERATE.run(world.context(workflow), params)
    assert report.facts["kept"] == 10
    seeds = {example["text"] for data in world.chat.asked("synthetic_rows") for example in data["examples"]}
    assert len(seeds) == 2
    assert world.chat.asked("synthetic_rows")[0]["topic"] is None


async def test_unknown_seed_rows_are_named_as_the_cause() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows({"login": 3})))
    with pytest.raises(StepError, match="None of the seed rows"):
        await GENERATE.run(world.context(workflow), {"record_ids": ["nobody"]})


async def test_a_variation_keeps_the_conversation_before_the_last_turn() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    talk = row("and when will it arrive then, I wonder", id="talk")
    talk.input.messages.insert(0, {"role": "assistant", "content": "It left the depot."})
    talk.input.messages.insert(0, {"role": "system", "content": "Be kind."})
    workflow = await world.workflow(world.dataset([talk]))
    params = {"strategy": "message_variation", "record_ids": ["talk"], "variations_per_record": 1}
    report = await GENERATE.run(world.context(workflow), params)
    manifest = world.datasets.manifest(TENANT, "d1", report.facts["dataset_version"])
    (made,) = [found for found in world.datasets.iter_rows(manifest) if found.is_generated]
    assert [message["role"] for message in made.input.messages] == ["system", "assistant", "user"]
    assert last_user_message(made).startswith("Oslo depot")


async def test_without_consent_nothing_is_sent() -> None:
    world = World(settings=settings(allowed_providers=()), chat=FakeChat(synthetic_rows=Writer()))
    with pytest.raises(StepError, match="consent"):
        await generated(world)
    assert world.chat.requests == []


async def test_a_preview_adds_nothing() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS)
    report = await GENERATE_PREVIEW.run(world.context(workflow), {**PARAMS, "count": 5})
    assert len(report.facts["rows"]) == 5
    assert report.facts["rows"][0]["topic"] == "Shipping"
    assert report.change(workflow) == workflow
    assert report.records == ()


def test_a_preview_is_spread_over_the_topics() -> None:
    def shares(names: str, count: int) -> list[tuple[str, int]]:
        return [(want.topic, want.count) for want in few(tuple(Want(name, 50) for name in names), count)]

    assert shares("ab", 5) == [("a", 3), ("b", 2)]
    assert shares("abcd", 3) == [("a", 1), ("b", 1), ("c", 1)]


# ---------------------------------------------------------------- plans that are exact, and the same after every restart


async def test_every_seed_row_gets_exactly_its_variations() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows({"login": 5})))
    params = {
        "strategy": "message_variation",
        "record_ids": ["login-4", "login-0", "login-2"],
        "variations_per_record": 7,
    }
    report = await GENERATE.run(world.context(workflow), params)
    manifest = world.datasets.manifest(TENANT, "d1", report.facts["dataset_version"])
    made = [found.provenance["seed"] for found in world.datasets.iter_rows(manifest) if found.is_generated]
    assert {seed: made.count(seed) for seed in made} == {"login-4": 7, "login-0": 7, "login-2": 7}
    assert report.change(workflow).rounds[-1].by_seed == {"login-4": 7, "login-0": 7, "login-2": 7}


async def test_a_large_round_is_spread_and_whoever_is_killed_costs_only_what_was_in_flight() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS)
    params = {**PARAMS, "count_per_topic": 400}
    first: Context = world.context(workflow, "generate", params=params)
    first.die_after = 15
    with pytest.raises(LostLease):
        await GENERATE.run(first, params)
    paid = {name for name in first.done if ".batch" in name}
    asked = len(world.chat.requests)
    second = world.context(workflow, "generate", params=params, done=first.done)
    report = await GENERATE.run(second, params)
    assert report.facts["generated"] == 400
    assert {"lap0.share0", "lap0.share1", "lap0.share2"} <= set(second.done)
    assert len(world.chat.requests) - asked == 40 - len(paid)  # what was paid for is not asked again


async def test_a_repeat_rejects_the_same_rows_whatever_order_they_came_in() -> None:
    repeats = {3: 1, 25: 14, 47: 46}  # each says again what an earlier one said

    def run() -> World:
        texts: dict[int, str] = {}

        def write(data: Json) -> Json:
            made = []
            for place in range(data["count"]):
                number = data["round"] * 10 + place
                source = repeats.get(number, number)
                texts[number] = (
                    f"{PLACES[source % 20]} depot {source * 7919}: where is the crate for {PLACES[(source * 3 + 1) % 20]}"
                )
                made.append({"row": place, "seed": 0, "persona": "x", "text": texts[number]})
            return {"rows": made[::-1]}  # the model answers in another order; each says which row it is

        return World(chat=FakeChat(synthetic_rows=write))

    kept = []
    for _ in range(2):
        world = run()
        report, _after = await generated(world, {**PARAMS, "count_per_topic": 50})
        manifest = world.datasets.manifest(TENANT, "d1", 2)
        kept.append(
            [last_user_message(found) for found in world.datasets.iter_rows(manifest) if found.is_generated]
        )
        assert report.facts["rejected"] == {"near_duplicate": 3}
        assert [sample["code"] for sample in report.facts["rejected_samples"]] == ["near_duplicate"] * 2
    assert kept[0] == kept[1]


# ---------------------------------------------------------------- what each strategy asks and checks


async def test_examples_for_few_shot_differ_from_one_another() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    alike = [row(f"Please refund my invoice number {n} for last month", id=f"alike-{n}") for n in range(40)]
    others = [
        "The courier lost my parcel in Oslo",
        "My password is locked again",
        "Which colours does the chair come in?",
    ]
    workflow = await world.workflow(
        world.dataset([*alike, *(row(text, id=text[:4]) for text in others)]), topics=TOPICS
    )
    await GENERATE.run(world.context(workflow), {**PARAMS, "count_per_topic": 3})
    (asked,) = world.chat.asked("synthetic_rows")
    assert set(others) <= {example["text"] for example in asked["examples"]}


async def test_keywords_and_difficulties_of_a_topic_are_crossed() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    report, _ = await generated(world, {**PARAMS, "strategy": "topic_description", "count_per_topic": 12})
    briefs = [brief for asked in world.chat.asked("synthetic_rows") for brief in asked["rows"]]
    assert (
        len({(brief["keyword"], brief["difficulty"]) for brief in briefs}) == 12
    )  # four keywords, three difficulties
    manifest = world.datasets.manifest(TENANT, "d1", report.facts["dataset_version"])
    made = next(found for found in world.datasets.iter_rows(manifest) if found.is_generated)
    assert made.provenance["keyword"] == briefs[0]["keyword"]


async def test_an_answer_belongs_to_the_brief_that_it_names_whatever_its_place() -> None:
    def write(data: Json) -> Json:
        told = [
            {
                "row": brief["row"],
                "seed": 0,
                "persona": "x",
                "text": f"About {brief['keyword']}, {brief['difficulty']}: {PLACES[brief['row']] * 4}?",
            }
            for brief in data["rows"]
        ]
        return {"rows": told[::-1]}

    world = World(chat=FakeChat(synthetic_rows=write))
    report, _ = await generated(world, {**PARAMS, "strategy": "topic_description", "count_per_topic": 6})
    assert report.facts["kept"] == 6
    manifest = world.datasets.manifest(TENANT, "d1", report.facts["dataset_version"])
    for found in world.datasets.iter_rows(manifest):
        if found.is_generated:
            told = f"About {found.provenance['keyword']}, {found.provenance['difficulty']}:"
            assert last_user_message(found).startswith(told)


async def test_every_combination_of_a_scenario_is_asked_for_once() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    params = {
        **PARAMS,
        "strategy": "scenario_expansion",
        "count_per_topic": 24,
        "aspects": ["abroad", "tone: calm, angry"],
    }
    await generated(world, {**params, "base_scenario": "A parcel is late"})
    briefs = [brief for asked in world.chat.asked("synthetic_rows") for brief in asked["rows"]]
    combined = [(tuple(brief["aspects"]), brief["persona"], brief["difficulty"]) for brief in briefs]
    assert len(set(combined)) == len(combined) == 24
    assert {aspects for aspects, _, _ in combined} == {
        ("abroad", "tone: calm"), ("tone: calm",), ("abroad", "tone: angry"), ("tone: angry",)
    }  # fmt: skip


TOOL: Json = {
    "type": "function",
    "function": {
        "name": "find_order",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    },
}
OTHER: Json = {"type": "function", "function": {"name": "refund_order", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("mode", "change", "code"),
    [
        ("rft", {}, None),
        (
            "rft",
            {"text": "Please call find_order for parcel 17 and then pay me back what it cost"},
            "names_a_tool",
        ),
        ("rft", {"tools": ["refund_order"]}, "wrong_tool_calls"),
        ("sft", {}, None),
        ("sft", {"calls": ["refund_order", "find_order"]}, "wrong_tool_calls"),
        ("sft", {"arguments": "{}"}, "wrong_tool_calls"),
        ("sft", {"answer": ""}, "invalid_structure"),
    ],
)
async def test_a_tool_chain_is_checked_in_code(mode: str, change: Json, code: str | None) -> None:
    text = change.get("text", "Parcel 17 never came to Oslo, I would like to have my money back for it")

    def write(data: Json) -> Json:
        assert [tool["function"]["name"] for tool in data["tools"]] == ["find_order", "refund_order"]
        made: Json = {
            "row": 0,
            "seed": 0,
            "persona": "x",
            "tools": change.get("tools", data["rows"][0]["tools"]),
        }
        if mode == "rft":
            return {"rows": [{**made, "text": text}]}
        turns: list[Json] = [{"role": "user", "content": text, "tool_calls": [], "tool_call_id": ""}]
        for name in change.get("calls", data["rows"][0]["tools"]):
            arguments = change.get("arguments", '{"id": "17"}')
            turns.append(
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": name, "name": name, "arguments": arguments}],
                }
            )
            turns.append({"role": "tool", "content": "{}", "tool_call_id": name, "tool_calls": []})
        return {
            "rows": [
                {
                    **made,
                    "messages": [
                        *turns,
                        {"role": "assistant", "content": change.get("answer", "It is paid back.")},
                    ],
                }
            ]
        }

    world = World(chat=FakeChat(synthetic_rows=write))
    seed = row("Where did my order go, and can you pay it back?", id="seed")
    workflow = await world.workflow(
        world.dataset(
            [msgspec.structs.replace(seed, input=Input(messages=seed.input.messages, tools=[TOOL, OTHER]))]
        )
    )
    params = {
        "strategy": "tool_chain",
        "generation_mode": mode,
        "record_ids": ["seed"],
        "variations_per_record": 1,
    }
    params |= {"tool_patterns": [["find_order", "refund_order"]]}
    report = await GENERATE.run(world.context(workflow), params)
    assert report.facts["rejected"] == ({code: 1} if code else {}), report.facts["rejected_samples"]


async def test_a_conversation_without_an_answer_is_no_supervised_row() -> None:
    def write(data: Json) -> Json:
        turns = [{"role": "user", "content": "Where in Oslo is the depot that holds parcel 17?"}]
        return {"rows": [{"row": 0, "seed": 0, "persona": "x", "messages": turns}]}

    report, _ = await generated(
        World(chat=FakeChat(synthetic_rows=write)), {**PARAMS, "generation_mode": "sft", "count_per_topic": 1}
    )
    assert report.facts["rejected"] == {"invalid_structure": 1}
    assert "does not end with an answer" in report.facts["rejected_samples"][0]["message"]


# ---------------------------------------------------------------- variety


async def test_variety_is_shown_beside_as_many_real_rows() -> None:
    report, _ = await generated(World(chat=FakeChat(synthetic_rows=Writer())))
    found = report.facts["diversity"]
    assert found["rows"] == found["real"]["rows"] == 20
    assert all(0 <= share <= 1 for share in [*found["distinct"], *found["real"]["distinct"]])
    assert found["near_duplicate_share"] == 0.0


async def test_a_preview_of_another_call_shows_other_examples() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS)
    for id in ("one", "two"):
        context = world.context(workflow, "generate_preview")
        context.task = replace(context.task, id=id)
        await GENERATE_PREVIEW.run(context, {**PARAMS, "count": 3})
    first, second = world.chat.asked("synthetic_rows")
    assert first["round"] != second["round"]
    assert first["examples"] != second["examples"]
