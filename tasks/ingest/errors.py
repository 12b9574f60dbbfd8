"""What can stop an upload as a whole, and what can be wrong with one row before it is a record."""

from __future__ import annotations

from typing import Literal

from tasks.rules.validation import Code

FileCode = Literal[
    "empty_file",
    "unsupported_type",
    "web_page",
    "file_too_large",
    "expands_too_much",
    "too_many_rows",
    "broken_compression",
    "broken_parquet",
    "too_many_columns",
]


NOT_UTF8 = "is not UTF-8"  # in the detail of a row whose bytes are of another encoding


class UnreadableFile(Exception):
    """The file cannot become a dataset. The message is for people and names the file; it may hold any character."""

    def __init__(self, code: FileCode, file_name: str, why: str) -> None:
        self.code = code
        self.file_name = shortened(file_name)
        super().__init__(f"{self.file_name}: {why}")


class IngestCancelled(Exception):
    """Somebody asked to stop; nothing of the file has become visible."""


class BadRow(Exception):
    """A row that is no record, with the code of domain.md §2 and what exactly is wrong."""

    def __init__(self, code: Code, detail: str) -> None:
        self.code: Code = code
        self.detail = detail
        super().__init__(detail)


def shortened(text: str, length: int = 100) -> str:
    """At most `length` characters, on one line."""
    flat = " ".join(text.split()) or "the file"
    return flat if len(flat) <= length else flat[: length - 1] + "…"
