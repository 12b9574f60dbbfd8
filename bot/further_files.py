"""Further files of a thread that has its dataset: kept in storage, offered on a card, and what the card's buttons do.

Nothing is read before somebody has said what is to be done with it. A file about which nobody decides is kept as long as its
workflow, and goes with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from agent.tools.files import card_of, offer
from bot.files import SlackFile
from bot.hands import Click, Events, Hands, tool_answer
from storage.records import InboxItem, Json, OutboxEvent, WaitingFile, Workflow
from tasks.drafting import short_id

Fetched = tuple[SlackFile, str, str, int]
"""A file with its upload's id, path and size."""


def waiting(
    item: InboxItem, workflow: Workflow, fetched: Sequence[Fetched], at: float
) -> tuple[WaitingFile, ...]:
    """Records of files that were fetched; the same message gives the same ones."""
    return tuple(
        WaitingFile(
            id=short_id("f", upload_id),
            tenant=workflow.tenant,
            workflow_id=workflow.id,
            channel=workflow.channel,
            thread_ts=workflow.thread_ts,
            name=file.name[:255],
            path=path,
            size=size,
            by=item.user,
            at=at + number * 1e-3,  # in the order of the message
            batch=short_id("b", item.id),
        )
        for number, (file, upload_id, path, size) in enumerate(fetched)
    )


def card(item: InboxItem, workflow: Workflow, files: Sequence[WaitingFile]) -> tuple[OutboxEvent, ...]:
    """The card that offers them; none without files."""
    if not files:
        return ()
    data = offer(workflow.id, workflow.name, workflow.total_rows, files)
    key = f"second_file:{item.id}"
    card = card_of(files[0].batch)
    return (OutboxEvent("second_file", workflow.channel, workflow.thread_ts, data, key=key, card=card),)


def _adding(mode: Literal["append", "merge", "replace"]) -> Callable[[Hands, Click], Awaitable[Events]]:
    async def add(hands: Hands, click: Click) -> Events:
        return await tool_answer(hands, click, "add_file", _named(click, mode=mode))

    return add


async def _dismiss(hands: Hands, click: Click) -> Events:
    return await tool_answer(hands, click, "dismiss_file", _named(click))


def _named(click: Click, **more: str) -> Json:
    return {"file": click.value, **more}


HANDLERS: dict[str, Callable[[Hands, Click], Awaitable[Events]]] = {
    "file.append": _adding("append"),
    "file.merge": _adding("merge"),
    "file.replace": _adding("replace"),
    "file.dismiss": _dismiss,
}
