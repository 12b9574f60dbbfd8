"""`knowledge_concepts`, `knowledge_procedures`, `knowledge_facts`, `knowledge_check`: rows from passages, and a second reading.

Answers are sentences of the passage and quotes are copied; questions are asked of the words around a verb. What a passage orders is not
looked at: it is only ever cut into sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.words import content_words, overlap, sentences, stems

SUPPORTED = 0.6
_VERB = re.compile(
    r"^(?P<subject>[^,;:|]{2,70}?)\s+(?P<verb>is|are|means?|was|were|has|have|takes?|costs?|lasts?|earns?|may|can|cannot|must|get|keeps?"
    r"|expires?|does|do|will|receives?|covers?|ends?|works?)\b"
)
_STEP = re.compile(r"^\s*(?:step\s+)?\(?\d{1,2}[.):]\s+(?P<step>\S.*)$", re.I | re.M)
_ASKED = {
    "concepts": (
        "What is {0}?",
        "Can you explain {0} to me?",
        "What should I know about {0}?",
        "Please tell me about {0} and how it works.",
        "I keep reading about {0}. What is meant by that?",
        "How would you describe {0} to a new colleague?",
        "Somebody asked me about {0}. What do I answer?",
        "In short, {0}: what does it come down to?",
    ),
    "facts": (
        "What exactly is stated about {0}?",
        "Which figure is given for {0}?",
        "Look it up for me: what holds for {0}?",
        "What are the numbers on {0}?",
        "According to the text, what is the rule for {0}?",
        "Find the detail on {0}, please.",
        "What does it say about {0}?",
        "Is there a figure for {0}, and which?",
    ),
    "doing": (
        "How do I go about {0}?",
        "What are the steps for {0}?",
        "Walk me through {0}, please.",
        "A customer waits on the phone: what do I do for {0}?",
        "I have never done {0} before. Where do I start?",
        "What is the right order for {0}?",
        "Please guide me step by step through {0}.",
        "Which steps must I not forget in {0}?",
    ),
    "to do": (
        "How do I {0}?",
        "What are the steps to {0}?",
        "Walk me through it, please: I want to {0}.",
        "A customer waits on the phone. What do I do to {0}?",
        "I had to {0} and got stuck. What is the right order?",
        "Please tell me step by step how to {0}.",
        "Which steps must I not forget when I {0}?",
        "It is my first day: how does one {0}?",
    ),
}


def answer_concepts(ask: Ask, data: Json) -> Json:
    return {"rows": list(_rows("concepts", data))}


def answer_facts(ask: Ask, data: Json) -> Json:
    return {"rows": list(_rows("facts", data))}


def answer_procedures(ask: Ask, data: Json) -> Json:
    """Every procedure's steps as they stand, asked for in several ways."""
    rows = []
    for number, passage in _passages(data):
        text = str(passage.get("text") or "")
        steps = [match["step"].strip() for match in _STEP.finditer(text)]
        if len(steps) < 2:
            continue
        form, about = _named(passage, text)
        for asked in _ASKED[form][: _count(passage)]:
            quote = max(steps, key=len)
            rows.append({"passage": number, "question": asked.format(about), "steps": steps, "quote": quote})
    return {"rows": rows}


def answer_check(ask: Ask, data: Json) -> Json:
    """Supported where the answer's words and figures are the passage's, shown by the sentence that has most of them."""
    texts = {number: str(passage.get("text") or "") for number, passage in _passages(data)}
    checks = []
    for row in data.get("rows") or []:
        text, answer = texts.get(row.get("passage"), ""), str(row.get("answer") or "")
        said = _STEP.sub(lambda match: match["step"], answer)
        figures = set(re.findall(r"\d+", said)) <= set(re.findall(r"\d+", text))
        supported = figures and overlap(stems(said), stems(text)) >= SUPPORTED
        quote = max(_said(text), key=lambda one: overlap(stems(said), stems(one)), default="")
        checks.append({"row": row.get("row"), "supported": supported, "quote": quote if supported else ""})
    return {"checks": checks}


def _rows(kind: str, data: Json) -> Iterator[Json]:
    for number, passage in _passages(data):
        told = [one for one in _said(_STEP.sub("", str(passage.get("text") or ""))) if _subject(one)]
        told = [one for one in told if kind == "concepts" or re.search(r"\d", one)]
        for place in range(_count(passage) if told else 0):
            sentence = told[place % len(told)]
            asked = _ASKED[kind][(place + place // len(told)) % len(_ASKED[kind])]
            about = _subject(sentence)
            several = about.endswith("s") and not about.endswith("ss") and not about.startswith(("a ", "an "))
            question = asked.format(about).replace("What is", "What are" if several else "What is", 1)
            yield {"passage": number, "question": question, "answer": sentence, "quote": sentence}


def _subject(sentence: str) -> str:
    """What the sentence is about, where that can be asked for by itself."""
    found = _VERB.match(sentence)
    words = found["subject"].strip() if found else ""
    unclear = re.search(
        r"^(we|you|they|it|this|that|there|if|when)\b|\b(that|who|which|never|also)\b", words, re.I
    )
    if not content_words(words) or len(words.split()) > 6 or unclear:
        return ""
    first, _, rest = words.partition(" ")
    if rest and first in ("The", "A", "An", "Our", "Every", "All"):
        return f"{first.lower()} {rest}"
    return words[:1].lower() + words[1:] if words.endswith("s") and words[1:].islower() else words


def _named(passage: Json, text: str) -> tuple[str, str]:
    """How the passage's heading is asked for: what somebody wants to do, or the doing of it."""
    headings = [str(one) for one in passage.get("headings") or []]
    title = headings[-1] if headings else (sentences(text) or ["this"])[0][:60]
    wanted = re.match(r"how (?:to|do i)\s+(?P<what>.+)$", title.strip(), re.I)
    plain = (wanted["what"] if wanted else title).strip().rstrip(".:?")
    inside = plain if plain[:2].isupper() else plain[:1].lower() + plain[1:]
    return ("to do" if wanted else "doing"), inside


def _said(text: str) -> list[str]:
    """The sentences, those of steps without their numbers."""
    kept = [_STEP.sub(lambda match: match["step"], line) for line in text.splitlines()]
    return [
        one
        for line in kept
        for one in sentences(line)
        if 15 <= len(one) <= 600 and not one.endswith((":", "?"))
    ]


def _passages(data: Json) -> list[tuple[int, Json]]:
    found: Sequence[object] = data.get("passages") or []
    return [(int(one.get("passage") or 0), one) for one in found if isinstance(one, dict)]


def _count(passage: Json) -> int:
    value = passage.get("count")
    return min(8, value) if isinstance(value, int) and value > 0 else 0
