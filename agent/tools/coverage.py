"""Tools for coverage and synthetic data: how even the rows are, what would help, targets, previews, generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import CARD_BELOW, consent_refusal, head, prices, propose_as_ordered, start, unknown
from storage.records import Json, Workflow
from tasks import workflow as flow
from tasks.rules import costs, generation, topics
from tasks.rules import coverage as rules
from tasks.rules.approvals import ExplicitOrder
from tasks.step import Draft
from tasks.steps import coverage as figures

Strategy = Literal["message_variation", "few_shot", "topic_description", "scenario_expansion", "tool_chain"]
MOST_ROWS = 5_000


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


@tool(title="A preview of examples", needs=("valid_rows", "goal", "topics_or_records"))
async def generate_preview(
    ctx: ToolContext,
    *,
    count: int = 3,
    strategy: Strategy | None = None,
    generation_mode: Literal["rft", "sft"] = "rft",
    target_topics: list[str] | None = None,
    record_ids: list[str] | None = None,
    base_scenario: str = "",
    aspects: list[str] | None = None,
    tool_patterns: list[list[str]] | None = None,
) -> ToolResult:
    """Make 3 to 5 examples to look at, for "show me examples first". Nothing is added to the dataset.

    Parameters:
        count: How many, 3 to 5.
        strategy: How to write them; leave it out for the one that suits the data.
        generation_mode: rft makes prompts only; sft makes whole conversations.
        target_topics: Leaf topic ids; none means the under-represented ones.
        record_ids: Seed rows to grow from, instead of topics.
        base_scenario: For scenario_expansion: the scenario to vary.
        aspects: For scenario_expansion: what to vary.
        tool_patterns: For tool_chain: lists of tool names in order.
    """
    refusal = await consent_refusal(ctx)
    if refusal:
        return refusal
    wanted, wrong = _named_topics(ctx.flow, target_topics or [])
    if wrong:
        return unknown("topic", wrong, [leaf.id for leaf in topics.leaves(ctx.flow.topics)])
    params = await _params(ctx, strategy, wanted, record_ids, base_scenario, aspects, tool_patterns)
    shown = {"generation_mode": generation_mode, "count": min(5, max(3, count))}
    return await start(ctx, "generate_preview", {**params, **shown})


@tool(title="Generating examples", needs=("valid_rows", "goal", "topics_or_records"))
async def generate_synthetic_data(
    ctx: ToolContext,
    *,
    strategy: Strategy | None = None,
    generation_mode: Literal["rft", "sft"] = "rft",
    target_topics: list[str] | None = None,
    count_per_topic: int = 50,
    record_ids: list[str] | None = None,
    variations_per_record: int = 3,
    base_scenario: str = "",
    aspects: list[str] | None = None,
    tool_patterns: list[list[str]] | None = None,
) -> ToolResult:
    """Propose to generate rows. The card shows plan, expected balance and cost; a person approves, then a worker starts.

    "Generate 30 complaint examples" is count_per_topic 30 with target_topics [that topic].

    Parameters:
        strategy: How to write them; leave it out for the one that suits the data.
        generation_mode: rft makes prompts only; sft makes whole conversations.
        target_topics: Leaf topic ids; none means the under-represented ones.
        count_per_topic: Rows for each of these topics.
        record_ids: Seed rows to grow from, instead of topics (data-first).
        variations_per_record: Rows for each seed row.
        base_scenario: For scenario_expansion: the scenario to vary.
        aspects: For scenario_expansion: what to vary.
        tool_patterns: For tool_chain: lists of tool names in order.
    """
    refusal = await consent_refusal(ctx)
    if refusal:
        return refusal
    wanted, wrong = _named_topics(ctx.flow, target_topics or [])
    if wrong:
        return unknown("topic", wrong, [leaf.id for leaf in topics.leaves(ctx.flow.topics)])
    params = await _params(ctx, strategy, wanted, record_ids, base_scenario, aspects, tool_patterns)
    params |= {"generation_mode": generation_mode, "count_per_topic": count_per_topic}
    params |= {"variations_per_record": variations_per_record}
    plan = await _plan(ctx, params)
    total = sum(count for _, count in plan)
    if not 0 < total <= MOST_ROWS:
        return failed(
            f"That would be {total} rows; ask for 1 to {MOST_ROWS:,}. Name topics, or another count."
        )
    draft, facts = await _draft(ctx, params, plan, total)
    return await propose_as_ordered(ctx, draft, ExplicitOrder("generate", total), **facts)


def _named_topics(workflow: Workflow, given: Sequence[str]) -> tuple[list[str], list[str]]:
    """(leaf ids, names that are none). A unique leaf name does as well as its id; a branch means all its leaves."""
    leaves = topics.leaves(workflow.topics)
    found: list[str] = []
    wrong = []
    for name in given:
        plain = name.strip().casefold()
        exact = [leaf.id for leaf in leaves if plain in (leaf.id.casefold(), leaf.name.casefold())]
        below = [leaf.id for leaf in leaves if leaf.id.casefold().startswith(plain.rstrip("/") + "/")]
        match = exact if len(exact) == 1 else below
        found += match
        wrong += [] if match else [name]
    return list(dict.fromkeys(found)), wrong


async def _params(
    ctx: ToolContext,
    strategy: Strategy | None,
    target_topics: list[str],
    record_ids: list[str] | None,
    base_scenario: str,
    aspects: list[str] | None,
    tool_patterns: list[list[str]] | None,
) -> Json:
    totals = (await head(ctx)).totals
    suits = generation.default_strategy((totals.valid - totals.single_turn) / max(1, totals.valid))
    return {
        "strategy": strategy or suits,
        "target_topics": target_topics,
        "record_ids": record_ids or [],
        "base_scenario": base_scenario,
        "aspects": aspects or [],
        "tool_patterns": tool_patterns or [],
    }


async def _plan(ctx: ToolContext, params: Json) -> list[tuple[str, int]]:
    """(topic, rows) in order; one entry without a topic for seed rows. Targets without under-represented topics: all."""
    if params["record_ids"]:
        return [("", len(params["record_ids"]) * params["variations_per_record"])]
    found = figures.measure(ctx.flow, (await head(ctx)).totals)
    under = found.under or tuple(entry.topic for entry in found.distribution)
    plan = generation.plan(under, params["target_topics"], params["count_per_topic"])
    params["target_topics"] = [topic for topic, _ in plan]
    return list(plan)


async def _draft(
    ctx: ToolContext, params: Json, plan: list[tuple[str, int]], total: int
) -> tuple[Draft, Json]:
    totals = (await head(ctx)).totals
    names = {leaf.id: leaf.name for leaf in topics.leaves(ctx.flow.topics)}
    counts = {id: totals.topics[id].rows if id in totals.topics else 0 for id in names}
    targets = ctx.flow.targets or None
    planned = [(topic, count) for topic, count in plan if topic in names]
    balance = rules.balance_score(counts, targets) if counts else None
    expected = rules.balance_score(generation.expected_counts(counts, planned), targets) if counts else None
    model = ctx.deps.settings.generator_model
    average = totals.input_tokens / max(1, totals.valid)
    estimate = costs.estimate_generation(prices(ctx, model), model, count=total, average_tokens=average)
    facts: Json = {
        "total": total,
        "strategy": params["strategy"],
        "balance": balance,
        "expected_balance": expected,
        "cost_usd": estimate.usd,
        "preview_offered": generation.needs_preview(total),
    }
    listed = [
        {"topic": topic, "name": names.get(topic, f"{len(params['record_ids'])} seed rows"), "count": count}
        for topic, count in plan
    ]
    payload = {"params": params, "plan": listed, "formula": estimate.formula, **facts}
    draft = Draft("generation", f"Generate {total} examples", payload, ceiling_usd=estimate.high or 0.0)
    return draft, {**facts, "plan": listed}


COVERAGE_TOOLS = (
    analyze_coverage,
    get_coverage_recommendations,
    set_targets,
    generate_preview,
    generate_synthetic_data,
)
