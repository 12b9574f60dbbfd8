"""Makers for tests: workflows, rows, datasets, and a `StepContext` over memory that can be stopped and taken up again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.errors import LostLease
from storage.manifests import Manifest
from storage.memory import MemoryState
from storage.records import Change, Dataset, Document, Grader, Json, Task, Tenant, Topic, Workflow
from storage.rows import Input, Output, Row
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.models.offline import OfflineEmbedder
from tasks.models.port import Usage
from tasks.rules.validation import check_row
from tasks.settings import Settings
from tasks.steps import OPERATIONS
from tests.fakes import FakeChat, FakeQueue, FakeTrainer

TENANT = Tenant(enterprise="", team="T1")
BILLING = Topic("billing", "Billing", "Invoices and refunds", ("invoice", "refund", "charged", "payment"))
LOGIN = Topic("login", "Login", "Passwords and access", ("password", "login", "locked", "sign in"))
SHIPPING = Topic("shipping", "Shipping", "Parcels", ("parcel", "delivery", "courier", "tracking"))
TOPICS = (BILLING, LOGIN, SHIPPING)
TEXTS = {
    "billing": "I was charged twice, please refund invoice number {n} to my card",
    "login": "My password does not work and the login page says I am locked out, case {n}",
    "shipping": "Where is my parcel, the courier lost the delivery and tracking {n} is empty",
}
JUDGE: Json = {
    "criteria": [
        {"name": "Helpful", "description": "It helps.", "weight": 0.6},
        {"name": "Tone", "description": "It is kind.", "weight": 0.4},
    ]
}


def settings(**fields: Any) -> Settings:
    """Settings with a model server that may see rows; nothing is read from a file."""
    given = {
        "openai_base_url": "http://model.test/v1",
        "openai_api_key": SecretStr("key"),
        "allowed_providers": ("model.test",),
        "generator_model": "writer",
        "judge_model": "judge",
        "base_model": "base",
    }
    return Settings(**{**given, **fields})


def row(text: str, *, id: str = "", answer: str = "", **fields: Any) -> Row:
    output = Output(messages=[{"role": "assistant", "content": answer}]) if answer else Output()
    return Row(id=id, input=Input(messages=[{"role": "user", "content": text}]), output=output, **fields)


def rows(counts: Mapping[str, int] | None = None, *, labelled: bool = False, **fields: Any) -> list[Row]:
    """Rows of the three topics; `labelled` gives them their topic already."""
    made = []
    for topic, count in (counts or {"billing": 12, "login": 10, "shipping": 8}).items():
        label: Json = (
            {"topic": topic, "topic_confidence": 0.95, "topic_method": "keyword"} if labelled else {}
        )
        for number in range(count):
            text = TEXTS[topic].format(n=f"{number}-{_word(number)}")
            made.append(row(text, id=f"{topic}-{number}", **{**label, **fields}))
    return made


def _word(number: int) -> str:
    """Something that keeps texts apart, so that they are no near-duplicates."""
    words = [
        "amber",
        "basil",
        "cedar",
        "delta",
        "ember",
        "fjord",
        "grove",
        "hazel",
        "indigo",
        "juniper",
        "kelp",
        "lotus",
        "maple",
        "nettle",
        "onyx",
        "pearl",
    ]
    return f"{words[number % 16]} {words[(number * 7 + 3) % 16]} {words[(number // 16 * 5 + 1) % 16]} {number * 7919}"


@dataclass
class World:
    """Everything a step touches, in memory."""

    state: MemoryState = field(default_factory=MemoryState)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    chat: FakeChat = field(default_factory=FakeChat)
    trainer: FakeTrainer = field(default_factory=FakeTrainer)
    settings: Settings = field(default_factory=settings)

    @property
    def deps(self) -> Deps:
        return Deps(
            settings=self.settings,
            state=self.state,
            blobs=self.blobs,
            datasets=self.datasets,
            chat=self.chat,
            embedder=OfflineEmbedder(),
            trainers={"openai": self.trainer},
            queue=FakeQueue(),
            clock=lambda: 1000.0,
        )

    @property
    def datasets(self) -> Datasets:
        return Datasets(self.blobs, part_rows=16)

    async def put(self, *documents: Document) -> None:
        await self.state.commit(TENANT, Change(puts=documents))

    def dataset(self, given: Iterable[Row]) -> Manifest:
        """Version 1 of dataset d1."""
        empty = Manifest(head=replace(self._empty().head, version=0), parts=())
        return self.datasets.append_rows(empty, given, check=check_row, operation="upload", by="U1", at=1.0)

    def _empty(self) -> Manifest:
        return Datasets(MemoryBlobs()).write_version(
            TENANT, "d1", (), (), operation="upload", by="U1", at=1.0
        )

    async def workflow(self, manifest: Manifest | None, **fields: Any) -> Workflow:
        """A stored workflow on that version, with its dataset's document."""
        made = flow.create(
            id="w1",
            tenant=TENANT,
            channel="C1",
            thread_ts="1.0",
            owner="U1",
            name="Customer Support",
            goal="Helpful answers, on brand",
            at=1.0,
        )
        if manifest is not None:
            made = replace(
                made,
                dataset_id="d1",
                dataset_version=manifest.version,
                total_rows=manifest.totals.rows,
                valid_rows=manifest.totals.valid,
            )
            await self.put(
                Dataset(
                    id="d1",
                    tenant=TENANT,
                    name="d",
                    file_name="d.jsonl",
                    owner="U1",
                    created_at=1.0,
                    latest=manifest.version,
                )
            )
        made = replace(made, **fields)
        await self.put(made)
        return replace(made, version=1)

    async def grader(
        self, kind: str = "llm_as_judge", config: Json | None = None, *, number: int = 1
    ) -> Grader:
        made = Grader(
            id=f"w1.{number}",
            tenant=TENANT,
            workflow_id="w1",
            number=number,
            kind=kind,
            config=config or JUDGE,
            author="U1",
            created_at=1.0,
        )
        await self.put(made)
        return made

    def context(
        self,
        workflow: Workflow,
        operation: str = "op",
        *,
        params: Json | None = None,
        done: Mapping[str, Json] | None = None,
    ) -> Context:
        task = Task(
            id="t1",
            tenant=TENANT,
            workflow_id=workflow.id,
            channel="C1",
            thread_ts="1.0",
            operation=operation,
            params=params or {},
            inputs={},
            by="U1",
            created_at=1.0,
        )
        return Context(task=task, workflow=workflow, deps=self.deps, done=dict(done or {}))


class Killed(LostLease):
    """What a step hears that may write no more: the nearest thing to a kill -9 that a test survives."""


@dataclass
class Context:
    """Implements `StepContext`. `stop_after` checkpoints somebody asks it to stop; `die_after` of them it may write no more, as after a kill -9."""

    task: Task
    workflow: Workflow
    deps: Deps
    done: dict[str, Json]
    stop_after: int | None = None
    die_after: int | None = None
    written: int = 0
    labels: list[str] = field(default_factory=list)
    usage: list[tuple[str, Usage]] = field(default_factory=list)

    async def progress(self, done: int, total: int, label: str) -> None:
        self.labels.append(label)

    async def checkpoint(self, name: str, value: Json) -> None:
        if self.die_after is not None and self.written >= self.die_after:
            raise Killed("task:t1")
        self.done = {**self.done, name: value}
        self.written += 1

    async def spread(self, shares: Mapping[str, int], *, label: str) -> bool:
        """One process does all shares in order; `fan` is the operation's, found by the task's operation."""
        fan = OPERATIONS[self.task.operation].fan
        assert fan is not None
        prepared = await fan.prepare(self, self.task.params)
        for name in shares:
            if self.cancelled():
                return True
            if name not in self.done:
                await self.checkpoint(name, await fan.work(self, prepared, name))
        return self.cancelled() and any(name not in self.done for name in shares)

    def cancelled(self) -> bool:
        return self.stop_after is not None and self.written >= self.stop_after

    def meter(self, model: str, usage: Usage) -> None:
        self.usage.append((model, usage))

    def spent_usd(self) -> float:
        return 0.0


def texts_of(found: Sequence[Row]) -> list[str]:
    return [str(one.input.messages[-1]["content"]) for one in found]
