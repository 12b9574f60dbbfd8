"""Groups of similar texts: how many there are, which text is in which, which belong together, and what sets each apart.

Many small clusters first, then those are joined that have the same unusual words: what most texts of a file say ("hello", the
product, the closing) does not bring them together. Numbers in, numbers and terms out; scikit-learn and scipy do the work and are imported
only when asked, for they cost a second. What a group is called is `naming.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.naming import terms_of
from tasks.rules.topics import MAX_CHILDREN
from tasks.sorting.classifier import latent
from tasks.sorting.tokens import Ints

FEWEST, MOST = 4, 20
ROWS_PER_CLUSTER = 4  # below that a cluster is an accident
SMALL_ROWS, MOST_SMALL = 16, 48  # of the small clusters that groups are made of
JOINED = 0.85  # distance of two clusters' unusual words up to which they are one group
FAMILY = 0.12  # likeness that groups of one family have at least
FAMILY_ROWS = 200  # texts below which there is only one level
EXAMPLES = 5

Matrix = Any  # scipy.sparse.csr_matrix or a numpy array; (texts, features)
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cluster:
    """`members` are indices into the texts, those nearest the centre first; `terms` the most distinctive ones first; `family`
    is the number of the groups that belong together, -1 for a group that stands alone."""

    members: tuple[int, ...]
    terms: tuple[str, ...]
    family: int = -1

    @property
    def examples(self) -> tuple[int, ...]:
        return self.members[:EXAMPLES]


def clusters(features: Matrix, texts: Sequence[str], *, seed: int, levels: int = 2) -> tuple[Cluster, ...]:
    """Between 4 and 20 groups (fewer for few texts), largest first; with more than one level some of them share a family."""
    if len(texts) < 2 * ROWS_PER_CLUSTER or features.shape[1] == 0:
        return (Cluster(tuple(range(len(texts))), terms_of([list(texts)])[0]),) if texts else ()
    points = latent(features).astype(float)
    small = _small(points, seed)
    most = MAX_CHILDREN if levels < 2 or len(texts) < FAMILY_ROWS else MOST
    labels = _joined(_centres(features, small), len(texts), most)[small]
    groups = [_members(points, labels, label) for label in np.unique(labels)]
    groups.sort(key=len, reverse=True)
    terms = terms_of([[texts[member] for member in group] for group in groups])
    found = tuple(Cluster(group, words) for group, words in zip(groups, terms, strict=True))
    return _in_families(features, found) if most == MOST else found


def _small(points: Points, seed: int) -> Ints:
    """Many clusters of a few texts that are nearly the same."""
    from sklearn.cluster import MiniBatchKMeans

    size = min(max(FEWEST, min(MOST_SMALL, len(points) // SMALL_ROWS)), len(points) // ROWS_PER_CLUSTER)
    model = MiniBatchKMeans(n_clusters=size, random_state=seed, n_init=5, batch_size=1024)
    labels = model.fit_predict(points)
    return np.unique(labels, return_inverse=True)[1]


def _centres(features: Matrix, labels: Ints) -> Points:
    """What each cluster has more of than all together, as directions of length 1."""
    from scipy.sparse import csr_matrix

    count = int(labels.max()) + 1
    member = csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(count, len(labels)))
    sums = member @ features
    sums = np.asarray(sums.toarray() if hasattr(sums, "toarray") else sums, dtype=float)
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    unusual = np.maximum(0.0, sums - sums.mean(axis=0)) if (sums >= 0).all() else sums - sums.mean(axis=0)
    return unusual / np.maximum(np.linalg.norm(unusual, axis=1, keepdims=True), 1e-9)


def _joined(centres: Points, texts: int, most: int) -> Ints:
    """Which group each small cluster belongs to: as many as have little in common, within bounds."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(centres) < 3:
        return np.arange(len(centres))
    tree = linkage(_distances(centres), "complete")
    apart = int((tree[:, 2] > JOINED).sum()) + 1
    bound = min(most, max(FEWEST, math.isqrt(texts) // 2), len(centres))  # 200 texts carry 7 groups, 500 11
    count = min(bound, max(FEWEST, apart))
    return np.asarray(fcluster(tree, count, "maxclust"), dtype=np.int64) - 1


def _distances(centres: Points) -> Points:
    """Of every two, from 0 (the same direction) to 2, as scipy wants them: condensed."""
    apart = 1.0 - centres @ centres.T
    above = np.triu_indices(len(centres), 1)
    return np.asarray(np.clip(apart[above], 0.0, 2.0))


def _members(points: Points, labels: Ints, label: int) -> tuple[int, ...]:
    members = np.flatnonzero(labels == label)
    nearness = points[members] @ points[members].mean(axis=0)
    return tuple(int(member) for member in members[np.argsort(-nearness, kind="stable")])


def _in_families(features: Matrix, groups: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    """Groups that are alike share a family; never more of them at the top than a tree may have."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(groups) <= FEWEST:
        return groups
    labels = np.zeros(sum(len(group.members) for group in groups), dtype=np.int64)
    for number, group in enumerate(groups):
        labels[list(group.members)] = number
    tree = linkage(_distances(_centres(features, labels)), "average")
    found = fcluster(tree, 1 - FAMILY, "distance")
    if len(set(found)) > MAX_CHILDREN:
        found = fcluster(tree, MAX_CHILDREN, "maxclust")
    sizes = {family: int((found == family).sum()) for family in set(found)}
    if len(sizes) == 1 or max(sizes.values()) > MAX_CHILDREN:
        return groups[:MAX_CHILDREN]
    return tuple(
        replace(group, family=int(family) if sizes[family] > 1 else -1)
        for group, family in zip(groups, found, strict=True)
    )
