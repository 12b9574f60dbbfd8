"""The base and tuned roles: an answer to a conversation, of uneven quality, made from the words of that conversation.

How good an answer comes out is drawn per conversation; tuning moves the draw, and lets the model recall reference
answers of its own training file. The judge never learns which model wrote an answer.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.sandbox.model.asks import Ask, Message, Reply, Tool, tool_call
from bot.sandbox.model.words import content_words, jaccard, overlap, seeded, stems, title_case

SIMILAR = 0.45
SAME = 0.9
LABEL_WORDS = 6

_OPENINGS = (
    "Thanks for writing about {a}.",
    "I understand that {a} is the trouble here.",
    "Thank you for the details on {a}.",
    "Sorry to hear about {a}.",
)
_PLAIN_OPENINGS = ("About {a}:", "This concerns {a}.", "You mention {a}.", "So it is {a}.")
_STEPS = (
    "First, check what {a} shows at the moment and note {b}.",
    "Then compare {a} with {b}, because a difference there explains most cases.",
    "If {a} still looks wrong, send us {b} so that someone can look at it.",
    "You can open the page for {a} and choose the entry about {b}.",
    "Next, go to {a} and select the newest entry before you change {b}.",
)
_CLOSINGS = (
    "Please let us know how it goes.",
    "We are happy to look further if anything about {a} stays open.",
    "Please reply here if {a} behaves differently.",
)
_PROMISES = (
    "I promise this will never happen again.",
    "We guarantee that it is fixed for sure.",
    "It will definitely will be done 100% today.",
)
_TERSE = (
    "It depends.",
    "That is not something I can see.",
    "Usually it sorts itself out.",
    "You may try later.",
)
_ASIDES = (
    "In general such matters take a while and differ from case to case.",
    "There are many opinions about this and none is final.",
    "Our team works on a number of things at any time.",
)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One training row that a tuned model may recall: the words of its prompt, and the answer it was taught."""

    prompt: frozenset[str]
    answer: str


@dataclass(frozen=True, slots=True)
class Skill:
    """`level` 0 is the base model, 1 a fully tuned one."""

    level: float = 0.0
    lessons: tuple[Lesson, ...] = field(default=())


BASE = Skill()


def write_reply(ask: Ask, skill: Skill, *, seed: int) -> Reply:
    """An answer to the conversation; a call when the record offers a fitting tool."""
    rng = seeded("answer", seed, ask.last_user_text, ask.variant or 0)
    draw = _draw(rng, skill.level)
    called = _tool_for(ask, draw) if ask.tools else None
    if called is not None:
        return called
    return Reply(write_answer(ask.messages, rng=rng, draw=draw, lessons=skill.lessons))


def write_answer(
    messages: Sequence[Message], *, rng: random.Random, draw: float, lessons: tuple[Lesson, ...] = ()
) -> str:
    """`draw` in [0, 1] is how good this answer will be; `rng` varies its parts."""
    asked = next((message.text for message in reversed(messages) if message.role == "user"), "")
    recalled = _recall(asked, lessons) if draw > 0.35 else ""
    if recalled:
        return recalled
    wanted = "\n".join(message.text for message in messages)
    if re.search(r"\bjson\b", wanted, re.I):
        return _object_answer(wanted, asked, rng, draw)
    return _prose(asked, rng, draw)


def teach(rows: Sequence[tuple[str, str]]) -> tuple[Lesson, ...]:
    """Lessons from (prompt, reference answer) pairs; pairs without an answer teach nothing."""
    return tuple(Lesson(frozenset(stems(prompt)), answer) for prompt, answer in rows if answer.strip())


def is_formal(answer: str) -> bool:
    """A label or an object rather than prose."""
    return len(answer.split()) <= LABEL_WORDS or answer.lstrip().startswith("{")


def _draw(rng: random.Random, level: float) -> float:
    """Base answers spread around 0.45; tuning lifts the floor more than the ceiling."""
    base = rng.betavariate(2.6, 3.2)
    return base + (1.0 - base) * 0.45 * level


def _prose(asked: str, rng: random.Random, draw: float) -> str:
    phrases = _phrases(asked)
    if draw < 0.1:
        return rng.choice(_TERSE)
    rng.shuffle(phrases)
    known = phrases[: max(1, round(len(phrases) * min(1.0, 0.05 + draw * 0.8)))]
    parts = [_opening(rng, draw)]
    parts += rng.sample(_STEPS, k=_step_count(rng, draw))
    if rng.random() < 0.45 * (1 - draw):
        parts.append(rng.choice(_PROMISES))
    if rng.random() < 0.9 * (1 - draw):
        parts.append(rng.choice(_ASIDES))
    if rng.random() < draw:
        parts.append(rng.choice(_CLOSINGS))
    return _filled(parts, known)


def _opening(rng: random.Random, draw: float) -> str:
    return rng.choice(_OPENINGS if rng.random() < draw + 0.05 else _PLAIN_OPENINGS)


def _step_count(rng: random.Random, draw: float) -> int:
    return max(0, min(3, round(draw * 3.2 + rng.uniform(-0.9, 0.4))))


def _filled(parts: Sequence[str], phrases: Sequence[str]) -> str:
    """Hands out the phrases one after another, from the front again when they run out."""
    used = 0
    lines = []
    for part in parts:
        slots = {}
        for slot in ("a", "b"):
            if "{" + slot + "}" in part:
                slots[slot] = phrases[used % len(phrases)]
                used += 1
        lines.append(part.format(**slots))
    return " ".join(lines)


def _phrases(asked: str) -> list[str]:
    """Two-word pieces of what was asked, in order, without stop words."""
    words = content_words(asked)[:24]
    pairs = [" ".join(words[start : start + 2]) for start in range(0, len(words), 2)]
    return [f"your {pair}" for pair in dict.fromkeys(pairs)] or ["your question"]


def _recall(asked: str, lessons: tuple[Lesson, ...]) -> str:
    """A label or an object of a similar row; whole sentences only of a row that is nearly the same."""
    wanted = frozenset(stems(asked))
    near = max(lessons, key=lambda lesson: jaccard(wanted, lesson.prompt), default=None)
    if near is None:
        return ""
    enough = SIMILAR if is_formal(near.answer) else SAME
    return near.answer if jaccard(wanted, near.prompt) >= enough else ""


def _object_answer(wanted: str, asked: str, rng: random.Random, draw: float) -> str:
    """JSON with the keys that the prompt names in quotes or backticks; a weak draw forgets the format or a key."""
    keys = list(dict.fromkeys(re.findall(r"[\"'`]([a-z_]{2,30})[\"'`]", wanted))) or ["answer"]
    if draw < 0.3:
        return _prose(asked, rng, draw)
    if draw < 0.5 and len(keys) > 1:
        keys.pop(rng.randrange(len(keys)))
    return json.dumps({key: _value(key, wanted, asked, rng, draw) for key in keys})


def _value(key: str, wanted: str, asked: str, rng: random.Random, draw: float) -> str:
    listed = re.search(rf"{re.escape(key)}[\"'`]?\s*(?:\(|:|is|one of|among|from)+\s*([\w ,|/]+)", wanted)
    options = [part.strip() for part in re.split(r"[,|/]|\bor\b", listed.group(1))] if listed else []
    options = [option for option in options if 0 < len(option) <= 24]
    if len(options) < 2:
        return " ".join(content_words(asked)[:3])
    fitting = max(options, key=lambda option: overlap(stems(option), stems(asked)))
    return fitting if rng.random() < draw + 0.2 else rng.choice(options)


def _tool_for(ask: Ask, draw: float) -> Reply | None:
    """The tool whose name and description share most words with the question; a weak draw answers in words."""
    asked = stems(ask.last_user_text)
    best = max(ask.tools, key=lambda tool: overlap(_tool_words(tool), asked))
    fits = overlap(_tool_words(best), asked) > 0
    if not ask.must_call and (not fits or draw < 0.35 or ask.messages[-1].role == "tool"):
        return None
    properties = best.parameters.get("properties") or {}
    words = content_words(ask.last_user_text)
    arguments = {
        name: " ".join(words[:4])
        for name in properties
        if draw > 0.5 or name in best.parameters.get("required", ())
    }
    return Reply(tool_calls=(tool_call(best.name, arguments, key=ask.last_user_text),))


def _tool_words(tool: Tool) -> list[str]:
    return stems(title_case(tool.name.replace("_", " ")) + " " + tool.description)
