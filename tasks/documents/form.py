"""What every kind of document becomes before it is cut: blocks in reading order, and what was left out.

Nothing here reads bytes. Text in a block is somebody's words: it is never interpreted, only carried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]
DocumentKind = Literal["markdown", "text", "html", "pdf"]
HEADING_CHARACTERS = 120
_SPACES = re.compile(r"[ \t\r\f\v\u00a0\u2000-\u200a\u202f\u3000]+")
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)


class UnreadableDocument(Exception):
    """The document cannot be used; the message says why and what to do, in plain words. `code` is for tests."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Ceilings:
    """How much of a document is read (`limits` of the settings). `seconds` bounds the parsing of one document."""

    pages: int = 1_000
    characters: int = 5_000_000
    seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Block:
    """One piece in reading order. `level` is a heading's, from 1; `page` counts from 1, 0 where there are no pages."""

    kind: BlockKind
    text: str
    level: int = 0
    page: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's blocks. `skipped` counts what was left out, in words for people; `notes` say what else to know."""

    blocks: tuple[Block, ...]
    pages: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def tidy(text: str) -> str:
    """One line without characters that nobody sees, however much white space there was."""
    return _SPACES.sub(" ", _UNSEEN.sub("", text).replace("\n", " ")).strip()


def tidy_lines(text: str) -> str:
    """As `tidy`, line by line, for lists, tables and code; the indentation stays."""
    lines = (_UNSEEN.sub("", line).replace("\t", "    ").rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line.strip())


def heading(text: str, level: int, page: int = 0) -> Block:
    plain = tidy(text)
    if len(plain) > HEADING_CHARACTERS:
        plain = f"{plain[: HEADING_CHARACTERS - 1]}…"
    return Block("heading", plain, level=min(6, max(1, level)), page=page)
