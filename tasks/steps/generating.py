"""Has candidate rows written by a model, batch by batch: what `generate` and `generate_preview` share.

A plan is cut into batches of a topic; every batch is one structured call, checkpointed as it came, so that a restart asks for
no batch twice. Batches are grouped into shares; a large round's shares are spread over all free workers (`Fan`). Judging is the task's own
worker's (`judging.py`), in the order of the plan. How a strategy asks is `writing.py`. Nothing here writes rows to a dataset.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.datasets import Datasets
from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Dataset, Json, Topic
from storage.rows import Row
from tasks.models.port import ModelAnswerInvalid
from tasks.prompts import prompt
from tasks.rules import generation as rules
from tasks.rules import tool_chains
from tasks.rules import topics as topic_rules
from tasks.rules.rounds import Want
from tasks.schemas import synthetic_rows
from tasks.step import Fan, StepContext, StepError
from tasks.steps.common import asker
from tasks.steps.judging import Harvest, Judge
from tasks.steps.parallel import each
from tasks.steps.planning import TOP_UP_SHARE, aspects_of, base_manifest
from tasks.steps.writing import ROUND, STYLES, Room, question

BATCH_ROWS = 10
SHARE_BATCHES = 16
ALONE_SHARES = 2  # so many are quicker done than spread
TOP_UPS = 3
POOL_ROWS = 200
TOOL_ROWS = 600  # rows looked through for tool definitions
SCRIPT = "script"  # the checkpoint that says what the round is; every process that takes part reads it


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one topic to ask for. `number` counts over the whole round, `want` names each row's place in the plan."""

    name: str
    number: int
    topic: Topic | None
    examples: tuple[Row, ...]
    briefs: tuple[Json, ...]
    want: tuple[int, ...]


async def harvest(
    ctx: StepContext, manifest: Manifest, params: Json, wants: Sequence[Want], *, round: int, offset: int = 0
) -> tuple[Harvest, bool]:
    """Ask for every batch that is not done and judge all; True when stopped early, with what was made so far.

    With `until_kept` what was rejected is asked for again, a few times and within the rows that were approved for it.
    """
    await _settle(ctx, params, wants, round=round, offset=offset)
    room = await prepare(ctx, params)
    judge = await asyncio.to_thread(Judge, ctx, manifest, room)
    counts, extra = [want.count for want in wants], int(TOP_UP_SHARE * sum(want.count for want in wants))
    laps = 1 + (TOP_UPS if params.get("until_kept") else 0)
    for lap in range(laps):
        stopped = await _written(ctx, room, lap, counts)
        await asyncio.to_thread(_judge, ctx, room, judge, lap)
        counts = _missing(wants, judge.found, extra)
        extra -= sum(counts)
        if stopped or lap + 1 == laps or not any(counts):
            return judge.found, stopped
        judge.found.asked_again += sum(counts)
    raise AssertionError("unreachable")


async def prepare(ctx: StepContext, params: Json) -> Room:
    """Everything that batches share, from the script and the pinned dataset; the same in every process."""
    script = ctx.done[SCRIPT]
    manifest = await base_manifest(ctx)
    return await asyncio.to_thread(_room, ctx, manifest, script)


async def write_share(ctx: StepContext, room: Room, name: str) -> Json:
    """The share's batches, each asked for once. Their answers are checkpoints of their own; this only says how many there are."""
    return {"rows": await _write(ctx, room, shares_of(ctx, room, _lap_of(name))[name])}


FAN = Fan(prepare=prepare, work=write_share)


# ---------------------------------------------------------------- the round


async def _settle(ctx: StepContext, params: Json, wants: Sequence[Want], *, round: int, offset: int) -> None:
    """Write down what the round is, before anybody takes part in it."""
    if SCRIPT in ctx.done:
        return
    found = await ctx.deps.state.get(ctx.workflow.tenant, Dataset, ctx.workflow.dataset_id or "-")
    script: Json = {
        "params": params,
        "wants": [[want.topic, want.count, want.seed] for want in wants],
        "first": ROUND * round,
        "offset": offset,
        "personas": list(params.get("personas") or (found.personas if found else ()) or rules.PERSONAS),
    }
    await ctx.checkpoint(SCRIPT, script)


async def _written(ctx: StepContext, room: Room, lap: int, counts: Sequence[int]) -> bool:
    """One lap: the plan itself, or what is asked for once more. True when stopped early."""
    if f"lap{lap}" not in ctx.done:
        await ctx.checkpoint(f"lap{lap}", {"counts": list(counts)})
    shares = shares_of(ctx, room, lap)
    if len(shares) > ALONE_SHARES:
        rows = {name: sum(len(batch.briefs) for batch in batches) for name, batches in shares.items()}
        await ctx.spread(rows, label="examples written")
    else:
        await _write(ctx, room, [batch for batches in shares.values() for batch in batches])
    return any(batch.name not in ctx.done for batches in shares.values() for batch in batches)


async def _write(ctx: StepContext, room: Room, batches: Sequence[Batch]) -> int:
    """Ask for those that are not there yet, several at once; how many rows were asked for by now."""
    total, made = sum(len(batch.briefs) for batch in batches), 0

    async def one(batch: Batch) -> None:
        nonlocal made
        if batch.name not in ctx.done:
            await ctx.checkpoint(batch.name, {"rows": await _asked(ctx, room, batch)})
        made += len(batch.briefs)
        await ctx.progress(made, total, f"{made:,} of {total:,} examples written")

    await each(batches, one, stop=ctx.cancelled)
    return made


def _judge(ctx: StepContext, room: Room, judge: Judge, lap: int) -> None:
    """In the order of the plan, whoever wrote them and when."""
    for batches in shares_of(ctx, room, lap).values():
        for batch in batches:
            if batch.name in ctx.done:
                judge.take(
                    batch.topic, batch.examples, batch.briefs, batch.want, ctx.done[batch.name]["rows"]
                )


def _missing(wants: Sequence[Want], found: Harvest, most: int) -> list[int]:
    """How many rows of each want to ask for again, at most `most` together."""
    counts = []
    for place, want in enumerate(wants):
        counts.append(min(most, max(0, want.count - found.kept_by_want.get(place, 0))))
        most -= counts[-1]
    return counts


# ---------------------------------------------------------------- batches


def _lap_of(share: str) -> int:
    return int(share.partition(".")[0].removeprefix("lap"))


def shares_of(ctx: StepContext, room: Room, lap: int) -> dict[str, list[Batch]]:
    """The lap's batches by share. A function of the script and the laps' counts alone."""
    if lap not in room.laps:
        room.laps[lap] = _laid_out(ctx, room, lap)
    shares: dict[str, list[Batch]] = room.laps[lap]
    return shares


def _laid_out(ctx: StepContext, room: Room, lap: int) -> dict[str, list[Batch]]:
    leaves = {leaf.id: leaf for leaf in topic_rules.leaves(ctx.workflow.topics)}
    wants = [Want(str(topic), int(count), str(seed)) for topic, count, seed in ctx.done[SCRIPT]["wants"]]
    laps = [[int(count) for count in ctx.done[f"lap{number}"]["counts"]] for number in range(lap + 1)]
    start = sum(len(_cut(wants, counts)) for counts in laps[:-1])
    before = [sum(counts[place] for counts in laps[:-1]) for place in range(len(wants))]
    shares: dict[str, list[Batch]] = {}
    for number, lines in enumerate(_cut(wants, laps[-1])):
        share = f"lap{lap}.share{number // SHARE_BATCHES}"
        topic = leaves.get(wants[lines[0][0]].topic)
        batch = _batch(f"{share}.batch{number}", start + number, room, topic, wants, lines, before)
        shares.setdefault(share, []).append(batch)
    return shares


def _cut(wants: Sequence[Want], counts: Sequence[int]) -> list[list[tuple[int, int]]]:
    """Batches as lists of (place in the plan, number within it): of one topic each, or of any seed rows."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for place, count in enumerate(counts):
        group = "" if wants[place].seed else f"{place}"
        groups.setdefault(group, []).extend((place, number) for number in range(count))
    return [
        lines[start : start + BATCH_ROWS]
        for lines in groups.values()
        for start in range(0, len(lines), BATCH_ROWS)
    ]


def _batch(
    name: str,
    number: int,
    room: Room,
    topic: Topic | None,
    wants: Sequence[Want],
    lines: Sequence[tuple[int, int]],
    before: Sequence[int],
) -> Batch:
    seeds = list(dict.fromkeys(wants[place].seed for place, _ in lines if wants[place].seed))
    examples = tuple(room.seeds[id] for id in seeds) or room.examples(topic, room.first + number)
    briefs = []
    for at, (place, line) in enumerate(lines):
        spoken = (room.first + number) * BATCH_ROWS + at
        brief = STYLES[room.strategy].brief(room, topic, spoken, room.offset + before[place] + line)
        if seeds:
            brief["seed"] = seeds.index(wants[place].seed)
        elif room.strategy == "message_variation" and examples:
            brief["seed"] = at % len(examples)
        briefs.append(brief)
    return Batch(name, number, topic, examples, tuple(briefs), tuple(place for place, _ in lines))


async def _asked(ctx: StepContext, room: Room, batch: Batch) -> list[Json]:
    """The model's rows as they came, at most as many as were asked for; none when it gave nothing usable, twice."""
    ask = asker(ctx, ctx.deps.settings.generator_model)
    try:
        answer = await ask.ask(
            prompt(room.strategy),
            question(room, batch.topic, batch.examples, batch.briefs, batch.number),
            synthetic_rows(mode=room.mode, strategy=room.strategy),
            temperature=0.9,
            read=lambda found: isinstance(found.get("rows"), list),
        )
    except ModelAnswerInvalid:
        return []
    return [row if isinstance(row, dict) else {} for row in answer["rows"][: len(batch.briefs)]]


# ---------------------------------------------------------------- the room


def _room(ctx: StepContext, manifest: Manifest, script: Json) -> Room:
    params = script["params"]
    strategy = str(params["strategy"])
    chained = strategy == "tool_chain"
    with_tools, catalogue, patterns = (
        chains_of(ctx.deps.datasets, manifest, ctx.workflow.id, params) if chained else ((), {}, ())
    )
    return Room(
        goal=ctx.workflow.goal,
        strategy=strategy,
        mode="sft" if params.get("generation_mode") == "sft" else "rft",
        personas=tuple(script["personas"]),
        first=int(script["first"]),
        offset=int(script["offset"]),
        base_scenario=str(params.get("base_scenario") or ""),
        aspects=aspects_of(params),
        pools={"": with_tools} if with_tools else _pools(ctx, manifest, script),
        seeds=_seeds(ctx, manifest, script),
        catalogue=catalogue,
        patterns=patterns,
    )


def _pools(ctx: StepContext, manifest: Manifest, script: Json) -> dict[str, tuple[Row, ...]]:
    """Rows of each topic that is asked for, and of the whole dataset for topics that have none yet."""
    datasets, found = ctx.deps.datasets, {}
    for topic in ("", *dict.fromkeys(str(want[0]) for want in script["wants"])):
        seed = zlib.crc32(f"{ctx.workflow.id}:{topic}".encode())
        found[topic] = datasets.sample(manifest, POOL_ROWS, seed=seed, topic=topic or None)
    return found


def chains_of(
    datasets: Datasets, manifest: Manifest, workflow_id: str, params: Json
) -> tuple[tuple[Row, ...], Mapping[str, Any], tuple[tuple[str, ...], ...]]:
    """(rows that bring tool definitions, these by name, the chains to ask for), from a fixed sample: the tool asks before money is
    spent, the operation when it writes. Raises `StepError` where no row brings tools, or none brings one that was named."""
    with_tools = _with_tools(datasets, manifest, workflow_id)
    catalogue = tool_chains.catalogue(row.input.tools for row in with_tools)
    return with_tools, catalogue, _patterns(params, catalogue, with_tools)


def _with_tools(datasets: Datasets, manifest: Manifest, workflow_id: str) -> tuple[Row, ...]:
    rows = datasets.sample(manifest, TOOL_ROWS, seed=zlib.crc32(workflow_id.encode()))
    found = tuple(row for row in rows if tool_chains.catalogue([row.input.tools]))
    if not found:
        raise StepError(
            "No row of this dataset brings tool definitions, so there are no tools to chain. Use another strategy.",
            code="no_tools",
            next="generate_synthetic_data",
        )
    return found[:POOL_ROWS]


def _patterns(
    params: Json, catalogue: Mapping[str, object], rows: Sequence[Row]
) -> tuple[tuple[str, ...], ...]:
    """The chains that were named; else those that the rows call; else neighbours of the list. Raises `StepError`."""
    named = [tuple(str(name) for name in chain) for chain in params.get("tool_patterns") or () if chain]
    unknown = sorted({name for chain in named for name in chain if name not in catalogue})
    if unknown:
        raise StepError(
            f"The rows define no tool {', '.join(unknown[:5])}; they define: {', '.join(list(catalogue)[:30])}.",
            code="unknown_tool",
            next="generate_synthetic_data",
        )
    called = tool_chains.patterns_in(row.messages for row in rows)
    known = [chain for chain in called if all(name in catalogue for name in chain)]
    names = list(catalogue)
    neighbours = [tuple(names[at : at + 2]) for at in range(max(1, len(names) - 1))]
    return tuple(named or known or neighbours)


def _seeds(ctx: StepContext, manifest: Manifest, script: Json) -> dict[str, Row]:
    """The rows that were named as seeds. Raises `StepError` when one is not a valid row."""
    found: dict[str, Row] = {}
    missing = []
    for _, _, seed in script["wants"]:
        row = _record(ctx, manifest, seed) if seed else None
        if row is not None and row.valid:
            found[seed] = row
        elif seed:
            missing.append(seed)
    if missing:
        which = (
            f"{len(missing)} of the seed rows are not valid rows"
            if found
            else "None of the seed rows is a valid row"
        )
        raise StepError(
            f"{which} of this dataset: {', '.join(missing[:5])}.",
            code="record_ids",
            next="get_dataset_records",
        )
    return found


def _record(ctx: StepContext, manifest: Manifest, record_id: str) -> Row | None:
    try:
        return ctx.deps.datasets.get_record(manifest, record_id)
    except NotFound:
        return None
