"""Objects as files under one folder: the default store. Downloads are served by `web`, so there are no signed links here.

A file is written beside its final place under a hidden name, synced, then renamed: a reader sees all of it or nothing,
and a killed writer leaves only a hidden file that nothing lists.
"""

from __future__ import annotations

import os
import re
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.blobs import READ_BYTES
from storage.errors import NotFound, Unavailable

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


class FileBlobs:
    """A `BlobStore` in `root`, which is made when first written to."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, path: str, chunks: Iterable[bytes]) -> int:
        target = self._file(path)
        hidden = self._write_hidden(target, chunks)
        with _writing(path):
            size = hidden.stat().st_size
            os.replace(hidden, target)
        return size

    def create(self, path: str, data: bytes) -> bool:
        target = self._file(path)
        hidden = self._write_hidden(target, (data,))
        try:
            with _writing(path):
                os.link(hidden, target)  # fails when the target exists, which a rename would not
        except FileExistsError:
            return False
        finally:
            hidden.unlink()
        return True

    def read(self, path: str) -> Iterator[bytes]:
        with _translated(path), self._file(path).open("rb") as file:
            while chunk := file.read(READ_BYTES):
                yield chunk

    def get(self, path: str) -> bytes:
        with _translated(path):
            return self._file(path).read_bytes()

    def get_range(self, path: str, start: int, end: int) -> bytes:
        with _translated(path), self._file(path).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), max(0, end - start), start)

    def exists(self, path: str) -> bool:
        return self._file(path).is_file()

    def size(self, path: str) -> int:
        with _translated(path):
            found = self._file(path).stat()
        if not stat.S_ISREG(found.st_mode):
            raise NotFound(path)
        return found.st_size

    def list(self, prefix: str) -> Iterator[str]:
        folder = self._root / prefix.rpartition("/")[0]
        found = (
            os.path.relpath(os.path.join(where, name), self._root).replace(os.sep, "/")
            for where, _, names in os.walk(folder)
            for name in names
            if not name.startswith(".")
        )
        yield from sorted(path for path in found if path.startswith(prefix))

    def delete(self, path: str) -> None:
        with _translated(path):
            self._file(path).unlink(missing_ok=True)

    def signed_url(self, path: str, seconds: int, file_name: str) -> str | None:
        return None

    def _file(self, path: str) -> Path:
        if not all(_SEGMENT.fullmatch(segment) for segment in path.split("/")):
            raise ValueError(f"not an object path: {path!r}")
        return self._root / path

    def _write_hidden(self, target: Path, chunks: Iterable[bytes]) -> Path:
        hidden = target.with_name(f".{uuid.uuid4().hex}")
        with _writing(target.name):
            target.parent.mkdir(parents=True, exist_ok=True)
            file = hidden.open("wb")
        try:
            with file:
                for chunk in chunks:
                    with _writing(target.name):
                        file.write(chunk)
                with _writing(target.name):
                    file.flush()
                    os.fsync(file.fileno())
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        return hidden


@contextmanager
def _writing(path: str) -> Iterator[None]:
    """The system's errors as ours. A link's `FileExistsError` passes: to `create` it means something."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError) and error.filename2:
            raise
        raise Unavailable(f"{path}: {error.strerror or error}") from error


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """The same for reading, where a missing file is an answer."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise NotFound(path) from error
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror or error}") from error
