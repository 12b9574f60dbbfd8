"""Tools around a trained model: deploy it, override what speaks against it, try it beside the base model."""

from __future__ import annotations

from typing import Literal

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import NOT_OURS, propose, start
from storage.records import TrainingSummary, Workflow
from tasks.rules import training as rules
from tasks.step import Draft


@tool(title="Deploying", needs=("trained_model",))
async def deploy_model(
    ctx: ToolContext,
    *,
    deployment_mode: Literal["new_endpoint", "replace_gateway", "ab_test"] = "new_endpoint",
    model: str = "",
    alias: str = "",
    split: float | None = None,
) -> ToolResult:
    """Propose to put the trained model on an address of its own. A person confirms it on the card.

    Parameters:
        deployment_mode: new_endpoint leaves everything that answers today as it is; the others are not available yet.
        model: The best checkpoint of a run that overfitted, instead of its last; otherwise empty.
        alias: Only for the other modes.
        split: Only for the other modes.
    """
    training = ctx.flow.training
    assert training is not None  # noqa: S101  the need "trained_model" was checked
    if deployment_mode != "new_endpoint" or alias or split is not None:
        return failed("Only new_endpoint, without alias and split, is available yet. Offer that.")
    refusal = _deployment_refusal(training, model)
    if refusal:
        return refusal
    chosen = model or training.model
    params = {"deployment_mode": deployment_mode, **({"model": model} if model else {})}
    warnings = _deployment_warnings(ctx.flow, training)
    payload = {"params": params, "mode": deployment_mode, "model": chosen, "warnings": warnings}
    return await propose(ctx, Draft("deployment", f"Deploy {chosen[:100]}", payload), warnings=warnings)


def _deployment_refusal(training: TrainingSummary, model: str) -> ToolResult | None:
    best = str(training.report.get("best_checkpoint") or "")
    if model and model not in (training.model, best):
        return failed(NOT_OURS)
    mended = training.pattern == "overfitting" and bool(model) and model == best != training.model
    if training.pattern not in rules.REFUSED or training.overridden_by or mended:
        return None
    instead = (
        f" Its best checkpoint may be deployed: model {best!r}."
        if training.pattern == "overfitting" and best
        else ""
    )
    words = training.pattern.replace("_", " ")
    return failed(
        f"The analysis of this training says: {words}.{instead} Otherwise deploying needs a recorded override.",
        next="override_deploy",
    )


def _deployment_warnings(workflow: Workflow, training: TrainingSummary) -> list[str]:
    warnings = []
    if training.overridden_by:
        warnings.append(
            f"Judged {training.pattern.replace('_', ' ')}; overridden by <@{training.overridden_by}>."
        )
    now = (workflow.grader_version, workflow.dataset_version)
    if (training.grader_version, training.dataset_version) != now:
        warnings.append("Dataset or grader have changed since this model was trained.")
    return warnings


@tool(title="Overriding the analysis", needs=("trained_model",))
async def override_deploy(ctx: ToolContext, *, reason: str) -> ToolResult:
    """Propose to deploy although the analysis of the training speaks against it; who and why is recorded.

    Parameters:
        reason: Why, in the person's words.
    """
    training = ctx.flow.training
    assert training is not None  # noqa: S101  the need "trained_model" was checked
    if training.pattern not in rules.REFUSED:
        return ok(status="not_needed", note="Nothing speaks against deploying.")
    findings = [{"message": f"The training was judged: {training.pattern.replace('_', ' ')}."}]
    payload = {"what": "deploy", "reason": reason.strip()[:500], "findings": findings}
    return await propose(ctx, Draft("override", "Deploy in spite of the analysis", payload))


@tool(title="Trying the model", needs=("trained_model",))
async def try_model(ctx: ToolContext, *, prompt: str) -> ToolResult:
    """Ask the trained model and the base model the same question, side by side. Runs on a worker; a card shows both.

    Parameters:
        prompt: What to ask, in the person's words.
    """
    if not prompt.strip():
        return failed("The prompt is empty. Ask the person what to try.")
    return await start(ctx, "try_model", {"prompt": prompt[:4000]})


DEPLOYMENT_TOOLS = (deploy_model, override_deploy, try_model)
