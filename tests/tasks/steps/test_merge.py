"""A further file joins the rows that are there: nothing of either is lost, and people's work on the rows stays."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import paths
from storage.errors import Conflict
from storage.manifests import Manifest
from storage.records import Dataset, Json, Topic, WaitingFile, Workflow
from storage.rows import Input, Row
from tasks.ingest import joining
from tasks.rules.validation import check_row
from tasks.step import Cancelled, StepError, StepReport
from tasks.steps.merge import MERGE
from tests.makers import TENANT, World, row

pytestmark = pytest.mark.anyio


def text(number: int, more: str = "") -> str:
    return f"Where is parcel number {number}? It was due {number} days ago.{more}"


def line(number: int, *, id: bool = True, more: str = "", **columns: Any) -> str:
    own = {"id": f"p{number}"} if id else {}
    return json.dumps({**own, "messages": [{"role": "user", "content": text(number, more)}], **columns})


def there(number: int, **fields: Any) -> Row:
    return row(text(number), id=f"p{number}", **fields)


async def merged(
    world: World, workflow: Workflow, mode: str, lines: list[str], **done: Any
) -> tuple[StepReport, Workflow, Manifest]:
    path = paths.upload(TENANT, "u2")
    world.blobs.put(path, ["\n".join(lines).encode()])
    params = {"mode": mode, "upload_path": path, "file_name": "more.jsonl"}
    report = await MERGE.run(world.context(workflow, "merge", params=params, done=done), params)
    after = report.change(workflow)
    return report, after, world.datasets.manifest(TENANT, "d1", after.dataset_version)


def found(world: World, manifest: Manifest) -> dict[str, Row]:
    return {row.id: row for row in world.datasets.iter_rows(manifest, only_valid=False)}


async def test_appended_rows_stand_behind_the_others_and_repeats_are_marked() -> None:
    world = World()
    before = world.dataset([there(n) for n in range(20)])
    workflow = await world.workflow(before)
    lines = [line(100), line(3, id=False), "{broken", line(101, more=" Please hurry.")]
    report, after, manifest = await merged(world, workflow, "append", lines)
    facts = report.facts
    assert (facts["added"], facts["duplicates"], facts["invalid"]) == (2, 1, 1)
    assert facts["first_lines"] == {"duplicate": [2], "invalid_json": [3]}
    assert "Line 3" in facts["problems"][0]
    assert (after.dataset_version, after.total_rows, after.valid_rows) == (manifest.version, 24, 22)
    assert [row.id for row in world.datasets.iter_rows(manifest)][:20] == [f"p{n}" for n in range(20)]
    assert world.datasets.manifest(TENANT, "d1", before.version).totals.rows == 20


async def test_merging_replaces_by_id_and_keeps_labels_of_what_says_the_same() -> None:
    world = World()
    labels = {"topic": "login/reset", "topic_confidence": 1.0, "topic_method": "manual"}
    workflow = await world.workflow(world.dataset([there(n, **labels) for n in range(40)]))
    lines = [line(7), line(8, more=" It is urgent."), line(9, source="mail"), line(300)]
    report, _, manifest = await merged(world, workflow, "merge", lines)
    facts = report.facts
    assert (facts["unchanged"], facts["replaced"], facts["added"]) == (1, 2, 1)
    rows = found(world, manifest)
    assert len(rows) == 41
    assert rows["p8"].messages[0]["content"].endswith("urgent.")
    assert (rows["p8"].topic, rows["p8"].previous_topic) == (None, "login/reset")
    assert rows["p9"].item == {"source": "mail"}
    assert (rows["p9"].topic, rows["p9"].topic_method) == ("login/reset", "manual")
    assert rows["p7"].topic == "login/reset"


async def test_merging_the_same_file_again_changes_nothing() -> None:
    world = World()
    lines = [line(n, id=n % 2 == 0) for n in range(30)] + ["{broken", line(4, id=False)]
    workflow = await world.workflow(world.dataset([there(999)]))
    _, after, first = await merged(world, workflow, "append", lines)
    await world.put(replace(after, version=1))
    report, again, second = await merged(world, after, "merge", lines)
    assert second.version == first.version
    assert again.dataset_version == after.dataset_version
    assert (report.facts["added"], report.facts["replaced"]) == (0, 0)


async def test_a_row_edited_here_is_not_undone_by_the_old_file() -> None:
    world = World()
    empty = await world.workflow(world.dataset([there(999)]))
    _, after, first = await merged(world, empty, "append", [line(1, id=False)])
    id = next(row.id for row in world.datasets.iter_rows(first) if row.id != "p999")
    edited = world.datasets.replace_record(
        first,
        id,
        lambda old: msgspec.structs.replace(
            old, input=Input([{"role": "user", "content": "Better words than before"}])
        ),
        check=check_row,
        by="U1",
        at=2.0,
    )
    stands = replace(after, dataset_version=edited.version)
    await world.put(replace(stands, version=1))
    report, _, manifest = await merged(world, stands, "merge", [line(1, id=False)])
    assert (report.facts["edited"], report.facts["added"]) == (1, 0)
    assert found(world, manifest)[id].messages[0]["content"] == "Better words than before"


async def test_an_invalid_row_replaces_nothing_and_is_shown() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(n) for n in range(3)]))
    bad = json.dumps({"id": "p1", "messages": [{"role": "assistant", "content": "I am alone"}]})
    report, _, manifest = await merged(world, workflow, "merge", [bad])
    rows = found(world, manifest)
    assert rows["p1"].valid
    assert report.facts["first_lines"] == {"no_user_message": [1]}
    assert len(rows) == 4


async def test_replacing_keeps_the_labels_of_rows_that_come_again() -> None:
    world = World()
    labels = {"topic": "login/reset", "topic_confidence": 1.0, "topic_method": "manual"}
    before = world.dataset([there(n, **labels) for n in range(20)])
    workflow = await world.workflow(before)
    lines = [line(2), line(5, id=False), line(6, more=" Other words."), line(50)]
    report, after, manifest = await merged(world, workflow, "replace", lines)
    assert (report.facts["unchanged"], report.facts["added"], report.facts["gone"]) == (2, 2, 18)
    by_text = {row.messages[0]["content"]: row for row in world.datasets.iter_rows(manifest)}
    assert by_text[text(2)].topic_method == by_text[text(5)].topic_method == "manual"
    assert by_text[text(50)].topic is None
    assert after.total_rows == 4
    assert world.datasets.manifest(TENANT, "d1", before.version).totals.rows == 20


async def test_replacing_by_the_same_file_finds_every_row_and_adds_none() -> None:
    world = World()
    lines = [line(n, id=False) for n in range(6)] + [line(2, id=False), "{broken"]
    _, workflow, first = await merged(
        world, await world.workflow(world.dataset([there(900)])), "append", lines
    )
    await world.put(replace(workflow, version=1))
    report, _, manifest = await merged(world, workflow, "replace", lines)
    facts = report.facts
    assert (facts["added"], facts["unchanged"], facts["duplicates"], facts["invalid"]) == (0, 6, 1, 1)
    assert facts["gone"] == 1 and manifest.totals.rows == len(lines) == first.totals.rows - 1


async def test_new_rows_are_sorted_where_there_are_topics() -> None:
    world = World()
    topics = (Topic(id="a", name="A", description="", keywords=()),)
    workflow = await world.workflow(world.dataset([there(1)]), topics=topics)
    report, _, _ = await merged(world, workflow, "append", [line(2)])
    assert [(one.operation, one.params) for one in report.then] == [
        ("categorize", {"mode": "unlabeled_only"})
    ]


async def test_files_of_one_message_follow_each_other() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(1)]))
    world.blobs.put(paths.upload(TENANT, "u2"), [line(2).encode()])
    following = [
        {"mode": "append", "upload_path": "x", "file_name": "3"},
        {"mode": "append", "upload_path": "y", "file_name": "4"},
    ]
    params: Json = {
        "mode": "append",
        "upload_path": paths.upload(TENANT, "u2"),
        "file_name": "2",
        "then": following,
    }
    report = await MERGE.run(world.context(workflow, "merge", params=params), params)
    assert [one.operation for one in report.then] == ["merge"]
    assert report.then[0].params == {**following[0], "then": following[1:]}


async def test_a_restart_reads_the_file_once_and_makes_one_version() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(n) for n in range(5)]))
    path = paths.upload(TENANT, "u2")
    world.blobs.put(path, [line(50).encode()])
    params = {"mode": "append", "upload_path": path, "file_name": "more.jsonl"}
    context = world.context(workflow, "merge", params=params)
    first = await MERGE.run(context, params)
    world.blobs.delete(path)
    again = await MERGE.run(world.context(workflow, "merge", params=params, done=context.done), params)
    assert again.facts == first.facts


async def test_an_edit_made_meanwhile_is_not_overwritten() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(n) for n in range(5)]))
    report, _, _ = await merged(world, workflow, "append", [line(50)])
    with pytest.raises(Conflict):  # the task is run again, and finds the file read already
        report.change(replace(workflow, dataset_version=77))


async def test_a_stop_changes_nothing() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(n) for n in range(5)]))
    path = paths.upload(TENANT, "u2")
    world.blobs.put(path, [line(50).encode()])
    params = {"mode": "merge", "upload_path": path, "file_name": "more.jsonl"}
    context = world.context(workflow, "merge", params=params)
    context.stop_after = 0
    with pytest.raises(Cancelled):
        await MERGE.run(context, params)


async def test_too_many_rows_together_are_refused_with_the_limit() -> None:
    world = World()
    limits = replace(world.settings.limits, max_rows=5)
    world = World(settings=world.settings.model_copy(update={"limits": limits}))
    workflow = await world.workflow(world.dataset([there(n) for n in range(4)]))
    with pytest.raises(StepError, match="6 rows, more than the limit of 5"):
        await merged(world, workflow, "append", [line(50), line(51)])


async def test_an_unreadable_file_leaves_the_workflow_as_it_was() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(1)]))
    with pytest.raises(StepError, match="Nothing was changed"):
        await merged(world, workflow, "append", [""])


async def test_the_waiting_file_waits_no_more() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(1)]))
    path = paths.upload(TENANT, "u2")
    world.blobs.put(path, [line(2).encode()])
    await world.put(WaitingFile("f1", TENANT, "w1", "C1", "1.0", "more.jsonl", path, 9, "U1", 1.0))
    params = {"mode": "append", "upload_path": path, "file_name": "more.jsonl", "file_id": "f1"}
    report = await MERGE.run(world.context(workflow, "merge", params=params), params)
    assert [one.status for one in report.records if isinstance(one, WaitingFile)] == ["used"]
    assert [one.latest for one in report.records if isinstance(one, Dataset)]


rows_of_a_file = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from(["", " More.", " Less."])), max_size=25
)


@settings(deadline=None, max_examples=60)
@given(rows_of_a_file, rows_of_a_file, st.sampled_from(["append", "merge"]), st.integers(0, 99))
def test_no_row_of_either_file_is_lost(old: list[Any], new: list[Any], mode: str, seed: int) -> None:
    import anyio

    anyio.run(_no_row_is_lost, old, new or [(1, True, "")], mode, seed)


async def _no_row_is_lost(old: list[Any], new: list[Any], mode: str, seed: int) -> None:
    world = World()
    workflow = await world.workflow(world.dataset([there(500)]))
    _, workflow, base = await merged(
        world, workflow, "append", [line(n, id=i, more=m) for n, i, m in old] or [line(501)]
    )
    await world.put(replace(workflow, version=1))
    random.Random(seed).shuffle(new)
    report, _, manifest = await merged(world, workflow, mode, [line(n, id=i, more=m) for n, i, m in new])
    before, after = found(world, base), found(world, manifest)
    said = {row.messages[0]["content"] for row in after.values() if row.valid}
    assert {text(n, m) for n, i, m in new} - said <= {text(n, m) for n, i, m in new if i and mode == "merge"}
    assert set(before) <= set(after)
    if mode == "append":
        assert all(after[id] == row for id, row in before.items())
    valid = [row.messages[0]["content"] for row in after.values() if row.valid]
    assert len(valid) == len(set(valid)) == manifest.totals.valid
    facts = report.facts
    handled = facts["added"] + facts["duplicates"] + facts["invalid"] + facts["replaced"] + facts["unchanged"]
    assert handled + facts["edited"] == facts["rows_in_file"] == len(new)


def test_what_becomes_of_a_row_whose_id_comes_again() -> None:
    old, same = there(1), there(1)
    other = msgspec.structs.replace(old, input=there(2).input)
    invalid = msgspec.structs.replace(other, error="no_user_message")
    nameless = msgspec.structs.replace(other, id="r" + "0" * 24)
    assert joining.decided(old, same) == "unchanged"
    assert joining.decided(old, other) == "replaced"
    assert joining.decided(old, invalid) == "new"
    assert joining.decided(msgspec.structs.replace(old, id=nameless.id), nameless) == "edited"
