"""`synthetic_rows`: new rows recombined from the examples, the topic's keywords and the persona, by seeded transformation.

About one row in ten repeats an earlier one with other capitals and points, as models do; the receiver should reject it.
Nothing here knows a domain: words come from the data, the connecting phrases are neutral.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.sandbox.model.asks import Ask, Json, Message
from bot.sandbox.model.structured.tool_talk import chained, purposes
from bot.sandbox.model.words import joined, number_from, seeded, sentences, tokens
from bot.sandbox.model.writer import write_answer

MIN_CHARACTERS = 24
MAX_CHARACTERS = 900
REPEAT_EVERY = 10
SMALLEST_TO_REPEAT = 6  # a preview shows none
ATTEMPTS = 8

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
_SYNONYMS = (
    ("problem", "issue"), ("help", "assist"), ("broken", "not working"), ("buy", "purchase"), ("wrong", "incorrect"),
    ("quickly", "soon"), ("tell me", "explain"), ("i want to", "I would like to"), ("how do i", "what is the way to"),
    ("can you", "could you"), ("still", "even now"), ("doesn't", "does not"), ("hasn't", "has not"),
)  # fmt: skip
_OPENINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"frustrat|angry|impatient|upset|annoy",
        ("Honestly, I am losing patience:", "This is the third time I ask.", "Enough waiting now."),
    ),
    (
        r"polite|formal|courte",
        ("Good afternoon, I hope you can help.", "Dear team,", "I would be grateful for some help."),
    ),
    (
        r"new|novice|first|beginner|confus",
        ("I am new to this, so sorry if it is obvious.", "First time doing this.", "I am a bit lost here."),
    ),
    (
        r"expert|technical|power|develop|engineer",
        (
            "I have already gone through the documentation.",
            "Short and precise please.",
            "I checked the obvious things.",
        ),
    ),
    (
        r"busy|hurry|manager|parent|short",
        ("Quick one between two meetings.", "In a rush, so briefly:", "Only have a minute."),
    ),
)
_ANY_OPENINGS = (
    "Hello there.",
    "One thing I could not work out:",
    "Following up on this.",
    "Hi team,",
    "",
    "",
    "Question from {day}:",
)
_CLOSINGS = (
    "What should I do next?", "I need this settled before {day}.", "My reference is {ref}.", "It began in {month}.",
    "Could someone look at it by {day}?", "I noticed it {number} days ago.", "Is there another way?", "", "",
    "For context, this is about {keyword}.", "I tried {number} times already.", "Who can confirm this for {month}?",
)  # fmt: skip
_FROM_KEYWORDS = (
    "How does {keyword} work when {other} is involved?", "I have trouble with {keyword} and would like to understand {other}.",
    "Can you explain what {keyword} means for {other}?", "What happens to {other} once {keyword} has changed?",
    "Somebody told me that {keyword} depends on {other}, is that right?", "I need a hand with {keyword}, mostly {other}.",
)  # fmt: skip
_HARDER = (
    "On top of that, {clause}", "To make it harder, {keyword} has changed {number} times since {month}.",
    "Please consider both {keyword} and {other} in the answer.", "And what if only part of it applies from {day} on?",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    seed: int
    text: str


def answer_rows(ask: Ask, data: Json) -> Json:
    """`{rows: [{row, seed, persona, text}]}` or, for mode sft, `{rows: [{row, seed, persona, messages}]}`."""
    writer = _RowWriter(data)
    count = max(0, min(int(data.get("count") or 0), 200))
    return {"rows": [_row(data, writer, index) for index in range(count)]}


def _row(data: Json, writer: _RowWriter, index: int) -> Json:
    example, persona, text = writer.row(index)
    brief = writer.brief(index)
    row: Json = {"row": index, "seed": example.seed, "persona": persona}
    if data.get("strategy") == "topic_description":
        row |= {
            "keyword": str(brief.get("keyword") or ""),
            "difficulty": str(brief.get("difficulty") or "medium"),
        }
    if data.get("strategy") == "scenario_expansion":
        differs = joined([str(aspect) for aspect in brief.get("aspects") or []]) or "nothing"
        row["scenario"] = (
            f"{str(data.get('base_scenario') or 'The usual case').rstrip('.')}; different: {differs}."
        )
    chain = [str(name) for name in brief.get("tools") or []]
    if data.get("strategy") == "tool_chain":
        row["tools"] = chain
    if data.get("mode") != "sft":
        return row | {"text": text}
    if data.get("strategy") == "tool_chain":
        return row | {"messages": chained(text, chain, data.get("tools") or [])}
    return row | _conversation(text, index)


class _RowWriter:
    """Remembers what it wrote, so that rows of one batch differ where they should."""

    def __init__(self, data: Json) -> None:
        topic: Json = data.get("topic") or {}
        self._data = data
        self._key = (
            str(data.get("strategy")),
            data.get("round"),
            str(topic),
            str(data.get("examples")),
            str(data.get("aspects")),
        )
        self._examples = _examples(data)
        self._start = number_from(*self._key) % REPEAT_EVERY
        self._personas = [str(persona) for persona in data.get("personas") or []] or ["someone"]
        self._keywords = _keywords(data, topic, self._examples)
        self._briefs = [brief for brief in data.get("rows") or [] if isinstance(brief, dict)]
        self._written: list[tuple[Example, str, str]] = []
        self._known = {_plain(example.text) for example in self._examples}

    def row(self, index: int) -> tuple[Example, str, str]:
        if self._repeats(index):
            example, persona, text = self._written[index // 2]
            made = (example, persona, _retyped(text))
        else:
            made = self._fresh(index)
        self._written.append(made)
        return made

    def brief(self, index: int) -> Json:
        """What this row in particular shall be; {} where nothing is said."""
        return self._briefs[index] if index < len(self._briefs) else {}

    def _repeats(self, index: int) -> bool:
        """Every tenth row of the round, as if the calls of a round were one: small batches repeat now and then."""
        large_enough = self._data.get("count", 0) >= SMALLEST_TO_REPEAT and index >= 2
        return large_enough and (index + self._start) % REPEAT_EVERY == REPEAT_EVERY - 1

    def _fresh(self, index: int) -> tuple[Example, str, str]:
        brief = self.brief(index)
        place = brief.get("seed", index)
        example = self._examples[(place if isinstance(place, int) else index) % len(self._examples)]
        persona = str(brief.get("persona") or self._personas[index % len(self._personas)])
        text = ""
        for attempt in range(ATTEMPTS):
            text = self._compose(example, persona, brief, seeded("row", *self._key, index, attempt))
            if _plain(text) not in self._known and len(text) >= MIN_CHARACTERS:
                break
        self._known.add(_plain(text))
        return example, persona, text

    def _compose(self, example: Example, persona: str, brief: Json, rng: random.Random) -> str:
        strategy = self._data.get("strategy")
        difficulty = brief.get("difficulty") or self._data.get("difficulty")
        parts = [_opening(persona, rng), self._core(example, str(strategy), brief, rng)]
        if strategy == "few_shot" and rng.random() < 0.7:
            parts.append(self._clause_of_another(example, rng))
        if difficulty == "hard" or (strategy == "scenario_expansion" and difficulty != "easy"):
            parts.append(rng.choice(_HARDER))
        bare = not parts[0] and len(parts) < 3
        parts.append(rng.choice([closing for closing in _CLOSINGS if closing or not bare]))
        text = " ".join(part for part in parts if part)
        return self._slots_filled(text, example, rng)[:MAX_CHARACTERS]

    def _core(self, example: Example, strategy: str, brief: Json, rng: random.Random) -> str:
        if strategy == "scenario_expansion" and self._data.get("base_scenario"):
            return self._in_scenario(example, brief, rng)
        if strategy == "tool_chain" and brief.get("tools"):
            return self._needing(brief["tools"], rng)
        if strategy == "topic_description" or not example.text:
            keyword = str(brief.get("keyword") or "")
            return rng.choice(_FROM_KEYWORDS).replace("{keyword}", keyword or "{keyword}")
        return _varied(example.text, rng)

    def _in_scenario(self, example: Example, brief: Json, rng: random.Random) -> str:
        """The base scenario as somebody in it would tell it, with everything that is different about this one."""
        listed = (
            brief["aspects"]
            if "aspects" in brief
            else [rng.choice(self._data.get("aspects") or ["something"])]
        )
        differs = [str(aspect).replace(": ", " is ") for aspect in listed]
        change = f" In this case {joined(differs)}." if differs else ""
        told = _varied(example.text, rng) if example.text else rng.choice(_FROM_KEYWORDS)
        return f"It is about this: {_lowered(str(self._data['base_scenario'])).rstrip('.')}.{change} {told}"

    def _needing(self, tools: Sequence[Any], rng: random.Random) -> str:
        """What somebody wants who needs these tools one after the other, in words that name none of them."""
        known = dict(purposes(self._data.get("tools") or []))
        wants = [known.get(str(name)) or "the next part" for name in tools]
        first, rest = wants[0], wants[1:]
        text = f"I need {first} for {{ref}}"
        return (
            f"{text}, and from what that shows then {joined(rest, last='and at last')}."
            if rest
            else f"{text}."
        )

    def _clause_of_another(self, example: Example, rng: random.Random) -> str:
        others = [other for other in self._examples if other is not example and other.text]
        if not others:
            return ""
        clause = rng.choice(sentences(rng.choice(others).text))
        return f"Also, {_lowered(clause)}"

    def _slots_filled(self, text: str, example: Example, rng: random.Random) -> str:
        clause = rng.choice(sentences(rng.choice(self._examples).text) or ["it depends on the rest."])
        keyword, other = _two(self._keywords, rng)
        values = {
            "day": rng.choice(_DAYS),
            "month": rng.choice(_MONTHS),
            "number": str(rng.randint(2, 19)),
            "ref": f"{rng.choice('ABCDEFGHKM')}{rng.randint(1000, 99999)}",
            "keyword": keyword,
            "other": other,
            "clause": _lowered(clause),
        }
        return re.sub(r"\{(\w+)\}", lambda slot: values.get(slot.group(1), slot.group()), text)


def _varied(text: str, rng: random.Random) -> str:
    """The example with other numbers, days, months and a few other words."""
    text = re.sub(r"\d+", lambda match: _other_number(match.group(), rng), text.strip())
    text = re.sub(rf"\b({'|'.join(_DAYS)})\b", lambda _: rng.choice(_DAYS), text)
    text = re.sub(rf"\b({'|'.join(_MONTHS[:4] + _MONTHS[5:])})\b", lambda _: rng.choice(_MONTHS), text)
    for plain, other in rng.sample(_SYNONYMS, k=6):
        text = re.sub(rf"\b{re.escape(plain)}\b", other, text, flags=re.I)
    parts = sentences(text)
    if len(parts) > 2 and rng.random() < 0.5:
        parts[1:] = rng.sample(parts[1:], k=len(parts) - 1)
    text = " ".join(parts)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _other_number(digits: str, rng: random.Random) -> str:
    if len(digits) == 1:
        return str(rng.randint(2, 9))
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in digits[1:])


def _opening(persona: str, rng: random.Random) -> str:
    for pattern, openings in _OPENINGS:
        if re.search(pattern, persona, re.I):
            return rng.choice((*openings, ""))
    return rng.choice(_ANY_OPENINGS)


def _lowered(clause: str) -> str:
    """To follow a comma; "I" and names in capitals stay."""
    first = clause.split()[0]
    return clause if first[:2] in ("I", "I'", "I’") or first.isupper() else f"{clause[0].lower()}{clause[1:]}"


def _retyped(text: str) -> str:
    return re.sub(r"[.!]+$", "!!", text.lower()) if not text.islower() else text.upper()


def _plain(text: str) -> str:
    return " ".join(tokens(text))


def _two(words: Sequence[str], rng: random.Random) -> tuple[str, str]:
    first = rng.choice(words)
    rest = [word for word in words if word != first]
    return first, rng.choice(rest) if rest else "the rest of it"


def _examples(data: Json) -> list[Example]:
    found = []
    for position, item in enumerate(data.get("examples") or []):
        text = item.get("text") or _last_user(item.get("messages"))
        found.append(Example(int(item.get("seed") or 0) if "seed" in item else position, str(text)))
    return found or [Example(0, "")]


def _last_user(messages: Any) -> str:
    turns = messages if isinstance(messages, list) else []
    return next(
        (str(turn.get("content") or "") for turn in reversed(turns) if turn.get("role") == "user"), ""
    )


def _keywords(data: Json, topic: Json, examples: Sequence[Example]) -> list[str]:
    words = [str(word) for word in topic.get("keywords") or []]
    if len(words) < 2:
        words += [str(topic.get("name") or "").lower(), str(data.get("goal") or "")[:40].lower()]
        words += [word for example in examples for word in tokens(example.text) if len(word) > 5][:6]
    return [word for word in dict.fromkeys(words) if word] or ["this"]


def _conversation(text: str, index: int) -> Json:
    rng = seeded("taught", text, index)
    taught = write_answer((Message("user", text),), rng=rng, draw=0.8 + 0.15 * rng.random())
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": taught}]}
