"""MinHash signatures of many texts, folded into bands: texts that share a band are candidates to be compared.

Twelve bands of ten hashes: two texts with similarity s share a band with probability 1 - (1 - s^10)^12, which is 99.4 % at 0.9,
99.99 % at 0.95, 29 % at 0.7 and 1 % at 0.5. Two bits of each hash are kept as a sketch, by which most candidates that only
look alike are told apart without their texts. The seed is fixed, so the same text always has the same signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from tasks.near_duplicates.shingles import plain, shingles

BANDS, BAND_HASHES = 12, 10
HASHES = BANDS * BAND_HASHES
SEED = 42
NOTHING = 0  # the digest of a text without letters and digits, which resembles no other
CHUNK_CHARACTERS = 1 << 16
SKETCH_WORDS = 4  # 120 hashes of two bits in 64-bit words
MOST_DIFFERENT = 19  # of 120: at a similarity of 0.9 nine differ, and more than 19 once in 1,600 times
_DIGEST, _KEY = np.dtype("<u8"), np.dtype("<u4")
_LOW_BITS = np.uint64(0x5555555555555555)
_ODD = 0x9E3779B97F4A7C15
_COEFFICIENTS = np.array([pow(_ODD, place + 1, 1 << 64) for place in range(BAND_HASHES)], dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Signed:
    """`digests[i]` names text i as it is compared (0: nothing to compare); `bands[b, i]` is the key of its band b,
    `sketches[i]` its sketch. 88 bytes a text."""

    digests: npt.NDArray[np.uint64]
    bands: npt.NDArray[np.uint32]
    sketches: npt.NDArray[np.uint64]

    def to_bytes(self) -> bytes:
        columns = (self.digests.astype(_DIGEST), self.bands.astype(_KEY), self.sketches.astype(_DIGEST))
        return b"".join(column.tobytes() for column in columns)


def from_bytes(data: bytes) -> Signed:
    """The reverse of `to_bytes`. Raises ValueError for what is none."""
    rows, rest = divmod(len(data), (1 + SKETCH_WORDS) * _DIGEST.itemsize + BANDS * _KEY.itemsize)
    if rest:
        raise ValueError("not signatures")
    digests = np.frombuffer(data, dtype=_DIGEST, count=rows)
    bands = np.frombuffer(data, dtype=_KEY, offset=digests.nbytes, count=BANDS * rows)
    sketches = np.frombuffer(data, dtype=_DIGEST, offset=digests.nbytes + bands.nbytes)
    return Signed(
        digests.astype(np.uint64),
        bands.astype(np.uint32).reshape(BANDS, rows),
        sketches.astype(np.uint64).reshape(rows, SKETCH_WORDS),
    )


def may_be_near(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Of pairs of sketches, line by line, whether they are alike enough for their texts to be compared."""
    differ = one ^ other
    differ = (differ | differ >> np.uint64(1)) & _LOW_BITS
    return np.bitwise_count(differ).sum(axis=1) <= MOST_DIFFERENT


def sign(texts: Sequence[str]) -> Signed:
    """Signatures of texts as they are in rows, in their order."""
    plains = [plain(text) for text in texts]
    digests = np.fromiter(map(_digest, plains), dtype=np.uint64, count=len(plains))
    bands = np.zeros((BANDS, len(plains)), dtype=np.uint32)
    sketches = np.zeros((len(plains), SKETCH_WORDS), dtype=np.uint64)
    for places in _chunks(plains):
        hashes = _hashes([plains[at] for at in places])
        bands[:, places] = _bands(hashes)
        sketches[places] = _sketches(hashes)
    return Signed(digests, bands, sketches)


def _digest(plain_text: str) -> int:
    if not plain_text:
        return NOTHING
    data = plain_text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") or 1


def _chunks(plains: Sequence[str]) -> Iterator[list[int]]:
    """Places of the texts that hold something, some 65,000 characters at a time (more in one text), which stays in the cache."""
    places: list[int] = []
    size = 0
    for at, text in enumerate(plains):
        if text:
            places.append(at)
            size += len(text)
        if size >= CHUNK_CHARACTERS:
            yield places
            places, size = [], 0
    if places:
        yield places


def _hashes(plains: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The 120 hashes of each text."""
    from rensa import RMinHash  # 2 MB of machine code that only workers need

    found = shingles(plains)
    numbers, starts = found.numbers.astype(np.uint64), found.starts.astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(numbers, starts, num_perm=HASHES, seed=SEED)
    values = chain.from_iterable(matrix.to_rows())
    return np.fromiter(values, dtype=np.uint64, count=len(plains) * HASHES).reshape(len(plains), HASHES)


def _bands(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    by_band = hashes.reshape(len(hashes), BANDS, BAND_HASHES)
    keys = (by_band * _COEFFICIENTS).sum(axis=2, dtype=np.uint64)
    return (keys >> np.uint64(32)).astype(np.uint32).T


def _sketches(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    bits = np.zeros((len(hashes), SKETCH_WORDS * 8), dtype=np.uint8)
    low = (hashes & np.uint64(3)).astype(np.uint8).reshape(len(hashes), HASHES // 4, 4)
    bits[:, : HASHES // 4] = low[:, :, 0] | low[:, :, 1] << 2 | low[:, :, 2] << 4 | low[:, :, 3] << 6
    return bits.view(_DIGEST).astype(np.uint64)
