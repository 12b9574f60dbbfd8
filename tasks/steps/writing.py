"""How each strategy asks for rows, and how an answer becomes a conversation. One entry a strategy in `STYLES`.

A *brief* says what one row shall be in particular: who speaks, and what its strategy varies. Briefs are made by code, so what is
crossed is crossed and counted, whatever a model makes of it. Asking, judging and storing are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from zlib import crc32

from storage.records import Json, Topic
from storage.rows import Message, Row, conversation_text, last_user_message, split_conversation
from tasks.prompts import prompt
from tasks.rules import scenarios, tool_chains
from tasks.rules.diversity import Pool, pool
from tasks.steps.common import cut

EXAMPLES = 5
EXAMPLE_CHARACTERS = 1_500
ROUND = 1_000  # a round's batches are numbered from its own number times this


@dataclass(frozen=True, slots=True)
class Room:
    """What all batches of a round share; made once in every process that takes part.

    first      a round's batches are numbered from here, so that a second round asks for other rows than the first
    offset     how many rows of each topic earlier rounds of the same request have asked for
    pools      rows to choose examples from, by topic ("" for all)
    seeds      rows that were named to grow from, by id
    catalogue  the rows' own tool definitions, by name; `patterns` the chains to follow
    """

    goal: str
    strategy: str
    mode: str
    personas: tuple[str, ...]
    first: int = 0
    offset: int = 0
    base_scenario: str = ""
    aspects: tuple[str, ...] = ()
    pools: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    seeds: Mapping[str, Row] = field(default_factory=dict)
    catalogue: Mapping[str, object] = field(default_factory=dict)
    patterns: tuple[tuple[str, ...], ...] = ()
    chosen: dict[tuple[str, int], tuple[Row, ...]] = field(default_factory=dict)  # examples, once chosen
    compared: dict[str, Pool] = field(default_factory=dict)  # pools, once read
    laps: dict[int, Any] = field(default_factory=dict)  # batches, once laid out

    def persona(self, number: int) -> str:
        return self.personas[number % len(self.personas)]

    def examples(self, topic: Topic | None, number: int) -> tuple[Row, ...]:
        """Rows for a batch to learn from; the same for the same number."""
        name = topic.id if topic and self.pools.get(topic.id) else ""
        if (name, number) not in self.chosen:
            self.chosen[name, number] = STYLES[self.strategy].choose(self, name, number)
        return self.chosen[name, number]


Brief = Callable[
    [Room, Topic | None, int, int], Json
]  # of a row by its number in the round, and in its topic
Choose = Callable[[Room, str, int], tuple[Row, ...]]  # from the pool of that name, for a batch's number


@dataclass(frozen=True, slots=True)
class Style:
    """A strategy: which examples it looks at, what each row is told, what the question holds besides."""

    brief: Brief
    choose: Choose
    extras: Callable[[Room, Topic | None, Sequence[Json]], Json]
    whole: bool = False  # examples are shown as whole conversations


def prompt_of(strategy: str) -> str:
    return prompt(strategy)


def prompt_version(name: str) -> str:
    """Names the prompt's text: a row says by which wording it came about."""
    return f"{name}@{sha256(prompt(name).encode()).hexdigest()[:8]}"


def question(
    room: Room, topic: Topic | None, examples: Sequence[Row], briefs: Sequence[Json], number: int
) -> Json:
    """The data of one call (docs/model-calls.md)."""
    style = STYLES[room.strategy]
    whole = style.whole or room.mode == "sft"
    return {
        "strategy": room.strategy,
        "mode": room.mode,
        "goal": room.goal,
        "topic": _described(topic),
        "personas": list(dict.fromkeys(str(brief["persona"]) for brief in briefs)),
        "examples": [_example(place, row, whole=whole) for place, row in enumerate(examples)],
        "count": len(briefs),
        "rows": [{"row": place, **brief} for place, brief in enumerate(briefs)],
        **style.extras(room, topic, briefs),
        "round": room.first + number,
    }


def conversation(room: Room, seed: Row | None, candidate: Json) -> list[Message]:
    """An answer as a conversation: the seed's with another last turn, or a new one under the seed's system message."""
    before = list(seed.input.messages[:-1]) if seed and seed.input.messages else []
    if room.strategy != "message_variation":
        before = [message for message in before if message.get("role") in ("system", "developer")][:1]
    if room.mode != "sft":
        text = candidate.get("text")
        return [*before, {"role": "user", "content": text if isinstance(text, str) else ""}]
    given = candidate.get("messages")
    turns = [_turn(turn) for turn in given if isinstance(turn, dict)] if isinstance(given, list) else []
    if room.strategy == "message_variation":
        asked, answered = split_conversation(turns)
        return [*before, *asked[-1:], *answered]
    own = any(turn.get("role") in ("system", "developer") for turn in turns)
    return turns if own else [*before, *turns]


def tools_for(room: Room, seed: Row | None, brief: Json) -> list[object] | None:
    """The tool definitions that a row carries: its seed's, or those of its chain."""
    if room.strategy == "message_variation":
        return seed.input.tools if seed else None
    if room.strategy != "tool_chain":
        return None
    own = tool_chains.catalogue([seed.input.tools if seed else None])
    chain = {name: room.catalogue[name] for name in brief["tools"] if name in room.catalogue}
    return list({**own, **chain}.values())


def traits(room: Room, brief: Json) -> Json:
    """What a row's provenance says of its brief."""
    return {
        name: value
        for name, value in brief.items()
        if name in ("difficulty", "keyword", "aspects", "tools") and value not in ("", [])
    } | ({"base_scenario": cut(room.base_scenario, 300)} if room.strategy == "scenario_expansion" else {})


# ---------------------------------------------------------------- the five


def _vary(room: Room, topic: Topic | None, number: int, place: int) -> Json:
    return {"persona": room.persona(number)}


def _describe(room: Room, topic: Topic | None, number: int, place: int) -> Json:
    words = (topic.keywords or (topic.name,)) if topic else ()
    cell = scenarios.cell(words, place)
    return {"persona": room.persona(number), "keyword": cell.keyword, "difficulty": cell.difficulty}


def _expand(room: Room, topic: Topic | None, number: int, place: int) -> Json:
    found = scenarios.scenario(room.aspects, room.personas, place)
    return {"persona": found.persona, "difficulty": found.difficulty, "aspects": list(found.aspects)}


def _chain(room: Room, topic: Topic | None, number: int, place: int) -> Json:
    return {"persona": room.persona(number), "tools": list(room.patterns[place % len(room.patterns)])}


def _several_turns_first(room: Room, name: str, number: int) -> tuple[Row, ...]:
    """Rows to vary, those with a conversation before their last turn first; another five with every batch."""
    ordered = sorted(room.pools.get(name, ()), key=lambda row: len(row.input.messages) < 2)
    start = (number * EXAMPLES + _chance(number // ROUND)) % len(ordered) if ordered else 0
    return tuple((*ordered[start:], *ordered[:start])[:EXAMPLES])


def _that_differ(room: Room, name: str, number: int) -> tuple[Row, ...]:
    rows = room.pools.get(name, ())
    if name not in room.compared:
        room.compared[name] = pool(last_user_message(row)[:EXAMPLE_CHARACTERS] for row in rows)
    return tuple(rows[place] for place in room.compared[name].farthest(EXAMPLES, start=_chance(number)))


def _chance(number: int) -> int:
    """The same for the same number, and nothing like that of the next."""
    return crc32(str(number).encode())


def _none(room: Room, name: str, number: int) -> tuple[Row, ...]:
    return ()


def _no_extras(room: Room, topic: Topic | None, briefs: Sequence[Json]) -> Json:
    return {}


def _scenario_extras(room: Room, topic: Topic | None, briefs: Sequence[Json]) -> Json:
    usual = f"An ordinary case of {topic.name}" if topic else "An ordinary case"
    return {"base_scenario": room.base_scenario or usual, "aspects": list(room.aspects)}


def _tool_extras(room: Room, topic: Topic | None, briefs: Sequence[Json]) -> Json:
    names = dict.fromkeys(str(name) for brief in briefs for name in brief["tools"])
    return {
        "tool_patterns": [list(pattern) for pattern in room.patterns],
        "tools": [room.catalogue[name] for name in names],
    }


STYLES: Mapping[str, Style] = {
    "message_variation": Style(_vary, _several_turns_first, _no_extras, whole=True),
    "few_shot": Style(_vary, _that_differ, _no_extras),
    "topic_description": Style(_describe, _none, _no_extras),
    "scenario_expansion": Style(_expand, _that_differ, _scenario_extras),
    "tool_chain": Style(_chain, _that_differ, _tool_extras),
}


# ---------------------------------------------------------------- parts


def _described(topic: Topic | None) -> Json | None:
    if topic is None:
        return None
    return {
        "id": topic.id,
        "name": topic.name,
        "description": topic.description,
        "keywords": list(topic.keywords),
    }


def _example(place: int, row: Row, *, whole: bool) -> Json:
    example: Json = {"seed": place, "text": cut(last_user_message(row), EXAMPLE_CHARACTERS)}
    if whole:
        example["messages"] = [
            {
                "role": message.get("role", ""),
                "content": cut(conversation_text([message], roles=False), EXAMPLE_CHARACTERS),
            }
            for message in row.messages
        ]
    return example


def _turn(turn: Json) -> Message:
    """A turn as the model wrote it, in the wire form of chat models: calls under `function`, nothing that is empty."""
    calls = turn.get("tool_calls")
    made: Message = {"role": turn.get("role"), "content": turn.get("content")}
    if isinstance(calls, list) and calls:
        made["tool_calls"] = [_call(call) for call in calls if isinstance(call, dict)]
    if turn.get("tool_call_id"):
        made["tool_call_id"] = turn["tool_call_id"]
    return made


def _call(call: Json) -> Json:
    inner = call["function"] if isinstance(call.get("function"), dict) else call
    function = {"name": inner.get("name"), "arguments": inner.get("arguments")}
    return {"id": call.get("id"), "type": "function", "function": function}
