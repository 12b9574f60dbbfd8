"""What an approved proposal does: one pure-ish function a kind, from workflow and proposal to everything that is written.

Each returns an `Effect`; `change_for` binds it to the proposal in one `Change`, so that it happens exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from storage.records import (
    Change,
    Consent,
    Document,
    Grader,
    Json,
    Proposal,
    ProposalKind,
    Task,
    Workflow,
)
from tasks import workflow as flow
from tasks.drafting import card_event, happened, new_task, queued_event
from tasks.rules import topics as topic_rules
from tasks.rules.topic_changes import fresh_leaves
from tasks.step import Step


@dataclass(frozen=True, slots=True)
class Effect:
    """`start` names an operation with its parameters; `say` asks the agent to explain and offer what is next."""

    workflow: Workflow
    records: tuple[Document, ...] = ()
    start: tuple[str, Json] | None = None
    note: str = ""
    say: bool = True


def change_for(
    operations: Mapping[str, Step], workflow: Workflow, proposal: Proposal, *, at: float
) -> tuple[Change, tuple[Task, ...]]:
    """All writes of an approved proposal's effect, and the tasks to wake once they are committed."""
    word = proposal.decisions[-1]
    effect = EFFECTS[proposal.kind](workflow, proposal, at, word.user)
    changed = flow.record(
        effect.workflow, by=word.user, at=at, what=f"approved: {proposal.title}", evidence=word.evidence
    )
    tasks: tuple[Task, ...] = ()
    events = [replace(card_event(proposal), key=f"proposal:{proposal.id}:done")]
    if effect.start is not None:
        step = operations[effect.start[0]]
        task = new_task(step, changed, effect.start[1], by=word.user, key=proposal.id, at=at)
        tasks = (task,)
        events.append(queued_event(task, step.title))
        changed = changed if step.step is None else flow.begin(changed, step.step, by=word.user, at=at)
    done = replace(proposal, status="done", note=effect.note or proposal.note)
    facts = {"kind": proposal.kind, "title": proposal.title, "by": word.user}
    said = happened(changed, "proposal_approved", facts, id=f"approved:{proposal.id}", at=at)
    puts = (flow.applied(changed, proposal.id), done, *effect.records, *tasks)
    return Change(puts=puts, events=tuple(events), items=(said,) if effect.say else ()), tasks


def _topics(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
    tree = topic_rules.from_dicts(proposal.payload["hierarchy"])
    leaves = topic_rules.leaves(tree)
    known = {leaf.id for leaf in leaves}
    changed = replace(
        workflow,
        topics=tree,
        topics_version=workflow.topics_version + 1,
        targets=dict(workflow.targets) if set(workflow.targets) == known else {},
    )
    changed = flow.finish(changed, "topics_config", summary=f"{len(leaves)} topics", by=by, at=at)
    if "bootstrap" in proposal.payload and not workflow.valid_rows:  # rows for these topics are proposed next
        return Effect(changed, start=("bootstrap", dict(proposal.payload["bootstrap"])), say=False)
    if not workflow.dataset_version:
        return Effect(changed)  # nothing to sort yet; the agent says what brings rows
    # rows go where their topic went; what is sorted is what lost its topic, or may belong to one that is new
    moved = dict(proposal.payload.get("moved") or {})
    fresh = fresh_leaves(workflow.topics, tree, moved) if workflow.topics else ()
    params: Json = {"mode": "unlabeled_only", "moved": moved, "fresh": list(fresh)}
    return Effect(changed, start=("categorize", params), say=False)


def _grader(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
    number = workflow.graders_made + 1
    grader = Grader(
        id=f"{workflow.id}.{number}",
        tenant=workflow.tenant,
        workflow_id=workflow.id,
        number=number,
        kind=proposal.payload["kind"],
        config=proposal.payload["config"],
        author=by,
        created_at=at,
        diff=tuple(proposal.payload.get("diff", ())),
    )
    changed = flow.skip_open_data_steps(
        replace(workflow, grader_version=number, graders_made=number), by=by, at=at
    )
    summary = f"{str(proposal.payload['kind']).replace('_', ' ')} v{number}"
    return Effect(flow.finish(changed, "grader_config", summary=summary, by=by, at=at), records=(grader,))


def _skip(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
    step, reason = proposal.payload["step"], proposal.payload["reason"]
    return Effect(flow.skip(workflow, step, reason=reason, by=by, at=at))


def _rollback(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
    return Effect(flow.roll_back(workflow, to=proposal.payload["to"], by=by, at=at))


def _delete(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
    return Effect(replace(workflow, status="deleted", updated_at=at), start=("erase", {}), say=False)


def _override(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
    if proposal.payload["what"] == "deploy" and workflow.training is not None:
        return Effect(replace(workflow, training=replace(workflow.training, overridden_by=by)))
    run = flow.current_dry_run(workflow)
    runs = tuple(replace(r, overridden_by=by) if r is run else r for r in workflow.dry_runs)
    return Effect(replace(workflow, dry_runs=runs))


def _consent(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
    consent = Consent(id=proposal.payload["consent_id"], tenant=workflow.tenant, by=by, at=at)
    return Effect(workflow, records=(consent,))


def _starts(operation: str) -> Callable[[Workflow, Proposal, float, str], Effect]:
    """Of kinds whose approval does nothing but start an operation with the parameters that the card showed."""

    def effect(workflow: Workflow, proposal: Proposal, at: float, by: str) -> Effect:
        return Effect(workflow, start=(operation, dict(proposal.payload["params"])), say=False)

    return effect


EFFECTS: dict[ProposalKind, Callable[[Workflow, Proposal, float, str], Effect]] = {
    "topics": _topics,
    "generation": _starts("generate"),
    "grader": _grader,
    "training": _starts("start_training"),
    "deployment": _starts("deploy"),
    "skip": _skip,
    "rollback": _rollback,
    "delete": _delete,
    "override": _override,
    "consent": _consent,
    "clean": _starts("clean"),
    "rows": _starts("change_rows"),
    "augmentation": _starts("augment"),
    "knowledge": _starts("prepare_knowledge"),
}
