"""Which topic a text is most like, learned from few sure texts and many others; linear, so that a million rows cost one product.

Three ways, by how much is known for sure (of people or a model). Much, and a fair sample: multinomial logistic regression on just
that. Else, on sparse weights: a teacher looks at the sample as a whole, passes what keywords say on to each text's nearest neighbours and weighs
it with the nearness to the topics' centres; the regression is the student that learns from it, and what all rows meet. Else, on a
server's embeddings: the nearness to the centres alone, which those are made for. Features are matrices of rows of length 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.sorting.calibration import UNCALIBRATED, Calibration
from tasks.sorting.tokens import Ints

Matrix = Any  # scipy.sparse.csr_matrix or a numpy array; (texts, features)
Shares = NDArray[np.float64]  # (texts, topics), rows sum to 1

FAR = 0.2  # likeness below which a text has little to do with any topic
SHARPNESS = 8.0  # of the centres' shares, before anything calibrates them
NEIGHBOURS = 12
BLOCK = 250  # texts compared with all others at a time: bounds memory
PASSES = 30
KEPT = 0.9  # of what neighbours say, on each pass
LATENT = 100  # dimensions in which neighbours are looked for
LEAST_WEIGHT = 0.3  # of a text in the student's eyes, however unsure the teacher was
ENOUGH = 200  # texts known for sure, with which a fair sample needs no teacher
TEACHER_COUNTS = 100  # texts known for sure that weigh as much as the teacher


@dataclass(frozen=True, slots=True)
class Linear:
    """`weights` (features, topics) and `bias` (topics). `far`: below this likeness confidence shrinks; 0 where it does not apply."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    calibration: Calibration = UNCALIBRATED
    far: float = 0.0

    def shares(self, features: Matrix) -> Shares:
        """The topics' shares of each text, as they come from the model."""
        return softmax(np.asarray(features @ self.weights, dtype=np.float64) + self.bias)

    def guesses(self, features: Matrix) -> tuple[Ints, Shares]:
        """(place of the likeliest topic, calibrated confidence in it) of each text."""
        scores = np.asarray(features @ self.weights, dtype=np.float64)
        shares = softmax(scores + self.bias)
        best = shares.argmax(axis=1)
        rows = np.arange(len(best))
        confidence = self.calibration.applied(shares[rows, best])
        if self.far:
            confidence = confidence * np.clip(scores[rows, best] / self.far, 0.0, 1.0)
        return best, confidence

    def calibrated(self, calibration: Calibration) -> Linear:
        return replace(self, calibration=calibration)

    def arrays(self) -> dict[str, NDArray[Any]]:
        numbers = [self.calibration.slope, self.calibration.shift, float(self.calibration.rows), self.far]
        return {"weights": self.weights, "bias": self.bias, "numbers": np.array(numbers)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Linear:
        slope, shift, rows, far = (float(number) for number in arrays["numbers"])
        return cls(arrays["weights"], arrays["bias"], Calibration(slope, shift, int(rows)), far)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is known of a sample: `votes` (texts, topics) of the cheap stage, each row summing to at most 1, and `sure`, the
    topic's place of texts that people or a model have decided, -1 for the others."""

    features: Matrix
    described: Matrix
    votes: Shares
    sure: Ints
    fair: bool = False  # whether what is sure was drawn at random, rather than chosen by people
    _seen: dict[str, Matrix] = field(default_factory=dict)  # shared by lessons on the same features

    @property
    def topics(self) -> int:
        return int(self.described.shape[0])

    def graph(self) -> Matrix:
        """Each text's nearest neighbours, found once."""
        if "graph" not in self._seen:
            self._seen["graph"] = _graph(self.features)
        return self._seen["graph"]

    def without(self, texts: Ints) -> Lesson:
        """The same with nothing known of those texts: what they are held out for."""
        votes, sure = self.votes.copy(), self.sure.copy()
        votes[texts], sure[texts] = 0.0, -1
        return replace(self, votes=votes, sure=sure)


def learned(lesson: Lesson) -> Linear:
    """What all rows meet. Takes seconds for ten thousand texts."""
    sure = int((lesson.sure >= 0).sum())
    texts, features = lesson.features.shape
    if lesson.topics < 2 or features < 2 or (sure < ENOUGH and not _is_sparse(lesson.features)):
        return centred(lesson)
    if sure >= ENOUGH and (lesson.fair or not _is_sparse(lesson.features)):
        return _student(lesson, _known(lesson), teacher=False)
    if texts < 2 * lesson.topics:
        return centred(lesson)
    return _student(lesson, taught(lesson), teacher=True)


def centred(lesson: Lesson) -> Linear:
    """Topics as points: the mean of their description and of the texts that are known to be theirs."""
    return Linear(
        (SHARPNESS * _centres(lesson).T).astype(np.float32),
        np.zeros(lesson.topics, dtype=np.float32),
        far=SHARPNESS * FAR,
    )


def taught(lesson: Lesson) -> Shares:
    """What the teacher thinks of each text of the sample."""
    spread = _passed_on(lesson.graph(), _known(lesson))
    near = softmax(2 * SHARPNESS * _dense(lesson.features @ _centres(lesson).T))
    shares = (spread + 1e-3) * near
    return shares / shares.sum(axis=1, keepdims=True)


def softmax(scores: NDArray[Any]) -> Shares:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def _known(lesson: Lesson) -> Shares:
    """The votes, and one whole vote for what is known for sure."""
    known = lesson.votes.copy()
    decided = lesson.sure >= 0
    known[decided] = 0.0
    known[decided, lesson.sure[decided]] = 1.0
    return known


def _centres(lesson: Lesson) -> Shares:
    known = _known(lesson)
    told = np.where(known >= 0.6, known, 0.0)
    sums = _dense(lesson.features.T @ told).T + _dense(lesson.described)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)


def _graph(features: Matrix) -> Matrix:
    """Each text's nearest neighbours, both ways, weighted so that rows sum to 1."""
    from scipy.sparse import csr_matrix, diags

    points = latent(features)
    count, near = len(points), min(NEIGHBOURS, len(points) - 1)
    places, likeness = [], []
    for start in range(0, count, BLOCK):
        scores = points[start : start + BLOCK] @ points.T
        nearest = np.argpartition(scores, count - near - 1, axis=1)[:, count - near - 1 :]
        places.append(nearest.ravel())
        likeness.append(np.take_along_axis(scores, nearest, axis=1).ravel())
    strength = np.maximum(np.concatenate(likeness), 0.0) ** 4
    owners = np.repeat(np.arange(count), near + 1)
    graph = csr_matrix((strength, (owners, np.concatenate(places))), shape=(count, count))
    graph = graph + graph.T
    return diags(1 / np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-9)) @ graph


def latent(features: Matrix) -> NDArray[np.float32]:
    """The texts in few dimensions, each of length 1 (or 0)."""
    from sklearn.decomposition import TruncatedSVD

    points = features
    if _is_sparse(features):
        size = min(LATENT, features.shape[0] - 1, features.shape[1] - 1)
        points = (
            TruncatedSVD(size, random_state=0).fit_transform(features) if size > 1 else features.toarray()
        )
    points = np.asarray(points, dtype=np.float32)
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)


def _passed_on(graph: Matrix, known: Shares) -> Shares:
    """What is known of each text after everybody has told their neighbours, again and again."""
    found = known.copy()
    for _ in range(PASSES):
        found = KEPT * (graph @ found) + (1 - KEPT) * known
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-9)


def _student(lesson: Lesson, shares: Shares, *, teacher: bool) -> Linear:
    """Learns from what is sure, from the shares of the others (without a teacher: where keywords agree), from the descriptions."""
    sure, most = np.flatnonzero(lesson.sure >= 0), shares.max(axis=1)
    others = np.flatnonzero((lesson.sure < 0) & (teacher | (most >= 1.0)))
    trust = TEACHER_COUNTS / (TEACHER_COUNTS + len(sure))
    weight = trust * np.maximum(LEAST_WEIGHT, most[others])
    features = _stacked([lesson.features[sure], lesson.features[others], lesson.described])
    topics = np.concatenate([lesson.sure[sure], shares[others].argmax(axis=1), np.arange(lesson.topics)])
    weights = np.concatenate([np.ones(len(sure)), weight, np.full(lesson.topics, max(0.3, trust))])
    return _regression(features, topics, weights, lesson.topics)


def _regression(features: Matrix, topics: Ints, weights: Shares, count: int) -> Linear:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=5.0, max_iter=60, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # near enough is good enough: it is calibrated afterwards
        model.fit(features, topics, sample_weight=weights)
    weights, bias = model.coef_, model.intercept_
    if count == 2:
        weights, bias = np.vstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    return Linear(weights.T.astype(np.float32), bias.astype(np.float32))


def _stacked(parts: list[Matrix]) -> Matrix:
    from scipy.sparse import vstack

    return vstack(parts).tocsr() if _is_sparse(parts[0]) else np.vstack(parts)


def _is_sparse(matrix: Matrix) -> bool:
    return hasattr(matrix, "toarray")


def _dense(matrix: Matrix) -> NDArray[Any]:
    return np.asarray(matrix.toarray() if _is_sparse(matrix) else matrix)
