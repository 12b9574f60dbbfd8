"""Tools for the workflow itself: begin, where are we, go on, go back, skip, finish, delete."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal

from agent import status
from agent.tooling import ToolContext, ToolResult, failed, ok, refused, tool
from agent.tools.acting import CARD_BELOW, propose
from storage.errors import NotFound
from storage.records import STEP_NAMES, Change, Dataset, StepName, Workflow
from tasks import workflow as flow
from tasks.drafting import short_id
from tasks.step import Draft
from tasks.workflow import Missing

QUALITY_WARNING = (
    "Without it nothing says whether the rows cover what the model will meet; quality may suffer."
)
NO_DATASET = "There is no dataset in this thread yet: upload a JSONL file here, or ask for one from scratch."
Step = Literal[
    "topics_config", "categorize", "coverage_generation", "grader_config", "dry_run", "training", "deployment"
]


@tool(title="Beginning a workflow")
async def start_finetune_workflow(
    ctx: ToolContext,
    *,
    training_goals: str,
    dataset_name: str = "",
    existing_dataset_id: str = "",
    from_scratch: bool = False,
) -> ToolResult:
    """Set what the model should learn, for the file of this thread, or begin on a dataset that exists already.

    Use it as soon as a person says a goal, also to change it later. Answers with the workflow and how many rows are valid.

    Parameters:
        training_goals: What the model should learn, in the person's words; one or two sentences.
        dataset_name: A name for it, if the person gave one.
        existing_dataset_id: Begin on this dataset instead of the thread's file; only when the person asks for it.
        from_scratch: Begin with the goal alone, without any file; only when the person asks for it. bootstrap_dataset comes next.
    """
    goal = training_goals.strip()[:2000]
    if not goal:
        return failed("training_goals is empty. Ask the person what the model should learn.")
    if existing_dataset_id:
        return await _on_existing(ctx, existing_dataset_id, goal, dataset_name)
    if ctx.workflow is None and from_scratch:
        return await _from_scratch(ctx, goal, dataset_name)
    if ctx.workflow is None:
        return refused([Missing("valid_rows", NO_DATASET)])
    at = ctx.desk.clock()
    name = dataset_name.strip()[:200]

    def changed(current: Workflow) -> Workflow:
        if current.goal == goal and (not name or current.name == name):
            return current
        named = replace(current, goal=goal, name=name or current.name)
        return flow.record(named, by=ctx.actor.id, at=at, what="goal set", evidence=ctx.evidence)

    return _begun(await ctx.desk.update(ctx.tenant, ctx.workflow.id, changed))


async def _from_scratch(ctx: ToolContext, goal: str, name: str) -> ToolResult:
    """A workflow with a goal and no dataset; a file that is shared here later is taken as its dataset."""
    made = flow.create(
        id=short_id("w", ctx.call_id),
        tenant=ctx.tenant,
        channel=ctx.channel,
        thread_ts=ctx.thread_ts,
        owner=ctx.actor.id,
        name=name.strip()[:200] or title_of(goal),
        goal=goal,
        at=ctx.desk.clock(),
    )
    if await ctx.desk.workflow(ctx.tenant, made.id) is None:
        await ctx.deps.state.commit(ctx.tenant, Change(puts=(made,)))
    return _begun(made)


def title_of(goal: str) -> str:
    """A workflow's name from its goal: the first words."""
    words = " ".join(goal.split())[:60]
    short = words if len(words) < 60 else words.rpartition(" ")[0]
    return short[:1].upper() + short[1:].rstrip(" .,;:!?")


async def _on_existing(ctx: ToolContext, dataset_id: str, goal: str, name: str) -> ToolResult:
    if ctx.workflow is not None:
        return failed("This thread has a workflow already; another dataset needs a thread of its own.")
    dataset = await ctx.deps.state.get(ctx.tenant, Dataset, dataset_id)
    if dataset is None or dataset.owner != ctx.actor.id or not dataset.latest:
        return failed(f"There is no dataset {dataset_id[:60]!r} that this person owns.")
    try:
        totals = (
            await asyncio.to_thread(ctx.deps.datasets.head, ctx.tenant, dataset.id, dataset.latest)
        ).totals
    except NotFound:
        return failed("That dataset's rows are gone.")
    made = flow.create(
        id=short_id("w", ctx.call_id),
        tenant=ctx.tenant,
        channel=ctx.channel,
        thread_ts=ctx.thread_ts,
        owner=ctx.actor.id,
        name=name.strip()[:200] or dataset.name,
        goal=goal,
        at=ctx.desk.clock(),
    )
    begun = replace(
        made,
        dataset_id=dataset.id,
        dataset_version=dataset.latest,
        total_rows=totals.rows,
        valid_rows=totals.valid,
    )
    if await ctx.desk.workflow(ctx.tenant, begun.id) is None:
        await ctx.deps.state.commit(ctx.tenant, Change(puts=(begun,)))
    return _begun(begun)


def _begun(workflow: Workflow) -> ToolResult:
    counts = {"valid_count": workflow.valid_rows, "invalid_count": workflow.total_rows - workflow.valid_rows}
    ready = workflow.dataset_version > 0
    note = "" if ready else "The file is still being read; an event tells you when it is done."
    if not workflow.dataset_id:
        note = "There is no file. bootstrap_dataset proposes topics from the goal; or a file is shared in this thread."
    return ok(workflow_id=workflow.id, name=workflow.name, goal=workflow.goal, validation=counts, note=note)


@tool(title="Status")
async def get_workflow_status(ctx: ToolContext) -> ToolResult:
    """Where the workflow stands: pipeline, running jobs with their progress, open proposals, what is next.

    Use it for "status", "where are we", "is it done?". Shows the status card.
    """
    if ctx.workflow is None:
        return ok(workflow=None, next="Upload a JSONL file in this thread.")
    facts = await _facts(ctx, ctx.workflow)
    await ctx.show("status", facts, once=True)
    return ok(**facts, note=CARD_BELOW)


async def _facts(ctx: ToolContext, workflow: Workflow) -> ToolResult:
    tasks = await ctx.desk.open_tasks(ctx.tenant, workflow.id)
    proposals = await ctx.desk.open_proposals(ctx.tenant, ctx.channel, ctx.thread_ts)

    def step_of(operation: str) -> StepName | None:
        found = ctx.desk.operations.get(operation)
        return found.step if found else None

    return status.describe(workflow, tasks, proposals, ctx.desk.clock(), steps_of=step_of)


@tool(title="Going on", needs=("valid_rows",))
async def advance_to_step(ctx: ToolContext, *, step: Step) -> ToolResult:
    """Go on to a later step, for "let's go to the grader". Starts no work; says what the step needs from the person.

    Parameters:
        step: The step to go to.
    """
    missing = flow.may_start(ctx.flow, flow.STEP_NEEDS[step])
    if missing:
        return refused(missing)
    at = ctx.desk.clock()

    def changed(current: Workflow) -> Workflow:
        coverage = current.steps["coverage_generation"].status
        late = STEP_NAMES.index(step) > STEP_NAMES.index("coverage_generation")
        if (
            late
            and coverage in ("pending", "in_progress")
            and current.steps["categorize"].status == "completed"
        ):
            score = current.coverage.get("balance_score")
            summary = f"balance {score:.2f}" if isinstance(score, int | float) else "as it is"
            return flow.finish(current, "coverage_generation", summary=summary, by=ctx.actor.id, at=at)
        return current

    now = await ctx.desk.update(ctx.tenant, ctx.flow.id, changed)
    earlier = STEP_NAMES[: STEP_NAMES.index(step)]
    still_open = [name for name in earlier if now.steps[name].status not in ("completed", "skipped")]
    return ok(current_step=flow.current_step(now), asked_for=step, open_before_it=still_open)


@tool(title="Going back", needs=("valid_rows",))
async def rollback_to_step(
    ctx: ToolContext, *, step: Step | None = None, snapshot_id: str = ""
) -> ToolResult:
    """Propose to go back to before a step: dataset, topics and grader as they stood then. Later results become stale.

    Parameters:
        step: Go back to before this step was last begun.
        snapshot_id: Or to this snapshot, when the person names one.
    """
    wanted = snapshot_id or step or ""
    found = [snapshot for snapshot in ctx.flow.snapshots if wanted in (snapshot.id, snapshot.before)]
    if not found:
        known = sorted({snapshot.before for snapshot in ctx.flow.snapshots})
        return failed(
            f"There is nothing to go back to before {wanted or 'that'!r}. Steps with an earlier state: {known}."
        )
    target = found[-1]
    stale = list(flow.stale_after(ctx.flow, target.before))
    payload = {"to": target.id, "step": target.before, "stale": stale}
    title = f"Go back to before {flow.STEP_TITLES[target.before]}"
    return await propose(ctx, Draft("rollback", title, payload), becomes_stale=stale)


@tool(title="Skipping a step", needs=("valid_rows",))
async def skip_step(
    ctx: ToolContext, *, step: Literal["topics_config", "categorize", "coverage_generation"], reason: str
) -> ToolResult:
    """Propose to skip topics, categorisation or coverage on purpose. The dry run and the grader can never be skipped.

    Parameters:
        step: The step to skip.
        reason: Why, in the person's words.
    """
    if ctx.flow.steps[step].status in ("completed", "skipped"):
        return failed(f"{flow.STEP_TITLES[step]} is already {ctx.flow.steps[step].status}.")
    title = flow.STEP_TITLES[step]
    payload = {"step": step, "title": title, "reason": reason.strip()[:500], "warning": QUALITY_WARNING}
    return await propose(ctx, Draft("skip", f"Skip {title}", payload))


@tool(title="Completing the workflow", needs=("trained_model",))
async def complete_workflow(ctx: ToolContext) -> ToolResult:
    """Close the workflow as done, after its model was deployed."""
    if ctx.flow.deployment is None:
        return failed("Nothing is deployed yet.", next="deploy_model")
    at = ctx.desk.clock()

    def changed(current: Workflow) -> Workflow:
        if current.status == "completed":
            return current
        done = replace(current, status="completed")
        return flow.record(done, by=ctx.actor.id, at=at, what="completed", evidence=ctx.evidence)

    await ctx.desk.update(ctx.tenant, ctx.flow.id, changed)
    return ok(status="completed")


@tool(title="Deleting the workflow")
async def delete_workflow(ctx: ToolContext) -> ToolResult:
    """Propose to delete the whole workflow, for "delete everything". A person confirms it on the card."""
    workflow = ctx.flow
    owns = [f"{workflow.total_rows:,} rows of {workflow.name}"] if workflow.dataset_id else []
    owns += [f"{workflow.graders_made} grader version(s)"] if workflow.graders_made else []
    if workflow.deployment:
        owns.append(
            f"the record of the deployed model {workflow.deployment.model_id} (it stays at the provider)"
        )
    payload = {"name": workflow.name, "rows": workflow.total_rows, "owns": owns}
    return await propose(ctx, Draft("delete", f"Delete {workflow.name[:100]}", payload), would_delete=owns)


WORKFLOW_TOOLS = (
    start_finetune_workflow,
    get_workflow_status,
    advance_to_step,
    rollback_to_step,
    skip_step,
    complete_workflow,
    delete_workflow,
)
