"""`topic_labels`: each row goes to the topic it shares most words with; no shared word is "none"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.words import overlap, stems

NAME_WEIGHT = 1.0
KEYWORD_WEIGHT = 1.0
DESCRIPTION_WEIGHT = 0.4


def answer_labels(ask: Ask, data: Json) -> Json:
    """`{labels: [{row, topic, confidence}]}`, one label for every row given."""
    topics = [(str(topic.get("id")), _weights(topic)) for topic in data.get("topics") or []]
    labels = []
    for row in data.get("rows") or []:
        topic, confidence = label(str(row.get("text") or ""), topics)
        labels.append({"row": row.get("row"), "topic": topic, "confidence": confidence})
    return {"labels": labels}


def label(text: str, topics: Sequence[tuple[str, Mapping[str, float]]]) -> tuple[str, float]:
    """Topic id and confidence; the confidence grows with the evidence and with the lead over the second."""
    said = set(stems(text))
    scored = sorted(
        ((sum(weights.get(stem, 0.0) for stem in said), -place) for place, (_, weights) in enumerate(topics)),
        reverse=True,
    )
    if not scored or scored[0][0] <= 0:
        return "none", 0.3
    best, place = scored[0]
    second = scored[1][0] if len(scored) > 1 else 0.0
    confidence = 0.5 + 0.3 * (best - second) / best + 0.06 * min(best, 3.0)
    return topics[-place][0], round(min(confidence, 0.97), 2)


def _weights(topic: Mapping[str, object]) -> dict[str, float]:
    """Stem → how strongly it speaks for the topic."""
    weights: dict[str, float] = {}
    keywords = topic.get("keywords")
    keyword_text = " ".join(str(word) for word in keywords) if isinstance(keywords, list) else ""
    for text, weight in (
        (str(topic.get("description") or ""), DESCRIPTION_WEIGHT),
        (keyword_text, KEYWORD_WEIGHT),
        (
            f"{topic.get('name') or ''} {str(topic.get('id') or '').replace('_', ' ').replace('/', ' ')}",
            NAME_WEIGHT,
        ),
    ):
        for stem in stems(text):
            weights[stem] = max(weights.get(stem, 0.0), weight)
    return weights


def closest(words: str, names: Mapping[str, str]) -> str:
    """Key of the name that shares most words with `words`; "" when none does."""
    wanted = stems(words)
    best = max(names, key=lambda key: overlap(stems(names[key]), wanted), default="")
    return best if best and overlap(stems(names[best]), wanted) > 0 else ""
