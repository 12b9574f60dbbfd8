"""Makes the trained model answer where people can reach it, through the configured gateway.

A model whose training went wrong is refused unless an approver has overridden it on record; the best checkpoint of a run that
overfitted is the mend for that, and may be deployed.
"""

from __future__ import annotations

from dataclasses import replace

from storage.records import Deployment, Json, TrainingSummary, Workflow
from tasks.gateways import gateway
from tasks.gateways.port import GatewayError
from tasks.rules import training as rules
from tasks.step import Step, StepContext, StepError, StepReport

_WHY: dict[str, str] = {
    "failed": "its training failed",
    "reward_hacking": "it learned to please the grader rather than to answer better (reward hacking)",
    "overfitting": "it was better before the end of its training than at the end (overfitting)",
    "no_learning": "it learned nothing to speak of",
}


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `deployment_mode` new_endpoint; `model` the best checkpoint instead of the last."""
    training = ctx.workflow.training
    if training is None or not training.model:
        raise StepError("There is no trained model yet: train one.", code="trained_model", next="start_training")
    model = _model(training, str(params.get("model") or ""))
    mode = str(params.get("deployment_mode") or "new_endpoint")
    try:
        endpoint = await gateway(ctx.deps.settings).deploy(key=ctx.task.id, model=model, mode=mode)
    except KeyError as error:
        raise StepError(f"There is no gateway {ctx.deps.settings.gateway!r} (GATEWAY).", code="gateway") from error
    except GatewayError as error:
        raise StepError(str(error), code="gateway", next="deploy_model") from error
    deployment = Deployment(
        model_id=endpoint.model, endpoint=endpoint.url, mode=mode, deployed_at=ctx.deps.clock(), by=ctx.task.by
    )

    def change(workflow: Workflow) -> Workflow:
        return replace(workflow, deployment=deployment, status="completed")

    facts: Json = {
        "model_id": endpoint.model,
        "endpoint": endpoint.url,
        "mode": mode,
        "deployed_at": deployment.deployed_at,
        "example_request": endpoint.example,
        "note": endpoint.note,
        "overridden_by": training.overridden_by,
    }
    return StepReport(facts=facts, change=change, view="deployed", summary=f"{endpoint.model} ({mode})")


def _model(training: TrainingSummary, wanted: str) -> str:
    """The model to deploy. Raises `StepError` for one that is not this training's, and for one that must not go out."""
    best = str(training.report.get("best_checkpoint") or "")
    if wanted and wanted not in (training.model, best):
        raise StepError("That model does not come from this workflow's training.", code="unknown_model", next="deploy_model")
    mended = training.pattern == "overfitting" and wanted == best != training.model
    if training.pattern in rules.REFUSED and not training.overridden_by and not mended:
        instead = f" Its best checkpoint can be deployed: `{best}`." if training.pattern == "overfitting" and best != training.model else ""
        raise StepError(
            f"This model is not deployed, because {_WHY[training.pattern]}.{instead} "
            "An approver can override this; it is recorded.",
            code="needs_override",
            next="override_deploy",
        )
    return wanted or training.model


DEPLOY = Step(
    name="deploy", title="Deploying the model", body=run, step="deployment", needs=("trained_model",), timeout_seconds=900
)
