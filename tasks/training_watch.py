"""Watches training jobs: asks the backend, shows progress, and starts `finish_training` once a job is over.

`web` calls `poll_all` under its leader lease every TRAINING_POLL_SECONDS; a webhook only makes it ask sooner and is never
believed by itself. What a job's state does to the workflow is pure (`seen`, `unreachable`); every effect is one commit with
compare-and-set, so two watchers at once do no more than one. Unreachable is not failed. Nothing is evaluated here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from storage.errors import Conflict, StorageError
from storage.records import Change, Document, Json, OutboxEvent, Task, Tenant, TrainingSummary, Workflow
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import queued_event
from tasks.trainers.port import TrainerError, TrainingJob

TOLD_AFTER_SECONDS = 30 * 60.0
LONGEST_PAUSE_SECONDS = 300.0
ASK_SECONDS = 60.0  # a backend that takes longer to answer counts as unreachable
AT_ONCE = 8
ATTEMPTS = 20
OVER = ("completed", "failed", "cancelled")
FINISH = "finish_training"
INDEX = "workflow:training"
_TITLE = "Training"
_SHOWN_AS = {"pending": "queued", "paused": "waiting", "completed": "finished"}
_METRICS = ("train_reward", "valid_reward", "train_loss", "valid_loss")

_log = structlog.get_logger(__name__)


async def poll_all(deps: Deps, desk: Desk) -> None:
    """One round over every workspace's active jobs, those that are due. Raises `Unavailable`.

    What is wrong with one job is logged and does not keep the others waiting.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    active = [
        (tenant, workflow)
        for tenant in await deps.state.tenants()
        for workflow in await deps.state.find(tenant, Workflow, INDEX)
    ]

    async def one(tenant: Tenant, workflow: Workflow) -> None:
        async with gate:
            try:
                await poll(deps, desk, tenant, workflow)
            except StorageError as error:
                _log.warning("training_not_polled", workflow=workflow.id, reason=str(error))
            except Exception:  # noqa: BLE001  a bug with one job: logged, the others go on
                _log.exception("training_not_polled", workflow=workflow.id)

    async with asyncio.TaskGroup() as group:
        for tenant, workflow in active:
            if _is_due(workflow, now=deps.clock()):
                group.create_task(one(tenant, workflow))


async def on_webhook(deps: Deps, desk: Desk, job_id: str) -> None:
    """Ask about a job at once, also one that is over by our records; a job that nobody knows is ignored."""
    for tenant in await deps.state.tenants():
        for index in (INDEX, "workflow"):
            for workflow in await deps.state.find(tenant, Workflow, index):
                if workflow.training and workflow.training.job_id == job_id:
                    await poll(deps, desk, tenant, workflow)
                    return


async def poll(deps: Deps, desk: Desk, tenant: Tenant, workflow: Workflow) -> None:
    """Ask about the workflow's job and write down what has changed."""
    training = workflow.training
    if training is None:
        return
    try:
        job = await _asked(deps, training)
    except (TrainerError, TimeoutError, KeyError) as error:
        reason = str(error) if isinstance(error, TrainerError) else ""
        _log.warning("training_unreachable", job=training.job_id, reason=reason[:200] or type(error).__name__)
        every = deps.settings.training_poll_seconds
        await _write(
            desk,
            tenant,
            workflow.id,
            lambda w: unreachable(w, training.job_id, reason, every=every, at=deps.clock()),
        )
        return
    await _write(desk, tenant, workflow.id, lambda w: seen(w, job, at=deps.clock()))


async def cancel(deps: Deps, desk: Desk, tenant: Tenant, workflow: Workflow, *, by: str) -> bool:
    """Stop the workflow's job, for a person; False when there is none to stop. Raises `TrainerError`.

    From here on the job counts as cancelled: what the backend says of it later is recorded and changes nothing.
    """
    training = workflow.training
    if training is None or training.status in OVER:
        return False
    job = await deps.trainers[training.trainer].cancel(training.job_id)
    ended = job if job.status in OVER else replace(job, status="cancelled")

    def stopped(current: Workflow) -> Observation | None:
        found = seen(current, ended, at=deps.clock())
        if found is None or ended.status != "cancelled":
            return found
        changed = flow.record(found.workflow, by=by, at=deps.clock(), what="training stopped")
        return replace(found, workflow=changed)

    await _write(desk, tenant, workflow.id, stopped)
    return True


async def _asked(deps: Deps, training: TrainingSummary) -> TrainingJob:
    async with asyncio.timeout(ASK_SECONDS):
        return await deps.trainers[training.trainer].get(training.job_id)


def _is_due(workflow: Workflow, *, now: float) -> bool:
    training = workflow.training
    return training is not None and now >= float(training.progress.get("retry_at") or 0.0)


# ---------------------------------------------------------------- what a job's state does to the workflow


@dataclass(frozen=True, slots=True)
class Observation:
    """The workflow as it now stands and what the thread is shown; `finish` holds the parameters of `finish_training`."""

    workflow: Workflow
    events: tuple[OutboxEvent, ...] = ()
    finish: Json | None = None


def seen(workflow: Workflow, job: TrainingJob, *, at: float) -> Observation | None:
    """What the job's state changes; None when nothing. A job that has been replaced changes nothing."""
    training = workflow.training
    if training is None or training.job_id != job.id:
        return None
    if training.status in OVER:
        return _late(workflow, training, job, at=at)
    progress = progress_of(job)
    before = {name: value for name, value in training.progress.items() if name in progress}
    moved = job.status != training.status or _without_time(before) != _without_time(progress)
    back = training.unreachable_since is not None
    if not moved and not back:
        return None
    now = replace(training, status=job.status, progress=progress, error=job.error, unreachable_since=None)
    changed = replace(workflow, training=now, updated_at=at)
    events = [_card(changed, now)] if moved else []
    if back and training.progress.get("told"):
        events.append(
            _notice(workflow, training, "The training service answers again; the job was not lost.", "back")
        )
    if job.status not in OVER:
        return Observation(changed, tuple(events))
    ended = flow.record(changed, by=training.requested_by, at=at, what=f"training job {job.id} {job.status}")
    finish: Json = {"job_id": job.id, "status": job.status, "model": job.model, "error": job.error}
    return Observation(ended, tuple(events), finish)


def unreachable(
    workflow: Workflow, job_id: str, reason: str, *, every: float, at: float
) -> Observation | None:
    """The backend did not answer: noted, asked again after a growing pause (from `every` seconds on), told to the
    thread after 30 minutes."""
    training = workflow.training
    if training is None or training.job_id != job_id or training.status in OVER:
        return None
    since = training.unreachable_since or at
    failures = int(training.progress.get("failures") or 0) + 1
    pause = min(LONGEST_PAUSE_SECONDS, every * 2 ** min(failures, 10))
    tell = at - since >= TOLD_AFTER_SECONDS and not training.progress.get("told")
    progress: Json = {**training.progress, "failures": failures, "retry_at": at + pause}
    if tell:
        progress["told"] = True
    changed = replace(training, unreachable_since=since, progress=progress)
    events = (_notice(workflow, training, _away(reason), "away"),) if tell else ()
    return Observation(replace(workflow, training=changed), events)


def progress_of(job: TrainingJob) -> Json:
    """What people and the agent are told of a running job: share done, step, the latest numbers, when it may end."""
    last = job.metrics[-1] if job.metrics else {}
    told: Json = {"share": None if job.progress is None else round(min(1.0, max(0.0, job.progress)), 2)}
    told["step"] = int(last.get("step") or 0)
    told["metrics"] = {name: last[name] for name in _METRICS if last.get(name) is not None}
    told["message"] = job.events[0][:200] if job.events else ""
    told["eta_seconds"] = job.eta_seconds
    return told


def _late(
    workflow: Workflow, training: TrainingSummary, job: TrainingJob, *, at: float
) -> Observation | None:
    """A job that completes after it was stopped is written into the history, once, and changes nothing else."""
    note = f"late:{job.id}"
    if not (training.status == "cancelled" and job.status == "completed") or note in workflow.applied:
        return None
    what = f"training job {job.id} completed after it had been stopped; nothing was changed"
    return Observation(flow.applied(flow.record(workflow, by=training.requested_by, at=at, what=what), note))


def _without_time(progress: Json) -> Json:
    return {name: value for name, value in progress.items() if name != "eta_seconds"}


# ---------------------------------------------------------------- what the thread is shown


def _card(workflow: Workflow, training: TrainingSummary) -> OutboxEvent:
    """The job's one status card. `task_id` is the job's id, which is what its cancel button names."""
    progress = training.progress
    share = progress["share"]
    status = _SHOWN_AS.get(training.status, training.status)
    data: Json = {
        "task_id": training.job_id,
        "title": f"{_TITLE} {training.base_model}",
        "status": status,
        "done": 0 if share is None else round(100 * share),
        "total": 0 if share is None else 100,
        "label": _label(training),
    }
    place = f"{training.status}:{progress['step']}:{data['done']}"
    return _event(
        workflow,
        "progress",
        data,
        key=f"training:{training.job_id}:{place}",
        card=f"training:{training.job_id}",
    )


def _label(training: TrainingSummary) -> str:
    progress = training.progress
    if training.status in OVER:
        endings = {
            "completed": "trained; base and tuned model are compared next",
            "cancelled": "stopped as asked",
        }
        return endings.get(training.status, training.error or "the backend gave no reason")
    parts = [f"step {progress['step']}"] if progress["step"] else []
    parts += [f"{name.replace('_', ' ')} {value:.2f}" for name, value in progress["metrics"].items()][:2]
    if progress["eta_seconds"]:
        parts.append(f"about {max(1, round(progress['eta_seconds'] / 60))} min left")
    return " · ".join(parts) or str(progress["message"]) or training.status


def _away(reason: str) -> str:
    return (
        "The training service has told nothing about the job for half an hour. "
        f"{reason or 'It does not answer.'} The job itself may well be running; I keep asking and say when it is back."
    )


def _notice(workflow: Workflow, training: TrainingSummary, text: str, name: str) -> OutboxEvent:
    level = "warning" if name == "away" else "info"
    key = f"training:{training.job_id}:{name}:{training.unreachable_since or 0:.0f}"
    return _event(workflow, "notice", {"text": text, "level": level}, key=key)


def _event(workflow: Workflow, kind: str, data: Json, *, key: str, card: str = "") -> OutboxEvent:
    return OutboxEvent(
        kind=kind, channel=workflow.channel, thread_ts=workflow.thread_ts, data=data, key=key, card=card
    )


# ---------------------------------------------------------------- writing


async def _write(
    desk: Desk, tenant: Tenant, workflow_id: str, observe: Callable[[Workflow], Observation | None]
) -> None:
    """Commit what was observed on the newest workflow, again on every conflict; then wake what it started."""
    for _ in range(ATTEMPTS):
        current = await desk.workflow(tenant, workflow_id)
        found = observe(current) if current is not None else None
        if found is None:
            return
        started = _finishing(desk, found)
        puts: tuple[Document, ...] = (found.workflow,) if started is None else (found.workflow, started)
        events = found.events
        if started is not None:
            events = (*events, queued_event(started, desk.operations[FINISH].title))
        try:
            await desk.state.commit(tenant, Change(puts=puts, events=events))
        except Conflict:
            continue
        if started is not None:
            await desk.wake(started)
        return
    raise Conflict(workflow_id)


def _finishing(desk: Desk, found: Observation) -> Task | None:
    """The task that judges the job. It is written with the status that starts it, so it cannot be there before."""
    training = found.workflow.training
    if found.finish is None or training is None:
        return None
    key = f"{training.job_id}:{training.status}"
    return desk.new_task(found.workflow, FINISH, found.finish, by=training.requested_by, key=key)
