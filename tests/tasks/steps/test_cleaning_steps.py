"""Looking and cleaning as operations: shared by part, repeated harmlessly, on the version that stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.records import Json, Workflow
from storage.rows import Row
from tasks.near_duplicates import groups
from tasks.rules.validation import check_row
from tasks.step import Cancelled
from tasks.steps.clean import CLEAN
from tasks.steps.find_near_duplicates import FIND_NEAR_DUPLICATES, later
from tasks.steps.inspect_cleaning import INSPECT_CLEANING
from tests.makers import Killed, World, row, rows

pytestmark = pytest.mark.anyio
MAIL = "ada@corp.io"
ALL: Json = {
    "remove_duplicates": True,
    "near_duplicates": True,
    "fix_formatting": True,
    "personal_data": "mask",
}


def dirty() -> list[Row]:
    """Fifty rows in four parts of at most sixteen."""
    honest = rows({"billing": 24, "login": 20}, labelled=True)
    copy = str(honest[5].input.messages[0]["content"])
    return [
        *honest,
        row(copy, id="same"),
        row(copy.replace("please", "pleased"), id="almost"),
        row(f"Tell {MAIL} &amp; me where it is", id="private", item={"by": MAIL}),
        *rows({"shipping": 3}),
    ]


async def looked(world: World) -> tuple[Workflow, Json]:
    workflow = await world.workflow(world.dataset(dirty()))
    context = world.context(workflow, "inspect_cleaning", params=ALL)
    report = await INSPECT_CLEANING.run(context, ALL)
    (draft,) = report.drafts
    return workflow, draft.payload["params"]


async def test_the_look_finds_what_is_there_and_writes_no_version() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(dirty()))
    report = await INSPECT_CLEANING.run(world.context(workflow, "inspect_cleaning", params=ALL), ALL)
    assert report.facts["found"] == {
        "remove_duplicates": 1,
        "near_duplicates": 1,
        "fix_formatting": 1,
        "personal_data": 1,
    }
    assert MAIL not in str(report)
    assert world.datasets.manifest(workflow.tenant, "d1", 1).version == 1


async def test_rows_that_ask_different_things_are_kept_however_alike_their_long_answers_are() -> None:
    world = World()
    long = (
        "Sorry to hear that. Please open the returns page, choose the article and follow the steps; we answer within a day. "
        * 3
    )
    things = ("kettle", "laptop", "tent", "printer", "lamp")
    asked = [row(f"Where is my {thing}?", id=thing, answer=long) for thing in things]
    again = row("where is my KETTLE ?", id="again", answer=long)
    workflow = await world.workflow(world.dataset([*asked, again]))
    report = await INSPECT_CLEANING.run(world.context(workflow, "inspect_cleaning", params=ALL), ALL)
    assert report.facts["found"] == {"near_duplicates": 1}


async def test_cleaning_makes_one_version_that_says_what_was_done() -> None:
    world = World()
    workflow, params = await looked(world)
    report = await CLEAN.run(world.context(workflow, "clean", params=params), params)
    made = world.datasets.manifest(workflow.tenant, "d1", report.facts["dataset_version"])
    assert report.facts["did"] == {
        "remove_duplicates": 1,
        "near_duplicates": 1,
        "fix_formatting": 1,
        "personal_data": 1,
    }
    assert (made.totals.rows, made.head.operation, made.head.parent) == (48, "clean", 1)
    assert MAIL not in str(made.head)
    assert MAIL not in str(report)
    found = world.datasets.get_record(made, "private")
    assert found.input.messages[0]["content"] == "Tell [EMAIL_1] & me where it is"
    assert found.item == {"by": "[EMAIL_1]"}
    assert report.change(workflow).dataset_version == made.version
    untouched = [
        part for part in made.parts if part in world.datasets.manifest(workflow.tenant, "d1", 1).parts
    ]
    assert len(untouched) >= 1


async def test_killed_after_every_checkpoint_it_ends_the_same() -> None:
    world = World()
    workflow, params = await looked(world)
    done: dict[str, Json] = {}
    for _ in range(20):
        context = world.context(workflow, "clean", params=params, done=done)
        context.die_after = 1
        try:
            report = await CLEAN.run(context, params)
            break
        except Killed:
            done = context.done
    assert len(done) > 3
    assert report.facts["did"]["remove_duplicates"] == 1
    made = world.datasets.manifest(workflow.tenant, "d1", report.facts["dataset_version"])
    assert (made.totals.rows, made.head.parent) == (48, 1)


async def test_stopped_in_the_middle_it_changes_nothing() -> None:
    world = World()
    workflow, params = await looked(world)
    context = world.context(workflow, "clean", params=params)
    context.stop_after = 2
    with pytest.raises(Cancelled):
        await CLEAN.run(context, params)


async def test_what_was_edited_or_added_while_it_worked_stays_and_is_cleaned_as_it_is() -> None:
    world = World()
    workflow, params = await looked(world)
    context = world.context(workflow, "clean", params=params)
    base = world.datasets.manifest(workflow.tenant, "d1", 1)
    await context.checkpoint("base", {"version": 1})
    edited = world.datasets.replace_record(
        base,
        "private",
        lambda old: row("Nobody is named in here any more, is it?", id="private", item=old.item),
        check=check_row,
        by="U2",
        at=2.0,
    )
    grown = world.datasets.append_rows(
        edited,
        [row(f"A new row of {MAIL} comes in", id="new")],
        check=check_row,
        operation="add",
        by="U2",
        at=3.0,
    )
    await world.put(replace(workflow, dataset_version=grown.version))
    report = await CLEAN.run(context, params)
    made = world.datasets.manifest(workflow.tenant, "d1", report.facts["dataset_version"])
    private = world.datasets.get_record(made, "private")
    assert private.input.messages[0]["content"] == "Nobody is named in here any more, is it?"
    assert private.item == {"by": "[EMAIL_1]"}
    assert (
        world.datasets.get_record(made, "new").input.messages[0]["content"]
        == "A new row of [EMAIL_1] comes in"
    )
    assert report.change(replace(workflow, dataset_version=grown.version)).dataset_version == made.version


async def test_rows_that_become_equal_are_left_out_and_counted() -> None:
    world = World()
    given = [
        *rows({"login": 20}),
        row("Write to ada@corp.io today", id="1"),
        row("Write to bob@corp.io today", id="2"),
    ]
    workflow = await world.workflow(world.dataset(given))
    params: Json = {"personal_data": "mask", "scan": "none"}
    report = await CLEAN.run(world.context(workflow, "clean", params=params), params)
    assert (report.facts["new_duplicates"], report.facts["valid"]) == (1, 21)


async def test_near_duplicates_are_counted_by_a_job_of_their_own_where_there_are_many() -> None:
    world = World()
    manifest = world.dataset(dirty())
    workflow = await world.workflow(manifest)
    context = world.context(workflow, "find_near_duplicates", params={})
    report = await FIND_NEAR_DUPLICATES.run(context, {})
    assert (report.facts["near_duplicates"], report.view) == (1, "near_duplicates")
    assert set(context.done) == {f"part{number}" for number in range(len(manifest.parts))}
    assert later(manifest) == ()
    many = replace(manifest, head=replace(manifest.head, totals=replace(manifest.totals, rows=1_000_000)))
    assert [following.operation for following in later(many)] == ["find_near_duplicates"]


async def test_an_edit_signs_one_part_again_and_a_topic_none() -> None:
    world = World()
    manifest = world.dataset(dirty())
    groups(world.datasets, manifest, blobs=world.blobs)
    kept = {path for path in world.blobs.objects if "/near/" in path}
    assert len(kept) == len(manifest.parts) + 1
    part = world.datasets.set_columns(manifest, 0, {"topic": ["billing"] * manifest.parts[0].rows})
    sorted_anew = world.datasets.commit(manifest, {0: part}, operation="categorize", by="U1", at=2.0)
    groups(world.datasets, sorted_anew, blobs=world.blobs)
    assert {path for path in world.blobs.objects if "/near/" in path} == kept
    edited = world.datasets.replace_record(
        manifest,
        "same",
        lambda old: row("Said in quite another way now", id="same"),
        check=check_row,
        by="U1",
        at=2.0,
    )
    groups(world.datasets, edited, blobs=world.blobs)
    assert len({path for path in world.blobs.objects if "/near/" in path} - kept) == 2
