"""Tools that bring data out: files in any format, a prepared split, the dataset card, what changed between versions."""

from __future__ import annotations

import asyncio
from typing import Literal

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import start
from tasks.exporting.shares import shares_of

FormatName = Literal[
    "jsonl",
    "chat",
    "openai_sft",
    "openai_dpo",
    "openai_rft",
    "instruction",
    "completion",
    "classification",
    "sharegpt",
    "csv",
    "parquet",
]
MOST_VERSIONS = 20
GUESTS = "Guests and people of other organisations cannot export. Ask a member of the channel."


@tool(title="Exporting the dataset", needs=("valid_rows",))
async def export_dataset(
    ctx: ToolContext,
    *,
    format: FormatName = "jsonl",
    splits: Literal["none", "all", "train", "validation", "test"] = "none",
    shares: str = "",
    include_generated: bool = True,
    only_valid: bool = True,
    gzip: bool = False,
) -> ToolResult:
    """Make a file of the dataset to take away. Runs on a worker; its card brings the file, or a link when it is large.

    Parameters:
        format: jsonl is the whole record and loses nothing; chat, instruction, completion, classification and sharegpt
            are JSONL in that shape; openai_sft, openai_dpo and openai_rft are what OpenAI trains on; csv and parquet are tables.
        splits: none takes all rows; train, validation or test only that side; all a .zip with each side and the dataset card.
        shares: How to divide, such as 80/10/10 (train/validation/test); left out, as the training divides.
        include_generated: Whether generated rows go along.
        only_valid: Whether rejected rows stay out.
        gzip: Whether a single file is packed.
    """
    if ctx.actor.is_guest:
        return failed(GUESTS)
    if shares and (wrong := _wrong(shares)):
        return failed(wrong)
    wanted = {"format": format, "splits": splits, "shares": shares, "include_generated": include_generated,
              "only_valid": only_valid, "gzip": gzip}  # fmt: skip
    return await start(ctx, "export", wanted)


@tool(title="Preparing the dataset", needs=("valid_rows",))
async def prepare_dataset(
    ctx: ToolContext,
    *,
    format: Literal["jsonl"] = "jsonl",
    task_type: Literal["chat", "completion", "classification"] = "chat",
    splits: str = "80/10/10",
) -> ToolResult:
    """Divide the dataset into training, validation and test files, without leakage; the test rows stay locked from then on.

    Runs on a worker; its card brings the files, their counts, the leakage report and the dataset card.

    Parameters:
        format: The file format.
        task_type: What the rows are for: chat keeps conversations, completion is prompt and completion, classification text and label.
        splits: train/validation/test in percent.
    """
    if ctx.actor.is_guest:
        return failed(GUESTS)
    if wrong := _wrong(splits):
        return failed(wrong)
    return await start(ctx, "prepare_dataset", {"format": format, "task_type": task_type, "splits": splits})


@tool(title="Writing the dataset card", needs=("valid_rows",))
async def write_dataset_card(ctx: ToolContext) -> ToolResult:
    """Write the dataset card (README.md): goal, source, versions, health, topics, generated rows, limits. Its card brings the file."""
    if ctx.actor.is_guest:
        return failed(GUESTS)
    return await start(ctx, "dataset_card", {})


@tool(title="Comparing versions of the dataset", needs=("valid_rows",))
async def compare_dataset_versions(
    ctx: ToolContext, *, old: int | None = None, new: int | None = None
) -> ToolResult:
    """What changed between two versions of the dataset, and which versions there are: who made each, when, how, from which.

    The list comes at once; the comparison runs on a worker and its card brings it.

    Parameters:
        old: Number of the earlier version; left out, the one that the newer was made from.
        new: Number of the later version; left out, the one that stands.
    """
    now = ctx.flow.dataset_version
    later = new or now
    found = await asyncio.to_thread(
        ctx.deps.datasets.lineage, ctx.tenant, ctx.flow.dataset_id, limit=MOST_VERSIONS
    )
    versions = [
        {"version": one.version, "made_from": one.parent, "operation": one.operation, "by": one.by,
         "at": one.at, "rows": one.totals.rows, "valid": one.totals.valid}
        for one in found
    ]  # fmt: skip
    earlier = old or next((one.parent for one in found if one.version == later), None)
    if not earlier:
        return ok(
            versions=versions, standing=now, note="There is only this version; nothing to compare it with."
        )
    if earlier == later:
        return failed(f"Version {later} against itself shows nothing; name two versions.")
    return await start(
        ctx, "compare_versions", {"old": earlier, "new": later}, versions=versions, standing=now
    )


def _wrong(shares: str) -> str:
    """What is wrong with the shares, in words for the model; "" when nothing is."""
    try:
        shares_of(shares)
    except ValueError as error:
        return f"{error}. Call again with this changed."
    return ""


EXPORT_TOOLS = (prepare_dataset, write_dataset_card, compare_dataset_versions)
