"""Plain texts in a temporary file, found by number: what is compared need not be in memory.

Reads go by `pread`, not by a memory map, whose pages would count as ours.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterable
from types import TracebackType

FLUSH_BYTES = 1 << 18


class TextSpool:
    """Append texts, read any of them again. Eight bytes of memory a text. The file has no name and goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="near-", buffering=0)  # noqa: SIM115  closed by `close`
        self._ends = array("Q")
        self._pending = bytearray()
        self._flushed = 0

    def __enter__(self) -> TextSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, text: str) -> int:
        """Keep a text; its number."""
        self._pending += text.encode("utf-8", "surrogatepass")
        self._ends.append(self._flushed + len(self._pending))
        if len(self._pending) >= FLUSH_BYTES:
            self._flush()
        return len(self._ends) - 1

    def extend(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.append(text)

    def __getitem__(self, number: int) -> str:
        start, end = self._ends[number - 1] if number else 0, self._ends[number]
        if end > self._flushed:
            self._flush()
        return os.pread(self._file.fileno(), end - start, start).decode("utf-8", "surrogatepass")

    def close(self) -> None:
        self._file.close()

    def __del__(self) -> None:
        self.close()

    def _flush(self) -> None:
        view = memoryview(bytes(self._pending))
        while view:
            written = self._file.write(view)
            view = view[written:]
        self._flushed += len(self._pending)
        self._pending.clear()
