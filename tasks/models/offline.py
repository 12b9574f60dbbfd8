"""Embeddings without any server: TF-IDF over words and word pairs (`tasks/sorting/weights.py`), reduced by SVD, fitted on the texts at hand.

For whoever needs the `Embedder` port and has no server. Sorting and clustering do not come here: they work on the sparse weights
themselves, which know more and cost less. Vectors of two different fits cannot be compared: fit once on everything that shall be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.sorting import weights as weighing

DIMENSIONS = 128


class OfflineEmbedder:
    """Implements `Embedder`. Unfitted, each `embed` fits on exactly the texts it is given."""

    name = "offline TF-IDF + SVD"

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._fitted: _Space | None = None

    def fit(self, texts: Sequence[str]) -> OfflineEmbedder:
        """A new embedder whose space these texts span. CPU-bound: about 20,000 short texts a second."""
        fitted = OfflineEmbedder(seed=self._seed)
        fitted._fitted = _Space(texts, seed=self._seed)
        return fitted

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return await asyncio.to_thread(self.vectors, texts) if texts else []

    async def close(self) -> None:
        """Nothing is open."""

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """The same, for callers that are in a thread or a worker already."""
        return [[float(part) for part in row] for row in self.points(texts)]

    def points(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same as one array (texts, dimensions), for callers with many texts."""
        space = self._fitted or _Space(texts, seed=self._seed)
        return space.points(texts)


class _Space:
    def __init__(self, texts: Sequence[str], *, seed: int) -> None:
        from sklearn.decomposition import TruncatedSVD  # half a second to import; web never needs it

        self._weights, tokens = weighing.fitted(texts)
        found = self._weights.matrix(tokens)
        size = min(DIMENSIONS, *found.shape)
        self._svd = (
            TruncatedSVD(n_components=size, random_state=seed).fit(found)
            if 1 < size < found.shape[1]
            else None
        )

    def points(self, texts: Sequence[str]) -> NDArray[np.float32]:
        found = self._weights.of(texts)
        dense = self._svd.transform(found) if self._svd is not None else found.toarray()
        lengths = np.linalg.norm(dense, axis=1, keepdims=True)
        return np.asarray(dense / np.maximum(lengths, 1e-9), dtype=np.float32)
