"""Reads documents that people shared into passages, and says what was read of each and what was not.

The files already lie in storage. A document that cannot be read is named with the reason and stops none of the others. In a thread without
a dataset, rows made from the documents are proposed next, unasked, as topics are after a dataset; in any thread when somebody
has asked for them meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from storage.codec import from_json, to_json
from storage.errors import NotFound
from storage.records import Json, SharedDocument, Task
from tasks import consent
from tasks.documents import Ceilings, ReadDocument, UnreadableDocument, read_document
from tasks.drafting import short_id
from tasks.step import Draft, Next, Step, StepContext, StepError, StepReport
from tasks.steps.common import cut, has_model, limits_of, may_send_rows, newest_workflow
from tasks.steps.shared_documents import documents_of, save_passages

SHOWN_HEADINGS = 12


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `files` [{upload_path, file_name, by}] in the order in which they were shared."""
    files = [dict(file) for file in params.get("files") or ()]
    for number, file in enumerate(files):
        await ctx.progress(number, len(files), f"reading {cut(str(file['file_name']), 60)}")
        if f"file{number}" not in ctx.done:
            await ctx.checkpoint(f"file{number}", await _one(ctx, file))
    outcomes = [ctx.done[f"file{number}"] for number in range(len(files))]
    read = [one for one in outcomes if "document" in one]
    if not read:
        words = " ".join(f"{one['name']}: {one['problem']}" for one in outcomes)
        raise StepError(
            f"{words or 'There was no file.'} Nothing was changed.", code="unreadable", next="upload a file"
        )
    return await _report(ctx, outcomes, await _records(ctx, read))


async def _one(ctx: StepContext, file: Json) -> Json:
    """What came of one file: `{name, document, outline}`, or `{name, problem}`."""
    name = cut(str(file["file_name"]), 200)
    limits = limits_of(ctx)
    try:
        data = await asyncio.to_thread(_bytes, ctx, str(file["upload_path"]), limits.max_document_bytes)
        ceilings = Ceilings(pages=limits.max_document_pages, characters=limits.max_document_characters)
        found = await asyncio.to_thread(read_document, data, str(file["file_name"]), ceilings)
    except UnreadableDocument as error:
        return {"name": name, "problem": str(error), "code": error.code}
    except NotFound:
        return {"name": name, "problem": "It is no longer in storage; share it again.", "code": "upload_gone"}
    made = _document(ctx, file, name, found, len(data))
    await save_passages(ctx, made.id, found.chunks)
    outline = list(dict.fromkeys(" › ".join(chunk.path) for chunk in found.chunks if chunk.path))
    return {
        "name": name,
        "document": to_json(made),
        "outline": [cut(line, 120) for line in outline[:SHOWN_HEADINGS]],
        "sections": len(outline),
        "tokens": sum(chunk.tokens for chunk in found.chunks),
        "notes": list(found.notes),
    }


def _bytes(ctx: StepContext, path: str, most: int) -> bytes:
    """The file, as long as it is no larger than it may be. Raises `UnreadableDocument`, `NotFound`."""
    data = bytearray()
    for piece in ctx.deps.blobs.read(path):
        data += piece
        if len(data) > most:
            raise UnreadableDocument(
                f"It is larger than {most / 1e6:,.0f} MB. Share the part that matters.", code="too_large"
            )
    return bytes(data)


def _document(ctx: StepContext, file: Json, name: str, found: ReadDocument, size: int) -> SharedDocument:
    workflow = ctx.workflow
    return SharedDocument(
        id=short_id("k", workflow.id, found.digest),
        tenant=workflow.tenant,
        workflow_id=workflow.id,
        name=name,
        kind=found.kind,
        digest=found.digest,
        size=size,
        by=str(file.get("by") or ctx.task.by),
        at=ctx.deps.clock(),
        passages=len(found.chunks),
        headings=found.headings,
        pages=found.pages,
        words=found.words,
        skipped=dict(found.skipped),
    )


async def _records(ctx: StepContext, read: list[Json]) -> tuple[SharedDocument, ...]:
    """The documents' records, each once; one that the thread has already keeps its place. Raises `StepError` over the limit."""
    known = {one.id: one for one in await documents_of(ctx.deps.state, ctx.workflow)}
    made = {one.id: one for one in (from_json(SharedDocument, found["document"]) for found in read)}
    most = limits_of(ctx).max_documents
    if len({*known, *made}) > most:
        raise StepError(
            f"A thread holds at most {most} documents. Begin a new thread for more.", code="too_many"
        )
    return tuple(
        replace(one, version=known[id].version, at=known[id].at) if id in known else one
        for id, one in made.items()
    )


async def _report(
    ctx: StepContext, outcomes: list[Json], documents: tuple[SharedDocument, ...]
) -> StepReport:
    newest = await newest_workflow(ctx)
    alone = not newest.dataset_version and not newest.dataset_id
    shown = [_shown(one) for one in outcomes]
    facts: Json = {
        "documents": [one for one in shown if "problem" not in one][:20],
        "problems": [one for one in shown if "problem" in one][:20],
        "passages": sum(one.passages for one in documents),
        "words": sum(one.words for one in documents),
        "has_dataset": not alone,
        "goal": newest.goal,
    }
    wanted = await _wanted(ctx)
    sending = await may_send_rows(ctx)
    drafts: tuple[Draft, ...] = ()
    if has_model(ctx) and not sending:
        drafts = (consent.card(ctx.deps.settings.provider),)
    return StepReport(
        facts=facts,
        summary=f"{len(documents)} documents read",
        view="documents",
        records=documents,
        drafts=drafts,
        then=(Next("propose_knowledge", wanted or {"knowledge_type": "all"}),) if alone or wanted else (),
    )


async def _wanted(ctx: StepContext) -> Json:
    """What somebody has asked for while this task read: the tool notes it in the task's record."""
    task = await ctx.deps.state.get(ctx.task.tenant, Task, ctx.task.id)
    return dict((task or ctx.task).params.get("wanted") or {})


def _shown(outcome: Json) -> Json:
    if "document" not in outcome:
        return {"name": outcome["name"], "problem": outcome["problem"]}
    told = outcome["document"]
    names = ("name", "kind", "pages", "headings", "passages", "words", "skipped")
    return {
        **{name: told.get(name) for name in names},
        "outline": outcome["outline"],
        "sections": outcome["sections"],
        "tokens": outcome["tokens"],
        "notes": outcome["notes"],
    }


READ_DOCUMENTS = Step(name="read_documents", title="Reading the documents", body=run, timeout_seconds=3600)
