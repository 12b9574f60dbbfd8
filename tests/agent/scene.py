"""One thread over memory: a state, a desk, a dataset, a model that says what a test tells it to. No Slack, no network."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from agent.session import Limits, TurnInput
from agent.tooling import ToolContext
from agent.tools import BY_NAME
from agent.turn import TurnOutcome, run
from storage import keys
from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.memory import MemoryState
from storage.records import (
    Change,
    Dataset,
    InboxItem,
    Json,
    OutboxEvent,
    Proposal,
    Task,
    Tenant,
    Topic,
    Workflow,
)
from storage.rows import Input, Row
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person
from tasks.models.port import ChatReply, ChatRequest, ToolCall, Usage
from tasks.rules.validation import check_row
from tasks.settings import Settings
from tasks.steps import OPERATIONS
from tests.fakes import FakeQueue

TENANT = Tenant(enterprise="", team="T1")
CHANNEL, THREAD = "C1", "1700000000.000100"
LANE = keys.lane(CHANNEL, THREAD)
OWNER = "U1"
START = 1_700_000_000.0
TOPICS = (
    Topic("billing", "Billing", keywords=("invoice",)),
    Topic("complaints", "Complaints", keywords=("angry",)),
)
Script = (
    ChatReply | Exception | Callable[[ChatRequest], ChatReply] | Callable[[ChatRequest], Awaitable[ChatReply]]
)


USED = Usage(100, 10)


def says(text: str, *calls: tuple[str, Json | str], usage: Usage = USED) -> ChatReply:
    """A reply with words and tool calls; arguments as an object or as raw text."""
    made = tuple(
        ToolCall(f"call_{place}", name, given if isinstance(given, str) else json.dumps(given))
        for place, (name, given) in enumerate(calls)
    )
    return ChatReply(text=text, tool_calls=made, usage=usage, model="scripted")


class ScriptedModel:
    """Implements `ChatModel`: answers from a list, remembers what it was asked. Past the end it says "Done."."""

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        step = self.script.pop(0) if self.script else says("Done.")
        if isinstance(step, Exception):
            raise step
        if isinstance(step, ChatReply):
            return step
        made = step(request)
        return made if isinstance(made, ChatReply) else await made

    async def close(self) -> None:
        return None

    def heard(self) -> list[str]:
        """Everything said by people or events in the last request."""
        return [str(m.content) for m in self.requests[-1].messages if m.role == "user"]

    def results(self) -> list[Json]:
        """Every tool result in the last request."""
        return [json.loads(str(m.content)) for m in self.requests[-1].messages if m.role == "tool"]


class NoEmbedder:
    name = "none"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise AssertionError("no tool embeds")


class FakeTrainer:
    name = "openai"

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)


class Scene:
    """A thread at some point of its workflow. `now` is the clock; a test moves it."""

    def __init__(self, *script: Script, **settings: Any) -> None:
        given: dict[str, Any] = {
            "budget_usd": 1000.0,
            "allowed_providers": ("openai",),
            "openai_base_url": "",
        }
        self.settings = Settings(**{**given, **settings})
        self.now = START
        self.state, self.blobs, self.queue = MemoryState(lambda: self.now), MemoryBlobs(), FakeQueue()
        self.datasets = Datasets(self.blobs)
        self.model, self.trainer = ScriptedModel(*script), FakeTrainer()
        self.deps = Deps(
            settings=self.settings,
            state=self.state,
            blobs=self.blobs,
            datasets=self.datasets,
            chat=self.model,
            embedder=NoEmbedder(),
            trainers={"openai": self.trainer},  # type: ignore[dict-item]
            queue=self.queue,
            clock=lambda: self.now,
        )
        self.desk = Desk(
            state=self.state,
            queue=self.queue,
            settings=self.settings,
            operations=OPERATIONS,
            clock=lambda: self.now,
        )
        self.guests: set[str] = set()
        self.stop = False
        self.said = 0

    # ------------------------------------------------------------ arranging

    async def workflow(self, rows: Sequence[Row] = (), **changes: Any) -> Workflow:
        """A stored workflow, on a dataset of these rows (ten usual ones when none are given)."""
        dataset = Dataset("d1", TENANT, "Support", "support.jsonl", OWNER, self.now, latest=1)
        listed = tuple(rows) or tuple(row(place) for place in range(10))
        writer = self.datasets.writer(TENANT, "d1")
        parts, index = writer.finish()
        empty = self.datasets.write_version(
            TENANT, "d1", parts, index, operation="ingest", by=OWNER, at=self.now
        )
        made = self.datasets.append_rows(
            empty, listed, check=check_row, operation="ingest", by=OWNER, at=self.now
        )
        begun = flow.create(
            id="w1",
            tenant=TENANT,
            channel=CHANNEL,
            thread_ts=THREAD,
            owner=OWNER,
            name="Support",
            goal=changes.pop("goal", "helpful answers"),
            at=self.now,
        )
        stored = replace(
            begun,
            dataset_id="d1",
            dataset_version=made.version,
            total_rows=made.totals.rows,
            valid_rows=made.totals.valid,
        )
        stored = replace(stored, **changes)
        await self.state.commit(TENANT, Change(puts=(stored, replace(dataset, latest=made.version))))
        return stored

    async def change(self, change: Callable[[Workflow], Workflow]) -> Workflow:
        return await self.desk.update(TENANT, "w1", change)

    # ------------------------------------------------------------ acting

    async def say(self, text: str, *, user: str = OWNER, id: str = "") -> InboxItem:
        """A person writes; it waits in the lane. A second passes."""
        self.now += 1
        self.said += 1
        item = InboxItem(
            id=id or f"m{self.said}",
            kind="message",
            user=user,
            text=text,
            at=self.now,
            data={"ts": f"{self.now:.6f}"},
        )
        await self.state.accept(TENANT, LANE, item)
        return item

    async def happen(self, event: str, **facts: Any) -> None:
        self.now += 1
        self.said += 1
        item = InboxItem(f"e{self.said}", "event", "", "", self.now, {"event": event, **facts})
        await self.state.accept(TENANT, LANE, item)

    async def turn(self, *script: Script, limits: Limits | None = None) -> TurnOutcome:
        """One turn over what waits, with these replies."""
        self.model.script += script
        items = await self.state.waiting(TENANT, LANE)
        lease = await self.state.claim(TENANT, LANE, seconds=60)
        assert lease
        try:
            given = TurnInput(TENANT, LANE, lease, CHANNEL, THREAD, items)
            return await run(
                given, deps=self.deps, desk=self.desk, whois=self.whois, stopped=self._stopped, limits=limits
            )
        finally:
            await self.state.release(lease)

    async def call(
        self, name: str, arguments: Json | str | None = None, *, key: str = "k1", user: str = OWNER
    ) -> Json:
        """A tool, called as the model or a button would."""
        workflow = await self.desk.workflow_of_thread(TENANT, CHANNEL, THREAD)
        ctx = ToolContext(
            tenant=TENANT,
            channel=CHANNEL,
            thread_ts=THREAD,
            actor=await self.whois(user),
            deps=self.deps,
            desk=self.desk,
            call_id=key,
            workflow=workflow,
            evidence="1.0",
        )
        return await BY_NAME[name].call(ctx, arguments if arguments is not None else {})

    async def whois(self, user: str) -> Person:
        return Person(user, is_guest=user in self.guests)

    async def _stopped(self) -> bool:
        return self.stop

    # ------------------------------------------------------------ looking

    async def current(self) -> Workflow:
        found = await self.state.get(TENANT, Workflow, "w1")
        assert found
        return found

    async def events(self, kind: str = "") -> list[OutboxEvent]:
        return [event for event in await self.state.read(TENANT, limit=200) if kind in ("", event.kind)]

    async def texts(self) -> list[str]:
        """What people read in words: prose and notices."""
        return [event.data["text"] for event in await self.events() if event.kind in ("prose", "notice")]

    async def proposals(self) -> tuple[Proposal, ...]:
        return await self.desk.open_proposals(TENANT, CHANNEL, THREAD)

    async def tasks(self) -> list[str]:
        return [task.operation for task in await self.desk.open_tasks(TENANT, "w1")]

    async def all_tasks(self) -> tuple[Task, ...]:
        return await self.state.find(TENANT, Task, "task:workflow:w1")

    async def left(self) -> tuple[InboxItem, ...]:
        return await self.state.waiting(TENANT, LANE)


def row(place: int, text: str = "", *, topic: str | None = None) -> Row:
    said = text or f"My invoice number {place} is wrong, please help me."
    messages = [{"role": "user", "content": said}]
    confidence = 0.9 if topic else None
    return Row(
        id=f"r{place}",
        input=Input(messages=messages),
        provenance={"line": place + 1},
        topic=topic,
        topic_confidence=confidence,
    )


def sorted_rows(billing: int = 9, complaints: int = 1) -> list[Row]:
    """Rows with topics."""
    topics = ["billing"] * billing + ["complaints"] * complaints
    return [row(place, topic=topic) for place, topic in enumerate(topics)]


def done(workflow: Workflow, *steps: str) -> Workflow:
    for step in steps:
        workflow = flow.finish(workflow, step, summary="done", by=OWNER, at=START)  # type: ignore[arg-type]
    return workflow
