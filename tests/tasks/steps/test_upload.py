"""The dataset on its way to the training backend: split, shaped, keyed, and refused where it must be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from storage.records import Json
from tasks.models.port import ModelUnavailable
from tasks.step import StepError, StepReport
from tasks.steps.splitting import sides
from tasks.steps.upload_dataset import UPLOAD_DATASET
from tasks.trainers.port import TrainerRefused, TrainerUnavailable
from tests.makers import TOPICS, World, row, rows, settings

pytestmark = pytest.mark.anyio
COUNTS = {"billing": 60, "login": 40, "shipping": 20}


async def uploaded(
    world: World, given: list[object] | None = None, params: Json | None = None, **fields: object
) -> StepReport:
    manifest = world.dataset(given or rows(COUNTS, labelled=True))  # type: ignore[arg-type]
    workflow = await world.workflow(manifest, topics=TOPICS, **fields)
    return await UPLOAD_DATASET.run(world.context(workflow), params or {})


async def test_rows_are_split_and_sent_in_the_form_of_reinforcement() -> None:
    world = World()
    given = [
        *rows({"billing": 59}, labelled=True),
        row("What is 2 + 2, tell me now", id="x", item={"level": 3}, answer="4"),
    ]
    report = await uploaded(world, given)
    assert (report.facts["train_count"], report.facts["validation_count"]) == (54, 6)
    sent = [json.loads(line) for data in world.trainer.files.values() for line in data.splitlines()]
    assert len(sent) == 60
    assert all(one["messages"][-1]["role"] == "user" for one in sent)
    special = next(one for one in sent if one.get("level"))
    assert special["reference_answer"] == "4"
    upload = report.change(await world.workflow(None, id="w2")).upload
    assert upload is not None
    assert upload.dataset_version == 1
    assert upload.backend_dataset_id.startswith("file-")


async def test_validation_is_a_tenth_and_holds_every_topic() -> None:
    world = World()
    manifest = world.dataset(rows(COUNTS, labelled=True))
    chosen = sides(world.datasets, manifest, train=0.9)
    assert chosen.split.count("validation") == 12
    found = {one.topic for one in world.datasets.pick(manifest, chosen.where("validation"))}
    assert found == {"billing", "login", "shipping"}


async def test_rows_that_grew_from_one_stay_on_its_side() -> None:
    world = World()
    seeds = rows({"billing": 40}, labelled=True)
    grown = [
        row(
            f"Grown from another one, number {number} {number * 977}",
            id=f"g{number}",
            topic="billing",
            is_generated=True,
            provenance={"seed": f"billing-{number}"},
        )
        for number in range(40)
    ]
    manifest = world.dataset([*seeds, *grown])
    chosen = sides(world.datasets, manifest, train=0.9)
    by_side = {
        side: {one.id for one in world.datasets.pick(manifest, chosen.where(side))}
        for side in ("train", "validation")  # type: ignore[arg-type]
    }
    for number in range(40):
        assert (f"billing-{number}" in by_side["train"]) == (f"g{number}" in by_side["train"])


async def test_uploading_again_sends_nothing_new_unless_forced() -> None:
    world = World()
    await uploaded(world)
    before = dict(world.trainer.files)
    workflow = replace(await world.workflow(None, id="w2"), dataset_id="d1", dataset_version=1)
    await UPLOAD_DATASET.run(world.context(workflow), {})
    assert world.trainer.files == before
    await UPLOAD_DATASET.run(world.context(workflow), {"force_reupload": True})
    assert len(world.trainer.files) == 4


async def test_supervised_training_needs_answers() -> None:
    with pytest.raises(StepError, match="reference answer"):
        await uploaded(World(), configuration={"method": "sft"})


async def test_supervised_rows_end_with_the_answer() -> None:
    world = World()
    given = [row(f"Question number {number}, what is it?", answer=f"It is {number}") for number in range(20)]
    await uploaded(world, given, configuration={"method": "supervised"})
    sent = [json.loads(line) for data in world.trainer.files.values() for line in data.splitlines()]
    assert {one["messages"][-1]["role"] for one in sent} == {"assistant"}


async def test_the_dry_run_follows_when_it_was_asked_for() -> None:
    report = await uploaded(World(), params={"then": "dry_run", "then_params": {"rollouts": 2}})
    assert [(following.operation, following.params) for following in report.then] == [
        ("dry_run", {"rollouts": 2})
    ]
    assert not report.say


async def test_a_backend_that_is_away_is_waited_for_and_one_that_refuses_is_explained() -> None:
    world = World()
    world.trainer.refusal = TrainerUnavailable("away")
    with pytest.raises(ModelUnavailable):
        await uploaded(world)
    other = World()
    other.trainer.refusal = TrainerRefused(
        "Fine-tuning is closed for this account.", code="training_not_available"
    )
    with pytest.raises(StepError) as refusal:
        await uploaded(other)
    assert refusal.value.code == "training_not_available"


async def test_without_consent_no_row_leaves() -> None:
    world = World(settings=settings(allowed_providers=()))
    with pytest.raises(StepError, match="consent"):
        await uploaded(world)
    assert world.trainer.files == {}
