"""/v1/fine_tuning/jobs over the pure jobs of `jobs.py`: create, list, retrieve, events, checkpoints, cancel, pause, resume."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox.model import jobs
from bot.sandbox.model.asks import Json
from bot.sandbox.model.bodies import json_body
from bot.sandbox.model.chat_wire import required_text
from bot.sandbox.model.clock import SandboxClock
from bot.sandbox.model.errors import WireError, bad_request, no_such
from bot.sandbox.model.files_api import FileShelf, page
from bot.sandbox.model.jobs import Job, Method, Status
from bot.sandbox.model.words import number_from
from bot.sandbox.model.writer import Skill

ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")


class JobBook:
    """All jobs of this server, newest last. `settle` notices what has ended since it was last asked."""

    def __init__(self, *, shelf: FileShelf, clock: SandboxClock, seed: int) -> None:
        self._shelf = shelf
        self._clock = clock
        self._seed = seed
        self._jobs: dict[str, Job] = {}
        self._settled: set[str] = set()

    def create(self, body: Json) -> Job:
        """Raises WireError 400 for what OpenAI refuses at once; a bad file fails the job later, as theirs does."""
        base = required_text(body, "model")
        method, settings = _method(body)
        training = self._training_file(required_text(body, "training_file"), "training_file")
        validation = body.get("validation_file")
        rows, failure = jobs.read_rows(training, method)
        valid, bad_valid = (
            jobs.read_rows(self._training_file(validation, "validation_file"), method)
            if validation
            else ([], "")
        )
        hyperparameters = settings.get("hyperparameters") or body.get("hyperparameters") or {}
        lessons = jobs.lessons_from(rows, method)
        steps = jobs.count_steps(len(rows), hyperparameters)
        job = Job(
            id=jobs.new_id(self._seed, len(self._jobs) + 1),
            base_model=base,
            method=method,
            training_file=body["training_file"],
            validation_file=validation,
            hyperparameters=hyperparameters,
            grader=settings.get("grader"),
            suffix=_suffix(body),
            metadata=_metadata(body),
            seed=body.get("seed") or self._seed,
            created_at=self._clock.now(),
            trained_tokens=jobs.tokens_in(rows),
            lessons=lessons,
            rewards=jobs.measure_rewards(rows, valid, steps=steps, lessons=lessons, seed=self._seed),
            failure=failure or bad_valid,
        )
        self._jobs[job.id] = job
        return job

    def get(self, identifier: str) -> Job:
        if identifier not in self._jobs:
            raise no_such("fine-tuning job", identifier)
        return self._jobs[identifier]

    def newest_first(self) -> list[Job]:
        return list(reversed(self._jobs.values()))

    def status(self, job: Job) -> Status:
        return jobs.status(job, self._clock.now())

    def steps_done(self, job: Job) -> int:
        return jobs.steps_done(job, self._clock.now())

    def change(
        self, identifier: str, change: Callable[[Job, float], Job], *, only_from: tuple[Status, ...]
    ) -> Job:
        """Raises WireError 400 when the job's status does not allow it."""
        job = self.get(identifier)
        standing = self.status(job)
        if standing not in only_from:
            raise bad_request(f"Job {identifier} is {standing}; it must be one of: {', '.join(only_from)}.")
        self._jobs[identifier] = change(job, self._clock.now())
        return self._jobs[identifier]

    def settle(self) -> list[tuple[Job, Status]]:
        """Jobs that have ended since the last call; a succeeded one gets its result file here."""
        ended = []
        for job in list(self._jobs.values()):
            standing = self.status(job)
            if standing in ENDED and job.id not in self._settled:
                self._settled.add(job.id)
                self._store_results(job, standing)
                ended.append((self._jobs[job.id], standing))
        return ended

    def skill_of(self, model: str) -> Skill | None:
        """What a tuned model or checkpoint of this server can do; None when there is no such model (yet)."""
        for job in self._jobs.values():
            if model == job.tuned_model and self.status(job) == "succeeded":
                return jobs.skill_at(job, job.steps)
            for step in checkpoint_steps(job, self.steps_done(job)):
                if model == checkpoint_model(job, step):
                    return jobs.skill_at(job, step)
        return None

    def tuned_models(self) -> list[str]:
        return [job.tuned_model for job in self._jobs.values() if self.status(job) == "succeeded"]

    def _training_file(self, identifier: str, param: str) -> bytes:
        try:
            stored = self._shelf.get(identifier)
        except WireError as missing:
            raise bad_request(f"invalid {param}: {identifier}", param) from missing
        if stored.purpose != "fine-tune":
            raise bad_request(f"File '{identifier}' has purpose '{stored.purpose}', not 'fine-tune'.", param)
        return stored.content

    def _store_results(self, job: Job, standing: Status) -> None:
        if standing != "succeeded":
            return
        metrics = [jobs.metrics_at(job, step) for step in range(1, job.steps + 1)]
        lines = [",".join(metrics[0])] + [",".join(str(value) for value in row.values()) for row in metrics]
        stored = self._shelf.add(
            filename="step_metrics.csv", purpose="fine-tune-results", content="\n".join(lines).encode()
        )
        self._jobs[job.id] = replace(job, result_file=stored.id)


def job_routes(book: JobBook, *, base_models: frozenset[str]) -> list[Route]:
    async def create(request: Request) -> Response:
        body = await json_body(request)
        model = required_text(body, "model")
        if model not in base_models and book.skill_of(model) is None:
            raise bad_request(f"Model {model} is not available for fine-tuning or does not exist.", "model")
        job = await asyncio.to_thread(book.create, body)
        return JSONResponse(job_body(book, job))

    async def listed(request: Request) -> Response:
        wanted = _metadata_filter(request)
        found = [job for job in book.newest_first() if wanted.items() <= job.metadata.items()]
        return JSONResponse(page((job_body(book, job) for job in found), request))

    async def retrieve(request: Request) -> Response:
        return JSONResponse(job_body(book, book.get(request.path_params["id"])))

    async def events(request: Request) -> Response:
        job = book.get(request.path_params["id"])
        return JSONResponse(page(reversed(list(_events(book, job))), request))

    async def checkpoints(request: Request) -> Response:
        job = book.get(request.path_params["id"])
        steps = reversed(checkpoint_steps(job, book.steps_done(job)))
        return JSONResponse(page((_checkpoint_body(job, step) for step in steps), request))

    async def cancel(request: Request) -> Response:
        running: tuple[Status, ...] = ("validating_files", "queued", "running", "paused")
        return JSONResponse(
            job_body(book, book.change(request.path_params["id"], jobs.cancel, only_from=running))
        )

    async def pause(request: Request) -> Response:
        running: tuple[Status, ...] = ("validating_files", "queued", "running")
        return JSONResponse(
            job_body(book, book.change(request.path_params["id"], jobs.pause, only_from=running))
        )

    async def resume(request: Request) -> Response:
        return JSONResponse(
            job_body(book, book.change(request.path_params["id"], jobs.resume, only_from=("paused",)))
        )

    root = "/v1/fine_tuning/jobs"
    return [
        Route(root, create, methods=["POST"]),
        Route(root, listed),
        Route(f"{root}/{{id}}", retrieve),
        Route(f"{root}/{{id}}/events", events),
        Route(f"{root}/{{id}}/checkpoints", checkpoints),
        Route(f"{root}/{{id}}/cancel", cancel, methods=["POST"]),
        Route(f"{root}/{{id}}/pause", pause, methods=["POST"]),
        Route(f"{root}/{{id}}/resume", resume, methods=["POST"]),
    ]


def job_body(book: JobBook, job: Job) -> Json:
    """A `fine_tuning.job` object as it stands now."""
    book.settle()
    job, standing = book.get(job.id), book.status(job)
    succeeded = standing == "succeeded"
    failed = {"code": "invalid_training_file", "message": job.failure, "param": "training_file"}
    settings: Json = {"hyperparameters": job.hyperparameters} | ({"grader": job.grader} if job.grader else {})
    return {
        "object": "fine_tuning.job",
        "id": job.id,
        "model": job.base_model,
        "created_at": int(job.created_at),
        "finished_at": int(jobs.ends_at(job)) if standing in ENDED else None,
        "estimated_finish": None if standing in ENDED else int(jobs.ends_at(job)),
        "fine_tuned_model": job.tuned_model if succeeded else None,
        "organization_id": "org-standin",
        "result_files": [job.result_file] if job.result_file else [],
        "status": standing,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "hyperparameters": {"n_epochs": "auto"} | job.hyperparameters,
        "trained_tokens": job.trained_tokens if succeeded else None,
        "error": failed if standing == "failed" else None,
        "seed": job.seed,
        "user_provided_suffix": job.suffix,
        "integrations": [],
        "metadata": job.metadata,
        "method": {"type": job.method, job.method: settings},
    }


def checkpoint_steps(job: Job, done: int) -> list[int]:
    """Steps of which a checkpoint can be had: the last few of those evenly spaced and done."""
    every = max(1, job.steps // jobs.CHECKPOINTS_SHOWN)
    return [step for step in range(every, job.steps + 1, every) if step <= done][-jobs.CHECKPOINTS_SHOWN :]


def checkpoint_model(job: Job, step: int) -> str:
    return f"{job.tuned_model}:ckpt-step-{step}"


def _checkpoint_body(job: Job, step: int) -> Json:
    return {
        "object": "fine_tuning.job.checkpoint",
        "id": f"ftckpt_{number_from(job.id, step):016x}",
        "created_at": int(_step_moment(job, step)),
        "fine_tuned_model_checkpoint": checkpoint_model(job, step),
        "fine_tuning_job_id": job.id,
        "metrics": jobs.metrics_at(job, step),
        "step_number": step,
    }


def _events(book: JobBook, job: Job) -> Iterator[Json]:
    """What has happened so far, oldest first."""
    for index, (moment, level, message, data) in enumerate(_happened(book, job)):
        yield {
            "object": "fine_tuning.job.event",
            "id": f"ftevent-{number_from(job.id, index, message):016x}",
            "created_at": int(moment),
            "level": level,
            "message": message,
            "type": "metrics" if data else "message",
            "data": data,
        }


def _happened(book: JobBook, job: Job) -> Iterator[tuple[float, str, str, Json]]:
    standing = book.status(job)
    yield job.created_at, "info", f"Created fine-tuning job: {job.id}", {}
    yield job.created_at, "info", f"Validating training file: {job.training_file}", {}
    if standing == "failed":
        yield jobs.ends_at(job), "error", f"The job failed: {job.failure}", {}
        return
    done = book.steps_done(job)
    if done or standing in ("queued", "running", "succeeded"):
        yield (
            jobs.moment_of(job, jobs.VALIDATING_SECONDS),
            "info",
            "Files validated, moving job to queued state",
            {},
        )
    if done or standing in ("running", "succeeded"):
        started = jobs.moment_of(job, jobs.VALIDATING_SECONDS + jobs.QUEUED_SECONDS)
        yield started, "info", "Fine-tuning job started", {}
    for step in range(1, done + 1):
        metrics = jobs.metrics_at(job, step)
        yield _step_moment(job, step), "info", _step_message(job, step, metrics), metrics
    if standing == "paused":
        yield job.paused_at or job.created_at, "info", "The job was paused", {}
    elif standing == "cancelled":
        yield jobs.ends_at(job), "info", "The job was cancelled", {}
    elif standing == "succeeded":
        yield jobs.ends_at(job), "info", f"New fine-tuned model created: {job.tuned_model}", {}
        yield jobs.ends_at(job), "info", "The job has successfully completed", {}


def _step_message(job: Job, step: int, metrics: Json) -> str:
    shown = ", ".join(f"{name}={metrics[name]}" for name in metrics if name not in ("step", "kl", "entropy"))
    return f"Step {step}/{job.steps}: {shown}"


def _step_moment(job: Job, step: int) -> float:
    return jobs.moment_of(job, jobs.VALIDATING_SECONDS + jobs.QUEUED_SECONDS + step * jobs.SECONDS_PER_STEP)


def _method(body: Json) -> tuple[Method, Json]:
    declared = body.get("method") or {"type": "supervised"}
    kind: Any = declared.get("type") if isinstance(declared, dict) else None
    if kind not in get_args(Method):
        raise bad_request("Invalid 'method.type': expected supervised, dpo or reinforcement.", "method.type")
    settings = declared.get(kind) or {}
    if kind == "reinforcement" and not isinstance(settings.get("grader"), dict):
        raise bad_request(
            "A reinforcement job needs 'method.reinforcement.grader'.", "method.reinforcement.grader"
        )
    return kind, settings


def _suffix(body: Json) -> str:
    suffix = str(body.get("suffix") or "standin")
    if len(suffix) > 64:
        raise bad_request("'suffix' may have at most 64 characters.", "suffix")
    return suffix


def _metadata(body: Json) -> dict[str, str]:
    metadata = body.get("metadata") or {}
    fits = isinstance(metadata, dict) and len(metadata) <= 16
    if not fits or any(
        len(str(k)) > 64 or not isinstance(v, str) or len(v) > 512 for k, v in metadata.items()
    ):
        raise bad_request("'metadata' is at most 16 pairs of 64 and 512 characters.", "metadata")
    return metadata


def _metadata_filter(request: Request) -> dict[str, str]:
    """`?metadata[key]=value`, as OpenAI's list takes it."""
    given = request.query_params.items()
    return {key[9:-1]: value for key, value in given if key.startswith("metadata[") and key.endswith("]")}
