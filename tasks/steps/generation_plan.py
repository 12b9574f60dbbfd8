"""What one round of generation asks for: calls of at most ten rows, each with its topic, examples and personas.

Made once from params, coverage and rows; the same inputs make the same calls, so that a round taken up again asks only for what is
missing. Asks no model.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.datasets import Datasets
from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Json, Topic
from storage.rows import Row, last_user_message
from tasks.rules import coverage as coverage_rules
from tasks.rules import generation as rules
from tasks.rules import topics as topic_rules
from tasks.step import StepContext, StepError
from tasks.steps import coverage
from tasks.steps.common import cut

ROWS_PER_CALL = 10
EXAMPLES = 5
SEEDS_PER_CALL = 5
MOST_ROWS = 5_000
COUNT_PER_TOPIC, VARIATIONS = 50, 3
EXAMPLE_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True)
class Call:
    """One question to the model. `seeds` are the rows that `examples` were made from, in their order (seed 1 is the first)."""

    number: int
    topic: Topic | None
    count: int
    seeds: tuple[Row, ...]
    personas: tuple[str, ...]
    difficulty: rules.Difficulty


@dataclass(frozen=True, slots=True)
class Round:
    """A round of generation. `asked` is the number of rows that all calls together ask for."""

    strategy: rules.Strategy
    mode: str
    calls: tuple[Call, ...]
    params: Json

    @property
    def asked(self) -> int:
        return sum(call.count for call in self.calls)


async def planned(ctx: StepContext, manifest: Manifest, params: Json, *, most: int = 0) -> Round:
    """The round that params ask for, cut to `most` rows when given. Raises `StepError` when there is nothing to grow from."""
    share = (manifest.totals.valid - manifest.totals.single_turn) / max(1, manifest.totals.valid)
    strategy = _strategy(params, share)
    record_ids = [str(one) for one in params.get("record_ids") or ()]
    if record_ids:
        calls = await asyncio.to_thread(_from_seeds, ctx.deps.datasets, manifest, record_ids, params)
    else:
        wanted = _wanted(ctx, manifest, params)
        calls = await asyncio.to_thread(_from_topics, ctx, manifest, wanted)
    if not calls:
        raise StepError("There is nothing to grow from: name topics, or rows to start with.", code="topics_or_records", next="generate_topics")
    mode = "sft" if params.get("generation_mode") == "sft" else "rft"
    return Round(strategy, mode, _shortened(calls, most or MOST_ROWS), params)


def request(ctx: StepContext, plan: Round, call: Call) -> Json:
    """The data of the `synthetic_rows` call."""
    topic = call.topic
    return {
        "strategy": plan.strategy,
        "mode": plan.mode,
        "goal": ctx.workflow.goal,
        "topic": None
        if topic is None
        else {"id": topic.id, "name": topic.name, "description": topic.description, "keywords": list(topic.keywords)},
        "personas": list(call.personas),
        "examples": [_example(number, row) for number, row in enumerate(call.seeds, start=1)],
        "count": call.count,
        "difficulty": call.difficulty,
        "base_scenario": cut(str(plan.params.get("base_scenario") or ""), 2_000),
        "aspects": [cut(str(one), 200) for one in plan.params.get("aspects") or ()][:20],
        "tool_patterns": [one for one in plan.params.get("tool_patterns") or ()][:20],
        "round": call.number,
    }


def _strategy(params: Json, multi_turn_share: float) -> rules.Strategy:
    wanted = params.get("strategy")
    if not wanted:
        return rules.default_strategy(multi_turn_share)
    for strategy in rules.STRATEGIES:
        if strategy == wanted:
            return strategy
    raise StepError(f"There is no strategy {wanted!r}; there are: {', '.join(rules.STRATEGIES)}.", code="unknown_strategy")


def _wanted(ctx: StepContext, manifest: Manifest, params: Json) -> list[tuple[Topic, int]]:
    leaves = {leaf.id: leaf for leaf in topic_rules.leaves(ctx.workflow.topics)}
    if not leaves:
        raise StepError("No topics yet: approve topics, or name the rows to grow from.", code="topics_or_records", next="generate_topics")
    named = [_leaf(str(one), leaves) for one in params.get("target_topics") or ()]
    measured = coverage.measure(ctx.workflow, manifest.totals)
    needed = coverage_rules.rows_needed(measured)
    under = measured.under or tuple(sorted(needed, key=lambda topic: -needed[topic])[:1])
    count = max(1, int(params.get("count_per_topic") or COUNT_PER_TOPIC))
    return [(leaves[topic], count) for topic, count in rules.plan(under, [leaf.id for leaf in named], count)]


def _leaf(wanted: str, leaves: Mapping[str, Topic]) -> Topic:
    """By id, else by name. Raises `StepError`."""
    if wanted in leaves:
        return leaves[wanted]
    slug = topic_rules.slug(wanted.rpartition("/")[2])
    found = [leaf for leaf in leaves.values() if slug in (leaf.id.rpartition("/")[2], topic_rules.slug(leaf.name))]
    if len(found) != 1:
        raise StepError(f"There is no topic {wanted!r}; there are: {', '.join(list(leaves)[:20])}.", code="unknown_topic")
    return found[0]


def _from_topics(ctx: StepContext, manifest: Manifest, wanted: Sequence[tuple[Topic, int]]) -> list[Call]:
    calls: list[Call] = []
    for topic, count in wanted:
        pool = _examples(ctx.deps.datasets, manifest, topic.id)
        for start in range(0, count, ROWS_PER_CALL):
            calls.append(_call(len(calls) + 1, topic, min(ROWS_PER_CALL, count - start), pool))
    return calls


def _from_seeds(datasets: Datasets, manifest: Manifest, record_ids: Sequence[str], params: Json) -> list[Call]:
    variations = max(1, int(params.get("variations_per_record") or VARIATIONS))
    try:
        rows = [datasets.get_record(manifest, one) for one in record_ids]
    except NotFound as error:
        raise StepError(f"There is no row {error} in this dataset version.", code="unknown_record") from error
    calls: list[Call] = []
    per_call = max(1, min(SEEDS_PER_CALL, ROWS_PER_CALL // variations))
    for start in range(0, len(rows), per_call):
        seeds = tuple(rows[start : start + per_call])
        for _, count in _chunks(len(seeds) * variations):
            calls.append(Call(len(calls) + 1, None, count, seeds, _personas(len(calls)), rules.difficulty(len(calls))))
    return calls


def _chunks(total: int) -> list[tuple[int, int]]:
    return [(start, min(ROWS_PER_CALL, total - start)) for start in range(0, total, ROWS_PER_CALL)]


def _call(number: int, topic: Topic, count: int, pool: Sequence[Row]) -> Call:
    rng = random.Random(zlib.crc32(f"{topic.id}:{number}".encode()))
    seeds = tuple(rng.sample(list(pool), min(EXAMPLES, len(pool))))
    return Call(number, topic, count, seeds, _personas(number), rules.difficulty(number))


def _personas(number: int) -> tuple[str, ...]:
    return tuple(rules.persona(number * 4 + place) for place in range(4))


def _examples(datasets: Datasets, manifest: Manifest, topic: str) -> tuple[Row, ...]:
    """Up to forty rows of the topic, real ones first; of any topic where it has none, so that the voice is right."""
    found = datasets.sample(manifest, 40, seed=3, topic=topic) or datasets.sample(manifest, 10, seed=3)
    return tuple(sorted(found, key=lambda row: row.is_generated))


def _example(number: int, row: Row) -> Json:
    example: Json = {"seed": number, "text": cut(last_user_message(row), EXAMPLE_CHARACTERS)}
    if len(row.messages) > 1:
        turns = [{"role": m.get("role"), "content": cut(str(m.get("content") or ""), EXAMPLE_CHARACTERS)} for m in row.messages]
        example["messages"] = turns[-8:]
    return example


def _shortened(calls: Sequence[Call], most: int) -> tuple[Call, ...]:
    kept: list[Call] = []
    left = most
    for call in calls:
        if left <= 0:
            break
        count = min(call.count, left)
        kept.append(Call(call.number, call.topic, count, call.seeds, call.personas, call.difficulty))
        left -= count
    return tuple(kept)
