"""Groups of similar texts: how many there are, which text is in which, and what sets each apart.

Plain numbers in, plain numbers out; scikit-learn does the work and is imported only when asked, for it costs half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FEWEST, MOST = 4, 9
ROWS_PER_CLUSTER = 4  # below that a cluster is an accident
JUDGED_ROWS = 800  # silhouette is quadratic
TERMS, EXAMPLES = 10, 5


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
    return float(silhouette_score(points, labels, sample_size=min(len(points), JUDGED_ROWS), random_state=seed))


def _terms(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Words and word pairs that are frequent in a group and rare in the others (class-based TF-IDF)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    counter = TfidfVectorizer(ngram_range=(1, 2), stop_words="english", max_features=20_000, sublinear_tf=True)
    try:
        weights = counter.fit_transform([" \n ".join(group) for group in groups]).toarray()
    except ValueError:  # nothing but stop words
        return [() for _ in groups]
    names = counter.get_feature_names_out()
    found = []
    for row in weights:
        ranked = [str(names[place]) for place in row.argsort()[::-1][: 3 * TERMS] if row[place] > 0]
        found.append(_without_repeats(ranked)[:TERMS])
    return found


def _without_repeats(terms: Sequence[str]) -> tuple[str, ...]:
    """A word that is part of a pair already chosen says nothing new."""
    kept: list[str] = []
    for term in terms:
        if term.replace(" ", "").isnumeric() or any(set(term.split()) & set(other.split()) for other in kept):
            continue
        kept.append(term)
    return tuple(kept)
