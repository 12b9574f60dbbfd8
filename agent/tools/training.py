"""Tools for training: configure, estimate, start, follow, stop."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict, replace
from typing import Any, Literal, cast

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import NOT_OURS, consent_refusal, head, prices, propose
from storage.records import Json, Workflow
from tasks import training_watch
from tasks import workflow as flow
from tasks.rules import costs
from tasks.rules import training as rules
from tasks.step import Draft, Need
from tasks.steps.splitting import test_set
from tasks.steps.start_training import training_digest
from tasks.trainers.port import TrainerError

Method = Literal["rft", "sft", "dpo"]
METHODS: dict[str, rules.Method] = {"rft": "reinforcement", "sft": "supervised", "dpo": "preference"}
PROVIDER_SETTINGS = {  # named as providers name them; they travel to the provider as they are
    "batch_size",
    "learning_rate_multiplier",
    "compute_multiplier",
    "eval_interval",
    "eval_samples",
    "beta",
}
ACTIVE = ("pending", "queued", "running", "paused")
TRAINING_NEEDS: tuple[Need, ...] = ("valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict")


@tool(title="Configuring the training", needs=("valid_rows",))
async def configure_training(
    ctx: ToolContext,
    *,
    model_base: str = "",
    approach: Literal["full", "lora", "qlora", "prompt_tuning", "api"] = "api",
    method: Method = "rft",
    template: Literal["default", "efficient", "quality"] = "default",
    hyperparameters: dict[str, Any] | None = None,
) -> ToolResult:
    """Set how the model is trained. Free; nothing starts. Answers with the settings and a rough estimate.

    Parameters:
        model_base: The model to train; empty keeps the house's base model.
        approach: api trains at the provider; the others on own hardware.
        method: rft learns from the grader, sft from reference answers, dpo from preferences.
        template: A set of defaults.
        hyperparameters: Settings that differ from the template, such as {"epochs": 3, "learning_rate": 1e-5}.
    """
    if model_base.startswith("ft:") and model_base not in _own_models(ctx.flow):
        return failed(NOT_OURS)
    base = rules.default_configuration(METHODS[method], approach, template)
    given = dict(hyperparameters or {})
    provider = {
        name: given.pop(name) for name in list(given) if approach == "api" and name in PROVIDER_SETTINGS
    }
    known = set(asdict(base)) - {"method", "approach"}
    wrong = sorted(set(given) - known)
    if wrong:
        listed = ", ".join(sorted(known | (PROVIDER_SETTINGS if approach == "api" else set())))
        return failed(
            f"There is no setting {', '.join(wrong)}; there are {listed}. Call it again with this changed."
        )
    try:
        wanted = replace(base, **{name: type(getattr(base, name))(value) for name, value in given.items()})
    except (TypeError, ValueError):
        return failed("A setting is not of the right type. Call it again with numbers where numbers belong.")
    problems = rules.check_configuration(wanted)
    if problems:
        return failed(" ".join(problem.message for problem in problems) + " Call it again with this changed.")
    stored: Json = {**asdict(wanted), "lora_targets": list(wanted.lora_targets), "hyperparameters": provider}
    stored["model_base"] = model_base.strip() or ctx.deps.settings.base_model
    at = ctx.desk.clock()

    def changed(current: Workflow) -> Workflow:
        if current.configuration == stored:
            return current
        configured = replace(current, configuration=stored)
        return flow.record(
            configured, by=ctx.actor.id, at=at, what="training configured", evidence=ctx.evidence
        )

    now = await ctx.desk.update(ctx.tenant, ctx.flow.id, changed)
    return ok(configuration=stored, estimate=await _cost(ctx, _configuration(ctx, now)))


@tool(title="Estimating resources", needs=("valid_rows",))
async def estimate_resources(ctx: ToolContext) -> ToolResult:
    """Roughly what a training would need: cost with its band, and GPU memory where the model's size can be read from its name."""
    configuration = _configuration(ctx, ctx.flow)
    return ok(
        estimate=await _cost(ctx, configuration),
        gpu=_memory(configuration),
        approach=configuration["approach"],
    )


@tool(title="Training", needs=TRAINING_NEEDS)
async def start_training(
    ctx: ToolContext,
    *,
    train_split: float = 0.9,
    epochs: int | None = None,
    reasoning_effort: Literal["low", "medium", "high"] = "medium",
    trainer: str = "",
    resume_from: str = "",
) -> ToolResult:
    """Propose to train. The card shows rows, settings and cost; somebody who may approves it, then it starts.

    Parameters:
        train_split: Share of the rows to train on; the rest validates.
        epochs: Passes over the rows; leave it out for the configured number.
        reasoning_effort: For reinforcement on reasoning models.
        trainer: A training backend by name; empty takes the configured one.
        resume_from: A checkpoint to go on from.
    """
    training = ctx.flow.training
    if training and training.status in ACTIVE:
        return ok(
            status="already_running",
            job_id=training.job_id,
            note="A training is under way; nothing was proposed.",
        )
    if resume_from and resume_from not in _own_models(ctx.flow):
        return failed(NOT_OURS)
    backend = trainer or ("openai" if ctx.deps.settings.trainer == "auto" else ctx.deps.settings.trainer)
    if backend not in ctx.deps.trainers:
        return failed(
            f"There is no training backend {backend[:40]!r}; there are {', '.join(ctx.deps.trainers)}."
        )
    params: Json = {
        "train_split": train_split,
        "epochs": epochs or _configuration(ctx, ctx.flow)["epochs"],
        "reasoning_effort": reasoning_effort,
        "trainer": backend,
        "resume_from": resume_from,
    }
    wanted = {**_configuration(ctx, ctx.flow), **params}
    problems = rules.check_configuration(_as_rules(wanted))
    if problems:
        return failed(" ".join(problem.message for problem in problems) + " Call it again with this changed.")
    return await consent_refusal(ctx) or await _propose_training(ctx, wanted, params)


def _own_models(workflow: Workflow) -> set[str]:
    """What this workflow trained. A provider's key opens every team's models, so names alone prove nothing."""
    training = workflow.training
    return {training.model, str(training.report.get("best_checkpoint") or "")} - {""} if training else set()


async def _propose_training(ctx: ToolContext, wanted: Json, params: Json) -> ToolResult:
    cost = await _cost(ctx, wanted)
    valid = ctx.flow.valid_rows
    locked = await asyncio.to_thread(test_set, ctx.deps.blobs, ctx.tenant, ctx.flow.dataset_id)
    validation = max(1, int(valid * (1 - wanted["train_split"]) + 1e-9))
    train = max(0, valid - validation - (len(locked.ids) if locked else 0))
    warnings = _training_warnings(ctx, params)
    payload: Json = {
        "params": params,
        "base_model": wanted["resume_from"] or wanted["model_base"],
        "method": wanted["method"],
        "rows": {"train": train, "validation": validation},
        "hyperparameters": _shown_settings(wanted),
        "cost": cost,
        "warnings": warnings,
    }
    draft = Draft(
        "training", f"Train {payload['base_model'][:100]}", payload, ceiling_usd=cost["ceiling"] or 0.0
    )
    return await propose(ctx, draft, rows=payload["rows"], cost=cost, warnings=warnings)


def _training_warnings(ctx: ToolContext, params: Json) -> list[str]:
    workflow = ctx.flow
    warnings = []
    merged = {**ctx.deps.settings.training, **workflow.configuration, **params}
    if workflow.training and workflow.training.digest == training_digest(workflow, merged):
        warnings.append("Nothing has changed since the last training: the result will be much the same.")
    run = flow.current_dry_run(workflow)
    if run and run.verdict != "GO":
        by = f", overridden by <@{run.overridden_by}>" if run.overridden_by else ""
        warnings.append(f"The dry run said {run.verdict} (mean {run.mean:.2f}){by}.")
    skipped = [flow.STEP_TITLES[step] for step in flow.SKIPPABLE if workflow.steps[step].status == "skipped"]
    if skipped:
        warnings.append(f"Skipped: {', '.join(skipped)}; quality may suffer.")
    return warnings


def _shown_settings(wanted: Json) -> Json:
    if wanted["approach"] == "api":
        names = ["epochs", "train_split"] + (
            ["reasoning_effort"] if wanted["method"] == "reinforcement" else []
        )
    else:
        names = [
            "epochs",
            "learning_rate",
            "batch_size",
            "accumulation",
            "lora_r",
            "lora_alpha",
            "train_split",
        ]
    return {name: wanted[name] for name in names}


def _configuration(ctx: ToolContext, workflow: Workflow) -> Json:
    """Defaults of a training at a provider, the house's over them, the workflow's over both."""
    base = rules.default_configuration("reinforcement", "api")
    defaults: Json = {**asdict(base), "hyperparameters": {}, "model_base": ctx.deps.settings.base_model}
    merged = {**defaults, **ctx.deps.settings.training, **workflow.configuration}
    return {**merged, "method": METHODS.get(merged["method"], merged["method"])}


def _as_rules(configuration: Json) -> rules.Configuration:
    known = {
        name: value
        for name, value in configuration.items()
        if name in rules.Configuration.__dataclass_fields__
    }
    return rules.Configuration(**{**known, "lora_targets": tuple(known.get("lora_targets", ()))})


async def _cost(ctx: ToolContext, configuration: Json) -> Json:
    totals = (await head(ctx)).totals
    model = configuration["model_base"]
    estimate = costs.estimate_training(
        prices(ctx, training=model),
        model,
        rows=max(1, int(ctx.flow.valid_rows * configuration["train_split"])),
        epochs=configuration["epochs"],
        average_tokens=(totals.input_tokens + totals.output_tokens) / max(1, totals.valid),
        reinforcement=configuration["method"] == "reinforcement",
    )
    return {
        "low": estimate.low,
        "expected": estimate.usd,
        "high": estimate.high,
        "ceiling": estimate.high,
        "formula": estimate.formula,
        "as_of": ctx.deps.settings.price(model).as_of,
        "assumptions": list(estimate.assumptions),
    }


def _memory(configuration: Json) -> Json | None:
    """GPU memory for own hardware, from a size in the model's name ("7b"); None for a provider or an unknown size."""
    size = re.search(r"(\d+(?:\.\d+)?)\s*b\b", configuration["model_base"].casefold().replace("-", " "))
    if configuration["approach"] == "api" or size is None:
        return None
    estimate = costs.estimate_memory(
        _shape(float(size[1]) * 1e9),
        approach=cast(costs.Approach, configuration["approach"]),
        batch_size=configuration["batch_size"],
        lora_r=configuration["lora_r"],
    )
    low, high = (round(value / costs.GIB, 1) for value in (estimate.low, estimate.high))
    return {
        "memory_gib": [low, high],
        "recommended": estimate.recommended,
        "assumptions": list(estimate.assumptions),
    }


def _shape(parameters: float) -> costs.ModelShape:
    """A usual transformer of that size: about 12 · layers · hidden² parameters with hidden ≈ 128 · layers."""
    layers = max(8, round((parameters / (12 * 128**2)) ** (1 / 3)))
    hidden = 128 * layers
    return costs.ModelShape(parameters, hidden, 4 * hidden, layers, hidden // 4, 128_000)


@tool(title="Training status", needs=())
async def check_training_status(ctx: ToolContext) -> ToolResult:
    """How the training stands: status, progress, latest figures. For "how far is it?"; reads what was last reported."""
    training = ctx.workflow.training if ctx.workflow else None
    if training is None:
        return failed("Nothing has been trained in this thread yet.", next="start_training")
    facts: Json = {
        "job_id": training.job_id,
        "status": training.status,
        "base_model": training.base_model,
        "model": training.model,
        "progress": training.progress,
        "error": training.error,
        "pattern": training.pattern,
        "unreachable_since": training.unreachable_since,
    }
    return ok(**facts)


@tool(title="Cancelling", needs=())
async def cancel_job(ctx: ToolContext, *, job_id: str = "") -> ToolResult:
    """Stop a running job, or the training. What is already done is kept and counted.

    Parameters:
        job_id: Which one; empty stops everything that runs in this thread.
    """
    if ctx.workflow is None:
        return failed("Nothing runs in this thread.")
    stopped = []
    for task in await ctx.desk.open_tasks(ctx.tenant, ctx.workflow.id):
        if job_id in ("", task.id) and await ctx.desk.request_cancel(ctx.tenant, task.id, by=ctx.actor.id):
            stopped.append({"job_id": task.id, "operation": task.operation})
    training = ctx.workflow.training
    if training and training.status in ACTIVE and job_id in ("", training.job_id):
        try:
            await training_watch.cancel(ctx.deps, ctx.desk, ctx.tenant, ctx.workflow, by=ctx.actor.id)
        except TrainerError as error:
            return failed(f"The training backend would not stop it: {error}", stopping=stopped)
        stopped.append({"job_id": training.job_id, "operation": "training"})
    if not stopped:
        return failed("No such job is running in this thread.")
    return ok(
        stopping=stopped, note="Asked to stop; the card says when it has. What was made so far is kept."
    )


TRAINING_TOOLS = (
    configure_training,
    estimate_resources,
    start_training,
    check_training_status,
    cancel_job,
)
