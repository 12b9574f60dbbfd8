"""Tools for further files: what to do with one that waits in the thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import CARD_BELOW, start
from storage.records import Change, Json, WaitingFile
from tasks.drafting import mention

BY_BUTTON = "button"
NOTHING_WAITS = "No further file waits in this thread. Share one here (JSONL, JSON, CSV or Parquet) and I ask what to do with it."


@tool(title="Adding a further file")
async def add_file(
    ctx: ToolContext, *, mode: Literal["append", "merge", "replace"] = "append", file: str = ""
) -> ToolResult:
    """Add the file that waits in this thread to the dataset, as the person asked. Runs on a worker; a card reports what came of it.

    Use it only when somebody said which way: append adds all rows; merge replaces rows whose id is there and adds the others;
    replace makes a version of the new file alone, which a person confirms by the card's button.

    Parameters:
        mode: append, merge or replace.
        file: The file's name where several wait; left out it means all of them, one after the other.
    """
    if ctx.actor.turned_away:
        return failed(ctx.actor.turned_away)
    waiting = await waiting_files(ctx)
    chosen = [
        one for one in waiting if not file or file.casefold() in (one.name.casefold(), one.id, one.batch)
    ]
    if not chosen:
        names = ", ".join(one.name for one in waiting)
        why = f"No file called {file!r} waits; there are: {names}." if waiting else NOTHING_WAITS
        return failed(why, next="upload a file")
    busy = await _busy(ctx)
    if busy:
        return failed(busy)
    if mode == "replace" and len(chosen) > 1:
        return failed(f"Say which file is to stand alone: {', '.join(one.name for one in chosen)}.")
    if mode == "replace" and ctx.evidence != BY_BUTTON:
        await ctx.show("second_file", offer(ctx.flow.id, ctx.flow.name, ctx.flow.total_rows, chosen))
        return ok(status="asked", note=f"A person has to press Replace on the card. {CARD_BELOW}")
    first, *rest = (_params(one, mode) for one in chosen)
    return await start(ctx, "merge", {**first, "then": rest}, files=[one.name for one in chosen], mode=mode)


@tool(title="Leaving a file aside")
async def dismiss_file(ctx: ToolContext, *, file: str = "") -> ToolResult:
    """Leave a waiting file aside, when the person does not want it in the dataset. It can be shared again any time.

    Parameters:
        file: The file's name where several wait; left out it means all of them.
    """
    if ctx.actor.turned_away:
        return failed(ctx.actor.turned_away)
    waiting = [
        one
        for one in await waiting_files(ctx)
        if not file or file.casefold() in (one.name.casefold(), one.id, one.batch)
    ]
    if not waiting:
        return failed(NOTHING_WAITS)
    puts = tuple(replace(one, status="dismissed") for one in waiting)
    await ctx.deps.state.commit(ctx.tenant, Change(puts=puts))
    names = ", ".join(one.name for one in waiting)
    return ok(status="dismissed", files=names, note=f"Left aside: {names}. Nothing was changed.")


async def waiting_files(ctx: ToolContext) -> list[WaitingFile]:
    """The files of this workflow about which nobody has decided, in the order in which they came."""
    found = await ctx.deps.state.find(ctx.tenant, WaitingFile, f"waiting:workflow:{ctx.flow.id}")
    return sorted((one for one in found if one.status == "waiting"), key=lambda one: (one.at, one.id))


def offer(workflow_id: str, name: str, rows: int, files: Sequence[WaitingFile]) -> Json:
    """The `second_file` card's data (docs/events.md)."""
    return {
        "workflow_id": workflow_id,
        "name": name,
        "rows": rows,
        "files": [{"id": one.id, "name": one.name, "size": one.size} for one in files],
        "batch": files[0].batch if len(files) > 1 else "",
        "by": mention(files[0].by) if files else "",
    }


async def _busy(ctx: ToolContext) -> str:
    """Why it cannot begin now; "" when it can."""
    operations = {task.operation for task in await ctx.desk.open_tasks(ctx.tenant, ctx.flow.id)}
    if "ingest" in operations:
        return "I am still reading the first file of this thread. Say it again when its overview is there."
    if "merge" in operations:
        return "I am still adding the file before. Say it again when its card says that it is done."
    if not ctx.flow.dataset_version:
        return (
            "There is no dataset in this thread yet: the first file could not be read. Share a corrected one."
        )
    return ""


def _params(file: WaitingFile, mode: str) -> Json:
    return {"mode": mode, "upload_path": file.path, "file_name": file.name, "file_id": file.id}


FILE_TOOLS = (add_file, dismiss_file)
