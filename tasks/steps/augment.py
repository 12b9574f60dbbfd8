"""Says rows again in other words: paraphrased, or translated there and back. What no longer means the same is turned away.

Only the last user turn changes; conversation, reference answer, columns and topic stay, because the question is the same. Code
checks what a model promises (`rules.meaning`). Batches are checkpointed; stopping keeps what was made. With `preview` three
are shown and nothing is added.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Json, Workflow
from storage.rows import Message, Row, conversation_text, last_user_message
from tasks.models.port import ModelAnswerInvalid
from tasks.prompts import prompt
from tasks.rules import generation as rules
from tasks.rules import meaning
from tasks.rules import topics as topic_rules
from tasks.rules.validation import check_row, explain
from tasks.schemas import paraphrases, translations
from tasks.step import Fan, Step, StepContext, StepError, StepReport
from tasks.steps import coverage
from tasks.steps.augmentation import MOST_ROWS, has_real_rows
from tasks.steps.common import (
    asker,
    cut,
    dataset_record,
    limits_of,
    newest_workflow,
    pinned_manifest,
    require_sending,
    standing_on,
)
from tasks.steps.generate import appended, invalid
from tasks.steps.judging import Harvest, near_of
from tasks.steps.parallel import each
from tasks.steps.planning import newest_manifest
from tasks.steps.variety import variety
from tasks.steps.writing import prompt_version

BATCH_ROWS = 10
SHARE_BATCHES = 16
ALONE_SHARES = 2
PREVIEW_ROWS = 3
TEXT_CHARACTERS, BEFORE_CHARACTERS, SHOWN_CHARACTERS = 2_000, 1_000, 600
SCRIPT = "script"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows to say again by one method."""

    name: str
    method: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """All batches by share, and the language on the way."""

    shares: dict[str, list[Batch]]
    pivot: str


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `methods` paraphrase | backtranslate, `record_ids` or `topics`, `pivot`, `preview`."""
    await require_sending(ctx)
    if SCRIPT not in ctx.done:
        await ctx.checkpoint(SCRIPT, params)
    work = await prepare(ctx, params)
    batches = [batch for share in work.shares.values() for batch in share]
    if not batches:
        raise StepError(
            "None of these is a valid row of this dataset.", code="record_ids", next="get_dataset_records"
        )
    if len(work.shares) > ALONE_SHARES:
        rows = {name: sum(len(batch.rows) for batch in share) for name, share in work.shares.items()}
        await ctx.spread(rows, label="rows said again")
    else:
        await _write(ctx, work, batches)
    stopped = any(batch.name not in ctx.done for batch in batches)
    found = await asyncio.to_thread(_judged, ctx, await pinned_manifest(ctx), batches, work.pivot)
    if params.get("preview"):
        return _preview(ctx, params, found, {row.id: row for batch in batches for row in batch.rows})
    if not found.made and not stopped:
        raise StepError(
            "Nothing was added: the model wrote nothing that can be read.",
            code="nothing_generated",
            next="augment_dataset",
        )
    return await _report(ctx, params, batches, found, partial=stopped)


async def prepare(ctx: StepContext, params: Json) -> Work:
    """The chosen rows in batches; the same in every process."""
    script = ctx.done[SCRIPT]
    rows = await asyncio.to_thread(_chosen, ctx, await pinned_manifest(ctx), script)
    batches = [
        (str(method), tuple(rows[start : start + BATCH_ROWS]))
        for method in script["methods"]
        for start in range(0, len(rows), BATCH_ROWS)
    ]
    shares: dict[str, list[Batch]] = {}
    for number, (method, some) in enumerate(batches):
        share = f"share{number // SHARE_BATCHES}"
        shares.setdefault(share, []).append(Batch(f"{share}.batch{number}", method, some))
    return Work(shares, str(script.get("pivot") or "German"))


async def write_share(ctx: StepContext, work: Work, name: str) -> Json:
    return {"rows": await _write(ctx, work, work.shares[name])}


# ---------------------------------------------------------------- asking


async def _write(ctx: StepContext, work: Work, batches: Sequence[Batch]) -> int:
    """Ask for the batches that are not there yet; how many rows were asked for by now."""
    total, made = sum(len(batch.rows) for batch in batches), 0

    async def one(batch: Batch) -> None:
        nonlocal made
        if batch.name not in ctx.done:
            said = await _said_again(ctx, batch, work.pivot)
            await ctx.checkpoint(batch.name, {"texts": [[place, text] for place, text in said.items()]})
        made += len(batch.rows)
        await ctx.progress(made, total, f"{made:,} of {total:,} rows said again")

    await each(batches, one, stop=ctx.cancelled)
    return made


async def _said_again(ctx: StepContext, batch: Batch, pivot: str) -> dict[int, str]:
    """New texts by place in the batch; what the model left out is missing."""
    if batch.method == "paraphrase":
        return await _paraphrased(ctx, batch.rows)
    return await _returned(ctx, batch, pivot)


async def _paraphrased(ctx: StepContext, rows: Sequence[Row]) -> dict[int, str]:
    data: Json = {"rows": [_shown(place, row) for place, row in enumerate(rows)]}
    ask = asker(ctx, ctx.deps.settings.generator_model)
    try:
        answer = await ask.ask(prompt("paraphrases"), data, paraphrases(), temperature=0.8, read=_has_rows)
    except ModelAnswerInvalid:
        return {}
    return {place: str(row["text"]) for place, row in _by_row(answer, len(rows)).items()}


async def _returned(ctx: StepContext, batch: Batch, pivot: str) -> dict[int, str]:
    """Translated to the other language and back: two calls, the first of which is kept should the second fail."""
    name = f"{batch.name}.there"
    there = ctx.done.get(name)
    if there is None:
        texts = {place: last_user_message(row)[:TEXT_CHARACTERS] for place, row in enumerate(batch.rows)}
        there = {"rows": await _translated(ctx, [(place, text, pivot) for place, text in texts.items()])}
        await ctx.checkpoint(name, there)
    back = [(int(place), str(text), str(language)) for place, text, language in there["rows"]]
    return {place: text for place, text, _ in await _translated(ctx, back)}


async def _translated(ctx: StepContext, texts: Sequence[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """(place, text, into) → (place, translation, the language that it came in)."""
    if not texts:
        return []
    data: Json = {
        "rows": [{"row": at, "text": text, "into": into} for at, (_, text, into) in enumerate(texts)]
    }
    ask = asker(ctx, ctx.deps.settings.generator_model)
    try:
        answer = await ask.ask(prompt("translations"), data, translations(), temperature=0.3, read=_has_rows)
    except ModelAnswerInvalid:
        return []
    found = _by_row(answer, len(texts))
    return [
        (texts[at][0], str(row["text"]), cut(str(row.get("language") or "English"), 40))
        for at, row in found.items()
    ]


def _shown(place: int, row: Row) -> Json:
    before = conversation_text(row.input.messages[:-1])
    text = last_user_message(row)[:TEXT_CHARACTERS]
    return {"row": place, "text": text, **({"before": cut(before, BEFORE_CHARACTERS)} if before else {})}


def _has_rows(answer: Json) -> bool:
    return isinstance(answer.get("rows"), list)


def _by_row(answer: Json, count: int) -> dict[int, Json]:
    """Answers by the number they name, the first of each; others are no use."""
    found: dict[int, Json] = {}
    for row in answer["rows"]:
        place = row.get("row") if isinstance(row, dict) else None
        if isinstance(place, int) and 0 <= place < count and isinstance(row.get("text"), str):
            found.setdefault(place, row)
    return dict(sorted(found.items()))


# ---------------------------------------------------------------- rows


def _chosen(ctx: StepContext, manifest: Manifest, script: Json) -> list[Row]:
    """The rows to say again: real and valid, in a fixed order; three of them for a preview, other ones with every call."""
    rows = list(islice(_candidates(ctx, manifest, script), MOST_ROWS))
    if not script.get("preview") or len(rows) <= PREVIEW_ROWS:
        return rows
    start = zlib.crc32(ctx.task.id.encode()) % len(rows)
    return [*rows[start:], *rows[:start]][:PREVIEW_ROWS]


def _candidates(ctx: StepContext, manifest: Manifest, script: Json) -> Iterator[Row]:
    if script.get("record_ids"):
        yield from _named(ctx, manifest, script["record_ids"])
        return
    topics, only_real = set(script.get("topics") or ()), has_real_rows(manifest.totals)
    for row in ctx.deps.datasets.iter_rows(manifest):
        if row.topic in topics and not (only_real and row.is_generated):
            yield row


def _named(ctx: StepContext, manifest: Manifest, record_ids: Sequence[str]) -> Iterator[Row]:
    for id in dict.fromkeys(record_ids):
        try:
            row = ctx.deps.datasets.get_record(manifest, str(id))
        except NotFound:
            continue
        if row.valid:
            yield row


def _judged(ctx: StepContext, manifest: Manifest, batches: Sequence[Batch], pivot: str) -> Harvest:
    """Every answer against its original, and against all rows there are, in the order of the batches."""
    near, found = near_of(ctx, manifest), Harvest()
    for batch in batches:
        if batch.name not in ctx.done:
            continue
        texts = {int(place): str(text).strip() for place, text in ctx.done[batch.name]["texts"]}
        found.failed += len(batch.rows) - len(texts)
        for place, text in texts.items():
            original = batch.rows[place]
            found.wrote(original.topic)
            row = _row(ctx, batch.method, pivot, original, text)
            rejection = _problem(ctx, original, row, text, near)
            if rejection is not None:
                found.reject(rejection, text)
                continue
            near.add(f"generated {len(found.rows) + 1}", text)
            found.rows.append(row)
    return found


def _problem(
    ctx: StepContext, original: Row, row: Row, text: str, near: rules.Near
) -> rules.Rejection | None:
    before = last_user_message(original)
    rejection = rules.check(row.input.messages, seeds=[before], min_characters=min(20, len(before)))
    rejection = rejection or meaning.problem(before, text)
    if rejection is not None:
        return rejection
    match = near.find(text)
    if match:
        return rules.Rejection("near_duplicate", f"{match.similarity:.0%} like {match.key}.")
    code, _ = check_row(row, limits_of(ctx))
    return rules.Rejection("invalid_structure", explain(code, line=0).message) if code else None


def _row(ctx: StepContext, method: str, pivot: str, original: Row, text: str) -> Row:
    last: Message = {**original.input.messages[-1], "content": text}
    given = msgspec.structs.replace(original.input, messages=[*original.input.messages[:-1], last])
    return msgspec.structs.replace(
        original,
        id="",
        input=given,
        provenance={
            "seed": original.id,
            "strategy": method,
            "persona": "",
            "model": ctx.deps.settings.generator_model,
            "prompt_version": prompt_version("paraphrases" if method == "paraphrase" else "translations"),
            "task": ctx.task.id,
            **({"pivot": pivot} if method == "backtranslate" else {}),
        },
        score=None,
        previous_topic=None,
        is_generated=True,
    )


# ---------------------------------------------------------------- telling


def _preview(ctx: StepContext, params: Json, found: Harvest, originals: dict[str, Row]) -> StepReport:
    names = {leaf.id: leaf.name for leaf in topic_rules.leaves(ctx.workflow.topics)}
    rows = [
        {
            "text": cut(last_user_message(row), SHOWN_CHARACTERS),
            "original": cut(last_user_message(originals[row.provenance["seed"]]), SHOWN_CHARACTERS),
            "topic": names.get(row.topic or "", ""),
            "persona": "",
            "seed": row.provenance["seed"],
            "method": row.provenance["strategy"],
        }
        for row in found.rows
    ]
    facts: Json = {
        "workflow_id": ctx.workflow.id,
        "strategy": " and ".join(params["methods"]),
        "augmentation": True,
        "request": {
            "methods": params["methods"],
            "record_ids": params.get("record_ids") or [],
            "topics": params.get("topics") or [],
            "pivot_language": params.get("pivot") or "",
        },
        "rows": rows[:5],
        "rejected": found.rejected,
        "rejected_samples": found.samples[:3],
    }
    return StepReport(facts=facts, view="preview")


async def _report(
    ctx: StepContext, params: Json, batches: Sequence[Batch], found: Harvest, *, partial: bool
) -> StepReport:
    """The kept rows on the newest dataset version, so that edits made in the meantime stay."""
    newest, base = await newest_workflow(ctx), await newest_manifest(ctx)
    grown = await appended(ctx, base, found.rows, operation="augment") if found.rows else base
    duplicates = invalid(base, grown)
    kept = len(found.rows) - sum(duplicates.values())
    rejected = {**found.rejected, **({"no_answer": found.failed} if found.failed else {})}
    for code, count in duplicates.items():
        rejected[code] = rejected.get(code, 0) + count
    asked = sum(len(batch.rows) for batch in batches)
    covered = coverage.facts(standing_on(newest, grown), grown.totals)
    score = coverage.measure(ctx.workflow, base.totals).score if ctx.workflow.topics else None
    facts: Json = {
        "asked": asked,
        "generated": found.made,
        "kept": kept,
        "rejected": rejected,
        "rejected_samples": found.samples,
        "by_topic": found.by_topic if ctx.workflow.topics else {},
        "made_by_topic": found.made_by_topic if ctx.workflow.topics else {},
        "strategy": " and ".join(params["methods"]),
        "augmentation": True,
        "balance_before": None if score is None else round(score, 4),
        "balance_after": covered.get("balance_score"),
        "diversity": await variety(ctx, base, found.rows),
        "partial": partial,
        "coverage": covered,
        "dataset_version": grown.version,
    }

    def change(workflow: Workflow) -> Workflow:
        if grown is base or workflow.dataset_version not in (base.version, ctx.workflow.dataset_version):
            return workflow
        stands = standing_on(workflow, grown)
        return replace(stands, coverage=coverage.facts(stands, grown.totals))

    return StepReport(
        facts=facts,
        change=change,
        summary=f"{kept:,} of {asked:,} rows in other words kept",
        view="generated",
        records=await dataset_record(ctx, grown),
        then=coverage.again_for_new_topics(newest, grown),
        partial=partial,
    )


AUGMENT = Step(
    name="augment",
    title="Saying rows again",
    body=run,
    needs=("valid_rows",),
    finishes=False,
    timeout_seconds=2 * 3600,
    fan=Fan(prepare=prepare, work=write_share),
)
