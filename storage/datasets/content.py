"""Content-addressed objects of one dataset: stored under the hash of their bytes, so the same bytes rest once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from isal import isal_zlib
from isal.igzip_lib import IsalError

from storage import paths
from storage.blobs import BlobStore
from storage.datasets.cache import Cache
from storage.errors import Corrupt
from storage.records import Tenant

T = TypeVar("T")

_LEVEL = 1
_GZIP = 31  # zlib's way of asking for a gzip header


@dataclass(frozen=True, slots=True)
class Content:
    """Where a dataset's parts, columns, part lists and index segments are kept."""

    blobs: BlobStore
    tenant: Tenant
    dataset_id: str
    cache: Cache

    def put(self, data: bytes) -> str:
        """Store and return the name. Storing the same again changes nothing."""
        digest = hashlib.sha256(data).hexdigest()
        self.blobs.put(self._path(digest), (data,))
        return digest

    def get(self, digest: str) -> bytes:
        return self.blobs.get(self._path(digest))

    def get_range(self, digest: str, start: int, end: int) -> bytes:
        return self.blobs.get_range(self._path(digest), start, end)

    def remembered(self, kind: str, name: str, make: Callable[[], tuple[T, int]]) -> T:
        """What `make` returns with its size in bytes, from the cache when it was made before."""
        return self.cache.get(self._key(kind, name), make)

    def remember(self, kind: str, name: str, value: Any, size: int) -> None:
        self.cache.put(self._key(kind, name), value, size)

    def _path(self, digest: str) -> str:
        return paths.content(self.tenant, self.dataset_id, digest)

    def _key(self, kind: str, name: str) -> tuple[str, ...]:
        return (self.tenant.enterprise, self.tenant.team, self.dataset_id, kind, name)


def packed(data: bytes | bytearray) -> bytes:
    """One gzip member. Its header carries no time, so equal data gives equal bytes."""
    return isal_zlib.compress(data, _LEVEL, _GZIP)


def unpacked(data: bytes | memoryview, what: str) -> bytes:
    """The reverse of `packed`. Raises `Corrupt`, naming `what`."""
    try:
        return isal_zlib.decompress(data, _GZIP)
    except (IsalError, EOFError) as error:  # type: ignore[misc]  # the stub takes the class for an instance
        raise Corrupt(f"{what}: {error}") from error
