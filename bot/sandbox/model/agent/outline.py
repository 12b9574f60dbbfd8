"""A topic tree typed by hand: an indented outline, bullets, or JSON; becomes the hierarchy that the tools take."""

from __future__ import annotations

import json
import re
from typing import Any

from bot.sandbox.model.asks import Json
from bot.sandbox.model.words import content_words

_LINE = re.compile(r"^(?P<indent>[ \t]*)(?P<bullet>[-*•+]\s+|\d+[.)]\s+)?(?P<name>\S.*?)\s*$")


def parse_outline(text: str) -> list[Json]:
    """`[{id, name, description, keywords, children}]`; [] when the text has no outline."""
    found = _from_json(text)
    if found:
        return [_node(item, "") for item in found]
    roots: list[Json] = []
    open_nodes: list[tuple[int, Json]] = []
    for indent, name in _lines(text):
        while open_nodes and open_nodes[-1][0] >= indent:
            open_nodes.pop()
        parent = open_nodes[-1][1] if open_nodes else None
        node = _made(name, parent["id"] if parent else "")
        (parent["children"] if parent else roots).append(node)
        open_nodes.append((indent, node))
    return roots


def _lines(text: str) -> list[tuple[int, str]]:
    """Indent and name of each line of the outline; a line of prose before or after it is not part of it."""
    body = re.search(r"```\w*\n(.*?)```", text, re.S)
    lines = [match for line in (body.group(1) if body else text).splitlines() if (match := _LINE.match(line))]
    shaped = [match for match in lines if match["bullet"] or match["indent"]]
    kept = (
        [match for match in lines if match in shaped or _heads(match, lines, shaped)] if not body else lines
    )
    return [(len(match["indent"].expandtabs(4)), match["name"].rstrip(":").strip("\"'")) for match in kept]


def _heads(line: re.Match[str], lines: list[re.Match[str]], shaped: list[re.Match[str]]) -> bool:
    """A plain line belongs when an indented or bulleted one follows it and it is short enough for a name."""
    place = lines.index(line)
    follows = place + 1 < len(lines) and lines[place + 1] in shaped
    words = len(line["name"].split())
    introduces = line["name"].endswith(":") and words > 2
    return follows and words <= 4 and not introduces and not line["name"].endswith((".", "?", "!"))


def _from_json(text: str) -> list[Any]:
    start, end = text.find("["), text.rfind("]")
    if start < 0 or end <= start:
        return []
    try:
        value = json.loads(text[start : end + 1])
    except ValueError:
        return []
    return [item for item in value if isinstance(item, (dict, str))] if isinstance(value, list) else []


def _node(item: Json | str, parent: str) -> Json:
    if isinstance(item, str):
        return _made(item, parent)
    node = _made(str(item.get("name") or item.get("id") or "Topic"), parent)
    node["id"] = str(item.get("id") or node["id"])
    node["description"] = str(item.get("description") or node["description"])
    node["keywords"] = [str(word) for word in item.get("keywords") or node["keywords"]]
    node["children"] = [_node(child, node["id"]) for child in item.get("children") or []]
    return node


def _made(name: str, parent: str) -> Json:
    own = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "topic"
    return {
        "id": f"{parent}/{own}" if parent else own,
        "name": name,
        "description": "",
        "keywords": content_words(name),
        "children": [],
    }
