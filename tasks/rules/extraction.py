"""Rows from a passage without any model: definitions, numbered steps, sentences with figures, each answered in the passage's own words.

Plain and few, and honest: an answer is always a stretch of the passage. Where a sentence has no form that is known here, nothing is made
of it; a model reads better, but is not always there or allowed to see the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tasks.rules.grounding import figures_in, sentences_of
from tasks.rules.knowledge import Candidate, Kind, steps_in

LONGEST_ANSWER = 600
_SUBJECT = (
    r"(?P<subject>(?:(?:The|An?|Our|Your|Every|Each|All|Any)\s+)?[^\W_][\w'’/&.-]*(?:\s+[\w'’/&().-]+){0,6}?)"
)
_DEFINES = re.compile(
    rf"^{_SUBJECT}\s+(?P<verb>is|are|means|mean|refers to|refer to|describes|stands for|consists of)\s+(?P<rest>.{{8,}})$"
)
_LABEL = re.compile(r"^[-*•]?\s*(?P<term>[^\W\d_][^:|–]{1,60}?)\s*(?::|\s[–—-]|\s\|)\s+(?P<rest>\S.{8,})$")
_STATES = re.compile(
    rf"^{_SUBJECT}\s+(?:is|are|was|were|has|have|takes?|costs?|lasts?|opens?|closes?|expires?|must|may|can|cannot|will|keeps?|gets?"
    r"|applies|apply|covers?|includes?|requires?|needs?|holds?|begins?|starts?|ends?|earns?|pays?|runs?|weighs?|contains?)\b"
)
_VAGUE = frozenset(
    """it this that these those they we you he she there here what who which where when if in on at for to as by with while although
    however also then please and but or so such one some many most""".split()  # noqa: SIM905  one word a line reads worse
)


def candidates(kind: Kind, text: str, headings: Sequence[str], most: int) -> tuple[Candidate, ...]:
    """At most that many rows of a kind, in the order of the passage; often fewer, sometimes none."""
    found = {"concepts": _concepts, "procedures": _procedures, "facts": _facts}[kind](text, headings)
    return tuple(row for row, _ in zip(found, range(most), strict=False))


def _concepts(text: str, headings: Sequence[str]) -> Iterator[Candidate]:
    if steps_in(text):
        text = re.sub(r"^[ \t]*\(?\d{1,2}[.)]\s.*$", "", text, flags=re.MULTILINE)
    for said in _said(text):
        label, found = _LABEL.match(said), _DEFINES.match(said)
        if label and not said.endswith("?"):
            yield Candidate(f"What does “{label['term']}” mean?", label["rest"], said)
        elif found and _is_clear(found["subject"]):
            plural = found["verb"] in ("are", "mean", "refer to")
            asked = f"What {'are' if plural else 'is'} {_lower(found['subject'])}?"
            yield Candidate(asked, said, said)


def _procedures(text: str, headings: Sequence[str]) -> Iterator[Candidate]:
    steps = steps_in(text)
    if not steps or not headings:
        return
    answer = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    yield Candidate(_how(headings[-1]), answer, max(steps, key=len))


def _facts(text: str, headings: Sequence[str]) -> Iterator[Candidate]:
    for said in _said(text):
        found = _STATES.match(said)
        if found and figures_in(said) and _is_clear(found["subject"]):
            yield Candidate(f"What does the passage say about {_lower(found['subject'])}?", said, said)


def _said(text: str) -> Iterator[str]:
    for sentence in sentences_of(text):
        if 15 <= len(sentence) <= LONGEST_ANSWER and not sentence.endswith((":", "?")):
            yield sentence


def _is_clear(subject: str) -> bool:
    """Whether the subject tells by itself what is spoken of."""
    words = subject.casefold().split()
    return words[0] not in _VAGUE and not all(word in _VAGUE for word in words) and "," not in subject


def _lower(subject: str) -> str:
    """The subject inside a sentence: an article loses its capital, a name keeps it."""
    first, _, rest = subject.partition(" ")
    return (
        f"{first.lower()} {rest}"
        if rest and first in ("The", "A", "An", "Our", "Your", "Every", "Each", "All", "Any")
        else subject
    )


def _how(title: str) -> str:
    """The question that a heading answers with steps."""
    plain = re.sub(r"^\d+(?:\.\d+)*[.)]?\s+", "", title).strip().rstrip(".:")
    asked = re.match(r"how (?:to|do (?:i|you|we))\s+(.+)$", plain, re.IGNORECASE)
    if asked:
        return f"How do I {asked[1].rstrip('?')}?"
    first = plain.split(" ")[0] if plain else ""
    inside = plain if first.isupper() else plain[:1].lower() + plain[1:]
    if first.casefold().endswith("ing"):
        return f"What are the steps for {inside}?"
    return f"How do I do this: {inside}?"
