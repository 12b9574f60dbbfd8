"""`topic_changes`: "add Complaints under General", "merge X and Y", "rename X to Y", "remove X", "move X under Y"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.structured.topic_labels import closest
from bot.sandbox.model.words import title_case

Names = Mapping[str, str]

_NOUN = r"(?:\s+(?:topics?|categor(?:y|ies)|leaf|node|branch|group|section))?"
_ARTICLE = r"(?:(?:a|an|the|new|another|one)\s+)*(?:(?:topic|category|leaf|branch)\s+(?:called\s+|named\s+|for\s+)?)?"
_THING = r"[\"'“”‘’]?(?P<{0}>[^,;.\"“”]+?)[\"'“”‘’]?"
_ADD = re.compile(
    rf"\b(?:add|create|include|insert|introduce)\s+{_ARTICLE}{_THING.format('name')}{_NOUN}"
    rf"(?:\s+(?:under|below|beneath|inside|within|into|in|to)\s+(?:the\s+)?{_THING.format('parent')}{_NOUN})?$",
    re.I,
)
_MERGE = re.compile(
    rf"\b(?:merge|combine|join|unite|fold)\s+(?:the\s+)?{_THING.format('first')}{_NOUN}\s+(?:and|with|into|&|\+)\s+"
    rf"(?:the\s+)?{_THING.format('second')}{_NOUN}"
    rf"(?:\s+(?:into|as|to|under the name|called|and call (?:it|them))\s+{_THING.format('name')}{_NOUN})?$",
    re.I,
)
_RENAME = re.compile(
    rf"\b(?:rename|call|relabel|change)\s+(?:the\s+)?{_THING.format('topic')}{_NOUN}\s+(?:to|into|as|→|->)\s+"
    rf"{_THING.format('name')}{_NOUN}$",
    re.I,
)
_REMOVE = re.compile(
    rf"\b(?:remove|delete|drop|get rid of|leave out|take out)\s+(?:the\s+)?{_THING.format('topic')}{_NOUN}$",
    re.I,
)
_MOVE = re.compile(
    rf"\b(?:move|put|place|nest)\s+(?:the\s+)?{_THING.format('topic')}{_NOUN}\s+(?:under|below|beneath|inside|within"
    rf"|into|to|in)\s+(?:the\s+)?{_THING.format('parent')}{_NOUN}$",
    re.I,
)
_TAIL = re.compile(r"(?:\s*\b(?:please|thanks|thank you|instead|too|as well|for me)\b)*[\s?!.]*$", re.I)
_TOP_LEVEL = re.compile(r"\b(top|root|top[- ]level|the tree)\b", re.I)
_NEXT_ORDER = re.compile(
    r"[;\n.?!]+|,\s*(?:and\s+)?(?:then\s+)?(?=(?:also\s+)?(?:add|merge|rename|remove|delete|drop|move|create|combine|put)\b)"
    r"|\b(?:and then|and also|then|and)\s+(?=(?:add|merge|rename|remove|delete|drop|move|create|combine|put)\b)",
    re.I,
)


def answer_changes(ask: Ask, data: Json) -> Json:
    """`{operations, summary}`; what names an unknown topic is left out and the summary says so."""
    names = {
        str(topic.get("id")): _spoken(topic) for topic in data.get("topics") or [] if isinstance(topic, dict)
    }
    operations: list[Json] = []
    said: list[str] = []
    for clause in clauses(str(data.get("instruction") or "")):
        for operation, told in _read(clause, names):
            said.append(told)
            if operation:
                operations.append(operation)
    return {"operations": operations, "summary": " ".join(said) or "I found no change to make in that."}


def clauses(instruction: str) -> list[str]:
    parts = (_TAIL.sub("", part).strip() for part in _NEXT_ORDER.split(instruction))
    return [part for part in parts if part]


Read = Callable[[re.Match[str], Names], Iterator[tuple[Json, str]]]


def _read(clause: str, names: Names) -> Iterator[tuple[Json, str]]:
    for pattern, read in (
        (_MERGE, _merge),
        (_RENAME, _rename),
        (_MOVE, _move),
        (_REMOVE, _remove),
        (_ADD, _add),
    ):
        match = pattern.search(clause)
        if match:
            yield from read(match, names)
            return


def _add(match: re.Match[str], names: Names) -> Iterator[tuple[Json, str]]:
    under = match.group("parent") or ""
    parent = "" if _TOP_LEVEL.search(under) else _find(under, names)
    where = f"under {names[parent]}" if parent else "at the top level"
    missing = f" There is no topic {under}." if under and not parent and not _TOP_LEVEL.search(under) else ""
    for name in re.split(r"\s+and\s+|\s*&\s*", match.group("name")):
        shown = title_case(name.strip())
        yield _operation("add", name=shown, parent=parent), f"Added {shown} {where}.{missing}"


def _merge(match: re.Match[str], names: Names) -> Iterator[tuple[Json, str]]:
    first, second = _find(match.group("first"), names), _find(match.group("second"), names)
    if not first or not second or first == second:
        yield {}, f"I could not find both {match.group('first')} and {match.group('second')}."
        return
    name = title_case(match.group("name") or "") or f"{names[first]} & {names[second]}"
    yield (
        _operation("merge", topic=first, into=second, name=name),
        f"Merged {names[first]} and {names[second]}.",
    )


def _rename(match: re.Match[str], names: Names) -> Iterator[tuple[Json, str]]:
    topic, name = _find(match.group("topic"), names), title_case(match.group("name"))
    if topic:
        yield _operation("rename", topic=topic, name=name), f"Renamed {names[topic]} to {name}."
    else:
        yield {}, f"There is no topic {match.group('topic')}."


def _remove(match: re.Match[str], names: Names) -> Iterator[tuple[Json, str]]:
    for wanted in re.split(r"\s+and\s+", match.group("topic")):
        topic = _find(wanted, names)
        if topic:
            yield _operation("remove", topic=topic), f"Removed {names[topic]}."
        else:
            yield {}, f"There is no topic {wanted}."


def _move(match: re.Match[str], names: Names) -> Iterator[tuple[Json, str]]:
    under = match.group("parent")
    topic, parent = _find(match.group("topic"), names), _find(under, names)
    if not topic or not (parent or _TOP_LEVEL.search(under)):
        yield {}, f"I could not find both {match.group('topic')} and {under}."
        return
    where = f"under {names[parent]}" if parent else "to the top level"
    yield _operation("move", topic=topic, parent=parent), f"Moved {names[topic]} {where}."


def _find(words: str, names: Names) -> str:
    """Id of the topic that is meant: its exact name or id first, then the closest by words."""
    wanted = words.strip().strip("\"'").casefold()
    if not wanted:
        return ""
    for identifier, name in names.items():
        if wanted in (identifier.casefold(), name.casefold()):
            return identifier
    return closest(words, names)


def _spoken(topic: Json) -> str:
    path = topic.get("path")
    return str(topic.get("name") or (path[-1] if isinstance(path, list) and path else topic.get("id") or ""))


def _operation(op: str, *, topic: str = "", name: str = "", parent: str = "", into: str = "") -> Json:
    return {"op": op, "topic": topic, "name": name, "parent": parent, "into": into}
