"""Reading jobs, events and checkpoints of OpenAI's wire into `TrainingJob`. Pure.

Servers name their numbers differently; each is looked for under the names that are known, first match wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from storage.records import Json
from tasks.trainers.port import JobStatus, TrainingJob

STATUS: dict[str, JobStatus] = {
    "validating_files": "pending",
    "queued": "queued",
    "running": "running",
    "pausing": "paused",
    "paused": "paused",
    "succeeded": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
NAMES: dict[str, tuple[str, ...]] = {
    "train_reward": ("train_reward_mean", "train_mean_reward", "train_reward", "reward_mean", "reward"),
    "valid_reward": (
        "valid_reward_mean",
        "full_valid_mean_reward",
        "valid_mean_reward",
        "valid_reward",
        "eval_reward",
    ),
    "train_loss": ("train_loss", "training_loss", "loss"),
    "valid_loss": ("valid_loss", "full_valid_loss", "eval_loss", "validation_loss"),
    "learning_rate": ("learning_rate",),
    "gradient_norm": ("grad_norm", "gradient_norm"),
    "kl": ("kl", "kl_divergence"),
    "entropy": ("entropy",),
    "reward_std": ("reward_std",),
    "zero_variance": ("zero_variance_fraction", "frac_reward_zero_std"),
    "response_length": (
        "response_length",
        "mean_response_length",
        "completion_length",
        "train_mean_completion_tokens",
    ),
    "accuracy": ("full_valid_mean_token_accuracy", "valid_mean_token_accuracy", "train_mean_token_accuracy"),
}
_STEP = re.compile(r"\bstep (\d+)\s*(?:/|of)\s*(\d+)", re.IGNORECASE)
EVENTS_SHOWN = 5


def job_from(
    job: Json, *, events: Sequence[Json] = (), checkpoints: Iterable[Json] = (), now: float
) -> TrainingJob:
    """The job as the port wants it. `events` newest first, as the wire lists them."""
    error = job.get("error") or {}
    eta = _eta(job, now)
    return TrainingJob(
        id=str(job["id"]),
        status=STATUS.get(str(job.get("status")), "running"),
        model=str(job.get("fine_tuned_model") or ""),
        error=str(error.get("message") or "")[:500] if isinstance(error, dict) else str(error)[:500],
        progress=_progress(job, events, eta, now),
        eta_seconds=eta,
        metrics=_points(events),
        checkpoints=tuple(sorted(checkpoints, key=lambda point: int(point["step"]))),
        events=tuple(str(event.get("message", ""))[:200] for event in list(events)[:EVENTS_SHOWN]),
    )


def point(step: int, metrics: Json) -> Json:
    """The numbers of one step under our names."""
    found = {ours: _first(metrics, theirs) for ours, theirs in NAMES.items()}
    return {"step": step, **{name: value for name, value in found.items() if value is not None}}


def checkpoint(item: Json) -> Json:
    """`{id, step, model, …numbers}` of a checkpoint object."""
    step = int(item.get("step_number") or 0)
    metrics = item.get("metrics") if isinstance(item.get("metrics"), dict) else {}
    return {
        "id": str(item.get("id", "")),
        "model": str(item.get("fine_tuned_model_checkpoint") or ""),
        **point(step, metrics or {}),
    }


def _points(events: Sequence[Json]) -> tuple[Json, ...]:
    steps: dict[int, Json] = {}
    for event in reversed(events):
        data = event.get("data")
        if isinstance(data, dict) and isinstance(data.get("step"), int | float):
            step = int(data["step"])
            steps[step] = {**steps.get(step, {}), **point(step, data)}
    return tuple(steps[step] for step in sorted(steps))


def _first(metrics: Json, names: tuple[str, ...]) -> float | None:
    for name in names:
        value = metrics.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _eta(job: Json, now: float) -> float | None:
    ends = job.get("estimated_finish")
    return max(0.0, float(ends) - now) if isinstance(ends, int | float) and ends else None


def _progress(job: Json, events: Sequence[Json], eta: float | None, now: float) -> float | None:
    """The share that is done: of the steps where events count them, else of the time."""
    for event in events:
        counted = _STEP.search(str(event.get("message", "")))
        if counted and int(counted.group(2)):
            return min(1.0, int(counted.group(1)) / int(counted.group(2)))
    if eta is not None and job.get("created_at"):
        elapsed = max(0.0, now - float(job["created_at"]))
        return elapsed / (elapsed + eta) if elapsed + eta else None
    return None
