"""What a training backend must be able to do. One adapter file each, one registry line in `tasks/trainers/__init__.py`.

Effects outside are keyed: `key` travels to the provider where it has a field for it, and an adapter looks for its own
earlier attempt under that key before it creates anything, so a repeat after a crash finds instead of doubling.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from storage.records import Json

Method = Literal["reinforcement", "supervised", "preference"]
JobStatus = Literal["pending", "queued", "running", "paused", "completed", "failed", "cancelled"]


class TrainerError(Exception):
    """Base; the message is plain words that may be shown to people."""


class TrainerUnavailable(TrainerError):
    """Unreachable or overloaded: not a failed job, keep asking."""


class TrainerRefused(TrainerError):
    """The backend will not do it. `code` is the provider's ("training_not_available" is explained, not retried)."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A job as the backend tells it. `metrics` are the points so far: `[{step, train_reward, valid_reward, loss …}]`."""

    id: str
    status: JobStatus
    model: str = ""
    error: str = ""
    progress: float | None = None
    eta_seconds: float | None = None
    metrics: tuple[Json, ...] = ()
    checkpoints: tuple[Json, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    key: str
    base_model: str
    method: Method
    training_file: str
    validation_file: str
    grader: Json
    hyperparameters: Json = field(default_factory=dict)
    suffix: str = ""


class Trainer(Protocol):
    name: str

    async def upload(self, *, key: str, file_name: str, chunks: Iterable[bytes]) -> str:
        """Send a JSONL file; the backend's file id. Raises `TrainerError`s."""
        ...

    async def create(self, request: TrainingRequest) -> TrainingJob: ...
    async def get(self, job_id: str) -> TrainingJob: ...
    async def cancel(self, job_id: str) -> TrainingJob: ...
    async def pause(self, job_id: str) -> TrainingJob: ...
    async def resume(self, job_id: str) -> TrainingJob: ...
    async def close(self) -> None: ...
