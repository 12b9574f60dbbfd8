"""Rows in other words: what must stay stays, what does not is counted, and a stop or a kill loses nothing that was paid for."""

from __future__ import annotations

from typing import Any

import pytest

from storage.errors import LostLease
from storage.records import Json, Workflow
from storage.rows import Row, last_user_message
from tasks.models.port import ModelAnswerInvalid
from tasks.step import StepError, StepReport
from tasks.steps.augment import AUGMENT
from tests.fakes import FakeChat
from tests.makers import TENANT, TOPICS, Context, World, row, rows, settings

pytestmark = pytest.mark.anyio
PARAMS: Json = {"methods": ["paraphrase"], "record_ids": ["r1"], "topics": [], "pivot": "German"}
TEXT = "Where is parcel 17 that Anna Berger did not send to Oslo?"
SAME = "Parcel 17 was not sent to Oslo by Anna Berger: where has it gone?"


def saying(text: str) -> FakeChat:
    return FakeChat(
        paraphrases=lambda data: {"rows": [{"row": one["row"], "text": text} for one in data["rows"]]},
        translations=lambda data: {
            "rows": [
                {
                    "row": one["row"],
                    "language": "English" if one["into"] == "German" else "German",
                    "text": text,
                }
                for one in data["rows"]
            ]
        },
    )


async def augmented(
    world: World, params: Json = PARAMS, given: list[Row] | None = None
) -> tuple[StepReport, Workflow]:
    one = row(
        TEXT,
        id="r1",
        answer="It is in Bergen.",
        topic="shipping",
        topic_confidence=0.8,
        topic_method="manual",
    )
    workflow = await world.workflow(world.dataset(given or [one]), topics=TOPICS)
    report = await AUGMENT.run(world.context(workflow, "augment", params=params), params)
    return report, report.change(workflow)


def made_by(world: World, report: StepReport) -> list[Row]:
    manifest = world.datasets.manifest(TENANT, "d1", report.facts["dataset_version"])
    return [found for found in world.datasets.iter_rows(manifest) if found.is_generated]


@pytest.mark.parametrize("method", ["paraphrase", "backtranslate"])
async def test_only_the_last_turn_changes_and_the_row_says_where_it_came_from(method: str) -> None:
    world = World(chat=saying(SAME))
    report, after = await augmented(world, {**PARAMS, "methods": [method]})
    (made,) = made_by(world, report)
    assert last_user_message(made) == SAME
    assert made.output.messages == [{"role": "assistant", "content": "It is in Bergen."}]
    assert (made.topic, made.topic_confidence, made.is_generated) == ("shipping", 0.8, True)
    assert made.provenance["seed"] == "r1" and made.provenance["strategy"] == method
    assert made.provenance["model"] == "writer" and "@" in made.provenance["prompt_version"]
    assert made.provenance.get("pivot") == ("German" if method == "backtranslate" else None)
    assert (after.dataset_version, after.valid_rows) == (2, 2)


async def test_back_translation_goes_there_and_comes_back_in_its_own_language() -> None:
    world = World(chat=saying(SAME))
    await augmented(world, {**PARAMS, "methods": ["backtranslate"]})
    there, back = world.chat.asked("translations")
    assert [one["into"] for one in (*there["rows"], *back["rows"])] == ["German", "English"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TEXT.upper(), "duplicate_of_seed"),
        (SAME.replace("17", "18"), "changed_facts"),
        (SAME.replace("not ", ""), "changed_facts"),
        (SAME.replace("Anna Berger", "somebody"), "changed_facts"),
        ("As an AI language model, I cannot rewrite this.", "llm_artifact"),
        ("", "no_user_message"),
    ],
)
async def test_what_no_longer_means_the_same_is_rejected_and_counted(text: str, code: str) -> None:
    report, after = await augmented(World(chat=saying(text)))
    assert (report.facts["kept"], report.facts["rejected"]) == (0, {code: 1})
    assert report.facts["rejected_samples"][0]["code"] == code
    assert after.dataset_version == 1


async def test_all_rows_of_a_topic_are_said_again_but_never_generated_ones() -> None:
    given = [
        *rows({"shipping": 3}, labelled=True),
        row("I was written by a model about parcel 9", id="g", topic="shipping", is_generated=True),
    ]
    world = World(chat=saying("x"))
    await augmented(world, {**PARAMS, "record_ids": [], "topics": ["shipping"]}, given)
    (asked,) = world.chat.asked("paraphrases")
    assert len(asked["rows"]) == 3


async def test_a_batch_of_nonsense_loses_only_itself_and_nothing_at_all_is_said() -> None:
    def answer(data: Json) -> Any:
        if len(data["rows"]) == 4:  # the second batch, whenever it is asked for
            return ModelAnswerInvalid("nonsense")
        return {
            "rows": [
                {"row": one["row"], "text": f"Tell me please what became of this: {one['text']}"}
                for one in data["rows"]
            ]
        }

    world = World(chat=FakeChat(paraphrases=answer))
    params = {**PARAMS, "record_ids": [f"shipping-{n}" for n in range(14)]}
    report, _ = await augmented(world, params, rows({"shipping": 14}, labelled=True))
    assert (report.facts["rejected"]["no_answer"], report.facts["generated"]) == (4, 10)
    with pytest.raises(StepError, match="Nothing was added"):
        await augmented(World(chat=FakeChat(paraphrases=lambda data: ModelAnswerInvalid("nonsense"))))


async def test_after_a_kill_on_the_way_back_the_way_there_is_not_paid_for_again() -> None:
    world = World(chat=saying(SAME))
    one = row(TEXT, id="r1", topic="shipping")
    workflow = await world.workflow(world.dataset([one]), topics=TOPICS)
    params = {**PARAMS, "methods": ["backtranslate"]}
    first: Context = world.context(workflow, "augment", params=params)
    first.die_after = 2  # what it is, and the way there
    with pytest.raises(LostLease):
        await AUGMENT.run(first, params)
    report = await AUGMENT.run(world.context(workflow, "augment", params=params, done=first.done), params)
    asked = [one["into"] for data in world.chat.asked("translations") for one in data["rows"]]
    assert asked == ["German", "English", "English"]  # the way back was under way when it was killed
    assert report.facts["kept"] == 1


async def test_many_rows_are_spread_over_workers() -> None:
    given = rows({"shipping": 360}, labelled=True)
    chat = FakeChat(
        paraphrases=lambda data: {
            "rows": [
                {"row": one["row"], "text": f"Tell me what became of it. {one['text']}"}
                for one in data["rows"]
            ]
        }
    )
    world = World(chat=chat)
    workflow = await world.workflow(world.dataset(given), topics=TOPICS)
    params = {**PARAMS, "record_ids": [], "topics": ["shipping"]}
    context = world.context(workflow, "augment", params=params)
    report = await AUGMENT.run(context, params)
    assert {"share0", "share1", "share2"} <= set(context.done)
    assert report.facts["generated"] == 360
    assert len(chat.requests) == 36


async def test_without_consent_nothing_is_sent() -> None:
    world = World(settings=settings(allowed_providers=()), chat=saying(SAME))
    with pytest.raises(StepError, match="consent"):
        await augmented(world)
    assert world.chat.requests == []


async def test_rows_that_do_not_exist_are_said_to() -> None:
    with pytest.raises(StepError, match="None of these is a valid row"):
        await augmented(World(chat=saying(SAME)), {**PARAMS, "record_ids": ["nobody"]})
