"""The cheap stages of categorising: keywords that agree, and similarity whose confidence means what it says."""

from __future__ import annotations

import random

import pytest

from storage.records import Topic
from tasks.steps.labelling import FEWEST_TO_CALIBRATE, UNCALIBRATED, Keywords, fitted

BILLING = Topic("billing", "Billing", "", ("refund", "invoice", "credit card"))
LOGIN = Topic("login", "Login", "", ("password", "locked out", "account"))
DATA = Topic("data", "Data", "", ("account", "privacy"))


@pytest.mark.parametrize(
    ("text", "topic", "accepted"),
    [
        ("Please refund my invoice", "billing", True),
        ("Refunds of invoices, please", "billing", True),
        ("My credit card has no refund and no invoice", "billing", True),
        ("I forgot my password", "login", False),
        ("Refund my password invoice", "billing", False),
        ("My account", None, False),
        ("Horses", None, False),
        ("", None, False),
        ("An accountant's invoicement", None, False),
    ],
)
def test_keywords_are_sure_only_where_several_agree(text: str, topic: str | None, accepted: bool) -> None:
    label = Keywords((BILLING, LOGIN, DATA)).label(text)
    assert (label.topic if label else None) == topic
    assert (label is not None and label.confidence >= 0.9) == accepted


def cloud(rng: random.Random, centre: tuple[float, float], count: int, width: float) -> list[list[float]]:
    made = []
    for _ in range(count):
        x, y = (part + rng.gauss(0, width) for part in centre)
        length = (x * x + y * y) ** 0.5
        made.append([x / length, y / length])
    return made


@pytest.mark.parametrize("width", [0.1, 0.5, 1.0])
def test_confidence_is_about_how_often_it_is_right(width: float) -> None:
    rng = random.Random(1)
    known = {"a": cloud(rng, (1, 0), 300, width), "b": cloud(rng, (0, 1), 300, width)}
    similarity = fitted({"a": [1.0, 0.0], "b": [0.0, 1.0]}, known)
    fresh = {"a": cloud(rng, (1, 0), 400, width), "b": cloud(rng, (0, 1), 400, width)}
    labels = [(topic, label) for topic, vectors in fresh.items() for label in similarity.labels(vectors)]
    right = sum(label.topic == topic for topic, label in labels) / len(labels)
    claimed = sum(label.confidence for _, label in labels) / len(labels)
    assert claimed == pytest.approx(right, abs=0.1)


def test_without_known_rows_little_is_trusted() -> None:
    similarity = fitted({"a": [1.0, 0.0], "b": [0.0, 1.0]}, {"a": [[1.0, 0.0]] * (FEWEST_TO_CALIBRATE // 2)})
    assert (similarity.sharpness, similarity.calibrated) == (UNCALIBRATED, 0)
    (label,) = similarity.labels([[0.8, 0.6]])
    assert label.confidence < 0.7


def test_a_text_far_from_everything_is_not_trusted() -> None:
    similarity = fitted({"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0]}, {})
    (label,) = similarity.labels([[0.02, 0.0, 0.9998]])
    assert label.confidence < 0.1


def test_nothing_gives_nothing() -> None:
    assert fitted({"a": [1.0, 0.0]}, {}).labels([]) == []
