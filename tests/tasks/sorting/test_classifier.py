"""Learning from few sure texts and many others: what neighbours know, what centres say, and what a file does not hide."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from tasks.sorting.calibration import Calibration
from tasks.sorting.classifier import ENOUGH, FAR, Lesson, Linear, centred, learned, taught
from tasks.sorting.weights import Weights, fitted

DESCRIBED = ["Refunds: refund", "Login: password"]
PARTS = (
    ("refund", "money", "card", "paid", "bank", "amount"),
    ("password", "reset", "mail", "code", "locked", "browser"),
)


def texts(count: int, *, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Half of each topic; three words of it each, so that few hold the topic's keyword."""
    chance = random.Random(seed)
    truth = [place % 2 for place in range(count)]
    made = [
        " ".join((*chance.sample(PARTS[topic], 3), chance.choice(("lamp", "chair", "phone"))))
        for topic in truth
    ]
    return made, np.array(truth)


def lesson(said: list[str], *, sure: np.ndarray | None = None, fair: bool = False) -> tuple[Lesson, Weights]:
    """What keywords know: a vote where the first word of a topic stands."""
    weights, _ = fitted([*DESCRIBED, *said])
    votes = np.zeros((len(said), 2))
    for place, text in enumerate(said):
        for topic, words in enumerate(PARTS):
            votes[place, topic] = 0.7 * (words[0] in text.split())
    nothing = np.full(len(said), -1)
    return Lesson(
        weights.of(said), weights.of(DESCRIBED), votes, nothing if sure is None else sure, fair
    ), weights


def accuracy(linear: Linear, weights: Weights) -> float:
    said, truth = texts(400, seed=1)
    return float((linear.guesses(weights.of(said))[0] == truth).mean())


def test_neighbours_carry_a_keyword_to_texts_that_do_not_hold_it() -> None:
    found, weights = lesson(texts(300)[0])
    silent = found.votes.max(axis=1) == 0
    assert silent.mean() > 0.4
    assert accuracy(learned(found), weights) > 0.95


def test_what_is_known_travels_further_than_shared_words() -> None:
    """The last texts of each chain share no word with those that hold a keyword."""
    chains = [
        [f"{topic}{step} {topic}{step + 1} {topic}{step + 2}" for step in range(6)]
        for topic in ("left", "right")
    ]
    said = [text for chain in chains for text in chain for _ in range(5)]
    weights, _ = fitted([*DESCRIBED, *said])
    votes = np.zeros((len(said), 2))
    votes[:5, 0] = votes[30:35, 1] = 1.0
    shares = taught(Lesson(weights.of(said), weights.of(DESCRIBED), votes, np.full(len(said), -1)))
    assert shares[25:30, 0].min() > 0.6 and shares[55:60, 1].min() > 0.6


def test_people_who_sorted_one_topic_only_do_not_make_the_others_vanish() -> None:
    said, truth = texts(900)
    sure = np.where((truth == 0) & (np.arange(len(said)) < 2 * ENOUGH + 100), truth, -1)
    found, weights = lesson(said, sure=sure)
    assert (sure >= 0).sum() >= ENOUGH
    assert accuracy(learned(found), weights) > 0.95 > accuracy(learned(replace(found, fair=True)), weights)


def test_a_fair_sample_of_sure_texts_needs_no_teacher() -> None:
    said, truth = texts(2 * ENOUGH)
    sure = np.where(np.arange(len(said)) < ENOUGH, 1 - truth, -1)  # the opposite of what keywords say
    found, weights = lesson(said, sure=sure, fair=True)
    assert accuracy(learned(found), weights) < 0.2


def test_what_people_chose_outweighs_keywords_and_does_not_replace_them() -> None:
    said, truth = texts(300)
    sure = np.where(np.arange(len(said)) < 20, truth, -1)
    found, weights = lesson(said, sure=sure)
    assert accuracy(learned(found), weights) > 0.95


def test_held_out_texts_are_forgotten() -> None:
    found, _ = lesson(texts(40)[0], sure=np.zeros(40, dtype=np.int64))
    out = found.without(np.array([3, 4]))
    assert out.sure[[3, 4]].tolist() == [-1, -1] and out.votes[[3, 4]].sum() == 0
    assert found.sure[3] == 0


def test_dense_vectors_are_compared_with_centres_and_far_texts_are_not_trusted() -> None:
    points = np.eye(3, dtype=np.float32)
    found = Lesson(points[[0, 1, 0, 1]], points[:2], np.zeros((4, 2)), np.full(4, -1))
    linear = learned(found)
    assert linear.far == pytest.approx(8.0 * FAR)
    best, confidence = linear.guesses(points)
    assert best[:2].tolist() == [0, 1]
    assert confidence[2] == 0.0


@pytest.mark.parametrize("topics", [1, 2])
def test_little_to_learn_from_is_no_error(topics: int) -> None:
    weights, _ = fitted(["refund money", *DESCRIBED[:topics]])
    found = Lesson(
        weights.of(["refund money"]), weights.of(DESCRIBED[:topics]), np.zeros((1, topics)), np.array([-1])
    )
    assert learned(found).guesses(weights.of(["refund money", ""]))[0].tolist()[0] == 0


def test_stored_and_read_back_it_guesses_the_same() -> None:
    found, weights = lesson(texts(60)[0])
    linear = centred(found).calibrated(Calibration(1.2, -0.3, 44))
    again = Linear.from_arrays(linear.arrays())
    assert again.calibration == linear.calibration
    one, other = linear.guesses(found.features), again.guesses(found.features)
    assert (one[0] == other[0]).all() and one[1] == pytest.approx(other[1])
    assert weights.features == linear.weights.shape[0]
