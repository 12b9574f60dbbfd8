"""What a dataset version looks like, as the overview card shows it (docs/events.md): made after reading and after validating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from storage.manifests import Manifest
from storage.records import Json
from storage.rows import last_user_message
from tasks.cleaning import safe
from tasks.near_duplicates import copies, groups
from tasks.rules.hygiene import Hygiene, Statistics
from tasks.step import StepContext
from tasks.steps.common import cut
from tasks.steps.find_near_duplicates import COMPARED_AT_ONCE

TYPICAL_ROWS = 3
TYPICAL_CHARACTERS = 300
SHOWN_PROBLEMS = 20
SHOWN_COLUMNS = 30
SHOWN_DETAILS = 3  # of problems that say more than their code does


def overview(
    ctx: StepContext,
    manifest: Manifest,
    *,
    hygiene: Hygiene,
    statistics: Statistics,
    problems: Sequence[str] = (),
) -> Json:
    """Bounded JSON, whatever the dataset's size. Reads a sample, so it belongs in a thread."""
    source = manifest.head.source
    return {
        "workflow_id": ctx.workflow.id,
        "name": ctx.workflow.name,
        "file_name": source.file_name,
        "format": source.format,
        "shape": source.shape,
        "columns_kept": [cut(column, 60) for column in source.columns[:SHOWN_COLUMNS]],
        "goal": ctx.workflow.goal,
        "hygiene": _hygiene(ctx, manifest, hygiene),
        "statistics": asdict(statistics),
        "typical": [{"text": text} for text in _typical(ctx, manifest)],
        "problems": [cut(problem, 300) for problem in problems[:5]],
        "tokens_by": source.tokens_by,
        "dataset_version": manifest.version,
    }


def _hygiene(ctx: StepContext, manifest: Manifest, found: Hygiene) -> Json:
    near = _near_duplicates(ctx, manifest)
    return {
        "total": found.total,
        "valid": found.valid,
        "rejected": found.rejected,
        "rate": round(found.rate, 4),
        "health": found.health,
        "counts": dict(found.counts),
        "first_lines": {code: list(lines) for code, lines in found.lines.items()},
        "mend": {problem.code: problem.mend for problem in reversed(found.problems)},
        "problems": [cut(problem.message, 300) for problem in found.problems[:SHOWN_PROBLEMS]],
        "details": [cut(problem.message, 300) for problem in found.problems if problem.detail][
            :SHOWN_DETAILS
        ],
        "duplicates": found.duplicates,
        **({"near_pending": True} if near is None else {"near_duplicates": near}),
        "recommendations": list(found.recommendations),
    }


def _typical(ctx: StepContext, manifest: Manifest) -> list[str]:
    rows = ctx.deps.datasets.sample(manifest, TYPICAL_ROWS, seed=0)
    return [cut(safe(last_user_message(row)), TYPICAL_CHARACTERS) for row in rows]


def _near_duplicates(ctx: StepContext, manifest: Manifest) -> int | None:
    """Valid rows that ask almost the same as an earlier one (≥ 0.9); None where a job of its own counts them (`later`)."""
    if manifest.totals.rows > COMPARED_AT_ONCE:
        return None
    datasets = ctx.deps.datasets
    return copies(datasets, manifest, groups(datasets, manifest, blobs=ctx.deps.blobs))
