"""How tools act: start an operation, make a proposal, read the dataset. Results in the one shape the model knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from agent.tooling import ToolContext, ToolResult, failed, from_refusal, ok
from storage.manifests import Head, Manifest
from storage.records import Json, Proposal
from tasks import consent
from tasks.desk import Started
from tasks.drafting import Refusal
from tasks.rules.approvals import ExplicitOrder
from tasks.rules.costs import ModelPrice, PriceTable, TrainingPrice
from tasks.step import Draft
from tasks.workflow import Missing

NOT_OURS = "That model does not come from this workflow's training. Leave it out, or train here first."
CARD_BELOW = "A card with all of it is shown in the thread; do not repeat what it shows."


async def start(ctx: ToolContext, operation: str, params: Json, **facts: Any) -> ToolResult:
    """Start an operation on a worker: "started" with the job's id, the job that already runs, or what is missing."""
    begun = await ctx.desk.start(
        ctx.tenant, ctx.workflow, operation, params, by=ctx.actor.id, key=ctx.call_id
    )
    if isinstance(begun, Refusal):
        return from_refusal(begun)
    return _started(begun, facts)


def _started(begun: Started, facts: Json) -> ToolResult:
    task = begun.task
    if begun.already:
        done = f"{task.done} of {task.total}" if task.total else task.status
        note = f"It is already running ({done}); it was not started twice."
        return ok(status="already_running", job_id=task.id, note=note)
    note = "It runs on a worker; its card shows the progress, and an event tells you when it is over."
    return ok(status="started", job_id=task.id, note=note, **facts)


async def propose(ctx: ToolContext, draft: Draft, **facts: Any) -> ToolResult:
    """Put a proposal before people; a person decides, by its button or in words. Nothing has happened yet."""
    made = await ctx.desk.propose(ctx.flow, draft, by=ctx.actor.id, key=ctx.call_id)
    if isinstance(made, Refusal):
        return from_refusal(made)
    note = f"Proposed, not done. {CARD_BELOW} A person decides by its button or by answering yes; you cannot."
    return ok(status="proposed", proposal_id=made.id, title=made.title, note=note, **facts)


async def propose_as_ordered(
    ctx: ToolContext, draft: Draft, wanted: ExplicitOrder, **facts: Any
) -> ToolResult:
    """As `propose`; but where it is free and a person's own words ordered exactly this, those words approve it."""
    result = await propose(ctx, draft, **facts)
    if not result["ok"] or draft.ceiling_usd > 0:
        return result
    for said in ctx.orders:
        if (said.order.operation, said.order.count) == (wanted.operation, wanted.count):
            decided = await ctx.desk.decide(
                ctx.tenant, result["proposal_id"], said.person, approve=True, evidence=said.evidence
            )
            if decided.accepted:
                return {
                    **result,
                    "status": "started",
                    "note": "Ordered in so many words and free of cost: it has started.",
                }
    return result


async def open_proposal(ctx: ToolContext, kind: str) -> Proposal | None:
    """The thread's open proposal of that kind."""
    found = await ctx.desk.open_proposals(ctx.tenant, ctx.channel, ctx.thread_ts)
    return next((proposal for proposal in found if proposal.kind == kind), None)


async def consent_refusal(ctx: ToolContext) -> ToolResult | None:
    """None when rows may go to the model provider; otherwise the consent card is shown and nothing is sent."""
    if await ctx.desk.may_send_rows(ctx.tenant):
        return None
    provider = ctx.deps.settings.provider
    if await open_proposal(ctx, "consent") is None:
        await ctx.desk.propose(ctx.flow, consent.card(provider), by=ctx.actor.id, key=ctx.call_id)
    missing = Missing(
        "consent", f"Nobody has agreed yet that rows may be sent to {provider}: press Agree on the card."
    )
    listed = [{"code": missing.code, "message": missing.message}]
    return {"ok": False, "error": missing.message, "missing": listed, "next": "agree on the consent card"}


async def head(ctx: ToolContext) -> Head:
    """Totals of the dataset version that the workflow stands on."""
    flow = ctx.flow
    return await asyncio.to_thread(ctx.deps.datasets.head, ctx.tenant, flow.dataset_id, flow.dataset_version)


async def manifest(ctx: ToolContext) -> Manifest:
    """The whole list of parts of that version."""
    flow = ctx.flow
    return await asyncio.to_thread(
        ctx.deps.datasets.manifest, ctx.tenant, flow.dataset_id, flow.dataset_version
    )


def prices(ctx: ToolContext, *models: str, training: str = "") -> PriceTable:
    """The settings' prices of asking these models, and of training that one."""
    settings = ctx.deps.settings
    base = settings.price(training or settings.base_model)
    listed = {name: settings.price(name) for name in models}
    return PriceTable(
        as_of=base.as_of,
        models={name: ModelPrice(price.input, price.output) for name, price in listed.items()},
        training_default=TrainingPrice(per_million_tokens=base.training),
    )


def unknown(what: str, given: Sequence[str], known: Sequence[str]) -> ToolResult:
    """A name that does not exist, with those that do."""
    names = ", ".join(repr(name[:60]) for name in given)
    return failed(
        f"There is no {what} {names}. There are: {', '.join(known[:60])}. Call again with one of these."
    )
