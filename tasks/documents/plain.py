"""Plain text to blocks: paragraphs by blank lines, underlined, numbered or capitalised lines as headings, lists as lists.

A heading is only guessed where a line stands alone and reads like one; a wrong guess costs a section, never a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tasks.documents.form import Block, Parsed, heading, tidy, tidy_lines

ITEM = re.compile(r"\s*(?:[-*•·‣–]|\(?\d{1,3}[.)]|[a-z][.)])\s+\S")
NUMBERED = re.compile(r"\s*(\d{1,3}(?:\.\d{1,3}){0,4})[.)]?\s+(?=[A-Z])")
_UNDERLINE = re.compile(r"\s*([=~*#-])\1{2,}\s*$")
_LONGEST_HEADING = 80


def read_plain(text: str) -> Parsed:
    return Parsed(tuple(_blocks(text)))


def _blocks(text: str) -> Iterator[Block]:
    for group in _groups(text.splitlines()):
        if len(group) >= 2 and _UNDERLINE.match(group[1]):
            yield heading(group[0], 1 if group[1].strip()[0] in "=#" else 2)
            yield from _body(group[2:])
        elif len(group) == 1 and (level := heading_level(group[0])):
            yield heading(group[0], level)
        else:
            yield from _body(group)


def heading_level(line: str) -> int:
    """The level of a line that stands alone and reads like a heading; 0 for one that does not."""
    text = line.strip()
    words = text.split()
    if not 2 <= len(text) <= _LONGEST_HEADING or text[-1] in ".,;:!?" or len(words) > 12:
        return 0
    number = NUMBERED.match(text)
    if number:
        return 1 + number[1].count(".")
    letters = [letter for letter in text if letter.isalpha()]
    return 1 if len(letters) >= 3 and text == text.upper() else 0


def _groups(lines: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for line in lines:
        if line.strip():
            group.append(line)
        elif group:
            yield group
            group = []
    if group:
        yield group


def _body(lines: list[str]) -> Iterator[Block]:
    """A group's paragraph and the list after it, if it has one."""
    first = next((at for at, line in enumerate(lines) if ITEM.match(line)), len(lines))
    said, items = tidy(" ".join(lines[:first])), tidy_lines("\n".join(lines[first:]))
    if said:
        yield Block("paragraph", said)
    if items:
        yield Block("list", items)
