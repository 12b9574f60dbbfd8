"""What came of a training job: base and tuned model on the same validation rows, the curve, the pattern, what to do next.

Started by `tasks/training_watch.py` once a job has ended, on a worker, because evaluating takes model calls. It moves the
training step itself, since a failed job is a result here and not a failure of this task. Whatever cannot be measured is said
and left out: a model that was paid for is never lost to an evaluation that did not work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from storage.manifests import Manifest
from storage.records import Json, TrainingSummary, Workflow
from storage.rows import Row
from tasks import workflow as flow
from tasks.models.port import ModelUnavailable
from tasks.rules import evaluation as rules
from tasks.rules.sampling import stratified_sample
from tasks.rules.splits import Split
from tasks.rules.training import NEXT
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.answering import Judge, answer_and_grade, bench, current_grader
from tasks.steps.common import cut, manifest_of, may_send_rows, save_report
from tasks.steps.curve import Measured, curve, epochs_of, judged, points
from tasks.steps.parallel import each
from tasks.steps.splitting import sides
from tasks.steps.training_report import figures, small, summary_of, tables
from tasks.steps.upload_dataset import train_share
from tasks.trainers.port import JobStatus, TrainerRefused, TrainingJob

REPORT = "evaluation"
CURVE_POINTS = 60
WAITS_FOR_MODEL = (
    8  # attempts that wait for a fresh model to answer at all; then it goes on without a comparison
)
UNREACHABLE_AFTER = 15  # attempts, of the twenty that a task has
BASE, TUNED = "base", "tuned"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """`measured` None: nothing could be compared, and `note` says why."""

    measured: Measured | None = None
    note: str = ""
    split: Split | None = None
    outcomes: tuple[Json, ...] = ()


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `job_id`, and `status`, `model`, `error` as the watch saw them. Raises `TrainerUnavailable`, `ModelUnavailable`."""
    training = ctx.workflow.training
    if training is None or training.job_id != params.get("job_id"):
        return StepReport(facts={"job_id": params.get("job_id"), "status": "superseded"}, say=False)
    job = await _job(ctx, training, params)
    if job.status == "failed":
        return _failed(ctx, training, job)
    if job.status == "cancelled":
        return _cancelled(ctx, training)
    model = _proposed(job)
    return await _completed(ctx, training, job, model, await _evaluated(ctx, training, model))


async def _job(ctx: StepContext, training: TrainingSummary, params: Json) -> TrainingJob:
    """The job with its numbers; only what the watch saw of it where the backend does not know it any more."""
    status: JobStatus = params.get("status") or training.status
    try:
        found = await ctx.deps.trainers[training.trainer].get(training.job_id)
    except (TrainerRefused, KeyError):
        found = TrainingJob(
            training.job_id, status, str(params.get("model") or ""), str(params.get("error") or "")
        )
    return replace(found, status=status)


def _proposed(job: TrainingJob) -> str:
    """The model that is measured and offered: the best checkpoint of a run that overfitted, else the last."""
    found = judged(epochs_of(job), None)
    return found.checkpoint if found.overall == "overfitting" and found.checkpoint else job.model


# ---------------------------------------------------------------- before and after


async def _evaluated(ctx: StepContext, training: TrainingSummary, model: str) -> Evaluated:
    """The comparison, or why there is none. Raises `ModelUnavailable` while waiting may help."""
    if not await may_send_rows(ctx):
        return Evaluated(note="Not compared: rows may not be sent to the provider.")
    try:
        judge = await current_grader(ctx, training.grader_version)
        manifest = await _trained_on(ctx, training)
    except StepError as error:  # deleted in the meantime; the model is there all the same
        return Evaluated(note=f"Not compared: {error}")
    share = train_share(training.configuration)
    rows, split = await asyncio.to_thread(_validation_rows, ctx, manifest, share)
    if not rows:
        return Evaluated(note="Not compared: there is no validation row.", split=split)
    try:
        found = await _answers(ctx, rows, {BASE: training.base_model, TUNED: model}, judge)
    except ModelUnavailable:
        if ctx.task.attempt < UNREACHABLE_AFTER:
            raise
        return Evaluated(note="Not compared: the model server does not answer.", split=split)
    return _compared(rows, found, split)


async def _trained_on(ctx: StepContext, training: TrainingSummary) -> Manifest:
    dataset_id = str(training.configuration.get("dataset_id") or ctx.workflow.dataset_id)
    pinned = replace(ctx.workflow, dataset_id=dataset_id, dataset_version=training.dataset_version)
    return await manifest_of(ctx, pinned)


def _validation_rows(ctx: StepContext, manifest: Manifest, share: float) -> tuple[tuple[Row, ...], Split]:
    """At most 100 rows of the side that the backend validated with, each topic in proportion."""
    began = ctx.workflow.training.started_at if ctx.workflow.training else None
    chosen = sides(ctx.deps.datasets, manifest, train=share, blobs=ctx.deps.blobs, before=began)
    rows = tuple(ctx.deps.datasets.pick(manifest, chosen.where("validation")))
    kept = stratified_sample([row.topic for row in rows], rules.MAX_ROWS, seed=0)
    return tuple(rows[index] for index in kept), chosen.split


async def _answers(
    ctx: StepContext, rows: Sequence[Row], models: dict[str, str], judge: Judge
) -> dict[tuple[int, str], Json]:
    """Scored answers by row and side, as far as nobody stopped it. Refusals cost nothing and are asked again after a restart."""
    found: dict[tuple[int, str], Json] = {}
    due = [(place, side) for place in range(len(rows)) for side in models]
    async with bench(ctx) as opened:

        async def one(item: tuple[int, str]) -> None:
            place, side = item
            outcome = ctx.done.get(f"{side}.{place}")
            if outcome is None:
                outcome = await answer_and_grade(ctx, models[side], rows[place], judge, opened)
                if not outcome["refused"]:
                    await ctx.checkpoint(f"{side}.{place}", outcome)
            found[item] = outcome
            await ctx.progress(len(found), len(due), f"{len(found)} of {len(due)} answers scored")

        await each(due, one, stop=ctx.cancelled)
    tuned = [outcome for (_, side), outcome in found.items() if side == TUNED]
    if tuned and all(outcome["refused"] for outcome in tuned) and ctx.task.attempt < WAITS_FOR_MODEL:
        raise ModelUnavailable(f"{models[TUNED]} does not answer yet")
    return found


def _compared(rows: Sequence[Row], found: dict[tuple[int, str], Json], split: Split) -> Evaluated:
    both = [place for place in range(len(rows)) if (place, BASE) in found and (place, TUNED) in found]
    pairs = [_pair(rows[place], found[place, BASE], found[place, TUNED]) for place in both]
    kept = tuple(
        {
            "record_id": rows[place].id,
            "topic": rows[place].topic,
            BASE: found[place, BASE],
            TUNED: found[place, TUNED],
        }
        for place in both
    )
    try:
        evaluation = rules.compare(pairs)
    except ValueError:
        note = "Not compared: no row was scored both before and after. The grader or one of the models gave no answers."
        return Evaluated(note=note, split=split, outcomes=kept)
    lengths = (_mean_length(kept, BASE), _mean_length(kept, TUNED))
    note = "" if len(both) == len(rows) else f"Stopped: compared on {len(both)} of {len(rows)} rows."
    return Evaluated(Measured(evaluation, lengths), note, split, kept)


def _pair(row: Row, before: Json, after: Json) -> rules.ScoredPair:
    names = [name for name in before["parts"] if name in after["parts"]]
    criteria = {name: (before["parts"][name], after["parts"][name]) for name in names}
    return rules.ScoredPair(before["score"], after["score"], row.topic, criteria)


def _mean_length(outcomes: Sequence[Json], side: str) -> float:
    return fmean(float(one[side].get("length", len(one[side]["response"]))) for one in outcomes)


# ---------------------------------------------------------------- results


async def _completed(
    ctx: StepContext, training: TrainingSummary, job: TrainingJob, model: str, evaluated: Evaluated
) -> StepReport:
    measured, split = evaluated.measured, evaluated.split
    evaluation = measured.evaluation if measured else None
    analysis = judged(epochs_of(job), measured)
    facts: Json = {
        "job_id": job.id,
        "status": "completed",
        "model": model,
        "last_model": job.model,
        "base_model": training.base_model,
        "requester": training.requested_by,
        **figures(evaluation),
        **tables(evaluation, analysis, ctx.workflow.topics),
        "curve": curve(job, most=CURVE_POINTS),
        "pattern": analysis.overall,
        "worst_pattern": analysis.worst,
        "best_checkpoint": analysis.checkpoint or job.model,
        "next": analysis.next_action,
        "note": evaluated.note,
        "synthetic_validation": bool(split and split.synthetic_validation),
        "leakage": bool(split and split.leakage),
    }
    await save_report(ctx, REPORT, {**facts, "metrics": points(job), "outcomes": list(evaluated.outcomes)})
    done = replace(
        training,
        status="completed",
        model=model,
        pattern=analysis.overall,
        error="",
        report={**small(facts), "task_id": ctx.task.id},
        unreachable_since=None,
    )
    at, summary = ctx.deps.clock(), summary_of(facts)

    def change(workflow: Workflow) -> Workflow:
        if not _is_ours(workflow, training):
            return _late(workflow, training, "completed", at)
        finished = replace(workflow, training=done)
        return flow.finish(finished, "training", summary=summary, by=training.requested_by, at=at)

    return StepReport(facts=facts, change=change, view="training_done", summary=summary)


def _failed(ctx: StepContext, training: TrainingSummary, job: TrainingJob) -> StepReport:
    reason = cut(job.error or training.error or "The backend gave no reason.", 500)
    facts: Json = {
        "job_id": job.id,
        "status": "failed",
        "error": reason,
        "message": "The training failed at the backend. Rows, grader and dry run are kept, so it can be started again.",
        "requester": training.requested_by,
        "pattern": "failed",
        "next": NEXT["failed"],
        "curve": curve(job, most=CURVE_POINTS),
    }
    done = replace(training, status="failed", error=reason, pattern="failed", unreachable_since=None)
    at = ctx.deps.clock()

    def change(workflow: Workflow) -> Workflow:
        if not _is_ours(workflow, training):
            return _late(workflow, training, "failed", at)
        words = f"The training failed at the backend: {reason}"
        return flow.fail(
            replace(workflow, training=done), "training", reason=words, by=training.requested_by, at=at
        )

    back = _given_back(training, 0.0)
    return StepReport(
        facts=facts, change=change, view="training_done", summary="the training failed", cost_usd=back
    )


def _cancelled(ctx: StepContext, training: TrainingSummary) -> StepReport:
    facts: Json = {
        "job_id": training.job_id,
        "status": "cancelled",
        "requester": training.requested_by,
        "next": "start_training",
    }
    done = replace(training, status="cancelled", unreachable_since=None)
    at, by = ctx.deps.clock(), training.requested_by

    def change(workflow: Workflow) -> Workflow:
        if not _is_ours(workflow, training):
            return _late(workflow, training, "cancelled", at)
        settled = replace(workflow, training=done)
        return flow.settle_back(settled, "training", by=by, at=at, what="training stopped")

    back = _given_back(training, float(training.progress.get("share") or 0.0))
    return StepReport(
        facts=facts, change=change, view="training_done", summary="training stopped", cost_usd=back
    )


def _given_back(training: TrainingSummary, share: float) -> float:
    """What the start counted toward the budget and the backend will not bill, as a negative amount."""
    return -(1 - min(1.0, max(0.0, share))) * float(training.configuration.get("estimate_usd") or 0.0)


def _is_ours(workflow: Workflow, training: TrainingSummary) -> bool:
    """False when another job has taken this one's place, or a person has stopped it since."""
    now = workflow.training
    return now is not None and now.job_id == training.job_id and now.status == training.status


def _late(workflow: Workflow, training: TrainingSummary, status: str, at: float) -> Workflow:
    what = f"training job {training.job_id} {status}, after it had been replaced or stopped"
    return flow.record(workflow, by=training.requested_by, at=at, what=what)


FINISH_TRAINING = Step(
    name="finish_training",
    title="Evaluating the trained model",
    body=run,
    step="training",
    finishes=False,
    timeout_seconds=2 * 3600,
)
