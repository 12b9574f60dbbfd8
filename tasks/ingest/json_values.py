"""The elements of a JSON array, or JSON values one after the other, cut out of a text of any size.

Only brackets, quotes and line numbers are looked at; whether an element is valid JSON is for `careful.py` to say. Once
brackets or quotes are out of step nothing after them can be told apart: everything complete before is kept, and the rest
becomes one broken row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.ingest.lines import PREVIEW_BYTES, Element, TooLong

_OUTSIDE = re.compile(rb'["\[\]{},\n]')
_INSIDE = re.compile(rb'["\\\n]')


def _whole_element(levels: int) -> bytes:
    """A pattern of an object with so many levels below it, its texts skipped as they are."""
    flat = rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"'
    inner = rb"[\[{](?:" + flat + rb")*+[\]}]"
    for _ in range(levels):
        inner = rb"[\[{](?:" + flat + rb"|" + inner + rb")*+[\]}]"
    return inner


# An element that is whole in the text at hand, and the comma after it: found in one go, where step by step takes dozens.
_ELEMENT = re.compile(rb"\s*+(?=\{)(" + _whole_element(5) + rb")\s*+,", re.DOTALL)


def elements(pieces: Iterator[bytes], *, in_array: bool, max_bytes: int) -> Iterator[Element | TooLong]:
    """Each element with the line it begins on."""
    scanner = _Scanner(base=1 if in_array else 0, max_bytes=max_bytes)
    for piece in pieces:
        yield from scanner.feed(piece)
    yield from scanner.finish()


class _Scanner:
    """`base` is the depth between elements: 1 in an array, 0 without one."""

    def __init__(self, *, base: int, max_bytes: int) -> None:
        self._base, self._max = base, max_bytes
        self._text = bytearray()  # what has been read and not yet given out
        self._start = self._at = 0  # in `_text`: where the element begins, how far we have looked
        self._first = self._line = 1  # the lines of these two
        self._depth = 0
        self._in_string = False
        self._dropped = 0  # bytes of an element over the limit that are already forgotten
        self._preview = b""

    def feed(self, piece: bytes) -> Iterator[Element | TooLong]:
        self._text += piece
        while True:
            yield from self._at_once()
            if (token := self._token()) is None:
                break
            yield from self._step(token)
        if len(self._text) - self._start > self._max:
            self._forget()
        del self._text[: self._start]
        self._at -= self._start
        self._start = 0

    def _at_once(self) -> Iterator[Element]:
        """The elements of an array that are whole here, as long as one follows the other."""
        while self._base and self._depth == self._base and self._at == self._start and not self._in_string:
            found = _ELEMENT.match(self._text, self._at)
            if found is None or found.end() - self._start > self._max:
                return
            start, end = found.span(1)
            self._line += self._text.count(b"\n", self._start, start)
            yield Element(self._line, bytes(self._text[start:end]))
            self._line += self._text.count(b"\n", start, found.end())
            self._start = self._at = found.end()
            self._first = self._line

    def finish(self) -> Iterator[Element | TooLong]:
        yield from self._cut(len(self._text), len(self._text))

    def _token(self) -> int | None:
        """The next byte that matters; None when more text is needed, be it only the byte after a backslash."""
        pattern = _INSIDE if self._in_string else _OUTSIDE
        found = pattern.search(self._text, self._at)
        if found is None:
            self._at = len(self._text)
            return None
        if found.group() == b"\\" and found.end() == len(self._text):
            self._at = found.start()
            return None
        self._at = found.end()
        return found.group()[0]

    def _step(self, token: int) -> Iterator[Element | TooLong]:
        if token == ord("\n"):
            self._line += 1
        elif token == ord("\\"):
            self._line += self._text[self._at] == ord("\n")
            self._at += 1
        elif token == ord('"'):
            self._in_string = not self._in_string
        elif token in b"[{":
            if self._base and not self._depth and token == ord("["):
                yield from self._cut(self._at - 1, self._at)
            self._depth += 1
        elif token in b"]}":
            yield from self._close()
        elif self._base and self._depth == self._base:  # a comma between elements
            yield from self._cut(self._at - 1, self._at)

    def _close(self) -> Iterator[Element | TooLong]:
        depth, self._depth = self._depth, max(0, self._depth - 1)
        if self._base and depth <= self._base:  # the end of the array: its bracket belongs to no element
            yield from self._cut(self._at - 1, self._at)
        elif self._depth == self._base:
            yield from self._cut(self._at, self._at)

    def _cut(self, end: int, after: int) -> Iterator[Element | TooLong]:
        """Give out what lies before `end`; the next element begins at `after`."""
        text = bytes(self._text[self._start : end])
        lead = text[: len(text) - len(text.lstrip())]
        if self._dropped:
            yield TooLong(self._first, self._dropped + len(text), self._preview)
        elif len(text) > len(lead):
            yield Element(self._first + lead.count(b"\n"), text.strip())
        self._start, self._first, self._dropped = after, self._line, 0

    def _forget(self) -> None:
        if not self._dropped:
            self._preview = bytes(self._text[self._start : self._start + PREVIEW_BYTES])
            lead = self._text[self._start : len(self._text) - len(self._text[self._start :].lstrip())]
            self._first += lead.count(b"\n")
        self._dropped += self._at - self._start
        self._start = self._at
