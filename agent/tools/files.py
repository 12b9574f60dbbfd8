"""Tools for further files: what to do with one that waits in the thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import CARD_BELOW, start
from storage.errors import Conflict
from storage.records import Change, Json, OutboxEvent, WaitingFile
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
    chosen = _named(waiting, file) or await _failed_before(ctx, file)
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
        await _ask_again(ctx, chosen)
        return ok(status="asked", note=f"A person has to press Replace on the card. {CARD_BELOW}")
    first, *rest = (_params(one, mode) for one in chosen)
    result = await start(ctx, "merge", {**first, "then": rest}, files=[one.name for one in chosen], mode=mode)
    if result.get("status") == "started":
        await _settle(ctx, chosen, "taken", mode)
    return result


@tool(title="Leaving a file aside")
async def dismiss_file(ctx: ToolContext, *, file: str = "") -> ToolResult:
    """Leave a waiting file aside, when the person does not want it in the dataset. It can be shared again any time.

    Parameters:
        file: The file's name where several wait; left out it means all of them.
    """
    if ctx.actor.turned_away:
        return failed(ctx.actor.turned_away)
    waiting = _named(await waiting_files(ctx), file)
    if not waiting:
        return failed(NOTHING_WAITS)
    await _settle(ctx, waiting, "dismissed", "left")
    names = ", ".join(one.name for one in waiting)
    return ok(status="dismissed", files=names, note=f"Left aside: {names}. Nothing was changed.")


async def waiting_files(ctx: ToolContext) -> list[WaitingFile]:
    """The files of this workflow about which nobody has decided, in the order in which they came."""
    found = await ctx.deps.state.find(ctx.tenant, WaitingFile, f"waiting:workflow:{ctx.flow.id}")
    return sorted((one for one in found if one.status == "waiting"), key=lambda one: (one.at, one.id))


def card_of(batch: str) -> str:
    """The name under which the card that offers these files is brought up to date."""
    return f"second_file:{batch}"


def offer(
    workflow_id: str, name: str, rows: int, files: Sequence[WaitingFile], settled: Sequence[Json] = ()
) -> Json:
    """The `second_file` card's data (docs/events.md). `settled` are those about which somebody has decided."""
    return {
        "workflow_id": workflow_id,
        "name": name,
        "rows": rows,
        "files": [{"id": one.id, "name": one.name, "size": one.size} for one in files],
        "batch": files[0].batch if len(files) > 1 else "",
        "by": mention(files[0].by) if files else "",
        "settled": list(settled),
    }


def _named(waiting: Sequence[WaitingFile], file: str) -> list[WaitingFile]:
    wanted = file.casefold()
    return [one for one in waiting if not wanted or wanted in (one.name.casefold(), one.id, one.batch)]


async def _failed_before(ctx: ToolContext, file: str) -> list[WaitingFile]:
    """A file of that name that was to be added and was not: the adding was stopped, or did not work."""
    if not file:
        return []
    found = await ctx.deps.state.find(ctx.tenant, WaitingFile, f"waiting:workflow:{ctx.flow.id}")
    return _named([one for one in found if one.status == "taken"], file)


async def _ask_again(ctx: ToolContext, chosen: Sequence[WaitingFile]) -> None:
    """The card once more, at the end of the thread, for a button that a person has to press."""
    data = offer(ctx.flow.id, ctx.flow.name, ctx.flow.total_rows, chosen)
    name = _asked_again(chosen[0].batch)
    event = OutboxEvent(
        "second_file", ctx.channel, ctx.thread_ts, data, key=f"{name}:{ctx.call_id}", card=name
    )
    await ctx.deps.state.commit(ctx.tenant, Change(events=(event,)))


def _asked_again(batch: str) -> str:
    return f"{card_of(batch)}:again"


async def _settle(
    ctx: ToolContext, chosen: Sequence[WaitingFile], status: Literal["taken", "dismissed"], how: str
) -> None:
    """The files wait no more, and the cards that offer them say so in place of their buttons."""
    ids = {one.id for one in chosen}
    puts = tuple(replace(one, status=status) for one in chosen)
    found = await ctx.deps.state.find(ctx.tenant, WaitingFile, f"waiting:workflow:{ctx.flow.id}")
    events = []
    for batch in dict.fromkeys(one.batch for one in chosen):
        here = sorted((one for one in found if one.batch == batch), key=lambda one: (one.at, one.id))
        left = [one for one in here if one.status == "waiting" and one.id not in ids]
        decided = [
            _decided(one, how if one.id in ids else "", ctx.actor.id) for one in here if one not in left
        ]
        data = offer(ctx.flow.id, ctx.flow.name, ctx.flow.total_rows, left, decided)
        known = await ctx.deps.state.recall(ctx.tenant, _asked_again(batch))
        for card in (card_of(batch), *([_asked_again(batch)] if known else [])):
            events.append(
                OutboxEvent(
                    "second_file", ctx.channel, ctx.thread_ts, data, key=f"{card}:{ctx.call_id}", card=card
                )
            )
    try:
        await ctx.deps.state.commit(ctx.tenant, Change(puts=puts, events=tuple(events)))
    except Conflict:  # a quick worker has noted already that they are used
        await ctx.deps.state.commit(ctx.tenant, Change(events=tuple(events)))


def _decided(one: WaitingFile, how: str, by: str) -> Json:
    """`how` "" where that was said on the card before."""
    past = "left" if one.status == "dismissed" else "added"
    return {"name": one.name, "how": how or past, "by": by if how else ""}


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
