"""What to generate, and which generated rows to keep.

Numbers of domain.md §5. Does not write rows and calls no model: it plans counts, and judges candidates one by
one.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal, Protocol

Strategy = Literal["message_variation", "few_shot", "topic_description", "scenario_expansion", "tool_chain"]
Difficulty = Literal["easy", "medium", "hard"]
RejectionCode = Literal[
    "invalid_structure",
    "no_user_message",
    "llm_artifact",
    "too_short",
    "too_long",
    "duplicate_of_seed",
    "near_duplicate",
    "off_topic",
    "names_a_tool",
    "wrong_tool_calls",
    "changed_facts",
    "lost_meaning",
]

STRATEGIES: tuple[Strategy, ...] = (
    "message_variation",
    "few_shot",
    "topic_description",
    "scenario_expansion",
    "tool_chain",
)
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")
PREVIEW_ABOVE = 20
OFF_TOPIC_CONFIDENCE = 0.8
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
PERSONAS = (
    "a first-time user who does not know the right words",
    "a busy professional who writes in fragments",
    "a frustrated person whose last attempt failed",
    "a polite person who gives more background than needed",
    "an expert who asks about one precise detail",
    "someone writing on a phone, with small typing mistakes",
    "a non-native speaker with simple sentences",
    "a sceptic who wants reasons before acting",
    "someone in a hurry with a deadline today",
    "a careful person who checks every step twice",
    "someone asking on behalf of a relative or colleague",
    "a cheerful regular who knows the product well",
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a candidate is not kept; counted by `code`, and `message` is shown beside the sample."""

    code: RejectionCode
    message: str


@dataclass(frozen=True, slots=True)
class Match:
    """The earlier text that resembles most, and how much (Jaccard, 0 to 1)."""

    key: str
    similarity: float


class Near(Protocol):
    """What remembers texts and finds the one that a new text resembles: `NearDuplicates`, or `tasks.near_duplicates.NearIndex`."""

    def add(self, key: str, text: str) -> None: ...

    def find(self, text: str) -> Match | None: ...


def check(
    messages: object,
    *,
    seeds: Collection[str] = (),
    near: Near | None = None,
    topic: str | None = None,
    predicted: tuple[str | None, float] | None = None,
    min_characters: int = 20,
    max_characters: int = 2000,
    names: Mapping[str, str] | None = None,
) -> Rejection | None:
    """The first rule that the candidate breaks, in the order of §5, or None when it may be kept.

    `messages` is the candidate's list of `{role, content}`; `seeds` the texts it was made from; `near` holds
    the dataset and the batch so far (adding a kept row to it is the caller's part); `predicted` is the
    categoriser's (topic, confidence), compared with `topic`; `names` are what people call the topics.
    """
    turns = _turns(messages)
    if turns is None:
        return Rejection("invalid_structure", "Not a list of messages with a role and text.")
    text = next((content.strip() for role, content in reversed(turns) if role == "user"), "")
    if not text:
        return Rejection("no_user_message", "No user message with text.")
    if any(is_artifact(content) for _, content in turns):
        return Rejection(
            "llm_artifact", "A refusal or a leftover of the template, not something a person wrote."
        )
    return (
        _length(text, min_characters, max_characters)
        or _repeats(text, seeds, near)
        or _off_topic(topic, predicted, names or {})
    )


def is_artifact(text: str) -> bool:
    """Whether a model's own voice or an unfilled template shows. Honest text with "null" or "TODO" passes."""
    plain = text.strip().replace("’", "'")
    return any(pattern.search(plain) for pattern in _ARTIFACTS)


def default_strategy(multi_turn_share: float) -> Strategy:
    """Over half of the rows multi-turn: keep their conversations and vary the last turn; otherwise show
    examples."""
    return "message_variation" if multi_turn_share > 0.5 else "few_shot"


def needs_preview(count: int, *, asked: bool = False) -> bool:
    return asked or count > PREVIEW_ABOVE


def difficulty(index: int) -> Difficulty:
    """Easy, medium, hard in turn, so that every batch holds all three."""
    return DIFFICULTIES[index % len(DIFFICULTIES)]


def persona(index: int) -> str:
    return PERSONAS[index % len(PERSONAS)]


def plan(
    under: Sequence[str], target_topics: Sequence[str] = (), count_per_topic: int = 50
) -> tuple[tuple[str, int], ...]:
    """(topic, count) for each topic asked for, or, when none is named, for each under-represented one."""
    return tuple(
        (topic, count_per_topic) for topic in dict.fromkeys(target_topics or under) if count_per_topic > 0
    )


def expected_counts(counts: Mapping[str, int], planned: Sequence[tuple[str, int]]) -> dict[str, int]:
    """The counts per topic if every planned row is kept; feed it to `coverage.balance_score`."""
    future = dict(counts)
    for topic, count in planned:
        future[topic] = future.get(topic, 0) + count
    return future


@dataclass(slots=True)
class NearDuplicates:
    """Finds earlier texts with at least `threshold` of their character trigrams in common (Jaccard).

    Exact, not approximate: two sets this similar must share one of their first few shingles in a fixed order
    (prefix filtering), so only those few are indexed. The order puts the rarest first, or half of all texts would
    share one; it is fixed anew whenever the number of texts has doubled. Holds the shingles of every text: for
    batches and for some thousand texts; `tasks.near_duplicates.NearIndex` answers the same for hundreds of thousands.
    """

    threshold: float = 0.9
    width: int = 3
    _sets: list[tuple[str, frozenset[int]]] = field(default_factory=list)
    _index: dict[int, list[int]] = field(default_factory=dict)
    _texts_with: Counter[int] = field(default_factory=Counter)
    _order: dict[int, int] = field(default_factory=dict)
    _ordered: int = 0

    def add(self, key: str, text: str) -> None:
        shingles = self._shingles(text)
        self._sets.append((key, shingles))
        self._texts_with.update(shingles)
        if len(self._sets) > 2 * self._ordered:
            self._reorder()
        else:
            self._enter(len(self._sets) - 1, shingles)

    def find(self, text: str) -> Match | None:
        """The most similar earlier text at or above the threshold."""
        shingles = self._shingles(text)
        near = {place for shingle in self._prefix(shingles) for place in self._index.get(shingle, ())}
        matches = [
            Match(self._sets[place][0], _jaccard(shingles, self._sets[place][1])) for place in sorted(near)
        ]
        return max(
            (match for match in matches if match.similarity >= self.threshold - 1e-9),
            key=lambda match: match.similarity,
            default=None,
        )

    def _reorder(self) -> None:
        self._ordered = len(self._sets)
        self._order = dict(self._texts_with)
        self._index = {}
        for place, (_, shingles) in enumerate(self._sets):
            self._enter(place, shingles)

    def _enter(self, place: int, shingles: frozenset[int]) -> None:
        for shingle in self._prefix(shingles):
            self._index.setdefault(shingle, []).append(place)

    def _shingles(self, text: str) -> frozenset[int]:
        plain = f" {normalised(text)} "
        last = max(1, len(plain) - self.width + 1)
        return frozenset(zlib.crc32(plain[start : start + self.width].encode()) for start in range(last))

    def _prefix(self, shingles: frozenset[int]) -> list[int]:
        kept = len(shingles) - ceil(self.threshold * len(shingles) - 1e-9) + 1
        return sorted(shingles, key=lambda shingle: (self._order.get(shingle, 0), shingle))[:kept]


def normalised(text: str) -> str:
    """Letters and digits, case-folded, single spaces: what two texts are compared by."""
    return " ".join("".join(letter if letter.isalnum() else " " for letter in text.casefold()).split())


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _turns(messages: object) -> list[tuple[str, str]] | None:
    if not isinstance(messages, list | tuple) or not messages:
        return None
    turns = [_turn(message) for message in messages]
    return None if None in turns else [turn for turn in turns if turn is not None]


def _turn(message: object) -> tuple[str, str] | None:
    if not isinstance(message, Mapping) or message.get("role") not in ROLES:
        return None
    content = message.get("content")
    if content is None and message.get("tool_calls"):
        content = ""
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return (str(message["role"]), content) if isinstance(content, str) else None


def _length(text: str, low: int, high: int) -> Rejection | None:
    if len(text) < low:
        return Rejection("too_short", f"{len(text)} characters; at least {low} are needed.")
    if len(text) > high:
        return Rejection("too_long", f"{len(text)} characters; at most {high} are kept.")
    return None


def _repeats(text: str, seeds: Collection[str], near: Near | None) -> Rejection | None:
    plain = normalised(text)
    if any(plain == normalised(seed) for seed in seeds):
        return Rejection("duplicate_of_seed", "The same text as the example it was made from.")
    match = near.find(text) if near else None
    if match:
        return Rejection("near_duplicate", f"{match.similarity:.0%} like {match.key}.")
    return None


def _off_topic(
    topic: str | None, predicted: tuple[str | None, float] | None, names: Mapping[str, str]
) -> Rejection | None:
    if topic is None or predicted is None:
        return None
    found, confidence = predicted
    if found == topic or confidence < OFF_TOPIC_CONFIDENCE:
        return None
    reads = names.get(found, found) if found else "no known topic"
    return Rejection("off_topic", f"Reads as {reads} ({confidence:.0%}), not as {names.get(topic, topic)}.")


_REFUSED = (
    r"(?:(?:assist|help)(?: you)? with (?:that|this|your request|creating|generating|writing)\b"
    r"|comply\b|fulfil+ (?:that|this|your|the)\b"
    r"|(?:generate|produce|provide|create|write) (?:that|this|such|more|any|the requested) ?(?:content|examples?|text|messages?|rows?)?\b)"
)
_UNABLE = r"i(?:'m| am)? (?:can't|cannot|can not|won't|(?:un|not )able to) "
_PLACEHOLDERS = (
    "topic|persona|goal|seed|count|examples?|difficulty|strategy|scenario|base_scenario|aspects?|user_message"
)
_ARTIFACTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bas an? (?:large )?(?:ai|language)(?: language)? (?:model|assistant),? i\b",
        rf"^(?:(?:i'm|i am) (?:very |really )?sorry|sorry|unfortunately|my apologies|i apologi[sz]e)?[,.:;]? ?(?:but )?{_UNABLE}{_REFUSED}",
        r"^(?:sure|certainly|of course|absolutely|okay|great)[,!.]+ (?:here(?:'s| is| are)|i've (?:written|created|generated)) ",
        r"^here (?:is|are) (?:an? |the |some |\d+ )?(?:\w+ ){0,3}(?:variations?|rewrites?|rewritten|paraphrases?|examples?|prompts?)\b[^.?!]*:",
        rf"\{{{{?\s*(?:{_PLACEHOLDERS})\s*\}}?\}}",
        r"[\[<](?:insert|your|customer'?s?|user'?s?|company|product) (?:[\w' ]{1,30})?(?:here|name|id|number|text|message)[\]>]",
        r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id)\|>|\[/?INST\]",
        r"^(?:rewritten|generated|synthetic|new) (?:user )?(?:message|prompt|question|text)\s*:",
        r"\blorem ipsum dolor\b",
    )
)
