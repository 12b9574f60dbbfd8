"""Judges every row again, after limits or rows have changed: a new version when anything came out differently.

What a row says by itself is judged part by part, by as many workers as there are; which row repeats an earlier one is seen when
all parts lie beside each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from storage import paths
from storage.digests import DigestSet, conversation_digest
from storage.manifests import Manifest, PartRef
from storage.records import Json, Workflow
from tasks.rules.hygiene import hygiene, statistics
from tasks.rules.limits import Limits
from tasks.rules.validation import check_row
from tasks.step import Cancelled, Fan, Step, StepContext, StepReport
from tasks.steps import coverage
from tasks.steps.common import dataset_record, limits_of, make_version_once, pinned_manifest, standing_on
from tasks.steps.find_near_duplicates import later
from tasks.steps.overview import overview

CHANGEABLE = ("min_user_characters", "max_tokens")
DUPLICATE = "duplicate"


class _Judged(msgspec.Struct):
    """One part's rows judged by themselves; `digests` has 16 bytes for each row without an error."""

    errors: list[str]
    tokens: list[int]
    digests: bytes


@dataclass(frozen=True, slots=True)
class _Bench:
    manifest: Manifest
    limits: Limits


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `limits` {min_user_characters, max_tokens} in place of the settings' ones."""
    bench = await _prepared(ctx, params)
    before = bench.manifest
    if await ctx.spread(_shares(before), label="rows checked"):
        await asyncio.to_thread(_cleared, ctx, before)
        raise Cancelled  # half a check is none
    manifest = await make_version_once(ctx, lambda: _joined(ctx, before))
    await asyncio.to_thread(_cleared, ctx, before)
    found = hygiene(manifest.totals, limits=bench.limits)
    figures = statistics(manifest.totals, tokens_by=manifest.head.source.tokens_by)
    facts = await asyncio.to_thread(overview, ctx, manifest, hygiene=found, statistics=figures)
    covered = coverage.facts(ctx.workflow, manifest.totals)

    def change(workflow: Workflow) -> Workflow:
        if workflow.dataset_version not in (before.version, manifest.version):
            return workflow  # rows were changed meanwhile; what was judged here is no longer what stands
        return replace(standing_on(workflow, manifest), coverage=covered or workflow.coverage)

    return StepReport(
        facts=facts,
        change=change,
        view="overview",
        records=await dataset_record(ctx, manifest),
        then=later(manifest),
    )


def _shares(manifest: Manifest) -> dict[str, int]:
    return {f"part{number}": part.rows for number, part in enumerate(manifest.parts)}


async def _prepared(ctx: StepContext, params: Json) -> _Bench:
    given = {name: int(value) for name, value in (params.get("limits") or {}).items() if name in CHANGEABLE}
    return _Bench(await pinned_manifest(ctx), replace(limits_of(ctx), **given))


async def _judge_part(ctx: StepContext, bench: _Bench, share: str) -> Json:
    """Judge a part's rows by themselves and leave the verdicts in the store."""
    return await asyncio.to_thread(_judged, ctx, bench, share)


def _judged(ctx: StepContext, bench: _Bench, share: str) -> Json:
    errors: list[str] = []
    tokens: list[int] = []
    digests = bytearray()
    for row in ctx.deps.datasets.rows(bench.manifest, _number(share), ()):
        error, length = check_row(row, bench.limits)
        errors.append(error)
        tokens.append(length)
        digests += b"" if error else conversation_digest(row.messages)
    data = msgspec.msgpack.encode(_Judged(errors, tokens, bytes(digests)))
    ctx.deps.blobs.put(_path(ctx, share), (data,))
    return {"rows": len(errors)}


def _joined(ctx: StepContext, manifest: Manifest) -> Manifest:
    """The version in which the first of equal conversations is valid, over the whole dataset; only columns are rewritten."""
    datasets, seen = ctx.deps.datasets, DigestSet()
    changed: dict[int, PartRef] = {}
    for share in _shares(manifest):
        number = _number(share)
        judged = msgspec.msgpack.decode(ctx.deps.blobs.get(_path(ctx, share)), type=_Judged)
        values: dict[str, list[Any]] = {
            "error": list(_with_duplicates(judged, seen)),
            "tokens": judged.tokens,
        }
        if values != datasets.columns(manifest, number, ("error", "tokens")):
            changed[number] = datasets.set_columns(manifest, number, values)
    return datasets.commit(manifest, changed, operation="validate", by=ctx.task.by, at=ctx.deps.clock())


def _with_duplicates(judged: _Judged, seen: DigestSet) -> Iterator[str]:
    sixteen = range(0, len(judged.digests), 16)
    new = iter(seen.add_many([judged.digests[start : start + 16] for start in sixteen]))
    for error in judged.errors:
        yield error or ("" if next(new) else DUPLICATE)


def _cleared(ctx: StepContext, manifest: Manifest) -> None:
    for share in _shares(manifest):
        ctx.deps.blobs.delete(_path(ctx, share))


def _path(ctx: StepContext, share: str) -> str:
    return paths.work(ctx.workflow.tenant, ctx.workflow.dataset_id, f"{ctx.task.id}-{share}")


def _number(share: str) -> int:
    return int(share.removeprefix("part"))


VALIDATE = Step(
    name="validate",
    title="Checking every row",
    body=run,
    needs=("valid_rows",),
    timeout_seconds=3600,
    fan=Fan(_prepared, _judge_part),
)
