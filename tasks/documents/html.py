"""HTML to blocks, as a stream: no tree is built, so nesting of any depth costs nothing.

Scripts, styles, menus, forms and whatever a browser would not show (`hidden`, `display:none`, comments) are left out and counted: text
that people cannot see is no knowledge, and often an order to a model.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

from tasks.documents.form import (
    Block,
    BlockKind,
    Ceilings,
    Parsed,
    UnreadableDocument,
    heading,
    tidy,
    tidy_lines,
)

_DROPPED = {
    "script": "scripts",
    "style": "styles",
    "noscript": "scripts",
    "template": "templates",
    "svg": "pictures",
    "iframe": "frames",
    "object": "frames",
    "nav": "menus",
    "head": "page heads",
    "select": "forms",
    "textarea": "forms",
    "button": "forms",
}
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"]
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    """p div section article main aside header footer blockquote figure figcaption dl dt dd address body hr details summary
    fieldset form""".split()  # noqa: SIM905  a list of so many quoted names reads worse
)
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![\d.])", re.IGNORECASE)
_SLICE = 64_000
_LONGEST_PART = 2_000_000  # a tag, comment or script that has not ended after so many characters: the parser would look at it ever again
_DEEPEST_LIST = 6


def read_html(text: str, ceilings: Ceilings, *, clock: Callable[[], float] = time.monotonic) -> Parsed:
    """The blocks of a page. Raises `UnreadableDocument` when parsing takes longer than it may."""
    reader, until = _Reader(), clock() + ceilings.seconds
    for start in range(0, len(text), _SLICE):
        if clock() > until or len(reader.rawdata) > _LONGEST_PART:
            raise UnreadableDocument(
                "This page takes too long to read; it is not built like a document.", code="too_slow"
            )
        reader.feed(text[start : start + _SLICE])
    if len(reader.rawdata) <= _SLICE:  # what was never closed is text, unless there is too much of it
        reader.close()
    reader.finish()
    return Parsed(tuple(reader.blocks), skipped=dict(reader.skipped))


class _Reader(HTMLParser):
    """Collects text until a block ends. `_dropping` is the tag whose inside is left out, `_depth` how often it is open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self.skipped: Counter[str] = Counter()
        self._text: list[str] = []
        self._level = 0
        self._dropping, self._depth = "", 0
        self._lists: list[int] = []
        self._items: list[str] = []
        self._tables = 0
        self._rows: list[list[str]] = []
        self._code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._dropping:
            self._depth += tag == self._dropping
        elif (why := _left_out(tag, dict(attrs))) is not None:
            self.skipped[why] += 1
            if tag not in _VOID:
                self._dropping, self._depth = tag, 1
        elif tag == "br":
            self._text.append("\n")
        else:
            self._opened(tag)

    def _opened(self, tag: str) -> None:
        if tag in ("ul", "ol"):
            self._end_item()
            self._lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self._end_item()
            self._items.append(self._marker())
        elif tag == "table":
            self._flush()
            self._tables += 1
        elif self._tables and tag == "tr":
            self._end_cell()
            self._rows.append([])
        elif self._tables and tag in ("td", "th"):
            self._end_cell()
            self._rows += [] if self._rows else [[]]
            self._rows[-1].append("")
        elif tag in _HEADINGS or tag == "pre" or tag in _BLOCKS:
            self._flush()
            self._level, self._code = _HEADINGS.get(tag, 0), tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if self._dropping:
            self._depth -= tag == self._dropping
            self._dropping = self._dropping if self._depth else ""
        elif tag in ("ul", "ol"):
            self._end_item()
            self._lists = self._lists[:-1]
            if not self._lists:
                self._end_list()
        elif tag == "li":
            self._end_item()
        elif tag == "table":
            self._end_cell()
            self._tables = max(0, self._tables - 1)
            if not self._tables:
                self._end_table()
        elif tag in ("td", "th", "tr") and self._tables:
            self._end_cell()
        elif tag in _HEADINGS or tag == "pre" or tag in _BLOCKS:
            self._flush()
            self._level, self._code = 0, False

    def handle_data(self, data: str) -> None:
        if not self._dropping:
            self._text.append(data if self._code else data.replace("\n", " "))

    def handle_comment(self, data: str) -> None:
        self.skipped["comments"] += 1

    def finish(self) -> None:
        self._end_item()
        self._end_list()
        self._end_cell()
        self._end_table()
        self._flush()

    def _flush(self) -> None:
        """What was said since the last block. Inside a list or a table it belongs to the item or the cell."""
        if self._lists and self._items:
            self._end_item()
        elif self._tables:
            self._end_cell()
        else:
            self._said()

    def _said(self) -> None:
        said, self._text = "".join(self._text), []
        if self._level:
            made = heading(said, self._level)
            self.blocks += [made] if made.text else []
        else:
            self._add("code" if self._code else "paragraph", tidy_lines(said) if self._code else tidy(said))

    def _end_item(self) -> None:
        if not self._lists:
            return
        said, self._text = tidy("".join(self._text)), []
        if said and self._items:
            gap = "" if self._items[-1].endswith(" ") else " "
            self._items[-1] += gap + said
        elif said:
            self._add("paragraph", said)

    def _marker(self) -> str:
        if not self._lists:
            self._lists.append(0)
        indent = "  " * min(len(self._lists) - 1, _DEEPEST_LIST)
        number = self._lists[-1]
        self._lists[-1] += 1 if number else 0
        return f"{indent}{f'{number}.' if number else '-'} "

    def _end_list(self) -> None:
        text = "\n".join(item for item in self._items if item.strip(" -.0123456789"))
        self._items, self._lists = [], []
        self._add("list", tidy_lines(text))

    def _end_cell(self) -> None:
        said, self._text = tidy("".join(self._text)), []
        if said and self._rows and self._rows[-1]:
            self._rows[-1][-1] = f"{self._rows[-1][-1]} {said}".strip()
        elif said:
            self._add("paragraph", said)

    def _end_table(self) -> None:
        rows = [" | ".join(row) for row in self._rows if any(row)]
        self._rows = []
        self._add("table", tidy_lines("\n".join(rows)))

    def _add(self, kind: BlockKind, text: str) -> None:
        if text:
            self.blocks.append(Block(kind, text))


def _left_out(tag: str, attributes: dict[str, str | None]) -> str | None:
    """What an element is called that is not read; None for one that is."""
    if tag in _DROPPED:
        return _DROPPED[tag]
    hidden = "hidden" in attributes or _UNSEEN.search(attributes.get("style") or "")
    return "hidden parts" if hidden and tag not in ("body", "html") else None
