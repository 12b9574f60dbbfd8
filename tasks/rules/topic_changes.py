"""Changing a topic tree by a list of operations, and where each leaf's rows go.

The operations are those of docs/model-calls.md (`topic_changes`). Rows are not touched: the answer says which
leaf became which, so that the caller relabels them. Whether the result may be used is `topics.validate`'s
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from storage.records import Topic
from tasks.rules.topics import Branch, Tree, leaves, with_ids

Operation = Mapping[str, str]


class UnknownChange(ValueError):
    """An operation that names no known topic, or cannot be done; the message says which, for the model to try
    again."""


def apply_operations(
    tree: Sequence[Topic], operations: Sequence[Operation]
) -> tuple[Tree, dict[str, str | None], tuple[str, ...]]:
    """(new tree, {old leaf id: new leaf id, or None where its rows lose their topic}, what was done in
    words).

    Operations run in order, each `{op, topic, name, parent, into}`: topics are named by id (or by a unique
    name), an empty `parent` is the top level. Leaves that kept their id are not in the mapping. Raises
    UnknownChange.
    """
    change = _Change(tree)
    for operation in operations:
        change.apply(operation)
    new = with_ids(change.root.children)
    now = dict(_places(change.root.children, new))
    old = [branch_id for branch_id, branch in change.by_id.items() if branch_id in change.leaf_ids]
    moved = {leaf: now.get(leaf) for leaf in old if now.get(leaf) != leaf}
    return new, moved, tuple(change.done)


def fresh_leaves(
    old: Sequence[Topic], new: Sequence[Topic], moved: Mapping[str, str | None]
) -> tuple[str, ...]:
    """The leaves for which rows that have a topic must be looked at again: those that are new or mean something else than before.

    A leaf that only took the rows of others (renamed, moved, merged) is none of them.
    """
    before = {leaf.id: (leaf.description, set(leaf.keywords)) for leaf in leaves(old)}
    heirs = {heir for leaf, heir in moved.items() if heir is not None and leaf in before}
    return tuple(
        leaf.id
        for leaf in leaves(new)
        if leaf.id not in heirs and before.get(leaf.id) != (leaf.description, set(leaf.keywords))
    )


class _Change:
    """The tree while it is being changed. `by_id` keeps the ids of the beginning, since all operations speak
    of those."""

    def __init__(self, tree: Sequence[Topic]) -> None:
        self.root = Branch("")
        self.by_id: dict[str, Branch] = {}
        self.leaf_ids: set[str] = set()
        self.done: list[str] = []
        self.root.children = [self._thaw(topic) for topic in tree]

    def apply(self, operation: Operation) -> None:
        steps = {
            "add": self._add,
            "rename": self._rename,
            "remove": self._remove,
            "merge": self._merge,
            "move": self._move,
        }
        name = operation.get("op", "")
        if name not in steps:
            raise UnknownChange(f"There is no operation {name!r}; use one of {', '.join(steps)}.")
        self.done.append(steps[name](operation))

    def _add(self, operation: Operation) -> str:
        name = _name(operation)
        parent = self._parent(operation)
        if any(child.name.casefold() == name.casefold() for child in parent.children):
            raise UnknownChange(f"{name} is already there.")
        lost = _drop_rows(parent)
        parent.children.append(Branch(name))
        return f"added {name}{_under(parent)}{lost}"

    def _rename(self, operation: Operation) -> str:
        topic = self._find(operation.get("topic", ""))
        before, topic.name, topic.segment = topic.name, _name(operation), ""
        return f"renamed {before} to {topic.name}"

    def _remove(self, operation: Operation) -> str:
        topic = self._find(operation.get("topic", ""))
        self._detach(topic)
        return f"removed {topic.name}"

    def _merge(self, operation: Operation) -> str:
        topic, into = self._find(operation.get("topic", "")), self._find(operation.get("into", ""))
        if topic is into or into in _below(topic):
            raise UnknownChange(f"{topic.name} cannot be merged into itself or into a topic below it.")
        before, was_leaf = into.name, not into.children
        self._detach(topic)
        if was_leaf and not topic.children:
            into.origins += topic.origins
            into.keywords = tuple(dict.fromkeys(into.keywords + topic.keywords))
        else:
            _unite(into, was_leaf, topic)
        if operation.get("name", "").strip():
            into.name, into.segment = _name(operation), ""
        return f"merged {topic.name} into {before}" + (f", now {into.name}" if into.name != before else "")

    def _move(self, operation: Operation) -> str:
        topic, parent = self._find(operation.get("topic", "")), self._parent(operation)
        if parent is topic or parent in _below(topic):
            raise UnknownChange(f"{topic.name} cannot be moved below itself.")
        lost = _drop_rows(parent)
        self._detach(topic)
        parent.children.append(topic)
        return f"moved {topic.name}{_under(parent)}{lost}"

    def _thaw(self, topic: Topic) -> Branch:
        segment = topic.id.rpartition("/")[2]
        branch = Branch(topic.name, topic.description, topic.keywords, segment)
        self.by_id[topic.id] = branch
        branch.children = [self._thaw(child) for child in topic.children]
        if not topic.children:
            branch.origins = [topic.id]
            self.leaf_ids.add(topic.id)
        return branch

    def _parent(self, operation: Operation) -> Branch:
        wanted = operation.get("parent", "").strip()
        return self._find(wanted) if wanted else self.root

    def _find(self, wanted: str) -> Branch:
        """By an id of the beginning, else by a name that only one topic has now (which finds added ones,
        too)."""
        present = list(_below(self.root))
        branch = self.by_id.get(wanted)
        if branch in present:
            return branch
        name = wanted.rpartition("/")[2].replace("_", " ").casefold()
        named = [branch for branch in present if branch.name.casefold() in (wanted.casefold(), name)]
        if len(named) != 1:
            raise UnknownChange(
                f"There is {'more than one' if named else 'no'} topic {wanted!r}; name it by its id."
            )
        return named[0]

    def _detach(self, topic: Branch) -> None:
        for parent in (self.root, *_below(self.root)):
            if topic in parent.children:
                parent.children.remove(topic)
                return


def _unite(into: Branch, was_leaf: bool, topic: Branch) -> None:
    """Both topics' leaves below `into`, each once; a topic that was a leaf becomes one of them."""
    if was_leaf:
        into.children = [Branch(into.name, into.description, into.keywords, into.segment, [], into.origins)]
        into.origins = []
    for child in topic.children or [topic]:
        twin = next((one for one in into.children if one.name.casefold() == child.name.casefold()), None)
        if twin is None:
            into.children.append(child)
        elif not twin.children and not child.children:
            twin.origins += child.origins
        else:
            _unite(twin, not twin.children, child)


def _places(branches: Sequence[Branch], topics: Sequence[Topic]) -> Iterator[tuple[str, str]]:
    """(old leaf id, new leaf id) for every leaf that carries rows."""
    for branch, topic in zip(branches, topics, strict=True):
        if not branch.children:
            yield from ((origin, topic.id) for origin in branch.origins)
        yield from _places(branch.children, topic.children)


def _below(branch: Branch) -> Iterator[Branch]:
    for child in branch.children:
        yield child
        yield from _below(child)


def _drop_rows(parent: Branch) -> str:
    """A leaf that gets a child is no leaf any more; its rows need a topic again."""
    had_rows, parent.origins = bool(parent.origins), []
    return f" (rows of {parent.name} itself need a topic again)" if had_rows else ""


def _name(operation: Operation) -> str:
    name = " ".join(operation.get("name", "").split())
    if not name:
        raise UnknownChange(f"{operation.get('op')} needs a name.")
    return name


def _under(parent: Branch) -> str:
    return f" under {parent.name}" if parent.name else " at the top level"
