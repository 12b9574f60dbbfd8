"""Changing a few rows at once, by hand: a new version, and the workflow stands on it, in one commit.

Tools, forms and the review all go through `edit`, so an edit costs one part wherever it comes from. What many rows need is
a worker's operation (`steps/change_rows.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from storage.datasets import Check, Datasets
from storage.errors import Conflict, NotFound
from storage.manifests import Manifest
from storage.records import Change, Dataset, Json, Tenant, Workflow
from storage.rows import UNCATEGORISED, Input, Output, Row, split_conversation
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.rules.validation import check_row
from tasks.steps import coverage
from tasks.steps.common import standing_on

ATTEMPTS = 10  # each failure means that somebody else's edit succeeded
BY_HAND = ("edit", "add")  # operations that one person's hand made, and that another tap may take back
NOT_COLUMNS = frozenset({"id", "input", "output", "valid", "errors", "provenance", "is_generated"})
Make = Callable[[Manifest], Manifest]


async def edit(
    deps: Deps, tenant: Tenant, workflow_id: str, make: Make, *, what: str, by: str, evidence: str
) -> Manifest:
    """The version that `make` makes of the newest one, with the workflow standing on it; again on every conflict.

    `make` runs in a thread. Raises what it raises, and `NotFound` when workflow or dataset is gone.
    """
    for _ in range(ATTEMPTS):
        workflow = await deps.state.get(tenant, Workflow, workflow_id)
        if workflow is None or workflow.status == "deleted":
            raise NotFound(workflow_id)
        dataset = await deps.state.get(tenant, Dataset, workflow.dataset_id)
        if dataset is None:
            raise NotFound(workflow.dataset_id)
        old = await asyncio.to_thread(
            deps.datasets.manifest, tenant, workflow.dataset_id, workflow.dataset_version
        )
        made = await asyncio.to_thread(make, old)
        moved = moved_to(workflow, made, what=what, by=by, at=deps.clock(), evidence=evidence)
        numbered = replace(dataset, latest=max(dataset.latest, made.version))
        try:
            await deps.state.commit(tenant, Change(puts=(moved, numbered)))
            return made
        except Conflict:
            continue
    raise Conflict(workflow_id)


def moved_to(
    workflow: Workflow, made: Manifest, *, what: str, by: str, at: float, evidence: str = ""
) -> Workflow:
    """The workflow on a version, its counts and its coverage with it, and a line in its history."""
    stands = standing_on(workflow, made)
    covered = replace(stands, coverage=coverage.facts(stands, made.totals) or stands.coverage)
    return flow.record(covered, by=by, at=at, what=what, evidence=evidence)


def replacing(deps: Deps, record_id: str, updates: Mapping[str, Any], *, by: str) -> Make:
    """For `edit`: one row changed and judged again. Raises `NotFound` for an id that is none."""

    def make(old: Manifest) -> Manifest:
        return deps.datasets.replace_record(
            old,
            record_id,
            lambda row: changed(row, updates),
            check=_check(deps),
            by=by,
            at=deps.clock(),
        )

    return make


def adding(deps: Deps, row: Row, *, by: str) -> Make:
    """For `edit`: one row more; nothing where a row of that id is there already."""

    def make(old: Manifest) -> Manifest:
        if has(deps.datasets, old, row.id):
            return old
        return deps.datasets.append_rows(
            old, [row], check=_check(deps), operation="add", by=by, at=deps.clock()
        )

    return make


def returning(deps: Deps, version: int) -> Make:
    """For `edit`: an earlier version as it stood. Raises `NotFound`."""
    return lambda old: deps.datasets.manifest(old.tenant, old.dataset_id, version)


def has(datasets: Datasets, manifest: Manifest, record_id: str) -> bool:
    try:
        datasets.locate(manifest, record_id)
    except NotFound:
        return False
    return True


def changed(row: Row, updates: Mapping[str, Any]) -> Row:
    """The row with `messages`, `topic` or other columns replaced; None takes a column away. Known fields stay."""
    item = dict(row.item)
    changes: dict[str, Any] = {}
    for name, value in updates.items():
        if name == "messages":
            said, answer = split_conversation(value)
            changes["input"] = msgspec.structs.replace(row.input, messages=said)
            changes["output"] = msgspec.structs.replace(row.output, messages=answer)
            changes |= {"raw": "", "problem": ""}
        elif name == "topic":
            changes |= sorted_by_hand(row, value)
        elif name not in NOT_COLUMNS and value is None:
            item.pop(name, None)
        elif name not in NOT_COLUMNS:
            item[name] = value
    return msgspec.structs.replace(row, item=item, **changes)


def sorted_by_hand(row: Row, topic: str | None) -> dict[str, Any]:
    """The topic columns of a row that a person has put somewhere; nobody is surer than they."""
    if (topic or UNCATEGORISED) == row.topic and row.topic_method == "manual":
        return {}
    return {
        "topic": topic or UNCATEGORISED,
        "topic_confidence": 1.0 if topic else None,
        "topic_method": "manual",
        "previous_topic": row.topic,
    }


def new_row(id: str, messages: Sequence[Json], *, topic: str | None, item: Json, provenance: Json) -> Row:
    """A row that a person brings: everything up to the last user message is input, the rest output."""
    said, answer = split_conversation(messages)
    bare = Row(
        id=id, input=Input(messages=said), output=Output(messages=answer), item=item, provenance=provenance
    )
    return msgspec.structs.replace(bare, **sorted_by_hand(bare, topic)) if topic else bare


def are_messages(value: Any) -> bool:
    """Whether a value is a list of {role, content}, as far as a row needs it; validation says the rest."""
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("role"), str) for one in value
    )


def _check(deps: Deps) -> Check:
    limits = deps.settings.limits
    return lambda row: check_row(row, limits)
