"""Writes a few examples to look at. Nothing is added to the dataset."""

from __future__ import annotations

from storage.records import Json
from storage.rows import last_user_message
from tasks.rules import topics as topic_rules
from tasks.step import Step, StepContext, StepReport
from tasks.steps.common import cut, pinned_manifest, require_sending
from tasks.steps.generate import planned
from tasks.steps.generating import harvest

FEWEST, MOST = 3, 5
SHOWN_CHARACTERS = 600


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: as `generate`, and `count` 3 to 5."""
    await require_sending(ctx)
    manifest = await pinned_manifest(ctx)
    count = min(MOST, max(FEWEST, int(params.get("count") or FEWEST)))
    plan = spread([topic for topic, _ in planned(ctx, manifest, params)], count)
    found, stopped = await harvest(ctx, manifest, params, plan)
    names = {leaf.id: leaf.name for leaf in topic_rules.leaves(ctx.workflow.topics)}
    rows = [
        {
            "text": cut(last_user_message(row), SHOWN_CHARACTERS),
            "topic": names.get(row.topic or "", ""),
            "persona": row.provenance["persona"],
            "seed": row.provenance["seed"],
        }
        for row in found.rows
    ]
    strategy = str(params.get("strategy") or "few_shot")
    facts: Json = {
        "workflow_id": ctx.workflow.id,
        "strategy": strategy,
        "rows": rows,
        "rejected": found.rejected,
    }
    return StepReport(facts=facts, view="preview", partial=stopped)


def spread(topics: list[str], count: int) -> list[tuple[str, int]]:
    """`count` rows over the topics in turn: (topic, rows), those with none left out."""
    shares = [count // len(topics) + (place < count % len(topics)) for place in range(len(topics))]
    return [(topic, share) for topic, share in zip(topics, shares, strict=True) if share]


GENERATE_PREVIEW = Step(
    name="generate_preview",
    title="A preview of examples",
    body=run,
    needs=("valid_rows", "goal", "topics_or_records"),
    timeout_seconds=900,
)
