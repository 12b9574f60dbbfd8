"""Blocks to passages, by structure: a passage never crosses a heading, and lists, tables and code stay whole where they fit.

No overlap: a fact stands in one passage, so that no row is made twice of it. A passage's id is made of its words and its place among
the headings, so the same document read again has the same passages.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.documents.form import Block
from tasks.rules.costs import estimate_tokens

TARGET_TOKENS = 400
MOST_TOKENS = 800  # of one block that is kept whole
_SENTENCE = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=[\"'(\[]?[^\sa-z])")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One passage. `path` are the headings above it; `page`, `last_page` are 0 without pages; `first`, `last` count the
    document's blocks from 1."""

    id: str
    path: tuple[str, ...]
    text: str
    tokens: int
    first: int
    last: int
    page: int = 0
    last_page: int = 0
    kinds: tuple[str, ...] = ()


def chunks_of(blocks: Sequence[Block], *, target: int = TARGET_TOKENS) -> tuple[Chunk, ...]:
    """All passages in reading order. A heading without text below it makes none."""
    made: list[Chunk] = []
    seen: Counter[str] = Counter()
    for path, section in _sections(blocks):
        for group in _groups(section, target):
            chunk = _chunk(path, group)
            seen[chunk.id] += 1
            made.append(chunk if seen[chunk.id] == 1 else replace(chunk, id=f"{chunk.id}-{seen[chunk.id]}"))
    return tuple(made)


def _sections(blocks: Sequence[Block]) -> Iterator[tuple[tuple[str, ...], list[tuple[int, Block]]]]:
    """(headings above, numbered blocks) for every stretch between two headings."""
    above: list[Block] = []
    section: list[tuple[int, Block]] = []
    for number, block in enumerate(blocks, start=1):
        if block.kind != "heading":
            section.append((number, block))
            continue
        if section:
            yield tuple(one.text for one in above), section
            section = []
        above = [*(one for one in above if one.level < block.level), block]
    if section:
        yield tuple(one.text for one in above), section


def _groups(section: Iterable[tuple[int, Block]], target: int) -> Iterator[list[tuple[int, Block]]]:
    """Blocks that come together to about `target` tokens; a list stays with the sentence that introduces it."""
    group: list[tuple[int, Block]] = []
    size = 0
    for number, block in section:
        for piece in _pieces(block, target):
            tokens = estimate_tokens(piece.text)
            introduced = bool(group) and group[-1][1].text.endswith(":") and size + tokens <= MOST_TOKENS
            if group and size + tokens > target and not introduced:
                yield group
                group, size = [], 0
            group.append((number, piece))
            size += tokens
    if group:
        yield group


def _pieces(block: Block, target: int) -> Iterator[Block]:
    """The block, or parts of it where it is too long to be kept whole. A table's parts repeat its first line."""
    if estimate_tokens(block.text) <= (target if block.kind == "paragraph" else max(target, MOST_TOKENS)):
        yield block
        return
    head, parts = "", _SENTENCE.split(block.text)
    if block.kind != "paragraph":
        head, parts = "", block.text.split("\n")
    if block.kind == "table":
        head, parts = f"{parts[0]}\n", parts[1:]
    glue = " " if block.kind == "paragraph" else "\n"
    for text in _packed([piece for part in parts for piece in _cut(part, target)], glue, target):
        yield replace(block, text=head + text)


def _packed(parts: Sequence[str], glue: str, target: int) -> Iterator[str]:
    packed = ""
    for part in parts:
        if packed and estimate_tokens(packed) + estimate_tokens(part) > target:
            yield packed
            packed = ""
        packed = f"{packed}{glue}{part}" if packed else part
    if packed:
        yield packed


def _cut(part: str, target: int) -> Iterator[str]:
    """A sentence or line longer than a passage, cut between words."""
    most = target * 4
    while len(part) > most:
        at = part.rfind(" ", most // 2, most)
        at = at if at > 0 else most
        yield part[:at]
        part = part[at:].lstrip()
    if part:
        yield part


def _chunk(path: tuple[str, ...], group: Sequence[tuple[int, Block]]) -> Chunk:
    text = "\n\n".join(block.text for _, block in group)
    digest = hashlib.sha256("\x1f".join((*path, text)).encode("utf-8", "replace")).hexdigest()
    pages = [block.page for _, block in group]
    return Chunk(
        id=f"c{digest[:16]}",
        path=path,
        text=text,
        tokens=estimate_tokens(text),
        first=group[0][0],
        last=group[-1][0],
        page=min(pages),
        last_page=max(pages),
        kinds=tuple(dict.fromkeys(block.kind for _, block in group)),
    )
