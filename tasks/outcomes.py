"""What is written when a task starts, waits, fails, is stopped or finishes: pure functions from records to records.

`jobs.py` decides which of them applies, adds proposals and following tasks, and commits each as one `Change`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from storage.records import Change, Json, OutboxEvent, Task, Workflow
from tasks import workflow as flow
from tasks.drafting import happened
from tasks.step import Step, StepError, StepReport

Shown = Literal["queued", "running", "waiting", "finished", "failed", "cancelled"]


def progress_event(task: Task, title: str, status: Shown, *, key: str) -> OutboxEvent:
    """The task's status card as it now stands; all of a task's events update one message."""
    return OutboxEvent(
        kind="progress",
        channel=task.channel,
        thread_ts=task.thread_ts,
        data={
            "task_id": task.id,
            "title": title,
            "status": status,
            "done": task.done,
            "total": task.total,
            "label": task.label,
        },
        key=f"progress:{task.id}:{key}",
        card=f"task:{task.id}",
    )


def begun(task: Task, title: str, *, at: float) -> Change:
    """A worker has taken the task up (again)."""
    running = replace(task, status="running", started_at=task.started_at or at, label="", result={})
    return Change(
        puts=(running,), events=(progress_event(running, title, "running", key=f"begun:{task.attempt}"),)
    )


def postponed(task: Task, title: str, *, waiting_for: str, pause_seconds: float, at: float) -> Change:
    """Left in the queue until `result["retry_at"]`, because something outside does not answer; people are told what."""
    label = f"{waiting_for}; trying again in {pause_seconds:.0f} s"
    result: Json = {"retry_at": at + pause_seconds, "waiting_for": waiting_for}
    waiting = replace(task, status="queued", label=label, result=result)
    return Change(
        puts=(waiting,), events=(progress_event(waiting, title, "waiting", key=f"waiting:{task.attempt}"),)
    )


def failed(
    task: Task, workflow: Workflow | None, step: Step, error: StepError, *, spent_usd: float, at: float
) -> Change:
    """The task is over without a result; its step says why, and the agent is told so that it can offer a way out."""
    message = str(error)
    over = replace(
        task, status="failed", finished_at=at, error=message, label=message, result={"code": error.code}
    )
    facts: Json = {"message": message, "code": error.code, "next": error.next}
    changed = workflow
    if workflow and step.step:
        changed = flow.fail(workflow, step.step, reason=message, by=task.by, at=at)
    return _over(over, changed, step, facts, status="failed", spent_usd=spent_usd, at=at)


def cancelled(task: Task, workflow: Workflow | None, step: Step, *, spent_usd: float, at: float) -> Change:
    """Stopped as asked, nothing kept."""
    message = "Stopped as asked; nothing was changed."
    over = replace(task, status="cancelled", finished_at=at, label="stopped", result={"code": "cancelled"})
    facts: Json = {"message": message, "code": "cancelled", "next": ""}
    changed = workflow
    if workflow and step.step:
        changed = flow.settle_back(workflow, step.step, by=task.by, at=at, what=f"{step.step} stopped")
    return _over(over, changed, step, facts, status="cancelled", spent_usd=spent_usd, at=at)


def finished(
    task: Task, workflow: Workflow, step: Step, report: StepReport, *, spent_usd: float, at: float
) -> tuple[Workflow, Change]:
    """The workflow with the report applied, and everything else the report writes (the workflow is not among the puts)."""
    changed = replace(report.change(workflow), updated_at=at)
    changed = replace(changed, spent_usd=changed.spent_usd + spent_usd + report.cost_usd)
    if step.step and report.partial:
        changed = flow.settle_back(
            changed, step.step, by=task.by, at=at, what=f"{step.step} stopped, part of it kept"
        )
    elif step.step and step.finishes:
        changed = flow.finish(changed, step.step, summary=report.summary, by=task.by, at=at)
    changed = flow.applied(changed, task.id)
    status: Literal["cancelled", "finished"] = "cancelled" if report.partial else "finished"
    label = report.summary or ("stopped; what was done is kept" if report.partial else "done")
    done = task.done if report.partial else task.total
    over = replace(task, status=status, finished_at=at, done=done, label=label, result=report.facts, error="")
    events = (
        progress_event(over, step.title, status, key="over"),
        *_result_card(over, report),
        *report.events,
    )
    facts = {**report.facts, **_named(over, step), "partial": report.partial, "summary": report.summary}
    items = (happened(changed, "step_finished", facts, id=f"over:{task.id}", at=at),) if report.say else ()
    return changed, Change(puts=(over, *report.records), events=events, items=items)


def _over(
    over: Task,
    workflow: Workflow | None,
    step: Step,
    facts: Json,
    *,
    status: Shown,
    spent_usd: float,
    at: float,
) -> Change:
    event = progress_event(over, step.title, status, key="over")
    if workflow is None:
        return Change(puts=(over,), events=(event,))
    spent = replace(workflow, spent_usd=workflow.spent_usd + spent_usd, updated_at=at)
    changed = flow.applied(spent, over.id)
    item = happened(changed, "step_failed", {**facts, **_named(over, step)}, id=f"over:{over.id}", at=at)
    return Change(puts=(over, changed), events=(event,), items=(item,))


def _named(task: Task, step: Step) -> Json:
    return {"operation": step.name, "title": step.title, "step": step.step or "", "task_id": task.id}


def _result_card(task: Task, report: StepReport) -> tuple[OutboxEvent, ...]:
    if not report.view:
        return ()
    data = {"workflow_id": task.workflow_id, "task_id": task.id, **report.facts}
    return (
        OutboxEvent(
            kind=report.view,
            channel=task.channel,
            thread_ts=task.thread_ts,
            data=data,
            key=f"result:{task.id}",
        ),
    )
