"""A further file in a workflow that has rows: added to them, merged by id, or put in their place (decision 7).

The file is read into a version of its own first, so that a killed worker does not read it again. Then it is compared with the
newest version, so that edits made meanwhile stay; when somebody edits while it is compared, it is compared again. The version
before stays as it was, whatever the mode, and no row of the file is dropped: what cannot be used is kept, named and left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Literal

from storage.errors import Conflict, NotFound
from storage.manifests import Manifest, PartRef, summed
from storage.records import Json, WaitingFile, Workflow
from storage.rows import Row
from tasks.ingest import IngestCancelled, IngestReport, UnreadableFile, ingest, joining
from tasks.ingest.joining import Places, Taken
from tasks.rules import topics as topic_rules
from tasks.rules.hygiene import Hygiene, hygiene
from tasks.rules.validation import RowProblem, check_row
from tasks.step import Cancelled, Next, Step, StepContext, StepError, StepReport
from tasks.steps import coverage
from tasks.steps.common import cut, dataset_record, limits_of, manifest_of, newest_workflow
from tasks.steps.editing import moved_to

Mode = Literal["append", "merge", "replace"]
MODES: tuple[Mode, ...] = ("append", "merge", "replace")
WORDS: dict[Mode, str] = {"append": "rows added", "merge": "rows merged", "replace": "rows replaced"}
STAGED = "staged"  # the checkpoint that remembers the version into which the file was read
SHOWN_PROBLEMS, SHOWN_DETAILS = 20, 40
Seen = Callable[[int], None]


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `mode` append | merge | replace, `upload_path`, `file_name`, `file_id` of the waiting file if it is one, and
    `then` a list of the same for files that follow this one."""
    mode = _mode(params)
    staged = await _staged(ctx, params)
    newest = await newest_workflow(ctx)
    if newest.dataset_id != staged.dataset_id:
        raise StepError("This thread works on another dataset by now. Share the file again.", code="moved")
    base = await manifest_of(ctx, newest)
    made, counts = await _made_once(ctx, base, staged, mode)
    return await _report(ctx, params, base, staged, made, counts)


def _mode(params: Json) -> Mode:
    for mode in MODES:
        if params.get("mode") == mode:
            return mode
    raise StepError(f"A file is added by one of {', '.join(MODES)}.", code="mode")


# ---------------------------------------------------------------- reading the file


async def _staged(ctx: StepContext, params: Json) -> Manifest:
    """The file as a version of its own; read once."""
    known = ctx.done.get(STAGED)
    if known is not None:
        return await asyncio.to_thread(
            ctx.deps.datasets.manifest,
            ctx.workflow.tenant,
            ctx.workflow.dataset_id,
            int(known["version"]),
        )
    file_name = str(params["file_name"])
    base = await manifest_of(ctx, ctx.workflow)
    try:
        report = await asyncio.to_thread(
            _ingested, ctx, base, str(params["upload_path"]), file_name, teller(ctx)
        )
    except UnreadableFile as error:
        raise StepError(
            f"{error}. Nothing was changed; share a corrected file.", code=error.code, next="upload a file"
        ) from error
    except IngestCancelled as error:
        raise Cancelled from error
    except NotFound as error:
        raise StepError(
            f"{cut(file_name, 100)} is no longer in storage. Share it again.",
            code="upload_gone",
            next="upload a file",
        ) from error
    value: Json = {
        "version": report.manifest.version,
        "recognised": report.recognised,
        "problems": list(report.problems[:5]),
        "details": [asdict(problem) for problem in report.hygiene.problems if problem.detail][:SHOWN_DETAILS],
    }
    await ctx.checkpoint(STAGED, value)
    return report.manifest


def _ingested(
    ctx: StepContext, base: Manifest, path: str, file_name: str, tell: Callable[[str], None]
) -> IngestReport:
    return ingest(
        ctx.deps.blobs.read(path),
        file_name,
        ctx.deps.datasets,
        base.tenant,
        base.dataset_id,
        by=ctx.task.by,
        at=ctx.deps.clock(),
        limits=limits_of(ctx),
        parent=base,
        progress=lambda read, rows: tell(f"{rows:,} rows read ({read / 1e6:,.1f} MB)"),
        cancelled=ctx.cancelled,
    )


def teller(ctx: StepContext) -> Callable[[str], None]:
    """Progress from a thread to the task, which lives on the event loop."""
    loop = asyncio.get_running_loop()

    def tell(label: str) -> None:
        asyncio.run_coroutine_threadsafe(ctx.progress(0, 0, label), loop).result()

    return tell


# ---------------------------------------------------------------- making the version


async def _made_once(ctx: StepContext, base: Manifest, staged: Manifest, mode: Mode) -> tuple[Manifest, Json]:
    """The version with the file's rows and what was counted; made once for each version that it was made from."""
    name = f"from{base.version}"
    known = ctx.done.get(name)
    if known is not None:
        read = ctx.deps.datasets.manifest
        return await asyncio.to_thread(read, base.tenant, base.dataset_id, int(known["version"])), dict(
            known["counts"]
        )
    make = _MAKE[mode]
    made, counts = await asyncio.to_thread(make, ctx, base, staged, _watch(ctx, "rows compared"))
    await ctx.checkpoint(name, {"version": made.version, "counts": counts})
    return made, counts


def _watch(ctx: StepContext, label: str) -> Seen:
    """Hears of rows looked at: tells people, and stops the work when somebody asked for that."""
    tell, done = teller(ctx), 0

    def seen(rows: int) -> None:
        nonlocal done
        if ctx.cancelled():
            raise Cancelled
        done += rows
        tell(f"{done:,} {label}")

    return seen


def _appended(ctx: StepContext, base: Manifest, staged: Manifest, seen: Seen) -> tuple[Manifest, Json]:
    return _with_rest(ctx, base, staged, Taken.none_of(staged), seen), {}


def _merged(ctx: StepContext, base: Manifest, staged: Manifest, seen: Seen) -> tuple[Manifest, Json]:
    """Rows whose id comes again in place of the old ones, the others behind them."""
    datasets, limits = ctx.deps.datasets, limits_of(ctx)
    places = Places(datasets, staged, joining.id_keys, seen)
    taken = Taken.none_of(staged)
    counts: Json = {"replaced": 0, "unchanged": 0, "edited": 0}
    changed: dict[int, PartRef] = {}
    for part in range(len(base.parts)):
        better: dict[str, Row] = {}
        at: list[int] = []
        for position, old, place, new in joining.pairs(datasets, base, part, staged, places):
            fate = joining.decided(old, new)
            if fate == "new":
                continue
            counts[fate] += 1
            taken.add(place)
            if fate == "replaced":
                better[old.id] = joining.replaced(old, new)
                at.append(position)
        if at:
            changed[part] = datasets.changed_part(
                base,
                part,
                lambda row, better=better: better[row.id],  # type: ignore[misc]
                check=lambda row: check_row(row, limits),
                places=at,
            )
        seen(base.parts[part].rows)
    made = base
    if changed:
        made = datasets.commit_rows(
            base, changed, operation="merge", by=ctx.task.by, at=ctx.deps.clock(), detail=counts
        )
    return _with_rest(ctx, made, staged, taken, seen), counts


def _with_rest(ctx: StepContext, base: Manifest, staged: Manifest, taken: Taken, seen: Seen) -> Manifest:
    """The version with those rows of the file behind it that are not taken; the same version when all are."""
    datasets, limits = ctx.deps.datasets, limits_of(ctx)
    more = int((~taken.bits).sum())
    if not more:
        return base
    if base.totals.rows + more > limits.max_rows:
        raise StepError(
            f"With this file there would be {base.totals.rows + more:,} rows, more than the limit of {limits.max_rows:,} "
            "(`limits.max_rows`). Nothing was changed.",
            code="too_many_rows",
        )

    def watched() -> Iterator[Row]:
        for number, row in enumerate(taken.rest(datasets, staged), 1):
            if number % WATCHED_ROWS == 0:
                seen(WATCHED_ROWS)
            yield row

    return datasets.append_rows(
        base,
        watched(),
        check=lambda row: check_row(row, limits),
        operation="append",
        by=ctx.task.by,
        at=ctx.deps.clock(),
        detail={"file": cut(staged.head.source.file_name, 200)},
    )


def _replacing(ctx: StepContext, base: Manifest, staged: Manifest, seen: Seen) -> tuple[Manifest, Json]:
    """The file alone, with the labels of rows that were there already, found by id or by what they say."""
    datasets = ctx.deps.datasets
    places = Places(datasets, base, joining.id_and_word_keys, seen)
    changed: dict[int, PartRef] = {}
    known = valid = 0
    for part in range(len(staged.parts)):
        columns = datasets.columns(staged, part, joining.LABELS)
        found = _known_before(ctx, base, staged, part, places)
        for at, row in found.items():
            for name in joining.LABELS:
                columns[name][at] = getattr(row, name)
        known += len(found)
        valid += sum(row.valid for row in found.values())
        if any(row.topic or row.previous_topic or row.score is not None for row in found.values()):
            changed[part] = datasets.set_columns(staged, part, columns)
        seen(staged.parts[part].rows)
    made = datasets.commit(
        staged,
        changed,
        operation="replace",
        by=ctx.task.by,
        at=ctx.deps.clock(),
        detail={"file": cut(staged.head.source.file_name, 200)},
    )
    return made, {"unchanged": valid, "gone": max(0, base.totals.rows - known)}


def _known_before(
    ctx: StepContext, base: Manifest, staged: Manifest, part: int, places: Places
) -> dict[int, Row]:
    """Position → the row with the labels of the one in `base` that says the same."""
    datasets = ctx.deps.datasets
    rows = list(datasets.rows(staged, part))
    keys = [joining.id_and_word_keys(row) for row in rows]
    flat = places.of([key for here in keys for key in here])
    wanted = sorted({place for here in flat for place in here[:CANDIDATES]})
    old = dict(zip(wanted, datasets.pick(base, wanted), strict=True))
    found: dict[int, Row] = {}
    lists = iter(flat)
    for at, (row, here) in enumerate(zip(rows, keys, strict=True)):
        candidates = [place for _ in here for place in next(lists)[:CANDIDATES]]
        carried = (joining.carried(old[place], row) for place in candidates)
        match = next((one for one in carried if one is not None), None)
        if match is not None:
            found[at] = match
    return found


_MAKE: dict[Mode, Callable[[StepContext, Manifest, Manifest, Seen], tuple[Manifest, Json]]] = {
    "append": _appended,
    "merge": _merged,
    "replace": _replacing,
}


# ---------------------------------------------------------------- the report


async def _report(
    ctx: StepContext, params: Json, base: Manifest, staged: Manifest, made: Manifest, counts: Json
) -> StepReport:
    mode, newest = _mode(params), await newest_workflow(ctx)
    fresh = (
        made.totals if mode == "replace" else summed([part.summary for part in made.parts[len(base.parts) :]])
    )
    remembered = dict(ctx.done.get(STAGED) or {})
    details = [RowProblem(**one) for one in remembered.get("details") or ()]
    found = hygiene(fresh, details=details, limits=limits_of(ctx))
    facts: Json = {
        "mode": mode,
        "file_name": cut(str(params["file_name"]), 200),
        "recognised": str(remembered.get("recognised") or ""),
        "rows_in_file": staged.totals.rows,
        "added": fresh.valid - (counts.get("unchanged", 0) if mode == "replace" else 0),
        **{name: int(counts.get(name, 0)) for name in ("replaced", "unchanged", "edited", "gone")},
        **_problems(found, remembered),
        "total": made.totals.rows,
        "valid_count": made.totals.valid,
        "dataset_version": made.version,
        "version_before": base.version,
        "balance_score": coverage.facts(newest, made.totals).get("balance_score"),
        "unlabelled": made.totals.unlabelled,
    }

    def change(workflow: Workflow) -> Workflow:
        if (
            workflow.dataset_version != base.version
        ):  # somebody edited a row just now: again, on their version
            raise Conflict(workflow.id)
        if made.version == base.version:
            return workflow
        return moved_to(workflow, made, what=WORDS[mode], by=ctx.task.by, at=ctx.deps.clock())

    following = tuple(params.get("then") or ())
    return StepReport(
        facts=facts,
        change=change,
        summary=f"{facts['added']:,} rows added",
        view="file_added",
        records=(*await dataset_record(ctx, made), *await _used(ctx, params)),
        then=_next(newest, base, made, following),
    )


def _problems(found: Hygiene, remembered: Json) -> Json:
    """What was wrong with which rows of the file."""
    return {
        "duplicates": found.duplicates,
        "invalid": found.rejected - found.duplicates,
        "counts": dict(found.counts),
        "first_lines": {code: list(lines) for code, lines in found.lines.items()},
        "mend": {problem.code: problem.mend for problem in reversed(found.problems)},
        "problems": [cut(problem.message, 300) for problem in found.problems[:SHOWN_PROBLEMS]],
        "file_problems": [cut(str(problem), 300) for problem in remembered.get("problems") or ()],
    }


async def _used(ctx: StepContext, params: Json) -> tuple[WaitingFile, ...]:
    """The waiting file's record, waiting no more."""
    id = str(params.get("file_id") or "")
    found = await ctx.deps.state.get(ctx.workflow.tenant, WaitingFile, id) if id else None
    return (replace(found, status="used"),) if found and found.status != "used" else ()


def _next(
    workflow: Workflow, base: Manifest, made: Manifest, following: tuple[Json, ...]
) -> tuple[Next, ...]:
    """The next file; after the last one, topics for the rows that have none."""
    if following:
        return (Next("merge", {**following[0], "then": list(following[1:])}),)
    if topic_rules.leaves(workflow.topics):
        rows = made.totals.unlabelled
        return (Next("categorize", {"mode": "unlabeled_only"}),) if rows else ()
    began = not base.totals.valid and made.totals.valid
    return (Next("propose_topics", {"method": "auto"}),) if began else ()


WATCHED_ROWS = 10_000
CANDIDATES = 8  # rows with the same key that are looked at; more would be one text a thousand times
MERGE = Step(name="merge", title="Adding a further file", body=run, timeout_seconds=6 * 3600)
