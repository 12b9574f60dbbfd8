"""The desk: the only place where work is started, proposed, decided and stopped, for people, buttons and the model alike.

It checks prerequisites, money and who may decide; it writes state through one `Change` each; it knows no Slack.
What an approved proposal does is in `effects.py`; what a task does is in `steps/`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from storage import keys
from storage.errors import Conflict
from storage.ports import State
from storage.records import (
    Change,
    Decision,
    InboxItem,
    Json,
    Proposal,
    Task,
    Tenant,
    Workflow,
)
from tasks import consent, effects
from tasks import workflow as flow
from tasks.drafting import (
    Person,
    Refusal,
    card_event,
    closed_answer,
    dependencies,
    may_decide,
    mention,
    new_proposal,
    new_task,
    queued_event,
    reason_to_guard,
    refusal_for,
    with_decision,
)
from tasks.queue import Waker
from tasks.settings import Settings
from tasks.step import Draft, Step

ATTEMPTS = 20  # of an optimistic update; each failure means that somebody else succeeded


@dataclass(frozen=True, slots=True)
class Started:
    task: Task
    already: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """The outcome of a click or a word. `answer` is said to the person alone when the click changed nothing."""

    proposal: Proposal | None
    accepted: bool
    answer: str = ""


class Desk:
    """Bound to the stores; every method takes the tenant (or a record that carries it) first."""

    def __init__(
        self,
        *,
        state: State,
        queue: Waker,
        settings: Settings,
        operations: dict[str, Step],
        clock: Callable[[], float],
    ) -> None:
        self.state = state
        self.queue = queue
        self.settings = settings
        self.operations = operations
        self.clock = clock

    # ------------------------------------------------------------ workflows

    async def workflow(self, tenant: Tenant, workflow_id: str) -> Workflow | None:
        found = await self.state.get(tenant, Workflow, workflow_id)
        return None if found is None or found.status == "deleted" else found

    async def workflow_of_thread(self, tenant: Tenant, channel: str, thread_ts: str) -> Workflow | None:
        """The thread's newest workflow that is not deleted."""
        found = await self.state.find(tenant, Workflow, f"workflow:thread:{channel}:{thread_ts}")
        return max(found, key=lambda workflow: workflow.created_at, default=None)

    async def update(
        self, tenant: Tenant, workflow_id: str, change: Callable[[Workflow], Workflow]
    ) -> Workflow:
        """Apply a pure change to the newest workflow, again on every conflict. Raises KeyError when it is gone."""
        for _ in range(ATTEMPTS):
            current = await self.state.get(tenant, Workflow, workflow_id)
            if current is None:
                raise KeyError(workflow_id)
            changed = change(current)
            if changed == current:
                return current
            try:
                await self.state.commit(tenant, Change(puts=(changed,)))
            except Conflict:
                continue
            return replace(changed, version=current.version + 1)
        raise Conflict(workflow_id)

    # ------------------------------------------------------------ starting work

    async def start(
        self, tenant: Tenant, workflow: Workflow | None, operation: str, params: Json, *, by: str, key: str
    ) -> Started | Refusal:
        """Start an operation, or say everything that is missing. `key` makes it once (a tool call's or proposal's id).

        An operation of which the workflow has an unfinished task is not started twice: that task is returned.
        """
        step = self.operations[operation]
        missing = flow.may_start(workflow, step.needs, params)
        if workflow is None or missing:
            return refusal_for(missing)
        for open_task in await self.open_tasks(tenant, workflow.id):
            if open_task.operation == operation:
                return Started(open_task, already=True)
        task = self.new_task(workflow, operation, params, by=by, key=key)
        existing = await self.state.get(tenant, Task, task.id)
        if existing is not None:
            return Started(existing, already=True)
        begun = self.begun(workflow, operation, by=by)
        try:
            await self.state.commit(
                tenant, Change(puts=(task, *begun), events=(queued_event(task, step.title),))
            )
        except Conflict:
            fresh = await self.state.get(tenant, Workflow, workflow.id)
            return await self.start(tenant, fresh, operation, params, by=by, key=key)
        await self.wake(task)
        return Started(task)

    def new_task(self, workflow: Workflow, operation: str, params: Json, *, by: str, key: str) -> Task:
        """A task record that pins what the operation will work on; the same key gives the same id."""
        return new_task(self.operations[operation], workflow, params, by=by, key=key, at=self.clock())

    def begun(self, workflow: Workflow, operation: str, *, by: str) -> tuple[Workflow, ...]:
        """The workflow with the operation's step under way; empty when the operation belongs to no step."""
        step = self.operations[operation].step
        return () if step is None else (flow.begin(workflow, step, by=by, at=self.clock()),)

    async def wake(self, task: Task) -> None:
        """Tell the queue. When that fails the sweeper will, from the record."""
        await self.queue.wake(task)

    async def open_tasks(self, tenant: Tenant, workflow_id: str) -> tuple[Task, ...]:
        """The workflow's queued and running tasks, oldest first."""
        tasks = await self.state.find(tenant, Task, f"task:workflow:{workflow_id}")
        return tuple(
            sorted((t for t in tasks if t.status in ("queued", "running")), key=lambda t: t.created_at)
        )

    async def request_cancel(self, tenant: Tenant, task_id: str, *, by: str) -> Task | None:
        """Ask a task to stop; the worker stops at its next checkpoint and keeps what is done. None: unknown or over."""
        for _ in range(ATTEMPTS):
            task = await self.state.get(tenant, Task, task_id)
            if task is None or task.status not in ("queued", "running"):
                return None
            if task.cancel_requested:
                return task
            try:
                await self.state.commit(
                    tenant, Change(puts=(replace(task, cancel_requested=True, label="stopping"),))
                )
            except Conflict:
                continue
            return replace(task, cancel_requested=True)
        raise Conflict(task_id)

    # ------------------------------------------------------------ proposals

    async def propose(self, workflow: Workflow, draft: Draft, *, by: str, key: str) -> Proposal | Refusal:
        """Put something that costs, destroys or commits before people. An older open one of its kind is retired."""
        reason = self.money_refusal(workflow, draft.ceiling_usd)
        if reason:
            return Refusal(error=reason, next="set BUDGET_USD")
        change, proposal = await self.proposal_change(workflow, draft, by=by, key=key)
        if await self.state.get(workflow.tenant, Proposal, proposal.id):
            return proposal
        await self.state.commit(workflow.tenant, change)
        return proposal

    async def proposal_change(
        self, workflow: Workflow, draft: Draft, *, by: str, key: str
    ) -> tuple[Change, Proposal]:
        """The writes of a new proposal, for callers that commit them together with something else."""
        deciders = self.deciders(workflow, draft)
        proposal = new_proposal(workflow, draft, by=by, key=key, deciders=deciders, at=self.clock())
        index = f"proposal:workflow:{workflow.id}"
        older = await self.state.find(workflow.tenant, Proposal, index)
        retired = tuple(
            replace(old, status="superseded", note="replaced by a newer proposal")
            for old in older
            if old.kind == draft.kind and old.id != proposal.id
        )
        events = tuple(card_event(item) for item in (*retired, proposal))
        return Change(puts=(*retired, proposal), events=events), proposal

    def deciders(self, workflow: Workflow, draft: Draft) -> tuple[str, ...]:
        """Who may decide: what is free, anyone in the channel; what costs, overrules a check or destroys, the approvers,
        else the workflow's owner."""
        if draft.ceiling_usd <= 0 and draft.kind not in ("override", "delete"):
            return ()
        return self.settings.approvers or (workflow.owner,)

    def money_refusal(self, workflow: Workflow, ceiling_usd: float) -> str:
        """Why the budget does not admit it, with the way out; "" when it does."""
        budget = self.settings.budget_usd
        if ceiling_usd <= 0:
            return ""
        if budget is None:
            return "This costs money and no budget is set. Whoever runs the bot can allow it with BUDGET_USD (dollars per workflow)."
        if workflow.spent_usd + ceiling_usd > budget + 1e-9:
            left = max(0.0, budget - workflow.spent_usd)
            return f"This may cost up to ${ceiling_usd:.2f}, and ${left:.2f} of the workflow's ${budget:.2f} is left. Ask for less, or raise BUDGET_USD."
        return ""

    async def decide(
        self, tenant: Tenant, proposal_id: str, person: Person, *, approve: bool, evidence: str
    ) -> Decided:
        """One compare-and-set. The effect follows at once, or from the sweeper when this process dies in between."""
        for _ in range(ATTEMPTS):
            proposal = await self.state.get(tenant, Proposal, proposal_id)
            if proposal is None:
                return Decided(
                    None, False, "I do not know that proposal. It may belong to a deleted workflow."
                )
            refusal = await self._decision_refusal(proposal, person, approve=approve)
            if refusal:
                return Decided(proposal, False, refusal)
            decision = Decision(user=person.id, approve=approve, at=self.clock(), evidence=evidence)
            decided = with_decision(proposal, decision)
            workflow = await self.workflow(tenant, proposal.workflow_id)
            if approve and workflow is not None and proposal.depends != dependencies(workflow, proposal.kind):
                decided = replace(
                    proposal, status="void", note="what it was based on has changed since; ask again"
                )
            items = (self._turned_down(decided, by=person.id),) if decided.status == "rejected" else ()
            try:
                await self.state.commit(
                    tenant, Change(puts=(decided,), events=(card_event(decided),), items=items)
                )
            except Conflict:
                continue
            stored = replace(decided, version=proposal.version + 1)
            settled = await self.settle(stored) if stored.status == "approved" else stored
            return Decided(
                settled, decided.status != "void", settled.note if decided.status == "void" else ""
            )
        raise Conflict(proposal_id)

    async def settle(self, proposal: Proposal) -> Proposal:
        """Carry out a decided proposal's effect, once: the effect and `done` are one commit. Safe to repeat."""
        for _ in range(ATTEMPTS):
            current = await self.state.get(proposal.tenant, Proposal, proposal.id)
            if current is None or current.status != "approved":
                return current or proposal
            workflow = await self.workflow(proposal.tenant, proposal.workflow_id)
            if workflow is None:
                return current
            change, tasks = effects.change_for(self.operations, workflow, current, at=self.clock())
            try:
                await self.state.commit(proposal.tenant, await self._with_overtaken(change, current))
            except Conflict:
                continue
            for task in tasks:
                await self.wake(task)
            return next(
                (put for put in change.puts if isinstance(put, Proposal) and put.id == current.id), current
            )
        raise Conflict(proposal.id)

    async def _with_overtaken(self, change: Change, proposal: Proposal) -> Change:
        """The change, and the end of the topics that were still proposed when the thread went on without them."""
        goes_on = proposal.kind == "grader" or proposal.payload.get("step") == "topics_config"
        index = f"proposal:workflow:{proposal.workflow_id}"
        open_ones = await self.state.find(proposal.tenant, Proposal, index) if goes_on else ()
        note = "the workflow went on without topics; ask for them any time"
        over = [replace(one, status="superseded", note=note) for one in open_ones if one.kind == "topics"]
        return replace(
            change, puts=(*change.puts, *over), events=(*change.events, *(card_event(one) for one in over))
        )

    def _turned_down(self, proposal: Proposal, *, by: str) -> tuple[str, InboxItem]:
        facts = {"event": "proposal_rejected", "kind": proposal.kind, "title": proposal.title, "by": by}
        item = InboxItem(
            id=f"rejected:{proposal.id}", kind="event", user="", text="", at=self.clock(), data=facts
        )
        return keys.lane(proposal.channel, proposal.thread_ts), item

    async def _decision_refusal(self, proposal: Proposal, person: Person, *, approve: bool) -> str:
        if proposal.status != "open":
            return closed_answer(proposal)
        if person.turned_away:
            return person.turned_away
        if approve and not may_decide(proposal, person):
            names = ", ".join(mention(who) for who in proposal.deciders)
            return f"Only {names} can approve this, because {reason_to_guard(proposal)}."
        if any(decision.user == person.id for decision in proposal.decisions):
            return "Your decision is already recorded."
        if approve:
            workflow = await self.workflow(proposal.tenant, proposal.workflow_id)
            if workflow is None:
                return "The workflow of this proposal is gone."
            return self.money_refusal(workflow, proposal.ceiling_usd)
        return ""

    async def open_proposals(self, tenant: Tenant, channel: str, thread_ts: str) -> tuple[Proposal, ...]:
        return await self.state.find(tenant, Proposal, f"proposal:thread:{channel}:{thread_ts}")

    # ------------------------------------------------------------ consent

    async def may_send_rows(self, tenant: Tenant) -> bool:
        """True when rows may go to the configured provider: it is listed, or the workspace consented."""
        return await consent.given(self.state, self.settings, tenant)
