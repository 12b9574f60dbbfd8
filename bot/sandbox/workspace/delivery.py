"""Gets payloads to the app: signed HTTP POST to the request URL, or a Socket Mode connection when one is open.

Events are retried as Slack retries (at once, 1 min, 5 min, with headers); interactions and commands never are, and
their ack's body comes back. Event faults (faults.py) act here. It builds no payloads and reads no state but config.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp

from .config import WorkspaceConfig
from .faults import Faults

log = logging.getLogger(__name__)
Json = dict[str, Any]
Kind = Literal["events_api", "interactive", "slash_commands"]
Outcome = Literal["ok", "http_error", "http_timeout", "connection_failed"]
SocketSend = Callable[[Kind, Json, float], Awaitable[Json | None]]
KEPT = 500


@dataclass(frozen=True, slots=True)
class Ack:
    """How the app answered: HTTP status (0 when it did not), its body, and the outcome in Slack's words."""

    outcome: Outcome
    status: int = 0
    body: str = ""
    no_retry: bool = False

    def json(self) -> Json:
        """The body as an object; empty if it is none."""
        try:
            found = json.loads(self.body) if self.body.strip() else {}
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Delivery:
    """The way to the app. Start and stop it with the event loop it lives on."""

    def __init__(self, config: WorkspaceConfig, faults: Faults, rename: Callable[[Json], Json]) -> None:
        self._config, self._faults, self._rename = config, faults, rename
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[Json] = []
        self.sockets: list[SocketSend] = []
        self.log: deque[Json] = deque(maxlen=KEPT)

    async def start(self) -> None:
        """Open the HTTP client."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._config.ack_timeout_seconds)
        )

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    def event(self, payload: Json) -> None:
        """Deliver an event in the background, with whatever faults are armed."""
        if self._faults.shuffle_events > 0:
            self._held.append(payload)
            self._faults.take("shuffle_events")
            if self._faults.shuffle_events == 0:
                self.release()
            return
        self._spawn(self._with_retries(payload))
        if self._faults.take("duplicate_events"):
            self._spawn(self._with_retries(self._rename(payload)))
        if self._faults.take("retry_events"):
            self._spawn(self._attempt(payload, 1, "http_timeout"))

    def release(self) -> None:
        """Send what was held back, the last first."""
        held, self._held = self._held[::-1], []
        for payload in held:
            self._spawn(self._with_retries(payload))

    async def interaction(self, payload: Json) -> Ack:
        """Deliver an interaction and bring back its ack."""
        form = urlencode({"payload": json.dumps(payload)})
        return await self._send(
            "interactive", payload, form.encode(), "application/x-www-form-urlencoded", {}
        )

    async def command(self, fields: Json) -> Ack:
        """Deliver a slash command and bring back its ack."""
        body = urlencode(fields).encode()
        return await self._send("slash_commands", fields, body, "application/x-www-form-urlencoded", {})

    async def verify(self) -> bool:
        """Whether the request URL answers Slack's `url_verification` with the challenge."""
        challenge = hashlib.sha256(str(time.time()).encode()).hexdigest()
        payload = {
            "token": self._config.verification_token,
            "challenge": challenge,
            "type": "url_verification",
        }
        ack = await self._send("events_api", payload, json.dumps(payload).encode(), "application/json", {})
        return ack.outcome == "ok" and challenge in ack.body

    async def idle(self) -> None:
        """Wait until nothing is under way (retries that are waiting included)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _with_retries(self, payload: Json) -> None:
        if self._faults.take("drop_events"):
            outcome: Outcome = "connection_failed"
        else:
            ack = await self._attempt(payload, 0, "")
            if ack is None or ack.no_retry:
                return
            outcome = ack.outcome
        for number, delay in enumerate(self._config.retry_delays_seconds, 1):
            await asyncio.sleep(delay)
            ack = await self._attempt(payload, number, outcome)
            if ack is None or ack.no_retry:
                return
            outcome = ack.outcome

    async def _attempt(self, payload: Json, number: int, reason: str) -> Ack | None:
        """None when the app took it."""
        headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason} if number else {}
        ack = await self._send(
            "events_api", payload, json.dumps(payload).encode(), "application/json", headers
        )
        return None if ack.outcome == "ok" else ack

    async def _send(
        self, kind: Kind, payload: Json, body: bytes, content_type: str, headers: dict[str, str]
    ) -> Ack:
        if self.sockets:
            ack = await self._by_socket(kind, payload)
        else:
            ack = await self._by_http(body, {**headers, "Content-Type": content_type})
        what = payload.get("event", {}).get("type") or payload.get("type") or payload.get("command")
        self.log.append(
            {
                "kind": kind,
                "what": what,
                "event_id": payload.get("event_id"),
                "retry": headers.get("X-Slack-Retry-Num"),
                "outcome": ack.outcome,
                "status": ack.status,
            }
        )
        return ack

    async def _by_socket(self, kind: Kind, payload: Json) -> Ack:
        """One of the open connections gets it, in turn."""
        send = self.sockets.pop(0)
        self.sockets.append(send)
        answer = await send(kind, payload, self._config.ack_timeout_seconds)
        if answer is None:
            return Ack("http_timeout")
        return Ack("ok", 200, json.dumps(answer) if answer else "")

    async def _by_http(self, body: bytes, headers: dict[str, str]) -> Ack:
        if not self._config.request_url or self._session is None:
            return Ack("connection_failed")
        try:
            signed = {
                **headers,
                **self._signature(body),
                "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            }
            async with self._session.post(self._config.request_url, data=body, headers=signed) as response:
                text = await response.text(errors="replace")
        except TimeoutError:
            return Ack("http_timeout")
        except aiohttp.ClientError as error:
            log.info("the app could not be reached: %s", error)
            return Ack("connection_failed")
        outcome: Outcome = "ok" if 200 <= response.status < 300 else "http_error"
        return Ack(outcome, response.status, text, response.headers.get("X-Slack-No-Retry") == "1")

    def _signature(self, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        base = b"v0:" + stamp.encode() + b":" + body
        digest = hmac.new(self._config.signing_secret.encode(), base, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}
