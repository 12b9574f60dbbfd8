"""What came of a training job: base and tuned model on the same validation rows, the curve, the pattern, what to do next.

Started by `tasks/training_watch.py` once a job has ended, on a worker, because evaluating takes model calls. It moves the training
step itself, since a failed job is a result here and not a failure of this task. A job that is no longer the workflow's changes
nothing but its history.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from storage.records import Json, TrainingSummary, Workflow
from storage.rows import Row
from tasks import workflow as flow
from tasks.models.port import ModelUnavailable
from tasks.rules import evaluation as rules
from tasks.rules import training as training_rules
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.answering import Judge, answer_and_grade, bench, check_not_all_refused, current_grader
from tasks.steps.common import leaf_names, manifest_of, may_send_rows, save_report
from tasks.steps.curve import curve, epochs_of
from tasks.steps.parallel import each
from tasks.steps.splitting import Sides, sides
from tasks.steps.upload_dataset import train_share
from tasks.trainers.port import TrainerRefused, TrainerUnavailable, TrainingJob

REPORT = "evaluation"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """`evaluation` None: nothing could be compared, and `note` says why."""

    evaluation: rules.Evaluation | None
    note: str = ""
    chosen: Sides | None = None
    outcomes: tuple[Json, ...] = ()


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `job_id`."""
    training = ctx.workflow.training
    if training is None or training.job_id != params.get("job_id"):
        return StepReport(facts={"job_id": params.get("job_id"), "status": "superseded"}, say=False)
    job = await _job(ctx, training)
    if job.status == "failed":
        return _failed(ctx, training, job)
    if job.status == "cancelled":
        return _cancelled(ctx, training)
    evaluated = await _evaluated(ctx, training, job)
    return await _completed(ctx, training, job, evaluated)


async def _job(ctx: StepContext, training: TrainingSummary) -> TrainingJob:
    try:
        return await ctx.deps.trainers[training.trainer].get(training.job_id)
    except TrainerUnavailable as error:
        raise ModelUnavailable(str(error)) from error
    except (TrainerRefused, KeyError) as error:
        raise StepError(f"The training job cannot be read any more: {error}", code="job_gone") from error


# ---------------------------------------------------------------- before and after


async def _evaluated(ctx: StepContext, training: TrainingSummary, job: TrainingJob) -> Evaluated:
    if not await may_send_rows(ctx):
        return Evaluated(None, "Not evaluated: rows may not be sent to the provider.")
    manifest = await manifest_of(ctx, replace(ctx.workflow, dataset_version=training.dataset_version))
    share = train_share(training.configuration)
    chosen = await asyncio.to_thread(sides, ctx.deps.datasets, manifest, train=share)
    places = list(chosen.where("validation")) or list(chosen.where("train"))
    random.Random(0).shuffle(places)
    rows = tuple(
        await asyncio.to_thread(lambda: list(ctx.deps.datasets.pick(manifest, places[: rules.MAX_ROWS])))
    )
    judge = await current_grader(ctx, training.grader_version)
    outcomes = await _both(ctx, rows, (training.base_model, job.model), judge)
    pairs = [_pair(row, before, after) for row, (before, after) in zip(rows, outcomes, strict=True)]
    try:
        found = rules.compare(pairs)
    except ValueError as error:
        return Evaluated(None, str(error), chosen)
    kept = tuple(
        {"record_id": row.id, "topic": row.topic, "before": before, "after": after}
        for row, (before, after) in zip(rows, outcomes, strict=True)
    )
    return Evaluated(found, chosen=chosen, outcomes=kept)


async def _both(
    ctx: StepContext, rows: Sequence[Row], models: tuple[str, str], judge: Judge
) -> list[tuple[Json, Json]]:
    found: dict[tuple[int, int], Json] = {}
    due = [(place, which) for place in range(len(rows)) for which in (0, 1)]
    async with bench(ctx) as opened:

        async def one(item: tuple[int, int]) -> None:
            place, which = item
            name = f"{('base', 'tuned')[which]}.{place}"
            outcome = ctx.done.get(name)
            if outcome is None:
                outcome = await answer_and_grade(ctx, models[which], rows[place], judge, opened)
                await ctx.checkpoint(name, outcome)
            found[item] = outcome
            await ctx.progress(len(found), len(due), f"{len(found)} of {len(due)} answers scored")

        await each(due, one, stop=lambda: False)  # half an evaluation is of no use to anybody
    check_not_all_refused([outcome for (_, which), outcome in found.items() if which == 1])
    return [(found[place, 0], found[place, 1]) for place in range(len(rows))]


def _pair(row: Row, before: Json, after: Json) -> rules.ScoredPair:
    names = [name for name in before["parts"] if name in after["parts"]]
    criteria = {name: (before["parts"][name], after["parts"][name]) for name in names}
    return rules.ScoredPair(before["score"], after["score"], row.topic, criteria)


# ---------------------------------------------------------------- results


async def _completed(ctx: StepContext, training: TrainingSummary, job: TrainingJob, evaluated: Evaluated) -> StepReport:
    found = evaluated.evaluation
    epochs = epochs_of(job, found)
    analysis = training_rules.analyse(epochs)
    best = analysis.checkpoint or job.model
    names = leaf_names(ctx.workflow.topics)
    split = evaluated.chosen.split if evaluated.chosen else None
    facts: Json = {
        "job_id": job.id,
        "status": "completed",
        "model": job.model,
        "base_model": training.base_model,
        "requester": training.requested_by,
        **_figures(found),
        "by_topic": [_line(names.get(topic, topic), change) for topic, change in (found.topics if found else {}).items()][:40],
        "by_criterion": [_line(name, change) for name, change in (found.criteria if found else {}).items()][:12],
        "curve": curve(job, points=60),
        "pattern": analysis.overall,
        "worst_pattern": analysis.worst,
        "topic_patterns": dict(list(analysis.topics.items())[:40]),
        "best_checkpoint": best,
        "next": analysis.next_action,
        "note": evaluated.note,
        "synthetic_validation": bool(split and split.synthetic_validation),
        "leakage": bool(split and split.leakage),
    }
    await save_report(ctx, REPORT, {**facts, "metrics": list(job.metrics), "outcomes": list(evaluated.outcomes)})
    done = replace(
        training,
        status="completed",
        model=job.model,
        pattern=analysis.overall,
        error="",
        report={**_small(facts), "task_id": ctx.task.id},
        unreachable_since=None,
    )
    at, by = ctx.deps.clock(), training.requested_by

    def change(workflow: Workflow) -> Workflow:
        if not _is_ours(workflow, training):
            return flow.record(workflow, by=by, at=at, what=f"late result of job {job.id}: completed")
        return flow.finish(replace(workflow, training=done), "training", summary=_summary(facts), by=by, at=at)

    return StepReport(facts=facts, change=change, view="training_done", summary=_summary(facts))


def _failed(ctx: StepContext, training: TrainingSummary, job: TrainingJob) -> StepReport:
    reason = job.error or "The backend gave no reason."
    facts: Json = {
        "job_id": job.id,
        "status": "failed",
        "error": reason,
        "requester": training.requested_by,
        "pattern": "failed",
        "next": training_rules.NEXT["failed"],
        "curve": curve(job, points=60),
    }
    done = replace(training, status="failed", error=reason, pattern="failed", unreachable_since=None)
    at, by = ctx.deps.clock(), training.requested_by

    def change(workflow: Workflow) -> Workflow:
        if not _is_ours(workflow, training):
            return flow.record(workflow, by=by, at=at, what=f"late result of job {job.id}: failed")
        return flow.fail(replace(workflow, training=done), "training", reason=reason, by=by, at=at)

    return StepReport(facts=facts, change=change, view="training_done", summary="training failed")


def _cancelled(ctx: StepContext, training: TrainingSummary) -> StepReport:
    facts: Json = {"job_id": training.job_id, "status": "cancelled", "requester": training.requested_by}
    done = replace(training, status="cancelled", unreachable_since=None)
    at, by = ctx.deps.clock(), training.requested_by

    def change(workflow: Workflow) -> Workflow:
        if not _is_ours(workflow, training):
            return workflow
        return flow.settle_back(replace(workflow, training=done), "training", by=by, at=at, what="training cancelled")

    return StepReport(facts=facts, change=change, view="training_done", summary="training cancelled")


def _is_ours(workflow: Workflow, training: TrainingSummary) -> bool:
    """False when another job has taken this one's place, or the person has cancelled it meanwhile."""
    now = workflow.training
    return now is not None and now.job_id == training.job_id and now.status != "cancelled"


def _figures(found: rules.Evaluation | None) -> Json:
    if found is None:
        return {"before": None, "after": None, "change": None, "significant": False, "interval": [], "count": 0, "success": False}
    overall = found.overall
    return {
        "before": round(overall.before, 4),
        "after": round(overall.after, 4),
        "change": round(overall.delta, 4),
        "significant": overall.significant,
        "interval": [round(end, 4) for end in overall.interval] if overall.interval else [],
        "p_value": overall.p_value,
        "count": overall.count,
        "skipped": found.skipped,
        "success": found.success,
        "worse_topics": list(found.worse_topics)[:20],
    }


def _line(name: str, change: rules.Change) -> Json:
    return {
        "name": name,
        "before": round(change.before, 4),
        "after": round(change.after, 4),
        "change": round(change.delta, 4),
        "count": change.count,
        "worse": change.worse,
    }


def _small(facts: Json) -> Json:
    kept = ("before", "after", "change", "significant", "interval", "count", "best_checkpoint", "next", "worst_pattern", "success")
    return {name: facts[name] for name in kept if name in facts}


def _summary(facts: Json) -> str:
    if facts["before"] is None:
        return f"{facts['model']} trained, not evaluated"
    return f"{facts['before']:.2f} → {facts['after']:.2f} on {facts['count']} validation rows"


FINISH_TRAINING = Step(
    name="finish_training",
    title="Evaluating the trained model",
    body=run,
    finishes=False,
    timeout_seconds=2 * 3600,
)
