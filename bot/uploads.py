"""Files shared in a thread: seen at once, brought into storage, and made a workflow with its first task.

`web` only moves bytes; reading the file is the worker's. Everything that can be wrong before that is said here in plain
words. A further file of a thread that has rows waits for somebody's word (`further_files.py`). Ids come from the message, so a repeat after a crash finds what it did before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import structlog

from bot import documents, files, further_files
from bot.files import Downloads, FileProblem, SlackFile
from bot.further_files import Fetched
from bot.hands import Hands
from bot.listeners.parse import is_supported
from bot.views.kit import say
from storage import keys, paths
from storage.errors import Conflict
from storage.records import (
    Change,
    Dataset,
    InboxItem,
    Json,
    Lease,
    OutboxEvent,
    Task,
    Tenant,
    WaitingFile,
    Workflow,
)
from tasks import workflow as flow
from tasks.documents import is_document
from tasks.drafting import new_task, queued_event, short_id

log = structlog.get_logger(__name__)
TYPES = "`.jsonl`, `.json` or `.csv`, also with `.gz` or `.zst`, or `.parquet`"
MOST_FILES = 10
TRIES = 3
PAUSE_SECONDS = 1.0


async def take(hands: Hands, downloads: Downloads, lease: Lease, lane: str, item: InboxItem) -> None:
    """Deal with one message that brings files. Raises `Unavailable`, `LostLease`; everything else becomes words."""
    tenant = lease.tenant
    channel, thread_ts = str(item.data["channel"]), str(item.data["thread_ts"])
    workflow = await hands.desk.workflow_of_thread(tenant, channel, thread_ts)
    shared = [dict(file) for file in item.data.get("files") or []]
    chosen = [file for file in shared if is_supported(str(file.get("name") or "")) or _may_be_data(file)]
    if not chosen:
        heard = item.data.get("addressed") or workflow is not None
        brought = documents.documents_among(shared) if heard else []
        if brought:
            await documents.take(hands, downloads, lease, lane, item, workflow, brought)
            return
        await _finish(hands, lease, lane, item, notes=[_wrong_type(shared)] if heard else [])
        return
    seen = asyncio.create_task(_show_seen(hands, item))
    try:
        found = await _fetched(hands, downloads, tenant, item, chosen)
    finally:
        await seen
    brought = [*found.documents, *documents.documents_among(shared)]
    if brought and not found.files:
        await documents.take(hands, downloads, lease, lane, item, workflow, brought, found.problems)
    elif not found.files:
        await _finish(hands, lease, lane, item, notes=found.problems)
    elif workflow is not None and await _has_rows(hands, tenant, workflow):
        await _offer(hands, lease, lane, item, workflow, found)
    else:
        await _begin(hands, lease, lane, item, workflow, found)


@dataclass(frozen=True, slots=True)
class _Found:
    """What became of the files of a message: fetched, not to be had, or documents after all."""

    files: tuple[Fetched, ...]
    problems: tuple[str, ...]
    documents: tuple[Json, ...]


async def _fetched(
    hands: Hands, downloads: Downloads, tenant: Tenant, item: InboxItem, chosen: Sequence[Json]
) -> _Found:
    """The files in storage, one after the other: memory stays that of one."""
    fetched: list[Fetched] = []
    problems = (
        [f"I take {MOST_FILES} files of one message; share the others in another one."]
        if len(chosen) > MOST_FILES
        else []
    )
    brought: list[Json] = []
    for shared in chosen[:MOST_FILES]:
        try:
            file = await files.describe(hands.api, shared)
            if is_document(file.name):
                brought.append(shared)
            elif not is_supported(file.name):
                problems.append(_wrong_type([{"name": file.name}]))
            else:
                upload_id = short_id("u", item.id, file.id)
                path = paths.upload(tenant, upload_id)
                fetched.append((file, upload_id, path, await _fetch(downloads, file, path)))
        except FileProblem as problem:
            problems.append(str(problem))
    return _Found(tuple(fetched), tuple(problems), tuple(brought))


async def _offer(
    hands: Hands, lease: Lease, lane: str, item: InboxItem, workflow: Workflow, found: _Found
) -> None:
    """The files wait for somebody's word; what was said with them may be it."""
    waiting = further_files.waiting(item, workflow, found.files, hands.desk.clock())
    known = await hands.deps.state.get(lease.tenant, WaitingFile, waiting[0].id)
    if known is not None:  # a repeat after a crash
        await _finish(hands, lease, lane, item, notes=[])
        return
    file, _, _, size = found.files[0]
    change = Change(
        puts=waiting,
        events=(*_notes(item, found.problems), *further_files.card(item, workflow, waiting)),
        items=(*_words(item, file, size, workflow, event="file_waiting"), *documents.following(item)),
        lease=lease,
        consumed=(lane, (item.id,)),
    )
    await _commit(hands, lease, change, item)


async def _begin(
    hands: Hands,
    lease: Lease,
    lane: str,
    item: InboxItem,
    workflow: Workflow | None,
    found: _Found,
) -> None:
    """Write workflow, dataset and task in one change, and wake a worker. Further files of the message wait beside it."""
    file, upload_id, path, size = found.files[0]
    at = hands.desk.clock()
    begun = _workflow(lease.tenant, workflow, item, file, at)
    dataset = Dataset(
        id=short_id("d", upload_id),
        tenant=lease.tenant,
        name=begun.name,
        file_name=file.name[:255],
        owner=item.user,
        created_at=at,
    )
    pointed = replace(begun, dataset_id=dataset.id)
    step = hands.desk.operations["ingest"]
    task = new_task(
        step, pointed, {"upload_path": path, "file_name": file.name[:255]}, by=item.user, key=upload_id, at=at
    )
    if await hands.deps.state.get(lease.tenant, Task, task.id) is None:
        waiting = further_files.waiting(item, pointed, found.files[1:], at)
        events = [queued_event(task, step.title), *_notes(item, found.problems)]
        change = Change(
            puts=(pointed, dataset, task, *waiting),
            events=(*events, *further_files.card(item, pointed, waiting)),
            items=(*_words(item, file, size, begun), *documents.following(item)),
            lease=lease,
            consumed=(lane, (item.id,)),
        )
        await _commit(hands, lease, change, item)
    else:
        await _finish(hands, lease, lane, item, notes=[])
    await hands.desk.wake(task)


async def _commit(hands: Hands, lease: Lease, change: Change, item: InboxItem) -> None:
    try:
        await hands.deps.state.commit(lease.tenant, change)
    except Conflict:
        log.info("upload_overtaken", item=item.id)  # the lane's next round sees what stands now
        raise


def _workflow(
    tenant: Tenant, current: Workflow | None, item: InboxItem, file: SlackFile, at: float
) -> Workflow:
    """The thread's workflow, or a new one named after the file."""
    if current is not None:
        return flow.record(
            current, by=item.user, at=at, what="file uploaded", evidence=str(item.data.get("ts") or "")
        )
    channel, thread_ts = str(item.data["channel"]), str(item.data["thread_ts"])
    return flow.create(
        id=short_id("w", channel, thread_ts, item.id),
        tenant=tenant,
        channel=channel,
        thread_ts=thread_ts,
        owner=item.user,
        name=title_of(file.name),
        goal="",
        at=at,
    )


def title_of(file_name: str) -> str:
    """`customer_support-data.jsonl.gz` → `Customer support data`."""
    name = PurePath(file_name.replace("\\", "/")).name
    while PurePath(name).suffix.lower() in (
        ".gz",
        ".gzip",
        ".zst",
        ".zstd",
        ".jsonl",
        ".ndjson",
        ".json",
        ".csv",
        ".parquet",
    ):
        name = PurePath(name).stem
    words = " ".join(name.replace("_", " ").replace("-", " ").split())[:80]
    return (words[:1].upper() + words[1:]) or "Dataset"


async def _has_rows(hands: Hands, tenant: Tenant, workflow: Workflow) -> bool:
    """Whether a file comes to rows that are there, or about to be; a dataset without a valid row is begun anew."""
    if any(task.operation == "ingest" for task in await hands.desk.open_tasks(tenant, workflow.id)):
        return True
    return bool(workflow.dataset_version and workflow.valid_rows)


async def _fetch(downloads: Downloads, file: SlackFile, path: str) -> int:
    """Download, again a few times when the way was to blame. Raises `FileProblem`."""
    for attempt in range(1, TRIES + 1):
        try:
            return await downloads.fetch(file, path)
        except FileProblem as problem:
            if not problem.again:
                raise
            if attempt == TRIES:
                raise FileProblem(
                    f"{problem} I tried {TRIES} times. Please share the file again in a minute."
                ) from problem
            await asyncio.sleep(PAUSE_SECONDS * attempt)
    raise AssertionError("unreachable")


async def _show_seen(hands: Hands, item: InboxItem) -> None:
    """Eyes on the message, and a line that says what happens: best effort, at once."""
    channel, ts, thread_ts = (str(item.data.get(name) or "") for name in ("channel", "ts", "thread_ts"))
    status = "is fetching your file…"
    await asyncio.gather(
        hands.api.hint("reactions.add", channel=channel, timestamp=ts, name="eyes"),
        hands.api.hint("assistant.threads.setStatus", channel_id=channel, thread_ts=thread_ts, status=status),
    )


async def _finish(hands: Hands, lease: Lease, lane: str, item: InboxItem, *, notes: Sequence[str]) -> None:
    """Nothing to ingest: say why, and let the words that came with the file be heard."""
    said = _plain_words(item) if notes else ()
    change = Change(events=tuple(_notes(item, notes)), items=said, lease=lease, consumed=(lane, (item.id,)))
    await hands.deps.state.commit(lease.tenant, change)


def _notes(item: InboxItem, notes: Sequence[str]) -> list[OutboxEvent]:
    channel, thread_ts = str(item.data["channel"]), str(item.data["thread_ts"])
    return [
        OutboxEvent(
            "notice", channel, thread_ts, {"text": text, "level": "warning"}, key=f"file:{item.id}:{index}"
        )
        for index, text in enumerate(notes)
    ]


def _words(
    item: InboxItem, file: SlackFile, size: int, workflow: Workflow, *, event: str = "file_uploaded"
) -> tuple[tuple[str, InboxItem], ...]:
    """What was said with the file goes on to the agent, after the fact that a file came."""
    if not item.text.strip():
        return ()
    facts: Json = {
        "event": event,
        "file_name": file.name,
        "bytes": size,
        "workflow_id": workflow.id,
    }
    told = InboxItem(id=f"file:{item.id}", kind="event", user=item.user, text="", at=item.at, data=facts)
    return ((keys.lane(workflow.channel, workflow.thread_ts), told), *_plain_words(item))


def _plain_words(item: InboxItem) -> tuple[tuple[str, InboxItem], ...]:
    if not item.text.strip():
        return ()
    data = {name: value for name, value in item.data.items() if name != "files"}
    words = replace(item, id=f"words:{item.id}", kind="message", data=data)
    return ((keys.lane(str(data["channel"]), str(data["thread_ts"])), words),)


def _may_be_data(file: Json) -> bool:
    """Slack Connect may send a file with nothing but its id; only asking tells what it is."""
    return file.get("file_access") == "check_file_info" and not file.get("name")


def _wrong_type(shared: Sequence[Json]) -> str:
    names = ", ".join(
        f"`{say(str(file.get('name') or 'a file').replace('`', ' '), 60)}`" for file in shared[:3]
    )
    return f"I cannot read {names or 'this'} as training examples. Share a file that ends in {TYPES}, or a document ({documents.TYPES})."
