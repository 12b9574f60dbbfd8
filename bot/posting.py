"""Puts one outbox event into Slack, once: finds what was already posted, posts or updates, remembers.

A post is announced in the store before it is made and remembered after it. Whoever finds an announcement without a result
(a crash, a broken connection) looks for the message in the thread by its metadata before posting again. A card that Slack
refuses is replaced by a plain notice, so that nothing waits behind it. Order and pace are the relay's business.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any

import structlog

from bot import charts
from bot.links import Links
from bot.sharing import Sharing
from bot.slack_api import SlackAmbiguous, SlackApi, SlackError, SlackRefused
from bot.views import VIEWS, proposals
from bot.views.kit import CHART_SLOT, Block, Rendered
from bot.views.prose import notice
from storage.ports import State
from storage.records import Json, OutboxEvent, Proposal, Tenant

log = structlog.get_logger(__name__)
EVENT_TYPE = "finetune_card"
LOOK_BACK_MESSAGES = 100
LOST_PLACE = frozenset(
    {
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "thread_not_found",
        "user_not_in_channel",
        "restricted_action",
    }
)
LOST_MESSAGE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
PICTURE_TRIES = 4
PICTURE_PAUSE_SECONDS = 1.0
UNSHOWN = "I have something to show here, but Slack did not take the card ({id}). Ask me for the status; the work itself went on."


class Poster:
    """Bound to one workspace's token. Raises `SlackUnavailable` when the event has to be tried again later."""

    def __init__(
        self, *, api: SlackApi, state: State, links: Links | None = None, sharing: Sharing | None = None
    ) -> None:
        self._api = api
        self._state = state
        self._links = links
        self._sharing = sharing

    async def deliver(self, tenant: Tenant, event: OutboxEvent) -> None:
        """Show the event, its files before its card; harmless when it was shown before."""
        if event.data.get("files") and (await self._state.recall(tenant, event.key) or {}).get("ts"):
            return
        card = await self._card(tenant, await self._with_files(tenant, event))
        if card is None:
            return
        if event.to:
            await self._ephemeral(tenant, event, card)
            return
        key = event.card or event.key
        known = await self._state.recall(tenant, key) or {}
        if known.get("ts"):
            await self._again(tenant, event, key, known, card)
        else:
            await self._first(tenant, event, key, announced=bool(known), card=card)

    async def _card(self, tenant: Tenant, event: OutboxEvent) -> Rendered | None:
        try:
            if event.kind == "proposal":
                found = await self._state.get(tenant, Proposal, str(event.data.get("proposal_id")))
                return proposals.render(found) if found else None
            data = self._links.placed(event.data) if self._links else event.data
            return VIEWS[event.kind](data)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            return self._unshown(event, error)

    async def _with_files(self, tenant: Tenant, event: OutboxEvent) -> OutboxEvent:
        """The event, told whether its files stand in the thread already."""
        outcome = await self._sharing.share(tenant, event) if self._sharing else ""
        return replace(event, data={**event.data, outcome: True}) if outcome else event

    async def _first(
        self, tenant: Tenant, event: OutboxEvent, key: str, *, announced: bool, card: Rendered
    ) -> None:
        if announced and (ts := await self._find(event, key)):
            await self._remember(tenant, key, event, ts, card)
            return
        await self._state.remember(tenant, key, {"announced": True})
        shown = await self._with_picture(tenant, event, card)
        try:
            ts = await self._post(event, key, shown)
        except SlackAmbiguous:
            found = await self._find(event, key)
            if not found:
                raise
            ts = found
        if ts:
            await self._remember(tenant, key, event, ts, card)

    async def _again(self, tenant: Tenant, event: OutboxEvent, key: str, known: Json, card: Rendered) -> None:
        if not event.card or known.get("digest") == _digest(card):
            return
        shown = await self._with_picture(tenant, event, card)
        place = {"channel": known["channel"], "ts": known["ts"]}
        try:
            await self._api.call("chat.update", **place, text=shown.text, blocks=list(shown.blocks))
        except SlackRefused as error:
            if error.code in LOST_MESSAGE:
                await self._state.remember(tenant, key, {})
                await self._first(tenant, event, key, announced=False, card=card)
                return
            if error.code in LOST_PLACE:
                log.info("place_is_gone", channel=event.channel, code=error.code)
                return
            plain = self._unshown(event, error)
            await self._api.call("chat.update", **place, text=plain.text, blocks=list(plain.blocks))
        await self._remember(tenant, key, event, str(known["ts"]), card)

    async def _post(self, event: OutboxEvent, key: str, card: Rendered) -> str:
        """The new message's ts; "" where there is nowhere to post."""
        for attempt in range(PICTURE_TRIES):
            try:
                return await self._once(event, key, card)
            except SlackRefused as error:
                if error.code in LOST_PLACE:
                    log.info("place_is_gone", channel=event.channel, code=error.code)
                    return ""
                if not _has_picture(card):
                    return await self._once(event, key, self._unshown(event, error))
            # A picture takes Slack a moment to process; until then the block is refused.
            await asyncio.sleep(PICTURE_PAUSE_SECONDS * attempt)
        return await self._post(event, key, _without_picture(card))

    async def _once(self, event: OutboxEvent, key: str, card: Rendered) -> str:
        answer = await self._api.call(
            "chat.postMessage",
            channel=event.channel,
            thread_ts=event.thread_ts or None,
            text=card.text,
            blocks=list(card.blocks),
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
        )
        return str(answer.get("ts") or "")

    async def _ephemeral(self, tenant: Tenant, event: OutboxEvent, card: Rendered) -> None:
        if await self._state.recall(tenant, event.key):
            return
        sent = {"channel": event.channel, "user": event.to, "thread_ts": event.thread_ts or None}
        try:
            await self._api.call("chat.postEphemeral", **sent, text=card.text, blocks=list(card.blocks))
        except SlackAmbiguous:
            log.info("ephemeral_unsure", key=event.key)  # said twice is worse than once not at all
        except SlackRefused as error:
            if error.code not in LOST_PLACE:
                plain = self._unshown(event, error)
                await self._api.call("chat.postEphemeral", **sent, text=plain.text)
        await self._state.remember(tenant, event.key, {"ephemeral": True})

    async def _find(self, event: OutboxEvent, key: str) -> str:
        """The ts of the message that carries our key in its metadata, "" when there is none."""
        cursor = ""
        method = "conversations.replies" if event.thread_ts else "conversations.history"
        for _ in range(10):
            asked: Json = {
                "channel": event.channel,
                "limit": LOOK_BACK_MESSAGES,
                "include_all_metadata": True,
            }
            asked |= {"ts": event.thread_ts} if event.thread_ts else {}
            try:
                answer = await self._api.call(method, **asked, cursor=cursor or None)
            except SlackRefused as error:
                log.info("cannot_look_back", code=error.code)
                return ""
            for message in answer.get("messages") or []:
                if ((message.get("metadata") or {}).get("event_payload") or {}).get("key") == key:
                    return str(message["ts"])
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return ""
        return ""

    async def _with_picture(self, tenant: Tenant, event: OutboxEvent, card: Rendered) -> Rendered:
        """The card with its chart drawn and uploaded; without it where that does not work. Its text says the same."""
        if card.chart is None:
            return card
        name = f"chart:{event.key}:{_digest(card)[:12]}"
        known = await self._state.recall(tenant, name)
        try:
            file_id = known["file"] if known else await self._upload(card)
        except (SlackError, ValueError, ArithmeticError, RuntimeError) as error:
            log.warning("chart_left_out", key=event.key, error=str(error))
            return _without_picture(card)
        if not known:
            await self._state.remember(tenant, name, {"file": file_id})
        blocks = tuple(_placed(block, str(file_id)) for block in card.blocks)
        return replace(card, blocks=blocks)

    async def _upload(self, card: Rendered) -> str:
        assert card.chart is not None  # noqa: S101  asked by the caller
        picture = await asyncio.to_thread(charts.png, card.chart)
        return await self._api.upload_image(
            name="chart.png", title=card.chart.title, data=picture, alt=card.chart.alt
        )

    async def _remember(self, tenant: Tenant, key: str, event: OutboxEvent, ts: str, card: Rendered) -> None:
        value = {"channel": event.channel, "ts": ts, "digest": _digest(card)}
        await self._state.remember(tenant, key, value)

    def _unshown(self, event: OutboxEvent, error: Exception) -> Rendered:
        id = hashlib.sha256(event.key.encode()).hexdigest()[:8]
        details = getattr(error, "details", ())
        log.error(
            "card_not_shown",
            error_id=id,
            kind=event.kind,
            key=event.key,
            error=str(error),
            details=details,
            exc_info=error,
        )
        return notice({"text": UNSHOWN.format(id=id), "level": "warning"})


def _has_picture(card: Rendered) -> bool:
    return any(block["type"] == "image" for block in card.blocks)


def _without_picture(card: Rendered) -> Rendered:
    return replace(card, chart=None, blocks=tuple(block for block in card.blocks if block["type"] != "image"))


def _placed(block: Block, file_id: str) -> Block:
    if block["type"] == "image" and block.get("slack_file", {}).get("id") == CHART_SLOT:
        return {**block, "slack_file": {"id": file_id}}
    return block


def _digest(card: Rendered) -> str:
    content: Any = [card.text, card.blocks]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:24]
