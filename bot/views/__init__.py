"""What people see: pure functions from data to Slack messages. `VIEWS` maps an outbox event's kind to its view.

Proposal cards are drawn from the record (`proposals.render`), modals and the Home tab have their own modules.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.views import (
    cleaning,
    coverage,
    deployment,
    dry_run,
    export,
    generation,
    grader,
    help,
    knowledge,
    overview,
    progress,
    prose,
    rows,
    second_file,
    status,
    topics,
    training,
    versions,
)
from bot.views.kit import Json, Rendered

VIEWS: dict[str, Callable[[Json], Rendered]] = {
    "prose": prose.prose,
    "notice": prose.notice,
    "progress": progress.render,
    "overview": overview.render,
    "categorised": topics.categorised,
    "coverage": coverage.render,
    "preview": generation.preview,
    "generated": generation.generated,
    "grader_test": grader.test,
    "viability": grader.viability,
    "uploaded": deployment.uploaded,
    "dry_run": dry_run.render,
    "training_started": training.started,
    "training_done": training.done,
    "deployed": deployment.deployed,
    "tried": deployment.tried,
    "export": export.export,
    "prepared": export.prepared,
    "compared": versions.compared,
    "documents": knowledge.documents,
    "knowledge": knowledge.prepared,
    "status": status.render,
    "workflows": status.workflows,
    "rows": rows.listing,
    "second_file": second_file.offer,
    "file_added": second_file.added,
    "rows_changed": rows.changed,
    "nothing_to_clean": cleaning.nothing,
    "cleaned": cleaning.cleaned,
    "near_duplicates": cleaning.near_duplicates,
    "help": help.render,
}
