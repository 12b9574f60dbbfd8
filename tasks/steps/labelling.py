"""The two cheap stages of categorising: keywords, and similarity with a confidence that means what it says. Pure.

Keywords decide only where they agree; similarity is calibrated on rows whose topic is known, and trusted little where
none is. The dear stage, a model, is in `categorize.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from storage.records import Topic

KEYWORD_ACCEPTED = 0.9
FEWEST_TO_CALIBRATE = 20
SHARPNESS = (2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
UNCALIBRATED = 4.0  # so soft that only an unmistakable row passes a threshold of 0.7
FAR = 0.2  # similarity below which a text has little to do with any topic
_WORD = re.compile(r"\w+")

Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class Label:
    topic: str
    confidence: float


class Keywords:
    """Looks for the leaves' keywords as whole words, plurals included."""

    def __init__(self, leaves: Iterable[Topic]) -> None:
        self._phrases: dict[str, list[tuple[str, ...]]] = {}
        owners: dict[tuple[str, ...], set[str]] = {}
        for leaf in leaves:
            phrases = {tuple(_words(word)) for word in (*leaf.keywords, leaf.name)} - {()}
            self._phrases[leaf.id] = sorted(phrases)
            for phrase in phrases:
                owners.setdefault(phrase, set()).add(leaf.id)
        self._shared = {phrase for phrase, topics in owners.items() if len(topics) > 1}

    def label(self, text: str) -> Label | None:
        """The topic that keywords point to; 0.9 and more only when several point to it and none elsewhere."""
        words = _words(text)
        grams = {
            tuple(words[start : start + size])
            for size in (1, 2, 3, 4)
            for start in range(len(words) - size + 1)
        }
        hits = {
            topic: [phrase for phrase in phrases if phrase in grams and phrase not in self._shared]
            for topic, phrases in self._phrases.items()
        }
        found = {topic: phrases for topic, phrases in hits.items() if phrases}
        if not found:
            return None
        weights = {
            topic: sum(1.0 + 0.5 * (len(phrase) - 1) for phrase in phrases)
            for topic, phrases in found.items()
        }
        best = max(weights, key=lambda topic: weights[topic])
        return Label(best, _keyword_confidence(weights[best], sum(weights.values()) - weights[best]))


def _keyword_confidence(best: float, others: float) -> float:
    if others:
        return round(0.8 * best / (best + others), 4)
    return {True: 0.96, False: 0.92}[best >= 3] if best >= 2 else 0.7 + 0.1 * (best > 1)


def _words(text: str) -> list[str]:
    return [_singular(word) for word in _WORD.findall(text.casefold().replace("_", " "))]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@dataclass(frozen=True, slots=True)
class Similarity:
    """Topics as points; a text's confidence is a softmax over its similarities. `calibrated` says on how many rows."""

    topics: tuple[str, ...]
    centres: tuple[Vector, ...]
    sharpness: float = UNCALIBRATED
    calibrated: int = 0

    def labels(self, vectors: Sequence[Vector]) -> list[Label]:
        """A label for each vector. One matrix product, since parts have ten thousand rows."""
        if not vectors:
            return []
        likeness = np.asarray(vectors, dtype=float) @ np.asarray(self.centres, dtype=float).T
        weights = np.exp(self.sharpness * (likeness - likeness.max(axis=1, keepdims=True)))
        best = likeness.argmax(axis=1)
        rows = np.arange(len(best))
        shares = weights[rows, best] / weights.sum(axis=1)
        near = np.clip(likeness[rows, best] / FAR, 0.0, 1.0)  # far from every topic is near to none
        return [
            Label(self.topics[int(topic)], round(float(confidence), 4))
            for topic, confidence in zip(best, shares * near, strict=True)
        ]


def fitted(described: Mapping[str, Vector], known: Mapping[str, Sequence[Vector]]) -> Similarity:
    """Topics at the mean of their description and of rows whose topic is known; calibrated on the other half of those rows."""
    centres = {
        topic: _centre([vector, *list(known.get(topic, ()))[::2]]) for topic, vector in described.items()
    }
    held_out = [
        (topic, vector)
        for topic, vectors in known.items()
        if topic in centres
        for vector in list(vectors)[1::2]
    ]
    topics = tuple(centres)
    base = Similarity(topics, tuple(centres.values()))
    if len(held_out) < FEWEST_TO_CALIBRATE or len(topics) < 2:
        return base
    likeness = [
        (topics.index(topic), [_dot(vector, centre) for centre in base.centres]) for topic, vector in held_out
    ]
    sharpness = min(SHARPNESS, key=lambda value: _loss(likeness, value))
    return Similarity(topics, base.centres, sharpness, len(held_out))


def _loss(likeness: Sequence[tuple[int, list[float]]], sharpness: float) -> float:
    """Mean negative log-likelihood of the right topic: the proper score that temperature scaling minimises."""
    return -sum(math.log(max(1e-9, _softmax(row, sharpness)[right])) for right, row in likeness) / len(
        likeness
    )


def _softmax(values: Sequence[float], sharpness: float) -> list[float]:
    top = max(values)
    weights = [math.exp(sharpness * (value - top)) for value in values]
    whole = sum(weights)
    return [weight / whole for weight in weights]


def _centre(vectors: Sequence[Vector]) -> Vector:
    total = [sum(column) for column in zip(*vectors, strict=True)]
    length = math.sqrt(_dot(total, total))
    return [part / length for part in total] if length else total


def _dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
