"""Tells a configured URL that a job has ended, signed as Standard Webhooks ask (what `client.webhooks.unwrap` checks)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable

import aiohttp

from bot.sandbox.model.asks import Json
from bot.sandbox.model.config import ModelConfig
from bot.sandbox.model.jobs import Job, Status
from bot.sandbox.model.jobs_api import JobBook
from bot.sandbox.model.words import number_from

LOOK_EVERY_SECONDS = 0.2
PAUSES_BEFORE_RETRY = (0.5, 2.0, 8.0)

Send = Callable[[bytes, dict[str, str]], Awaitable[bool]]


async def deliver_forever(book: JobBook, config: ModelConfig) -> None:
    """Looks for ended jobs and posts each once, with three retries. Runs until cancelled."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def send(body: bytes, headers: dict[str, str]) -> bool:
            try:
                async with session.post(config.webhook_url, data=body, headers=headers) as answer:
                    return answer.status < 300
            except (aiohttp.ClientError, TimeoutError):
                return False

        told: set[str] = set()
        while True:
            for job, standing in ended(book):
                if job.id not in told:
                    told.add(job.id)
                    await _post(job, standing, send=send, secret=config.webhook_secret)
            await asyncio.sleep(LOOK_EVERY_SECONDS)


def ended(book: JobBook) -> list[tuple[Job, Status]]:
    standings = [(job, book.status(job)) for job in book.newest_first()]
    return [
        (job, standing) for job, standing in standings if standing in ("succeeded", "failed", "cancelled")
    ]


def event_of(job: Job, standing: Status) -> Json:
    return {
        "id": f"evt_{number_from(job.id, standing):016x}",
        "object": "event",
        "type": f"fine_tuning.job.{standing}",
        "created_at": int(time.time()),
        "data": {"id": job.id},
    }


def signed_headers(body: bytes, *, event_id: str, secret: str, at: float) -> dict[str, str]:
    """The signature covers id, timestamp and body; `secret` is `whsec_` + base64."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = f"{event_id}.{int(at)}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,{signature}",
    }


async def _post(job: Job, standing: Status, *, send: Send, secret: str) -> None:
    event = event_of(job, standing)
    body = json.dumps(event).encode()
    for pause in (*PAUSES_BEFORE_RETRY, 0.0):
        if await send(body, signed_headers(body, event_id=event["id"], secret=secret, at=time.time())):
            return
        await asyncio.sleep(pause)
