"""Fine-tuning over OpenAI's wire format, at any base URL: files, jobs, events, checkpoints.

Answers are read as plain JSON, because servers add and leave out fields (and the client's own types lose unknown graders).
Before it creates a file or a job the adapter looks for one that it made under the same key earlier. What the numbers mean is
`openai_metrics.py`; what to do with a job is not decided here.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import IO, Any

import httpx2
import openai

from storage.records import Json
from tasks.trainers.openai_metrics import checkpoint, job_from
from tasks.trainers.port import (
    Method,
    TrainerError,
    TrainerRefused,
    TrainerUnavailable,
    TrainingJob,
    TrainingRequest,
)

DEFAULT_BASE_URL = "https://api.openai.com/v1"
JOBS = "/fine_tuning/jobs"
PAGE = 100
PAGES = 10  # of files, jobs or events that are looked through
MAX_FILE_BYTES = 512 * 1024 * 1024
MEMORY_BYTES = 8 * 1024 * 1024
KEY = "idempotency_key"
WIRE_METHOD: dict[Method, str] = {
    "reinforcement": "reinforcement",
    "supervised": "supervised",
    "preference": "dpo",
}
TAKEN: dict[Method, tuple[str, ...]] = {
    "reinforcement": (
        "batch_size",
        "learning_rate_multiplier",
        "n_epochs",
        "compute_multiplier",
        "eval_interval",
        "eval_samples",
        "reasoning_effort",
    ),
    "supervised": ("batch_size", "learning_rate_multiplier", "n_epochs"),
    "preference": ("batch_size", "learning_rate_multiplier", "n_epochs", "beta"),
}


class OpenAITrainer:
    """Implements `Trainer`. The client is made on first use, one per event loop."""

    name = "openai"

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url or DEFAULT_BASE_URL
        self._api_key = api_key
        self._transport = transport
        self._clock = clock
        self._client: openai.AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def upload(self, *, key: str, file_name: str, chunks: Iterable[bytes]) -> str:
        name = f"{key}-{file_name}"
        async for found in self._listed("/files", {"purpose": "fine-tune"}):
            if found.get("filename") == name and found.get("status") not in ("error", "deleted"):
                return str(found["id"])
        with tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES) as spool:
            await asyncio.to_thread(_fill, spool, chunks)
            made = await self._sent(
                "POST", "/files", data={"purpose": "fine-tune"}, files={"file": (name, spool)}
            )
        return str(made["id"])

    async def create(self, request: TrainingRequest) -> TrainingJob:
        earlier = await self._earlier(request.key)
        made = earlier or await self._sent("POST", JOBS, json=job_body(request))
        return job_from(made, now=self._clock())

    async def get(self, job_id: str) -> TrainingJob:
        job = await self._sent("GET", f"{JOBS}/{job_id}")
        events = [event async for event in self._listed(f"{JOBS}/{job_id}/events", {})]
        points = [checkpoint(item) async for item in self._listed(f"{JOBS}/{job_id}/checkpoints", {})]
        return job_from(job, events=events, checkpoints=points, now=self._clock())

    async def cancel(self, job_id: str) -> TrainingJob:
        return await self._change(job_id, "cancel")

    async def pause(self, job_id: str) -> TrainingJob:
        return await self._change(job_id, "pause")

    async def resume(self, job_id: str) -> TrainingJob:
        return await self._change(job_id, "resume")

    async def close(self) -> None:
        if self._client is not None and self._loop is asyncio.get_running_loop():
            await self._client.close()
        self._client = None

    async def _change(self, job_id: str, verb: str) -> TrainingJob:
        return job_from(await self._sent("POST", f"{JOBS}/{job_id}/{verb}"), now=self._clock())

    async def _earlier(self, key: str) -> Json | None:
        """The job that an earlier attempt of ours made. Servers that ignore the filter are searched newest first."""
        async for job in self._listed(JOBS, {f"metadata[{KEY}]": key}):
            if (job.get("metadata") or {}).get(KEY) == key:
                return job
        return None

    async def _listed(self, path: str, query: dict[str, str]) -> AsyncIterator[Json]:
        """The items of a paged list, newest first. A server without that list has none."""
        after: dict[str, str] = {}
        for _ in range(PAGES):
            try:
                page = await self._sent("GET", path, params={**query, "limit": str(PAGE), **after})
            except TrainerRefused as error:
                if error.code in ("404", "405", "501"):
                    return
                raise
            items = [item for item in page.get("data") or () if isinstance(item, dict)]
            for item in items:
                yield item
            if not page.get("has_more") or not items:
                return
            after = {"after": str(items[-1].get("id", ""))}

    async def _sent(
        self,
        verb: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: Json | None = None,
        data: dict[str, str] | None = None,
        files: dict[str, tuple[str, IO[bytes]]] | None = None,
    ) -> Json:
        client = self._connected()
        headers = {"Content-Type": "multipart/form-data"} if files else {}
        options: Any = {"params": params or {}, "headers": headers}
        try:
            if verb == "GET":
                response = await client.get(path, cast_to=httpx2.Response, options=options)
            else:
                body = data if files else json
                options["max_retries"] = 0  # what creates is repeated only after looking for it
                response = await client.post(
                    path, cast_to=httpx2.Response, body=body, files=files, options=options
                )
            answer = response.json()
        except openai.APIStatusError as error:
            raise _translated(error) from error
        except (openai.APIConnectionError, ValueError) as error:
            raise TrainerUnavailable("The training service does not answer.") from error
        if not isinstance(answer, dict):
            raise TrainerUnavailable("The training service answered something unreadable.")
        return answer

    def _connected(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = self._connect(), loop
        return self._client

    def _connect(self) -> openai.AsyncOpenAI:
        timeout = httpx2.Timeout(120.0, connect=10.0)
        http = (
            httpx2.AsyncClient(transport=self._transport, timeout=timeout)
            if self._transport
            else openai.DefaultAioHttpClient(timeout=timeout)
        )
        return openai.AsyncOpenAI(
            api_key=self._api_key or "unset",
            base_url=self._base_url,
            max_retries=2,
            timeout=timeout,
            http_client=http,
        )


def job_body(request: TrainingRequest) -> Json:
    """What is posted. Hyperparameters that the wire does not know for this method stay behind."""
    kind = WIRE_METHOD[request.method]
    known = {name: value for name, value in request.hyperparameters.items() if name in TAKEN[request.method]}
    settings: Json = {"hyperparameters": known}
    if request.method == "reinforcement":
        settings["grader"] = request.grader
    body: Json = {
        "model": request.base_model,
        "training_file": request.training_file,
        "method": {"type": kind, kind: settings},
        "metadata": {KEY: request.key},
    }
    if request.validation_file:
        body["validation_file"] = request.validation_file
    suffix = re.sub(r"[^a-z0-9-]+", "-", request.suffix.casefold()).strip("-")[:40]
    return {**body, "suffix": suffix} if suffix else body


def _fill(spool: IO[bytes], chunks: Iterable[bytes]) -> None:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise TrainerRefused(
                "The training file is larger than 512 MB, which is what the service takes.",
                code="file_too_large",
            )
        spool.write(chunk)
    spool.seek(0)


def _translated(error: openai.APIStatusError) -> TrainerError:
    code, said = str(error.code or ""), _said(error)
    if error.status_code in (408, 409, 425, 429) or error.status_code >= 500:
        return TrainerUnavailable(
            f"The training service is not available at the moment (it answered {error.status_code})."
        )
    if code == "training_not_available":
        return TrainerRefused(
            "Fine-tuning is closed for this account: the provider answers `training_not_available`. Asking again will not help. "
            "Point OPENAI_BASE_URL at a provider that still trains, or choose another backend with TRAINER.",
            code=code,
        )
    if error.status_code == 401:
        return TrainerRefused("The training service does not accept the key (OPENAI_API_KEY).", code="401")
    if error.status_code in (404, 405, 501):
        return TrainerRefused(
            f"The training service does not know this ({error.status_code}): {said}",
            code=str(error.status_code),
        )
    return TrainerRefused(f"The training service refuses: {said}", code=code or str(error.status_code))


def _said(error: openai.APIStatusError) -> str:
    body: Any = error.body
    inner = body.get("error", body) if isinstance(body, dict) else body
    said = inner.get("message") if isinstance(inner, dict) else inner
    return str(said or error.message)[:300]
