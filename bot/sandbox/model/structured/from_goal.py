"""`goal_topics` and `personas`: what a goal alone leads to, made from the goal's own words and from what all help desks have in common."""

from __future__ import annotations

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.words import content_words, title_case

_KINDS = (
    ("Getting started", "first steps, before anything is set up", ("start", "set up", "first time", "account", "begin")),
    ("How it works", "what something is and how it is meant to be used", ("how", "explain", "difference", "meaning", "steps")),
    ("Something went wrong", "errors, and what was expected instead", ("error", "not working", "failed", "wrong", "broken")),
    ("Changing something", "changes and corrections to what exists", ("change", "update", "correct", "cancel", "move")),
    ("Costs and terms", "prices, conditions and deadlines", ("price", "cost", "deadline", "terms", "invoice")),
    ("Unhappy customers", "complaints and requests to make up for something", ("complaint", "unhappy", "waiting", "refund", "apology")),
    ("Unusual cases", "exceptions and several things at once", ("exception", "special", "both", "unusual", "combination")),
    ("Not for us", "requests to turn down politely or to pass on", ("somebody else", "other company", "advice", "private", "lawyer")),
)  # fmt: skip
_VOICES = (
    "a newcomer who does not know the right words for {subject}",
    "an experienced user who asks about one exact detail of {subject}",
    "someone in a hurry who writes in fragments",
    "a worried person whose last attempt went wrong",
    "a colleague who asks on behalf of a customer",
    "a careful person who wants to be sure before acting",
    "someone on a phone with short messages and small mistakes",
    "a regular who knows {subject} well and is friendly about it",
)


def answer_topics(ask: Ask, data: Json) -> Json:
    """`{topics: [{path, description, keywords}], personas: [str]}`."""
    subjects = _subjects(str(data.get("goal") or ""))
    count = max(1, min(int(data.get("count") or 6), len(_KINDS) * len(subjects)))
    topics = []
    for place in range(count):
        name, covers, words = _KINDS[place % len(_KINDS)]
        subject = subjects[(place // len(_KINDS)) % len(subjects)]
        path = [name] if place < len(_KINDS) else [name, title_case(subject)]
        keywords = [*words, *(f"{subject} {word}" for word in words[:1])]
        topics.append(
            {
                "path": path,
                "description": f"{covers[:1].upper()}{covers[1:]}, about {subject}.",
                "keywords": keywords,
            }
        )
    return {"topics": topics, "personas": _voices(data, subjects[0])}


def answer_personas(ask: Ask, data: Json) -> Json:
    """`{personas: [str]}`."""
    return {"personas": _voices({"personas": data.get("count")}, _subjects(str(data.get("goal") or ""))[0])}


def _voices(data: Json, subject: str) -> list[str]:
    return [voice.format(subject=subject) for voice in _VOICES[: max(2, int(data.get("personas") or 8))]]


def _subjects(goal: str) -> list[str]:
    """The longer words of the goal, the last first: what it is about stands at the end of most sentences."""
    words = [word for word in content_words(goal) if len(word) > 4 and not word.isdigit()]
    return list(dict.fromkeys(reversed(words)))[:4] or ["the product"]
