"""Documents shared in a thread: brought into storage like data files, and given to a worker to read, several at once.

A thread whose first file is a document becomes a workflow without a dataset. Documents that come beside a dataset follow it as an item
of their own. What is in a document is the worker's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from bot import files
from bot.files import Downloads, FileProblem, SlackFile
from bot.hands import Hands
from bot.views.kit import say
from storage import keys, paths
from storage.errors import Conflict
from storage.records import Change, InboxItem, Json, Lease, OutboxEvent, Task, Workflow
from tasks import workflow as flow
from tasks.documents import is_document
from tasks.drafting import new_task, queued_event, short_id

log = structlog.get_logger(__name__)
TYPES = "`.md`, `.txt`, `.html` or `.pdf`"
MOST_AT_ONCE = 20
TRIES = 3
PAUSE_SECONDS = 1.0


def documents_among(shared: Sequence[Json]) -> list[Json]:
    return [dict(file) for file in shared if is_document(str(file.get("name") or ""))]


def following(item: InboxItem) -> tuple[tuple[str, InboxItem], ...]:
    """The documents of a message whose dataset was taken, as an item for the lane's next round."""
    found = documents_among(item.data.get("files") or [])
    if not found:
        return ()
    data = {**item.data, "files": found, "beside": True}
    lane = keys.lane(str(item.data["channel"]), str(item.data["thread_ts"]))
    return ((lane, replace(item, id=f"documents:{item.id}", text="", data=data)),)


async def take(
    hands: Hands,
    downloads: Downloads,
    lease: Lease,
    lane: str,
    item: InboxItem,
    workflow: Workflow | None,
    shared: Sequence[Json],
    problems: Sequence[str] | None = None,
) -> None:
    """Deal with one message that brings these documents; `problems` are those of the files beside them. Raises `Unavailable`, `LostLease`; everything else becomes words."""
    if not item.data.get("beside"):
        await _show_seen(hands, item)
    most = hands.deps.settings.limits.max_document_bytes
    fetched = [await _fetched(hands, downloads, lease, item, file, most) for file in shared[:MOST_AT_ONCE]]
    told = [
        *(_unread(item) if problems is None else problems),
        *(one for one in fetched if isinstance(one, str)),
    ]
    if len(shared) > MOST_AT_ONCE:
        told.append(f"I read {MOST_AT_ONCE} documents of one message; share the others in another one.")
    taken = [one for one in fetched if isinstance(one, tuple)]
    if not taken:
        change = Change(
            events=_notes(item, told),
            items=_words(item, [], None),
            lease=lease,
            consumed=(lane, (item.id,)),
        )
        await hands.deps.state.commit(lease.tenant, change)
        return
    await _begin(hands, lease, lane, item, workflow, taken, told)


async def _begin(
    hands: Hands,
    lease: Lease,
    lane: str,
    item: InboxItem,
    workflow: Workflow | None,
    taken: Sequence[tuple[SlackFile, str]],
    problems: Sequence[str],
) -> None:
    """Write the workflow and the task in one change, and wake a worker."""
    at = hands.desk.clock()
    names = [file.name[:255] for file, _ in taken]
    begun = _workflow(lease, workflow, item, names, at)
    listed = [{"upload_path": path, "file_name": file.name[:255], "by": item.user} for file, path in taken]
    step = hands.desk.operations["read_documents"]
    task = new_task(step, begun, {"files": listed}, by=item.user, key=item.id, at=at)
    if await hands.deps.state.get(lease.tenant, Task, task.id) is None:
        change = Change(
            puts=(begun, task),
            events=(queued_event(task, step.title), *_notes(item, problems)),
            items=_words(item, names, begun),
            lease=lease,
            consumed=(lane, (item.id,)),
        )
    else:
        change = Change(lease=lease, consumed=(lane, (item.id,)))
    try:
        await hands.deps.state.commit(lease.tenant, change)
    except Conflict:
        log.info("documents_overtaken", item=item.id)  # the lane's next round sees what stands now
        raise
    await hands.desk.wake(task)


def _workflow(
    lease: Lease, current: Workflow | None, item: InboxItem, names: Sequence[str], at: float
) -> Workflow:
    """The thread's workflow, or a new one without a dataset, named after the first document."""
    if current is not None:
        what = "document shared" if len(names) == 1 else f"{len(names)} documents shared"
        return flow.record(current, by=item.user, at=at, what=what, evidence=str(item.data.get("ts") or ""))
    channel, thread_ts = str(item.data["channel"]), str(item.data["thread_ts"])
    return flow.create(
        id=short_id("w", channel, thread_ts, item.id),
        tenant=lease.tenant,
        channel=channel,
        thread_ts=thread_ts,
        owner=item.user,
        name=title_of(names[0]),
        goal="",
        at=at,
    )


def title_of(file_name: str) -> str:
    """`employee_handbook-v2.pdf` → `Employee handbook v2`."""
    plain = file_name.rpartition("/")[2].rpartition(".")[0].replace("_", " ").replace("-", " ")
    words = " ".join(plain.split())[:80]
    return (words[:1].upper() + words[1:]) or "Documents"


async def _fetched(
    hands: Hands, downloads: Downloads, lease: Lease, item: InboxItem, shared: Json, most: int
) -> tuple[SlackFile, str] | str:
    """The file and where it lies, or why it cannot be had, in words. Raises what is the stores' trouble."""
    try:
        file = await files.describe(hands.api, shared)
        if file.size > most:
            return f"`{_code(file.name)}` is larger than {most / 1e6:,.0f} MB, the most I read of a document. Share the part that matters."
        path = paths.upload(lease.tenant, short_id("u", item.id, file.id))
        for attempt in range(1, TRIES + 1):
            try:
                await downloads.fetch(file, path)
                return file, path
            except FileProblem as problem:
                if not problem.again or attempt == TRIES:
                    raise
                await asyncio.sleep(PAUSE_SECONDS * attempt)
    except FileProblem as problem:
        return str(problem)
    raise AssertionError("unreachable")


def _unread(item: InboxItem) -> list[str]:
    """The files of the message that are no documents, named. A dataset beside them has been dealt with before."""
    names = [str(file.get("name") or "") for file in item.data.get("files") or []]
    others = ", ".join(f"`{_code(name)}`" for name in names if name and not is_document(name))
    return [f"I cannot read {others}. As documents I read {TYPES}."] if others else []


async def _show_seen(hands: Hands, item: InboxItem) -> None:
    channel, ts = str(item.data.get("channel") or ""), str(item.data.get("ts") or "")
    await hands.api.hint("reactions.add", channel=channel, timestamp=ts, name="eyes")


def _notes(item: InboxItem, notes: Sequence[str]) -> tuple[OutboxEvent, ...]:
    channel, thread_ts = str(item.data["channel"]), str(item.data["thread_ts"])
    return tuple(
        OutboxEvent(
            "notice", channel, thread_ts, {"text": text, "level": "warning"}, key=f"file:{item.id}:{index}"
        )
        for index, text in enumerate(notes)
    )


def _words(
    item: InboxItem, names: Sequence[str], workflow: Workflow | None
) -> tuple[tuple[str, InboxItem], ...]:
    """What was said with the documents goes on to the agent, after the fact that they came."""
    if not item.text.strip():
        return ()
    lane = keys.lane(str(item.data["channel"]), str(item.data["thread_ts"]))
    data = {name: value for name, value in item.data.items() if name != "files"}
    said = (lane, replace(item, id=f"words:{item.id}", kind="message", data=data))
    if workflow is None:
        return (said,)
    facts: Json = {
        "event": "file_uploaded",
        "kind": "documents",
        "documents": list(names),
        "workflow_id": workflow.id,
    }
    told = InboxItem(id=f"file:{item.id}", kind="event", user=item.user, text="", at=item.at, data=facts)
    return ((lane, told), said)


def _code(name: str) -> str:
    return say(name.replace("`", " "), 60)
