"""PDF to blocks. The file is opened in a process of its own (`pdf_process.py`) under limits of time and memory.

What comes back are lines with their size in print. Here they become headings (larger than the body), paragraphs and lists; running
heads, feet and page numbers are left out. A file without a text layer is said to be a scan.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.documents.form import Block, Ceilings, Parsed, UnreadableDocument, heading, tidy, tidy_lines
from tasks.documents.plain import ITEM, heading_level

MEMORY_BYTES = 1_500_000_000
SCANNED_CHARACTERS = 20  # a page on average; with fewer the text is only stamps and page numbers
LARGER = 1.12  # times the body's size: a heading
_LEVELS = 3
_PAGE_NUMBER = re.compile(r"(?:page\s*)?[-–]?\s*\d{1,5}\s*[-–]?(?:\s*(?:of|/)\s*\d{1,5})?", re.IGNORECASE)
_REASONS = {
    "encrypted": "This PDF is locked with a password. Share a copy without one.",
    "too_many_pages": "This PDF has {pages:,} pages; at most {limit:,} are read. Share the part that matters.",
    "unreadable": "This file is not a PDF that can be read; it may be damaged. Save it again and share that.",
    "too_large": "This PDF unpacks to more than can be read. Share the part that matters, or save it as text.",
    "too_slow": "This PDF takes too long to read. Share the part that matters, or save it as text.",
    "scanned": "This PDF has no text layer: it is a scan or a picture. Run text recognition (OCR) on it and share that.",
}
Line = tuple[str, float]


def read_pdf(data: bytes, ceilings: Ceilings) -> Parsed:
    """The blocks of a PDF. Blocks until its process is done. Raises `UnreadableDocument`."""
    found = _opened(data, ceilings)
    pages: list[list[Line]] = [[(str(text), float(size)) for text, size in page] for page in found["pages"]]
    characters = sum(len(text.strip()) for page in pages for text, _ in page)
    if not characters and found["skipped"]:
        raise _refusal("unreadable")
    if not characters or (found["pictures"] and characters < SCANNED_CHARACTERS * len(pages)):
        raise _refusal("scanned")
    skipped = Counter({str(name): int(number) for name, number in found["skipped"].items() if number})
    kept = _without_frames(pages, skipped)
    return Parsed(tuple(_blocks(kept)), pages=len(pages), skipped=dict(skipped))


def _opened(data: bytes, ceilings: Ceilings) -> dict[str, Any]:
    """What the child process says: `{"pages": [[[line, size]]], "pictures": n, "skipped": {}}`."""
    asked = {
        "pages": ceilings.pages,
        "characters": ceilings.characters,
        "seconds": ceilings.seconds,
        "memory": MEMORY_BYTES,
    }
    root = Path(__file__).resolve().parent.parent.parent
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter and module; the document only travels on stdin
            [sys.executable, "-m", "tasks.documents.pdf_process", json.dumps(asked)],
            input=data,
            capture_output=True,
            timeout=ceilings.seconds + 30,
            cwd=root,
            env={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
        )
        found = json.loads(done.stdout) if done.stdout else {"error": "too_large"}
    except subprocess.TimeoutExpired as error:
        raise _refusal("too_slow") from error
    except ValueError as error:
        raise _refusal("unreadable") from error
    if not isinstance(found, dict) or "error" in found:
        raise _refusal(str(found["error"]), pages=int(found.get("pages") or 0), limit=ceilings.pages)
    return found


def _refusal(code: str, **figures: int) -> UnreadableDocument:
    known = code if code in _REASONS else "unreadable"
    words = _REASONS[known]
    return UnreadableDocument(words.format(**figures) if figures else words, code=known)


# ---------------------------------------------------------------- lines to blocks


def _without_frames(pages: Sequence[Sequence[Line]], skipped: Counter[str]) -> list[list[Line]]:
    """The pages without page numbers, and without lines that stand first or last on most of them."""
    edges = Counter(
        _frame(text) for page in pages for text, _ in {*_said(page)[:1], *_said(page)[-2:]} if len(pages) > 2
    )
    running = {text for text, count in edges.items() if text and count > len(pages) / 2}
    kept: list[list[Line]] = []
    for page in pages:
        lines = [line for line in page if not _PAGE_NUMBER.fullmatch(line[0].strip())]
        lines = [line for line in lines if _frame(line[0]) not in running]
        if len(lines) < len(page):
            skipped["running heads and page numbers"] += len(page) - len(lines)
        kept.append(lines)
    return kept


def _said(page: Sequence[Line]) -> list[Line]:
    return [line for line in page if line[0].strip()]


def _frame(text: str) -> str:
    """A running head as it is on every page, whatever number it carries."""
    return re.sub(r"\d+", "#", tidy(text).casefold())


def _blocks(pages: Sequence[Sequence[Line]]) -> Iterator[Block]:
    body = _body_size(pages)
    levels = _heading_levels(pages, body)
    for number, page in enumerate(pages, start=1):
        width = max((len(text.strip()) for text, _ in page), default=0)
        group: list[str] = []
        for text, size in page:
            level = levels.get(round(size, 1), 0) or (heading_level(text) if not group else 0)
            if level and text.strip():
                yield from _body(group, number)
                group = []
                yield heading(text, level, number)
                continue
            if (not text.strip() or (ITEM.match(text) and not _is_list(group))) and group:
                yield from _body(group, number)
                group = []
            group += [text] if text.strip() else []
            if group and not _is_list(group) and _ends_here(text, width):
                yield from _body(group, number)
                group = []
        yield from _body(group, number)


def _body_size(pages: Sequence[Sequence[Line]]) -> float:
    """The size that most characters have."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for text, size in page:
            sizes[round(size, 1)] += len(text.strip())
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _heading_levels(pages: Sequence[Sequence[Line]], body: float) -> dict[float, int]:
    larger = sorted(
        {
            round(size, 1)
            for page in pages
            for text, size in page
            if text.strip() and size > body * LARGER and len(text.strip()) <= 150
        },
        reverse=True,
    )
    return {size: min(_LEVELS, place) for place, size in enumerate(larger, start=1)}


def _is_list(group: Sequence[str]) -> bool:
    return bool(group and ITEM.match(group[0]))


def _ends_here(text: str, width: int) -> bool:
    """A line that ends a sentence well before the edge ends its paragraph."""
    plain = text.strip()
    return plain[-1:] in ".!?:" and len(plain) < 0.75 * width


def _body(group: Sequence[str], page: int) -> Iterator[Block]:
    if not group:
        return
    if _is_list(group):
        yield Block("list", tidy_lines("\n".join(_items(group))), page=page)
        return
    said = tidy(_joined(group))
    if said:
        yield Block("paragraph", said, page=page)


def _items(group: Sequence[str]) -> list[str]:
    items: list[str] = []
    for line in group:
        if ITEM.match(line) or not items:
            items.append(tidy(line))
        else:
            items[-1] = tidy(_joined([items[-1], line]))
    return items


def _joined(lines: Sequence[str]) -> str:
    """Lines as one text; a word that was divided at the end of a line is made whole."""
    text = ""
    for line in (one.strip() for one in lines):
        if text.endswith("-") and text[-2:-1].isalpha() and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text} {line}" if text else line
    return text
