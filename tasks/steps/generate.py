"""Generates rows after approval, keeps the good ones, and says exactly what became of the others.

Each call is a checkpoint, so a killed round asks only for what is missing. Which rows are kept is decided afterwards, in the order of
the calls, so that the answer does not depend on which call was quicker. Stopping keeps what was made.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from storage.manifests import Manifest
from storage.records import GenerationRound, Json, Workflow
from storage.rows import Input, Output, Row, last_user_message, split_conversation
from tasks.models.port import ModelAnswerInvalid, ModelRefused
from tasks.prompts import prompt
from tasks.rules import generation as rules
from tasks.rules import topics as topic_rules
from tasks.rules.limits import Limits
from tasks.rules.validation import check_row
from tasks.schemas import synthetic_rows
from tasks.step import Step, StepContext, StepError, StepReport
from tasks.steps import coverage
from tasks.steps.common import (
    asker,
    cut,
    dataset_record,
    make_version_once,
    manifest_of,
    newest_workflow,
    pinned_manifest,
    require_sending,
    standing_on,
)
from tasks.steps.generation_plan import Call, Round, planned, request
from tasks.steps.labelling import Keywords
from tasks.steps.parallel import each

PREVIEW, MOST_PREVIEWED = 3, 5
COMPARED_ROWS = 100_000  # of the dataset, for near-duplicates; more would not fit in memory
CONFIDENCE = 0.9  # of a row in the topic that it was written for


@dataclass(slots=True)
class Sieve:
    """Keeps good candidates and counts why others are not. The order of candidates matters: the first of equals stays."""

    near: rules.NearDuplicates
    keywords: Keywords
    kept: list[Row] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    generated: int = 0

    def take(self, candidate: Json, call: Call, make: Callable[[Json, Call], Row]) -> None:
        self.generated += 1
        messages = candidate.get("messages") or [{"role": "user", "content": candidate.get("text")}]
        text = _last_user_text(messages)
        label = self.keywords.label(text)
        reason = rules.check(
            messages,
            seeds=[last_user_message(seed) for seed in call.seeds],
            near=self.near,
            topic=call.topic.id if call.topic else None,
            predicted=(label.topic, label.confidence) if label else None,
        )
        if reason is not None:
            self.rejected[reason.code] += 1
            return
        row = make(candidate, call)
        self.near.add(f"generated:{self.generated}", text)
        self.kept.append(row)


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: strategy, generation_mode, target_topics, count_per_topic, record_ids, variations_per_record, base_scenario,
    aspects, tool_patterns."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    plan = await planned(ctx, manifest, params)
    answers: dict[int, list[Json]] = {}
    stopped = await _ask_all(ctx, plan, answers)
    sieve = await _sifted(ctx, manifest, plan, answers)
    if not sieve.generated and not stopped:
        raise StepError("The model wrote nothing that can be read. Try another strategy, or another model.", code="nothing_generated")
    return await _report(ctx, plan, sieve, partial=stopped)


async def preview(ctx: StepContext, params: Json) -> StepReport:
    """A few rows to look at; nothing is added. params as for `run`, and `count` 3–5."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    count = min(MOST_PREVIEWED, max(PREVIEW, int(params.get("count") or PREVIEW)))
    plan = await planned(ctx, manifest, params, most=count)
    answers: dict[int, list[Json]] = {}
    stopped = await _ask_all(ctx, plan, answers)
    sieve = await _sifted(ctx, manifest, plan, answers)
    facts: Json = {
        "strategy": plan.strategy,
        "mode": plan.mode,
        "rows": [
            {
                "text": cut(last_user_message(row), 1_200),
                "topic": row.topic or "",
                "persona": row.provenance["persona"],
                "seed": cut(row.provenance["seed"], 100),
            }
            for row in sieve.kept
        ],
        "rejected": dict(sieve.rejected),
    }
    return StepReport(facts=facts, view="preview", summary=f"{len(sieve.kept)} examples shown", partial=stopped)


# ---------------------------------------------------------------- asking


async def _ask_all(ctx: StepContext, plan: Round, answers: dict[int, list[Json]]) -> bool:
    """Fill `answers` (call number → candidates); True when somebody stopped it."""
    failed: list[Exception] = []

    async def one(call: Call) -> None:
        saved = ctx.done.get(f"call{call.number}")
        if saved is None:
            saved = await _asked(ctx, plan, call, failed)
            await ctx.checkpoint(f"call{call.number}", saved)
        answers[call.number] = [row for row in saved["rows"] if isinstance(row, dict)][: call.count]
        made = sum(len(rows) for rows in answers.values())
        await ctx.progress(made, plan.asked, f"{made:,} of {plan.asked:,} rows written")

    stopped = await each(plan.calls, one, stop=ctx.cancelled)
    if failed and len(failed) == len(answers):
        raise failed[0]  # not one call worked: say what the server said
    return stopped


async def _asked(ctx: StepContext, plan: Round, call: Call, failed: list[Exception]) -> Json:
    schema = synthetic_rows(mode=plan.mode)
    try:
        answer = await asker(ctx, ctx.deps.settings.generator_model).ask(
            prompt("synthetic_rows"), request(ctx, plan, call), schema, temperature=0.9
        )
    except (ModelAnswerInvalid, ModelRefused) as error:
        failed.append(error)
        return {"rows": [], "failed": True}
    return {"rows": list(answer.get("rows") or ())}


async def _sifted(ctx: StepContext, manifest: Manifest, plan: Round, answers: dict[int, list[Json]]) -> Sieve:
    near = await asyncio.to_thread(_near, ctx, manifest)
    sieve = Sieve(near, Keywords(topic_rules.leaves(ctx.workflow.topics)))
    make = _Maker(ctx, plan)
    for call in plan.calls:
        for candidate in answers.get(call.number, ()):
            sieve.take(candidate, call, make)
    return sieve


def _near(ctx: StepContext, manifest: Manifest) -> rules.NearDuplicates:
    near = rules.NearDuplicates()
    for count, row in enumerate(ctx.deps.datasets.iter_rows(manifest)):
        if count == COMPARED_ROWS:
            break
        near.add(row.id, last_user_message(row))
    return near


class _Maker:
    """Turns a candidate that passed into a row that says where it came from."""

    def __init__(self, ctx: StepContext, plan: Round) -> None:
        self._ctx = ctx
        self._plan = plan
        self._version = hashlib.sha256(prompt("synthetic_rows").encode()).hexdigest()[:8]

    def __call__(self, candidate: Json, call: Call) -> Row:
        seed = _seed(candidate, call)
        given, answer = self._conversation(candidate, seed)
        topic = call.topic.id if call.topic else (seed.topic if seed else None)
        return Row(
            id="",
            input=Input(messages=given, tools=seed.input.tools if seed else None),
            output=Output(messages=answer),
            provenance={
                "seed": seed.id if seed else "",
                "strategy": self._plan.strategy,
                "persona": cut(str(candidate.get("persona") or ""), 200),
                "model": self._ctx.deps.settings.generator_model,
                "prompt_version": self._version,
                "task": self._ctx.task.id,
            },
            topic=topic,
            topic_confidence=CONFIDENCE if topic else None,
            topic_method="llm" if topic else None,
            is_generated=True,
        )

    def _conversation(self, candidate: Json, seed: Row | None) -> tuple[list[Json], list[Json]]:
        if candidate.get("messages"):
            turns = [{"role": turn["role"], "content": turn.get("content")} for turn in candidate["messages"]]
            return split_conversation(turns)
        last = {"role": "user", "content": candidate["text"]}
        before = [] if seed is None else seed.input.messages[:-1]
        if self._plan.strategy != "message_variation":
            before = [message for message in before if message.get("role") in ("system", "developer")]
        return [*before, last], []


def _seed(candidate: Json, call: Call) -> Row | None:
    """The example that the row names; the first one for a number that is none of them."""
    number = candidate.get("seed")
    if isinstance(number, int) and 1 <= number <= len(call.seeds):
        return call.seeds[number - 1]
    return call.seeds[0] if call.seeds else None


def _last_user_text(messages: object) -> str:
    turns: Sequence[object] = messages if isinstance(messages, list) else []
    users = [turn for turn in turns if isinstance(turn, dict) and turn.get("role") == "user"]
    return str(users[-1].get("content") or "") if users else ""


# ---------------------------------------------------------------- the result


async def _report(ctx: StepContext, plan: Round, sieve: Sieve, *, partial: bool) -> StepReport:
    """The kept rows on the newest dataset version, so that edits made in the meantime stay."""
    newest = await newest_workflow(ctx)
    base = await manifest_of(ctx, newest if newest.dataset_id == ctx.workflow.dataset_id else ctx.workflow)
    grown = await _appended(ctx, base, sieve.kept) if sieve.kept else base
    duplicates = _invalid(base, grown)
    kept = len(sieve.kept) - sum(duplicates.values())
    rejected = {**sieve.rejected}
    for code, count in duplicates.items():
        rejected[code] = rejected.get(code, 0) + count
    before = coverage.measure(ctx.workflow, base.totals).score if ctx.workflow.topics else None
    covered = coverage.facts(standing_on(ctx.workflow, grown), grown.totals)
    by_topic = Counter(row.topic or "" for row in sieve.kept)
    made = GenerationRound(
        task_id=ctx.task.id,
        at=ctx.deps.clock(),
        strategy=plan.strategy,
        asked=plan.asked,
        kept=kept,
        rejected=rejected,
        by_topic=dict(by_topic),
        balance_before=before,
        balance_after=covered.get("balance_score"),
    )
    facts: Json = {
        "asked": plan.asked,
        "generated": sieve.generated,
        "kept": kept,
        "valid": kept,
        "rejected": rejected,
        "by_topic": dict(by_topic.most_common(40)),
        "strategy": plan.strategy,
        "balance_before": None if before is None else round(before, 4),
        "balance_after": covered.get("balance_score"),
        "new_balance_score": covered.get("balance_score"),
        "partial": partial,
        "coverage": covered,
        "dataset_version": grown.version,
    }

    def change(workflow: Workflow) -> Workflow:
        with_round = replace(workflow, rounds=(*workflow.rounds, made)[-100:])
        if grown is base or workflow.dataset_version not in (base.version, ctx.workflow.dataset_version):
            return with_round
        return replace(standing_on(with_round, grown), coverage=covered)

    return StepReport(
        facts=facts,
        change=change,
        summary=f"{kept:,} of {plan.asked:,} generated rows kept",
        view="generated",
        records=await dataset_record(ctx, grown),
        partial=partial,
    )


async def _appended(ctx: StepContext, base: Manifest, rows: Sequence[Row]) -> Manifest:
    limits = row_limits(ctx)
    named = [msgspec.structs.replace(row, id=f"g-{ctx.task.id}-{number}") for number, row in enumerate(rows, start=1)]
    return await make_version_once(
        ctx,
        lambda: ctx.deps.datasets.append_rows(
            base,
            named,
            check=lambda row: check_row(row, limits),
            operation="generate",
            by=ctx.task.by,
            at=ctx.deps.clock(),
        ),
    )


def row_limits(ctx: StepContext) -> Limits:
    """The limits of the settings, with the workflow's own over them."""
    given = ctx.deps.settings.limits
    own = ctx.workflow.configuration.get("limits") or {}
    return Limits(
        max_tokens=int(own.get("max_tokens") or given.max_tokens),
        min_user_characters=int(own.get("min_user_characters") or given.min_user_characters),
    )


def _invalid(base: Manifest, grown: Manifest) -> dict[str, int]:
    """Generated rows that validation did not accept, by code: they are in the dataset, shown and excluded."""
    return {
        code: more
        for code, count in grown.totals.errors.items()
        if (more := count - base.totals.errors.get(code, 0)) > 0
    }


GENERATE = Step(
    name="generate",
    title="Generating rows",
    body=run,
    step="coverage_generation",
    needs=("goal", "topics_or_records"),
    timeout_seconds=2 * 3600,
)
GENERATE_PREVIEW = Step(
    name="generate_preview",
    title="Writing a few examples",
    body=preview,
    finishes=False,
    needs=("goal", "topics_or_records"),
    timeout_seconds=900,
)
