"""The desk: what may start, who may decide, and that each effect happens once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage.memory import MemoryState
from storage.records import Grader, Proposal, Task, Tenant, Workflow
from tasks import workflow as flow
from tasks.desk import Desk, Person, Refusal, Started
from tasks.settings import Settings
from tasks.step import Draft, Step, StepContext, StepReport

TENANT = Tenant(enterprise="", team="T1")
OWNER = Person("U1")
HIERARCHY = [{"id": "billing", "name": "Billing"}, {"id": "shipping", "name": "Shipping"}]


class Woken:
    """Notes which tasks were woken."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    async def wake(self, task: Task) -> None:
        self.tasks.append(task)

    async def help(self, task: Task, most: int) -> None:
        raise AssertionError("only workers call for help")

    async def others_wait(self, task: Task) -> bool:
        return False


async def nothing(ctx: StepContext, params: dict[str, Any]) -> StepReport:
    raise AssertionError("the desk runs nothing itself")


OPERATIONS = {
    step.name: step
    for step in (
        Step("categorize", "Categorise", nothing, step="categorize", needs=("valid_rows", "topics")),
        Step(
            "start_training",
            "Training",
            nothing,
            step="training",
            needs=("valid_rows", "grader", "dry_run", "verdict"),
        ),
        Step("validate", "Validate", nothing, needs=("valid_rows",)),
    )
}


class Room:
    """A desk over memory, with one workflow in it."""

    def __init__(self, **settings: Any) -> None:
        self.state, self.queue = MemoryState(), Woken()
        self.desk = Desk(
            state=self.state,
            queue=self.queue,
            settings=Settings(**settings),
            operations=OPERATIONS,
            clock=lambda: 100.0,
        )

    async def workflow(self, **changes: Any) -> Workflow:
        fresh = flow.create(
            id="w1",
            tenant=TENANT,
            channel="C1",
            thread_ts="1.1",
            owner="U1",
            name="Support",
            goal="be kind",
            at=1.0,
        )
        rows = {"dataset_id": "d1", "dataset_version": 1, "valid_rows": 9, "total_rows": 9}
        return await self.keep(replace(fresh, **{**rows, **changes}))

    async def keep(self, workflow: Workflow) -> Workflow:
        from storage.records import Change

        await self.state.commit(TENANT, Change(puts=(workflow,)))
        return await self.now()

    async def now(self) -> Workflow:
        found = await self.state.get(TENANT, Workflow, "w1")
        assert found is not None
        return found

    async def propose(self, draft: Draft, key: str = "k") -> Proposal:
        made = await self.desk.propose(await self.now(), draft, by="U1", key=key)
        assert isinstance(made, Proposal)
        return made


def topics(key_hierarchy: list[dict[str, Any]] = HIERARCHY) -> Draft:
    return Draft("topics", "Topics", {"hierarchy": key_hierarchy})


def training(ceiling: float = 5.0) -> Draft:
    return Draft("training", "Train", {"params": {"epochs": 2}}, ceiling_usd=ceiling)


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


def test_a_start_without_its_prerequisites_lists_them_and_does_nothing() -> None:
    async def scenario() -> None:
        room = Room()
        refused = await room.desk.start(TENANT, await room.workflow(), "start_training", {}, by="U1", key="k")
        assert isinstance(refused, Refusal)
        assert [m.code for m in refused.missing] == ["grader", "dry_run", "verdict"]
        assert refused.next == "configure_grader"
        assert room.queue.tasks == []

    run(scenario)


def test_asking_twice_starts_one_task() -> None:
    async def scenario() -> None:
        room = Room()
        workflow = await room.workflow()
        first = await room.desk.start(TENANT, workflow, "validate", {}, by="U1", key="a")
        second = await room.desk.start(TENANT, workflow, "validate", {}, by="U1", key="b")
        assert isinstance(first, Started)
        assert isinstance(second, Started)
        assert (first.already, second.already) == (False, True)
        assert first.task.id == second.task.id
        assert len(room.queue.tasks) == 1

    run(scenario)


def test_a_task_pins_what_it_starts_with() -> None:
    async def scenario() -> None:
        room = Room()
        started = await room.desk.start(TENANT, await room.workflow(), "validate", {}, by="U1", key="a")
        assert isinstance(started, Started)
        assert started.task.inputs["workflow"]["dataset_version"] == 1

    run(scenario)


def test_approved_topics_are_applied_and_categorisation_follows() -> None:
    async def scenario() -> None:
        room = Room()
        await room.workflow()
        proposal = await room.propose(topics())
        outcome = await room.desk.decide(TENANT, proposal.id, OWNER, approve=True, evidence="button")
        assert outcome.accepted
        assert outcome.proposal is not None
        assert outcome.proposal.status == "done"
        workflow = await room.now()
        assert [t.id for t in workflow.topics] == ["billing", "shipping"]
        assert workflow.steps["topics_config"].status == "completed"
        assert [t.operation for t in room.queue.tasks] == ["categorize"]
        assert any(line.by == "U1" and line.evidence == "button" for line in workflow.history)

    run(scenario)


def test_two_clicks_at_once_decide_once() -> None:
    async def scenario() -> None:
        room = Room()
        await room.workflow()
        proposal = await room.propose(topics())
        clicks = [
            room.desk.decide(TENANT, proposal.id, Person(user), approve=True, evidence="button")
            for user in ("U1", "U2")
        ]
        outcomes = await asyncio.gather(*clicks)
        assert sorted(outcome.accepted for outcome in outcomes) == [False, True]
        assert any("already" in outcome.answer for outcome in outcomes)
        assert (await room.now()).topics_version == 1
        assert len(room.queue.tasks) == 1

    run(scenario)


def test_a_newer_proposal_retires_the_older_card() -> None:
    async def scenario() -> None:
        room = Room()
        await room.workflow()
        old = await room.propose(topics(), key="one")
        await room.propose(topics(), key="two")
        outcome = await room.desk.decide(TENANT, old.id, OWNER, approve=True, evidence="button")
        assert not outcome.accepted
        assert "replaced by a newer one" in outcome.answer

    run(scenario)


def test_drift_voids_a_proposal() -> None:
    async def scenario() -> None:
        room = Room(budget_usd=50)
        await room.workflow()
        proposal = await room.propose(training())
        await room.desk.update(TENANT, "w1", lambda w: replace(w, dataset_version=2))
        outcome = await room.desk.decide(TENANT, proposal.id, OWNER, approve=True, evidence="button")
        assert (outcome.accepted, outcome.proposal and outcome.proposal.status) == (False, "void")
        assert room.queue.tasks == []

    run(scenario)


@pytest.mark.parametrize(
    ("approvers", "person", "accepted"),
    [
        ((), Person("U1"), True),  # the owner
        ((), Person("U2"), False),
        (("U2",), Person("U1"), False),
        (("U2",), Person("U2"), True),
        (("S9",), Person("U3", groups=frozenset({"S9"})), True),
        (("U2",), Person("U2", is_guest=True), False),
    ],
)
def test_what_costs_is_decided_by_those_who_may(
    approvers: tuple[str, ...], person: Person, accepted: bool
) -> None:
    async def scenario() -> None:
        room = Room(budget_usd=50, approvers=approvers)
        await room.workflow()
        proposal = await room.propose(training())
        outcome = await room.desk.decide(TENANT, proposal.id, person, approve=True, evidence="button")
        assert outcome.accepted is accepted
        assert bool(room.queue.tasks) is accepted
        assert bool(outcome.answer) is not accepted

    run(scenario)


def test_overruling_a_check_is_decided_by_those_who_may_spend() -> None:
    async def scenario() -> None:
        room = Room()
        await room.workflow()
        proposal = await room.propose(Draft("override", "Go on", {"what": "verdict"}))
        refused = await room.desk.decide(TENANT, proposal.id, Person("U2"), approve=True, evidence="button")
        assert not refused.accepted
        assert "overrules a check" in refused.answer
        assert (await room.desk.decide(TENANT, proposal.id, OWNER, approve=True, evidence="button")).accepted

    run(scenario)


@pytest.mark.parametrize(("budget", "spent"), [(None, 0.0), (4.0, 0.0), (50.0, 46.0)])
def test_the_budget_is_a_wall(budget: float | None, spent: float) -> None:
    async def scenario() -> None:
        room = Room(budget_usd=budget)
        refused = await room.desk.propose(await room.workflow(spent_usd=spent), training(), by="U1", key="k")
        assert isinstance(refused, Refusal)
        assert "BUDGET_USD" in refused.error

    run(scenario)


def test_a_rejection_tells_the_agent_and_changes_nothing() -> None:
    async def scenario() -> None:
        room = Room()
        await room.workflow()
        proposal = await room.propose(topics())
        outcome = await room.desk.decide(TENANT, proposal.id, OWNER, approve=False, evidence="button")
        assert outcome.accepted
        waiting = await room.state.waiting(TENANT, "C1:1.1")
        assert [item.data["event"] for item in waiting] == ["proposal_rejected"]
        assert (await room.now()).topics == ()

    run(scenario)


def test_an_approval_whose_process_died_is_settled_once_by_the_sweeper() -> None:
    async def scenario() -> None:
        from storage.records import Change, Decision

        room = Room()
        await room.workflow()
        proposal = await room.propose(topics())
        stored = await room.state.get(TENANT, Proposal, proposal.id)
        assert stored is not None
        word = Decision(user="U1", approve=True, at=1.0, evidence="button")
        await room.state.commit(TENANT, Change(puts=(replace(stored, status="approved", decisions=(word,)),)))
        (due,) = await room.state.find(TENANT, Proposal, "proposal:approved")
        await asyncio.gather(room.desk.settle(due), room.desk.settle(due))
        assert (await room.now()).topics_version == 1

    run(scenario)


def test_grader_numbers_are_never_reused_after_a_roll_back() -> None:
    async def scenario() -> None:
        room = Room()
        await room.workflow()
        for key in ("one", "two"):
            proposal = await room.propose(
                Draft("grader", "Grader", {"kind": "string_check", "config": {}}), key=key
            )
            await room.desk.decide(TENANT, proposal.id, OWNER, approve=True, evidence="button")
        await room.desk.update(TENANT, "w1", lambda w: replace(w, grader_version=1))
        proposal = await room.propose(
            Draft("grader", "Grader", {"kind": "string_check", "config": {}}), key="three"
        )
        await room.desk.decide(TENANT, proposal.id, OWNER, approve=True, evidence="button")
        assert (await room.now()).grader_version == 3
        assert await room.state.get(TENANT, Grader, "w1.2") is not None

    run(scenario)


def test_another_teams_proposal_is_unknown() -> None:
    async def scenario() -> None:
        room = Room()
        await room.workflow()
        proposal = await room.propose(topics())
        stranger = Tenant(enterprise="", team="T2")
        outcome = await room.desk.decide(stranger, proposal.id, OWNER, approve=True, evidence="button")
        assert outcome.proposal is None
        assert not outcome.accepted

    run(scenario)
