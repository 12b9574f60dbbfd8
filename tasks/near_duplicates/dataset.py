"""Groups of near-duplicates of a dataset version, in bounded memory, signed part by part by whoever has time.

A part's signatures are kept beside the dataset under the part's own name, and the groups under the names of all parts: an edit
signs one part again, a new topic none. Invalid rows are grouped too, so that validity may change without another search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from storage import paths
from storage.blobs import BlobStore
from storage.datasets import Datasets
from storage.errors import NotFound
from storage.manifests import Manifest
from tasks.near_duplicates.joining import joined
from tasks.near_duplicates.signatures import BANDS, SEED, Signed, from_bytes, sign
from tasks.near_duplicates.texts import TEXTS, TextKind

SIGNED_ROWS = 1_000
FORM = f"v1-{BANDS}-{SEED}"  # another way of signing has another name


def groups(
    datasets: Datasets,
    manifest: Manifest,
    *,
    kind: TextKind = "prompt",
    blobs: BlobStore | None = None,
    stop: Callable[[], bool] = bool,
) -> npt.NDArray[np.uint32]:
    """For each row of the version, parts in order, the number of the row that leads its group.

    Blocks; run it in a thread. With `blobs` what was found before is used and what is found is kept. Raises `Unavailable`.
    """
    path = paths.near(manifest.tenant, manifest.dataset_id, _name(manifest, kind))
    known = _read(blobs, path)
    if known is not None:
        return np.frombuffer(known, dtype="<u4").astype(np.uint32)
    found = joined(
        (sign_part(datasets, manifest, part, kind=kind, blobs=blobs) for part in range(len(manifest.parts))),
        lambda part, at: _texts(datasets, manifest, part, kind, at),
        stop=stop,
    )
    if blobs is not None and not stop():
        blobs.put(path, (found.astype("<u4").tobytes(),))
    return found


def same_rows(
    datasets: Datasets,
    manifest: Manifest,
    *,
    blobs: BlobStore | None = None,
    stop: Callable[[], bool] = bool,
) -> npt.NDArray[np.uint32]:
    """As `groups`, for rows that ask nearly the same and are nearly the same with their answers, the first of each leading.

    One alone is not enough to remove a row: a long answer that all rows share hides that they ask different things.
    """
    asks = groups(datasets, manifest, kind="prompt", blobs=blobs, stop=stop)
    whole = groups(datasets, manifest, kind="whole", blobs=blobs, stop=stop)
    both = asks.astype(np.uint64) << np.uint64(32) | whole
    _, first, group = np.unique(both, return_index=True, return_inverse=True)
    return first[group].astype(np.uint32)


def sign_part(
    datasets: Datasets, manifest: Manifest, part: int, *, kind: TextKind = "prompt", blobs: BlobStore | None
) -> Signed:
    """The signatures of one part's rows: those that are kept, or made now and kept."""
    path = paths.near(manifest.tenant, manifest.dataset_id, f"{manifest.parts[part].digest}-{kind}-{FORM}")
    known = _read(blobs, path)
    if known is not None:
        return from_bytes(known)
    made = [sign(texts) for texts in _batches(_texts(datasets, manifest, part, kind, None))]
    signed = _together(made) if made else sign([])
    if blobs is not None:
        blobs.put(path, (signed.to_bytes(),))
    return signed


def _read(blobs: BlobStore | None, path: str) -> bytes | None:
    if blobs is None:
        return None
    try:
        return blobs.get(path)
    except NotFound:
        return None


def _name(manifest: Manifest, kind: TextKind) -> str:
    digests = "".join(part.digest for part in manifest.parts)
    return f"{hashlib.sha256(digests.encode()).hexdigest()[:32]}-{kind}-groups-{FORM}"


def _texts(
    datasets: Datasets, manifest: Manifest, part: int, kind: TextKind, at: Sequence[int] | None
) -> Iterable[str]:
    """The compared texts of one part, or of the rows at some ascending positions of it."""
    text = TEXTS[kind]
    if at is None:
        return (text(row) for row in datasets.rows(manifest, part, ()))
    return (text(row) for row in datasets.pick(manifest, [(part, place) for place in at]))


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == SIGNED_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _together(made: Sequence[Signed]) -> Signed:
    return Signed(
        np.concatenate([one.digests for one in made]),
        np.concatenate([one.bands for one in made], axis=1),
        np.concatenate([one.sketches for one in made]),
    )
