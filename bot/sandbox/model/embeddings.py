"""Hashed bag-of-words vectors: texts with common words are near. No meaning beyond the words is claimed."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

from bot.sandbox.model.asks import Json
from bot.sandbox.model.chat_wire import required_text
from bot.sandbox.model.errors import bad_request
from bot.sandbox.model.words import number_from, stems, token_count

DIMENSIONS = 256


def embeddings_body(body: Json) -> Json:
    """A `list` of `embedding` objects for `input` (a string or strings), as floats or base64 of float32."""
    model, texts = required_text(body, "model"), _texts(body.get("input"))
    size = body.get("dimensions") or DIMENSIONS
    if not isinstance(size, int) or not 8 <= size <= 3072:
        raise bad_request("Invalid 'dimensions': expected 8 to 3072.", "dimensions")
    as_base64 = body.get("encoding_format") == "base64"
    tokens = sum(token_count(text) for text in texts)
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(embed(text, size), as_base64)}
            for index, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def embed(text: str, size: int = DIMENSIONS) -> list[float]:
    """A vector of length 1. Repeated words count by their square root; a text without words gets one fixed axis."""
    counts: dict[str, int] = {}
    for stem in stems(text):
        counts[stem] = counts.get(stem, 0) + 1
    vector = [0.0] * size
    for stem, count in counts.items():
        place = number_from("axis", stem)
        vector[place % size] += math.sqrt(count) * (1.0 if place >> 63 else -1.0)
    length = math.sqrt(sum(value * value for value in vector))
    if length == 0.0:
        return [1.0] + [0.0] * (size - 1)
    return [value / length for value in vector]


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise bad_request(
            "Invalid 'input': expected a non-empty string or an array of non-empty strings.", "input"
        )
    if len(texts) > 2048:
        raise bad_request("Invalid 'input': at most 2048 texts a request.", "input")
    return texts


def _encoded(vector: list[float], as_base64: bool) -> list[float] | str:
    if not as_base64:
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
