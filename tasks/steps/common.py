"""What operations share: the pinned dataset, consent, asking models, reports, and making a dataset version once.

Not a place for decisions; those are in `tasks/rules/`. Blobs are synchronous, so everything that touches them runs in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

from storage import paths
from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Dataset, Json, Topic, Workflow
from tasks import consent
from tasks.asking import Asker
from tasks.rules import topics as topic_rules
from tasks.rules.limits import Limits
from tasks.step import StepContext, StepError
from tasks.trainers.port import Trainer

VERSION = "version"  # the checkpoint that remembers which dataset version a task has made


async def pinned_manifest(ctx: StepContext) -> Manifest:
    """The dataset version that the task was started on. Raises `StepError` when it has been deleted."""
    return await manifest_of(ctx, ctx.workflow)


async def manifest_of(ctx: StepContext, workflow: Workflow) -> Manifest:
    try:
        return await asyncio.to_thread(
            ctx.deps.datasets.manifest, workflow.tenant, workflow.dataset_id, workflow.dataset_version
        )
    except NotFound as error:
        raise StepError(
            "The dataset of this workflow is gone.", code="valid_rows", next="upload a file"
        ) from error


async def newest_workflow(ctx: StepContext) -> Workflow:
    """The workflow as it stands now; the pinned one when it is gone (then nothing of ours will be written anyway)."""
    found = await ctx.deps.state.get(ctx.workflow.tenant, Workflow, ctx.workflow.id)
    return found or ctx.workflow


def has_model(ctx: StepContext) -> bool:
    """Whether any model server is configured at all."""
    settings = ctx.deps.settings
    return bool(settings.openai_base_url or settings.openai_api_key.get_secret_value())


async def may_send_rows(ctx: StepContext) -> bool:
    """True when there is a model to ask and rows may go to it: the provider is listed, or the workspace consented."""
    return has_model(ctx) and await consent.given(ctx.deps.state, ctx.deps.settings, ctx.workflow.tenant)


async def require_sending(ctx: StepContext) -> None:
    """Raises `StepError` with the way out when rows may not go to a model."""
    if not has_model(ctx):
        raise StepError(
            "No model server is configured. Whoever runs the bot sets OPENAI_API_KEY, or OPENAI_BASE_URL.",
            code="no_model",
        )
    if not await may_send_rows(ctx):
        raise StepError(
            f"Rows may not be sent to {ctx.deps.settings.provider} yet: approve the consent card in this thread first, "
            "or list the provider in ALLOWED_PROVIDERS.",
            code="consent",
            next="consent",
        )


def backend(ctx: StepContext, name: str = "auto") -> Trainer:
    """The training backend of that name; `auto` is the configured one, by default the OpenAI wire. Raises `StepError`."""
    configured = ctx.deps.settings.trainer
    wanted = (configured if configured != "auto" else "openai") if name == "auto" else name
    if wanted not in ctx.deps.trainers:
        offered = ", ".join(ctx.deps.trainers)
        raise StepError(f"There is no training backend {wanted!r}; there are: {offered}.", code="trainer")
    return ctx.deps.trainers[wanted]


def asker(ctx: StepContext, model: str) -> Asker:
    return Asker(chat=ctx.deps.chat, model=model, meter=ctx.meter)


def limits_of(ctx: StepContext) -> Limits:
    """The ceilings of the settings, as the rules take them."""
    return ctx.deps.settings.limits


def leaf_names(topics: tuple[Topic, ...]) -> dict[str, str]:
    """Leaf id → name, in the order of the tree."""
    return {leaf.id: leaf.name for leaf in topic_rules.leaves(topics)}


async def make_version_once(ctx: StepContext, make: Callable[[], Manifest]) -> Manifest:
    """The version that `make` stores; after a restart the one that was made before, so that none is made twice."""
    made = ctx.done.get(VERSION)
    if made is None:
        manifest = await asyncio.to_thread(make)
        await ctx.checkpoint(VERSION, {"dataset_id": manifest.dataset_id, "version": manifest.version})
        return manifest
    return await asyncio.to_thread(
        ctx.deps.datasets.manifest, ctx.workflow.tenant, made["dataset_id"], int(made["version"])
    )


async def dataset_record(ctx: StepContext, manifest: Manifest) -> tuple[Dataset, ...]:
    """The dataset's document with its newest version noted; empty when there is nothing to note."""
    found = await ctx.deps.state.get(manifest.tenant, Dataset, manifest.dataset_id)
    if found is None or found.latest >= manifest.version:
        return ()
    return (replace(found, latest=manifest.version),)


def standing_on(workflow: Workflow, manifest: Manifest) -> Workflow:
    """The workflow on a dataset version, with its counts."""
    totals = manifest.totals
    return replace(
        workflow,
        dataset_id=manifest.dataset_id,
        dataset_version=manifest.version,
        total_rows=totals.rows,
        valid_rows=totals.valid,
    )


async def save_report(ctx: StepContext, kind: str, report: Json) -> None:
    """Keep a whole result under the task's id; cards and records only hold its summary."""
    path = paths.report(ctx.workflow.tenant, kind, ctx.task.id)
    data = json.dumps(report, ensure_ascii=False).encode("utf-8", "replace")
    await asyncio.to_thread(ctx.deps.blobs.put, path, (data,))


async def load_report(ctx: StepContext, kind: str, task_id: str) -> Json | None:
    try:
        data = await asyncio.to_thread(ctx.deps.blobs.get, paths.report(ctx.workflow.tenant, kind, task_id))
    except NotFound:
        return None
    found = json.loads(data)
    return found if isinstance(found, dict) else None


def cut(text: str, length: int) -> str:
    """The beginning of a text, for cards and checkpoints."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
