"""Starts the training job that people approved: the intent first, then the provider, under one key.

The key is the task's id, which comes from the approved proposal: whoever repeats this after a crash finds the job instead of
paying for a second one. Watching the job is `tasks/training_watch.py`'s work; judging it is `finish_training.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.records import Json, TrainingSummary, Workflow
from tasks import graders
from tasks.drafting import digest
from tasks.graders.port import NotExportable
from tasks.rules import costs
from tasks.rules.training import Method
from tasks.step import Cancelled, Step, StepContext, StepError, StepReport
from tasks.steps.answering import Judge, current_grader
from tasks.steps.common import backend, newest_workflow, pinned_manifest, require_sending
from tasks.steps.splitting import leakage_facts
from tasks.steps.upload_dataset import Files, ensure_files, method_of, train_share
from tasks.trainers.port import Trainer, TrainerRefused, TrainingJob, TrainingRequest

EPOCHS = 2
EFFORT = "medium"
ACTIVE = ("pending", "queued", "running", "paused")
NOT_AVAILABLE = "training_not_available"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the backend. `begin_from` is the base model, or the checkpoint that training goes on from."""

    trainer: Trainer
    base_model: str
    begin_from: str
    method: Method
    train_share: float
    hyperparameters: Json
    configuration: Json


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params, each over the configuration's: `train_split` 0.9, `epochs`, `reasoning_effort`, `trainer`, `resume_from`,
    `method`, `model_base`, `hyperparameters` (by the provider's names). Raises `TrainerUnavailable`, `StepError`."""
    running = (await newest_workflow(ctx)).training
    if running is not None and running.status in ACTIVE:
        return _already(running)
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    plan = _plan(ctx, params)
    judge = await current_grader(ctx)
    files = await ensure_files(ctx, plan.trainer, manifest, method=plan.method, train=plan.train_share)
    request = _request(ctx, plan, files, judge)
    await ctx.checkpoint(
        "intent", {"key": request.key, "trainer": plan.trainer.name, "model": plan.begin_from}
    )
    job = await _created(ctx, plan.trainer, request)
    return _report(ctx, plan, files, job, judge.number)


def _already(running: TrainingSummary) -> StepReport:
    facts: Json = {
        "status": "already_running",
        "job_id": running.job_id,
        "message": "A training of this workflow is under way already, so no second one was started.",
    }
    return StepReport(facts=facts, summary="a training is under way already")


def _plan(ctx: StepContext, params: Json) -> Plan:
    settings = ctx.deps.settings
    given = {name: value for name, value in params.items() if value is not None}
    configuration = {**settings.training, **ctx.workflow.configuration, **given}
    method = method_of(replace(ctx.workflow, configuration=configuration))
    hyperparameters = dict(configuration.get("hyperparameters") or {})
    hyperparameters.setdefault("n_epochs", int(configuration.get("epochs") or EPOCHS))
    if method == "reinforcement":
        hyperparameters.setdefault("reasoning_effort", str(configuration.get("reasoning_effort") or EFFORT))
    base = str(configuration.get("model_base") or settings.base_model)
    return Plan(
        trainer=backend(ctx, str(configuration.get("trainer") or "auto")),
        base_model=base,
        begin_from=str(configuration.get("resume_from") or base),
        method=method,
        train_share=train_share(configuration),
        hyperparameters=hyperparameters,
        configuration=configuration,
    )


def _request(ctx: StepContext, plan: Plan, files: Files, judge: Judge) -> TrainingRequest:
    return TrainingRequest(
        key=ctx.task.id,
        base_model=plan.begin_from,
        method=plan.method,
        training_file=files.training_id,
        validation_file=files.validation_id,
        grader=_exported(ctx, judge),
        hyperparameters=plan.hyperparameters,
        suffix=ctx.workflow.name,
    )


def _exported(ctx: StepContext, judge: Judge) -> Json:
    try:
        return graders.to_openai(judge.kind, judge.config, model=ctx.deps.settings.judge_model)
    except NotExportable as error:
        raise StepError(str(error), code="grader_not_exportable", next="configure_grader") from error


async def _created(ctx: StepContext, trainer: Trainer, request: TrainingRequest) -> TrainingJob:
    """The job, made or found again. Who stops the task while it is being made stops the job, too."""
    if ctx.cancelled():
        raise Cancelled
    try:
        job = await trainer.create(request)
        if ctx.cancelled():
            await trainer.cancel(job.id)
            raise Cancelled
    except TrainerRefused as error:
        raise _refused(error) from error
    return job


def _refused(error: TrainerRefused) -> StepError:
    if error.code != NOT_AVAILABLE:
        return StepError(str(error), code=error.code or "trainer_refused", next="configure_training")
    words = (
        f"{error} Nothing is lost: rows, topics, grader and dry run stay, and the rows can be exported as JSONL now "
        "and trained elsewhere."
    )
    return StepError(words, code=NOT_AVAILABLE, next="export_dataset")


def _report(ctx: StepContext, plan: Plan, files: Files, job: TrainingJob, grader_version: int) -> StepReport:
    split, cost = files.sides.split, _estimate(ctx, plan, files)
    summary = TrainingSummary(
        job_id=job.id,
        trainer=plan.trainer.name,
        status=job.status
        if job.status in ACTIVE
        else "pending",  # the watch settles a job that is over already
        base_model=plan.base_model,
        configuration={
            **plan.configuration,
            "method": plan.method,
            "train_split": plan.train_share,
            "hyperparameters": plan.hyperparameters,
            "dataset_id": ctx.workflow.dataset_id,
            "estimate_usd": cost,
        },
        digest=training_digest(ctx.workflow, plan.configuration),
        dataset_version=ctx.workflow.dataset_version,
        grader_version=grader_version,
        requested_by=ctx.task.by,
        started_at=ctx.deps.clock(),
    )

    def change(workflow: Workflow) -> Workflow:
        return replace(workflow, training=summary)

    facts: Json = {
        "job_id": job.id,
        "base_model": plan.begin_from,
        "method": plan.method,
        "train_count": files.train_count,
        "validation_count": files.validation_count,
        "hyperparameters": plan.hyperparameters,
        "synthetic_validation": split.synthetic_validation,
        "leakage": split.leakage,
        "leakage_report": leakage_facts(files.sides),
        "estimate_usd": cost,
    }
    words = f"training {plan.begin_from} on {files.train_count:,} rows"
    return StepReport(facts=facts, change=change, view="training_started", summary=words, cost_usd=cost)


def training_digest(workflow: Workflow, configuration: Json) -> str:
    """What makes one training like another: "train again" with the same digest changes nothing."""
    return digest(
        {
            "dataset": [workflow.dataset_id, workflow.dataset_version],
            "grader": workflow.grader_version,
            "configuration": configuration,
        }
    )


def _estimate(ctx: StepContext, plan: Plan, files: Files) -> float:
    """Counted toward the budget at once, since providers bill later; the same formula as on the approved card."""
    price = ctx.deps.settings.price(plan.base_model)
    totals = files.sides.manifest.totals
    table = costs.PriceTable(
        as_of=price.as_of,
        training={plan.trainer.name: costs.TrainingPrice(per_million_tokens=price.training)},
    )
    found = costs.estimate_training(
        table,
        plan.trainer.name,
        rows=files.train_count,
        epochs=_whole(plan.hyperparameters.get("n_epochs"), EPOCHS),
        average_tokens=(totals.input_tokens + totals.output_tokens) / max(1, totals.valid),
        reinforcement=plan.method == "reinforcement",
    )
    return found.usd or 0.0


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise


START_TRAINING = Step(
    name="start_training",
    title="Starting the training",
    body=run,
    step="training",
    finishes=False,
    needs=("valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict"),
    timeout_seconds=3600,
)
