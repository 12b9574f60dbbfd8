"""The public HTTP face of `web`: Slack's requests, health, training webhooks, downloads. Routes only; no decisions.

`/slack/install` and `/slack/oauth_redirect` belong to many-workspace installation, which this version does not have.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bot.links import Links
from storage.blobs import BlobStore
from storage.errors import NotFound, StorageError

log = structlog.get_logger(__name__)
WEBHOOK_WINDOW_SECONDS = 300
MOST_WEBHOOK_BYTES = 1_000_000
Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class SlackRequests(Protocol):
    async def handle(self, req: Request) -> Response: ...


@dataclass(slots=True)
class Doors:
    """What the routes lead to; filled by the composition root before the first request."""

    slack: SlackRequests
    ready: Callable[[], Awaitable[dict[str, bool]]]
    links: Links
    blobs: BlobStore
    training_secret: str
    training_news: Callable[[], None]


def app(doors: Callable[[], Doors | None], lifespan: Lifespan) -> Starlette:
    """The ASGI application; `doors` is None until everything is built."""

    async def events(request: Request) -> Response:
        opened = doors()
        return await opened.slack.handle(request) if opened else PlainTextResponse("starting", 503)

    async def ready(request: Request) -> Response:
        opened = doors()
        checks = await opened.ready() if opened else {"started": False}
        return JSONResponse(checks, 200 if all(checks.values()) else 503)

    async def webhook(request: Request) -> Response:
        opened = doors()
        return await _training(request, opened) if opened else PlainTextResponse("starting", 503)

    async def download(request: Request) -> Response:
        opened = doors()
        return await _download(request, opened) if opened else PlainTextResponse("starting", 503)

    return Starlette(
        routes=[
            Route("/slack/events", events, methods=["POST"]),
            Route("/webhooks/training", webhook, methods=["POST"]),
            Route("/files/{token}/{name}", download, methods=["GET"]),
            Route("/healthz", _alive, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
        ],
        lifespan=lifespan,
    )


async def _alive(request: Request) -> Response:
    return PlainTextResponse("ok")


async def _training(request: Request, doors: Doors) -> Response:
    """News of a training job: only ever a reason to ask the provider, never believed by itself."""
    if not doors.training_secret:
        return PlainTextResponse("webhooks are not configured", 404)
    body = await request.body()
    if len(body) > MOST_WEBHOOK_BYTES or not is_signed(
        body, dict(request.headers), doors.training_secret, now=time.time()
    ):
        log.warning("webhook_refused")
        return PlainTextResponse("signature does not match", 401)
    doors.training_news()
    return PlainTextResponse("ok")


def is_signed(body: bytes, headers: dict[str, str], secret: str, *, now: float) -> bool:
    """Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, base64, within five minutes."""
    id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        if abs(now - int(stamp)) > WEBHOOK_WINDOW_SECONDS:
            return False
        key = (
            base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            if secret.startswith("whsec_")
            else secret.encode()
        )
    except (ValueError, binascii.Error):
        return False
    expected = base64.b64encode(
        hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    ).decode()
    given = [
        part.partition(",")[2]
        for part in headers.get("webhook-signature", "").split()
        if part.startswith("v1,")
    ]
    return any(hmac.compare_digest(expected.encode(), candidate.encode()) for candidate in given)


async def _download(request: Request, doors: Doors) -> Response:
    target = doors.links.open(str(request.path_params["token"]))
    if target is None:
        return PlainTextResponse("This link is not valid any more. Ask the bot for the export again.", 404)
    try:
        size = await run_in_threadpool(doors.blobs.size, target.path)
    except NotFound:
        return PlainTextResponse("This file is gone. Ask the bot for the export again.", 404)
    except StorageError:
        return PlainTextResponse("Storage cannot be reached just now. Try again in a minute.", 503)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(target.file_name, safe='')}",
        "Content-Length": str(size),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    chunks: AsyncIterator[Any] = iterate_in_threadpool(doors.blobs.read(target.path))
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)
