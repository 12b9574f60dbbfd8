"""Proposes a topic hierarchy: found in the rows, taken from a template or from people, or the present one changed by a sentence.

Nothing changes before somebody approves: the result is a `topics` draft. Rows are looked at here only as a sample spread over the
file; which row belongs where is `categorize`'s work. Where rows may not be sent to a model, names come from distinctive terms.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from storage.manifests import Manifest
from storage.records import Json, Proposal, Topic
from storage.rows import last_user_message
from tasks.clustering import Cluster, clusters
from tasks.models.offline import OfflineEmbedder
from tasks.models.port import Embedder, ModelAnswerInvalid, ModelRefused
from tasks.naming import names_of, terms_of
from tasks.prompts import prompt
from tasks.rules import topics as rules
from tasks.rules.boilerplate import without_closings
from tasks.rules.outline import parse_outline, to_outline
from tasks.rules.topic_changes import UnknownChange, apply_operations
from tasks.rules.topic_templates import templates
from tasks.rules.topics import Tree
from tasks.schemas import topic_changes, topic_hierarchy
from tasks.sorting.weights import fitted
from tasks.step import Draft, Step, StepContext, StepError, StepReport
from tasks.steps.common import asker, cut, has_model, may_send_rows, pinned_manifest

SAMPLE_ROWS = 3_000
EMBEDDED_ROWS = 1_000  # of them, where a server embeds and counts
TEXT_CHARACTERS = 2_000
EXAMPLE_CHARACTERS = 300
DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Found:
    """A tree and how it came about. `moved` maps leaves of the approved tree to where their rows go."""

    tree: Tree
    method: str
    changes: tuple[str, ...] = ()
    moved: dict[str, str | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `method` auto | template | manual, `template_name`, `max_depth` 1–5, `lens`, `instruction`, `hierarchy`."""
    manifest = await pinned_manifest(ctx)
    depth = min(DEEPEST, max(1, int(params.get("max_depth") or rules.MAX_DEPTH)))
    found = await _found(ctx, manifest, params, depth)
    limit = depth if found.method == "auto" else DEEPEST
    problems = rules.validate(found.tree, max_depth=limit)
    if problems:
        raise StepError(
            " ".join(problem.message for problem in problems),
            code="bad_hierarchy",
            next="apply_topic_hierarchy",
        )
    return _report(ctx, manifest, found)


async def _found(ctx: StepContext, manifest: Manifest, params: Json, depth: int) -> Found:
    method = str(params.get("method") or "auto")
    if params.get("instruction"):
        return await _changed(ctx, str(params["instruction"]))
    if params.get("hierarchy"):
        return _by_hand(ctx, params["hierarchy"])
    if method == "template":
        return _from_template(str(params.get("template_name") or ""))
    if method == "manual":
        raise StepError(
            "Write the topics as an indented outline, or as JSON.",
            code="no_hierarchy",
            next="apply_topic_hierarchy",
        )
    return await _from_rows(ctx, manifest, lens=str(params.get("lens") or ""), depth=depth)


def _report(ctx: StepContext, manifest: Manifest, found: Found) -> StepReport:
    counts = ctx.deps.datasets.topic_counts(manifest)
    leaves = rules.leaves(found.tree)
    loses = rules.lost_rows(ctx.workflow.topics, found.tree, counts, found.moved)
    payload: Json = {
        "hierarchy": rules.to_dicts(found.tree),
        "method": found.method,
        "changes": list(found.changes),
        "outline": to_outline(found.tree),
        "loses": loses,
        "moved": found.moved,
        "templates": sorted(templates()),
        "notes": list(found.notes),
    }
    facts: Json = {
        "method": found.method,
        "topic_count": len(leaves),
        "topics": [cut(leaf.id, 120) for leaf in leaves[:60]],
        "changes_made": list(found.changes)[:30],
        "loses": dict(list(loses.items())[:30]),
        "notes": list(found.notes),
    }
    title = f"{len(leaves)} topics" if len(leaves) != 1 else "1 topic"
    return StepReport(facts=facts, summary=f"{title} proposed", drafts=(Draft("topics", title, payload),))


# ---------------------------------------------------------------- from the rows


async def _from_rows(ctx: StepContext, manifest: Manifest, *, lens: str, depth: int) -> Found:
    seed = zlib.crc32(manifest.dataset_id.encode())
    await ctx.progress(0, 3, "reading a sample")
    sending = await may_send_rows(ctx)
    serves = sending and not isinstance(ctx.deps.embedder, OfflineEmbedder)
    count = EMBEDDED_ROWS if serves else SAMPLE_ROWS
    rows = await asyncio.to_thread(ctx.deps.datasets.sample, manifest, count, seed=seed)
    texts = [text for row in rows if (text := last_user_message(row)[:TEXT_CHARACTERS].strip())]
    if not texts:
        raise StepError("None of the valid rows has text to find topics in.", code="valid_rows")
    await ctx.progress(1, 3, f"comparing {len(texts)} rows")
    compared = without_closings(texts)
    embedder, features = await _features(ctx.deps.embedder if serves else OfflineEmbedder(), compared)
    groups = await asyncio.to_thread(clusters, features, compared, seed=seed, levels=depth)
    await ctx.progress(2, 3, "naming the groups")
    notes = [f"Found in {len(texts)} of {manifest.totals.valid} rows, compared by {embedder}."]
    tree = await _named(ctx, groups, texts, lens=lens, depth=depth) if sending else None
    if tree is None:
        notes.append("The names are the most distinctive words: " + _why_no_names(ctx, sending))
        tree = _by_terms(groups, compared, depth)
    return Found(tree, "auto", notes=tuple(notes))


async def _features(embedder: Embedder, texts: list[str]) -> tuple[str, Any]:
    """(what compared them, one row of numbers a text). A server without embeddings is no reason to stop."""
    if not isinstance(embedder, OfflineEmbedder):
        try:
            return embedder.name, np.asarray(await embedder.embed(texts), dtype=np.float32)
        except (ModelRefused, ModelAnswerInvalid):
            pass
    return OfflineEmbedder.name, await asyncio.to_thread(lambda: fitted(texts)[0].of(texts))


async def _named(
    ctx: StepContext, groups: tuple[Cluster, ...], texts: list[str], *, lens: str, depth: int
) -> Tree | None:
    """The model's names for the clusters; None when its answer makes no usable tree."""
    data: Json = {
        "goal": ctx.workflow.goal,
        "lens": lens,
        "max_depth": depth,
        "clusters": [
            {
                "cluster": number,
                "family": group.family,
                "size": len(group.members),
                "terms": list(group.terms),
                "examples": [cut(texts[member], EXAMPLE_CHARACTERS) for member in group.examples],
            }
            for number, group in enumerate(groups)
        ],
    }
    answer = ctx.done.get("named")
    if answer is None:
        try:
            answer = await asker(ctx, ctx.deps.settings.generator_model).ask(
                prompt("topic_hierarchy"), data, topic_hierarchy(), temperature=0.2
            )
        except (ModelAnswerInvalid, ModelRefused):
            return None
        await ctx.checkpoint("named", answer)
    return _tree_of(answer, groups, depth)


def _tree_of(answer: Json, groups: tuple[Cluster, ...], depth: int) -> Tree | None:
    items = []
    for topic in answer.get("topics") or ():
        path = [cut(str(name), 80) for name in topic.get("path") or () if str(name).strip()]
        own = [str(word) for word in topic.get("keywords") or () if str(word).strip()]
        theirs = [
            term
            for number in topic.get("clusters") or ()
            if 0 <= number < len(groups)
            for term in groups[number].terms
        ]
        items.append(
            (
                path[: depth - 1] + path[-1:] if len(path) > depth else path,
                str(topic.get("description", "")),
                own or theirs,
            )
        )
    tree = rules.from_paths(items)
    return tree if tree and not rules.validate(tree, max_depth=depth) else None


def _by_terms(groups: tuple[Cluster, ...], texts: list[str], depth: int) -> Tree:
    """Families are the upper level where there are any; each group is a leaf."""
    families: dict[int, list[int]] = {}
    for group in groups:
        if group.family >= 0 and depth > 1:
            families.setdefault(group.family, []).extend(group.members)
    said = [[texts[member] for member in members] for members in families.values()]
    rest = [texts[member] for group in groups if group.family not in families for member in group.members]
    family_terms = terms_of([*said, rest])[: len(said)]
    named = [*zip(family_terms, said, strict=True)]
    named += [(group.terms, [texts[member] for member in group.members]) for group in groups]
    names = [name or f"Group {number}" for number, name in enumerate(names_of(named), start=1)]
    above = dict(zip(families, names, strict=False))
    leaves = names[len(families) :]
    return rules.from_paths(
        ([above[group.family], name] if group.family in above else [name], "", group.terms)
        for group, name in zip(groups, leaves, strict=True)
    )


def _why_no_names(ctx: StepContext, sending: bool) -> str:
    if sending:
        return "the model's own names could not be used."
    if has_model(ctx):
        return f"rows may not be sent to {ctx.deps.settings.provider} yet."
    return "no model is configured."


# ---------------------------------------------------------------- from people


def _by_hand(ctx: StepContext, hierarchy: object) -> Found:
    try:
        tree = parse_outline(hierarchy) if isinstance(hierarchy, str) else rules.from_dicts(hierarchy)
    except ValueError as error:
        raise StepError(str(error), code="bad_hierarchy", next="apply_topic_hierarchy") from error
    return Found(rules.carry_over(ctx.workflow.topics, tree), "manual")


def _from_template(name: str) -> Found:
    wanted = rules.slug(name)
    for title, tree in templates().items():
        if rules.slug(title) == wanted:
            return Found(tree, "template", notes=(f"The template {title}.",))
    offered = ", ".join(sorted(templates()))
    raise StepError(
        f"There is no template {name!r}; there are: {offered}.",
        code="unknown_template",
        next="generate_topics",
    )


async def _changed(ctx: StepContext, instruction: str) -> Found:
    """The open proposal's tree, or the approved one, changed as somebody asked in words."""
    if not has_model(ctx):
        raise StepError(
            "Changing topics in words needs a model; edit the outline instead.",
            code="no_model",
            next="apply_topic_hierarchy",
        )
    base, moved = await _base(ctx)
    if not base:
        raise StepError("There are no topics to change yet.", code="topics", next="generate_topics")
    said = ctx.done.get("changes")
    if said is None:
        said = await _asked_for_changes(ctx, base, instruction)
        await ctx.checkpoint("changes", said)
    try:
        tree, steps, done = apply_operations(base, said.get("operations") or ())
    except UnknownChange as error:
        raise StepError(
            f"I could not apply that: {error}", code="unknown_change", next="adjust_topics"
        ) from error
    if not done:
        raise StepError(
            str(said.get("summary"))
            or "I could not tell which topics to change; name them as they are called.",
            code="no_change",
            next="adjust_topics",
        )
    return Found(rules.carry_over(base, tree), "changed", changes=done, moved=_composed(moved, steps))


async def _asked_for_changes(ctx: StepContext, base: Tree, instruction: str) -> Json:
    """The model's operations; it hears once what could not be applied."""
    answer: Json = {}
    asked = instruction
    for _ in range(2):
        data: Json = {"instruction": asked, "topics": list(_listed(base, []))}
        answer = await asker(ctx, ctx.deps.settings.generator_model).ask(
            prompt("topic_changes"), data, topic_changes(), temperature=0.0
        )
        try:
            apply_operations(base, answer.get("operations") or ())
        except UnknownChange as error:
            asked = f"{instruction}\n\n(The last answer could not be applied: {error})"
            continue
        return answer
    return answer


async def _base(ctx: StepContext) -> tuple[Tree, dict[str, str | None]]:
    """What an instruction changes, and where the approved leaves' rows have gone in it so far."""
    index = f"proposal:workflow:{ctx.workflow.id}"
    for proposal in reversed(await ctx.deps.state.find(ctx.workflow.tenant, Proposal, index)):
        if proposal.kind == "topics" and proposal.status == "open":
            return rules.from_dicts(proposal.payload["hierarchy"]), dict(proposal.payload.get("moved") or {})
    return ctx.workflow.topics, {}


def _composed(first: dict[str, str | None], then: dict[str, str | None]) -> dict[str, str | None]:
    later = {leaf: then.get(now, now) if now is not None else None for leaf, now in first.items()}
    return {**then, **later}


def _listed(tree: tuple[Topic, ...], above: list[str]) -> list[Json]:
    lines: list[Json] = []
    for topic in tree:
        path = [*above, topic.name]
        lines.append({"id": topic.id, "name": topic.name, "path": path})
        lines += _listed(topic.children, path)
    return lines


PROPOSE_TOPICS = Step(
    name="propose_topics",
    title="Finding topics",
    body=run,
    step="topics_config",
    finishes=False,
    needs=("valid_rows",),
    timeout_seconds=1800,
)
