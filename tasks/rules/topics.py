"""The tree of topics: reading it, checking it, and what a confidence means.

Numbers of domain.md §3. Writing it as an outline is in `outline.py`, changing it in `topic_changes.py`, the
ready-made ones in `topic_templates.py`. Which row belongs to which topic is not decided here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from storage.records import Topic
from tasks.rules.problems import Problem

Band = Literal["high", "medium", "needs_review"]
Tree = tuple[Topic, ...]

MAX_DEPTH = 3
MAX_CHILDREN = 12
DEEPEST = 50  # nobody draws such a tree; beyond it a document is an attack on the stack
SLUG = re.compile(r"[^\W_]+(?:_[^\W_]+)*")


def leaves(tree: Sequence[Topic]) -> Tree:
    """The topics without children, in the order of the tree: the only ones that rows may have."""
    return tuple(topic for topic in walk(tree) if not topic.children)


def walk(tree: Sequence[Topic]) -> Iterator[Topic]:
    """Every topic, each before its children."""
    for topic in tree:
        yield topic
        yield from walk(topic.children)


def depth(tree: Sequence[Topic]) -> int:
    return 1 + max(depth(topic.children) for topic in tree) if tree else 0


def validate(
    tree: Sequence[Topic], *, max_depth: int = MAX_DEPTH, max_children: int = MAX_CHILDREN
) -> tuple[Problem, ...]:
    """Everything that keeps the tree from being used; empty when it may be."""
    if not tree:
        return (Problem("empty_hierarchy", "There is no topic yet; add at least one."),)
    problems = list(_node_problems("", tree))
    if depth(tree) > max_depth:
        problems.append(
            Problem("too_deep", f"The tree has {depth(tree)} levels; at most {max_depth} are allowed.")
        )
    sizes = [("the top level", len(tree)), *((topic.id, len(topic.children)) for topic in walk(tree))]
    problems += [
        Problem("too_many_children", f"{place} has {size} topics; at most {max_children} fit, so group some.")
        for place, size in sizes
        if size > max_children
    ]
    ids = [topic.id for topic in walk(tree)]
    problems += [Problem("duplicate_id", f"{twice} occurs twice.") for twice in sorted(_repeated(ids))]
    return tuple(problems)


def slug(name: str) -> str:
    """A name as one segment of an id: lower case, accents dropped, words joined by `_`; "topic" when nothing
    is left."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)
    )
    words = re.findall(r"[^\W_]+", plain.casefold())
    return "_".join(words)[:60].strip("_") or "topic"


def band(confidence: float) -> Band:
    if confidence >= 0.8:
        return "high"
    return "medium" if confidence >= 0.5 else "needs_review"


def from_dicts(hierarchy: object) -> Tree:
    """The tree in the JSON shape `[{id, name, description, keywords, children}]`; only `name` is needed.

    Missing ids come from the names. Raises ValueError, in words for people, for anything of another shape.
    """
    return with_ids(_branches(hierarchy, 1))


def to_dicts(tree: Sequence[Topic]) -> list[dict[str, Any]]:
    return [
        {
            "id": topic.id,
            "name": topic.name,
            "description": topic.description,
            "keywords": list(topic.keywords),
            "children": to_dicts(topic.children),
        }
        for topic in tree
    ]


def from_paths(items: Iterable[tuple[Sequence[str], str, Sequence[str]]]) -> Tree:
    """The tree of (names from root to leaf, description, keywords); paths that begin alike share their
    branch."""
    root = Branch("")
    for names, description, keywords in items:
        node = root
        for name in [" ".join(name.split()) for name in names if name.strip()]:
            node = node.child(name)
        if node is not root:
            node.description, node.keywords = description.strip(), tuple(keywords)
    return with_ids(root.children)


@dataclass(slots=True, eq=False)
class Branch:
    """A topic while a tree is being built or changed. `segment` is its part of the id, "" to take it from the
    name.

    `origins` are the leaves whose rows it carries; only `topic_changes.py` uses them.
    """

    name: str
    description: str = ""
    keywords: tuple[str, ...] = ()
    segment: str = ""
    children: list[Branch] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)

    def child(self, name: str) -> Branch:
        """The child of that name, made when there is none."""
        wanted = name.casefold()
        for branch in self.children:
            if branch.name.casefold() == wanted:
                return branch
        self.children.append(Branch(name))
        return self.children[-1]


def with_ids(branches: Sequence[Branch], parent: str = "") -> Tree:
    """Frozen topics with ids made of segments; siblings that would share an id are numbered."""
    taken: set[str] = set()
    topics = []
    for branch in branches:
        wanted = f"{parent}/{branch.segment or slug(branch.name)}".removeprefix("/")
        unique = _unused(wanted, taken)
        taken.add(unique)
        children = with_ids(branch.children, unique)
        topics.append(Topic(unique, branch.name, branch.description, branch.keywords, children))
    return tuple(topics)


def lost_rows(
    old: Sequence[Topic],
    new: Sequence[Topic],
    counts: Mapping[str, int],
    moved: Mapping[str, str | None] | None = None,
) -> dict[str, int]:
    """Rows per old leaf that would lose their topic under the new tree (`moved`: old leaf id → new or None)."""
    left = {topic.id for topic in leaves(new)}
    targets = {topic.id: (moved or {}).get(topic.id, topic.id) for topic in leaves(old)}
    return {topic: counts[topic] for topic, now in targets.items() if counts.get(topic) and now not in left}


def carry_over(old: Sequence[Topic], new: Sequence[Topic]) -> Tree:
    """The new tree with descriptions and keywords filled in from the old one where the ids are the same and
    it has none.

    An outline typed by hand often leaves them out; they were not meant to be deleted.
    """
    known = {topic.id: topic for topic in walk(old)}
    return tuple(_filled(topic, known) for topic in new)


def _filled(topic: Topic, known: Mapping[str, Topic]) -> Topic:
    before = known.get(topic.id, topic)
    return replace(
        topic,
        description=topic.description or before.description,
        keywords=topic.keywords or before.keywords,
        children=tuple(_filled(child, known) for child in topic.children),
    )


def _node_problems(parent: str, tree: Sequence[Topic]) -> Iterator[Problem]:
    for topic in tree:
        head, _, segment = topic.id.rpartition("/")
        if not topic.name.strip():
            yield Problem("empty_name", f"The topic {topic.id or 'without an id'} has no name.")
        if head != parent or not SLUG.fullmatch(segment) or segment != segment.casefold():
            yield Problem(
                "bad_id", f"The id {topic.id!r} is not a snake_case path below {parent or 'the root'!r}."
            )
        yield from _node_problems(topic.id, topic.children)


def _repeated(values: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {value for value in values if value in seen or seen.add(value)}  # type: ignore[func-returns-value]


def _unused(wanted: str, taken: set[str]) -> str:
    number, unique = 2, wanted
    while unique in taken:
        unique, number = f"{wanted}_{number}", number + 1
    return unique


def _branches(nodes: object, level: int) -> list[Branch]:
    if not isinstance(nodes, list | tuple):
        raise ValueError("A topic hierarchy is a list of {name, description, keywords, children}.")
    if level > DEEPEST:
        raise ValueError("The topic hierarchy is nested far too deep, or refers to itself.")
    return [_branch(node, level) for node in nodes]


def _branch(node: object, level: int) -> Branch:
    if not isinstance(node, Mapping) or not isinstance(node.get("name"), str) or not node["name"].strip():
        raise ValueError("Every topic needs a name.")
    keywords = node.get("keywords") or ()
    if isinstance(keywords, str) or not isinstance(keywords, Iterable):
        raise ValueError(f"The keywords of {node['name']} must be a list of words.")
    return Branch(
        name=" ".join(node["name"].split()),
        description=str(node.get("description") or "").strip(),
        keywords=tuple(str(word).strip() for word in keywords if str(word).strip()),
        segment=_segment(node.get("id")),
        children=_branches(node.get("children") or [], level + 1),
    )


def _segment(identifier: object) -> str:
    """The last part of an id that somebody gave, made safe; "" when there is none."""
    last = str(identifier or "").rstrip("/").rpartition("/")[2]
    return slug(last) if last else ""
