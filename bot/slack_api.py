"""The only door to Slack's Web API: one call, in its turn, with Slack's errors in our words.

Rate limits are waited for here; what else goes wrong is told apart as refused (asking again is useless), unavailable (it
was not done) and ambiguous (it may have been done), because only the caller knows how to find out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client import Counter
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.buckets import Buckets

Json = dict[str, Any]
ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 120.0
SENDING = aiohttp.ClientTimeout(
    total=None, sock_connect=10, sock_read=60
)  # of a file, which takes what it takes
# These read their arguments from a form only; everything else is sent as JSON.
FORM_METHODS = frozenset(
    {
        "conversations.replies",
        "conversations.history",
        "conversations.info",
        "conversations.members",
        "users.info",
        "files.info",
        "files.getUploadURLExternal",
        "usergroups.users.list",
        "chat.getPermalink",
        "team.info",
        "bots.info",
    }
)
CREATES = frozenset(
    {"chat.postMessage", "chat.postEphemeral", "chat.startStream", "files.completeUploadExternal"}
)


class SlackError(Exception):
    """Base of what Slack can say to a call."""


class SlackRefused(SlackError):
    """`ok: false`. `code` is Slack's; `details` its list of what is wrong with blocks."""

    def __init__(self, method: str, code: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(f"{method}: {code}")
        self.code = code
        self.details = details


class SlackUnavailable(SlackError):
    """Not done: unreachable, overloaded, or still rate limited after waiting."""


class SlackAmbiguous(SlackUnavailable):
    """A call that creates something broke off: it may have happened."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the token belongs to, from auth.test. `scopes` is empty where the server does not say."""

    team: str
    enterprise: str
    bot_user: str
    bot_id: str
    url: str
    scopes: tuple[str, ...]


class SlackApi:
    """Calls with one bot token. Safe to use from many tasks."""

    def __init__(self, client: AsyncWebClient, buckets: Buckets, *, counted: Counter | None = None) -> None:
        self.client = client
        self._buckets = buckets
        self._counted = counted

    async def call(self, method: str, **params: Any) -> Json:
        """One method. Raises `SlackRefused`, `SlackUnavailable` or, for methods that create, `SlackAmbiguous`."""
        sent = {name: value for name, value in params.items() if value is not None}
        channel = str(sent.get("channel", ""))
        for attempt in range(ATTEMPTS):
            await self._buckets.take(method, channel)
            try:
                return await self._once(method, sent)
            except _RateLimited as limited:
                self._buckets.close(method, channel, limited.seconds)
            except SlackAmbiguous:
                raise
            except SlackUnavailable:
                if attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(min(10.0, 0.3 * 2**attempt))
        raise SlackUnavailable(f"{method}: rate limited")

    async def hint(self, method: str, **params: Any) -> bool:
        """A call that only makes things nicer (a status line, a reaction): left out when it would have to wait or fails."""
        channel = str(params.get("channel", ""))
        if not self._buckets.take_now(method, channel):
            return False
        try:
            await self._once(method, params)
        except _RateLimited as limited:
            self._buckets.close(method, channel, limited.seconds)
            return False
        except SlackError:
            return False
        return True

    async def identity(self) -> Identity:
        """Who we are."""
        try:
            response = await self.client.api_call("auth.test", json={})
        except SlackApiError as error:
            raise _translated("auth.test", error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError, ValueError) as error:
            raise SlackUnavailable(f"auth.test: {type(error).__name__}") from error
        headers = {name.lower(): value for name, value in dict(response.headers).items()}
        scopes = str(headers.get("x-oauth-scopes", ""))
        data = _body(response.data)
        return Identity(
            team=str(data.get("team_id") or ""),
            enterprise=str(data.get("enterprise_id") or ""),
            bot_user=str(data.get("user_id") or ""),
            bot_id=str(data.get("bot_id") or ""),
            url=str(data.get("url") or ""),
            scopes=tuple(scope.strip() for scope in scopes.split(",") if scope.strip()),
        )

    async def upload_image(self, *, name: str, title: str, data: bytes, alt: str) -> str:
        """A private picture for an image block; its file id. Raises `SlackError`."""
        file_id = await self._sent_file(name, len(data), data, alt_txt=alt[:1_000])
        await self.call("files.completeUploadExternal", files=[{"id": file_id, "title": title}])
        return file_id

    async def send_file(self, *, name: str, size: int, chunks: AsyncIterator[bytes]) -> str:
        """A file's bytes, streamed; its id. Nobody sees it before `files.completeUploadExternal`. Raises `SlackError`."""
        return await self._sent_file(name, size, chunks)

    async def _sent_file(self, name: str, size: int, data: bytes | AsyncIterator[bytes], **about: Any) -> str:
        asked = await self.call("files.getUploadURLExternal", filename=name, length=size, **about)
        await self._send_bytes(str(asked["upload_url"]), data, size)
        return str(asked["file_id"])

    async def _once(self, method: str, params: Json) -> Json:
        outcome = "ok"
        try:
            return await self._sent(method, params)
        except (SlackError, _RateLimited) as error:
            outcome = type(error).__name__.removeprefix("Slack").strip("_").lower()
            raise
        finally:
            if self._counted is not None:
                self._counted.labels(method, outcome).inc()

    async def _sent(self, method: str, params: Json) -> Json:
        body: Json = {"data": _form(params)} if method in FORM_METHODS else {"json": params}
        try:
            response = await self.client.api_call(method, **body)
        except SlackApiError as error:
            raise _translated(method, error) from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError) as error:
            raise SlackUnavailable(f"{method}: {type(error).__name__}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError, ValueError) as error:
            raise _broken_off(method, type(error).__name__) from error
        return _body(response.data)

    async def _send_bytes(self, url: str, data: bytes | AsyncIterator[bytes], size: int) -> None:
        session = self.client.session
        if session is None:
            raise SlackUnavailable("files: no session")
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        try:
            async with session.post(url, data=data, headers=headers, timeout=SENDING) as response:
                if response.status >= 400:
                    raise SlackUnavailable(f"files: upload answered {response.status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SlackUnavailable(f"files: {type(error).__name__}") from error


class _RateLimited(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds} s")
        self.seconds = seconds


def _translated(method: str, error: SlackApiError) -> Exception:
    response = error.response
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0) or 0)
    headers = {name.lower(): value for name, value in dict(getattr(response, "headers", {}) or {}).items()}
    data = _body(getattr(response, "data", None))
    code = str(data.get("error") or "")
    if status == 429 or code == "ratelimited":
        return _RateLimited(_seconds(headers.get("retry-after")))
    if (
        status >= 500
        or not code
        or code in ("internal_error", "fatal_error", "service_unavailable", "request_timeout")
    ):
        return _broken_off(method, f"HTTP {status} {code}".strip())
    messages = (data.get("response_metadata") or {}).get("messages") or data.get("errors") or ()
    return SlackRefused(method, code, tuple(str(message) for message in messages))


def _broken_off(method: str, what: str) -> SlackUnavailable:
    return (SlackAmbiguous if method in CREATES else SlackUnavailable)(f"{method}: {what}")


def _seconds(header: Any) -> float:
    try:
        return min(LONGEST_WAIT_SECONDS, max(0.1, float(header)))
    except (TypeError, ValueError):
        return 1.0


def _form(params: Json) -> Json:
    return {
        name: json.dumps(value) if isinstance(value, (dict, list, bool)) else str(value)
        for name, value in params.items()
    }


def _body(data: Any) -> Json:
    return data if isinstance(data, dict) else {}
