"""The records that state is made of: frozen, stdlib only, serialised to JSON by the adapters.

A *document* (workflow, proposal, task …) has `id` and `version`: the version it was read at, 0 when new. Writers hand a
changed copy back to `Records.commit`, which stores it as version + 1 or raises `Conflict`. Times are Unix seconds, UTC.
Money is US dollars. This module decides nothing; rules live in `tasks/rules/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One Slack workspace. `enterprise` is "" outside an Enterprise Grid."""

    enterprise: str
    team: str


@dataclass(frozen=True, slots=True)
class Topic:
    """A node of the topic hierarchy. `id` is the snake_case path from the root, such as `billing/refunds`."""

    id: str
    name: str
    description: str = ""
    keywords: tuple[str, ...] = ()
    children: tuple[Topic, ...] = ()


# ---------------------------------------------------------------- inbox, outbox

ItemKind = Literal["message", "file", "decision", "edit", "action", "command", "stop", "event"]


@dataclass(frozen=True, slots=True)
class InboxItem:
    """Something a person (or a finished job) sent to a thread. `id` is what duplicates are recognised by."""

    id: str
    kind: ItemKind
    user: str
    text: str
    at: float
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """Something the thread should be shown. `kind` names the view in `bot/views`; `key` makes a repeat harmless.

    `card` groups events that update one message (a job's progress, a proposal's life); "" posts a new one.
    `to` makes the answer ephemeral for that user.
    """

    kind: str
    channel: str
    thread_ts: str
    data: Json
    key: str
    card: str = ""
    to: str = ""
    position: str = ""  # set by the store: the place in the tenant's outbox


# ---------------------------------------------------------------- workflow

StepName = Literal[
    "topics_config", "categorize", "coverage_generation", "grader_config", "dry_run", "training", "deployment"
]
STEP_NAMES: tuple[StepName, ...] = (
    "topics_config",
    "categorize",
    "coverage_generation",
    "grader_config",
    "dry_run",
    "training",
    "deployment",
)
StepStatus = Literal["pending", "in_progress", "completed", "failed", "skipped"]
Verdict = Literal["GO", "WARNING", "NO-GO"]


@dataclass(frozen=True, slots=True)
class StepState:
    """Where one step of a workflow stands. `summary` is the line shown in the pipeline ("7 topics • 1,008 records")."""

    status: StepStatus = "pending"
    started_at: float | None = None
    finished_at: float | None = None
    by: str = ""
    summary: str = ""
    reason: str = ""
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """Who moved the workflow, when, by what; `evidence` links the message or the click."""

    at: float
    by: str
    what: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRound:
    """One round of synthetic data, with the balance before and after."""

    task_id: str
    at: float
    strategy: str
    asked: int
    kept: int
    rejected: dict[str, int]
    by_topic: dict[str, int]
    balance_before: float | None
    balance_after: float | None
    request: str = ""  # what was asked for, as `rules.rounds` names it
    stopped: bool = False
    continued: bool = False  # it went on with the round of its request before it
    by_seed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """The dataset as the training backend has it."""

    backend_dataset_id: str
    trainer: str
    dataset_version: int
    record_count: int
    grader_version: int | None
    validation_id: str = ""


@dataclass(frozen=True, slots=True)
class DryRunSummary:
    """What later steps must know of the last dry run; the whole of it is a blob under `task_id`."""

    task_id: str
    at: float
    dataset_version: int
    grader_version: int
    verdict: Verdict
    mean: float
    std: float
    may_override: bool
    overridden_by: str = ""


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """The training job that the workflow follows. `pattern` is the analysis of domain.md §8."""

    job_id: str
    trainer: str
    status: Literal["pending", "queued", "running", "paused", "completed", "failed", "cancelled"]
    base_model: str
    configuration: Json
    digest: str
    dataset_version: int
    grader_version: int
    requested_by: str
    started_at: float
    model: str = ""
    error: str = ""
    progress: Json = field(default_factory=dict)
    report: Json = field(default_factory=dict)
    pattern: str = ""
    overridden_by: str = ""
    unreachable_since: float | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the trained model answers."""

    model_id: str
    endpoint: str
    mode: str
    deployed_at: float
    by: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The workflow as it stood before a transition, to roll back to. `state` holds a `Workflow` without snapshots, as JSON."""

    id: str
    at: float
    by: str
    before: StepName
    state: Json


@dataclass(frozen=True, slots=True)
class Workflow:
    """One thread's way from a file to a deployed model."""

    id: str
    tenant: Tenant
    channel: str
    thread_ts: str
    owner: str
    name: str
    created_at: float
    updated_at: float
    goal: str = ""
    status: Literal["active", "completed", "cancelled", "deleted"] = "active"
    dataset_id: str = ""
    dataset_version: int = 0
    total_rows: int = 0
    valid_rows: int = 0
    steps: Mapping[StepName, StepState] = field(default_factory=dict)
    topics: tuple[Topic, ...] = ()
    topics_version: int = 0
    targets: Mapping[str, float] = field(default_factory=dict)
    coverage: Json = field(default_factory=dict)
    rounds: tuple[GenerationRound, ...] = ()
    grader_version: int = 0
    graders_made: int = 0  # grader numbers are never used twice, also after a roll back
    upload: Upload | None = None
    dry_runs: tuple[DryRunSummary, ...] = ()
    configuration: Json = field(default_factory=dict)
    training: TrainingSummary | None = None
    deployment: Deployment | None = None
    snapshots: tuple[Snapshot, ...] = ()
    history: tuple[Transition, ...] = ()
    spent_usd: float = 0.0
    applied: tuple[str, ...] = ()  # ids of tasks and proposals whose effect is already in here
    version: int = 0


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset's name and its newest version; the versions themselves are immutable manifests in the blob store."""

    id: str
    tenant: Tenant
    name: str
    file_name: str
    owner: str
    created_at: float
    latest: int = 0
    personas: tuple[str, ...] = ()  # in whose voices examples are generated; empty: the usual ones
    version: int = 0


@dataclass(frozen=True, slots=True)
class Grader:
    """One version of a workflow's grader. `id` is `<workflow id>.<number>`; `number` counts from 1."""

    id: str
    tenant: Tenant
    workflow_id: str
    number: int
    kind: str
    config: Json
    author: str
    created_at: float
    diff: tuple[str, ...] = ()
    version: int = 0


# ---------------------------------------------------------------- proposals

ProposalKind = Literal[
    "topics",
    "generation",
    "grader",
    "training",
    "deployment",
    "skip",
    "rollback",
    "delete",
    "override",
    "consent",
    "clean",
    "rows",
    "augmentation",
    "knowledge",
]


@dataclass(frozen=True, slots=True)
class Decision:
    """One person's word on a proposal; `evidence` is a permalink-able message ts or "button"."""

    user: str
    approve: bool
    at: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something that costs, destroys or commits, waiting for people.

    `depends` is everything the payload was computed from; a proposal whose `depends` no longer matches the workflow is void.
    `deciders` empty: anyone in the channel who is not a guest.
    """

    id: str
    tenant: Tenant
    workflow_id: str
    channel: str
    thread_ts: str
    kind: ProposalKind
    title: str
    payload: Json
    depends: Json
    asked_by: str
    created_at: float
    deciders: tuple[str, ...] = ()
    needed: int = 1
    ceiling_usd: float = 0.0
    status: Literal["open", "approved", "rejected", "void", "superseded", "done"] = "open"
    decisions: tuple[Decision, ...] = ()
    note: str = ""  # why void, what came of it
    version: int = 0


# ---------------------------------------------------------------- tasks

TaskStatus = Literal["queued", "running", "finished", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of long work, written before it is queued. RQ only wakes a worker; this record is the truth.

    `id` is derived from what makes it unique, so that asking twice yields one task. `inputs` pins the versions it works on.
    """

    id: str
    tenant: Tenant
    workflow_id: str
    channel: str
    thread_ts: str
    operation: str
    params: Json
    inputs: Json
    by: str
    created_at: float
    queue: str = "steps"
    status: TaskStatus = "queued"
    attempt: int = 0
    cancel_requested: bool = False
    started_at: float | None = None
    finished_at: float | None = None
    done: int = 0
    total: int = 0
    label: str = ""
    error: str = ""
    result: Json = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class Consent:
    """A workspace's word that rows may be sent to a provider. `id` is the provider's host."""

    id: str
    tenant: Tenant
    by: str
    at: float
    version: int = 0


@dataclass(frozen=True, slots=True)
class SharedDocument:
    """A document that people shared to make rows from; its passages are a blob (`paths.passages`) under its id.

    `id` comes from workflow and content, so that the same document shared twice is one. `skipped` counts what was not read.
    """

    id: str
    tenant: Tenant
    workflow_id: str
    name: str
    kind: str
    digest: str
    size: int
    by: str
    at: float
    passages: int = 0
    headings: int = 0
    pages: int = 0
    words: int = 0
    skipped: Json = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A further file of a workflow's thread, in storage under `path`, until somebody says what is to be done with it.

    `batch` is the message that brought it: several files of one message can be added together.
    """

    id: str
    tenant: Tenant
    workflow_id: str
    channel: str
    thread_ts: str
    name: str
    path: str
    size: int
    by: str
    at: float
    batch: str = ""
    status: Literal["waiting", "taken", "used", "dismissed"] = "waiting"
    version: int = 0


Document = Workflow | Dataset | Grader | Proposal | Task | Consent | SharedDocument | WaitingFile


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `name` (a thread's lane, a task) until it expires; `fence` grows with every taker."""

    tenant: Tenant
    name: str
    fence: int


@dataclass(frozen=True, slots=True)
class Change:
    """Everything one decision writes, applied all or nothing by `Records.commit`.

    puts        documents at the version they were read at
    events      appended to the tenant's outbox (a key already used is dropped)
    items       (lane, item) appended to inboxes (an id already seen is dropped)
    lease       refused with `LostLease` when its fence is no longer the newest
    consumed    (lane, item ids) removed from that lane's inbox; its journal is cleared
    transcript  (lane, messages) appended to the lane's transcript
    """

    puts: tuple[Document, ...] = ()
    events: tuple[OutboxEvent, ...] = ()
    items: tuple[tuple[str, InboxItem], ...] = ()
    lease: Lease | None = None
    consumed: tuple[str, tuple[str, ...]] | None = None
    transcript: tuple[str, tuple[Json, ...]] | None = None
