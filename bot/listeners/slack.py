"""Slack's requests: verify, parse, write to the inbox, answer. Nothing else comes before the ack.

`process_before_response` makes Bolt answer with what the listener decided, after it has decided: no ack can be followed
by a failure, and a failure before it is Slack's to repeat (events) or said to the person (everything else).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.listeners import forms, parse
from bot.metrics import Metrics
from bot.slack_api import Identity
from storage.errors import StorageError
from storage.ports import Inbox
from storage.records import Tenant

Json = dict[str, Any]
log = structlog.get_logger(__name__)
ANYTHING = re.compile(r".*", re.DOTALL)
NOT_RECORDED = "Not recorded, please try again in a moment."
COMMAND = "/finetune"


class NotReady(Exception):
    """The token has not been checked yet; Slack will ask again."""


def build(
    *,
    inbox: Inbox,
    identity: Callable[[], Identity | None],
    notify: Callable[[Tenant, str], None],
    client: AsyncWebClient,
    signing_secret: str,
    metrics: Metrics,
) -> AsyncApp:
    """The Bolt app of one workspace. `identity` is None until auth.test has answered."""

    async def authorize(**_: Any) -> AuthorizeResult:
        known = _known(identity)
        return AuthorizeResult(
            enterprise_id=known.enterprise or None,
            team_id=known.team,
            bot_user_id=known.bot_user,
            bot_id=known.bot_id,
            bot_token=client.token,
        )

    quiet = logging.getLogger("slack_bolt.app")
    quiet.setLevel(
        logging.ERROR
    )  # it warns of the token in the environment, and of every event we do not act on
    app = AsyncApp(
        logger=quiet,
        signing_secret=signing_secret
        or secrets.token_hex(16),  # unset with Socket Mode: then nothing passes over HTTP
        client=client,
        authorize=authorize,
        process_before_response=True,
    )

    async def keep(arrival: parse.Arrival | None) -> None:
        if arrival is None:
            return
        known = _known(identity)
        tenant = Tenant(enterprise=known.enterprise, team=known.team)
        if await inbox.accept(tenant, arrival.lane, arrival.item):
            metrics.accepted.labels(arrival.item.kind).inc()
            notify(tenant, arrival.lane)
        else:
            metrics.repeated.labels(arrival.item.kind).inc()

    _listen(app, keep, identity)
    app.error(_failed)
    return app


def _listen(
    app: AsyncApp,
    keep: Callable[[parse.Arrival | None], Awaitable[None]],
    identity: Callable[[], Identity | None],
) -> None:
    @app.event(ANYTHING)
    async def event(body: Json, ack: AsyncAck) -> None:
        known = _known(identity)
        if parse.of_our_team(body, known.team):
            await keep(parse.event(body, bot_user=known.bot_user, team=known.team))
        await ack()

    @app.action(ANYTHING)
    async def action(body: Json, ack: AsyncAck) -> None:
        await keep(parse.action(body, team=_known(identity).team))
        await ack()

    @app.view(ANYTHING)
    async def submitted(body: Json, ack: AsyncAck) -> None:
        errors = forms.errors_of(body.get("view") or {})
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        await keep(parse.submission(body, team=_known(identity).team, at=time.time()))
        await ack()

    @app.view_closed(ANYTHING)
    async def closed(ack: AsyncAck) -> None:
        await ack()

    @app.command(ANYTHING)
    async def command(body: Json, ack: AsyncAck) -> None:
        await keep(parse.command(body, at=time.time()))
        await ack()

    @app.shortcut(ANYTHING)
    async def shortcut(body: Json, ack: AsyncAck) -> None:
        await keep(parse.shortcut(body, team=_known(identity).team))
        await ack()


async def _failed(error: Exception, body: Json) -> BoltResponse:
    """The only answer to a failure before the ack. The exception's text stays in the log, under an id."""
    name = secrets.token_hex(4)
    known = isinstance(error, (StorageError, NotReady))
    log.warning("not_recorded", error_id=name, error=type(error).__name__, exc_info=None if known else error)
    if "event" in body:
        return BoltResponse(status=503 if known else 500, body="")
    words = NOT_RECORDED if known else f"Something went wrong on our side ({name}). Please try again."
    if body.get("command"):
        return BoltResponse(status=200, body=words)
    if body.get("type") == "view_submission":
        return _in_the_modal(body.get("view") or {}, words)
    if url := str(body.get("response_url") or ""):
        asyncio.get_running_loop().create_task(_respond(url, words))
    return BoltResponse(status=200, body="")


def _in_the_modal(view: Json, words: str) -> BoltResponse:
    inputs = [block.get("block_id") for block in view.get("blocks") or [] if block.get("type") == "input"]
    answer = {"response_action": "errors", "errors": {inputs[0]: words}} if inputs else {}
    headers = {"content-type": ["application/json"]}
    return BoltResponse(status=200, body=json.dumps(answer) if answer else "", headers=headers)  # type: ignore[arg-type]


async def _respond(url: str, words: str) -> None:
    """A click can be answered without Redis and without a token, where Slack gave an address for it."""
    try:
        answer = {"response_type": "ephemeral", "replace_original": False, "text": words}
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=answer):
            pass
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.warning("respond_failed", error=type(error).__name__)


def _known(identity: Callable[[], Identity | None]) -> Identity:
    found = identity()
    if found is None:
        raise NotReady("auth.test has not answered yet")
    return found
