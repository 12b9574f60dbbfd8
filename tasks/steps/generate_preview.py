"""Writes a few examples to look at, other ones with every call. Nothing is added to the dataset."""

from __future__ import annotations

import zlib

from storage.records import Json
from storage.rows import Row, conversation_text, last_user_message
from tasks.rules import topics as topic_rules
from tasks.rules.rounds import Want
from tasks.step import Step, StepContext, StepReport
from tasks.steps.common import cut, require_sending
from tasks.steps.generating import FAN, harvest
from tasks.steps.planning import base_manifest, strategy_of, wants_of
from tasks.steps.variety import variety

FEWEST, MOST = 3, 5
SHOWN_CHARACTERS = 600
FIRST_ROUND = 1_000  # rounds of generation are numbered below it, so no preview shows what a round will write


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: as `generate`, and `count` 3 to 5."""
    await require_sending(ctx)
    manifest = await base_manifest(ctx)
    count = min(MOST, max(FEWEST, int(params.get("count") or FEWEST)))
    params = {**params, "strategy": strategy_of(manifest.totals, params), "until_kept": False}
    wants = few(wants_of(ctx.workflow, manifest.totals, params), count)
    chance = zlib.crc32(ctx.task.id.encode())  # another call is another task
    found, stopped = await harvest(
        ctx, manifest, params, wants, round=FIRST_ROUND + chance % 9_000, offset=chance % 10_007
    )
    names = {leaf.id: leaf.name for leaf in topic_rules.leaves(ctx.workflow.topics)}
    facts: Json = {
        "workflow_id": ctx.workflow.id,
        "strategy": params["strategy"],
        "generation_mode": str(params.get("generation_mode") or "rft"),
        "rows": [_shown(row, names) for row in found.rows],
        "rejected": found.rejected,
        "rejected_samples": found.samples[:3],
        "diversity": await variety(ctx, manifest, found.rows),
    }
    return StepReport(facts=facts, view="preview", partial=stopped)


def few(wants: tuple[Want, ...], count: int) -> list[Want]:
    """`count` rows over the plan's topics or seed rows in turn, those with none left out."""
    shares = [count // len(wants) + (place < count % len(wants)) for place in range(len(wants))]
    return [Want(want.topic, share, want.seed) for want, share in zip(wants, shares, strict=True) if share]


def _shown(row: Row, names: dict[str, str]) -> Json:
    answer = conversation_text(row.output.messages)
    return {
        "text": cut(last_user_message(row), SHOWN_CHARACTERS),
        **({"answer": cut(answer, SHOWN_CHARACTERS)} if answer else {}),
        "topic": names.get(row.topic or "", ""),
        "persona": row.provenance["persona"],
        "seed": row.provenance["seed"],
        **{
            name: row.provenance[name]
            for name in ("difficulty", "keyword", "aspects", "tools")
            if name in row.provenance
        },
    }


GENERATE_PREVIEW = Step(
    name="generate_preview",
    title="A preview of examples",
    body=run,
    needs=("goal", "topics_or_records"),
    timeout_seconds=900,
    fan=FAN,
)
