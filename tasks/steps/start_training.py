"""Starts the training job that people approved: the intent first, then the provider, under one key.

The key is the task's id, which comes from the approved proposal: whoever repeats this after a crash finds the job instead of paying
for a second one. Watching the job is `tasks/training_watch.py`'s work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.records import Json, TrainingSummary, Workflow
from tasks import graders
from tasks.drafting import digest
from tasks.models.port import ModelUnavailable
from tasks.rules import costs
from tasks.rules.training import Method
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.answering import current_grader
from tasks.steps.common import pinned_manifest, require_sending
from tasks.steps.upload_dataset import Files, ensure_files, method_of, train_share
from tasks.trainers.port import Trainer, TrainerRefused, TrainerUnavailable, TrainingJob, TrainingRequest

EPOCHS = 2
EFFORT = "medium"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the backend."""

    trainer: Trainer
    base_model: str
    method: Method
    train_share: float
    hyperparameters: Json
    configuration: Json


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `train_split` 0.9, `epochs`, `reasoning_effort`, `trainer`, `resume_from`; each over the configuration's."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    plan = _plan(ctx, params)
    judge = await current_grader(ctx)
    files = await ensure_files(ctx, plan.trainer, manifest, method=plan.method, train=plan.train_share)
    request = TrainingRequest(
        key=ctx.task.id,
        base_model=plan.base_model,
        method=plan.method,
        training_file=files.training_id,
        validation_file=files.validation_id,
        grader=graders.to_openai(judge.kind, judge.config, model=ctx.deps.settings.judge_model),
        hyperparameters=plan.hyperparameters,
        suffix=ctx.workflow.name,
    )
    await ctx.checkpoint("intent", {"key": request.key, "trainer": plan.trainer.name, "base_model": plan.base_model})
    await ctx.progress(3, 3, "starting the job")
    return _report(ctx, plan, files, await _created(plan.trainer, request), judge.number)


def _plan(ctx: StepContext, params: Json) -> Plan:
    settings = ctx.deps.settings
    configuration = {**settings.training, **ctx.workflow.configuration, **{k: v for k, v in params.items() if v is not None}}
    if configuration.get("trainer") in (None, "", "auto"):
        trainer = ctx.deps.trainer()
    elif configuration["trainer"] in ctx.deps.trainers:
        trainer = ctx.deps.trainers[configuration["trainer"]]
    else:
        offered = ", ".join(ctx.deps.trainers)
        raise StepError(f"There is no training backend {configuration['trainer']!r}; there are: {offered}.", code="trainer")
    workflow = replace(ctx.workflow, configuration=configuration)
    method = method_of(workflow)
    hyperparameters = dict(configuration.get("hyperparameters") or {})
    hyperparameters.setdefault("n_epochs", int(configuration.get("epochs") or EPOCHS))
    if method == "reinforcement":
        hyperparameters.setdefault("reasoning_effort", str(configuration.get("reasoning_effort") or EFFORT))
    base = str(configuration.get("resume_from") or configuration.get("model_base") or settings.base_model)
    return Plan(trainer, base, method, train_share(configuration), hyperparameters, configuration)


async def _created(trainer: Trainer, request: TrainingRequest) -> TrainingJob:
    try:
        return await trainer.create(request)
    except TrainerUnavailable as error:
        raise ModelUnavailable(str(error)) from error
    except TrainerRefused as error:
        raise StepError(str(error), code=error.code or "trainer_refused", next="configure_training") from error


def _report(ctx: StepContext, plan: Plan, files: Files, job: TrainingJob, grader_version: int) -> StepReport:
    split = files.sides.split
    summary = TrainingSummary(
        job_id=job.id,
        trainer=plan.trainer.name,
        status="pending" if job.status in ("completed", "failed", "cancelled") else job.status,  # the watch settles those
        base_model=plan.base_model,
        configuration={
            **plan.configuration,
            "method": plan.method,
            "train_split": plan.train_share,
            "hyperparameters": plan.hyperparameters,
        },
        digest=training_digest(ctx.workflow, plan.configuration),
        dataset_version=ctx.workflow.dataset_version,
        grader_version=grader_version,
        requested_by=ctx.task.by,
        started_at=ctx.deps.clock(),
        progress={"train_count": files.train_count, "validation_count": files.validation_count},
    )

    def change(workflow: Workflow) -> Workflow:
        return replace(workflow, training=summary)

    facts: Json = {
        "job_id": job.id,
        "base_model": plan.base_model,
        "method": plan.method,
        "train_count": files.train_count,
        "validation_count": files.validation_count,
        "hyperparameters": plan.hyperparameters,
        "synthetic_validation": split.synthetic_validation,
        "leakage": split.leakage,
    }
    return StepReport(
        facts=facts,
        change=change,
        view="training_started",
        summary=f"training {plan.base_model} on {files.train_count:,} rows",
        cost_usd=_estimate(ctx, plan, files),
    )


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
        as_of=price.as_of, training={plan.trainer.name: costs.TrainingPrice(per_million_tokens=price.training)}
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
