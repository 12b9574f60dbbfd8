"""What every adapter of state must agree on: the names of the kinds of documents, and how much of a transcript is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.records import Consent, Dataset, Grader, Proposal, SharedDocument, Task, WaitingFile, Workflow

KINDS: Mapping[type[Any], str] = {
    Workflow: "workflow",
    Dataset: "dataset",
    Grader: "grader",
    Proposal: "proposal",
    Task: "task",
    Consent: "consent",
    SharedDocument: "document",
    WaitingFile: "waiting",
}
TRANSCRIPT_KEPT = 400  # messages
