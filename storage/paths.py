"""Every object path, spelled once. The tenant comes first, in the path as in the arguments.

Ids are checked here: only letters, digits, `-` and `_` reach a path, so that nothing a person or a model types can
name another tenant's object. Original file names never become part of a path; they are kept in records.
"""

from __future__ import annotations

import re

from storage.records import Tenant

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


def of_tenant(tenant: Tenant) -> str:
    """The prefix of everything that one workspace owns."""
    return f"{_checked(tenant.enterprise or '-')}/{_checked(tenant.team)}/"


def upload(tenant: Tenant, upload_id: str) -> str:
    """A file as it came from Slack, before anything has read it."""
    return f"{of_tenant(tenant)}uploads/{_checked(upload_id)}"


def passages(tenant: Tenant, document_id: str) -> str:
    """What was read of a shared document, as JSON."""
    return f"{of_tenant(tenant)}documents/{_checked(document_id)}.json"


def report(tenant: Tenant, kind: str, report_id: str) -> str:
    """What a task found (hygiene, dry run, evaluation …), as JSON."""
    return f"{of_tenant(tenant)}reports/{_checked(kind)}/{_checked(report_id)}.json"


def learned(tenant: Tenant, task_id: str) -> str:
    """What a task has learned of rows and its helpers load: arrays, as npz. Deleted when the task has done its work."""
    return f"{of_tenant(tenant)}reports/learned/{_checked(task_id)}.npz"


def export(tenant: Tenant, export_id: str) -> str:
    """A file made for somebody to download."""
    return f"{of_tenant(tenant)}exports/{_checked(export_id)}"


def dataset(tenant: Tenant, dataset_id: str) -> str:
    """The prefix of all versions of a dataset."""
    return f"{of_tenant(tenant)}datasets/{_checked(dataset_id)}/"


def version(tenant: Tenant, dataset_id: str, number: int) -> str:
    """The head of one version: lineage, totals and where its parts are listed."""
    return f"{versions(tenant, dataset_id)}{number:08d}.json"


def versions(tenant: Tenant, dataset_id: str) -> str:
    """The prefix of the heads of a dataset's versions, which sort by number."""
    return f"{dataset(tenant, dataset_id)}versions/"


def version_number(path: str) -> int:
    """The number that `version` made a path from."""
    return int(path.rpartition("/")[2].removesuffix(".json"))


def content(tenant: Tenant, dataset_id: str, digest: str) -> str:
    """A content-addressed object of a dataset: part, column, list of parts, index bucket."""
    return f"{dataset(tenant, dataset_id)}content/{_checked(digest)}"


def work(tenant: Tenant, dataset_id: str, name: str) -> str:
    """What a task's shares hand to each other; deleted when the task has done its work."""
    return f"{dataset(tenant, dataset_id)}work/{_checked(name)}"


def near(tenant: Tenant, dataset_id: str, name: str) -> str:
    """What was found of a dataset's near-duplicates: a part's signatures, a version's groups."""
    return f"{dataset(tenant, dataset_id)}near/{_checked(name)}"


def test_set(tenant: Tenant, dataset_id: str) -> str:
    """The ids of the rows that were set aside for testing, for all versions of a dataset."""
    return f"{dataset(tenant, dataset_id)}test-set.json"


def _checked(id: str) -> str:
    if not _ID.fullmatch(id):
        raise ValueError(f"not an id: {id[:80]!r}")
    return id
