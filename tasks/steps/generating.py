"""Makes candidate rows with a model and judges them: what `generate` and `generate_preview` share.

A plan is cut into batches of a topic; every batch is one structured call, checkpointed as it came, so that a restart asks for
no batch twice. Judging is code (`rules.generation`) and happens in the order of the plan, so that a repeat rejects the same rows.
Nothing here writes rows.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Json, Topic
from storage.rows import Input, Message, Output, Row, conversation_text, last_user_message, split_conversation
from tasks.models.port import ModelAnswerInvalid
from tasks.prompts import prompt
from tasks.rules import generation as rules
from tasks.rules import topics as topic_rules
from tasks.schemas import synthetic_rows
from tasks.step import StepContext, StepError
from tasks.steps.common import asker, cut
from tasks.steps.labelling import Keywords
from tasks.steps.parallel import each

BATCH_ROWS = 10
EXAMPLES = 5
EXAMPLE_CHARACTERS = 1_500
COMPARED_ROWS = (
    50_000  # rows of the dataset that candidates are compared with; their shingles are held in memory
)
GENERATED_CONFIDENCE = 0.9  # a row written for a topic, to which the keyword stage did not object
PROMPT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one topic to ask for. `number` counts over the whole plan."""

    number: int
    topic: Topic | None
    count: int
    examples: tuple[Row, ...]


@dataclass(slots=True)
class Harvest:
    """What was kept, in the order of the plan, and what was not. `shown` are rejected texts with their reasons."""

    rows: list[Row] = field(default_factory=list)
    made: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    made_by_topic: dict[str, int] = field(default_factory=dict)
    failed: int = 0  # rows of batches that the model answered with nothing usable

    @property
    def by_topic(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.topic or ""] = counts.get(row.topic or "", 0) + 1
        return counts


async def harvest(
    ctx: StepContext, manifest: Manifest, params: Json, plan: Sequence[tuple[str, int]]
) -> tuple[Harvest, bool]:
    """Ask for every batch that is not done and judge all; True when stopped early, with what was made so far."""
    batches = await asyncio.to_thread(_batches, ctx, manifest, params, plan)
    answers: dict[int, list[Json]] = {}
    total = sum(batch.count for batch in batches)

    async def one(batch: Batch) -> None:
        name = f"batch{batch.number}"
        saved = ctx.done.get(name) or {"rows": await _asked(ctx, params, batch)}
        answers[batch.number] = saved["rows"]
        if name not in ctx.done:
            await ctx.checkpoint(name, saved)
        made = sum(len(rows) for rows in answers.values())
        await ctx.progress(made, total, f"{made:,} of {total:,} examples written")

    stopped = await each(batches, one, stop=ctx.cancelled)
    return await asyncio.to_thread(_judged, ctx, manifest, params, batches, answers), stopped


# ---------------------------------------------------------------- asking


def _batches(
    ctx: StepContext, manifest: Manifest, params: Json, plan: Sequence[tuple[str, int]]
) -> list[Batch]:
    leaves = {leaf.id: leaf for leaf in topic_rules.leaves(ctx.workflow.topics)}
    seeds = _seeds(ctx, manifest, params)
    found: list[Batch] = []
    for topic_id, count in plan:
        topic = leaves.get(topic_id)
        for start in range(0, count, BATCH_ROWS):
            number = _first(params) + len(found)
            examples = _rotated(seeds, number) if seeds else _examples(ctx, manifest, topic, number)
            found.append(Batch(len(found), topic, min(BATCH_ROWS, count - start), examples))
    return found


def _first(params: Json) -> int:
    """What a round's batches are numbered from, so that a second round asks for other rows than the first."""
    return 1_000 * int(params.get("round") or 0)


def _seeds(ctx: StepContext, manifest: Manifest, params: Json) -> tuple[Row, ...]:
    """The rows that were named as seeds, in that order. Raises `StepError` for none."""
    wanted = [str(id) for id in params.get("record_ids") or ()]
    if not wanted:
        return ()
    found = [row for id in wanted if (row := _record(ctx, manifest, id)) is not None and row.valid]
    if not found:
        raise StepError(
            "None of the seed rows is a valid row of this dataset.",
            code="record_ids",
            next="get_dataset_records",
        )
    return tuple(found)


def _record(ctx: StepContext, manifest: Manifest, record_id: str) -> Row | None:
    try:
        return ctx.deps.datasets.get_record(manifest, record_id)
    except NotFound:
        return None


def _rotated(rows: Sequence[Row], by: int) -> tuple[Row, ...]:
    start = (by * EXAMPLES) % len(rows)
    return tuple((*rows[start:], *rows[:start])[:EXAMPLES])


def _examples(ctx: StepContext, manifest: Manifest, topic: Topic | None, number: int) -> tuple[Row, ...]:
    """Diverse rows of the topic; of the whole dataset where the topic has none yet."""
    seed = zlib.crc32(f"{ctx.workflow.id}:{number}".encode())
    datasets = ctx.deps.datasets
    own = datasets.sample(manifest, EXAMPLES, seed=seed, topic=topic.id) if topic else ()
    return own or datasets.sample(manifest, EXAMPLES, seed=seed)


async def _asked(ctx: StepContext, params: Json, batch: Batch) -> list[Json]:
    """The model's rows as they came, at most as many as were asked for; none when it gave nothing usable, twice."""
    mode = "sft" if params.get("generation_mode") == "sft" else "rft"
    ask = asker(ctx, ctx.deps.settings.generator_model)
    try:
        answer = await ask.ask(
            prompt("synthetic_rows"),
            _question(ctx, params, batch, mode),
            synthetic_rows(mode=mode),
            temperature=0.9,
            read=lambda found: isinstance(found.get("rows"), list),
        )
    except ModelAnswerInvalid:
        return []
    return [row if isinstance(row, dict) else {} for row in answer["rows"][: batch.count]]


def _question(ctx: StepContext, params: Json, batch: Batch, mode: str) -> Json:
    topic = batch.topic
    described = topic and {
        "id": topic.id,
        "name": topic.name,
        "description": topic.description,
        "keywords": list(topic.keywords),
    }
    whole = mode == "sft" or params.get("strategy") == "message_variation"
    return {
        "strategy": params.get("strategy") or "few_shot",
        "mode": mode,
        "goal": ctx.workflow.goal,
        "topic": described,
        "personas": [rules.persona(batch.number * 3 + place) for place in range(min(4, batch.count))],
        "examples": [_example(place, row, whole=whole) for place, row in enumerate(batch.examples)],
        "count": batch.count,
        "difficulty": rules.difficulty(batch.number),
        "base_scenario": str(params.get("base_scenario") or ""),
        "aspects": [str(aspect) for aspect in params.get("aspects") or ()],
        "tool_patterns": params.get("tool_patterns") or [],
        "round": _first(params) + batch.number,
    }


def _example(place: int, row: Row, *, whole: bool) -> Json:
    example: Json = {"seed": place, "text": cut(last_user_message(row), EXAMPLE_CHARACTERS)}
    if whole:
        example["messages"] = [
            {
                "role": message.get("role", ""),
                "content": cut(conversation_text([message], roles=False), EXAMPLE_CHARACTERS),
            }
            for message in row.messages
        ]
    return example


# ---------------------------------------------------------------- judging


def _judged(
    ctx: StepContext,
    manifest: Manifest,
    params: Json,
    batches: Sequence[Batch],
    answers: dict[int, list[Json]],
) -> Harvest:
    near = _near(ctx, manifest)
    predict = _predictor(ctx)
    found = Harvest()
    for batch in batches:
        if batch.number not in answers:
            continue
        topic = batch.topic.id if batch.topic else ""
        found.made_by_topic[topic] = found.made_by_topic.get(topic, 0) + len(answers[batch.number])
        found.failed += batch.count - len(answers[batch.number])
        for candidate in answers[batch.number]:
            found.made += 1
            _take(found, ctx, params, batch, candidate, near, predict)
    return found


def _take(
    found: Harvest,
    ctx: StepContext,
    params: Json,
    batch: Batch,
    candidate: Json,
    near: rules.NearDuplicates,
    predict: Callable[[str], tuple[str | None, float] | None],
) -> None:
    seed = _seed_of(batch, candidate)
    messages = _messages(params, seed, candidate)
    text = next((str(m.get("content") or "") for m in reversed(messages) if m.get("role") == "user"), "")
    rejection = rules.check(
        messages,
        seeds=[last_user_message(row) for row in batch.examples],
        near=near,
        topic=batch.topic.id if batch.topic else None,
        predicted=predict(text) if batch.topic else None,
    )
    if rejection is not None:
        found.rejected[rejection.code] = found.rejected.get(rejection.code, 0) + 1
        return
    near.add(f"generated {len(found.rows) + 1}", text)
    found.rows.append(_row(ctx, params, batch, candidate, seed, messages))


def _messages(params: Json, seed: Row | None, candidate: Json) -> list[Message]:
    """The candidate as a conversation: the seed's with another last turn, a whole new one, or a single message."""
    if params.get("generation_mode") == "sft":
        given = candidate.get("messages")
        return [dict(m) for m in given if isinstance(m, dict)] if isinstance(given, list) else []
    said: Message = {
        "role": "user",
        "content": candidate.get("text") if isinstance(candidate.get("text"), str) else "",
    }
    before = list(seed.input.messages[:-1]) if seed and seed.input.messages else []
    if params.get("strategy") != "message_variation":
        before = [message for message in before if message.get("role") in ("system", "developer")][:1]
    return [*before, said]


def _row(
    ctx: StepContext, params: Json, batch: Batch, candidate: Json, seed: Row | None, messages: list[Message]
) -> Row:
    given, answer = split_conversation(messages)
    tools = (
        seed.input.tools if seed and params.get("strategy") in ("message_variation", "tool_chain") else None
    )
    topic = batch.topic.id if batch.topic else None
    return Row(
        id="",
        input=Input(messages=given, tools=tools),
        output=Output(messages=answer),
        provenance={
            "seed": seed.id if seed else "",
            "strategy": str(params.get("strategy") or "few_shot"),
            "persona": cut(str(candidate.get("persona") or ""), 200),
            "model": ctx.deps.settings.generator_model,
            "prompt_version": PROMPT_VERSION,
            "task": ctx.task.id,
        },
        topic=topic,
        topic_confidence=GENERATED_CONFIDENCE if topic else None,
        topic_method="llm" if topic else None,
        is_generated=True,
    )


def _seed_of(batch: Batch, candidate: Json) -> Row | None:
    place = candidate.get("seed")
    if not batch.examples:
        return None
    return batch.examples[place % len(batch.examples)] if isinstance(place, int) else batch.examples[0]


def _near(ctx: StepContext, manifest: Manifest) -> rules.NearDuplicates:
    near = rules.NearDuplicates()
    for text, name in _compared(ctx, manifest):
        near.add(name, text)
    return near


def _compared(ctx: StepContext, manifest: Manifest) -> Iterator[tuple[str, str]]:
    for place, row in enumerate(ctx.deps.datasets.iter_rows(manifest)):
        if place >= COMPARED_ROWS:
            return
        yield last_user_message(row), f"row {row.id}"


def _predictor(ctx: StepContext) -> Callable[[str], tuple[str | None, float] | None]:
    """What the keyword stage thinks of a text; None where it has no opinion."""
    leaves = topic_rules.leaves(ctx.workflow.topics)
    keywords = Keywords(leaves)

    def predict(text: str) -> tuple[str | None, float] | None:
        label = keywords.label(text)
        return None if label is None else (label.topic, label.confidence)

    return predict
