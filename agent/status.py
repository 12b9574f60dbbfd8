"""Where a workflow stands, as data: for the status card, the status tool, the slash command and "welcome back".

Pure: records in, JSON out (docs/events.md, `status`). Wording of the card itself is in `bot/views`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from storage.records import STEP_NAMES, Json, Proposal, StepName, Task, Workflow
from tasks import workflow as flow

IDLE_SECONDS = 3600.0

_NEXT: dict[str, str] = {
    "not_started": "Upload a JSONL file in this thread.",
    "topics_config": "Approve topics, change them, or skip them.",
    "categorize": "Sort the rows into the topics.",
    "coverage_generation": "Fill the gaps with synthetic rows, or go on to the grader.",
    "grader_config": "Say how an answer should be judged.",
    "dry_run": "Run the dry run.",
    "training": "Start the training.",
    "deployment": "Deploy the model.",
    "completed": "Try the model, or begin again with more data.",
}


def describe(
    workflow: Workflow,
    tasks: Sequence[Task],
    proposals: Sequence[Proposal],
    now: float,
    *,
    steps_of: Callable[[str], StepName | None] | None = None,
) -> Json:
    """Data of the `status` view. `tasks` are the workflow's unfinished ones, `proposals` the open ones."""
    step = flow.current_step(workflow)
    last = workflow.history[-1] if workflow.history else None
    return {
        "workflow": {
            "id": workflow.id,
            "name": workflow.name,
            "goal": workflow.goal,
            "owner": workflow.owner,
            "step": step,
            "position": position(step),
            "percent": flow.percent(workflow),
            "status": workflow.status,
            "rows": workflow.total_rows,
            "valid_rows": workflow.valid_rows,
        },
        "pipeline": [_line(line) for line in flow.pipeline(workflow, tasks, steps_of)],
        "balance_score": workflow.coverage.get("balance_score"),
        "jobs": [_job(task) for task in tasks],
        "proposals": [{"id": item.id, "kind": item.kind, "title": item.title} for item in proposals],
        "last_activity": last.at if last else workflow.updated_at,
        "last_what": last.what if last else "",
        "idle_seconds": max(0.0, now - (last.at if last else workflow.updated_at)),
        "next": next_action(workflow, tasks, proposals),
    }


def next_action(workflow: Workflow, tasks: Sequence[Task], proposals: Sequence[Proposal]) -> str:
    """One sentence: what is waited for, or what to do now."""
    if proposals:
        return f"Decide: {proposals[0].title}."
    if tasks:
        return f"Wait for the running job ({tasks[0].operation.replace('_', ' ')}); it reports here."
    training = workflow.training
    if training and training.status in ("pending", "queued", "running", "paused"):
        return "Wait for the training; it reports here."
    step = flow.current_step(workflow)
    if step == "dry_run" and workflow.upload is None:
        return "Upload the dataset to the training backend, then run the dry run."
    return _NEXT[step]


def position(step: str) -> str:
    """ "step 3 of 7", or "" before the first and after the last."""
    return f"step {STEP_NAMES.index(step) + 1} of {len(STEP_NAMES)}" if step in STEP_NAMES else ""


def welcome_back(
    workflow: Workflow, tasks: Sequence[Task], proposals: Sequence[Proposal], now: float
) -> Json:
    """The event that tells the model that somebody returns after an hour or more: facts, in few words."""
    step = flow.current_step(workflow)
    last = workflow.history[-1] if workflow.history else None
    done = {
        name: state.summary
        for name, state in workflow.steps.items()
        if state.status in ("completed", "skipped")
    }
    return {
        "event": "welcome_back",
        "position": position(step),
        "current_step": step,
        "done": done,
        "last_what": last.what if last else "",
        "hours_ago": round((now - last.at) / 3600, 1) if last else None,
        "balance_score": workflow.coverage.get("balance_score"),
        "next": next_action(workflow, tasks, proposals),
    }


def _line(line: flow.PipelineLine) -> Json:
    data = asdict(line)
    return {**data, "blocked": list(line.blocked)}


def _job(task: Task) -> Json:
    return {
        "id": task.id,
        "operation": task.operation,
        "status": task.status,
        "done": task.done,
        "total": task.total,
        "label": task.label,
        "started_at": task.started_at,
        "stopping": task.cancel_requested,
    }
