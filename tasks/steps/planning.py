"""What a round of generation will make, before anybody approves it: how many of what, by which strategy, at what price.

The tool, the button, the bootstrap and the operation itself all plan here, so a card promises what is done. Reads totals, never rows,
and asks no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.manifests import Head, Manifest, Source, Summary
from storage.records import Json, Topic, Workflow
from tasks.drafting import short_id
from tasks.rules import coverage as coverage_rules
from tasks.rules import generation as rules
from tasks.rules import scenarios
from tasks.rules import topics as topic_rules
from tasks.rules.costs import Estimate, ModelPrice, PriceTable, estimate_generation
from tasks.rules.rounds import Earlier, Want, earlier_json
from tasks.settings import Settings
from tasks.step import Draft, StepContext, StepError
from tasks.steps import coverage
from tasks.steps.common import manifest_of, newest_workflow, pinned_manifest

COUNT_PER_TOPIC, VARIATIONS, MOST_ROWS, MOST_SEEDS = 50, 3, 5_000, 500
TOP_UP_SHARE = 0.5  # of the rows asked for, that may be asked for again where rows are rejected
SHOWN_PERSONAS = 12
NEED_ROWS: tuple[rules.Strategy, ...] = ("message_variation", "few_shot", "tool_chain")


def strategy_of(totals: Summary, params: Mapping[str, object]) -> rules.Strategy:
    """The strategy asked for, else the one that suits the data. Raises `StepError` for one that is not possible."""
    wanted = params.get("strategy")
    if not wanted:
        if not totals.valid:
            return "topic_description"
        return rules.default_strategy((totals.valid - totals.single_turn) / totals.valid)
    known = next((strategy for strategy in rules.STRATEGIES if strategy == wanted), None)
    if known is None:
        raise StepError(
            f"There is no strategy {wanted!r}; there are: {', '.join(rules.STRATEGIES)}.",
            code="unknown_strategy",
        )
    if known in NEED_ROWS and not totals.valid:
        raise StepError(
            f"{known} grows from rows, and there are none yet. Without rows: topic_description or scenario_expansion.",
            code="valid_rows",
            next="generate_synthetic_data",
        )
    return known


def wants_of(workflow: Workflow, totals: Summary, params: Mapping[str, object]) -> tuple[Want, ...]:
    """The plan: so many rows of each topic, or exactly so many of each seed row. Raises `StepError`."""
    seeds = list(dict.fromkeys(str(id) for id in _listed(params.get("record_ids"))))
    named = [str(one) for one in _listed(params.get("target_topics"))]
    wants = _of_seeds(seeds, params) if seeds and not named else _of_topics(workflow, totals, params, named)
    total = sum(want.count for want in wants)
    if not 0 < total <= MOST_ROWS:
        raise StepError(
            f"That would be {total:,} rows; ask for 1 to {MOST_ROWS:,}. Name topics, or another count.",
            code="too_many_rows",
        )
    return wants


def aspects_of(params: Mapping[str, object]) -> tuple[str, ...]:
    """What varies between the rows of a scenario; the usual things when nobody said."""
    given = [str(aspect).strip() for aspect in _listed(params.get("aspects")) if str(aspect).strip()]
    return tuple(dict.fromkeys(given))[: scenarios.MOST_ASPECTS] or scenarios.USUAL_ASPECTS


def proposal(
    settings: Settings,
    workflow: Workflow,
    totals: Summary,
    params: Json,
    wants: Sequence[Want],
    *,
    before: Earlier | None = None,
    personas: Sequence[str] = (),
) -> tuple[Draft, Json]:
    """The card that asks for approval, and its figures."""
    total = sum(want.count for want in wants)
    cost = estimate(settings, totals, count=total, mode=str(params.get("generation_mode")), params=params)
    facts: Json = {
        "total": total,
        "strategy": params["strategy"],
        "generation_mode": params.get("generation_mode") or "rft",
        **_balance(workflow, totals, wants),
        "cost_usd": cost.usd,
        "preview_offered": rules.needs_preview(total),
    }
    if before and before.rounds:
        facts["earlier"] = earlier_json(before)
    if params["strategy"] == "scenario_expansion":
        facts["combinations"] = scenarios.combinations(aspects_of(params), len(personas or rules.PERSONAS))
    if not totals.valid:
        facts["from_goal"] = True
    payload = {
        "params": params,
        "plan": plan_lines(workflow, wants),
        "formula": cost.formula,
        "personas": list(personas)[:SHOWN_PERSONAS],
        **facts,
    }
    draft = Draft("generation", f"Generate {total} examples", payload, ceiling_usd=cost.high or 0.0)
    return draft, {**facts, "plan": payload["plan"]}


def plan_lines(workflow: Workflow, wants: Sequence[Want]) -> list[Json]:
    """The plan for people: a line a topic, one line for all seed rows."""
    names = {leaf.id: leaf.name for leaf in topic_rules.leaves(workflow.topics)}
    seeds = [want for want in wants if want.seed]
    lines = [
        {"topic": want.topic, "name": names.get(want.topic, want.topic), "count": want.count}
        for want in wants
        if not want.seed
    ]
    if seeds:
        noun = "seed row" if len(seeds) == 1 else "seed rows"
        total = sum(want.count for want in seeds)
        lines.append({"topic": "", "name": f"{len(seeds)} {noun}", "count": total})
    return lines


def estimate(
    settings: Settings, totals: Summary, *, count: int, mode: str, params: Mapping[str, object]
) -> Estimate:
    """What writing that many rows may cost; conversations are as long as those of the data, and 150 tokens an answer at least."""
    model = settings.generator_model
    average = totals.input_tokens / totals.valid if totals.valid else 60.0
    if mode == "sft":
        average += max(150.0, totals.output_tokens / max(1, totals.with_output))
    return estimate_generation(
        price_table(settings, model),
        model,
        count=count,
        average_tokens=average,
        retry_share=TOP_UP_SHARE if params.get("until_kept") else 0.2,
    )


def price_table(settings: Settings, model: str) -> PriceTable:
    price = settings.price(model)
    return PriceTable(as_of=price.as_of, models={model: ModelPrice(price.input, price.output)})


# ---------------------------------------------------------------- a dataset that is not there yet


async def base_manifest(ctx: StepContext) -> Manifest:
    """The pinned dataset version; an empty one, version 0, where nothing but a goal exists."""
    return await pinned_manifest(ctx) if ctx.workflow.dataset_version else no_rows(ctx.workflow)


async def newest_manifest(ctx: StepContext) -> Manifest:
    """The version that generated rows are added to: the newest of the same dataset, so that edits made meanwhile stay."""
    newest = await newest_workflow(ctx)
    pinned = ctx.workflow
    if newest.dataset_version and (newest.dataset_id == pinned.dataset_id or not pinned.dataset_version):
        return await manifest_of(ctx, newest)
    return await base_manifest(ctx)


def no_rows(workflow: Workflow) -> Manifest:
    """Version 0: what the first rows of a dataset without a file are added to."""
    head = Head(
        tenant=workflow.tenant,
        dataset_id=short_id("d", workflow.id, "from the goal"),
        version=0,
        parent=None,
        operation="",
        by="",
        at=0.0,
        totals=Summary(),
        source=Source(),
        parts_digest="",
    )
    return Manifest(head=head, parts=())


# ---------------------------------------------------------------- parts


def _of_seeds(seeds: Sequence[str], params: Mapping[str, object]) -> tuple[Want, ...]:
    if len(seeds) > MOST_SEEDS:
        raise StepError(f"{len(seeds):,} seed rows are too many; name up to {MOST_SEEDS}.", code="record_ids")
    each = _count(params.get("variations_per_record"), VARIATIONS)
    return tuple(Want("", each, seed) for seed in seeds)


def _of_topics(
    workflow: Workflow, totals: Summary, params: Mapping[str, object], named: Sequence[str]
) -> tuple[Want, ...]:
    leaves = {leaf.id: leaf for leaf in topic_rules.leaves(workflow.topics)}
    if not leaves:
        message = "No topics yet: approve topics, or name the rows to grow from."
        raise StepError(message, code="topics_or_records", next="generate_topics")
    topics = [_leaf(one, leaves) for one in named]
    found = coverage.measure(workflow, totals)
    under = found.under or tuple(entry.topic for entry in found.distribution)
    each = _count(params.get("count_per_topic"), COUNT_PER_TOPIC)
    return tuple(Want(topic, count) for topic, count in rules.plan(under, topics, each))


def _balance(workflow: Workflow, totals: Summary, wants: Sequence[Want]) -> Json:
    names = [leaf.id for leaf in topic_rules.leaves(workflow.topics)]
    counts = {id: totals.topics[id].rows if id in totals.topics else 0 for id in names}
    targets = dict(workflow.targets) or None
    planned = [(want.topic, want.count) for want in wants if want.topic in counts]
    future = rules.expected_counts(counts, planned)
    return {
        "balance": coverage_rules.balance_score(counts, targets) if counts else None,
        "expected_balance": coverage_rules.balance_score(future, targets) if counts else None,
    }


def _leaf(wanted: str, leaves: Mapping[str, Topic]) -> str:
    """A leaf's id, by id or by name. Raises `StepError`."""
    if wanted in leaves:
        return wanted
    slug = topic_rules.slug(wanted.rpartition("/")[2])
    found = [
        leaf.id
        for leaf in leaves.values()
        if slug in (leaf.id.rpartition("/")[2], topic_rules.slug(leaf.name))
    ]
    if len(found) != 1:
        raise StepError(
            f"There is no topic {wanted!r}; there are: {', '.join(list(leaves)[:20])}.", code="unknown_topic"
        )
    return found[0]


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _count(value: object, usual: int) -> int:
    """A number that was given, 0 too; the usual one where none was."""
    return max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else usual
