"""What waits in a lane, and who deals with it: files, turns of the agent, clicks, forms, commands, Home.

Each item is dealt with once: its answers and its removal from the inbox are one commit under the lane's lease.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import structlog

from agent import turn, words
from bot import actions, commands, submitted, uploads
from bot.files import Downloads
from bot.hands import Click, Events, Hands, answer, placed
from storage import keys
from storage.records import Change, InboxItem, Lease, OutboxEvent
from tasks.models.limiter import asking_team
from tasks.rules import approvals

log = structlog.get_logger(__name__)
CLICKS = ":clicks"
APOLOGY = "Something went wrong on our side ({id}). What you asked was not done; please try again, or tell whoever runs the bot this number."


class Lanes:
    """Implements `runner.Work`. `posted` is called after each commit that wrote to the outbox."""

    def __init__(
        self, *, hands: Hands, downloads: Downloads, commands: commands.Commands, posted: Callable[[], None]
    ) -> None:
        self._hands = hands
        self._downloads = downloads
        self._commands = commands
        self._posted = posted
        self._state = hands.deps.state
        self._hints: set[asyncio.Task[bool]] = set()

    async def __call__(self, lease: Lease, lane: str) -> float:
        asking_team.set(keys.tenant_text(lease.tenant))
        items = await self._state.waiting(lease.tenant, lane)
        if not items:
            await self._state.commit(lease.tenant, Change(lease=lease, consumed=(lane, ())))
            return 0.0
        if not _is_quick(lane):
            return await self._thread(lease, lane, items)
        for item in items:
            await self._quick(lease, lane, item)
        return 0.0

    async def give_up(self, lease: Lease, lane: str, error: BaseException) -> None:
        """A lane that fails again and again: say so under an id that is also in the log, and let go of it."""
        id = secrets.token_hex(4)
        log.error("lane_given_up", error_id=id, lane=lane, error=type(error).__name__)
        items = await self._state.waiting(lease.tenant, lane)
        events = [_apology(item, id) for item in items if item.user and item.data.get("channel")]
        change = Change(
            events=tuple(events[:1]), lease=lease, consumed=(lane, tuple(item.id for item in items))
        )
        await self._state.commit(lease.tenant, change)
        self._posted()

    # ------------------------------------------------------------ threads

    async def _thread(self, lease: Lease, lane: str, items: tuple[InboxItem, ...]) -> float:
        """Files first, one by one; then everything else as one turn. An unfinished turn is finished before."""
        tenant = lease.tenant
        channel, thread_ts = _place(lane)
        if not await self._is_ours(lease, channel, thread_ts, items):
            await self._state.commit(
                tenant, Change(lease=lease, consumed=(lane, tuple(item.id for item in items)))
            )
            return 0.0
        brought = [item for item in items if item.kind == "file"]
        if brought and await self._state.entries(tenant, lane):
            brought = []
        for item in brought:
            await uploads.take(self._hands, self._downloads, lease, lane, item)
            self._posted()
        if brought:
            items = await self._state.waiting(tenant, lane)
        items = tuple(
            item for item in items if item.kind != "file"
        )  # one that came meanwhile is for the next round
        return await self._turn(lease, lane, channel, thread_ts, items) if items else 0.0

    async def _is_ours(
        self, lease: Lease, channel: str, thread_ts: str, items: tuple[InboxItem, ...]
    ) -> bool:
        """Whether anybody spoke to us: a mention, a direct message, or a thread with a workflow."""
        if any(item.kind != "message" or item.data.get("addressed") for item in items):
            return True
        return await self._hands.desk.workflow_of_thread(lease.tenant, channel, thread_ts) is not None

    async def _turn(
        self, lease: Lease, lane: str, channel: str, thread_ts: str, items: tuple[InboxItem, ...]
    ) -> float:
        began = self._hands.deps.clock()
        if any(item.kind == "message" for item in items):
            self._status(channel, thread_ts, "is thinking…")

        async def stopped() -> bool:
            found = await self._state.recall(lease.tenant, _stop_name(channel, thread_ts))
            return found is not None and float(found["at"]) >= began

        try:
            outcome = await turn.run(
                turn.TurnInput(lease.tenant, lane, lease, channel, thread_ts, items),
                deps=self._hands.deps,
                desk=self._hands.desk,
                whois=self._hands.people.whois,
                stopped=stopped,
            )
        finally:
            self._posted()
        if outcome.status == "waiting":
            self._status(channel, thread_ts, "")  # an answer clears it by itself; here none comes for now
            return outcome.retry_after or 0.0
        return 0.0

    def _status(self, channel: str, thread_ts: str, text: str) -> None:
        """The line under the thread, beside the work: nothing waits for it, and where Slack shows none, nothing is lost."""
        hint = self._hands.api.hint(
            "assistant.threads.setStatus", channel_id=channel, thread_ts=thread_ts, status=text
        )
        task = asyncio.create_task(hint)
        self._hints.add(task)
        task.add_done_callback(self._hints.discard)

    # ------------------------------------------------------------ clicks, forms, commands, Home, stop

    async def _quick(self, lease: Lease, lane: str, item: InboxItem) -> None:
        events = await self._answers(lease, item)
        change = Change(events=tuple(events), lease=lease, consumed=(lane, (item.id,)))
        await self._state.commit(lease.tenant, change)
        self._posted()

    async def _answers(self, lease: Lease, item: InboxItem) -> Events:
        match item.kind:
            case "action":
                return await actions.act(self._hands, await placed(self._hands, lease.tenant, item))
            case "edit":
                return await submitted.submit(self._hands, await placed(self._hands, lease.tenant, item))
            case "stop":
                return await self._stop(await placed(self._hands, lease.tenant, item))
            case "command":
                await self._commands.answer(lease.tenant, item)
            case "event":
                await self._commands.opened(lease.tenant, item)
            case _:
                log.warning("item_not_understood", kind=item.kind, item=item.id)
        return []

    async def _stop(self, click: Click) -> Events:
        """Stop what runs in the thread: jobs at their next checkpoint, a turn before its next step."""
        at = self._hands.deps.clock()
        await self._state.remember(click.tenant, _stop_name(click.channel, click.thread_ts), {"at": at})
        if click.workflow is None:
            heard = click.item.data.get("addressed") and not click.item.data.get("pressed")
            return [answer(click, "Nothing is running in this thread.")] if heard else []
        outcome = await words.stop_work(self._hands.desk, click.tenant, click.workflow.id, by=click.person.id)
        if outcome:
            titles = ", ".join(outcome["stopping"])
            return [_said(click, f"Stopping: {titles}. What is finished is kept and counted.")]
        if approvals.is_rejection(click.item.text):
            waiting = await self._hands.desk.open_proposals(click.tenant, click.channel, click.thread_ts)
            if len(waiting) == 1:
                evidence = words.ts_of(click.item)
                decided = await self._hands.desk.decide(
                    click.tenant, waiting[0].id, click.person, approve=False, evidence=evidence
                )
                return [answer(click, decided.answer)] if decided.answer else []
        busy = await self._state.held(click.tenant, keys.lane(click.channel, click.thread_ts))
        return [] if busy else [_said(click, "Nothing is running in this thread; nothing was stopped.")]


def _said(click: Click, text: str) -> OutboxEvent:
    """A notice that the whole thread sees."""
    data = {"text": text, "level": "info"}
    return OutboxEvent("notice", click.channel, click.thread_ts, data, key=f"said:{click.item.id}")


def _apology(item: InboxItem, id: str) -> OutboxEvent:
    data = {"text": APOLOGY.format(id=id), "level": "error"}
    channel, thread_ts = str(item.data["channel"]), str(item.data.get("thread_ts") or "")
    return OutboxEvent("notice", channel, thread_ts, data, key=f"apology:{item.id}", to=item.user)


def _is_quick(lane: str) -> bool:
    return lane.endswith(CLICKS) or lane.startswith(("command:", "person:"))


def _place(lane: str) -> tuple[str, str]:
    channel, _, thread_ts = lane.partition(":")
    return channel, thread_ts


def _stop_name(channel: str, thread_ts: str) -> str:
    return f"stopped:{channel}:{thread_ts}"
