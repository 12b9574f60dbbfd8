"""Which rows a passage can give, how many, and which of those that were written are kept.

Three kinds (domain.md §10): concepts become questions and answers; procedures become instructions with steps; facts become questions that are
answered from the passage, which travels with the question, so that the model learns to look things up. What a passage is good for is
told by its form. Calls no model; what a model or `extraction.py` wrote is judged here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.rules import generation, grounding

Kind = Literal["concepts", "procedures", "facts"]
KINDS: tuple[Kind, ...] = ("concepts", "procedures", "facts")
PER_PASSAGE = 3
MOST_PER_PASSAGE = 8
LONGEST_QUESTION, LONGEST_ANSWER = 600, 4_000  # characters
LEAST_STEPS = 2

RejectionCode = Literal[
    "invalid_structure",
    "unknown_passage",
    "llm_artifact",
    "too_short",
    "too_long",
    "too_many",
    "not_grounded",
    "not_about_passage",
    "not_supported",
    "near_duplicate",
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row as it was written: for a procedure `answer` holds the numbered steps."""

    question: str
    answer: str
    quote: str


@dataclass(frozen=True, slots=True)
class Rejection:
    code: RejectionCode
    message: str


def kinds_for(text: str, headings: Sequence[str], wanted: Sequence[Kind] = KINDS) -> tuple[Kind, ...]:
    """What the passage is good for, of what is wanted. Most passages explain; steps make a procedure; figures make facts."""
    steps = steps_in(text)
    prose = _STEP_LINE.sub("", text)
    words = len((prose if steps else text).split())
    found: list[Kind] = []
    if words >= (25 if steps else 6):
        found.append("concepts")
    if steps:
        found.append("procedures")
    if grounding.figures_in(prose) or _is_table(text):
        found.append("facts")
    return tuple(kind for kind in found if kind in wanted)


def rows_for(tokens: int) -> int:
    """How many rows of one kind are asked of a passage: three, more of a long one."""
    return PER_PASSAGE if tokens < 150 else min(MOST_PER_PASSAGE, PER_PASSAGE + tokens // 100)


def steps_in(text: str) -> tuple[str, ...]:
    """The numbered steps of a passage, without their numbers; empty where there are fewer than two in order."""
    found = [(int(match[1]), match[2].strip()) for match in _STEP_LINE.finditer(text)]
    numbers = [number for number, _ in found]
    in_order = numbers[:LEAST_STEPS] == [1, 2][:LEAST_STEPS]
    return tuple(step for _, step in found) if len(found) >= LEAST_STEPS and in_order else ()


def candidate(kind: Kind, given: Mapping[str, Any]) -> Candidate | None:
    """What a model wrote, as a candidate; None when a part is missing or of the wrong kind."""
    question, quote, answer = given.get("question"), given.get("quote"), given.get("answer")
    if kind == "procedures":
        steps = given.get("steps")
        if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
            return None
        kept = [_STEP_NUMBER.sub("", step).strip() for step in steps if step.strip()]
        answer = "\n".join(f"{number}. {step}" for number, step in enumerate(kept, start=1))
    texts = [value.strip() for value in (question, answer, quote) if isinstance(value, str)]
    return Candidate(*texts) if len(texts) == 3 else None


def check(
    kind: Kind, row: Candidate, passage: str, headings: Sequence[str], near: Questions, where: str
) -> Rejection | None:
    """The first rule that a row breaks, or None. `where` names the passage. Adding a kept question to `near` is the
    caller's part."""
    wrong = _form(kind, row) or grounded(row, passage, headings)
    if wrong is not None:
        return wrong
    match = near.find(row.question, kind, where)
    if match is not None:
        return Rejection("near_duplicate", f"{match.similarity:.0%} like {match.key}.")
    return None


def grounded(row: Candidate, passage: str, headings: Sequence[str]) -> Rejection | None:
    """What the passage says about the row (`rules.grounding`)."""
    found = grounding.check(
        question=row.question, answer=row.answer, quote=row.quote, passage=passage, headings=headings
    )
    return None if found is None else Rejection(found.code, found.message)


def _form(kind: Kind, row: Candidate) -> Rejection | None:
    if len(row.question) < 10 or not row.answer:
        return Rejection("too_short", "No question, or no answer.")
    if len(row.question) > LONGEST_QUESTION or len(row.answer) > LONGEST_ANSWER:
        return Rejection("too_long", "Longer than a question and its answer should be.")
    if kind == "procedures" and row.answer.count("\n") + 1 < LEAST_STEPS:
        return Rejection("too_short", "A procedure has at least two steps.")
    if generation.is_artifact(row.question) or generation.is_artifact(row.answer):
        return Rejection("llm_artifact", "A refusal or a leftover of the template.")
    return None


@dataclass(slots=True)
class Questions:
    """The questions so far. Two with different figures ("error 101", "error 102") are different questions; so are two facts asked
    of different passages, for the passage stands beside the question."""

    _by_figures: dict[tuple[str, frozenset[str]], generation.NearDuplicates] = field(default_factory=dict)

    def find(self, question: str, kind: str, where: str) -> generation.Match | None:
        return self._like(question, kind, where).find(question)

    def add(self, key: str, question: str, kind: str, where: str) -> None:
        self._like(question, kind, where).add(key, question)

    def _like(self, question: str, kind: str, where: str) -> generation.NearDuplicates:
        name = (where if kind == "facts" else "", grounding.figures_in(question))
        return self._by_figures.setdefault(name, generation.NearDuplicates())


def messages(kind: Kind, row: Candidate, passage: str) -> list[dict[str, str]]:
    """The row as a conversation. A fact is asked together with its passage, which stays in the person's turn: what a document
    says is material, never an instruction to the model."""
    asked = (
        f'{row.question}\n\nAnswer from this passage only:\n"""\n{passage}\n"""'
        if kind == "facts"
        else row.question
    )
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": row.answer}]


def question_of(kind: str, message: str) -> str:
    """The question alone, of a user's turn as `messages` made it."""
    return message.partition("\n\nAnswer from this passage only:")[0] if kind == "facts" else message


def section_of(document: str, path: Sequence[str], level: int) -> str:
    """What rows of one section share, for splitting: document and the headings down to `level`."""
    return " › ".join((document, *path[:level]))


def branching_level(paths: Sequence[Sequence[str]]) -> int:
    """How many headings tell the sections of a document apart: the first level with several names, so that a title that
    everything stands under does not count. 0 where there is nothing to tell apart."""
    deepest = max((len(path) for path in paths), default=0)
    for level in range(1, deepest + 1):
        if len({tuple(path[:level]) for path in paths}) > 1:
            return level
    return 0


def _is_table(text: str) -> bool:
    return sum(" | " in line for line in text.splitlines()) >= 2


_STEP_LINE = re.compile(r"^[ \t]*(?:step\s+)?\(?(\d{1,2})[.):][ \t]+(\S.*)$", re.IGNORECASE | re.MULTILINE)
_STEP_NUMBER = re.compile(r"^\s*(?:step\s+)?\(?\d{1,2}[.):]\s+", re.IGNORECASE)
