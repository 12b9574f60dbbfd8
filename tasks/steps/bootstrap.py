"""A dataset from nothing but a goal, in two proposals: topics that follow from it, then rows for each of them.

Started again once the topics are approved (`effects.py`), it proposes the generation; the rows themselves are `generate`'s. Nothing changes
before somebody approves, and every row that comes of it is marked as generated.
"""

from __future__ import annotations

from storage.manifests import Summary
from storage.records import Json
from tasks.models.port import ModelAnswerInvalid, ModelRefused
from tasks.prompts import prompt
from tasks.rules import generation as rules
from tasks.rules import topics as topic_rules
from tasks.rules.outline import to_outline
from tasks.rules.topics import Tree
from tasks.rules.voices import voices
from tasks.schemas import goal_topics
from tasks.step import Draft, Step, StepContext, StepError, StepReport
from tasks.steps import planning
from tasks.steps.common import asker, cut, require_sending

TOPICS, COUNT_PER_TOPIC = 6, 20
DEEPEST = 2
NOTE = "Thought of from the goal alone; nobody has asked these questions yet."


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `topic_count` 2–20, `count_per_topic`, `generation_mode`, for the generation that is proposed next."""
    if ctx.workflow.valid_rows:
        raise StepError(
            "There are rows by now; generate more of them.", code="has_rows", next="generate_synthetic_data"
        )
    if ctx.workflow.topics:
        return _rows(ctx, params)
    await require_sending(ctx)
    return await _topics(ctx, params)


async def _topics(ctx: StepContext, params: Json) -> StepReport:
    """Topics and voices that the model thinks of. Raises `StepError` when it can think of none."""
    count = int(params.get("topic_count") or TOPICS)
    answer = ctx.done.get("thought") or await _thought(ctx, count)
    tree = _tree(answer, count)
    voiced = voices(answer.get("personas") or [])
    leaves = topic_rules.leaves(tree)
    following: Json = {
        "count_per_topic": int(params.get("count_per_topic") or COUNT_PER_TOPIC),
        "generation_mode": str(params.get("generation_mode") or "rft"),
        "personas": list(voiced),
    }
    payload: Json = {
        "hierarchy": topic_rules.to_dicts(tree),
        "method": "goal",
        "changes": [],
        "outline": to_outline(tree),
        "loses": {},
        "moved": {},
        "notes": [NOTE],
        "personas": list(voiced)[: planning.SHOWN_PERSONAS],
        "bootstrap": following,
    }
    facts: Json = {
        "method": "goal",
        "topic_count": len(leaves),
        "topics": [cut(leaf.id, 120) for leaf in leaves[:60]],
        "personas": list(voiced),
        "notes": [NOTE],
    }
    title = f"{len(leaves)} topics from the goal"
    return StepReport(facts=facts, summary=f"{title} proposed", drafts=(Draft("topics", title, payload),))


def _rows(ctx: StepContext, params: Json) -> StepReport:
    """The generation for the topics that were approved, as a proposal with its cost."""
    request: Json = {
        "strategy": "topic_description",
        "generation_mode": str(params.get("generation_mode") or "rft"),
        "target_topics": [leaf.id for leaf in topic_rules.leaves(ctx.workflow.topics)],
        "count_per_topic": int(params.get("count_per_topic") or COUNT_PER_TOPIC),
        "personas": list(voices(params.get("personas") or [])),
    }
    totals = Summary()
    wants = planning.wants_of(ctx.workflow, totals, request)
    personas = request["personas"] or rules.PERSONAS
    draft, facts = planning.proposal(
        ctx.deps.settings, ctx.workflow, totals, request, wants, personas=personas
    )
    return StepReport(facts=facts, summary=f"{facts['total']:,} rows proposed", drafts=(draft,))


async def _thought(ctx: StepContext, count: int) -> Json:
    data: Json = {"goal": ctx.workflow.goal, "count": count, "personas": len(rules.PERSONAS)}
    ask = asker(ctx, ctx.deps.settings.generator_model)
    try:
        answer = await ask.ask(
            prompt("goal_topics"),
            data,
            goal_topics(),
            temperature=0.4,
            read=lambda found: bool(found.get("topics")),
        )
    except (ModelAnswerInvalid, ModelRefused) as error:
        message = "The model named no topics for this goal. Say the goal in more words, or write the topics yourself."
        raise StepError(message, code="no_topics", next="apply_topic_hierarchy") from error
    await ctx.checkpoint("thought", answer)
    return answer


def _tree(answer: Json, count: int) -> Tree:
    """The model's topics as a tree. Raises `StepError` when they make none."""
    items = []
    for topic in answer["topics"][:count]:
        path = [cut(str(name), 80) for name in topic.get("path") or () if str(name).strip()]
        words = [cut(str(word), 60) for word in topic.get("keywords") or () if str(word).strip()]
        if path:
            items.append(
                (
                    path[:1] + path[-1:] if len(path) > DEEPEST else path,
                    str(topic.get("description", "")),
                    words,
                )
            )
    tree = topic_rules.from_paths(items)
    problems = topic_rules.validate(tree, max_depth=DEEPEST) if tree else ()
    if not tree or problems:
        why = " ".join(problem.message for problem in problems) or "the model named no topics."
        raise StepError(
            f"No usable topics came of the goal: {why}", code="no_topics", next="apply_topic_hierarchy"
        )
    return tree


BOOTSTRAP = Step(
    name="bootstrap",
    title="Planning a dataset from the goal",
    body=run,
    needs=("goal",),
    finishes=False,
    timeout_seconds=900,
)
