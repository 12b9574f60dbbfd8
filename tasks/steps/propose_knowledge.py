"""Proposes rows made from the thread's documents: how many of which kind, what they may cost, and three to look at.

Nothing is added before somebody approves: the result is a `knowledge` draft. Where text may not go to a model, or there is none, the rows
would be stretches of the documents themselves, and the card says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.records import Json, SharedDocument
from tasks.rules import costs, extraction, grounding
from tasks.rules import knowledge as rules
from tasks.step import Draft, Step, StepContext, StepError, StepReport
from tasks.steps.common import cut, has_model, may_send_rows
from tasks.steps.extracting import Batch, Method, Written, batches, written
from tasks.steps.shared_documents import Passage, documents_of, named, passages_of

MOST_ROWS = 10_000
PREVIEWED = 3
NO_BUDGET = (
    "This costs money and no budget is set: whoever runs the bot sets BUDGET_USD before it can be approved."
)
FEW_WORDS = "Rows are taken word for word from the documents: definitions, numbered steps, sentences with figures. A model writes more and better ones"


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `source` file names (none: all of the thread), `knowledge_type` concepts | procedures | facts | all, `format` chat."""
    documents = await _chosen(ctx, [str(name) for name in params.get("source") or ()])
    wanted = kinds_of(str(params.get("knowledge_type") or "all"))
    method: Method = "model" if await may_send_rows(ctx) else "extraction"
    await ctx.progress(0, 2, "looking at the passages")
    passages = await passages_of(ctx, [one.id for one in documents])
    plan = batches(passages, wanted)
    counts = _counts(plan, method)
    total = sum(int(one["rows"]) for one in counts.values())
    _check_size(total, wanted)
    await ctx.progress(1, 2, "writing three to look at")
    preview = await _preview(ctx, plan, method)
    estimate = _cost(ctx, plan, total) if method == "model" else None
    facts: Json = {
        "documents": [one.name for one in documents][:20],
        "total": total,
        "counts": counts,
        "preview": preview,
        "method": method,
        "cost_usd": estimate.usd if estimate else 0.0,
        "notes": _notes(ctx, method, estimate),
    }
    task = {
        "documents": [one.id for one in documents],
        "kinds": list(counts),
        "method": method,
        "format": "chat",
    }
    payload = {**facts, "params": task, "formula": estimate.formula if estimate else ""}
    title = f"Make about {total:,} rows from {_names(documents)}"
    ceiling = (estimate.high or 0.0) if estimate else 0.0
    return StepReport(
        facts=facts, summary=f"{total} rows proposed", drafts=(Draft("knowledge", title, payload, ceiling),)
    )


def kinds_of(knowledge_type: str) -> tuple[rules.Kind, ...]:
    """The kinds that are meant. Raises `StepError` for one that does not exist."""
    if knowledge_type in ("all", ""):
        return rules.KINDS
    found = tuple(kind for kind in rules.KINDS if kind == knowledge_type)
    if not found:
        raise StepError(
            f"There is no kind {knowledge_type!r}; there are: {', '.join(rules.KINDS)}, all.",
            code="unknown_kind",
        )
    return found


async def _chosen(ctx: StepContext, source: Sequence[str]) -> list[SharedDocument]:
    known = await documents_of(ctx.deps.state, ctx.workflow)
    found, wrong = named(known, source)
    if wrong or not found:
        have = (
            ", ".join(one.name for one in known[:10])
            or "none yet: share a Markdown, text, HTML or PDF file here"
        )
        raise StepError(
            f"I have no document {', '.join(wrong)}. " * bool(wrong) + f"Documents of this thread: {have}.",
            code="documents",
            next="upload a file",
        )
    return found


def _counts(plan: Sequence[Batch], method: Method) -> Json:
    """Passages and rows by kind; exact where the rows are stretches of the documents."""
    counts: dict[str, Json] = {}
    for batch in plan:
        rows = batch.asked if method == "model" else sum(_extracted(batch, one) for one in batch.passages)
        entry = counts.setdefault(batch.kind, {"passages": 0, "rows": 0})
        entry["passages"] += len(batch.passages)
        entry["rows"] += rows
    return {kind: entry for kind, entry in counts.items() if entry["rows"]}


def _extracted(batch: Batch, passage: Passage) -> int:
    chunk = passage.chunk
    return len(extraction.candidates(batch.kind, chunk.text, chunk.path, batch.count(passage)))


def _check_size(total: int, wanted: Sequence[rules.Kind]) -> None:
    if not total:
        raise StepError(
            f"I found nothing in these documents to make rows of ({', '.join(wanted)}). Ask for another kind, or share a document "
            "that explains, defines or describes how something is done.",
            code="nothing_found",
            next="prepare_from_knowledge",
        )
    if total > MOST_ROWS:
        raise StepError(
            f"That would be about {total:,} rows, and at most {MOST_ROWS:,} are made at once. Name one document, or one kind.",
            code="too_many_rows",
            next="prepare_from_knowledge",
        )


async def _preview(ctx: StepContext, plan: Sequence[Batch], method: Method) -> list[Json]:
    """Up to three rows of passages spread over the plan, each kind in turn; what fails its checks is not shown."""
    shown: list[Json] = []
    for number, batch in enumerate(_samples(plan)):
        name = f"preview{number}"
        if name not in ctx.done:
            await ctx.checkpoint(name, (await written(ctx, batch, method)).to_json())
        found = Written(**ctx.done[name])
        shown += [_shown(batch, row) for row in found.rows[: PREVIEWED - len(shown)]]
        if len(shown) >= PREVIEWED:
            break
    return shown


def _samples(plan: Sequence[Batch]) -> list[Batch]:
    """Small batches to preview, and as many again for the case that some give nothing."""
    by_kind: dict[rules.Kind, list[Passage]] = {}
    for batch in plan:
        by_kind.setdefault(batch.kind, []).extend(batch.passages)
    each = -(-PREVIEWED // max(1, len(by_kind)))
    made = []
    for round_ in range(2):
        for kind, passages in by_kind.items():
            picked = passages[round_ :: max(1, len(passages) // each)][:each]
            made += [Batch(kind, tuple(picked), most=1)] if picked else []
    return made


def _shown(batch: Batch, row: Json) -> Json:
    passage = batch.passages[int(row["passage"])]
    return {
        "kind": batch.kind,
        "question": cut(str(row["question"]), 300),
        "answer": cut(str(row["answer"]), 600),
        "quote": cut(str(row["quote"]), 300),
        "where": cut(grounding.place(passage.provenance()), 200),
    }


def _cost(ctx: StepContext, plan: Sequence[Batch], total: int) -> costs.Estimate:
    settings = ctx.deps.settings
    model = settings.generator_model
    price = settings.price(model)
    table = costs.PriceTable(as_of=price.as_of, models={model: costs.ModelPrice(price.input, price.output)})
    tokens = sum(one.chunk.tokens for batch in plan for one in batch.passages)
    return costs.estimate_knowledge(table, model, passage_tokens=tokens, rows=total, calls=len(plan))


def _notes(ctx: StepContext, method: Method, estimate: costs.Estimate | None) -> list[str]:
    if method == "model":
        costly = estimate is not None and (estimate.high or 0) > 0 and ctx.deps.settings.budget_usd is None
        return [NO_BUDGET] if costly else []
    if has_model(ctx):
        return [f"{FEW_WORDS}: agree on the consent card, then ask again."]
    return [f"{FEW_WORDS}; none is configured here."]


def _names(documents: Sequence[SharedDocument]) -> str:
    return cut(documents[0].name, 60) if len(documents) == 1 else f"{len(documents)} documents"


PROPOSE_KNOWLEDGE = Step(
    name="propose_knowledge", title="Looking for rows in the documents", body=run, timeout_seconds=1800
)
