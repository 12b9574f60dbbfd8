"""Columns computed on one dataset version, laid onto the one that stands now: what people edited meanwhile stays as they left it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from storage.manifests import Manifest, PartRef
from tasks.step import StepContext
from tasks.steps.common import manifest_of, newest_workflow


async def onto_newest(
    ctx: StepContext, manifest: Manifest, changed: dict[int, PartRef], *, columns: tuple[str, ...]
) -> tuple[Manifest, dict[int, PartRef]]:
    """The labels on the dataset version that stands now, where people edited rows in the meantime: their edits stay."""
    workflow = await newest_workflow(ctx)
    if workflow.dataset_id != manifest.dataset_id or workflow.dataset_version == manifest.version:
        return manifest, changed
    newest = await manifest_of(ctx, workflow)
    return newest, await asyncio.to_thread(_transplanted, ctx, manifest, newest, changed, columns)


def _transplanted(
    ctx: StepContext,
    manifest: Manifest,
    newest: Manifest,
    changed: dict[int, PartRef],
    names: tuple[str, ...],
) -> dict[int, PartRef]:
    datasets = ctx.deps.datasets
    labelled = _view(manifest, changed)
    moved: dict[int, PartRef] = {}
    for number, part in enumerate(newest.parts[: len(manifest.parts)]):
        if number not in changed:
            continue
        if part.digest == manifest.parts[number].digest and part.columns == manifest.parts[number].columns:
            moved[number] = changed[number]
            continue
        known = {row.id: row for row in datasets.rows(labelled, number)}
        before = {row.id: row for row in datasets.rows(manifest, number)}
        columns: dict[str, list[object]] = {name: [] for name in names}
        for row in datasets.rows(newest, number):
            old, ours = before.get(row.id), known.get(row.id)
            same = (
                old is not None
                and ours is not None
                and row.topic == old.topic
                and row.messages == old.messages
            )
            for name in names:
                columns[name].append(getattr(ours if same else row, name))
        moved[number] = datasets.set_columns(newest, number, columns)
    return moved


def _view(manifest: Manifest, changed: dict[int, PartRef]) -> Manifest:
    """The manifest with some parts replaced, without storing a version of it."""
    parts = tuple(changed.get(number, part) for number, part in enumerate(manifest.parts))
    return replace(manifest, parts=parts)
