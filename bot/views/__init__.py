"""What people see: pure functions from data to Slack messages. `VIEWS` maps an outbox event's kind to its view.

Proposal cards are drawn from the record (`proposals.render`), modals and the Home tab have their own modules.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.views import (
    coverage,
    deployment,
    dry_run,
    generation,
    grader,
    help,
    overview,
    progress,
    prose,
    status,
    topics,
    training,
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
    "export": deployment.export,
    "status": status.render,
    "workflows": status.workflows,
    "review": topics.review,
    "help": help.render,
}
