"""The workflow's state machine: pure functions from a workflow to a workflow. No I/O, no clock, no ids of its own.

`may_start` is the one table of prerequisites; it binds people, buttons and the model alike. Steps in order are
`storage.records.STEP_NAMES` (domain.md §11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from storage.codec import from_json, to_json
from storage.records import (
    STEP_NAMES,
    DryRunSummary,
    Json,
    Snapshot,
    StepName,
    StepState,
    Task,
    Tenant,
    Transition,
    Workflow,
)
from tasks.step import Need

HISTORY_KEPT = 200
SNAPSHOTS_KEPT = 20
APPLIED_KEPT = 200
SKIPPABLE: tuple[StepName, ...] = ("topics_config", "categorize", "coverage_generation")
STEP_TITLES: dict[StepName, str] = {
    "topics_config": "Topics",
    "categorize": "Categorise",
    "coverage_generation": "Coverage",
    "grader_config": "Grader",
    "dry_run": "Dry run",
    "training": "Training",
    "deployment": "Deployment",
}


@dataclass(frozen=True, slots=True)
class Missing:
    code: str
    message: str


def create(
    *, id: str, tenant: Tenant, channel: str, thread_ts: str, owner: str, name: str, goal: str, at: float
) -> Workflow:
    """A workflow at its beginning, all steps pending."""
    return Workflow(
        id=id,
        tenant=tenant,
        channel=channel,
        thread_ts=thread_ts,
        owner=owner,
        name=name,
        goal=goal,
        created_at=at,
        updated_at=at,
        steps={step: StepState() for step in STEP_NAMES},
        history=(Transition(at=at, by=owner, what="workflow started"),),
    )


# ---------------------------------------------------------------- prerequisites


def may_start(
    workflow: Workflow | None, needs: Sequence[Need], params: Json | None = None
) -> tuple[Missing, ...]:
    """Everything that is missing, in the order of the steps; empty when it may start."""
    if workflow is None:
        first = Missing("valid_rows", "There is no dataset in this thread yet: upload a JSONL file here.")
        return (
            first,
            *(Missing(need, _MESSAGES[need]) for need in _ORDER if need in needs and need not in _ROWS),
        )
    checks = {need: _CHECKS[need](workflow, params or {}) for need in needs}
    return tuple(Missing(need, _MESSAGES[need]) for need in _ORDER if need in checks and not checks[need])


def current_dry_run(workflow: Workflow) -> DryRunSummary | None:
    """The last dry run of the dataset and grader version that stand now."""
    for run in reversed(workflow.dry_runs):
        if run.dataset_version == workflow.dataset_version and run.grader_version == workflow.grader_version:
            return run
    return None


def _verdict_allows(workflow: Workflow, params: Json) -> bool:
    run = current_dry_run(workflow)
    return run is not None and (run.verdict != "NO-GO" or bool(run.overridden_by))


_ROWS: tuple[Need, ...] = ("valid_rows", "rows_or_goal")
_ORDER: tuple[Need, ...] = (
    "valid_rows",
    "rows_or_goal",
    "goal",
    "topics",
    "topics_or_records",
    "categories",
    "grader",
    "uploaded_dataset",
    "dry_run",
    "verdict",
    "trained_model",
)
_CHECKS: dict[Need, Callable[[Workflow, Json], bool]] = {
    "valid_rows": lambda w, p: w.valid_rows > 0,
    "rows_or_goal": lambda w, p: w.valid_rows > 0 or (not w.dataset_id and bool(w.goal.strip())),
    "goal": lambda w, p: bool(w.goal.strip()),
    "topics": lambda w, p: bool(w.topics),
    "topics_or_records": lambda w, p: bool(w.topics) or bool(p.get("record_ids")),
    "categories": lambda w, p: _done(w, "categorize"),
    "grader": lambda w, p: w.grader_version > 0,
    "uploaded_dataset": lambda w, p: w.upload is not None and w.upload.dataset_version == w.dataset_version,
    "dry_run": lambda w, p: current_dry_run(w) is not None,
    "verdict": _verdict_allows,
    "trained_model": lambda w, p: (
        w.training is not None and w.training.status == "completed" and bool(w.training.model)
    ),
}
_MESSAGES: dict[Need, str] = {
    "goal": "Say in a sentence what the model should learn.",
    "valid_rows": "No valid rows: upload a dataset, or mend the rows that were rejected.",
    "rows_or_goal": "Neither valid rows nor a goal to begin from: upload a dataset, or say what the model should learn.",
    "topics": "No topics yet: approve a topic hierarchy.",
    "topics_or_records": "Neither topics nor seed rows: approve topics, or name the rows to grow from.",
    "categories": "The rows are not sorted into topics yet: categorise them.",
    "grader": "No grader yet: say how an answer should be judged.",
    "uploaded_dataset": "This version of the dataset is not at the training backend yet: upload it.",
    "dry_run": "No dry run on this dataset and grader version yet: run one.",
    "verdict": "The dry run did not say GO: improve the data or the grader, or have an approver override it.",
    "trained_model": "There is no trained model yet: train one.",
}
NEXT_ACTION: dict[str, str] = {
    "goal": "start_finetune_workflow",
    "valid_rows": "upload a file",
    "rows_or_goal": "upload a file",
    "topics": "generate_topics",
    "topics_or_records": "generate_topics",
    "categories": "categorize_records",
    "grader": "configure_grader",
    "uploaded_dataset": "upload_dataset",
    "dry_run": "run_dry_run",
    "verdict": "analyze_evaluation",
    "trained_model": "start_training",
}


# ---------------------------------------------------------------- transitions


def begin(workflow: Workflow, step: StepName, *, by: str, at: float) -> Workflow:
    """The step is under way; a snapshot of what stood before it is kept."""
    state = StepState(status="in_progress", started_at=at, by=by)
    kept = (
        _with_snapshot(workflow, step, by=by, at=at)
        if workflow.steps[step].status != "in_progress"
        else workflow
    )
    return _record(_with_step(kept, step, state), by=by, at=at, what=f"{step} started")


def finish(workflow: Workflow, step: StepName, *, summary: str, by: str, at: float) -> Workflow:
    """The step is complete; results of later steps that were computed from older inputs stay and are marked stale."""
    before = workflow.steps[step]
    state = replace(
        before,
        status="completed",
        finished_at=at,
        by=by or before.by,
        summary=summary,
        reason="",
        stale=False,
    )
    return _record(_with_step(workflow, step, state), by=by, at=at, what=f"{step} completed")


def fail(workflow: Workflow, step: StepName, *, reason: str, by: str, at: float) -> Workflow:
    state = replace(workflow.steps[step], status="failed", finished_at=at, reason=reason)
    return _record(_with_step(workflow, step, state), by=by, at=at, what=f"{step} failed")


def settle_back(workflow: Workflow, step: StepName, *, by: str, at: float, what: str) -> Workflow:
    """A step that was stopped: pending again, or complete when an earlier result still stands in its summary."""
    before = workflow.steps[step]
    status: Literal["completed", "pending"] = "completed" if before.summary else "pending"
    return _record(_with_step(workflow, step, replace(before, status=status)), by=by, at=at, what=what)


def skip(workflow: Workflow, step: StepName, *, reason: str, by: str, at: float) -> Workflow:
    """Skip on purpose. Raises ValueError for a step that may not be skipped."""
    if step not in SKIPPABLE:
        raise ValueError(f"{STEP_TITLES[step]} cannot be skipped.")
    state = StepState(status="skipped", finished_at=at, by=by, reason=reason, summary="skipped on purpose")
    return _record(
        _with_step(_with_snapshot(workflow, step, by=by, at=at), step, state),
        by=by,
        at=at,
        what=f"{step} skipped",
    )


def skip_open_data_steps(workflow: Workflow, *, by: str, at: float) -> Workflow:
    """What approving a grader does to the data steps that are open, begun or not: they count as skipped (domain.md §11)."""
    for step in SKIPPABLE:
        if workflow.steps[step].status not in ("completed", "skipped"):
            workflow = skip(workflow, step, reason="grader approved first", by=by, at=at)
    return workflow


def roll_back(workflow: Workflow, *, to: str, by: str, at: float) -> Workflow:
    """Back to before a step (its newest snapshot) or to a snapshot id; what stood is itself kept as a snapshot.

    Steps after it that had results keep them, marked stale. Raises KeyError when there is no such snapshot.
    """
    found = [s for s in workflow.snapshots if to in (s.id, s.before)]
    if not found:
        raise KeyError(to)
    snapshot = found[-1]
    old = from_json(Workflow, snapshot.state)
    kept = _with_snapshot(workflow, snapshot.before, by=by, at=at)
    later = STEP_NAMES[STEP_NAMES.index(snapshot.before) :]
    steps = {
        step: replace(workflow.steps[step], stale=True, status="pending")
        if step in later and workflow.steps[step].status == "completed"
        else old.steps[step]
        for step in STEP_NAMES
    }
    restored = replace(
        workflow,
        snapshots=kept.snapshots,
        dataset_id=old.dataset_id,
        dataset_version=old.dataset_version,
        total_rows=old.total_rows,
        valid_rows=old.valid_rows,
        topics=old.topics,
        topics_version=workflow.topics_version + 1,  # never a number that stood for other topics
        targets=old.targets,
        coverage=old.coverage,
        grader_version=old.grader_version,
        upload=old.upload,
        steps=steps,
        status="active",
    )
    return _record(restored, by=by, at=at, what=f"rolled back to before {snapshot.before}")


def stale_after(workflow: Workflow, step: StepName) -> tuple[StepName, ...]:
    """The completed steps that going back to `step` would make stale."""
    later = STEP_NAMES[STEP_NAMES.index(step) :]
    return tuple(name for name in later if workflow.steps[name].status == "completed")


def applied(workflow: Workflow, id: str) -> Workflow:
    """Note that a task's or proposal's effect is in; asking twice is then harmless."""
    return replace(workflow, applied=(*workflow.applied, id)[-APPLIED_KEPT:])


def record(workflow: Workflow, *, by: str, at: float, what: str, evidence: str = "") -> Workflow:
    """Add a line to the workflow's history."""
    return _record(workflow, by=by, at=at, what=what, evidence=evidence)


# ---------------------------------------------------------------- views of the state


LineStatus = Literal["waiting", "ready", "processing", "complete", "skipped", "attention", "failed"]


@dataclass(frozen=True, slots=True)
class PipelineLine:
    """One line of the pipeline view. `blocked` says what is missing when the step cannot be started yet."""

    step: StepName
    title: str
    status: LineStatus
    text: str
    done: int = 0
    total: int = 0
    blocked: tuple[str, ...] = ()
    can_rerun: bool = False


STEP_NEEDS: dict[StepName, tuple[Need, ...]] = {
    "topics_config": ("valid_rows",),
    "categorize": ("valid_rows", "topics"),
    "coverage_generation": ("valid_rows", "topics", "categories"),
    "grader_config": ("valid_rows",),
    "dry_run": ("valid_rows", "grader", "uploaded_dataset"),
    "training": ("valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict"),
    "deployment": ("trained_model",),
}


def current_step(workflow: Workflow) -> str:
    """`not_started`, the first step that is neither completed nor skipped, or `completed`."""
    if not workflow.dataset_version:
        return "not_started"
    for step in STEP_NAMES:
        if workflow.steps[step].status not in ("completed", "skipped"):
            return step
    return "completed"


def pipeline(
    workflow: Workflow, tasks: Sequence[Task] = (), steps_of: Callable[[str], StepName | None] | None = None
) -> tuple[PipelineLine, ...]:
    """The pipeline view, one line a step. `steps_of` maps an operation's name to its step."""
    running = (
        {steps_of(task.operation): task for task in tasks if task.status in ("queued", "running")}
        if steps_of
        else {}
    )
    return tuple(_line(workflow, step, running.get(step)) for step in STEP_NAMES)


def percent(workflow: Workflow) -> int:
    """Share of steps that are completed or skipped, in percent."""
    done = sum(1 for step in STEP_NAMES if workflow.steps[step].status in ("completed", "skipped"))
    return round(100 * done / len(STEP_NAMES))


def _line(workflow: Workflow, step: StepName, task: Task | None) -> PipelineLine:
    state = workflow.steps[step]
    blocked = tuple(item.message for item in may_start(workflow, STEP_NEEDS[step]))
    base = PipelineLine(
        step=step, title=STEP_TITLES[step], status="waiting", text=state.summary, blocked=blocked
    )
    if task is not None:
        return replace(
            base,
            status="processing",
            text=task.label or state.summary,
            done=task.done,
            total=task.total,
            blocked=(),
        )
    can_rerun = not blocked
    match state.status:
        case "completed":
            return replace(base, status="complete", blocked=(), can_rerun=can_rerun)
        case "skipped":
            return replace(
                base, status="skipped", text=f"skipped: {state.reason}", blocked=(), can_rerun=can_rerun
            )
        case "failed":
            return replace(base, status="failed", text=state.reason, can_rerun=can_rerun)
        case "in_progress":
            return replace(
                base, status="attention", text=state.summary or "waiting for a decision", blocked=()
            )
    if state.stale:
        return replace(base, status="attention", text=f"stale: {state.summary}", can_rerun=can_rerun)
    return replace(base, status="waiting" if blocked else "ready")


# ---------------------------------------------------------------- helpers


def _done(workflow: Workflow, step: StepName) -> bool:
    return workflow.steps[step].status == "completed"


def _with_step(workflow: Workflow, step: StepName, state: StepState) -> Workflow:
    return replace(workflow, steps={**workflow.steps, step: state})


def _with_snapshot(workflow: Workflow, before: StepName, *, by: str, at: float) -> Workflow:
    lean = replace(workflow, snapshots=(), history=(), applied=())
    snapshot = Snapshot(
        id=f"s{len(workflow.history)}-{int(at)}", at=at, by=by, before=before, state=to_json(lean)
    )
    return replace(workflow, snapshots=(*workflow.snapshots, snapshot)[-SNAPSHOTS_KEPT:])


def _record(workflow: Workflow, *, by: str, at: float, what: str, evidence: str = "") -> Workflow:
    line = Transition(at=at, by=by, what=what, evidence=evidence)
    return replace(workflow, history=(*workflow.history, line)[-HISTORY_KEPT:], updated_at=at)
