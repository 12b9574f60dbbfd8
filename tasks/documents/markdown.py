"""Markdown to blocks: headings, paragraphs, lists, tables, fenced code. Front matter, comments and raw tags are left out.

Not a renderer: emphasis marks are taken off and links become their words, so that a passage reads as people read it. One pass,
line by line, without recursion.
"""

from __future__ import annotations

import re
from collections import Counter

from tasks.documents.form import Block, BlockKind, Parsed, heading, tidy, tidy_lines

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)(.*)")
_ATX_END = re.compile(r"[ \t]+#+[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,4}[.)])[ \t]+\S")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_IMAGE = re.compile(r"!\[([^\][]{0,300})\]\([^()\s]{0,2000}(?:\s[^()]{0,300})?\)")
_LINK = re.compile(r"\[([^\][]{1,500})\]\([^()\s]{0,2000}(?:\s[^()]{0,300})?\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.{1,500}?)(?<=\S)\1")


def read_markdown(text: str) -> Parsed:
    reader = _Reader(text.splitlines())
    return Parsed(tuple(reader.read()), skipped=dict(reader.skipped))


class _Reader:
    """Walks the lines; `at` is the next one. Every branch of `_next` moves on by at least one line."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0
        self.blocks: list[Block] = []
        self.skipped: Counter[str] = Counter()

    def read(self) -> list[Block]:
        self._front_matter()
        while self.at < len(self.lines):
            self._next()
        return self.blocks

    def _next(self) -> None:
        line = self.lines[self.at]
        following = self.lines[self.at + 1] if self.at + 1 < len(self.lines) else ""
        found = _ATX.match(line)
        if not line.strip() or _RULE.match(line):
            self.at += 1
        elif _FENCE.match(line):
            self._code()
        elif line.lstrip().startswith("<!--"):
            self._comment()
        elif found:
            self.at += 1
            self._heading(_ATX_END.sub("", found[2]), len(found[1]))
        elif _UNDERLINE.match(following) and not _ITEM.match(line) and "|" not in line:
            self.at += 2
            self._heading(line, 1 if "=" in following else 2)
        elif "|" in line and "|" in following[:1_000] and _TABLE_RULE.match(following[:1_000]):
            self._table()
        elif _ITEM.match(line):
            self._list()
        else:
            self._paragraph()

    def _front_matter(self) -> None:
        if not self.lines or self.lines[0].strip() != "---":
            return
        for end in range(1, min(len(self.lines), 200)):
            if self.lines[end].strip() in ("---", "..."):
                self.at = end + 1
                self.skipped["front matter"] += 1
                return

    def _heading(self, text: str, level: int) -> None:
        made = heading(self._inline(text), level)
        self.blocks += [made] if made.text else []

    def _code(self) -> None:
        line = self.lines[self.at].strip()
        mark, start = line[: len(line) - len(line.lstrip(line[0]))], self.at + 1
        end = start
        while end < len(self.lines) and not self.lines[end].strip().startswith(mark):
            end += 1
        self.at = end + 1
        self._add("code", "\n".join(self.lines[start:end]), inline=False)

    def _comment(self) -> None:
        while self.at < len(self.lines) and "-->" not in self.lines[self.at]:
            self.at += 1
        self.at += 1
        self.skipped["comments"] += 1

    def _table(self) -> None:
        start = self.at
        self.at += 2
        while self.at < len(self.lines) and "|" in self.lines[self.at] and self.lines[self.at].strip():
            self.at += 1
        kept = [self.lines[start], *self.lines[start + 2 : self.at]]
        self._add("table", "\n".join(" | ".join(_cells(line)) for line in kept))

    def _list(self) -> None:
        """Items with their continuation lines; a blank line ends it unless another item or an indented line follows."""
        taken: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip() and not self._goes_on():
                break
            if taken and not line.startswith((" ", "\t")) and self._begins_something(line):
                break
            taken.append(line)
            self.at += 1
        self._add("list", "\n".join(taken))

    def _goes_on(self) -> bool:
        following = self.lines[self.at + 1] if self.at + 1 < len(self.lines) else ""
        return bool(_ITEM.match(following)) or following.startswith(("  ", "\t"))

    def _begins_something(self, line: str) -> bool:
        return bool(_ATX.match(line) or _FENCE.match(line) or _RULE.match(line)) and not _ITEM.match(line)

    def _paragraph(self) -> None:
        start = self.at
        self.at += 1
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip() or _ITEM.match(line) or self._begins_something(line) or "<!--" in line:
                break
            if self.at + 1 < len(self.lines) and _UNDERLINE.match(self.lines[self.at + 1]):
                break
            self.at += 1
        lines = [line.strip().lstrip(">").strip() for line in self.lines[start : self.at]]
        self._add("paragraph", " ".join(lines))

    def _add(self, kind: BlockKind, text: str, *, inline: bool = True) -> None:
        plain = self._inline(text) if inline else text
        plain = tidy(plain) if kind == "paragraph" else tidy_lines(plain)
        if plain:
            self.blocks.append(Block(kind, plain))

    def _inline(self, text: str) -> str:
        text, pictures = _IMAGE.subn(r"\1", text)
        self.skipped += Counter({"pictures": pictures}) if pictures else Counter()
        text, tags = _TAG.subn("", text)
        self.skipped += Counter({"HTML tags": tags}) if tags else Counter()
        return _STRONG.sub(r"\2", _LINK.sub(r"\1", text))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
