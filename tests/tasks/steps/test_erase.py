"""Deleting a workflow erases what it alone owns, and nothing that another one works on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import paths
from storage.errors import NotFound
from tasks.steps.erase import ERASE
from tests.makers import TENANT, World, rows

pytestmark = pytest.mark.anyio


async def test_rows_uploads_reports_and_exports_are_gone_and_it_may_be_repeated() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(rows({"login": 3})))
    upload, report = paths.upload(TENANT, "u1"), paths.report(TENANT, "dry_run", "t9")
    export = paths.export(TENANT, "t8")
    prepared = [paths.export(TENANT, f"t6-{part}") for part in ("train", "validation", "test", "card")]
    for path in (upload, report, export, *prepared):
        world.blobs.put(path, [b"x"])
    task = world.context(workflow).task
    await world.put(
        replace(task, id="t6", operation="prepare_dataset"),
        replace(task, id="t7", operation="ingest", params={"upload_path": upload}),
        replace(task, id="t8", operation="export"),
        replace(task, id="t9", operation="dry_run"),
    )
    result = await ERASE.run(world.context(workflow), {})
    assert result.change(workflow).snapshots == ()
    assert not any(world.blobs.exists(path) for path in (upload, report, export, *prepared))
    with pytest.raises(NotFound):
        world.datasets.manifest(TENANT, "d1", 1)
    assert (await ERASE.run(world.context(workflow), {})).facts == {"dataset_kept": False}


async def test_a_dataset_that_another_workflow_works_on_stays() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(rows({"login": 3})))
    await world.put(replace(workflow, id="w2", version=0))
    result = await ERASE.run(world.context(workflow), {})
    assert result.facts == {"dataset_kept": True}
    assert world.datasets.manifest(TENANT, "d1", 1).totals.rows == 3
