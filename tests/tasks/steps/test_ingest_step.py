"""A file becomes a dataset, unasked: overview, consent, what follows; and what is said of a file that cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storage import paths
from storage.records import Dataset, Json, Workflow
from tasks.step import Cancelled, StepError, StepReport
from tasks.steps.export import EXPORT
from tasks.steps.ingest import INGEST
from tasks.steps.validate import VALIDATE
from tests.makers import TENANT, World, row, rows, settings

pytestmark = pytest.mark.anyio


def line(text: str) -> str:
    return json.dumps({"messages": [{"role": "user", "content": text}]})


GOOD = [line(f"Where is parcel number {n}? It was due {n} days ago.") for n in range(8)]
BAD = [json.dumps({"messages": [{"role": "assistant", "content": "Hello"}]}), "{not json"]


async def uploaded(world: World, content: bytes, name: str = "support.jsonl") -> Workflow:
    world.blobs.put(paths.upload(TENANT, "u1"), [content])
    await world.put(Dataset(id="d1", tenant=TENANT, name="d", file_name=name, owner="U1", created_at=1.0))
    return await world.workflow(None, dataset_id="d1")


async def ingested(world: World, content: bytes, **done: Any) -> tuple[StepReport, Workflow]:
    workflow = await uploaded(world, content)
    params = {"upload_path": paths.upload(TENANT, "u1"), "file_name": "support.jsonl"}
    report = await INGEST.run(world.context(workflow, done=done), params)
    return report, report.change(workflow)


async def test_the_overview_names_every_error_by_line_and_how_to_mend_it() -> None:
    report, after = await ingested(World(), "\n".join([*GOOD, *BAD]).encode())
    hygiene: Json = report.facts["hygiene"]
    assert (hygiene["total"], hygiene["valid"], hygiene["rejected"]) == (10, 8, 2)
    assert hygiene["first_lines"] == {"no_user_message": [9], "invalid_json": [10]}
    assert set(hygiene["mend"]) == {"no_user_message", "invalid_json"}
    assert (after.dataset_version, after.total_rows, after.valid_rows) == (1, 10, 8)
    assert report.view == "overview"


async def test_topics_are_proposed_next_unless_no_row_can_be_used() -> None:
    report, _ = await ingested(World(), "\n".join(GOOD).encode())
    assert [step.operation for step in report.then] == ["propose_topics"]
    report, after = await ingested(World(), "\n".join(BAD).encode())
    assert report.then == ()
    assert (after.total_rows, after.valid_rows) == (2, 0)


async def test_consent_is_asked_for_with_the_overview_where_nobody_gave_it() -> None:
    report, _ = await ingested(World(settings=settings(allowed_providers=())), "\n".join(GOOD).encode())
    assert [draft.kind for draft in report.drafts] == ["consent"]
    report, _ = await ingested(World(), "\n".join(GOOD).encode())
    assert report.drafts == ()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\x89PNG\r\n\x1a\n0000", "unsupported_type"),
        (b"<!DOCTYPE html><html></html>", "web_page"),
    ],
)
async def test_a_file_that_is_no_dataset_gets_a_clear_answer(content: bytes, code: str) -> None:
    with pytest.raises(StepError) as refused:
        await ingested(World(), content)
    assert refused.value.code == code
    assert "support.jsonl" in str(refused.value)


async def test_an_upload_that_is_gone_is_said() -> None:
    world = World()
    workflow = await uploaded(world, b"x")
    params = {"upload_path": paths.upload(TENANT, "other"), "file_name": "support.jsonl"}
    with pytest.raises(StepError, match="Upload it again"):
        await INGEST.run(world.context(workflow), params)


async def test_a_stop_while_reading_leaves_no_version() -> None:
    world = World()
    workflow = await uploaded(world, "\n".join(GOOD).encode())
    context = world.context(workflow)
    context.stop_after = 0
    params = {"upload_path": paths.upload(TENANT, "u1"), "file_name": "support.jsonl"}
    with pytest.raises(Cancelled):
        await INGEST.run(context, params)


async def test_a_restart_after_reading_reads_nothing_again() -> None:
    world = World()
    workflow = await uploaded(world, "\n".join(GOOD).encode())
    params = {"upload_path": paths.upload(TENANT, "u1"), "file_name": "support.jsonl"}
    first = world.context(workflow)
    before = await INGEST.run(first, params)
    world.blobs.delete(paths.upload(TENANT, "u1"))
    again = await INGEST.run(world.context(workflow, done=first.done), params)
    assert again.facts == before.facts


async def test_checking_again_with_other_limits_changes_what_is_valid() -> None:
    world = World()
    workflow = await world.workflow(world.dataset([*rows({"login": 3}), row("too short?!", id="s")]))
    params = {"limits": {"min_user_characters": 20}}
    report = await VALIDATE.run(world.context(workflow, "validate", params=params), params)
    after = report.change(workflow)
    assert (after.dataset_version, after.valid_rows, after.total_rows) == (2, 3, 4)
    assert report.facts["hygiene"]["counts"] == {"user_message_too_short": 1}


async def test_an_export_holds_the_valid_rows_with_or_without_generated_ones() -> None:
    world = World()
    given = [
        *rows({"login": 3}),
        row("made up by a model entirely", id="g", is_generated=True),
        row("no", id="bad"),
    ]
    workflow = await world.workflow(world.dataset(given))
    report = await EXPORT.run(world.context(workflow), {"include_generated": False})
    lines = world.blobs.get(report.facts["path"]).splitlines()
    assert len(lines) == report.facts["rows"] == 3
    report = await EXPORT.run(world.context(workflow), {})
    assert report.facts["rows"] == 4
    assert report.facts["file_name"] == "Customer-Support-v1.jsonl"
