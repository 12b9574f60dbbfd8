"""Documents that people share (Markdown, text, HTML, PDF) as passages to make rows from.

`read_document` is the door: bytes and a file name in, passages out, or `UnreadableDocument` in words for people. One file per kind; cutting
is `chunking.py`. Everything in a document is untrusted text: nothing here or later does what it says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tasks.documents.chunking import Chunk, chunks_of
from tasks.documents.form import Ceilings, DocumentKind, Parsed, UnreadableDocument
from tasks.documents.html import read_html
from tasks.documents.markdown import read_markdown
from tasks.documents.pdf import read_pdf
from tasks.documents.plain import read_plain

__all__ = [
    "Ceilings",
    "Chunk",
    "ReadDocument",
    "UnreadableDocument",
    "is_document",
    "kind_of",
    "read_document",
]

_ENDINGS: Mapping[str, DocumentKind] = {
    "md": "markdown",
    "markdown": "markdown",
    "mdown": "markdown",
    "txt": "text",
    "text": "text",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "pdf": "pdf",
}
_TEXT_READERS: Mapping[DocumentKind, Callable[[str, Ceilings], Parsed]] = {
    "markdown": lambda text, ceilings: read_markdown(text),
    "text": lambda text, ceilings: read_plain(text),
    "html": read_html,
}
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]{2,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What was read. `digest` is the SHA-256 of the bytes; `skipped` counts what was left out, by name."""

    kind: DocumentKind
    digest: str
    chunks: tuple[Chunk, ...]
    pages: int
    headings: int
    words: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def kind_of(file_name: str) -> DocumentKind | None:
    """The kind that a file's name promises; None for what is not read as a document."""
    return _ENDINGS.get(file_name.rpartition(".")[2].casefold()) if "." in file_name else None


def is_document(file_name: str) -> bool:
    return kind_of(file_name) is not None


def read_document(data: bytes, file_name: str, ceilings: Ceilings = Ceilings()) -> ReadDocument:  # noqa: B008  frozen
    """The document's passages. Raises `UnreadableDocument`."""
    kind = kind_of(file_name)
    if kind is None:
        raise UnreadableDocument("I read Markdown, text, HTML and PDF.", code="wrong_type")
    if data[:5] == b"%PDF-":
        kind = "pdf"
    parsed = _parsed(data, kind, ceilings)
    chunks = chunks_of(parsed.blocks)
    if not chunks:
        raise UnreadableDocument("There is no text in this document to learn from.", code="empty")
    return ReadDocument(
        kind=kind,
        digest=hashlib.sha256(data).hexdigest(),
        chunks=chunks,
        pages=parsed.pages,
        headings=sum(block.kind == "heading" for block in parsed.blocks),
        words=sum(len(chunk.text.split()) for chunk in chunks),
        skipped=parsed.skipped,
        notes=parsed.notes,
    )


def _parsed(data: bytes, kind: DocumentKind, ceilings: Ceilings) -> Parsed:
    if kind == "pdf":
        return read_pdf(data, ceilings)
    text, note = _decoded(data)
    if len(text) > ceilings.characters:
        raise UnreadableDocument(
            f"This document has {len(text):,} characters; at most {ceilings.characters:,} are read. Share the part that matters.",
            code="too_large",
        )
    parsed = _TEXT_READERS[kind](text, ceilings)
    return parsed if not note else Parsed(parsed.blocks, parsed.pages, parsed.skipped, (*parsed.notes, note))


def _decoded(data: bytes) -> tuple[str, str]:
    """(text, what to say about its encoding). Raises `UnreadableDocument` for what is no text."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return data.decode(encoding, "replace"), ""
    if b"\x00" in data[:100_000]:
        raise UnreadableDocument("This file is not text, whatever its name says.", code="not_text")
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        named = _CHARSET.search(data[:2_000])
        return _in(data, named[1].decode("ascii") if named else "cp1252")


def _in(data: bytes, encoding: str) -> tuple[str, str]:
    try:
        return data.decode(encoding), f"It is not UTF-8; I read it as {encoding}."
    except (LookupError, UnicodeDecodeError):
        return data.decode("cp1252", "replace"), "It is not UTF-8; I read it as Windows-1252."
