"""Generating rows: plans, filters, counting, stopping, and a restart that pays for nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storage.errors import LostLease
from storage.records import Json, Workflow
from storage.rows import last_user_message
from tasks.models.port import ModelAnswerInvalid
from tasks.step import StepError, StepReport
from tasks.steps.generate import GENERATE
from tasks.steps.generate_preview import GENERATE_PREVIEW, spread
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
    context: Context = world.context(workflow)
    context.stop_after = 1
    report = await GENERATE.run(context, {**PARAMS, "count_per_topic": 400})
    assert report.partial
    assert 0 < report.facts["kept"] < 400
    assert report.facts["kept"] == report.change(workflow).valid_rows - 30


async def test_after_a_kill_no_batch_is_paid_for_twice_and_no_row_doubled() -> None:
    world = World(chat=FakeChat(synthetic_rows=Writer()))
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS)
    first: Context = world.context(workflow)
    first.die_after = 2  # both batches are in; the kill comes before the version is noted
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
    assert spread(["a", "b"], 5) == [("a", 3), ("b", 2)]
    assert spread(["a", "b", "c", "d"], 3) == [("a", 1), ("b", 1), ("c", 1)]
