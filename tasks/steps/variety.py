"""How varied generated rows are beside real ones, as cards show it: figures of `rules.diversity` over equally many texts of both."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence

from storage.manifests import Manifest
from storage.records import Json
from storage.rows import Row, last_user_message
from tasks.rules import diversity
from tasks.step import StepContext

TEXT_CHARACTERS = 2_000
FEWEST = 2


async def variety(ctx: StepContext, manifest: Manifest, rows: Sequence[Row]) -> Json:
    """`{rows, distinct: [d1, d2, d3], self_similarity, near_duplicate_share, real?: {the same}}`; {} for fewer than two rows."""
    return await asyncio.to_thread(_variety, ctx, manifest, rows)


def _variety(ctx: StepContext, manifest: Manifest, rows: Sequence[Row]) -> Json:
    texts = [last_user_message(row)[:TEXT_CHARACTERS] for row in rows]
    if len(texts) < FEWEST:
        return {}
    real = _real(ctx, manifest, min(len(texts), diversity.COMPARED))
    count = min(len(texts), len(real)) if len(real) >= FEWEST else len(texts)
    found = _json(diversity.measure(diversity.evenly(texts, count)))
    return {**found, "real": _json(diversity.measure(real))} if len(real) >= FEWEST else found


def _real(ctx: StepContext, manifest: Manifest, count: int) -> list[str]:
    """The last turns of so many rows that people wrote, spread over the dataset."""
    seed = zlib.crc32(f"variety:{ctx.workflow.id}".encode())
    sample = ctx.deps.datasets.sample(manifest, 2 * count, seed=seed)
    texts = [last_user_message(row)[:TEXT_CHARACTERS] for row in sample if not row.is_generated]
    return diversity.evenly(texts, count)


def _json(found: diversity.Diversity) -> Json:
    return {
        "rows": found.rows,
        "distinct": [_rounded(value) for value in found.distinct],
        "self_similarity": _rounded(found.self_similarity),
        "near_duplicate_share": _rounded(found.near_duplicate_share),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
