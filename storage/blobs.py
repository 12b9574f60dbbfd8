"""The port of what is too big for Redis: uploads, dataset parts, manifests, reports, exports.

An object is written whole or not at all and is streamed both ways. Synchronous on purpose: rows are work for worker
processes and threads, never for the event loop. Paths come from `paths.py`; this module knows nothing about them.
Adapters raise only `storage.errors`, and pass one contract suite (`tests/storage/test_blobs.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

READ_BYTES = 1 << 20  # what `read` yields at a time, at most


class BlobStore(Protocol):
    """Objects by path. A path is `/`-separated, relative, without `..` and without hidden segments."""

    def put(self, path: str, chunks: Iterable[bytes]) -> int:
        """Store an object, replacing any of that name; nothing is visible until it is complete.

        Returns its size in bytes. An exception raised by `chunks` leaves no trace and is passed on as it is.
        """
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Store a small object unless one of that name exists; False when it does. Atomic between processes."""
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """The object's bytes in pieces of bounded size. Raises `NotFound` at the first piece."""
        ...

    def get(self, path: str) -> bytes:
        """The whole of a small object. Raises `NotFound`."""
        ...

    def get_range(self, path: str, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`: fewer where the object ends sooner. Raises `NotFound`."""
        ...

    def exists(self, path: str) -> bool: ...

    def size(self, path: str) -> int:
        """Bytes. Raises `NotFound`."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Paths that begin with `prefix`, in order."""
        ...

    def delete(self, path: str) -> None:
        """Remove; harmless when there is nothing."""
        ...

    def signed_url(self, path: str, seconds: int, file_name: str) -> str | None:
        """A link that downloads the object as `file_name` and expires; None where the store cannot make one."""
        ...


def open_store(url: str) -> BlobStore:
    """The store that `STORAGE_URL` names: `s3://bucket/prefix` or `file:///folder`. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        from storage.blobs_s3 import S3Blobs  # boto3 costs half a second to import; a folder does not need it

        return S3Blobs.connect(bucket=parts.netloc, prefix=parts.path.strip("/"))
    if parts.scheme == "file" and parts.path:
        from storage.blobs_file import FileBlobs

        return FileBlobs(Path(unquote(parts.path)))
    raise ValueError(f"STORAGE_URL must be s3://bucket/prefix or file:///folder, not {url!r}")
