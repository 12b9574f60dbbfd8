"""The process that opens one PDF: `python -m tasks.documents.pdf_process '<limits as JSON>' < file`, an answer of JSON on stdout.

It lowers its own limits of memory, time and files before anything looks at the document, so that a PDF made to burst takes nothing
with it. Content streams that unpack to more than a page can say are not read.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

PAGE_BYTES = 8_000_000  # of a page's unpacked content; honest pages have some hundred thousand
Line = tuple[str, float]


def main() -> None:
    limits = json.loads(sys.argv[1])
    data = sys.stdin.buffer.read()
    try:
        _lower(limits)
        answer = read(data, limits)
    except MemoryError:
        answer = {"error": "too_large"}
    except RecursionError:
        answer = {"error": "unreadable"}
    sys.stdout.write(json.dumps(answer))


def _lower(limits: dict[str, Any]) -> None:
    seconds = int(limits["seconds"])
    lowered = {
        resource.RLIMIT_AS: (limits["memory"], limits["memory"]),
        resource.RLIMIT_CPU: (seconds + 5, seconds + 10),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
    }
    for limit, values in lowered.items():
        with suppress(ValueError, OSError):  # not every system knows each; the parent keeps the time as well
            resource.setrlimit(limit, values)


def read(data: bytes, limits: dict[str, Any]) -> dict[str, Any]:
    """`{"pages": [[[line, size in points]]], "pictures", "skipped"}`, or `{"error": code}`."""
    import logging

    import pypdf
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"error": "encrypted"}
        count = len(reader.pages)
    except (MemoryError, RecursionError):
        raise
    except PyPdfError as error:
        return {"error": "encrypted" if "crypt" in str(error).casefold() else "unreadable"}
    except Exception:  # noqa: BLE001  pypdf meets broken files with whatever its parser stumbles over
        return {"error": "unreadable"}
    if count > limits["pages"]:
        return {"error": "too_many_pages", "pages": count}
    return _pages(reader, count, limits)


def _pages(reader: Any, count: int, limits: dict[str, Any]) -> dict[str, Any]:
    pages: list[list[Line]] = []
    skipped: Counter[str] = Counter()
    pictures, characters, until = 0, 0, time.monotonic() + limits["seconds"]
    for number in range(count):
        if time.monotonic() > until:
            return {"error": "too_slow"}
        try:
            page = reader.pages[number]
            pictures += _has_pictures(page)
            lines = _lines(page)
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001  see above: the other pages may be whole
            skipped["pages that cannot be read"] += 1
            lines = []
        characters += sum(len(text) for text, _ in lines)
        if characters > limits["characters"]:
            return {"error": "too_large"}
        pages.append(lines)
    return {"pages": pages, "pictures": pictures, "skipped": dict(skipped)}


def _has_pictures(page: Any) -> bool:
    found = (page.get("/Resources") or {}).get("/XObject")
    return bool(found and found.get_object())


def _lines(page: Any) -> list[Line]:
    content = page.get_contents()
    if content is None:
        return []
    if len(content.get_data()) > PAGE_BYTES:
        raise ValueError("the page's content is too large")
    collected = _Lines()
    page.extract_text(visitor_text=collected)
    return collected.finished()


class _Lines:
    """Called by pypdf with every piece of text; puts lines together and keeps the size that most of each line has."""

    def __init__(self) -> None:
        self._done: list[Line] = []
        self._text: list[str] = []
        self._sizes: Counter[float] = Counter()

    def __call__(self, text: str, cm: Any, tm: Any, font: Any, size: Any) -> None:
        points = abs(float(size or 0) * float(tm[3] or tm[1] or 1) * float(cm[3] or cm[1] or 1))
        first, *others = text.split("\n")
        self._add(first, points)
        for piece in others:
            self._end()
            self._add(piece, points)

    def finished(self) -> list[Line]:
        self._end()
        return self._done

    def _add(self, text: str, points: float) -> None:
        self._text.append(text)
        self._sizes[round(points, 1)] += len(text.strip())

    def _end(self) -> None:
        size = self._sizes.most_common(1)[0][0] if self._sizes else 0.0
        self._done.append(("".join(self._text), size))
        self._text, self._sizes = [], Counter()


if __name__ == "__main__":
    main()
