"""Tools for the reward: set up the grader, test it, see whether it tells answers apart, judge the dry run."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from agent.tooling import ToolContext, ToolResult, failed, ok, refused, tool
from agent.tools.acting import consent_refusal, head, open_proposal, propose, start
from storage.records import Grader, Json, Task
from tasks import graders
from tasks import workflow as flow
from tasks.asking import Asker
from tasks.graders import criteria
from tasks.models.port import ModelAnswerInvalid
from tasks.rules import dry_run as rules
from tasks.rules import graders as grader_rules
from tasks.step import Draft

Kind = Literal["llm_as_judge", "script", "string_check", "text_similarity", "label_model", "multi"]
PresetName = Literal["quality", "correctness", "tool_usage", "format_compliance", "conciseness"]


@tool(title="Setting up the grader", needs=("valid_rows",))
async def configure_grader(
    ctx: ToolContext,
    *,
    grader_type: Kind = "llm_as_judge",
    config: dict[str, Any] | None = None,
    preset: PresetName | None = None,
    instruction: str = "",
) -> ToolResult:
    """Propose how answers are judged: a model with weighted criteria, a script, or an exact check.

    Give one of config, preset or instruction. With an instruction ("40 % accuracy, 25 % tone …", "add something about
    promises") criteria are written, or the ones that stand are changed. The card offers a test on five rows.

    Parameters:
        grader_type: The kind of grader.
        config: Its configuration. llm_as_judge: {prompt, criteria: [{name, description, weight}]}; script: {language:
            "python", source} with def grade(sample, item) returning 0 to 1, or {language: "javascript", source} with
            function evaluate(input); others: OpenAI's grader fields.
        preset: A ready-made set of criteria.
        instruction: What a good answer is, or what to change, in the person's words.
    """
    current = await _current(ctx)
    if config is not None:
        wanted: Json = config
    elif preset is not None:
        wanted = {"criteria": [_criterion(one) for one in grader_rules.PRESETS[preset]]}
    elif instruction.strip():
        return await _from_instruction(ctx, instruction, current)
    else:
        return failed(
            "Give one of config, preset or instruction. Ask the person how a good answer is told from a bad one."
        )
    return await _propose(ctx, grader_type, wanted, current, preset=preset or "")


async def _from_instruction(
    ctx: ToolContext, instruction: str, current: tuple[str, Json] | None
) -> ToolResult:
    if current and current[0] != "llm_as_judge":
        return failed(
            f"The grader is of kind {current[0]}: give its whole new config instead of an instruction."
        )
    asker = Asker(ctx.deps.chat, ctx.deps.settings.agent_model, ctx.meter)
    standing = list(current[1].get("criteria", ())) if current else []
    try:
        written, summary = await criteria.propose(
            asker, instruction=instruction, goal=ctx.flow.goal, current=standing
        )
    except ModelAnswerInvalid:
        return failed(
            "No usable criteria came out of that. Ask the person for two to six criteria with their weights."
        )
    kept = {name: value for name, value in current[1].items() if name != "criteria"} if current else {}
    config = {**kept, "criteria": list(written)}
    return await _propose(ctx, "llm_as_judge", config, current, summary=summary)


async def _propose(
    ctx: ToolContext,
    kind: str,
    config: Json,
    current: tuple[str, Json] | None,
    *,
    preset: str = "",
    summary: str = "",
) -> ToolResult:
    config = _with_shares(config)
    fields = await _item_fields(ctx)
    problems = await asyncio.to_thread(graders.check, kind, config, fields)
    if problems:
        words = " ".join(problem.message for problem in problems[:5])
        return failed(f"This grader cannot be used: {words} Call it again with this changed.")
    diff = (
        list(grader_rules.diff(current[1] if current and current[0] == kind else {}, config))
        if current
        else []
    )
    if current and not diff and current[0] == kind and await open_proposal(ctx, "grader") is None:
        return ok(status="unchanged", note="This is the grader that stands already; nothing was proposed.")
    payload: Json = {
        "kind": kind,
        "config": config,
        "diff": diff,
        "preset": preset,
        "test": None,
        "weaknesses": [],
        "warnings": _warnings(ctx),
    }
    title = _title(kind, config)
    return await propose(ctx, Draft("grader", title, payload), config=config, diff=diff, summary=summary)


async def _current(ctx: ToolContext) -> tuple[str, Json] | None:
    """(kind, configuration) of the grader that waits for approval, else of the one that stands."""
    waiting = await open_proposal(ctx, "grader")
    if waiting:
        return str(waiting.payload["kind"]), dict(waiting.payload["config"])
    if not ctx.flow.grader_version:
        return None
    found = await ctx.deps.state.get(ctx.tenant, Grader, f"{ctx.flow.id}.{ctx.flow.grader_version}")
    return (found.kind, dict(found.config)) if found else None


def _with_shares(config: Json) -> Json:
    """Weights as shares of 1 where they came as percentages; anything else is left for the check to name."""
    listed = config.get("criteria")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return config
    try:
        given = [
            grader_rules.Criterion(str(one["name"]), str(one.get("description", "")), float(one["weight"]))
            for one in listed
        ]
        return {**config, "criteria": [_criterion(one) for one in grader_rules.normalise(given)]}
    except (KeyError, TypeError, ValueError):
        return config


def _criterion(one: grader_rules.Criterion) -> Json:
    return {"name": one.name, "description": one.description, "weight": one.weight}


async def _item_fields(ctx: ToolContext) -> list[str]:
    if not ctx.flow.dataset_version:
        return ["reference_answer"]
    return [*(await head(ctx)).source.columns, "reference_answer"]


def _warnings(ctx: ToolContext) -> list[str]:
    still_open = [
        flow.STEP_TITLES[step]
        for step in flow.SKIPPABLE
        if ctx.flow.steps[step].status not in ("completed", "skipped")
    ]
    warnings = []
    if still_open:
        warnings.append(f"Approving this records {', '.join(still_open)} as skipped; quality may suffer.")
    if ctx.flow.training is not None:
        warnings.append(
            "A model was trained with the grader before; its scores cannot be compared with the new ones."
        )
    return warnings


def _title(kind: str, config: Json) -> str:
    if kind == "llm_as_judge":
        count = len(config.get("criteria", ()))
        return f"Grader: a judge with {count} {'criterion' if count == 1 else 'criteria'}"
    return f"Grader: {kind.replace('_', ' ')}"


@tool(title="Testing the grader", needs=("valid_rows",))
async def test_grader_sample(ctx: ToolContext, *, sample_size: int = 5) -> ToolResult:
    """Try the grader on a few rows: scores with reasons, mean and spread. Runs on a worker; a card shows the result.

    Tests the grader that waits for approval, if one does, else the one that stands.

    Parameters:
        sample_size: How many rows, 1 to 20.
    """
    waiting = await open_proposal(ctx, "grader")
    missing = () if waiting else flow.may_start(ctx.flow, ("valid_rows", "grader"))
    refusal = refused(missing) if missing else await consent_refusal(ctx)
    if refusal:
        return refusal
    params: Json = {"sample_size": min(20, max(1, sample_size))}
    return await start(ctx, "test_grader", {**params, **({"proposal_id": waiting.id} if waiting else {})})


@tool(title="Bringing the grader to the backend", needs=("valid_rows", "grader"))
async def sync_evaluator(ctx: ToolContext) -> ToolResult:
    """Bring the current grader version to the training backend beside the dataset. Runs on a worker."""
    return await consent_refusal(ctx) or await start(ctx, "upload_dataset", {"force_reupload": False})


@tool(title="The viability probe", needs=("valid_rows", "grader"))
async def check_viability(ctx: ToolContext, *, sample_size: int = 5) -> ToolResult:
    """A quick probe on a few rows: can the base model do this at all? Before the whole pipeline is set up.

    Parameters:
        sample_size: How many rows, 1 to 10.
    """
    return await consent_refusal(ctx) or await start(
        ctx, "check_viability", {"sample_size": min(10, max(1, sample_size))}
    )


@tool(title="The dry run", needs=("valid_rows", "grader", "uploaded_dataset"))
async def run_dry_run(
    ctx: ToolContext,
    *,
    sample_percentage: float | None = None,
    sample_size: int | None = None,
    rollouts: int = 1,
) -> ToolResult:
    """Let the base model answer a sample and score it: is training worth it? Runs on a worker; a card brings the verdict.

    Parameters:
        sample_percentage: Share of the valid rows in percent; leave both out for the usual sample.
        sample_size: Or a number of rows.
        rollouts: Answers for each prompt, 1 to 8.
    """
    if sample_percentage is not None and not 0 < sample_percentage <= 100:
        return failed("sample_percentage lies between 0 and 100. Call it again with this changed.")
    if sample_size is not None and sample_size < 1:
        return failed("sample_size is at least 1. Call it again with this changed.")
    given: Json = {"sample_percentage": sample_percentage, "sample_size": sample_size}
    params = {name: value for name, value in given.items() if value is not None}
    return await consent_refusal(ctx) or await start(
        ctx, "dry_run", {**params, "rollouts": min(8, max(1, rollouts))}
    )


@tool(title="Judging the dry run", needs=("valid_rows", "grader", "dry_run"))
async def analyze_evaluation(ctx: ToolContext) -> ToolResult:
    """What the last dry run means: verdict, health, findings, comparison with the run before, the next action."""
    run = flow.current_dry_run(ctx.flow)
    assert run is not None  # noqa: S101  the need "dry_run" was checked
    runs = [
        {"at": one.at, "verdict": one.verdict, "mean": one.mean, "std": one.std}
        for one in ctx.flow.dry_runs[-5:]
    ]
    facts = await _stored_facts(ctx, run.task_id)
    return ok(
        verdict=run.verdict,
        mean=run.mean,
        std=run.std,
        health=rules.health(run.mean),
        may_override=run.may_override,
        overridden_by=run.overridden_by,
        runs=runs,
        **facts,
    )


async def _stored_facts(ctx: ToolContext, task_id: str) -> Json:
    """What the run itself found, from its task: findings, topics, comparison, next action."""
    task = await ctx.deps.state.get(ctx.tenant, Task, task_id)
    found = task.result if task else {}
    names = ("findings", "cause", "by_topic", "quality", "compared", "stalled", "ladder", "next", "options")
    return {name: found[name] for name in names if name in found}


@tool(title="Overriding the verdict", needs=("valid_rows", "grader", "dry_run"))
async def override_verdict(ctx: ToolContext, *, reason: str) -> ToolResult:
    """Propose to train although the dry run did not say GO. An approver confirms it; who and why is recorded.

    Parameters:
        reason: Why it is worth going on, in the person's words.
    """
    run = flow.current_dry_run(ctx.flow)
    assert run is not None  # noqa: S101  the need "dry_run" was checked
    if run.verdict != "NO-GO":
        return ok(status="not_needed", verdict=run.verdict, note="Training may start without an override.")
    if not run.may_override:
        return failed(
            "This cannot be overridden: with a mean below 0.10 or hardly any spread there is nothing to learn from.",
            next="analyze_evaluation",
        )
    findings = (await _stored_facts(ctx, run.task_id)).get("findings", [])
    payload = {"what": "verdict", "reason": reason.strip()[:500], "findings": findings}
    return await propose(ctx, Draft("override", "Train in spite of the dry run", payload))


REWARD_TOOLS = (
    configure_grader,
    test_grader_sample,
    sync_evaluator,
    check_viability,
    run_dry_run,
    analyze_evaluation,
    override_verdict,
)
