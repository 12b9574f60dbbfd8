"""What the model is told last before it answers: the prompt of the step it is in, what is not possible yet, and the state.

The block's shape is fixed (architecture.md, "Interfaces that do not change"). Prompts are Markdown files beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from agent.tooling import Tool, lacking
from storage.records import Json, Proposal, Task, Workflow
from tasks import workflow as flow


@cache
def prompt(name: str) -> str:
    """A prompt file's text. Raises FileNotFoundError for a step without one: a bug that a test finds."""
    return (files("agent") / "prompts" / f"{name}.md").read_text(encoding="utf-8").strip()


def closing(
    workflow: Workflow | None, tasks: Sequence[Task], proposals: Sequence[Proposal], tools: Sequence[Tool]
) -> str:
    """The last system message of a request."""
    step = flow.current_step(workflow) if workflow else "not_started"
    state = json.dumps(block(workflow, tasks, proposals), ensure_ascii=False)
    parts = [prompt(f"steps/{step}"), *_blocked(workflow, tools), f"```json\n{state}\n```"]
    return "\n\n".join(parts)


def block(workflow: Workflow | None, tasks: Sequence[Task], proposals: Sequence[Proposal]) -> Json:
    """The context block: where the thread's workflow stands."""
    if workflow is None:
        return {"finetune_workflow": None}
    run = flow.current_dry_run(workflow)
    return {
        "finetune_workflow": {
            "workflow_id": workflow.id,
            "dataset_id": workflow.dataset_id,
            "current_step": flow.current_step(workflow),
            "steps": {step: state.status for step, state in workflow.steps.items()},
            "balance_score": workflow.coverage.get("balance_score"),
            "has_grader": workflow.grader_version > 0,
            "dry_run_verdict": run.verdict if run else None,
            "training_status": workflow.training.status if workflow.training else None,
            "jobs": [{"id": task.id, "operation": task.operation, "status": task.status} for task in tasks],
            "proposals": [{"id": item.id, "kind": item.kind, "title": item.title} for item in proposals],
        }
    }


def _blocked(workflow: Workflow | None, tools: Sequence[Tool]) -> list[str]:
    """Tools that would be refused now, with everything they lack, in order."""
    lines = []
    for tool in tools:
        missing = lacking(workflow, tool)
        if missing:
            lines.append(f"- {tool.name}: {', '.join(item.code for item in missing)}")
    if not lines:
        return []
    return ["Not possible yet, with everything that is missing, in order:\n" + "\n".join(lines)]
