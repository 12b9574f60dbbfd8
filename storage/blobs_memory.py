"""Objects in a dictionary, for tests. It forgets everything with its process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from storage.blobs import READ_BYTES
from storage.errors import NotFound


class MemoryBlobs:
    """A `BlobStore`. `objects` is open to tests that want to look or to spoil something."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, path: str, chunks: Iterable[bytes]) -> int:
        data = b"".join(chunks)
        self.objects[path] = data
        return len(data)

    def create(self, path: str, data: bytes) -> bool:
        with self._lock:
            if path in self.objects:
                return False
            self.objects[path] = data
            return True

    def read(self, path: str) -> Iterator[bytes]:
        data = self.get(path)
        for start in range(0, len(data), READ_BYTES):
            yield data[start : start + READ_BYTES]

    def get(self, path: str) -> bytes:
        try:
            return self.objects[path]
        except KeyError:
            raise NotFound(path) from None

    def get_range(self, path: str, start: int, end: int) -> bytes:
        return self.get(path)[start:end]

    def exists(self, path: str) -> bool:
        return path in self.objects

    def size(self, path: str) -> int:
        return len(self.get(path))

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(path for path in tuple(self.objects) if path.startswith(prefix))

    def delete(self, path: str) -> None:
        self.objects.pop(path, None)

    def signed_url(self, path: str, seconds: int, file_name: str) -> str | None:
        return None
