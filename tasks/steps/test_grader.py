"""Tries a grader on a few rows before anybody approves it: the open proposal's, or the current one.

The base model answers, the grader scores; then answers that deserve nothing are tried (domain.md §6). What is found joins the
proposal's card while the proposal is open. Scores here are for looking at: they decide nothing.
"""

from __future__ import annotations

import asyncio
import statistics as st
from dataclasses import replace

from storage.records import Json, Proposal
from storage.rows import Row, last_user_message
from tasks import graders
from tasks.drafting import card_event
from tasks.graders.port import Bench
from tasks.rules import red_team
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps.answering import (
    Judge,
    answer_and_grade,
    base_model,
    bench,
    check_not_all_refused,
    current_grader,
    outcome,
    sample_with,
    shown,
)
from tasks.steps.common import cut, pinned_manifest, require_sending
from tasks.steps.parallel import each

SAMPLE_SIZE, MOST = 5, 50
SHOWN = 10


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `sample_size` 5, `proposal_id` (else the open grader proposal, else the current grader)."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    proposal = await _proposal(ctx, str(params.get("proposal_id") or ""))
    judge = await _judge(ctx, proposal)
    size = min(MOST, max(1, int(params.get("sample_size") or SAMPLE_SIZE)))
    rows = await asyncio.to_thread(ctx.deps.datasets.sample, manifest, size, seed=len(ctx.workflow.id))
    outcomes: dict[int, Json] = {}
    async with bench(ctx) as opened:
        stopped = await _score(ctx, rows, judge, opened, outcomes)
        check_not_all_refused(list(outcomes.values()))
        weaknesses = [] if stopped else await _attacked(ctx, rows[0], judge, opened, outcomes)
    return _report(ctx, proposal, judge, rows, outcomes, weaknesses, partial=stopped)


async def _proposal(ctx: StepContext, proposal_id: str) -> Proposal | None:
    if proposal_id:
        return await ctx.deps.state.get(ctx.workflow.tenant, Proposal, proposal_id)
    found = await ctx.deps.state.find(ctx.workflow.tenant, Proposal, f"proposal:workflow:{ctx.workflow.id}")
    return next((one for one in reversed(found) if one.kind == "grader" and one.status == "open"), None)


async def _judge(ctx: StepContext, proposal: Proposal | None) -> Judge:
    if proposal is None or proposal.kind != "grader":
        return await current_grader(ctx)
    kind, config = proposal.payload["kind"], proposal.payload["config"]
    if kind not in graders.KINDS:
        raise StepError(f"There is no grader kind {kind}.", code="grader", next="configure_grader")
    return Judge(kind, config, 0)


async def _score(
    ctx: StepContext, rows: tuple[Row, ...], judge: Judge, opened: Bench, outcomes: dict[int, Json]
) -> bool:
    async def one(item: tuple[int, Row]) -> None:
        place, row = item
        found = ctx.done.get(f"row{place}")
        if found is None:
            found = await answer_and_grade(ctx, base_model(ctx), row, judge, opened)
            await ctx.checkpoint(f"row{place}", found)
        outcomes[place] = found
        await ctx.progress(len(outcomes), len(rows), f"{len(outcomes)} of {len(rows)} answers scored")

    return await each(list(enumerate(rows)), one, stop=ctx.cancelled)


async def _attacked(
    ctx: StepContext, row: Row, judge: Judge, opened: Bench, outcomes: dict[int, Json]
) -> list[Json]:
    """The answers that deserve nothing and get something."""
    scores: dict[str, float | None] = {}
    texts = dict(red_team.attacks(last_user_message(row), row.reference_answer))

    async def one(name: str) -> None:
        found = ctx.done.get(f"attack.{name}")
        if found is None:
            grade = await graders.grade(judge.kind, judge.config, sample_with(row, texts[name]), opened)
            found = outcome(texts[name], grade)
            await ctx.checkpoint(f"attack.{name}", found)
        scores[name] = found["score"]

    if await each(list(texts), one, stop=ctx.cancelled):
        return []
    honest = [found["score"] for found in outcomes.values()]
    return [
        {"attack": weakness.attack, "score": round(weakness.score, 3), "text": weakness.message}
        for weakness in red_team.weaknesses(scores, honest)
    ]


def _report(
    ctx: StepContext,
    proposal: Proposal | None,
    judge: Judge,
    rows: tuple[Row, ...],
    outcomes: dict[int, Json],
    weaknesses: list[Json],
    *,
    partial: bool,
) -> StepReport:
    samples = [shown(rows[place], outcomes[place]) for place in sorted(outcomes)]
    test = {**_statistics([found["score"] for found in outcomes.values()]), "weaknesses": weaknesses}
    facts: Json = {
        "grader_version": judge.number or None,
        "proposal_id": proposal.id if proposal and not judge.number else "",
        "kind": judge.kind,
        "samples": samples[:SHOWN],
        **test,
    }
    update: tuple[Proposal, ...] = ()
    if proposal is not None and proposal.status == "open" and not partial:
        small = [
            {**sample, "prompt": cut(sample["prompt"], 200), "response": cut(sample["response"], 300)}
            for sample in samples[:5]
        ]
        payload = {**proposal.payload, "test": {**test, "samples": small}, "weaknesses": weaknesses}
        update = (replace(proposal, payload=payload),)
    events = tuple(replace(card_event(one), key=f"proposal:{one.id}:tested:{ctx.task.id}") for one in update)
    return StepReport(
        facts=facts,
        view="grader_test",
        summary=f"{len(samples)} answers scored",
        records=update,
        events=events,
        partial=partial,
    )


def _statistics(scores: list[float | None]) -> Json:
    known = [score for score in scores if score is not None]
    figures: Json = {
        "n": len(known),
        "errors": len(scores) - len(known),
        "mean": None,
        "std": None,
        "min": None,
        "max": None,
    }
    if known:
        figures |= {
            "mean": round(st.fmean(known), 4),
            "std": round(st.pstdev(known), 4),
            "min": round(min(known), 4),
            "max": round(max(known), 4),
        }
    return figures


TEST_GRADER = Step(
    name="test_grader",
    title="Testing the grader",
    body=run,
    needs=("valid_rows",),
    finishes=False,
    timeout_seconds=1800,
)
