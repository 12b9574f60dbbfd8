"""Embeddings from the configured server's `/embeddings`, in bounded batches, normalised. Knows nothing of offline methods."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any

from storage.records import Json
from tasks.models.limiter import Limiter
from tasks.models.port import Embedder, ModelAnswerInvalid
from tasks.models.server import ModelServer, Patience
from tasks.models.wire import build_server
from tasks.settings import Settings

BATCH = 256
AT_ONCE = 4  # batches under way
LONGEST_CHARACTERS = 20_000  # of one text: about 5,000 tokens, under the 8,191 that OpenAI's models take


def build_embedder(
    settings: Settings, *, patience: Patience | None = None, limiter: Limiter | None = None
) -> Embedder:
    """The configured embedding model. Connects to nothing before the first question."""
    server = build_server(settings, patience=patience, limiter=limiter)
    return OpenAIEmbedder(server, model=settings.embedding_model)


class OpenAIEmbedder:
    """Implements `Embedder`."""

    def __init__(self, server: ModelServer, *, model: str) -> None:
        self.name = model
        self._server = server

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        free = asyncio.Semaphore(AT_ONCE)

        async def one(batch: list[str]) -> list[list[float]]:
            async with free:
                return await self._batch(batch)

        found = await asyncio.gather(*(one(batch) for batch in _batches(texts)))
        return [vector for vectors in found for vector in vectors]

    async def _batch(self, batch: list[str]) -> list[list[float]]:
        body: Json = {"model": self.name, "input": batch, "encoding_format": "float"}
        answer = await self._server.post("/embeddings", body, tokens=sum(map(len, batch)) // 4)
        return _vectors(answer.get("data"), len(batch))

    async def close(self) -> None:
        await self._server.close()


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """A space stands for an empty text, which servers refuse."""
    for start in range(0, len(texts), BATCH):
        yield [text[:LONGEST_CHARACTERS] or " " for text in texts[start : start + BATCH]]


def _vectors(data: Any, expected: int) -> list[list[float]]:
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    ordered = sorted(items, key=lambda item: item.get("index", 0))
    vectors = [_normalised(item.get("embedding")) for item in ordered]
    if len(vectors) != expected or len({len(vector) for vector in vectors}) > 1:
        raise ModelAnswerInvalid(
            f"{expected} texts were sent and {len(vectors)} embeddings of one length did not come back"
        )
    return vectors


def _normalised(vector: Any) -> list[float]:
    if not isinstance(vector, list) or not all(isinstance(part, int | float) for part in vector):
        raise ModelAnswerInvalid("an embedding is not a list of numbers")
    length = math.sqrt(sum(part * part for part in vector))
    return [part / length for part in vector] if length else [float(part) for part in vector]
