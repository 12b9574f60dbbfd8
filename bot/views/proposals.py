"""Approval cards: what, why, what it costs, who may decide, what happens next; then what became of it.

Reads the record alone, so a card redrawn after a restart is the same card. What a decision does is not known here.
"""

from __future__ import annotations

from bot.views.cleaning import chooses
from bot.views.kit import (
    Block,
    Rendered,
    actions,
    button,
    confirm,
    context,
    decider,
    fields,
    header,
    more,
    person,
    rendered,
    say,
    section,
    when,
)
from bot.views.proposal_bodies import BODIES, Body
from storage.records import Proposal, ProposalKind


def render(proposal: Proposal) -> Rendered:
    """The card at the status that the record has now."""
    title = say(proposal.title, 140)
    if proposal.status == "open":
        return rendered(f"{title}: please decide", _open(proposal))
    closing = _closing(proposal)
    return rendered(
        f"{title}: {_plain(closing)}",
        [header(proposal.title), *_gist(proposal), section(closing), _after(proposal)],
    )


def _open(proposal: Proposal) -> Body:
    return [
        header(proposal.title),
        *BODIES[proposal.kind](proposal.payload),
        fields([("Cost", _cost(proposal)), ("Who decides", _who(proposal))]),
        context(f"*What happens next:* {_next(proposal)}"),
        _buttons(proposal),
        context(
            f"Asked by {person(proposal.asked_by)}"
            + (f" · {_votes(proposal)}" if proposal.needed > 1 else "")
        ),
    ]


NEXT: dict[ProposalKind, str] = {
    "topics": "your rows are sorted into these topics, then I show the coverage.",
    "generation": "a worker makes the examples, filters them, and adds those that pass; you can stop it any time.",
    "augmentation": "a worker says the rows again, checks each, and adds those that mean the same; you can stop it any time.",
    "grader": "this version becomes the grader; the dataset goes to the training backend and a dry run can start.",
    "training": "the job starts at the backend; I report progress here and notify you at the end.",
    "deployment": "the model gets an endpoint, and you can try it in this thread.",
    "skip": "the step counts as skipped, and cards say so.",
    "rollback": "the workflow stands as before; nothing is destroyed.",
    "delete": "it is gone for everybody.",
    "override": "the next step is open, with this on record.",
    "consent": "models may help with topics, generation and judging; nobody is asked again.",
    "knowledge": "a worker reads the passages, checks every row against its passage, and adds those that pass; you can stop it any time.",
    "clean": "a worker cleans what is ticked, in a new version; the one that stands now is kept, and Undo brings it back.",
    "rows": "exactly these rows change, in a new version; the one that stands now is kept, and Undo brings it back.",
}
APPROVE: dict[ProposalKind, str] = {
    "generation": "Generate",
    "augmentation": "Add them",
    "training": "Start training",
    "deployment": "Deploy",
    "skip": "Skip it",
    "rollback": "Go back",
    "delete": "Delete",
    "override": "Allow it",
    "consent": "Agree",
    "knowledge": "Make the rows",
    "clean": "Clean it",
}
ROWS = {"delete": "Delete them", "move": "Move them", "restore": "Go back"}  # by what is done to the rows
REJECT: dict[ProposalKind, str] = {"consent": "Keep rows here", "topics": "Not these"}
EDITABLE: frozenset[ProposalKind] = frozenset({"topics", "grader", "generation", "training", "clean"})
GIST: dict[ProposalKind, int] = {"clean": 9}  # blocks of a decided card; of a cleaning every choice
DANGEROUS: frozenset[ProposalKind] = frozenset({"delete", "rollback", "override"})


def _next(proposal: Proposal) -> str:
    if proposal.kind == "topics" and "bootstrap" in proposal.payload:
        return "I propose how many rows to write for each of them, and what it costs."
    if proposal.kind == "rows" and proposal.payload.get("action") == "restore":
        return "the dataset is as it was in that version; the version that stands now is kept."
    return NEXT[proposal.kind]


def _sentence(proposal: Proposal) -> str:
    """What happens next, by itself."""
    words = _next(proposal)
    return words[:1].upper() + words[1:]


# ---------------------------------------------------------------- buttons


def _buttons(proposal: Proposal) -> Block | None:
    danger = proposal.kind in DANGEROUS or proposal.payload.get("action") == "delete"
    yes = button(
        ROWS.get(str(proposal.payload.get("action"))) or APPROVE.get(proposal.kind, "Approve"),
        "proposal.approve",
        proposal.id,
        style="danger" if danger else "primary",
        ask=_ask(proposal, danger),
        label=f"Approve: {proposal.title}",
    )
    edit = (
        button("Edit", "proposal.edit", proposal.id, label=f"Edit: {proposal.title}")
        if proposal.kind in EDITABLE
        else None
    )
    no = button(
        REJECT.get(proposal.kind, "Reject"), "proposal.reject", proposal.id, label=f"Reject: {proposal.title}"
    )
    idle = proposal.kind == "clean" and not chooses(proposal.payload)
    return actions(None if idle else yes, edit, *_extras(proposal), no)


def _extras(proposal: Proposal) -> Body:
    if proposal.kind == "topics" and "bootstrap" in proposal.payload:  # there are no rows to look at
        return [
            button("Other topics", "next.bootstrap_dataset", proposal.workflow_id),
            button("Define by hand", "topics.manual", proposal.workflow_id),
        ]
    if proposal.kind == "topics":
        return [
            button("Regenerate", "topics.regenerate", proposal.workflow_id),
            button("Define by hand", "topics.manual", proposal.workflow_id),
            button("Use a template", "topics.template", proposal.workflow_id),
        ]
    if proposal.kind == "grader":
        return [button("Test on 5 rows", "next.test_grader_sample", proposal.id)]
    return []


def _ask(proposal: Proposal, danger: bool) -> Block | None:
    if proposal.ceiling_usd > 0:
        return confirm(
            "Spend this?",
            f"At most ${proposal.ceiling_usd:.2f}. {_sentence(proposal)}",
            "Yes, spend it",
        )
    if danger:
        return confirm("Sure?", _sentence(proposal), "Yes", danger=True)
    return None


def _after(proposal: Proposal) -> Block | None:
    """What can be pressed once it is done."""
    if proposal.status != "done":
        return None
    workflow = proposal.workflow_id
    if proposal.kind == "grader":
        return actions(
            button("Upload and dry run", "next.upload_dataset", workflow, style="primary"),
            button("Change it", "grader.open", workflow),
        )
    if proposal.kind == "override" and proposal.payload.get("what") == "verdict":
        return actions(button("Plan the training", "training.open", workflow, style="primary"))
    if proposal.kind == "override":
        return actions(button("Deploy", "next.deploy_model", workflow, style="primary"))
    return None


# ---------------------------------------------------------------- closed cards


def _gist(proposal: Proposal) -> Body:
    """What remains readable of a decided card."""
    if proposal.status in ("superseded", "void"):
        return []
    return [
        block
        for block in BODIES[proposal.kind](proposal.payload)
        if block and block["type"] in ("section", "table")
    ][: GIST.get(proposal.kind, 4)]


def _closing(proposal: Proposal) -> str:
    last = proposal.decisions[-1] if proposal.decisions else None
    by = f" by {person(last.user)}, {when(last.at)}" if last else ""
    note = f"\n{say(proposal.note, 300)}" if proposal.note and proposal.status == "done" else ""
    match proposal.status:
        case "approved":
            return f"⏳ Processing – approved{by}"
        case "done":
            return f"✅ Approved{by}{note}"
        case "rejected":
            return f"❌ Rejected{by}. Nothing was done."
        case "superseded":
            return "↪️ Replaced by a newer card below. Nothing was done."
        case _:
            return (
                f"⚪ Void: {say(proposal.note or 'what it was based on has changed', 300)}. Nothing was done."
            )


def _plain(closing: str) -> str:
    return closing.splitlines()[0]


# ---------------------------------------------------------------- small parts


def _cost(proposal: Proposal) -> str:
    if proposal.ceiling_usd <= 0:
        return "free"
    return f"at most ${proposal.ceiling_usd:.2f}"


def _who(proposal: Proposal) -> str:
    if not proposal.deciders:
        return "anyone in this channel (no guests)"
    return ", ".join(decider(who) for who in proposal.deciders[:8]) + more(8, len(proposal.deciders))


def _votes(proposal: Proposal) -> str:
    given = sum(1 for decision in proposal.decisions if decision.approve)
    return f"{given} of {proposal.needed} approvals"
