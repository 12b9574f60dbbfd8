"""Tools that make rows: previews, generation, further versions of chosen rows, a dataset from nothing but a goal, and who speaks in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from agent.tooling import ToolContext, ToolResult, failed, ok, tool
from agent.tools.acting import (
    consent_refusal,
    head,
    manifest,
    open_proposal,
    propose,
    propose_as_ordered,
    start,
    unknown,
)
from storage.errors import Conflict
from storage.manifests import Summary
from storage.records import Change, Dataset, Json, Workflow
from storage.rows import last_user_message
from tasks.asking import Asker
from tasks.models.port import ModelAnswerInvalid
from tasks.prompts import prompt
from tasks.rules import generation, rounds, topics
from tasks.rules.approvals import ExplicitOrder
from tasks.rules.voices import voices
from tasks.schemas import personas as personas_schema
from tasks.step import StepError
from tasks.steps import augmentation, generating, planning

Strategy = Literal["message_variation", "few_shot", "topic_description", "scenario_expansion", "tool_chain"]
Method = Literal["paraphrase", "backtranslate"]
Mode = Literal["rft", "sft"]
VOICE_EXAMPLES = 8


@tool(title="A preview of examples", needs=("goal", "topics_or_records"))
async def generate_preview(
    ctx: ToolContext,
    *,
    count: int = 3,
    strategy: Strategy | None = None,
    generation_mode: Mode = "rft",
    target_topics: list[str] | None = None,
    record_ids: list[str] | None = None,
    base_scenario: str = "",
    aspects: list[str] | None = None,
    tool_patterns: list[list[str]] | None = None,
) -> ToolResult:
    """Make 3 to 5 examples to look at, for "show me examples first". Nothing is added; every call shows other ones.

    Parameters:
        count: How many, 3 to 5.
        strategy: How to write them; leave it out for the one that suits the data.
        generation_mode: rft makes prompts only; sft makes whole conversations.
        target_topics: Leaf topic ids; none means the under-represented ones.
        record_ids: Seed rows to grow from, instead of topics.
        base_scenario: For scenario_expansion: the scenario to vary.
        aspects: For scenario_expansion: what to vary; "tone: calm, angry" is one or the other, "late fees" there or not.
        tool_patterns: For tool_chain: lists of tool names in order; without them the chains that the rows call.
    """
    refusal = await consent_refusal(ctx)
    if refusal:
        return refusal
    params = _request(strategy, generation_mode, record_ids, base_scenario, aspects, tool_patterns)
    planned = await _planned(ctx, params, target_topics or [])
    if isinstance(planned, dict):
        return planned
    return await start(ctx, "generate_preview", {**params, "count": min(5, max(3, count))})


@tool(title="Generating examples", needs=("goal", "topics_or_records"))
async def generate_synthetic_data(
    ctx: ToolContext,
    *,
    strategy: Strategy | None = None,
    generation_mode: Mode = "rft",
    target_topics: list[str] | None = None,
    count_per_topic: int = 50,
    record_ids: list[str] | None = None,
    variations_per_record: int = 3,
    base_scenario: str = "",
    aspects: list[str] | None = None,
    tool_patterns: list[list[str]] | None = None,
    until_kept: bool = False,
    continue_earlier: bool | None = None,
) -> ToolResult:
    """Propose to generate rows. The card shows plan, expected balance and cost; a person approves, then a worker starts.

    "Generate 30 complaint examples" is count_per_topic 30 with target_topics [that topic]. The same request after a round
    that was stopped makes only what is missing; code subtracts it, so ask for the same numbers again.

    Parameters:
        strategy: How to write them; leave it out for the one that suits the data.
        generation_mode: rft makes prompts only; sft makes whole conversations.
        target_topics: Leaf topic ids; none means the under-represented ones.
        count_per_topic: Rows for each of these topics.
        record_ids: Seed rows to grow from, instead of topics (data-first).
        variations_per_record: Rows for each seed row, exactly.
        base_scenario: For scenario_expansion: the scenario to vary.
        aspects: For scenario_expansion: what to vary; "tone: calm, angry" is one or the other, "late fees" there or not.
        tool_patterns: For tool_chain: lists of tool names in order; without them the chains that the rows call.
        until_kept: Ask again for rows that are rejected, a few times; only when a person wants exactly that many.
        continue_earlier: true also makes up for rows that an earlier finished round of this request had rejected; false begins
            anew; leave it out to go on only with a round that was stopped.
    """
    refusal = await consent_refusal(ctx)
    if refusal:
        return refusal
    params = _request(strategy, generation_mode, record_ids, base_scenario, aspects, tool_patterns)
    params |= {"count_per_topic": count_per_topic, "variations_per_record": variations_per_record}
    params |= {"until_kept": until_kept, "continue_earlier": continue_earlier, **await _voices_so_far(ctx)}
    planned = await _planned(ctx, params, target_topics or [])
    if isinstance(planned, dict):
        return planned
    before = rounds.earlier(ctx.flow.rounds, rounds.request_id(params), go_on=continue_earlier)
    wants = rounds.left(planned, before)
    if not wants:
        return failed(
            f"All {before.kept:,} rows of this request are there already. Ask for more, or for others."
        )
    draft, facts = planning.proposal(
        ctx.deps.settings,
        ctx.flow,
        await _totals(ctx),
        params,
        wants,
        before=before,
        personas=params.get("personas") or await _personas(ctx),
    )
    return await propose_as_ordered(ctx, draft, ExplicitOrder("generate", facts["total"]), **facts)


@tool(title="Further versions of rows", needs=("valid_rows",))
async def augment_dataset(
    ctx: ToolContext,
    *,
    methods: list[Method] | None = None,
    record_ids: list[str] | None = None,
    topics: list[str] | None = None,
    pivot_language: str = "German",
    preview: bool = False,
) -> ToolResult:
    """Propose to add the same rows in other words, for "paraphrase the billing rows". A person approves, then a worker starts.

    Numbers, names and what is denied stay; what does not is rejected and counted. References and columns are kept.

    Parameters:
        methods: paraphrase, backtranslate (there and back through another language), or both; paraphrase by default.
        record_ids: The rows to say again.
        topics: Or all valid rows of these leaf topics; neither means the under-represented ones.
        pivot_language: For backtranslate: the language on the way.
        preview: true shows three and adds nothing.
    """
    refusal = await consent_refusal(ctx)
    if refusal:
        return refusal
    named, wrong = named_topics(ctx.flow, topics or [])
    if wrong:
        return unknown("topic", wrong, _leaves(ctx.flow))
    params: Json = {
        "methods": list(dict.fromkeys(methods or ["paraphrase"])),
        "record_ids": list(dict.fromkeys(record_ids or [])),
        "topics": named,
        "pivot": pivot_language.strip()[:40] or "German",
    }
    totals = await _totals(ctx)
    try:
        params["topics"] = augmentation.topics_of(ctx.flow, totals, params)
        total = augmentation.count_of(totals, params)
    except StepError as error:
        return failed(str(error), next=error.next)
    if preview:
        return await start(ctx, "augment", {**params, "preview": True})
    draft, facts = augmentation.proposal(ctx.deps.settings, ctx.flow, totals, params, total)
    return await propose(ctx, draft, **facts)


@tool(title="A dataset from the goal", needs=("goal",))
async def bootstrap_dataset(
    ctx: ToolContext, *, topic_count: int = 6, count_per_topic: int = 20, generation_mode: Mode = "rft"
) -> ToolResult:
    """Begin a dataset where there is no file, for "make me a dataset from scratch": topics first, then rows for each.

    Topics that follow from the goal are proposed on a card; once a person approves them, generating the rows is proposed
    with its cost. Every row is written by a model, and the cards say so. Set the goal first (start_finetune_workflow).

    Parameters:
        topic_count: How many topics, 2 to 20.
        count_per_topic: Rows for each of them, proposed next.
        generation_mode: rft makes prompts only; sft makes whole conversations.
    """
    if ctx.flow.valid_rows:
        return failed("There are rows already; generate more of them.", next="generate_synthetic_data")
    refusal = await consent_refusal(ctx)
    if refusal:
        return refusal
    params: Json = {
        "topic_count": min(20, max(2, topic_count)),
        "count_per_topic": min(500, max(1, count_per_topic)),
        "generation_mode": generation_mode,
    }
    return await start(ctx, "bootstrap", params)


@tool(title="Who speaks in generated rows", needs=("goal",))
async def propose_personas(ctx: ToolContext, *, personas: list[str] | None = None) -> ToolResult:
    """Settle in whose voices examples are generated, for "who would write to us?" or "use these voices". Takes effect at once.

    Parameters:
        personas: The voices that a person named, each in a few words; none lets a model propose them from goal and rows.
    """
    dataset = await ctx.deps.state.get(ctx.tenant, Dataset, ctx.flow.dataset_id or "-")
    if dataset is None:
        return failed(
            "There is no dataset yet; voices are proposed with the topics.", next="bootstrap_dataset"
        )
    found = voices(personas or [])
    if not found:
        refusal = await consent_refusal(ctx)
        if refusal:
            return refusal
        found = await _proposed_voices(ctx)
    if len(found) < 2:
        return failed(
            "Fewer than two usable voices. Ask the person to name some, and call again with personas."
        )
    for _ in range(3):
        try:
            await ctx.deps.state.commit(ctx.tenant, Change(puts=(replace(dataset, personas=found),)))
            break
        except Conflict:
            dataset = await ctx.deps.state.get(ctx.tenant, Dataset, dataset.id) or dataset
    return ok(
        personas=list(found),
        note="Kept: the next examples are written in these voices. List them for the person.",
    )


# ---------------------------------------------------------------- parts


def named_topics(workflow: Workflow, given: Sequence[str]) -> tuple[list[str], list[str]]:
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


def _request(
    strategy: Strategy | None,
    mode: Mode,
    record_ids: list[str] | None,
    base_scenario: str,
    aspects: list[str] | None,
    tool_patterns: list[list[str]] | None,
) -> Json:
    return {
        "strategy": strategy,
        "generation_mode": mode,
        "target_topics": [],
        "record_ids": record_ids or [],
        "base_scenario": base_scenario,
        "aspects": aspects or [],
        "tool_patterns": tool_patterns or [],
    }


async def _planned(
    ctx: ToolContext, params: Json, target_topics: Sequence[str]
) -> tuple[rounds.Want, ...] | ToolResult:
    """The plan, with strategy and topics settled in `params`; or a refusal in words."""
    wanted, wrong = named_topics(ctx.flow, target_topics)
    if wrong:
        return unknown("topic", wrong, _leaves(ctx.flow))
    totals = await _totals(ctx)
    try:
        params["target_topics"] = wanted
        params["strategy"] = planning.strategy_of(totals, params)
        wants = planning.wants_of(ctx.flow, totals, params)
    except StepError as error:
        return failed(str(error), next=error.next)
    params["target_topics"] = list(dict.fromkeys(want.topic for want in wants if want.topic))
    return await _without_tools(ctx, params) or wants


async def _without_tools(ctx: ToolContext, params: Json) -> ToolResult | None:
    """A chain of tools that the rows do not bring is refused now, not after somebody has approved what it costs."""
    if params["strategy"] != "tool_chain":
        return None
    listed = await manifest(ctx)
    try:
        await asyncio.to_thread(generating.chains_of, ctx.deps.datasets, listed, ctx.flow.id, params)
    except StepError as error:
        return failed(str(error), next=error.next)
    return None


async def _totals(ctx: ToolContext) -> Summary:
    return (await head(ctx)).totals if ctx.flow.dataset_version else Summary()


async def _personas(ctx: ToolContext) -> Sequence[str]:
    dataset = await ctx.deps.state.get(ctx.tenant, Dataset, ctx.flow.dataset_id or "-")
    return (dataset.personas if dataset else ()) or generation.PERSONAS


async def _voices_so_far(ctx: ToolContext) -> Json:
    """The voices that were thought of with the goal, while there is no dataset to keep them: those of the card that is replaced."""
    waiting = None if ctx.flow.dataset_id else await open_proposal(ctx, "generation")
    named = (waiting.payload.get("params") or {}).get("personas") if waiting else None
    return {"personas": named} if named else {}


async def _proposed_voices(ctx: ToolContext) -> tuple[str, ...]:
    """What a model proposes from the goal, the topics and a few rows; nothing when its answer is of no use."""
    listed = await manifest(ctx)
    rows = await asyncio.to_thread(ctx.deps.datasets.sample, listed, VOICE_EXAMPLES, seed=0)
    data: Json = {
        "goal": ctx.flow.goal,
        "topics": [leaf.name for leaf in topics.leaves(ctx.flow.topics)][:40],
        "examples": [last_user_message(row)[:400] for row in rows],
        "count": len(generation.PERSONAS),
    }
    try:
        asker = Asker(ctx.deps.chat, ctx.deps.settings.generator_model, ctx.meter)
        answer = await asker.ask(prompt("personas"), data, personas_schema())
    except ModelAnswerInvalid:
        return ()
    return voices(answer.get("personas") or [])


def _leaves(workflow: Workflow) -> list[str]:
    return [leaf.id for leaf in topics.leaves(workflow.topics)]


GENERATION_TOOLS = (
    generate_preview,
    generate_synthetic_data,
    augment_dataset,
    bootstrap_dataset,
    propose_personas,
)
