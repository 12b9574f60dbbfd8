"""Groups of similar texts: how many there are, which text is in which, and what sets each apart.

Plain numbers in, plain numbers out; scikit-learn does the work and is imported only when asked, for it costs half a second.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

FEWEST, MOST = 4, 9
ROWS_PER_CLUSTER = 4  # below that a cluster is an accident
JUDGED_ROWS = 800  # silhouette is quadratic
TERMS, EXAMPLES = 10, 5
COURTESY = frozenset(
    [
        "hi",
        "hello",
        "hey",
        "dear",
        "thanks",
        "thank",
        "please",
        "sorry",
        "kindly",
        "regards",
        "cheers",
        "help",
        "need",
        "want",
        "like",
        "know",
        "tell",
        "just",
        "really",
        "good",
        "morning",
        "afternoon",
        "evening",
        "does",
        "did",
        "can",
        "could",
        "would",
        "should",
        "will",
        "get",
        "got",
        "try",
        "tried",
    ]
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Cluster:
    """`members` are indices into the texts, those nearest the centre first; `terms` the most distinctive ones first."""

    members: tuple[int, ...]
    terms: tuple[str, ...]

    @property
    def examples(self) -> tuple[int, ...]:
        return self.members[:EXAMPLES]


def clusters(vectors: Sequence[Sequence[float]], texts: Sequence[str], *, seed: int) -> tuple[Cluster, ...]:
    """Between 4 and 9 clusters (fewer for few texts), largest first; the number is the one that separates best."""
    import numpy as np

    if len(texts) < 2 * ROWS_PER_CLUSTER:
        return (Cluster(tuple(range(len(texts))), _terms([list(texts)])[0]),) if texts else ()
    points = np.asarray(vectors, dtype=float)
    most = min(MOST, len(texts) // ROWS_PER_CLUSTER)
    candidates = [_fit(points, size, seed) for size in range(min(FEWEST, most), most + 1)]
    labels, centres = max(candidates, key=lambda found: _separation(points, found[0], seed))
    groups = []
    for place, centre in enumerate(centres):
        members = np.flatnonzero(labels == place)
        if len(members):
            groups.append([int(m) for m in members[np.argsort(-(points[members] @ centre), kind="stable")]])
    groups.sort(key=len, reverse=True)
    terms = _terms([[texts[member] for member in group] for group in groups])
    return tuple(Cluster(tuple(group), found) for group, found in zip(groups, terms, strict=True))


def _fit(points, size: int, seed: int):  # type: ignore[no-untyped-def]
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(n_clusters=size, random_state=seed, n_init=5, batch_size=1024)
    return model.fit_predict(points), model.cluster_centers_


def _separation(points, labels, seed: int) -> float:  # type: ignore[no-untyped-def]
    from sklearn.metrics import silhouette_score

    if len(set(labels)) < 2:
        return -1.0
    return float(
        silhouette_score(points, labels, sample_size=min(len(points), JUDGED_ROWS), random_state=seed)
    )


def _terms(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Words and pairs of neighbours that many texts of a group have and few others, most telling first."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    stop = ENGLISH_STOP_WORDS | COURTESY
    counts = [Counter(term for text in group for term in _candidates(text, stop)) for group in groups]
    everywhere = sum(counts, Counter[str]())
    total = sum(len(group) for group in groups)
    found = []
    for group, count in zip(groups, counts, strict=True):
        others = max(1, total - len(group))
        scores = {
            term: _telling(inside / len(group), (everywhere[term] - inside) / others)
            for term, inside in count.items()
            if inside > 1 or len(group) < ROWS_PER_CLUSTER
        }
        ranked = sorted(scores, key=lambda term: (-scores[term], term))
        found.append(_without_repeats(ranked[: 4 * TERMS])[:TERMS])
    return found


def _candidates(text: str, stop: Set[str]) -> set[str]:
    """Each text's words and pairs, once, so that a text that repeats itself does not weigh more."""
    words = _WORD.findall(text.casefold())
    telling = [word if len(word) > 2 and word not in stop else "" for word in words]
    pairs = {f"{one} {other}" for one, other in pairwise(telling) if one and other}
    return {word for word in telling if word} | pairs


def _telling(inside: float, outside: float) -> float:
    """How much a term's presence speaks for the group: its share there times the log of how much likelier it is there."""
    return inside * math.log((inside + 0.01) / (outside + 0.01))


def _without_repeats(terms: Sequence[str]) -> tuple[str, ...]:
    """A word that is part of a pair already chosen says nothing new."""
    kept: list[str] = []
    for term in terms:
        if any(set(term.split()) & set(other.split()) for other in kept):
            continue
        kept.append(term)
    return tuple(kept)
