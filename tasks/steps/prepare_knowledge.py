"""Makes rows from documents after approval: every row cites its passage, and what a passage does not carry is rejected and counted.

Passages are read batch by batch on whatever workers are free (`extracting.py`); each batch is checkpointed as it came. Then all rows are
looked at in the order of the documents: questions asked twice go, the others join the dataset, or begin one where the thread has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from storage.manifests import Head, Manifest, Source, Summary
from storage.records import Dataset, GenerationRound, Json, Workflow
from storage.rows import Input, Output, Row, last_user_message
from tasks.drafting import short_id
from tasks.rules import grounding
from tasks.rules import knowledge as rules
from tasks.rules.validation import check_row
from tasks.step import Fan, Next, Step, StepContext, StepError, StepReport
from tasks.steps import coverage
from tasks.steps.common import (
    cut,
    limits_of,
    make_version_once,
    manifest_of,
    newest_workflow,
    require_sending,
    standing_on,
)
from tasks.steps.extracting import PROMPT_VERSION, Batch, Method, Written, batches, written
from tasks.steps.parallel import each
from tasks.steps.shared_documents import Passage, passages_of

SHARE_BATCHES = 8
COMPARED_ROWS = 50_000  # rows of the dataset whose questions are not asked again
EXAMPLES, SHOWN = 3, 8
Shares = Mapping[str, Sequence[Batch]]


@dataclass(slots=True)
class Prepared:
    """Rows to add, and what became of the others. `shown` are rejected ones with their reasons."""

    rows: list[Row] = field(default_factory=list)
    made: int = 0
    unverified: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    by_type: dict[str, int] = field(default_factory=dict)
    shown: list[Json] = field(default_factory=list)


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `documents` ids, `kinds`, `method` model | extraction, `format` chat; as the proposal showed them."""
    if _method(params) == "model":
        await require_sending(ctx)
    shares = await _shares(ctx, params)
    asked = {name: sum(batch.asked for batch in group) for name, group in shares.items()}
    stopped = await ctx.spread(asked, label="rows looked for")
    base = await _base(ctx)
    found = await asyncio.to_thread(_judged, ctx, params, shares, base)
    if not found.rows and not stopped:
        words = ", ".join(f"{count} {code.replace('_', ' ')}" for code, count in found.rejected.items())
        raise StepError(
            f"Nothing was added: no row could be grounded in the documents ({words or 'the model wrote none'}).",
            code="nothing_grounded",
            next="prepare_from_knowledge",
        )
    return await _report(ctx, sum(asked.values()), found, base, partial=stopped)


# ---------------------------------------------------------------- the shares


async def _shares(ctx: StepContext, params: Json) -> dict[str, list[Batch]]:
    """The same in every process: batches in the order of the documents, some to a share."""
    passages = await passages_of(ctx, [str(id) for id in params.get("documents") or ()])
    wanted = tuple(kind for kind in rules.KINDS if kind in (params.get("kinds") or rules.KINDS))
    plan = await asyncio.to_thread(batches, passages, wanted)
    return {
        f"part{start // SHARE_BATCHES}": plan[start : start + SHARE_BATCHES]
        for start in range(0, len(plan), SHARE_BATCHES)
    }


async def _work(ctx: StepContext, shares: Shares, name: str) -> Json:
    """A share's batches side by side; each is kept under the share's name and its number."""
    method, group, done = _method(ctx.task.params), shares[name], 0

    async def one(numbered: tuple[int, Batch]) -> None:
        nonlocal done
        number, batch = numbered
        kept = f"{name}.{number}"
        if kept not in ctx.done:
            await ctx.checkpoint(kept, (await written(ctx, batch, method)).to_json())
        done += 1
        await ctx.progress(done, len(group), "passages read")

    await each(enumerate(group), one, stop=lambda: False)
    return {"batches": len(group)}


def _method(params: Json) -> Method:
    return "extraction" if params.get("method") == "extraction" else "model"


# ---------------------------------------------------------------- judging together


def _judged(ctx: StepContext, params: Json, shares: Shares, base: Manifest) -> Prepared:
    """All rows in the order of the plan, so that a repeat rejects the same ones."""
    found = Prepared()
    questions = _asked_before(ctx, base)
    for name, group in shares.items():
        for number, batch in enumerate(group):
            saved = ctx.done.get(f"{name}.{number}")
            if saved is not None:
                _take(found, ctx, params, batch, Written(**saved), questions)
    return found


def _take(
    found: Prepared, ctx: StepContext, params: Json, batch: Batch, made: Written, questions: rules.Questions
) -> None:
    found.made += made.made
    for code, count in {
        **made.rejected,
        **({"no_answer": made.unanswered} if made.unanswered else {}),
    }.items():
        found.rejected[code] = found.rejected.get(code, 0) + count
    found.shown += made.shown
    for one in made.rows:
        passage, question = batch.passages[int(one["passage"])], str(one["question"])
        match = questions.find(question, batch.kind, passage.chunk.id)
        if match is not None:
            found.rejected["near_duplicate"] = found.rejected.get("near_duplicate", 0) + 1
            why = f"{match.similarity:.0%} like {match.key}."
            found.shown.append(
                {"code": "near_duplicate", "kind": batch.kind, "question": cut(question, 160), "why": why}
            )
            continue
        questions.add(f"“{cut(question, 80)}”", question, batch.kind, passage.chunk.id)
        found.by_type[batch.kind] = found.by_type.get(batch.kind, 0) + 1
        found.unverified += not one.get("verified")
        found.rows.append(_row(ctx, params, batch.kind, passage, one))


def _row(ctx: StepContext, params: Json, kind: rules.Kind, passage: Passage, one: Json) -> Row:
    row = rules.Candidate(str(one["question"]), str(one["answer"]), str(one["quote"]))
    asked, answer = rules.messages(kind, row, passage.chunk.text)
    provenance = {
        **passage.provenance(),
        "quote": row.quote,
        "type": kind,
        "verified": bool(one.get("verified")),
        "model": ctx.deps.settings.generator_model if _method(params) == "model" else "none",
        "prompt_version": PROMPT_VERSION,
        "task": ctx.task.id,
    }
    return Row(
        id="",
        input=Input(messages=[dict(asked)]),
        output=Output(messages=[dict(answer)]),
        item={"passage": passage.chunk.text, "source": grounding.place(provenance)},
        provenance=provenance,
        is_generated=True,
    )


def _asked_before(ctx: StepContext, base: Manifest) -> rules.Questions:
    questions = rules.Questions()
    for kind, where, question, name in _questions(ctx, base):
        questions.add(name, question, kind, where)
    return questions


def _questions(ctx: StepContext, base: Manifest) -> Iterator[tuple[str, str, str, str]]:
    for number, row in enumerate(ctx.deps.datasets.iter_rows(base) if base.parts else ()):
        if number >= COMPARED_ROWS:
            return
        kind, where = str(row.provenance.get("type") or ""), str(row.provenance.get("chunk") or "")
        yield kind, where, rules.question_of(kind, last_user_message(row)), f"row {row.id}"


# ---------------------------------------------------------------- the dataset


async def _base(ctx: StepContext) -> Manifest:
    """The newest version, so that edits made in the meantime stay; an empty one where the thread has no dataset yet."""
    newest = await newest_workflow(ctx)
    if newest.dataset_version:
        return await manifest_of(ctx, newest)
    head = Head(
        tenant=newest.tenant,
        dataset_id=newest.dataset_id or short_id("d", newest.id, "knowledge"),
        version=0,
        parent=None,
        operation="",
        by=ctx.task.by,
        at=ctx.deps.clock(),
        totals=Summary(),
        source=Source(file_name="documents", format="documents", shape="chat"),
        parts_digest="",
    )
    return Manifest(head=head, parts=())


async def _appended(ctx: StepContext, base: Manifest, rows: Sequence[Row]) -> Manifest:
    limits = limits_of(ctx)
    named = [
        msgspec.structs.replace(row, id=f"k-{ctx.task.id}-{number}")
        for number, row in enumerate(rows, start=1)
    ]
    return await make_version_once(
        ctx,
        lambda: ctx.deps.datasets.append_rows(
            base,
            named,
            check=lambda row: check_row(row, limits),
            operation="prepare_knowledge",
            by=ctx.task.by,
            at=ctx.deps.clock(),
        ),
    )


async def _dataset(ctx: StepContext, newest: Workflow, grown: Manifest) -> tuple[Dataset, ...]:
    """The dataset's document on its newest version; a new one where the rows began it."""
    found = await ctx.deps.state.get(grown.tenant, Dataset, grown.dataset_id)
    if found is not None:
        return (replace(found, latest=grown.version),) if found.latest < grown.version else ()
    return (
        Dataset(
            id=grown.dataset_id,
            tenant=grown.tenant,
            name=newest.name,
            file_name="",
            owner=newest.owner,
            created_at=ctx.deps.clock(),
            latest=grown.version,
        ),
    )


async def _report(
    ctx: StepContext, asked: int, found: Prepared, base: Manifest, *, partial: bool
) -> StepReport:
    newest = await newest_workflow(ctx)
    grown = await _appended(ctx, base, found.rows) if found.rows else base
    rejected = _with_invalid(found.rejected, base, grown)
    kept = len(found.rows) - sum(rejected.values()) + sum(found.rejected.values())
    covered = coverage.facts(standing_on(newest, grown), grown.totals) if newest.topics else {}
    facts: Json = {
        "asked": asked,
        "generated": found.made,
        "kept": kept,
        "by_type": found.by_type,
        "rejected": rejected,
        "turned_away": _few_of_each(found.shown),
        "examples": [_example(row) for row in _spread(found.rows, EXAMPLES)],
        "unverified": found.unverified,
        "partial": partial,
        "new_dataset": not base.version,
        "balance_after": covered.get("balance_score"),
        "dataset_version": grown.version,
        "valid_rows": grown.totals.valid,
    }
    made = GenerationRound(
        task_id=ctx.task.id,
        at=ctx.deps.clock(),
        strategy="knowledge",
        asked=asked,
        kept=kept,
        rejected=rejected,
        by_topic={},
        balance_before=None,
        balance_after=covered.get("balance_score"),
    )

    def change(workflow: Workflow) -> Workflow:
        with_round = replace(workflow, rounds=(*workflow.rounds, made)[-100:])
        if grown is base or workflow.dataset_version not in (base.version, ctx.workflow.dataset_version):
            return with_round
        stands = standing_on(with_round, grown)
        return replace(stands, coverage=coverage.facts(stands, grown.totals)) if stands.topics else stands

    return StepReport(
        facts=facts,
        change=change,
        summary=f"{kept:,} rows from documents",
        view="knowledge",
        records=await _dataset(ctx, newest, grown) if found.rows else (),
        then=_then(newest, found.rows if kept else ()),
        partial=partial,
    )


def _then(newest: Workflow, rows: Sequence[Row]) -> tuple[Next, ...]:
    """New rows are sorted into the topics that stand; without topics the documents' own headings are proposed, where there are any."""
    if not rows:
        return ()
    if newest.topics:
        return (Next("categorize", {"mode": "unlabeled_only"}),)
    if len({str(row.provenance["source"]) for row in rows}) > 1:
        return (Next("propose_topics_from_documents", {}),)
    return (Next("propose_topics", {"method": "auto"}),)


def _with_invalid(rejected: Mapping[str, int], base: Manifest, grown: Manifest) -> dict[str, int]:
    """The rejections, and the new rows that validation did not accept: they are in the dataset, shown and excluded."""
    counts = dict(rejected)
    for code, count in grown.totals.errors.items():
        more = count - base.totals.errors.get(code, 0)
        if more > 0:
            counts[code] = counts.get(code, 0) + more
    return counts


def _few_of_each(shown: Sequence[Json]) -> list[Json]:
    """Rejected rows to look at: of every reason some, in the order in which they came."""
    taken: dict[str, int] = {}
    kept: list[Json] = []
    for one in shown:
        code = str(one["code"])
        taken[code] = taken.get(code, 0) + 1
        if taken[code] <= 2 and len(kept) < SHOWN:
            kept.append(one)
    return kept


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    return list(rows[:: max(1, len(rows) // count)][:count])


def _example(row: Row) -> Json:
    provenance: Mapping[str, Any] = row.provenance
    return {
        "kind": provenance["type"],
        "question": cut(rules.question_of(str(provenance["type"]), last_user_message(row)), 300),
        "answer": cut(row.reference_answer, 500),
        "quote": cut(str(provenance["quote"]), 300),
        "where": cut(grounding.place(provenance), 200),
    }


PREPARE_KNOWLEDGE = Step(
    name="prepare_knowledge",
    title="Making rows from the documents",
    body=run,
    timeout_seconds=3 * 3600,
    fan=Fan(prepare=_shares, work=_work),
)
