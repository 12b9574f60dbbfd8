"""Where libraries that want a file write to, so that what they write can be streamed on."""

from __future__ import annotations

import io
from typing import Any


class Sink(io.RawIOBase):
    """A file that cannot be gone back in; holds what was written until it is fetched. `waiting` is how much that is."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._size = 0
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        self.waiting += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.waiting = 0
        return data
