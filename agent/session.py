"""What a turn knows while a process works on it, and its journal: everything here can be rebuilt from the entries.

Holds and looks up; decides nothing. Hearing is in `hearing.py`, the conversation in `turn.py`, the endings in `endings.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent import transcript, words
from agent.tooling import Tool
from storage.records import InboxItem, Json, Lease, Proposal, StepName, Task, Tenant, Workflow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person
from tasks.models.port import Usage


@dataclass(frozen=True, slots=True)
class TurnInput:
    """A leased lane and what waits in it. `items` is everything that `Inbox.waiting` gave."""

    tenant: Tenant
    lane: str
    lease: Lease
    channel: str
    thread_ts: str
    items: tuple[InboxItem, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """`patience_seconds` is how long a turn waits for a model that is away before it says so and ends."""

    model_calls: int = 20
    calls_per_reply: int = 16
    temperature: float = 0.2
    model_seconds: float = 150.0
    first_pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0
    patience_seconds: float = 1800.0


@dataclass(slots=True)
class Session:
    """One turn in this process. `items` are those heard, `pending` the calls of the last reply without a result."""

    turn: TurnInput
    deps: Deps
    desk: Desk
    whois: Callable[[str], Awaitable[Person]]
    tools: Sequence[Tool]
    limits: Limits
    id: str = ""
    resumed: bool = False
    items: dict[str, InboxItem] = field(default_factory=dict)
    messages: list[Json] = field(default_factory=list)
    pending: list[Json] = field(default_factory=list)
    results: list[tuple[str, Json]] = field(default_factory=list)
    intents: dict[str, words.Intent] = field(default_factory=dict)
    replies: int = 0
    calls: int = 0
    cost_usd: float = 0.0
    waits: int = 0
    waiting_since: float = 0.0
    undecided: bool = False
    was_idle: bool = False
    stored: tuple[Json, ...] = ()  # the whole stored transcript
    told: tuple[Json, ...] = ()  # the part of it that the model is told

    async def load(self) -> None:
        """Rebuild what was done before, if anything was."""
        known = {item.id: item for item in self.turn.items}
        for entry in await self.deps.state.entries(self.turn.tenant, self.turn.lane):
            self._replay(entry, known)
        self.resumed = bool(self.id)
        last = transcript.LAST_MESSAGES
        self.stored = await self.deps.state.transcript(self.turn.tenant, self.turn.lane, last=last)
        self.told = transcript.window(self.stored)

    async def write(self, entry: Json) -> None:
        """Journal, then apply: what is applied is always found again. Raises `LostLease`."""
        await self.deps.state.write(self.turn.lease, self.turn.lane, entry)
        self._replay(entry, self.items)

    def _replay(self, entry: Json, known: Mapping[str, InboxItem]) -> None:
        match entry["kind"]:
            case "started" | "heard":
                self._heard(entry, known)
            case "deciding":
                self.intents[entry["item"]] = words.Intent(entry["proposal"], entry["approve"])
            case "reply":
                self.messages.append(transcript.from_reply(entry, at=entry["at"]))
                self.pending = list(entry["calls"])
                self.calls += len(entry["calls"])
                self.replies += 1
                self.cost_usd = entry["cost"]
            case "result":
                self.messages.append(transcript.from_result(entry["call"], entry["result"], at=entry["at"]))
                self.pending = [call for call in self.pending if call["id"] != entry["call"]]
                self.results.append((entry["tool"], entry["result"]))
                self.cost_usd = entry["cost"]
            case "waiting":
                self.waits, self.waiting_since = entry["attempt"], entry["since"]

    def _heard(self, entry: Json, known: Mapping[str, InboxItem]) -> None:
        self.id = entry["turn"]
        self.items |= {id: known[id] for id in entry["items"] if id in known}
        self.messages += entry["messages"]
        self.undecided = self.undecided or entry["undecided"]
        self.was_idle = self.was_idle or entry["idle"]

    # ------------------------------------------------------------ looking up

    async def workflow(self) -> Workflow | None:
        return await self.desk.workflow_of_thread(self.turn.tenant, self.turn.channel, self.turn.thread_ts)

    async def tasks(self, workflow: Workflow | None) -> tuple[Task, ...]:
        return await self.desk.open_tasks(self.turn.tenant, workflow.id) if workflow else ()

    async def proposals(self) -> tuple[Proposal, ...]:
        return await self.desk.open_proposals(self.turn.tenant, self.turn.channel, self.turn.thread_ts)

    async def waiting(self) -> tuple[InboxItem, ...]:
        return await self.deps.state.waiting(self.turn.tenant, self.turn.lane)

    def said(self) -> list[InboxItem]:
        """What people said in this turn, in the order in which they wrote it."""
        said = (item for item in self.items.values() if item.kind == "message")
        return sorted(said, key=lambda item: item.at)

    def step_of(self, operation: str) -> StepName | None:
        found = self.desk.operations.get(operation)
        return found.step if found else None

    def meter(self, model: str, usage: Usage) -> None:
        """Count a model call toward the workflow's budget."""
        price = self.deps.settings.price(model)
        self.cost_usd += (usage.input_tokens * price.input + usage.output_tokens * price.output) / 1_000_000
