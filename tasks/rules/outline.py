"""The topic tree as people type it: an indented outline, read and written.

    - Billing: money matters [invoice, refund]
      - Refunds

Tabs or spaces, with or without bullets. Reading never fails; `topics.validate` says what is wrong with the
result. A backslash takes the meaning from `:`, `[`, `]`, `,` and itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from storage.records import Topic
from tasks.rules.topics import Branch, Tree, with_ids

BULLET = re.compile(r"(?:[-*•–+]|\d{1,3}[.)])\s+")
TAB_WIDTH = 4


def parse_outline(text: str) -> Tree:
    """The tree that the lines draw. Deeper indentation makes a child of the nearest line above with less of
    it."""
    root = Branch("")
    open_branches: list[tuple[int, Branch]] = [(-1, root)]
    for line in text.splitlines():
        content = line.strip()
        branch = _branch(BULLET.sub("", content, count=1) if BULLET.match(content) else content)
        if not branch.name:
            continue
        indent = _indent(line)
        while open_branches[-1][0] >= indent:
            open_branches.pop()
        open_branches[-1][1].children.append(branch)
        open_branches.append((indent, branch))
    return with_ids(root.children)


def to_outline(tree: Sequence[Topic]) -> str:
    """The outline of a tree, two spaces a level; `parse_outline` reads it back. Ids are not written."""
    return "\n".join(_lines(tree, 0))


def _lines(tree: Sequence[Topic], level: int) -> list[str]:
    lines = []
    for topic in tree:
        lines.append("  " * level + "- " + _line(topic))
        lines += _lines(topic.children, level + 1)
    return lines


def _line(topic: Topic) -> str:
    line = _escaped(topic.name)
    if topic.description:
        line += ": " + _escaped(topic.description)
    if topic.keywords:
        line += " [" + ", ".join(_escaped(word).replace(",", r"\,") for word in topic.keywords) + "]"
    return line


def _branch(line: str) -> Branch:
    line, keywords = _without_keywords(line)
    place = _separator(line)
    name, description = (line, "") if place < 0 else (line[:place], line[place + 1 :])
    return Branch(_plain(name), _plain(description), keywords)


def _without_keywords(line: str) -> tuple[str, tuple[str, ...]]:
    """The line without its closing `[a, b]`, and the words in it."""
    start = _find(line, "[")
    if start < 0 or _find(line[start:], "]") != len(line) - start - 1:
        return line, ()
    words, rest = [], line[start + 1 : -1]
    while rest:
        word, _, rest = _cut(rest, ",")
        words.append(_plain(word))
    return line[:start], tuple(word for word in words if word)


def _indent(line: str) -> int:
    expanded = line.expandtabs(TAB_WIDTH)
    return len(expanded) - len(expanded.lstrip())


def _cut(text: str, mark: str) -> tuple[str, str, str]:
    place = _find(text, mark)
    return (text, "", "") if place < 0 else (text[:place], mark, text[place + 1 :])


def _separator(line: str) -> int:
    """Where the description begins: the first colon before a space or the end ("3:1" is a name), or −1."""
    place = _find(line, ":")
    while 0 <= place < len(line) - 1 and not line[place + 1].isspace():
        place = _find(line, ":", place + 1)
    return place


def _find(text: str, mark: str, place: int = 0) -> int:
    """The first `mark` from `place` on without a backslash before it, or −1."""
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == mark:
            return place
        place += 1
    return -1


def _escaped(text: str) -> str:
    return re.sub(r"([\\\[\]]|:(?=\s|$))", r"\\\1", " ".join(text.split()))


def _plain(text: str) -> str:
    return " ".join(re.sub(r"\\(.)", r"\1", text).split())
