"""Fakes that implement a port, for everybody's tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from storage.records import Json, Task
from tasks.models.port import ChatReply, ChatRequest, Usage
from tasks.queue import job_id
from tasks.trainers.port import TrainingJob, TrainingRequest


class FakeQueue:
    """Implements `tasks.queue.WorkQueue`: remembers the jobs in order; a test takes them with `take`."""

    def __init__(self) -> None:
        self.jobs: list[Task] = []

    async def wake(self, task: Task) -> None:
        if job_id(task) not in {job_id(job) for job in self.jobs}:
            self.jobs.append(task)

    async def help(self, task: Task, most: int) -> None:
        return None

    async def others_wait(self, task: Task) -> bool:
        return bool(self.jobs)

    async def waiting(self) -> frozenset[str]:
        return frozenset(job_id(job) for job in self.jobs)

    def take(self) -> Task:
        """The oldest job, as a worker would pop it. Raises IndexError."""
        return self.jobs.pop(0)


class FakeChat:
    """Implements `ChatModel`: the first function whose key fits answers, and every request is kept.

    Keys are a schema's name, a model's name, or "*". A function gets the parsed user JSON for structured calls and the request
    otherwise, and returns text, a JSON value, or an exception to raise.
    """

    def __init__(self, **answers: Callable[[Any], Any]) -> None:
        self.answers = dict(answers)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        await asyncio.sleep(0)
        structured = request.schema is not None
        names = [request.schema.name] if request.schema else [request.model, "*"]
        answer = next(self.answers[name] for name in names if name in self.answers)
        found = answer(json.loads(str(request.messages[-1].content)) if structured else request)
        if isinstance(found, Exception):
            raise found
        text = found if isinstance(found, str) else json.dumps(found)
        return ChatReply(
            text=text, tool_calls=(), usage=Usage(input_tokens=10, output_tokens=5), model=request.model
        )

    async def close(self) -> None:
        return None

    def asked(self, schema: str) -> list[Json]:
        """The data of every structured call with that schema's name."""
        found = [request for request in self.requests if request.schema and request.schema.name == schema]
        return [json.loads(str(request.messages[-1].content)) for request in found]

    def answered_by(self, model: str) -> list[ChatRequest]:
        """Every plain call of a model."""
        return [request for request in self.requests if request.model == model and request.schema is None]


class FakeTrainer:
    """Implements `Trainer`, keyed as a real one must be. `job` is what `get` tells; tests replace it."""

    name = "openai"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: dict[str, TrainingRequest] = {}
        self.job = TrainingJob(id="job-1", status="queued")
        self.refusal: Exception | None = None

    async def upload(self, *, key: str, file_name: str, chunks: Iterable[bytes]) -> str:
        self._refuse()
        self.files.setdefault(f"{key}-{file_name}", b"".join(chunks))
        return f"file-{key}"

    async def create(self, request: TrainingRequest) -> TrainingJob:
        self._refuse()
        self.requests.setdefault(request.key, request)
        return self.job

    async def get(self, job_id: str) -> TrainingJob:
        self._refuse()
        return self.job

    async def cancel(self, job_id: str) -> TrainingJob:
        return replace(self.job, status="cancelled")

    async def pause(self, job_id: str) -> TrainingJob:
        return replace(self.job, status="paused")

    async def resume(self, job_id: str) -> TrainingJob:
        return replace(self.job, status="running")

    async def close(self) -> None:
        return None

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal
