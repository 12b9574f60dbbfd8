"""Tools for the data's hygiene: what could be cleaned, proposed before anything happens, and near-duplicates counted."""

from __future__ import annotations

from typing import Literal

from agent.tooling import ToolContext, ToolResult, tool
from agent.tools.acting import open_proposal, propose, start
from storage.records import Proposal
from tasks.cleaning import Choices
from tasks.step import Draft


@tool(title="Cleaning the data", needs=("valid_rows",))
async def clean_dataset(
    ctx: ToolContext,
    *,
    remove_duplicates: bool = True,
    near_duplicates: bool = False,
    fix_formatting: bool = True,
    empty_turns: bool = True,
    refusals: bool = False,
    personal_data: Literal["report", "mask", "drop"] = "report",
) -> ToolResult:
    """Look for everything that could be cleaned and propose it: a worker looks, then a card shows counts and examples.

    Nothing changes before a person approves; they may also choose on the card. All kinds are looked for and shown, whatever is
    chosen here. Call it again with other choices when they want only some of it: with a card open that is immediate.

    Parameters:
        remove_duplicates: Remove rows that are the same as an earlier one.
        near_duplicates: Remove rows that are nine tenths the same as an earlier one, answer included.
        fix_formatting: Mend wrong encodings, escaped characters, control characters, left-over role names, blank lines.
        empty_turns: Take out turns in which nothing is said.
        refusals: Take out reference answers that only decline; the question stays.
        personal_data: E-mail, phone, card and account numbers, keys and tokens: report them, mask them by placeholders,
            or drop the rows that hold them.
    """
    choices = Choices(
        remove_duplicates, near_duplicates, fix_formatting, empty_turns, refusals, personal_data
    )
    known = await open_proposal(ctx, "clean")
    if known is not None and known.depends == {"dataset_version": ctx.flow.dataset_version}:
        return await propose(ctx, _again(known, choices), found=_found(known))
    return await start(ctx, "inspect_cleaning", choices.params())


def _again(known: Proposal, choices: Choices) -> Draft:
    """The open card's findings with other choices: the rows are the same, so nobody looks twice."""
    params = {**choices.params(), "scan": known.payload["params"]["scan"]}
    return Draft("clean", known.title, {**known.payload, "params": params})


def _found(known: Proposal) -> dict[str, int]:
    return {str(one["code"]): int(one["rows"]) for one in known.payload.get("findings") or ()}


@tool(title="Looking for near-duplicates", needs=("valid_rows",))
async def find_near_duplicates(ctx: ToolContext) -> ToolResult:
    """How many rows ask almost the same as an earlier one, for "are there near-duplicates?". A worker looks; its card shows
    the count and examples. Removes nothing: that is clean_dataset with near_duplicates."""
    return await start(ctx, "find_near_duplicates", {"asked": True})


CLEANING_TOOLS = (clean_dataset, find_near_duplicates)
