"""Words in the thread that decide, by code alone: "yes", "no", "stop". No model output passes through here.

An approval by words needs an author who may, a message newer than the card, exactly one open proposal in the thread, and an
exact phrase (`tasks/rules/approvals.py`). Everything else is left to the model and the buttons; the model is told what was
decided, or why nothing was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from storage.ports import Outbox
from storage.records import InboxItem, Json, OutboxEvent, Proposal, Tenant
from tasks.desk import Desk
from tasks.drafting import Person
from tasks.rules import approvals

_TAKES_BACK = re.compile(
    r"(?:no|nope|not|wait|stop|cancel|actually|hold|dont|hang on|never mind|nevermind|forget)\b"
)
_LEANS_TO_YES = re.compile(
    r"(?:yes|yeah|yep|yup|sure|ok|okay|approve|approved|confirm|confirmed|go|fine|great|perfect|sounds|looks|good|do|start"
    r"|please(?=$| (?:do|go|start|continue|approve)\b))\b"  # "please add both" asks for something else
)
SHORT_WORDS = 12


@dataclass(frozen=True, slots=True)
class Intent:
    """A decision that a message asks for; journalled before it is carried out."""

    proposal_id: str
    approve: bool


def is_stop(item: InboxItem) -> bool:
    return item.kind == "stop" or (item.kind == "message" and approvals.is_stop(item.text))


def may_decide(item: InboxItem) -> bool:
    """Whether the words are an exact yes or no at all."""
    return item.kind == "message" and (approvals.is_approval(item.text) or approvals.is_rejection(item.text))


async def intent(
    item: InboxItem,
    later: Sequence[InboxItem],
    proposals: Sequence[Proposal],
    *,
    shown: Outbox,
    tenant: Tenant,
) -> Intent | Json | None:
    """What the words ask to decide; an event that says why they do not; None when they are no such words.

    `later` are the messages of the same turn after this one: a person who takes it back at once has not approved.
    """
    if not proposals or not may_decide(item):
        return None
    if len(proposals) > 1:
        titles = [proposal.title for proposal in proposals]
        return undecided(
            f"{len(proposals)} proposals are open; the button of the one that is meant decides", titles
        )
    if any(_takes_back(other) for other in later if other.user == item.user):
        return undecided("a later message says otherwise; the button decides", [proposals[0].title])
    if not await _is_newer(item, proposals[0], shown, tenant):
        return undecided(
            "the message is older than the proposal's card; the button decides", [proposals[0].title]
        )
    return Intent(proposals[0].id, approvals.is_approval(item.text))


async def carry_out(wanted: Intent, item: InboxItem, person: Person, *, desk: Desk, tenant: Tenant) -> Json:
    """Decide, with the message as evidence, and say what came of it. Asked again for the same message it finds its own decision."""
    evidence = ts_of(item)
    decided = await desk.decide(tenant, wanted.proposal_id, person, approve=wanted.approve, evidence=evidence)
    proposal = decided.proposal
    if proposal is None or not (decided.accepted or _is_ours(proposal, person, evidence)):
        return undecided(
            decided.answer or "the proposal is no longer open", [proposal.title] if proposal else []
        )
    facts = {"kind": proposal.kind, "title": proposal.title, "by": person.id, "proposal_id": proposal.id}
    if proposal.status == "open":
        return {
            "event": "approval_recorded",
            **facts,
            "still_needed": proposal.needed - len(proposal.decisions),
        }
    return {"event": "proposal_approved" if wanted.approve else "proposal_rejected", **facts}


def undecided(reason: str, titles: Sequence[str]) -> Json:
    """Tells the model that words did not decide, so that it does not speak as if they had."""
    return {"event": "words_did_not_decide", "reason": reason, "proposals": list(titles)}


async def stop_work(desk: Desk, tenant: Tenant, workflow_id: str, *, by: str) -> Json | None:
    """Ask every running task of the workflow to stop. None when nothing runs."""
    stopped = []
    for task in await desk.open_tasks(tenant, workflow_id):
        if await desk.request_cancel(tenant, task.id, by=by):
            stopped.append(desk.operations[task.operation].title)
    return {"event": "stop_requested", "by": by, "stopping": stopped} if stopped else None


def leans_to_yes(item: InboxItem) -> bool:
    """A short message that sounds like an approval without being one: its author is shown the button again."""
    plain = approvals.plain(item.text)
    short = 0 < len(plain.split()) <= SHORT_WORDS
    return item.kind == "message" and short and "?" not in item.text and bool(_LEANS_TO_YES.match(plain))


def button_again(proposal: Proposal, *, key: str) -> OutboxEvent:
    """The proposal's buttons, once more, for words that do not decide."""
    text = f"Words like these decide nothing on their own; this button does. Waiting: {proposal.title}."
    buttons = [
        {"text": "Approve", "action": "proposal.approve", "value": proposal.id},
        {"text": "Reject", "action": "proposal.reject", "value": proposal.id},
    ]
    return OutboxEvent(
        kind="notice",
        channel=proposal.channel,
        thread_ts=proposal.thread_ts,
        data={"text": text, "level": "info", "buttons": buttons},
        key=key,
    )


def ts_of(item: InboxItem) -> str:
    """The message's Slack ts: what a permalink is made of."""
    return str(item.data.get("ts") or f"{item.at:.6f}")


def _takes_back(item: InboxItem) -> bool:
    plain = approvals.plain(item.text)
    return item.kind == "stop" or approvals.is_rejection(item.text) or bool(_TAKES_BACK.match(plain))


async def _is_newer(item: InboxItem, proposal: Proposal, shown: Outbox, tenant: Tenant) -> bool:
    posted = await shown.recall(tenant, f"proposal:{proposal.id}")
    card = _seconds(posted.get("ts")) if posted else None
    said = _seconds(item.data.get("ts"))
    if card is not None and said is not None:
        return said > card
    return item.at > proposal.created_at


def _seconds(ts: object) -> float | None:
    try:
        return float(str(ts))
    except ValueError:
        return None


def _is_ours(proposal: Proposal, person: Person, evidence: str) -> bool:
    return any(
        decision.user == person.id and decision.evidence == evidence for decision in proposal.decisions
    )
