"""Makes the trained model answer where people can reach it, through the configured gateway.

A model that nobody has judged yet, or whose training was judged badly, is refused unless an approver has overridden it on
record. Doing it again changes nothing: the gateway is asked under a key, and the deployment that stands is kept.
"""

from __future__ import annotations

import json
from dataclasses import replace

from storage.records import Deployment, Json, TrainingSummary, Workflow
from tasks.gateways import gateway
from tasks.gateways.port import Endpoint, GatewayError
from tasks.rules import training as rules
from tasks.step import Step, StepContext, StepError, StepReport

NEW_ENDPOINT = "new_endpoint"
_WHY: dict[str, str] = {
    "": "its training has not been evaluated",
    "failed": "its training failed",
    "reward_hacking": "it learned to please the grader rather than to answer better (reward hacking)",
    "overfitting": "it was better before the end of its training than at the end (overfitting)",
    "no_learning": "it learned nothing to speak of",
}


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `deployment_mode` new_endpoint."""
    training = ctx.workflow.training
    if training is None or not training.model:
        raise StepError(
            "There is no trained model yet: train one.", code="trained_model", next="start_training"
        )
    _require_good(training)
    mode = str(params.get("deployment_mode") or NEW_ENDPOINT)
    endpoint = await _deployed(ctx, training.model, mode)
    deployment = _standing(ctx.workflow, endpoint, mode) or Deployment(
        model_id=endpoint.model,
        endpoint=endpoint.url,
        mode=mode,
        deployed_at=ctx.deps.clock(),
        by=ctx.task.by,
    )

    def change(workflow: Workflow) -> Workflow:
        return replace(workflow, deployment=deployment, status="completed")

    facts: Json = {
        "model_id": deployment.model_id,
        "endpoint": deployment.endpoint,
        "mode": mode,
        "deployed_at": deployment.deployed_at,
        "example_request": _example(endpoint),
        "note": endpoint.note,
        "overridden_by": training.overridden_by,
    }
    summary = f"{deployment.model_id} ({mode.replace('_', ' ')})"
    return StepReport(facts=facts, change=change, view="deployed", summary=summary)


def _require_good(training: TrainingSummary) -> None:
    """Raises `StepError` for a model that must not go out without an approver's word."""
    if training.overridden_by or (training.pattern and training.pattern not in rules.REFUSED):
        return
    why = _WHY.get(training.pattern, training.pattern)
    best = str(training.report.get("best_checkpoint") or "")
    instead = (
        f" The trained model stands at its best checkpoint, `{best}`."
        if training.pattern == "overfitting" and best
        else ""
    )
    raise StepError(
        f"This model is not deployed, because {why}.{instead} Train again with what was learned, or have an approver "
        "override this; who and why is recorded.",
        code="needs_override",
        next="override_deploy",
    )


async def _deployed(ctx: StepContext, model: str, mode: str) -> Endpoint:
    settings = ctx.deps.settings
    try:
        return await gateway(settings).deploy(key=ctx.task.id, model=model, mode=mode)
    except KeyError as error:
        raise StepError(
            f"There is no gateway {settings.gateway!r} (setting GATEWAY).", code="gateway"
        ) from error
    except GatewayError as error:
        raise StepError(str(error), code="deployment_mode", next="deploy_model") from error


def _standing(workflow: Workflow, endpoint: Endpoint, mode: str) -> Deployment | None:
    """The deployment that is there already, when it is this one."""
    now = workflow.deployment
    same = now is not None and (now.model_id, now.endpoint, now.mode) == (endpoint.model, endpoint.url, mode)
    return now if same else None


def _example(endpoint: Endpoint) -> str:
    """A request to copy; the key is the caller's own."""
    body = json.dumps(endpoint.example, ensure_ascii=False).replace("'", "'\\''")
    lines = (
        f"curl {endpoint.url}",
        "-H 'Content-Type: application/json'",
        '-H "Authorization: Bearer $OPENAI_API_KEY"',
        f"-d '{body}'",
    )
    return " \\\n  ".join(lines)


DEPLOY = Step(
    name="deploy",
    title="Deploying the model",
    body=run,
    step="deployment",
    needs=("trained_model",),
    timeout_seconds=900,
)
