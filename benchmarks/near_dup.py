"""Near-duplicates of 20,000 rows against exact pairwise similarity: how fast, how many are found, how many are right.

The rows are generated here: sentences of some eight thousand words drawn as in a language (Zipf), a fifth of them spoken by
templates, and planted near-copies whose similarity is spread over 0.80 to 1.0. The truth is every pair's Jaccard similarity of
character trigrams, as products of sparse matrices (scipy). Recall is the share of true pairs (at least 0.9) that came into
one group; precision the share of rows called a copy that do resemble an earlier row of their group. Speed is of rows that end in groups,
candidates verified, on one core; the peers are that exact join and the exact prefix filter of `rules.generation.NearDuplicates`.

    python -m benchmarks.near_dup
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

ROWS, PLANTED = 20_000, 0.2
PREFIX_ROWS = 4_000  # of the prefix filter, whose cost a row does not fall
THRESHOLD = 0.9
BLOCK = 500
_TEMPLATES = (
    "I was charged {n} dollars twice on {a} and would like one of the {b} returned to my {c}",
    "The parcel with number {n} says delivered since {a} but nobody was at the {b} to take the {c}",
    "Could you tell me how to move my {a} to another {b} without losing the {c} number {n}",
)


def run() -> list[dict[str, Any]]:
    """The figures for `benchmarks/results.json`."""
    texts = corpus(ROWS, seed=7)
    ours, ours_s = _timed(lambda: _grouped(texts))
    pairs, exact_s = _timed(lambda: near_pairs(texts))
    _, prefix_s = _timed(lambda: _prefix_filter(texts[:PREFIX_ROWS]))
    recall, precision = quality(ours, pairs)
    speed, peer = ROWS / ours_s, ROWS / exact_s
    return [
        _entry("near_dup_rows_per_s", speed, "rows/s", peer, "exact pairwise join (scipy)"),
        _entry(
            "near_dup_prefix_rows_per_s", PREFIX_ROWS / prefix_s, "rows/s", None, "prefix filter, 4,000 rows"
        ),
        _entry("near_dup_recall", recall, "share", None, f"{len(pairs):,} pairs of at least 0.9"),
        _entry("near_dup_precision", precision, "share", None, "exact similarity"),
    ]


def corpus(count: int, *, seed: int) -> list[str]:
    """Texts of 40 to 400 characters; a fifth are changed copies of an earlier one."""
    rng = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(8_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    pool = rng.choices(words, weights, k=400_000)
    texts: list[str] = []
    for _ in range(count):
        if texts and rng.random() < PLANTED:
            texts.append(_changed(rng.choice(texts), rng, pool))
        elif rng.random() < 0.2:
            fill = {name: " ".join(rng.choices(pool, k=rng.randint(1, 3))) for name in "abc"}
            texts.append(rng.choice(_TEMPLATES).format(n=rng.randrange(10**6), **fill))
        else:
            start = rng.randrange(len(pool) - 80)
            texts.append(" ".join(pool[start : start + rng.randint(8, 70)]).capitalize() + ".")
    rng.shuffle(texts)
    return texts


def _changed(text: str, rng: random.Random, pool: list[str]) -> str:
    """A copy with up to a tenth of its words replaced, left out or put in: about 0.80 to 1.0 similar."""
    words = text.split()
    for _ in range(round(len(words) * rng.random() * 0.07)):
        at = rng.randrange(len(words))
        words[at : at + rng.choice((0, 1, 1))] = rng.choices(pool, k=rng.choice((0, 1, 1))) or []
        words = words or [text]
    return " ".join(words) if rng.random() < 0.8 else " ".join(words).upper() + "!!"


def _grouped(texts: list[str]) -> npt.NDArray[np.uint32]:
    from tasks.near_duplicates.joining import joined
    from tasks.near_duplicates.signatures import sign

    return joined([sign(texts)], lambda part, at: [texts[place] for place in at])


def near_pairs(texts: list[str]) -> list[tuple[int, int]]:
    """Every pair of at least 0.9, from all pairs."""
    from scipy.sparse import csr_matrix

    from tasks.near_duplicates.shingles import plain, trigrams

    known: dict[str, int] = {}
    found = [sorted(known.setdefault(one, len(known)) for one in trigrams(plain(text))) for text in texts]
    edges = np.cumsum([0, *map(len, found)])
    flat = np.concatenate([np.array(one, dtype=np.int32) for one in found])
    matrix = csr_matrix((np.ones(len(flat), np.int32), flat, edges), shape=(len(texts), len(known)))
    sizes, turned = np.diff(edges), matrix.T.tocsr()
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(texts), BLOCK):
        shared = (matrix[start : start + BLOCK] @ turned).tocoo()
        one, other = shared.row + start, shared.col
        alike = shared.data / (sizes[one] + sizes[other] - shared.data) >= THRESHOLD - 1e-9
        kept = alike & (one < other)
        pairs += zip(one[kept].tolist(), other[kept].tolist(), strict=True)
    return pairs


def quality(leaders: npt.NDArray[np.uint32], pairs: list[tuple[int, int]]) -> tuple[float, float]:
    """(recall of pairs, precision of rows called copies)."""
    together = [(one, other) for one, other in pairs if leaders[one] == leaders[other]]
    resembling = {other for _, other in together} | {one for one, _ in together}
    copies = [row for row, leader in enumerate(leaders.tolist()) if leader != row]
    right = sum(row in resembling for row in copies)
    return len(together) / max(1, len(pairs)), right / max(1, len(copies))


def _prefix_filter(texts: list[str]) -> int:
    from tasks.rules.generation import NearDuplicates

    near, found = NearDuplicates(), 0
    for number, text in enumerate(texts):
        found += near.find(text) is not None
        near.add(str(number), text)
    return found


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    return work(), time.process_time() - began


def _entry(name: str, ours: float, unit: str, peer: float | None, peer_name: str) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 4),
        "unit": unit,
        "peer": round(peer, 1) if peer else None,
        "peer_name": peer_name,
        "ratio": round(ours / peer, 3) if peer else None,
    }


if __name__ == "__main__":
    for entry in run():
        print(json.dumps(entry))
