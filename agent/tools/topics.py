"""Tools for topics: propose a tree, change it, set it by hand, sort the rows into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agent.tooling import ToolContext, ToolResult, failed, tool
from agent.tools.acting import head, open_proposal, propose, start, unknown
from storage.records import Json, Topic
from tasks.asking import Asker
from tasks.prompts import prompt
from tasks.rules import outline, topics
from tasks.rules.topic_changes import UnknownChange, apply_operations
from tasks.rules.topic_templates import templates
from tasks.schemas import topic_changes
from tasks.step import Draft


@tool(title="Proposing topics", needs=("valid_rows",))
async def generate_topics(
    ctx: ToolContext,
    *,
    method: Literal["auto", "template", "manual", "documents"] = "auto",
    max_depth: int = 3,
    template_name: str = "",
    lens: str = "",
) -> ToolResult:
    """Propose a topic tree, from the rows or from a template. Runs on a worker; a card with the tree follows.

    Use it for "organise by customer intent instead" too, with that lens. For a change of the tree use adjust_topics.

    Parameters:
        method: auto looks at the rows; template takes a ready-made tree; documents takes the headings of the thread's
            documents; manual is what apply_topic_hierarchy does.
        max_depth: Levels of the tree, 1 to 5.
        template_name: For method template: customer_support, ecommerce, coding_assistant, finance, healthcare_intake or
            tool_using_agent.
        lens: What to organise by, such as "customer intent"; empty lets the goal decide.
    """
    if method == "manual":
        return failed("Ask the person for the topics as an indented outline.", next="apply_topic_hierarchy")
    if method == "template" and template_name not in templates():
        return unknown("template", [template_name], list(templates()))
    if method == "documents":
        params = {"max_depth": min(5, max(1, max_depth)), "lens": lens}
        return await start(ctx, "propose_topics_from_documents", params)
    params = {
        "method": method,
        "template_name": template_name,
        "max_depth": min(5, max(1, max_depth)),
        "lens": lens,
    }
    return await start(ctx, "propose_topics", params)


@tool(title="Setting topics by hand", needs=("rows_or_goal",))
async def apply_topic_hierarchy(ctx: ToolContext, *, hierarchy: list[dict[str, Any]] | str) -> ToolResult:
    """Propose exactly the tree that the person wrote. A card asks for approval.

    Parameters:
        hierarchy: The tree as [{name, description, keywords, children}], or as an indented outline, one topic a line.
    """
    try:
        tree = (
            outline.parse_outline(hierarchy) if isinstance(hierarchy, str) else topics.from_dicts(hierarchy)
        )
    except ValueError as error:
        return failed(f"{error} Call it again with this changed.")
    return await _propose_tree(ctx, topics.carry_over(ctx.flow.topics, tree), method="manual", changes=())


@tool(title="Changing the topics", needs=("rows_or_goal",))
async def adjust_topics(ctx: ToolContext, *, instruction: str) -> ToolResult:
    """Propose a change of the topic tree that a person asked for in words: add, rename, remove, merge or move topics.

    Changes the tree that waits for approval, if one does, else the approved one.

    Parameters:
        instruction: The change, in the person's words, such as "add Complaints under General".
    """
    waiting = await open_proposal(ctx, "topics")
    tree = topics.from_dicts(waiting.payload["hierarchy"]) if waiting else ctx.flow.topics
    if not tree:
        return failed("There is no topic tree to change yet.", next="generate_topics")
    try:
        changed, moved, done = apply_operations(tree, await _operations(ctx, tree, instruction))
    except UnknownChange as error:
        return failed(f"{error} Call it again with a clearer instruction.")
    if not done:
        return failed("That changes nothing in the tree. Ask the person what they mean.")
    earlier = dict(waiting.payload.get("moved") or {}) if waiting else {}
    together = {**moved, **{leaf: moved.get(now, now) for leaf, now in earlier.items()}}
    return await _propose_tree(ctx, changed, method="edited", changes=done, moved=together)


async def _operations(ctx: ToolContext, tree: Sequence[Topic], instruction: str) -> list[dict[str, str]]:
    """What the instruction means, as operations: a model reads it, seeing topics and no rows."""
    asker = Asker(ctx.deps.chat, ctx.deps.settings.agent_model, ctx.meter)
    known = [
        {"id": topic.id, "name": topic.name, "path": _path(tree, topic.id)} for topic in topics.walk(tree)
    ]
    answer = await asker.ask(
        prompt("topic_changes"), {"instruction": instruction, "topics": known}, topic_changes()
    )
    return list(answer.get("operations") or [])


def _path(tree: Sequence[Topic], id: str) -> list[str]:
    names = {topic.id: topic.name for topic in topics.walk(tree)}
    parts = id.split("/")
    return [names.get("/".join(parts[: place + 1]), parts[place]) for place in range(len(parts))]


async def _propose_tree(
    ctx: ToolContext,
    tree: topics.Tree,
    *,
    method: str,
    changes: Sequence[str],
    moved: Mapping[str, str | None] | None = None,
) -> ToolResult:
    problems = topics.validate(tree, max_depth=5)
    if problems:
        words = " ".join(problem.message for problem in problems[:5])
        return failed(f"That tree cannot be used: {words} Call it again with this changed.")
    loses = await _loses(ctx, tree, moved)
    leaves = topics.leaves(tree)
    payload: Json = {
        "hierarchy": topics.to_dicts(tree),
        "method": method,
        "changes": list(changes),
        "outline": outline.to_outline(tree),
        "loses": loses,
        "templates": list(templates()),
        "moved": dict(moved or {}),
    }
    waiting = await open_proposal(ctx, "topics")
    if waiting and "bootstrap" in waiting.payload:  # what follows for a dataset from the goal stays as it was
        payload["bootstrap"] = waiting.payload["bootstrap"]
    draft = Draft("topics", f"{len(leaves)} topics", payload)
    return await propose(
        ctx, draft, changes_made=list(changes), topics=[leaf.id for leaf in leaves], rows_losing_topic=loses
    )


async def _loses(
    ctx: ToolContext, tree: topics.Tree, moved: Mapping[str, str | None] | None
) -> dict[str, int]:
    if not ctx.flow.topics or not ctx.flow.dataset_version:
        return {}
    counts = {topic: found.rows for topic, found in (await head(ctx)).totals.topics.items()}
    return topics.lost_rows(ctx.flow.topics, tree, counts, moved)


@tool(title="Sorting the rows into topics", needs=("valid_rows", "topics"))
async def categorize_records(
    ctx: ToolContext,
    *,
    confidence_threshold: float = 0.7,
    mode: Literal["unlabeled_only", "all"] = "unlabeled_only",
) -> ToolResult:
    """Give every row a topic and a confidence. Runs on a worker; a card shows the result. Happens by itself after approval.

    Parameters:
        confidence_threshold: Below it a row is offered for review, 0 to 1.
        mode: Only rows without a topic, or all of them again.
    """
    if not 0 <= confidence_threshold <= 1:
        return failed("confidence_threshold lies between 0 and 1. Call it again with this changed.")
    return await start(ctx, "categorize", {"confidence_threshold": confidence_threshold, "mode": mode})


TOPIC_TOOLS = (generate_topics, apply_topic_hierarchy, adjust_topics, categorize_records)
