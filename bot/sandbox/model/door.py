"""What every request passes: the key, the rate limit with its headers, ordered faults, the mark of the stand-in."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.sandbox.model.config import ModelConfig
from bot.sandbox.model.errors import WireError, no_key, wrong_key
from bot.sandbox.model.faults import FaultBox, faulty_response
from bot.sandbox.model.words import number_from

MARK = "sandbox stand-in; no claim about quality rests on its answers"


class RateLimit:
    """A bucket of `per_minute` requests that refills evenly."""

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._size = per_minute
        self._now = now
        self._left = float(per_minute)
        self._seen = now()

    def take(self) -> bool:
        moment = self._now()
        self._left = min(self._size, self._left + (moment - self._seen) * self._size / 60)
        self._seen = moment
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def headers(self) -> dict[str, str]:
        missing = (self._size - self._left) * 60 / self._size
        return {
            "x-ratelimit-limit-requests": str(self._size),
            "x-ratelimit-remaining-requests": str(int(self._left)),
            "x-ratelimit-reset-requests": f"{missing:.3f}s",
            "x-ratelimit-limit-tokens": str(self._size * 1000),
            "x-ratelimit-remaining-tokens": str(int(self._left) * 1000),
            "x-ratelimit-reset-tokens": f"{missing:.3f}s",
        }


class FrontDoor:
    """ASGI middleware. Only /v1/ needs a key; the page and /standin/ are for people and tests."""

    def __init__(self, app: ASGIApp, *, config: ModelConfig, faults: FaultBox) -> None:
        self._app = app
        self._config = config
        self._faults = faults
        self._limit = RateLimit(config.requests_per_minute)
        self._served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        marked = self._marking(scope, send)
        if not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, marked)
            return
        try:
            self._admit(Headers(scope=scope))
        except WireError as refused:
            await refused.response()(scope, receive, marked)
            return
        fault = self._faults.due_for_request(scope["path"])
        if fault is not None:
            response = await faulty_response(fault, hang_seconds=self._config.hang_seconds)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, marked)

    def _admit(self, headers: Headers) -> None:
        """Raises WireError 401 or 429."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise no_key()
        if self._config.api_key is not None and key.strip() != self._config.api_key:
            raise wrong_key()
        if not self._limit.take():
            raise WireError("Rate limit reached.", status=429, kind="requests", code="rate_limit_exceeded")

    def _marking(self, scope: Scope, send: Send) -> Send:
        self._served += 1
        number = self._served

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-standin"] = MARK
                headers["x-request-id"] = f"req_standin_{number_from(number, scope['path']):016x}"
                headers["openai-processing-ms"] = "1"
                if scope["path"].startswith("/v1/"):
                    headers.update(self._limit.headers())
            await send(message)

        return marked
