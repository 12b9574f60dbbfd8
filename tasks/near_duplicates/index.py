"""Near-duplicates one text at a time: add rows, ask whether a new text resembles one of them.

About 110 bytes of memory a text, whatever its length (`rules.generation.NearDuplicates`, which is exact, holds some ten
kilobytes of each); the texts themselves lie in a temporary file. Not for whole datasets at once: that is `groups`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.near_duplicates.joining import THRESHOLD
from tasks.near_duplicates.shingles import plain, similarity, trigrams
from tasks.near_duplicates.signatures import BANDS, sign
from tasks.near_duplicates.spool import TextSpool
from tasks.rules.generation import Match

SIGNED_AT_ONCE = 1_000
MOST_COMPARED = 200  # candidates of one question; more share a band only where nearly all are alike
_BAND_SALT = (np.arange(1, BANDS + 1, dtype=np.uint64) * np.uint64(0x9E3779B1)).astype(np.uint32)
Keys = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Band keys in order, all bands together, and the text that each belongs to."""

    keys: Keys
    texts: Keys

    def candidates(self, wanted: Keys) -> Iterator[int]:
        starts = np.searchsorted(self.keys, wanted, side="left").tolist()
        ends = np.searchsorted(self.keys, wanted, side="right").tolist()
        for start, end in zip(starts, ends, strict=True):
            yield from self.texts[start : min(end, start + MOST_COMPARED)].tolist()


class NearIndex:
    """`add` and `find` as `rules.generation.NearDuplicates` has them, in bounded memory."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold
        self._names, self._texts = TextSpool(), TextSpool()
        self._segments: list[_Segment] = []
        self._signed = 0

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, key: str, text: str) -> None:
        """Remember a text under a key, such as its row's id."""
        self._names.append(key)
        self._texts.append(plain(text))
        if len(self._texts) - self._signed >= SIGNED_AT_ONCE:
            self._sign()

    def find(self, text: str) -> Match | None:
        """The most similar earlier text at or above the threshold, the earliest of equals."""
        asked = plain(text)
        if not asked:
            return None
        if self._signed < len(self._texts):
            self._sign()
        wanted = sign([asked]).bands[:, 0] ^ _BAND_SALT
        found = {place for segment in self._segments for place in segment.candidates(wanted)}
        ours = trigrams(asked)
        best: tuple[float, int] | None = None
        for place in sorted(found)[:MOST_COMPARED]:
            alike = similarity(ours, trigrams(self._texts[place]))
            if alike >= self.threshold - 1e-9 and (best is None or alike > best[0]):
                best = alike, place
        return None if best is None else Match(self._names[best[1]], best[0])

    def _sign(self) -> None:
        """Sign what was added since; segments of equal size are merged, so that there are few."""
        fresh = range(self._signed, len(self._texts))
        signed = sign([self._texts[place] for place in fresh])
        said = signed.digests != 0
        places = np.arange(fresh.start, fresh.stop, dtype=np.uint32)[said]
        keys = (signed.bands[:, said] ^ _BAND_SALT[:, None]).ravel()
        self._signed = fresh.stop
        self._segments.append(_sorted(keys, np.tile(places, BANDS)))
        while len(self._segments) > 1 and len(self._segments[-2].keys) < 2 * len(self._segments[-1].keys):
            last, before = self._segments.pop(), self._segments.pop()
            merged = _sorted(
                np.concatenate((before.keys, last.keys)), np.concatenate((before.texts, last.texts))
            )
            self._segments.append(merged)


def _sorted(keys: Keys, texts: Keys) -> _Segment:
    order = np.argsort(keys, kind="stable")
    return _Segment(keys[order], texts[order])
