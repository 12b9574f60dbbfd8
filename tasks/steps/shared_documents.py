"""The documents of a workflow and their passages: what reading them, making rows of them and finding topics in them share.

Blobs are synchronous; everything here that touches them runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from storage import paths
from storage.errors import NotFound
from storage.ports import Records
from storage.records import Json, SharedDocument, Tenant, Workflow
from tasks.documents import Chunk
from tasks.rules import knowledge
from tasks.step import StepContext, StepError

_passages = msgspec.json.Decoder(tuple[Chunk, ...])


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage with its document. `section` is what rows of one part of a document share, for splitting."""

    document: SharedDocument
    chunk: Chunk
    section: str

    def provenance(self) -> Json:
        """What every row made from it carries."""
        return {
            "document": self.document.id,
            "document_name": self.document.name,
            "source": self.section,
            "chunk": self.chunk.id,
            "path": list(self.chunk.path),
            "page": self.chunk.page or None,
            "paragraphs": [self.chunk.first, self.chunk.last],
        }


async def documents_of(state: Records, workflow: Workflow) -> tuple[SharedDocument, ...]:
    """Every document of the workflow's thread, in the order in which they were shared."""
    found = await state.find(workflow.tenant, SharedDocument, f"document:workflow:{workflow.id}")
    return tuple(sorted(found, key=lambda document: (document.at, document.name, document.id)))


def named(
    documents: Sequence[SharedDocument], wanted: Sequence[str]
) -> tuple[list[SharedDocument], list[str]]:
    """(the documents meant, names that are none's). Nothing named means all; case and ending may be left out."""
    if not wanted:
        return list(documents), []
    found: list[SharedDocument] = []
    wrong = []
    for name in wanted:
        plain = name.strip().casefold()
        hits = [
            one
            for one in documents
            if plain in (one.id.casefold(), one.name.casefold(), one.name.casefold().rpartition(".")[0])
        ]
        found += [one for one in hits if one not in found]
        wrong += [] if hits else [name]
    return found, wrong


async def save_passages(ctx: StepContext, document_id: str, chunks: Sequence[Chunk]) -> None:
    path = paths.passages(ctx.workflow.tenant, document_id)
    await asyncio.to_thread(ctx.deps.blobs.put, path, (msgspec.json.encode(chunks),))


async def passages_of(ctx: StepContext, document_ids: Sequence[str]) -> list[Passage]:
    """All passages of these documents of the workflow, in order. Raises `StepError` when there are none."""
    known = {one.id: one for one in await documents_of(ctx.deps.state, ctx.workflow)}
    found: list[Passage] = []
    for id in document_ids or list(known):
        if id in known:
            chunks = await asyncio.to_thread(_load, ctx, ctx.workflow.tenant, id)
            level = knowledge.branching_level([chunk.path for chunk in chunks])
            found += [
                Passage(known[id], chunk, knowledge.section_of(id, chunk.path, level)) for chunk in chunks
            ]
    if not found:
        raise StepError(
            "There is no document in this thread to read: share a Markdown, text, HTML or PDF file here.",
            code="documents",
            next="upload a file",
        )
    return found


def _load(ctx: StepContext, tenant: Tenant, document_id: str) -> tuple[Chunk, ...]:
    try:
        return _passages.decode(ctx.deps.blobs.get(paths.passages(tenant, document_id)))
    except NotFound:
        return ()
