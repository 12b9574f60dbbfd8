"""Tools for coverage: how even the rows are, what would help, targets. Making rows is `generation.py`."""

from __future__ import annotations

from dataclasses import replace

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import CARD_BELOW, head
from storage.records import Workflow
from tasks import workflow as flow
from tasks.rules import coverage as rules
from tasks.rules import generation, topics
from tasks.steps import coverage as figures


@tool(title="Coverage", needs=("valid_rows", "topics", "categories"))
async def analyze_coverage(ctx: ToolContext) -> ToolResult:
    """How evenly the rows cover the topics: balance, share against target, gaps, what would help. Shows the coverage card."""
    data = figures.facts(ctx.flow, (await head(ctx)).totals)
    await ctx.show("coverage", data)
    return ok(**data, note=CARD_BELOW)


@tool(title="Recommendations", needs=("valid_rows", "topics", "categories"))
async def get_coverage_recommendations(ctx: ToolContext) -> ToolResult:
    """What to do about gaps: which topic, how many rows, by which strategy and why. Shows nothing by itself."""
    totals = (await head(ctx)).totals
    found, data = figures.measure(ctx.flow, totals), figures.facts(ctx.flow, totals)
    return ok(
        recommendations=data["recommendations"],
        suggested_strategy=generation.default_strategy(found.multi_turn_share),
        balance_score=found.score,
    )


@tool(title="Setting targets", needs=("valid_rows", "topics"))
async def set_targets(ctx: ToolContext, *, targets: dict[str, float]) -> ToolResult:
    """Set the share that each topic should have, for "complaints should be a third". Free, takes effect at once.

    Parameters:
        targets: Percent by leaf topic id; all of them together make 100, a topic left out wants nothing.
    """
    leaves = [leaf.id for leaf in topics.leaves(ctx.flow.topics)]
    problems = rules.validate_targets(targets, leaves)
    if problems:
        words = " ".join(problem.message for problem in problems[:4])
        return failed(f"{words} The topics are: {', '.join(leaves)}. Call it again with this changed.")
    at = ctx.desk.clock()
    totals = (await head(ctx)).totals

    def changed(current: Workflow) -> Workflow:
        aimed = replace(current, targets=dict(targets))
        scored = replace(aimed, coverage=figures.facts(aimed, totals))
        return flow.record(scored, by=ctx.actor.id, at=at, what="targets set", evidence=ctx.evidence)

    now = await ctx.desk.update(ctx.tenant, ctx.flow.id, changed)
    return ok(targets=dict(now.targets), balance_score=now.coverage.get("balance_score"))


COVERAGE_TOOLS = (
    analyze_coverage,
    get_coverage_recommendations,
    set_targets,
)
