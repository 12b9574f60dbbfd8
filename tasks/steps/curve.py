"""A job's numbers as a curve to show and as epochs to judge. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from storage.records import Json
from tasks.rules.evaluation import Evaluation
from tasks.rules.training import Epoch
from tasks.trainers.port import TrainingJob

JUDGED_POINTS = 10  # more scored steps than this are averaged: single steps are noisy


def curve(job: TrainingJob, *, points: int) -> list[Json]:
    """`[{step, train, valid}]`, thinned out evenly; losses where there are no rewards."""
    known = [_shown(metric) for metric in job.metrics]
    known = [point for point in known if point["train"] is not None or point["valid"] is not None]
    stride = max(1, -(-len(known) // points))
    thinned = known[::stride]
    return [*thinned, known[-1]] if known and thinned[-1] is not known[-1] else thinned


def epochs_of(job: TrainingJob, evaluation: Evaluation | None) -> list[Epoch]:
    """Scored points of the run, oldest first; where the backend scored nothing, our own before and after stand for it."""
    scored = [metric for metric in job.metrics if metric.get("valid_reward") is not None]
    reward = "valid_reward"
    if len(scored) < 2:
        scored, reward = [metric for metric in job.metrics if metric.get("train_reward") is not None], "train_reward"
    if len(scored) >= 2:
        return [_epoch(number, group, reward, job) for number, group in enumerate(_groups(scored), start=1)]
    if evaluation is not None:
        return [Epoch(0, evaluation.overall.before), Epoch(1, evaluation.overall.after, checkpoint=job.model)]
    return []


def _groups(scored: Sequence[Json]) -> list[Sequence[Json]]:
    if len(scored) <= JUDGED_POINTS:
        return [[metric] for metric in scored]
    edges = [len(scored) * place // JUDGED_POINTS for place in range(JUDGED_POINTS + 1)]
    return [scored[low:high] for low, high in pairwise(edges)]


def _epoch(number: int, group: Sequence[Json], reward: str, job: TrainingJob) -> Epoch:
    lengths = [float(metric["response_length"]) for metric in group if metric.get("response_length") is not None]
    return Epoch(
        number=number,
        mean=sum(float(metric[reward]) for metric in group) / len(group),
        response_length=sum(lengths) / len(lengths) if lengths else None,
        checkpoint=_checkpoint_at(job, int(group[-1]["step"])),
    )


def _checkpoint_at(job: TrainingJob, step: int) -> str:
    """The model of the checkpoint nearest to a step, "" where the backend kept none."""
    kept = [point for point in job.checkpoints if point.get("model")]
    nearest = min(kept, key=lambda point: abs(int(point["step"]) - step), default=None)
    return str(nearest["model"]) if nearest else ""


def _shown(metric: Json) -> Json:
    has_reward = metric.get("train_reward") is not None or metric.get("valid_reward") is not None
    train, valid = ("train_reward", "valid_reward") if has_reward else ("train_loss", "valid_loss")
    return {"step": metric["step"], "train": metric.get(train), "valid": metric.get(valid)}
