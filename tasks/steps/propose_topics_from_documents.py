"""Proposes a topic hierarchy from the thread's documents: their headings, or a model's names for their sections with the goal in view.

As with every tree nothing changes before somebody approves. Rows are not looked at; which row belongs where is `categorize`'s work.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Json
from tasks.models.port import ModelAnswerInvalid, ModelRefused
from tasks.prompts import prompt
from tasks.rules import grounding, outline
from tasks.rules import knowledge as knowledge_rules
from tasks.rules import topics as rules
from tasks.rules.topic_templates import templates
from tasks.rules.topics import Tree
from tasks.schemas import topic_hierarchy
from tasks.step import Draft, Step, StepContext, StepError, StepReport
from tasks.steps.common import asker, cut, may_send_rows
from tasks.steps.shared_documents import Passage, passages_of

MOST_SECTIONS = 60  # shown to a model, and in a tree made of headings
MOST_CHILDREN = 12
KEYWORDS = 8
EXAMPLE_CHARACTERS = 300
DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Section:
    """Passages under the same headings. `path` is shortened to the depth that is wanted."""

    path: tuple[str, ...]
    passages: tuple[Passage, ...]
    terms: tuple[str, ...]


async def run(ctx: StepContext, params: Json) -> StepReport:
    """params: `documents` ids (none: all of the thread), `max_depth` 1–5, `lens`."""
    depth = min(DEEPEST, max(1, int(params.get("max_depth") or rules.MAX_DEPTH)))
    passages = await passages_of(ctx, [str(id) for id in params.get("documents") or ()])
    sections = await asyncio.to_thread(sections_of, passages, depth)
    if len(sections) < 2:
        raise StepError(
            "These documents have no headings to make topics of. I can look at the rows instead.",
            code="no_headings",
            next="generate_topics",
        )
    notes = [f"Found in {len(passages)} passages of {len({one.document.id for one in passages})} documents."]
    tree = await _named(ctx, sections, depth, str(params.get("lens") or ""))
    if tree is None:
        notes.append("The names are the documents' own headings.")
        tree = tree_of(sections, depth)
    problems = rules.validate(tree, max_depth=depth)
    if problems:
        words = " ".join(problem.message for problem in problems)
        raise StepError(words, code="bad_hierarchy", next="generate_topics")
    return await _report(ctx, tree, notes)


# ---------------------------------------------------------------- sections


def sections_of(passages: Sequence[Passage], depth: int) -> list[Section]:
    """The sections with most text, in the order of the documents; a title over the whole document is no section."""
    grouped: dict[tuple[str, ...], list[Passage]] = {}
    for one in passages:
        grouped.setdefault(_path(one, passages, depth), []).append(one)
    grouped.pop((), None)
    if len(grouped) > MOST_SECTIONS:
        grouped = _coarser(grouped)
    counts = {path: _words(group) for path, group in grouped.items()}
    seen_in = Counter(word for words in counts.values() for word in words)
    return [
        Section(path, tuple(group), _terms(path[-1], counts[path], seen_in, len(counts)))
        for path, group in grouped.items()
    ]


def _path(one: Passage, passages: Sequence[Passage], depth: int) -> tuple[str, ...]:
    """The headings below the title. Several documents without headings of their own are told apart by their names."""
    path = one.chunk.path
    several = one.document.id != passages[0].document.id or one.document.id != passages[-1].document.id
    if not path:
        return (_title(one.document.name),) if several else ()
    level = knowledge_rules.branching_level(
        [other.chunk.path for other in passages if other.document.id == one.document.id]
    )
    if level == 0 and several:
        return (_title(one.document.name),)
    return path[max(0, level - 1) :][:depth]


def _coarser(grouped: dict[tuple[str, ...], list[Passage]]) -> dict[tuple[str, ...], list[Passage]]:
    """Too many sections for a tree: those of one parent come together, then the longest are kept."""
    made: dict[tuple[str, ...], list[Passage]] = {}
    for path, group in grouped.items():
        made.setdefault(path[:-1] or path, []).extend(group)
    longest = sorted(made, key=lambda path: -sum(one.chunk.tokens for one in made[path]))[:MOST_SECTIONS]
    return {path: made[path] for path in made if path in set(longest)}


def _title(name: str) -> str:
    plain = name.rpartition(".")[0] or name
    return cut(" ".join(plain.replace("_", " ").replace("-", " ").split()), 80)


def _words(group: Sequence[Passage]) -> Counter[str]:
    return Counter(word for one in group for word in grounding.content_words(one.chunk.text))


def _terms(name: str, words: Counter[str], seen_in: Counter[str], sections: int) -> tuple[str, ...]:
    """The words of its heading, and those that this section has and the others have not (tf–idf)."""
    weights = {
        word: count * math.log((1 + sections) / seen_in[word])
        for word, count in words.items()
        if not word.isdigit()
    }
    best = sorted(weights, key=lambda word: (-weights[word], word))
    distinct = [word for word in best if weights[word] > 0]
    return tuple(dict.fromkeys([*grounding.content_words(name), *distinct]))[:KEYWORDS]


# ---------------------------------------------------------------- the tree


def tree_of(sections: Sequence[Section], depth: int) -> Tree:
    """The headings as topics. More than twelve beside each other are too many to choose from: the shortest are left to `Other`."""
    kept = _few_beside_each_other(sections)
    return rules.from_paths(
        (list(path), f"What the documents say under “{cut(section.path[-1], 80)}”.", section.terms)
        for path, section in ((_clean(one.path, depth), one) for one in kept)
    )


def _few_beside_each_other(sections: Sequence[Section]) -> list[Section]:
    beside: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {}
    for section in sections:
        for level in range(1, len(section.path) + 1):
            names = beside.setdefault(section.path[: level - 1], {})
            size = sum(one.chunk.tokens for one in section.passages)
            names[section.path[:level]] = names.get(section.path[:level], 0) + size
    kept = {
        path
        for names in beside.values()
        for path in sorted(names, key=lambda path: -names[path])[:MOST_CHILDREN]
    }
    return [one for one in sections if all(one.path[:level] in kept for level in range(1, len(one.path) + 1))]


def _clean(path: Sequence[str], depth: int) -> list[str]:
    return [cut(name.replace("/", " "), 80) for name in path[:depth]]


async def _named(ctx: StepContext, sections: Sequence[Section], depth: int, lens: str) -> Tree | None:
    """The model's names for the sections; None where none may be asked, or where its answer makes no usable tree."""
    if not await may_send_rows(ctx):
        return None
    data: Json = {
        "goal": ctx.workflow.goal,
        "lens": lens,
        "max_depth": depth,
        "clusters": [
            {
                "cluster": number,
                "size": len(one.passages),
                "terms": list(one.terms),
                "examples": [
                    f"{cut(' › '.join(one.path), 120)}: {cut(one.passages[0].chunk.text, EXAMPLE_CHARACTERS)}"
                ],
            }
            for number, one in enumerate(sections)
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
    tree = rules.from_paths(_read(one, sections, depth) for one in answer.get("topics") or ())
    return tree if tree and not rules.validate(tree, max_depth=depth) else None


def _read(topic: Json, sections: Sequence[Section], depth: int) -> tuple[list[str], str, list[str]]:
    path = _clean([str(name) for name in topic.get("path") or () if str(name).strip()], depth)
    own = [str(word) for word in topic.get("keywords") or () if str(word).strip()]
    numbers = [number for number in topic.get("clusters") or () if 0 <= number < len(sections)]
    return path, str(topic.get("description", "")), own or [t for n in numbers for t in sections[n].terms]


async def _report(ctx: StepContext, tree: Tree, notes: list[str]) -> StepReport:
    leaves = rules.leaves(tree)
    manifest = await asyncio.to_thread(_manifest, ctx)
    counts = ctx.deps.datasets.topic_counts(manifest) if manifest else {}
    loses = rules.lost_rows(ctx.workflow.topics, tree, counts, {})
    payload: Json = {
        "hierarchy": rules.to_dicts(tree),
        "method": "documents",
        "changes": [],
        "outline": outline.to_outline(tree),
        "loses": loses,
        "moved": {},
        "templates": sorted(templates()),
        "notes": notes,
    }
    facts: Json = {
        "method": "documents",
        "topic_count": len(leaves),
        "topics": [cut(leaf.id, 120) for leaf in leaves[:60]],
        "notes": notes,
    }
    title = f"{len(leaves)} topics" if len(leaves) != 1 else "1 topic"
    return StepReport(facts=facts, summary=f"{title} proposed", drafts=(Draft("topics", title, payload),))


def _manifest(ctx: StepContext) -> Manifest | None:
    workflow = ctx.workflow
    try:
        return ctx.deps.datasets.manifest(workflow.tenant, workflow.dataset_id, workflow.dataset_version)
    except (NotFound, ValueError):
        return None


PROPOSE_TOPICS_FROM_DOCUMENTS = Step(
    name="propose_topics_from_documents",
    title="Finding topics in the documents",
    body=run,
    step="topics_config",
    finishes=False,
    timeout_seconds=1800,
)
