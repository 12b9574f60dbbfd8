"""Deletes rows or moves them to a topic after approval, or goes back to an earlier version: exactly what the card showed.

The filter is read on the version that was shown; the rows it names are then changed on the newest one, so that edits made
meanwhile stay. A row that somebody changed in the meantime is left as it is, and counted. The version before stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from storage.codec import from_json, to_json
from storage.errors import Conflict, NotFound
from storage.manifests import Manifest, PartRef
from storage.records import Json, Workflow
from storage.rows import UNCATEGORISED
from tasks import selection as rows
from tasks.rules import topics as topic_rules
from tasks.rules.validation import check_row
from tasks.selection import FoundHere
from tasks.step import Next, Step, StepContext, StepError, StepReport
from tasks.steps import coverage
from tasks.steps.common import dataset_record, leaf_names, manifest_of, newest_workflow
from tasks.steps.editing import moved_to
from tasks.steps.find_rows import SEARCH, scanned

TOPIC_COLUMNS = ("topic", "topic_confidence", "topic_method", "previous_topic")
WORDS = {"delete": "rows deleted", "move": "rows moved", "restore": "went back to an earlier version"}


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `action` delete | move | restore, `version` (that was shown), `where`, `ids`, `topic`."""
    if params["action"] == "restore":
        return await _restored(ctx, int(params["version"]))
    shown = await _version(ctx, int(params["version"]))
    found = await scanned(ctx, shown, rows.from_params(params), label="rows looked at")
    newest = await newest_workflow(ctx)
    base = await manifest_of(ctx, newest if newest.dataset_id == ctx.workflow.dataset_id else ctx.workflow)
    changed, count, left = await _changed(ctx, base, shown, found, params)
    if not count:
        raise StepError("None of these rows is there any more as it was shown.", code="no_rows")
    made = await _made_once(ctx, base, changed, params, count)
    return await _report(ctx, base, made, params, count, left)


async def _version(ctx: StepContext, version: int) -> Manifest:
    workflow = ctx.workflow
    try:
        return await asyncio.to_thread(
            ctx.deps.datasets.manifest, workflow.tenant, workflow.dataset_id, version
        )
    except NotFound as error:
        raise StepError(f"Version {version} of the dataset is gone.", code="no_version") from error


async def _restored(ctx: StepContext, version: int) -> StepReport:
    base, then = await manifest_of(ctx, await newest_workflow(ctx)), await _version(ctx, version)
    return await _report(ctx, base, then, {"action": "restore"}, then.totals.rows, 0)


async def _changed(
    ctx: StepContext, base: Manifest, shown: Manifest, found: dict[int, FoundHere], params: Json
) -> tuple[dict[int, PartRef], int, int]:
    """The parts that hold such rows, without them or with them moved; how many rows, and how many were left as changed.

    Each part is a checkpoint of the version that it was made from.
    """
    changed: dict[int, PartRef] = {}
    count = left = 0
    for part, here in found.items():
        name = f"from{base.version}part{part}"
        if name not in ctx.done:
            ref, rows_here, others = await asyncio.to_thread(_part, ctx, base, shown, part, here, params)
            await ctx.checkpoint(name, {"part": to_json(ref), "rows": rows_here, "left": others})
        saved = ctx.done[name]
        changed[part] = from_json(PartRef, saved["part"])
        count, left = count + saved["rows"], left + saved["left"]
    return {part: ref for part, ref in changed.items() if part < len(base.parts)}, count, left


def _part(
    ctx: StepContext, base: Manifest, shown: Manifest, part: int, here: FoundHere, params: Json
) -> tuple[PartRef, int, int]:
    datasets = ctx.deps.datasets
    places, left = rows.places_now(datasets, shown, base, part, here.places)
    if not places:
        return base.parts[min(part, len(base.parts) - 1)], 0, left
    if params["action"] == "delete":
        ref = datasets.changed_part(base, part, lambda row: None, check=check_row, places=places)
    else:
        columns = _columns(ctx, base, part, places, str(params.get("topic") or ""))
        ref = datasets.set_columns(base, part, columns)
    return ref, len(places), left


async def _made_once(
    ctx: StepContext, base: Manifest, changed: dict[int, PartRef], params: Json, count: int
) -> Manifest:
    """The version with these parts; made once for each version that it is made from."""
    name = f"from{base.version}"
    if name in ctx.done:
        return await _version(ctx, int(ctx.done[name]["version"]))
    datasets, action = ctx.deps.datasets, str(params["action"])
    commit = datasets.commit_rows if action == "delete" else datasets.commit
    detail = {**params, "rows": count}
    made = await asyncio.to_thread(
        commit,
        base,
        changed,
        operation=action,
        by=ctx.task.by,
        at=ctx.deps.clock(),
        detail={name: value for name, value in detail.items() if name != "ids"},
    )
    await ctx.checkpoint(name, {"version": made.version})
    return made


def _columns(
    ctx: StepContext, base: Manifest, part: int, places: Sequence[int], topic: str
) -> dict[str, list[Any]]:
    columns = ctx.deps.datasets.columns(base, part, TOPIC_COLUMNS)
    for at in places:
        columns["previous_topic"][at] = columns["topic"][at]
        columns["topic"][at] = topic or UNCATEGORISED
        columns["topic_confidence"][at] = 1.0 if topic else None
        columns["topic_method"][at] = "manual"
    return columns


async def _report(
    ctx: StepContext, base: Manifest, made: Manifest, params: Json, count: int, left: int
) -> StepReport:
    action = str(params["action"])
    newest = await newest_workflow(ctx)

    def change(workflow: Workflow) -> Workflow:
        if (
            workflow.dataset_version != base.version
        ):  # somebody edited a row just now: again, on their version
            raise Conflict(workflow.id)
        return moved_to(workflow, made, what=WORDS[action], by=ctx.task.by, at=ctx.deps.clock())

    facts: Json = {
        "action": action,
        "count": count,
        "left_as_changed": left,
        "topic": leaf_names(ctx.workflow.topics).get(str(params.get("topic") or ""), ""),
        "total": made.totals.rows,
        "valid_count": made.totals.valid,
        "dataset_version": made.version,
        "version_before": base.version,
        "balance_score": coverage.facts(newest, made.totals).get("balance_score"),
    }
    return StepReport(
        facts=facts,
        change=change,
        summary=f"{count:,} {'rows stand again' if action == 'restore' else WORDS[action]}",
        view="rows_changed",
        records=await dataset_record(ctx, made),
        then=_sorting_again(newest, made, action),
    )


def _sorting_again(workflow: Workflow, made: Manifest, action: str) -> tuple[Next, ...]:
    """An earlier version may carry topics that are gone; its rows are sorted into those of now."""
    known = topic_rules.leaves(workflow.topics)
    return coverage.again_for_new_topics(workflow, made) if action == "restore" and known else ()


CHANGE_ROWS = Step(
    name="change_rows",
    title="Changing rows",
    body=run,
    needs=(),
    finishes=False,
    timeout_seconds=2 * 3600,
    fan=SEARCH,
)
