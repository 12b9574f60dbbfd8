"""A job's numbers as a curve to show, as epochs to judge, and the judgement itself with what we measured ourselves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from storage.records import Json
from tasks.rules import training as rules
from tasks.rules.evaluation import Evaluation
from tasks.rules.training import Epoch, TopicScore, TrainingAnalysis
from tasks.trainers.port import TrainingJob

JUDGED_POINTS = 10  # more scored steps than this are averaged: single steps are noisy
TOPIC_ROWS = 5  # a topic with fewer scored rows is shown, and not judged by itself


@dataclass(frozen=True, slots=True)
class Measured:
    """Our own comparison, and the mean length of the answers in characters, before and after."""

    evaluation: Evaluation
    lengths: tuple[float, float]


def points(job: TrainingJob) -> list[Json]:
    """Everything known of each step, from events and checkpoints together, in order."""
    steps: dict[int, Json] = {}
    for point in (*job.metrics, *job.checkpoints):
        step = int(point["step"])
        steps[step] = {**steps.get(step, {}), **point}
    return [steps[step] for step in sorted(steps)]


def curve(job: TrainingJob, *, most: int) -> list[Json]:
    """`[{step, train, valid}]`, thinned out evenly; losses where the backend tells no rewards."""
    told = points(job)
    rewarded = any(point.get("train_reward", point.get("valid_reward")) is not None for point in told)
    names = ("train_reward", "valid_reward") if rewarded else ("train_loss", "valid_loss")
    known = [
        {"step": point["step"], "train": point.get(names[0]), "valid": point.get(names[1])}
        for point in told
        if point.get(names[0]) is not None or point.get(names[1]) is not None
    ]
    thinned = known[:: max(1, -(-len(known) // most))]
    return [*thinned, known[-1]] if known and thinned[-1] is not known[-1] else thinned


def epochs_of(job: TrainingJob) -> list[Epoch]:
    """Scored stretches of the run, oldest first: by validation reward, else by training reward; [] without two scores."""
    told = points(job)
    for reward in ("valid_reward", "train_reward"):
        scored = [point for point in told if point.get(reward) is not None]
        if len(scored) >= 2:
            return [
                _epoch(number, group, reward, job) for number, group in enumerate(_groups(scored), start=1)
            ]
    return []


def judged(epochs: Sequence[Epoch], measured: Measured | None) -> TrainingAnalysis:
    """The run's pattern by its curve, the topics' by our own before and after, which also stands in for a missing curve.

    Answers that we ourselves saw grow threefold, or rise beyond 0.95, make it reward hacking whatever the curve says.
    """
    if measured is None:
        return rules.analyse(epochs)
    own = rules.analyse(_before_and_after(measured))
    told = rules.analyse(epochs) if epochs else own
    overall = own.overall if own.overall == "reward_hacking" else told.overall
    rows = {name: change.count for name, change in measured.evaluation.topics.items()}
    topics = {name: found for name, found in own.topics.items() if rows[name] >= TOPIC_ROWS}
    worst = min((overall, *topics.values()), key=rules.WORST_FIRST.index)
    return replace(told, overall=overall, topics=topics, worst=worst, next_action=rules.NEXT[worst])


def _before_and_after(measured: Measured) -> list[Epoch]:
    topics = measured.evaluation.topics
    before = {name: TopicScore(change.before, change.count) for name, change in topics.items()}
    after = {name: TopicScore(change.after, change.count) for name, change in topics.items()}
    first, last = measured.lengths
    return [Epoch(0, topics=before, response_length=first), Epoch(1, topics=after, response_length=last)]


def _groups(scored: Sequence[Json]) -> list[Sequence[Json]]:
    if len(scored) <= JUDGED_POINTS:
        return [[point] for point in scored]
    edges = [len(scored) * place // JUDGED_POINTS for place in range(JUDGED_POINTS + 1)]
    return [scored[low:high] for low, high in pairwise(edges)]


def _epoch(number: int, group: Sequence[Json], reward: str, job: TrainingJob) -> Epoch:
    lengths = [float(point["response_length"]) for point in group if point.get("response_length") is not None]
    return Epoch(
        number=number,
        mean=sum(float(point[reward]) for point in group) / len(group),
        response_length=sum(lengths) / len(lengths) if lengths else None,
        checkpoint=_checkpoint_at(job, int(group[-1]["step"])),
    )


def _checkpoint_at(job: TrainingJob, step: int) -> str:
    """The model of the checkpoint nearest to a step, "" where the backend kept none."""
    kept = [point for point in job.checkpoints if point.get("model")]
    nearest = min(kept, key=lambda point: abs(int(point["step"]) - step), default=None)
    return str(nearest["model"]) if nearest else ""
