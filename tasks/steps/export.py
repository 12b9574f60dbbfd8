"""Writes the valid rows of the current version into a file that people can download. JSONL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator

from storage import paths
from storage.manifests import Manifest
from storage.records import Json
from storage.rows import Row, to_openai_dpo, to_openai_rft, to_openai_sft, to_record
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.common import pinned_manifest

LINK_SECONDS = 24 * 3600
FORMS: dict[str, Callable[[Row], Json | None]] = {
    "jsonl": to_record,
    "openai_rft": to_openai_rft,
    "openai_sft": to_openai_sft,
    "openai_dpo": to_openai_dpo,
}


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `format` jsonl | openai_rft | openai_sft | openai_dpo, `include_generated` true."""
    form = str(params.get("format") or "jsonl")
    if form not in FORMS:
        raise StepError(
            f"I cannot export as {form!r}; there are: {', '.join(FORMS)}.",
            code="format",
            next="export_dataset",
        )
    manifest = await pinned_manifest(ctx)
    generated = params.get("include_generated") is not False
    path = paths.export(ctx.workflow.tenant, ctx.task.id)
    rows = await asyncio.to_thread(_write, ctx, manifest, path, form, generated)
    if not rows:
        raise StepError("No valid row fits that format.", code="nothing_to_export", next="export_dataset")
    name = f"{_plain(ctx.workflow.name)}-v{manifest.version}.jsonl"
    link = await asyncio.to_thread(ctx.deps.blobs.signed_url, path, LINK_SECONDS, name)
    facts: Json = {"file_name": name, "rows": rows, "path": path, "link": link or "", "format": form}
    return StepReport(facts=facts, view="export", summary=f"{rows:,} rows exported")


def _write(ctx: StepContext, manifest: Manifest, path: str, form: str, generated: bool) -> int:
    """Stream the rows to the store; how many there were."""
    rows = 0

    def counted() -> Iterator[bytes]:
        nonlocal rows
        for chunk in ctx.deps.datasets.export_jsonl(manifest, form=FORMS[form], include_generated=generated):
            rows += chunk.count(b"\n") + (not chunk.endswith(b"\n"))
            yield chunk if chunk.endswith(b"\n") else chunk + b"\n"

    ctx.deps.blobs.put(path, counted())
    return rows


def _plain(name: str) -> str:
    """A file name that every system takes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60] or "dataset"


EXPORT = Step(
    name="export", title="Exporting", body=run, needs=("valid_rows",), finishes=False, timeout_seconds=3600
)
