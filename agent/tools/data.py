"""Tools for the dataset as a whole: figures, validate again, upload for training. Rows are in `rows.py`."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict

from agent.tooling import ToolContext, ToolResult, failed, ok, refused, tool
from agent.tools.acting import consent_refusal, head, start
from agent.tools.export import export_dataset
from agent.tools.rows import ROW_TOOLS, get_dataset_records, update_record
from tasks import workflow as flow
from tasks.rules import hygiene
from tasks.rules.validation import explain


@tool(title="Dataset figures")
async def get_dataset_stats(ctx: ToolContext) -> ToolResult:
    """Figures of the current dataset version: valid and rejected rows by reason with line numbers, turns, tokens, tools."""
    if not ctx.flow.dataset_version:
        return failed("The file is still being read; an event tells you when it is done.")
    found = await head(ctx)
    report = hygiene.hygiene(found.totals, limits=ctx.deps.settings.limits)
    figures = asdict(hygiene.statistics(found.totals, tokens_by=found.source.tokens_by))
    health = {
        "total": report.total,
        "valid": report.valid,
        "rejected": report.rejected,
        "rate": round(report.rate, 4),
        "health": report.health,
        "counts": dict(report.counts),
        "first_lines": {code: list(lines) for code, lines in report.lines.items()},
        "mend": {code: explain(code, line=0, limits=ctx.deps.settings.limits).mend for code in report.counts},
        "duplicates": report.duplicates,
        "recommendations": list(report.recommendations),
    }
    return ok(version=found.version, file_name=found.source.file_name, hygiene=health, statistics=figures)


class RowLimits(BaseModel):
    """Limits of a valid row that differ from the usual ones."""

    model_config = ConfigDict(extra="forbid")

    min_user_characters: int | None = None
    max_tokens: int | None = None


@tool(title="Validating the rows")
async def validate_records(ctx: ToolContext, *, limits: RowLimits | None = None) -> ToolResult:
    """Validate every row again, if the person wants other limits. Runs on a worker; its card shows the report.

    Parameters:
        limits: min_user_characters, the least length of the last user message (default 10), and max_tokens, the longest
            conversation (default 8000).
    """
    given = limits.model_dump(exclude_none=True) if limits else {}
    return await start(ctx, "validate", {"limits": given})


@tool(title="Uploading the dataset", needs=("valid_rows",))
async def upload_dataset(
    ctx: ToolContext, *, force_reupload: bool = False, then_dry_run: bool = False
) -> ToolResult:
    """Bring this version of the dataset and the grader to the training backend; the dry run and the training need it.

    Parameters:
        force_reupload: Send it again although this version is there already.
        then_dry_run: Go on with the dry run by itself when it is there.
    """
    if then_dry_run and not ctx.flow.grader_version:
        return refused(flow.may_start(ctx.flow, ("valid_rows", "grader")))
    upload = ctx.flow.upload
    versions = (ctx.flow.dataset_version, ctx.flow.grader_version or None)
    if upload and (upload.dataset_version, upload.grader_version) == versions and not force_reupload:
        if then_dry_run:
            return await start(ctx, "dry_run", {"rollouts": 1})
        note = "This version is at the training backend already."
        return ok(
            status="already_uploaded",
            backend_dataset_id=upload.backend_dataset_id,
            record_count=upload.record_count,
            note=note,
        )
    following = {"then": "dry_run", "then_params": {"rollouts": 1}} if then_dry_run else {}
    return await consent_refusal(ctx) or await start(
        ctx, "upload_dataset", {"force_reupload": force_reupload, **following}
    )


DATA_TOOLS = (
    get_dataset_records,
    get_dataset_stats,
    update_record,
    validate_records,
    export_dataset,
    upload_dataset,
    *ROW_TOOLS,
)
