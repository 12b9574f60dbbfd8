"""What is this file? Its first bytes decide; its name only breaks ties.

Refuses, with the reason, everything that cannot hold rows: pictures, programs, archives, the login page that a wrong
token gets instead of the file. Parquet is told apart before this module is asked (`parquet_rows.py`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from tasks.ingest.errors import FileCode, UnreadableFile

Compression = Literal["", "gzip", "zstd"]
Encoding = Literal["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
Kind = Literal["jsonl", "json array", "json", "csv", "parquet"]

HEAD_BYTES = 64 << 10

_BOMS: tuple[tuple[bytes, Encoding], ...] = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or an Office document; unpack it, or save a sheet as CSV"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"BZh", "a bzip2 file; use gzip or zstd"),
    (b"\xfd7zXZ", "an xz file; use gzip or zstd"),
    (
        b"PAR1",
        "Parquet inside another compression; upload the .parquet file itself, which is compressed already",
    ),
    (b"PARE", "encrypted Parquet; write it without encryption"),
)
_TELLING_COLUMNS = frozenset(
    ("messages", "conversations", "prompt", "question", "instruction", "text", "input")
)
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Text:
    """How the characters are written; `skip` is the length of the byte order mark."""

    encoding: Encoding
    skip: int


def compression_of(head: bytes) -> Compression:
    """How the file is compressed, by its magic number."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if head.startswith(b"\x28\xb5\x2f\xfd") else ""


def text_of(head: bytes, file_name: str) -> Text:
    """How the text is encoded. Raises `UnreadableFile` for what is no text."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return Text(encoding, len(bom))
    for magic, what in _BINARY:
        if head.startswith(magic) and not _is_plain(head):
            raise _unsupported(file_name, f"this is {what}")
    if guessed := _without_bom(head):
        return Text(guessed, 0)
    if not _is_plain(head) and not head.lstrip().startswith((b"{", b"[")):
        raise _unsupported(file_name, "this is a binary file")
    return Text("utf-8", 0)


def kind_of(head: bytes, file_name: str, *, complete: bool) -> Kind:
    """How rows are written in the (UTF-8) text. `complete` says that `head` is all there is. Raises `UnreadableFile`."""
    start = head.lstrip()
    name = file_name.casefold()
    if re.match(rb"<(!doctype\s+html|html|head|body)\b", start, re.IGNORECASE):
        why = "this is a web page, probably a login page, not the file itself; please upload it again"
        raise _refused("web_page", file_name, why)
    if start.startswith(b"["):
        return "json array"
    if start.startswith(b"{"):
        return (
            "jsonl"
            if _first_line_is_whole(start, complete) or ".json" not in name or ".jsonl" in name
            else "json"
        )
    if re.search(r"\.(jsonl|ndjson|json)(\.|$)", name):
        return "jsonl"
    if re.search(r"\.(csv|tsv)(\.|$)", name) or _looks_like_csv(start):
        return "csv"
    raise _unsupported(file_name, "neither JSONL, JSON, CSV nor Parquet was found in it")


def delimiter_of(header: str) -> str:
    """The character that separates the columns of a CSV's first line."""
    return max(_DELIMITERS, key=header.count)


def _is_plain(head: bytes) -> bool:
    """False when there are more than a few control characters; one NUL spoils a row, not a file."""
    control = sum(head.count(bytes((code,))) for code in (*range(9), *range(14, 32)))
    return control <= len(head) // 50


def _without_bom(head: bytes) -> Encoding | None:
    """UTF-16 without a mark shows as a NUL in every other byte of mostly Latin text."""
    sample = head[: len(head) // 2 * 2]
    if len(sample) < 4:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > 0.6 * half and even < 0.1 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 * half and odd < 0.1 * half else None


def _first_line_is_whole(start: bytes, complete: bool) -> bool:
    """Whether the first line alone is JSON; a first line longer than what we see is taken for one row."""
    line, newline, _ = start.partition(b"\n")
    if not newline and not complete:
        return True
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _looks_like_csv(start: bytes) -> bool:
    header = start.partition(b"\n")[0].decode("utf-8", "replace")
    columns = {cell.strip().strip('"').casefold() for cell in header.split(delimiter_of(header))}
    return len(columns) > 1 and bool(columns & _TELLING_COLUMNS)


def _unsupported(file_name: str, why: str) -> UnreadableFile:
    return _refused(
        "unsupported_type",
        file_name,
        f"{why}. Supported are .jsonl, .json and .csv, also compressed with gzip or zstd, and .parquet",
    )


def _refused(code: FileCode, file_name: str, why: str) -> UnreadableFile:
    return UnreadableFile(code, file_name, why)
