"""Exports: each format whole or split, with or without generated rows; what cannot be held is said; stopping leaves nothing."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from dataclasses import replace
from typing import Any

import pytest

from storage.records import Json
from storage.rows import Row
from tasks.exporting.files import FORMATS, gzipped
from tasks.step import Cancelled, StepContext, StepError
from tasks.steps.dataset_card import DATASET_CARD
from tasks.steps.export import EXPORT
from tasks.steps.prepare_dataset import PREPARE_DATASET
from tests.makers import TENANT, TOPICS, World, row, rows

pytestmark = pytest.mark.anyio


async def exported(world: World, given: list[Row], **params: Any) -> tuple[Json, bytes]:
    workflow = await world.workflow(world.dataset(given), topics=TOPICS)
    report = await EXPORT.run(world.context(workflow), params)
    return report.facts, world.blobs.get(report.facts["path"])


def mixed() -> list[Row]:
    """Thirty labelled rows, ten of them generated, twenty with an answer."""
    given = rows({"billing": 12, "login": 10, "shipping": 8}, labelled=True)
    made = []
    for number, one in enumerate(given):
        answer = "Thank you, it is done." if number % 3 else ""
        how = {"is_generated": True, "provenance": {"strategy": "few_shot", "model": "writer", "seed": "x"}}
        more: Json = how if number % 3 == 1 else {}
        item = {"customer": f"c{number}", "label": one.topic or ""}
        text = str(one.input.messages[-1]["content"])
        labels = {"topic": one.topic, "topic_confidence": 0.9, "topic_method": "llm"}
        made.append(row(text, id=one.id, answer=answer, item=item, **labels, **more))
    return made


@pytest.mark.parametrize("form", sorted(FORMATS))
async def test_every_format_can_be_had(form: str) -> None:
    world, given = World(), mixed()
    if form == "openai_dpo":
        given = [
            row(f"Question number {n}, please?", id=f"r{n}", answer="Yes.", item={"rejected": "No."})
            for n in range(4)
        ]
    facts, data = await exported(world, given, format=form)
    assert facts["rows"] + sum(one["rows"] for one in facts["left_out"]) == len(given)
    assert facts["file_name"].endswith(FORMATS[form].ending) and facts["size"] == len(data)
    assert form in ("jsonl", "csv", "parquet") or f"-{form.replace('_', '-')}." in facts["file_name"]
    if FORMATS[form].ending == ".jsonl":
        assert len(data.splitlines()) == facts["rows"]


async def test_what_a_format_cannot_hold_is_counted_and_said() -> None:
    facts, data = await exported(World(), mixed(), format="openai_sft")
    assert facts["left_out"] == [{"rows": 10, "why": "without a reference answer"}]
    assert facts["rows"] == 20 and set(json.loads(data.splitlines()[0])) == {"messages"}
    lost = {one["name"] for one in facts["not_carried"]}
    assert {"customer", "label", "topic", "provenance"} <= lost and facts["not_carried_count"] == len(lost)


async def test_the_record_form_loses_nothing() -> None:
    facts, data = await exported(World(), mixed(), format="jsonl")
    assert (facts["left_out"], facts["not_carried"]) == ([], [])
    first = json.loads(data.splitlines()[1])
    assert (first["id"], first["topic"], first["is_generated"]) == ("billing-1", "billing", True)
    assert first["provenance"]["strategy"] == "few_shot" and first["customer"] == "c1"


async def test_a_csv_of_the_training_rows_without_generated_ones() -> None:
    facts, data = await exported(World(), mixed(), format="csv", splits="train", include_generated=False)
    found = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert len(found) == facts["rows"] == facts["splits"]["train"] < 20
    assert facts["generated_left_out"] == 10 and facts["shares"] == "90/10"
    assert {one["topic"] for one in found} <= {"billing", "login", "shipping"}
    assert facts["file_name"] == "Customer-Support-v1-train.csv"


async def test_a_whole_split_is_one_zip_with_its_card() -> None:
    given = [row("short", id="rejected"), *mixed()]  # rejected rows are on no side, and shift nobody else's
    facts, data = await exported(World(), given, format="sharegpt", splits="all", shares="80/10/10")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert archive.namelist() == ["train.jsonl", "validation.jsonl", "test.jsonl", "README.md"]
    counts = {name: len(archive.read(name).splitlines()) for name in archive.namelist()[:3]}
    assert sum(counts.values()) == facts["rows"] == 30
    assert facts["splits"] == {name.partition(".")[0]: count for name, count in counts.items()}
    ids = [json.loads(line)["id"] for name in counts for line in archive.read(name).splitlines()]
    assert set(ids) == {one.id for one in mixed()} and len(ids) == 30
    card = archive.read("README.md").decode()
    assert f"`train.jsonl`: {counts['train.jsonl']} rows" in card and "Divided 80/10/10" in card


async def test_one_file_may_be_packed() -> None:
    facts, data = await exported(World(), mixed(), format="chat", gzip=True)
    assert facts["file_name"].endswith(".jsonl.gz")
    assert len(gzip.decompress(data).splitlines()) == 30


async def test_rejected_rows_go_along_when_asked_for() -> None:
    given = [*mixed(), row("short", id="bad")]
    facts, data = await exported(World(), given, format="jsonl", only_valid=False)
    last = json.loads(data.splitlines()[-1])
    assert (facts["rows"], facts["with_invalid"]) == (31, True)
    assert (last["valid"], last["errors"]) == (False, ["user_message_too_short"])


async def test_cells_that_look_like_formulas_are_counted_and_left_as_they_are() -> None:
    given = [row("=SUM(A1) is what my cell says, why?", id="a"), row("Where is my parcel today?", id="b")]
    facts, data = await exported(World(), given, format="csv")
    assert facts["formulas"] == 1
    assert next(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))["prompt"].startswith("=SUM")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"format": "xml"}, "cannot export as 'xml'"),
        ({"splits": "half"}, "splits is none"),
        ({"splits": "all", "shares": "80/30/10"}, "sum to 120"),
        ({"splits": "test", "shares": "90/10"}, "no test set"),
        ({"format": "openai_dpo"}, "20 without a rejected answer"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(params: Json, words: str) -> None:
    world = World()
    with pytest.raises(StepError) as caught:
        await exported(world, mixed(), **params)
    assert words in str(caught.value)
    assert not list(world.blobs.list("-/T1/exports/"))


async def test_stopping_leaves_nothing_behind() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(mixed()))
    ctx = world.context(workflow)
    ctx.stop_after = 0
    with pytest.raises(Cancelled):
        await EXPORT.run(ctx, {"format": "csv"})
    assert not list(world.blobs.list("-/T1/exports/"))


# ---------------------------------------------------------------- prepared


def two_thousand() -> list[Row]:
    """E5, as far as rows go: 500 concepts in three rows each, 100 procedures in five."""
    made = [row(f"Concept {n // 3}, form {n % 3}: {n * 7919}, please?", id=f"c{n}", answer=f"It is {n}.",
                topic="concepts", provenance={"document": f"c{n // 3}"}) for n in range(1_500)]  # fmt: skip
    made += [row(f"Procedure {n // 5}, form {n % 5}: {n * 104_729}, please?", id=f"p{n}", answer=f"Do {n}.",
                 topic="procedures", provenance={"document": f"p{n // 5}"}) for n in range(500)]  # fmt: skip
    return made


async def test_two_thousand_rows_are_prepared_eighty_ten_ten() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(two_thousand()))
    report = await PREPARE_DATASET.run(world.context(workflow), {})
    facts = report.facts
    assert facts["splits"] == {"train": 1_600, "validation": 200, "test": 200}
    assert facts["dataset_id"] == "d1" and facts["statistics"]["valid"] == 2_000
    assert facts["validation"]["rejected"] == 0 and facts["leakage"]["same_source"] == 0
    for side, path in facts["paths"].items():
        lines = [json.loads(line) for line in world.blobs.get(path).splitlines()]
        assert len(lines) == facts["splits"][side] and lines[0]["messages"][-1]["role"] == "assistant"
    card = world.blobs.get(facts["files"][-1]["path"]).decode()
    assert "`test.jsonl`: 200 rows" in card and "Divided 80/10/10" in card


async def test_the_test_rows_stay_the_same_when_rows_join() -> None:
    world = World()
    first = world.dataset(two_thousand()[::4])
    workflow = await world.workflow(first)
    before = (await PREPARE_DATASET.run(world.context(workflow), {})).facts
    ids = {json.loads(line)["id"] for line in world.blobs.get(before["paths"]["test"]).splitlines()}
    more = world.datasets.append_rows(
        first, [row(f"Something quite new, number {n * 7919}?", id=f"n{n}") for n in range(100)],
        check=lambda one: ("", 10), operation="append", by="U1", at=2.0,
    )  # fmt: skip
    workflow = replace(workflow, dataset_version=more.version)
    after = (await PREPARE_DATASET.run(world.context(workflow), {})).facts
    found = {json.loads(line)["id"] for line in world.blobs.get(after["paths"]["test"]).splitlines()}
    assert found == ids and after["rows"] > before["rows"]


async def test_a_side_that_is_written_is_not_written_again() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(mixed()))
    dying = world.context(workflow)
    dying.die_after = 1
    with pytest.raises(Exception, match="task:t1"):
        await PREPARE_DATASET.run(dying, {})
    again: StepContext = world.context(workflow, done=dying.done)
    facts = (await PREPARE_DATASET.run(again, {})).facts
    assert sum(facts["splits"].values()) == 30 and len(facts["files"]) == 4


@pytest.mark.parametrize(
    ("task_type", "keys"), [("completion", {"prompt", "completion"}), ("classification", {"text", "label"})]
)
async def test_rows_are_prepared_for_the_task_that_is_named(task_type: str, keys: set[str]) -> None:
    world = World()
    workflow = await world.workflow(world.dataset(mixed()))
    facts = (await PREPARE_DATASET.run(world.context(workflow), {"task_type": task_type})).facts
    line = json.loads(world.blobs.get(facts["paths"]["train"]).splitlines()[0])
    assert keys <= set(line)


# ---------------------------------------------------------------- the dataset card


async def test_the_card_tells_what_the_dataset_is_and_where_it_comes_from() -> None:
    world = World()
    first = world.dataset(mixed())
    second = world.datasets.append_rows(
        first, [row("One more question, please?", id="n1")], check=lambda one: ("", 10), operation="append", by="U2", at=90_000.0
    )  # fmt: skip
    workflow = await world.workflow(second, topics=TOPICS, name="Support | <b>cards</b>")
    report = await DATASET_CARD.run(world.context(workflow), {})
    text = world.blobs.get(report.facts["path"]).decode()
    assert text.startswith("# Support \\| \\<b\\>cards\\</b\\>, version 2\n")
    assert "What it is for: Helpful answers, on brand" in text
    assert (
        "| 2 | 1 | further file appended | U2 | 1970-01-02 | 31 of 31 |" in text
        and "| 1 | – | file read | U1 |" in text
    )
    assert "| Billing | 12 |" in text and "| few\\_shot, by writer | 10 |" in text
    assert "lists it as allowed" in text and TENANT.team not in text and "key" not in text
    assert report.facts["file_name"].endswith("README.md")


def test_a_header_line_of_its_own_does_not_spoil_the_packing() -> None:
    text = "".join(
        f'"r{n}","Where is my parcel number {n}?","It is on its way."\n' for n in range(400)
    ).encode()
    packed = b"".join(gzipped(iter((b"id,prompt,completion\n", text))))
    assert gzip.decompress(packed) == b"id,prompt,completion\n" + text
    assert len(packed) < 1.5 * len(gzip.compress(text, 1))
