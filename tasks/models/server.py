"""One OpenAI-compatible server: posts JSON, keeps to its limits, tries again what may pass, and translates its errors.

The `openai` package carries the connection (aiohttp underneath, its own retries off); everything above the bytes is ours,
so that gateways which leave fields out or add some are understood. What is posted and what comes back is the wires' business.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from storage.records import Json
from tasks.models.limiter import Limiter, LocalLimiter
from tasks.models.port import ModelAnswerInvalid, ModelError, ModelRefused, ModelUnavailable

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
NOT_TO_REPEAT = {501, 505}
WORTH_REPEATING = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class Patience:
    """`attempt_seconds` for one answer; `deadline_seconds` from the first failure of a call to giving up."""

    attempt_seconds: float = 90.0
    connect_seconds: float = 10.0
    deadline_seconds: float = 120.0


class ModelServer:
    """Shared by the chat and embedding adapters. The client is made on first use, one per event loop."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        patience: Patience | None = None,
        limiter: Limiter | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.base_url = base_url
        self._api_key = api_key
        self._patience = patience or Patience()
        self._limiter = limiter or LocalLimiter(clock=clock, sleep=sleep)
        self._transport = transport
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._client: openai.AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, path: str, body: Json, *, tokens: int = 0) -> Json:
        """The answer's JSON object. Raises `ModelUnavailable`, `ModelRefused`, `ModelAnswerInvalid`."""
        first_failure: float | None = None
        attempt = 0
        while True:
            turn = await self._limiter.acquire(tokens, model=_model_of(body))
            try:
                return await self._attempt(path, body, turn, pause=self._pause(attempt))
            except _Passing as trouble:
                now = self._clock()
                first_failure = now if first_failure is None else first_failure
                pause = 0.0 if trouble.limited else self._pause(attempt)
                if now + pause - first_failure >= self._patience.deadline_seconds:
                    raise ModelUnavailable(str(trouble)) from trouble.__cause__
            attempt += 1
            if pause:
                await self._sleep(pause)

    async def close(self) -> None:
        await self._limiter.close()
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.close()
        self._client = None

    async def _attempt(self, path: str, body: Json, turn: str, *, pause: float) -> Json:
        model = _model_of(body)
        try:
            async with asyncio.timeout(self._patience.attempt_seconds):
                response = await self._connected().post(path, cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            raise await self._status_error(error, turn, model, pause=pause) from error
        except (openai.APIConnectionError, TimeoutError) as error:
            await self._limiter.failed(turn, model=model)
            raise _Passing(f"{self.base_url} did not answer ({type(error).__name__})") from error
        except BaseException:
            await self._limiter.failed(turn, model=model)
            raise
        await self._limiter.answered(turn, response.headers, model=model)
        return _json_object(response.content)

    async def _status_error(
        self, error: openai.APIStatusError, turn: str, model: str, *, pause: float
    ) -> Exception:
        headers: Mapping[str, str] = error.response.headers
        if error.status_code == 429 and error.code not in (
            "insufficient_quota",
            "billing_hard_limit_reached",
        ):
            await self._limiter.refused(turn, headers, pause=pause, model=model)
            return _Passing("the model server limits how often it may be asked", limited=True)
        await self._limiter.failed(turn, model=model)
        passing = error.status_code in WORTH_REPEATING or error.status_code >= 500
        if passing and error.status_code not in NOT_TO_REPEAT and error.status_code != 429:
            return _Passing(f"{self.base_url} answered {error.status_code}")
        return translated(error)

    def _pause(self, attempt: int) -> float:
        grown = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 16))
        return float(grown * (0.75 + 0.5 * self._jitter()))

    def _connected(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = self._connect(), loop
        return self._client

    def _connect(self) -> openai.AsyncOpenAI:
        timeout = httpx2.Timeout(self._patience.attempt_seconds, connect=self._patience.connect_seconds)
        http = (
            httpx2.AsyncClient(transport=self._transport, timeout=timeout)
            if self._transport
            else openai.DefaultAioHttpClient(timeout=timeout)
        )
        return openai.AsyncOpenAI(
            api_key=self._api_key or "unset",
            base_url=self.base_url,
            max_retries=0,
            timeout=timeout,
            http_client=http,
        )


class _Passing(Exception):
    """Trouble that may pass: worth another try within the deadline. `limited`: the limiter already makes us wait."""

    def __init__(self, message: str, *, limited: bool = False) -> None:
        super().__init__(message)
        self.limited = limited


def translated(error: openai.APIStatusError) -> ModelError:
    """A refusal in our words; keys and other secrets that servers like to repeat stay out."""
    said = "the key is wrong or missing" if error.status_code == 401 else error_text(error)
    message = f"The model server answered {error.status_code}: {said}"
    return ModelRefused(message[:500], code=error.code or "", status=error.status_code)


def error_text(error: openai.APIStatusError) -> str:
    """What the server said was wrong, from OpenAI's error object or from whatever shape the body has."""
    body: Any = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        said = inner.get("message") if isinstance(inner, dict) else inner
        return str(said or body.get("detail") or body)
    return str(body or error.message)


def _model_of(body: Json) -> str:
    return str(body.get("model") or "")


def _json_object(content: bytes) -> Json:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ModelAnswerInvalid("the server's answer is not JSON") from error
    if not isinstance(value, dict):
        raise ModelAnswerInvalid("the server's answer is not a JSON object")
    return value
