"""Many rows at once: counted, changed part by part, taken up again after a kill, and only as they were shown."""

from __future__ import annotations

import random

import pytest

from storage.datasets import Datasets, RowFilter
from storage.errors import Conflict
from storage.records import Json, Topic, Workflow
from storage.rows import UNCATEGORISED, Row
from tasks import selection as chosen
from tasks.selection import Found, Selection
from tasks.step import StepError
from tasks.steps import editing
from tasks.steps.change_rows import CHANGE_ROWS
from tasks.steps.find_rows import FIND_ROWS
from tests.makers import TENANT, World
from tests.makers import row as row_of

pytestmark = pytest.mark.anyio
TOPICS = (Topic("billing", "Billing"), Topic("login", "Login"))


def row(number: int) -> Row:
    name = ("billing", "login")[number % 2]
    return row_of(
        f"Question {number} about {'apples' if number % 3 else 'pears'}", id=f"r{number}", topic=name
    )


class Small(World):
    """Parts of four rows, so that there are many."""

    @property
    def datasets(self) -> Datasets:
        return Datasets(self.blobs, part_rows=4)


async def a_world(rows: int = 40) -> tuple[World, Workflow]:
    world = Small()
    manifest = world.dataset([row(number) for number in range(rows)])
    return world, await world.workflow(manifest, topics=TOPICS)


def params(selection: Selection, version: int, **more: str) -> Json:
    return {**chosen.to_params(selection), "version": version, **more}


TEXT = Selection(RowFilter(text="PEARS"))


async def test_counting_goes_over_all_parts_and_proposes_what_it_found() -> None:
    world, workflow = await a_world()
    ctx = world.context(workflow, "find_rows", params={**chosen.to_params(TEXT), "action": "delete"})
    report = await FIND_ROWS.run(ctx, ctx.task.params)
    (draft,) = report.drafts
    assert (draft.kind, draft.title, draft.payload["count"]) == ("rows", "Delete 14 rows", 14)
    assert draft.payload["params"]["version"] == workflow.dataset_version
    assert len(ctx.done) == 10 and report.change(workflow) == workflow


@pytest.mark.parametrize("selection", [TEXT, Selection(ids=("r0", "r9")), Selection()])
@pytest.mark.parametrize("killed_after", [0, 1, 5, 11])
async def test_whoever_is_killed_is_followed_by_one_who_does_the_rest(
    selection: Selection, killed_after: int
) -> None:
    world, workflow = await a_world()
    given = params(selection, workflow.dataset_version, action="move", topic="login")
    first = world.context(workflow, "change_rows", params=given)
    whole = await CHANGE_ROWS.run(first, given)
    kept = dict(list(first.done.items())[:killed_after])
    again = await CHANGE_ROWS.run(world.context(workflow, "change_rows", params=given, done=kept), given)
    assert again.facts["count"] == whole.facts["count"]
    moved = again.change(workflow)
    manifest = world.datasets.manifest(TENANT, moved.dataset_id, moved.dataset_version)
    wanted = {one.id for one in world.datasets.iter_rows(manifest) if one.topic_method == "manual"}
    assert len(wanted) == whole.facts["count"]
    assert all(one.topic == "login" for one in world.datasets.iter_rows(manifest) if one.id in wanted)


async def test_rows_deleted_are_gone_and_nothing_else() -> None:
    world, workflow = await a_world()
    given = params(TEXT, workflow.dataset_version, action="delete")
    report = await CHANGE_ROWS.run(world.context(workflow, "change_rows", params=given), given)
    after = report.change(workflow)
    manifest = world.datasets.manifest(TENANT, after.dataset_id, after.dataset_version)
    assert {one.id for one in world.datasets.iter_rows(manifest)} == {f"r{n}" for n in range(40) if n % 3}
    assert (after.total_rows, after.valid_rows) == (26, 26)
    assert manifest.head.operation == "delete" and manifest.head.detail["rows"] == 14


async def test_an_edit_between_reading_and_writing_is_met_by_doing_it_again() -> None:
    world, workflow = await a_world()
    given = params(TEXT, workflow.dataset_version, action="delete")
    report = await CHANGE_ROWS.run(world.context(workflow, "change_rows", params=given), given)
    update = editing.replacing(world.deps, "r1", {"note": "new"}, by="U1")
    await editing.edit(world.deps, TENANT, workflow.id, update, what="row edited", by="U1", evidence="")
    newest = await world.state.get(TENANT, Workflow, workflow.id)
    assert newest
    with pytest.raises(Conflict):
        report.change(newest)
    report = await CHANGE_ROWS.run(world.context(workflow, "change_rows", params=given), given)
    manifest = world.datasets.manifest(TENANT, workflow.dataset_id, report.change(newest).dataset_version)
    kept = {one.id: one for one in world.datasets.iter_rows(manifest)}
    assert len(kept) == 26 and kept["r1"].item["note"] == "new"


async def test_rows_that_are_all_changed_or_gone_are_left_and_said() -> None:
    world, workflow = await a_world()
    given = params(Selection(ids=("r0",)), workflow.dataset_version, action="delete")
    update = editing.replacing(world.deps, "r0", {"topic": "login"}, by="U1")
    await editing.edit(world.deps, TENANT, workflow.id, update, what="row edited", by="U1", evidence="")
    with pytest.raises(StepError, match="as it was shown"):
        await CHANGE_ROWS.run(world.context(workflow, "change_rows", params=given), given)


# ---------------------------------------------------------------- counting


def selections() -> list[Selection]:
    wheres = [
        RowFilter(),
        RowFilter(valid=True),
        RowFilter(valid=False),
        RowFilter(source="generated"),
        RowFilter(source="uploaded"),
        RowFilter(topic="billing"),
        RowFilter(topic="billing", valid=True),
        RowFilter(topic="billing", valid=False),
        RowFilter(topic="nowhere"),
        RowFilter(topic=UNCATEGORISED),
        RowFilter(topic=UNCATEGORISED, valid=True),
        RowFilter(confidence=(0.0, 0.7)),
        RowFilter(topic="login", confidence=(0.5, 0.8), valid=True),
        RowFilter(text="pears"),
    ]
    return [Selection(where) for where in wheres]


@pytest.mark.parametrize("short", ["short", "long enough for everybody"])
@pytest.mark.parametrize("selection", selections(), ids=lambda one: str(one.where))
def test_totals_columns_and_rows_count_the_same(selection: Selection, short: str) -> None:
    rng = random.Random(4)
    rows = [
        row_of(
            f"{short} {n}" if n % 7 == 0 else f"Question {n} about {'apples' if n % 3 else 'pears'}",
            id=f"r{n}",
            topic=("billing", "login", None, UNCATEGORISED)[n % 4],
            topic_confidence=round(rng.random(), 2),
            is_generated=n % 5 == 0,
        )
        for n in range(60)
    ]
    world = Small()
    manifest = world.dataset(rows)
    counted = chosen.count(world.datasets, manifest, selection)
    one_by_one = chosen.summed(
        chosen.in_part(world.datasets, manifest, part, selection).found for part in range(len(manifest.parts))
    )
    listed = [one for part in range(len(manifest.parts)) for one in world.datasets.rows(manifest, part)]
    found = [one for one in listed if matches(one, selection.where)]
    assert counted == one_by_one == Found(len(found), sum(one.valid for one in found), by_topic(found))


def matches(one: Row, where: RowFilter) -> bool:
    sure = (
        where.confidence is None or where.confidence[0] <= (one.topic_confidence or 0) < where.confidence[1]
    )
    source = where.source is None or one.is_generated == (where.source == "generated")
    return (
        where.topic in (None, one.topic or UNCATEGORISED)
        and where.valid in (None, one.valid)
        and sure
        and source
        and where.text in str(one.messages)
    )


def by_topic(rows: list[Row]) -> dict[str, int]:
    topics = {one.topic for one in rows if one.valid and one.topic not in (None, UNCATEGORISED)}
    return {name: sum(one.valid and one.topic == name for one in rows) for name in topics if name}


def test_what_a_checkpoint_keeps_is_what_was_found() -> None:
    world = Small()
    manifest = world.dataset([row(number) for number in range(4)])
    here = chosen.in_part(world.datasets, manifest, 0, TEXT)
    assert chosen.loaded(chosen.saved(here, manifest.parts[0])) == here
    assert chosen.from_params(chosen.to_params(Selection(RowFilter(score=(0.1, 0.4))))).where.score == (
        0.1,
        0.4,
    )
