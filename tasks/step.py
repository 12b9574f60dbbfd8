"""What an operation of the workflow is: a name, what it needs, how long it may take, and `run`.

One file per operation in `tasks/steps/`, one registry line in `tasks/steps/__init__.py`. An operation reads what was
pinned when it was started (`ctx.workflow`), does its work part by part through `ctx`, and returns a `StepReport`.
It commits nothing itself: `tasks/jobs.py` writes the report in one atomic change, so a repeat after a crash is harmless.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from storage.records import Document, Json, OutboxEvent, ProposalKind, StepName, Task, Workflow

if TYPE_CHECKING:
    from tasks.deps import Deps
    from tasks.models.port import Usage

Need = Literal[
    "goal",
    "valid_rows",
    "rows_or_goal",
    "topics",
    "topics_or_records",
    "categories",
    "grader",
    "uploaded_dataset",
    "dry_run",
    "verdict",
    "trained_model",
]


class StepError(Exception):
    """The operation cannot succeed as things stand. The message is plain words for people, with what to do next.

    `code` is for tests and the agent; `next` names the action that helps ("configure_grader")."""

    def __init__(self, message: str, *, code: str = "failed", next: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.next = next


class Cancelled(Exception):
    """A person stopped the task. Raised by `ctx.checkpoint` and `ctx.progress`; operations that can keep what is done
    ask `ctx.cancelled()` between parts instead and return a report with `partial=True`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A proposal an operation wants made; the desk adds who may decide and what it depends on."""

    kind: ProposalKind
    title: str
    payload: Json
    ceiling_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Next:
    """An operation to start when this one is committed."""

    operation: str
    params: Json = field(default_factory=dict)


def unchanged(workflow: Workflow) -> Workflow:
    return workflow


@dataclass(frozen=True, slots=True)
class StepReport:
    """What came of an operation.

    facts    numbers and short texts for the agent and the result card (JSON, bounded: under 20 kB)
    change   pure; applied to the newest workflow, again on every conflict
    summary  the line in the pipeline view, for operations that belong to a step
    view     the outbox event's kind for the result card ("" shows none); its data is `facts`
    say      False when the agent need not comment (a chain goes on by itself)
    """

    facts: Json
    change: Callable[[Workflow], Workflow] = unchanged
    summary: str = ""
    view: str = ""
    records: tuple[Document, ...] = ()
    events: tuple[OutboxEvent, ...] = ()
    drafts: tuple[Draft, ...] = ()
    then: tuple[Next, ...] = ()
    partial: bool = False
    say: bool = True
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Fan:
    """How an operation's work is shared among workers: see `StepContext.spread` and `tasks/fanout.py`.

    prepare  runs once in every process that takes part, with the operation's context and params: what all shares need.
             What is dear to make the operation saves before it spreads (a checkpoint, or `save_report` for what is large).
    work     does the share of that name; what it returns is kept under the name (JSON under 100 kB; rows go to the store).
             It may checkpoint on its own account under names that begin with the share's; those of the form `share/…` are
             forgotten once the share is done. It may ask `ctx.cancelled()`.
    """

    prepare: Callable[[StepContext, Json], Awaitable[Any]]
    work: Callable[[StepContext, Any, str], Awaitable[Json]]


class StepContext(Protocol):
    """What an operation may touch. Built by `tasks/jobs.py`; tests build one with `tests/makers.py`."""

    task: Task
    workflow: Workflow
    deps: Deps
    done: Mapping[str, Json]

    async def progress(self, done: int, total: int, label: str) -> None:
        """Show how far it is (throttled). Raises `Cancelled`, `LostLease`."""
        ...

    async def checkpoint(self, name: str, value: Json) -> None:
        """Remember a finished part; found in `ctx.done` after a restart. Raises `Cancelled`, `LostLease`."""
        ...

    async def spread(self, shares: Mapping[str, int], *, label: str) -> bool:
        """Do every share that is not in `done`, here and on whatever workers are free; True when stopped early.

        `shares` maps names to rows; progress shows how many are done, followed by `label` ("rows sorted"). Afterwards `done`
        holds what the operation's `fan.work` returned for each, whoever did it. A share whose worker dies is done again.
        """
        ...

    def cancelled(self) -> bool: ...

    def meter(self, model: str, usage: Usage) -> None:
        """Count a model call's tokens toward the workflow's budget."""
        ...

    def spent_usd(self) -> float: ...


class Operation(Protocol):
    """`step` is the workflow step it belongs to, None for operations beside the pipeline (preview, export …).

    `finishes` says whether success completes that step; a topics operation for instance only proposes.
    `params` are the tool's parameters after parsing: a plain JSON object."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str:
        """What people read: "Dry run", "Sorting rows into topics"."""
        ...

    @property
    def step(self) -> StepName | None: ...
    @property
    def finishes(self) -> bool: ...
    @property
    def needs(self) -> Sequence[Need]: ...
    @property
    def queue(self) -> str: ...
    @property
    def timeout_seconds(self) -> int: ...

    async def run(self, ctx: StepContext, params: Json) -> StepReport: ...


@dataclass(frozen=True, slots=True)
class Step:
    """The usual way to state an operation: `DRY_RUN = Step(name="dry_run", …, body=run)`."""

    name: str
    title: str
    body: Callable[[StepContext, Json], Awaitable[StepReport]]
    step: StepName | None = None
    finishes: bool = True
    needs: tuple[Need, ...] = ()
    queue: str = "steps"
    timeout_seconds: int = 3600
    fan: Fan | None = None
    after_deletion: bool = False  # runs although its workflow is deleted; every other operation then stops

    async def run(self, ctx: StepContext, params: Json) -> StepReport:
        return await self.body(ctx, params)


def registry(*operations: Step) -> dict[str, Step]:
    """Operations by name. Raises ValueError on a name used twice."""
    table: dict[str, Step] = {}
    for operation in operations:
        if operation.name in table:
            raise ValueError(f"two operations are called {operation.name}")
        table[operation.name] = operation
    return table
