"""The records that starting, proposing and deciding write: tasks, proposals, events, ids. Pure functions, no I/O.

`desk.py` decides when; `jobs.py` and `effects.py` use the same ones, so that an id or an event is spelled once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from storage import keys
from storage.codec import to_json
from storage.records import Decision, InboxItem, Json, OutboxEvent, Proposal, ProposalKind, Task, Workflow
from tasks import workflow as flow
from tasks.rules import approvals
from tasks.step import Draft, Step
from tasks.workflow import Missing

STRANGER = (
    "Guests and people of other organisations cannot decide or change this. Ask a member of the channel."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not done: everything missing in order, or one reason; and the next action."""

    error: str
    missing: tuple[Missing, ...] = ()
    next: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: a Slack user, the groups they belong to, and whether they are a guest or of another organisation.

    Somebody whom Slack does not describe just now may do no more than a guest, and is told why (`is_unknown`).
    """

    id: str
    groups: frozenset[str] = frozenset()
    is_guest: bool = False
    is_unknown: bool = False

    @property
    def turned_away(self) -> str:
        """What a guest hears who may not do this; "" for members."""
        if self.is_unknown:
            return "Slack does not tell me who you are just now, so nothing was done. Please try again in a moment."
        return STRANGER if self.is_guest else ""


def new_task(step: Step, workflow: Workflow, params: Json, *, by: str, key: str, at: float) -> Task:
    """A task for an operation, pinned to the workflow as it stands (without its history)."""
    pinned = replace(workflow, snapshots=(), history=(), applied=(), rounds=())
    return Task(
        id=short_id("t", workflow.id, step.name, key),
        tenant=workflow.tenant,
        workflow_id=workflow.id,
        channel=workflow.channel,
        thread_ts=workflow.thread_ts,
        operation=step.name,
        params=params,
        inputs={"workflow": to_json(pinned)},
        by=by,
        created_at=at,
        queue=step.queue,
    )


def new_proposal(
    workflow: Workflow, draft: Draft, *, by: str, key: str, deciders: tuple[str, ...], at: float
) -> Proposal:
    """A proposal bound to what the workflow is now; the same key gives the same id."""
    return Proposal(
        id=short_id("p", workflow.id, draft.kind, key),
        tenant=workflow.tenant,
        workflow_id=workflow.id,
        channel=workflow.channel,
        thread_ts=workflow.thread_ts,
        kind=draft.kind,
        title=draft.title,
        payload=draft.payload,
        depends=dependencies(workflow, draft.kind),
        asked_by=by,
        created_at=at,
        deciders=deciders,
        ceiling_usd=draft.ceiling_usd,
    )


def dependencies(workflow: Workflow, kind: ProposalKind) -> Json:
    """What a proposal of this kind was computed from. When any of it has changed at the click, the proposal is void."""
    match kind:
        case "topics":
            return {"topics_version": workflow.topics_version}
        case "generation":
            return {"dataset_version": workflow.dataset_version, "topics_version": workflow.topics_version}
        case "clean" | "rows" | "augmentation" | "knowledge":
            return {"dataset_version": workflow.dataset_version}
        case "grader":
            return {"grader_version": workflow.grader_version}
        case "training" | "override":
            return {
                "dataset_version": workflow.dataset_version,
                "grader_version": workflow.grader_version,
                "configuration": digest(workflow.configuration),
            }
        case "deployment":
            return {"model": workflow.training.model if workflow.training else ""}
        case _:
            return {}


def card_event(proposal: Proposal) -> OutboxEvent:
    """Show the proposal's card as it now stands; the relay updates the one message."""
    state = f"{proposal.status}:{len(proposal.decisions)}"
    return OutboxEvent(
        kind="proposal",
        channel=proposal.channel,
        thread_ts=proposal.thread_ts,
        data={"proposal_id": proposal.id},
        key=f"proposal:{proposal.id}:{state}",
        card=f"proposal:{proposal.id}",
    )


def queued_event(task: Task, title: str) -> OutboxEvent:
    """The first state of a task's status card."""
    return OutboxEvent(
        kind="progress",
        channel=task.channel,
        thread_ts=task.thread_ts,
        data={
            "task_id": task.id,
            "title": title,
            "status": "queued",
            "done": 0,
            "total": 0,
            "label": "waiting for a worker",
        },
        key=f"progress:{task.id}:queued",
        card=f"task:{task.id}",
    )


def happened(workflow: Workflow, event: str, facts: Json, *, id: str, at: float) -> tuple[str, InboxItem]:
    """An inbox item that tells the thread's agent what happened without words."""
    item = InboxItem(id=id, kind="event", user="", text="", at=at, data={"event": event, **facts})
    return keys.lane(workflow.channel, workflow.thread_ts), item


def refusal_for(missing: tuple[Missing, ...]) -> Refusal:
    """A refusal that lists everything missing, and the action that mends the first of it."""
    first = missing[0].code if missing else "valid_rows"
    error = "Not yet: " + " ".join(item.message for item in missing)
    return Refusal(error=error, missing=missing, next=flow.NEXT_ACTION.get(first, ""))


def closed_answer(proposal: Proposal) -> str:
    """What somebody hears who clicks a proposal that is no longer open."""
    last = proposal.decisions[-1] if proposal.decisions else None
    match proposal.status:
        case "superseded":
            return "This card was replaced by a newer one below. Nothing was done."
        case "void":
            return f"This proposal is void: {proposal.note}. Nothing was done."
        case "rejected":
            return f"This was already turned down{' by ' + mention(last.user) if last else ''}."
        case _:
            return f"This was already approved{' by ' + mention(last.user) if last else ''}; it happens once."


def reason_to_guard(proposal: Proposal) -> str:
    """Why not everybody may approve it."""
    if proposal.ceiling_usd > 0:
        return f"it may cost up to ${proposal.ceiling_usd:.2f}"
    return "it deletes for good" if proposal.kind == "delete" else "it overrules a check"


def consent_id(provider: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in provider)


def digest(value: Json) -> str:
    """A short stable hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def short_id(letter: str, *parts: str) -> str:
    """An id that the same parts always give: a letter and 20 hex digits (letters and digits only, as RQ asks)."""
    return letter + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def with_decision(proposal: Proposal, decision: Decision) -> Proposal:
    decisions = (*proposal.decisions, decision)
    if not decision.approve:
        return replace(proposal, decisions=decisions, status="rejected")
    enough = sum(1 for item in decisions if item.approve) >= proposal.needed
    return replace(proposal, decisions=decisions, status="approved" if enough else "open")


def may_decide(proposal: Proposal, person: Person) -> bool:
    """The rule of `rules.approvals` on a proposal, whose deciders already name the owner where no approver is set."""
    names = {person.id, *person.groups} & set(proposal.deciders)
    return approvals.may_decide(
        min(names, default=person.id),
        deciders=proposal.deciders,
        owner="",
        costs=bool(proposal.deciders),
        is_guest=person.is_guest,
    )


def mention(who: str) -> str:
    return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"
