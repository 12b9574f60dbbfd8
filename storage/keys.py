"""Every Redis key, spelled once. The tenant is a hash tag, so that one script's keys share a cluster slot.

Object paths are in `paths.py`.
"""

from __future__ import annotations

from storage.records import (
    Dataset,
    Document,
    Grader,
    Proposal,
    SharedDocument,
    Task,
    Tenant,
    WaitingFile,
    Workflow,
)

TENANTS = "ft:tenants"  # process-wide: tenants that ever wrote


def tenant_text(tenant: Tenant) -> str:
    return f"{tenant.enterprise or '-'}.{tenant.team}"


def tenant_from_text(text: str) -> Tenant:
    enterprise, _, team = text.partition(".")
    return Tenant(enterprise="" if enterprise == "-" else enterprise, team=team)


def prefix(tenant: Tenant) -> str:
    return "ft:{" + tenant_text(tenant) + "}"


def document(tenant: Tenant, kind: str, id: str) -> str:
    return f"{prefix(tenant)}:doc:{kind}:{id}"


def index(tenant: Tenant, name: str) -> str:
    return f"{prefix(tenant)}:index:{name}"


def fence(tenant: Tenant, name: str) -> str:
    return f"{prefix(tenant)}:fence:{name}"


def lease(tenant: Tenant, name: str) -> str:
    return f"{prefix(tenant)}:lease:{name}"


def inbox(tenant: Tenant, lane: str) -> str:
    return f"{prefix(tenant)}:inbox:{lane}"


def seen(tenant: Tenant, item: str) -> str:
    return f"{prefix(tenant)}:seen:{item}"


def ready(tenant: Tenant) -> str:
    return f"{prefix(tenant)}:ready"


def journal(tenant: Tenant, lane: str) -> str:
    return f"{prefix(tenant)}:journal:{lane}"


def transcript(tenant: Tenant, lane: str) -> str:
    return f"{prefix(tenant)}:transcript:{lane}"


def outbox(tenant: Tenant) -> str:
    return f"{prefix(tenant)}:outbox"


def used(tenant: Tenant) -> str:
    """Keys of outbox events already written, by age, so that a repeat is dropped."""
    return f"{prefix(tenant)}:used"


def posted(tenant: Tenant) -> str:
    return f"{prefix(tenant)}:posted"


def posted_ages(tenant: Tenant) -> str:
    return f"{prefix(tenant)}:posted:ages"


def applied(tenant: Tenant, write: str) -> str:
    """Set for a minute by a commit, so that its own retry after a lost reply does nothing."""
    return f"{prefix(tenant)}:applied:{write}"


def checkpoints(tenant: Tenant, task_id: str) -> str:
    return f"{prefix(tenant)}:checkpoints:{task_id}"


def turns(name: str, part: str) -> str:
    """Process-wide: who waits to ask a server outside, and how fast it may be asked. `name` is the server's and the model's."""
    return f"ft:{{turns:{name}}}:{part}"


def lane(channel: str, thread_ts: str) -> str:
    """The lane of a thread's messages: one turn at a time."""
    return f"{channel}:{thread_ts}"


def click_lane(channel: str, thread_ts: str) -> str:
    """The lane of a thread's clicks and stops, which must not wait behind a model's turn."""
    return f"{channel}:{thread_ts}:clicks"


def index_names(record: Document) -> tuple[str, ...]:
    """The indexes that a document belongs to *now*; the store moves it when they change."""
    match record:
        case Workflow():
            if record.status == "deleted":
                return ()
            names = ["workflow", f"workflow:channel:{record.channel}", f"workflow:owner:{record.owner}"]
            training = record.training
            if training and training.status in ("pending", "queued", "running", "paused"):
                names.append("workflow:training")
            return (*names, f"workflow:thread:{record.channel}:{record.thread_ts}")
        case Proposal():
            open_names = (
                f"proposal:thread:{record.channel}:{record.thread_ts}",
                f"proposal:workflow:{record.workflow_id}",
                "proposal:open",
            )
            if record.status == "approved":
                return ("proposal:approved",)  # decided, its effect still due
            return open_names if record.status == "open" else ()
        case Task():
            names = [f"task:workflow:{record.workflow_id}"]
            return (*names, "task:open") if record.status in ("queued", "running") else tuple(names)
        case Dataset():
            return (f"dataset:owner:{record.owner}",)
        case Grader():
            return (f"grader:workflow:{record.workflow_id}",)
        case SharedDocument():
            return (f"document:workflow:{record.workflow_id}",)
        case WaitingFile():
            return (f"waiting:workflow:{record.workflow_id}",)
        case _:
            return ()
