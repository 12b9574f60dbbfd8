"""Embeddings without any server: TF-IDF over words and word pairs, reduced by SVD, fitted on the texts at hand.

Good enough to group rows and to compare them with topics before anybody has consented to a provider. Vectors of two
different fits cannot be compared: fit once on rows and topics together, or fit on the rows and embed the topics with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

DIMENSIONS = 128
FEATURES = 30_000


class OfflineEmbedder:
    """Implements `Embedder`. Unfitted, each `embed` fits on exactly the texts it is given."""

    name = "offline TF-IDF + SVD"

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._fitted: _Space | None = None

    def fit(self, texts: Sequence[str]) -> OfflineEmbedder:
        """A new embedder whose space these texts span. CPU-bound: about 8,000 short texts a second."""
        fitted = OfflineEmbedder(seed=self._seed)
        fitted._fitted = _Space(texts, seed=self._seed)
        return fitted

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return await asyncio.to_thread(self.vectors, texts) if texts else []

    async def close(self) -> None:
        """Nothing is open."""

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """The same, for callers that are in a thread or a worker already."""
        space = self._fitted or _Space(texts, seed=self._seed)
        return space.vectors(texts)


class _Space:
    def __init__(self, texts: Sequence[str], *, seed: int) -> None:
        from sklearn.decomposition import TruncatedSVD  # half a second to import; web never needs it
        from sklearn.feature_extraction.text import TfidfVectorizer

        shared: dict[str, Any] = {"lowercase": True, "sublinear_tf": True, "max_features": FEATURES}
        words: dict[str, Any] = {
            "ngram_range": (1, 2),
            "stop_words": "english",
            "token_pattern": r"(?u)\b\w+\b",
        }
        self._words = TfidfVectorizer(**words, **shared)
        try:
            weights = self._words.fit_transform(texts)
        except ValueError:  # nothing but stop words: fall back to the characters themselves
            self._words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **shared)
            weights = self._words.fit_transform([text or " " for text in texts])
        size = min(DIMENSIONS, weights.shape[0], weights.shape[1])
        self._svd = (
            TruncatedSVD(n_components=size, random_state=seed) if 1 < size < weights.shape[1] else None
        )
        if self._svd is not None:
            self._svd.fit(weights)

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        from sklearn.preprocessing import normalize

        weights = self._words.transform(texts)
        dense = self._svd.transform(weights) if self._svd is not None else weights.toarray()
        return [[float(part) for part in row] for row in normalize(dense)]
