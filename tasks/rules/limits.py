"""The ceilings for what people upload. Names and defaults are those of `limits` in the settings file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_expansion` is how many times larger than its compressed form a file may be, once it is past 64 MB."""

    # read by pydantic where limits come from a settings file: a misspelt name is an error, not a limit ignored
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    max_file_bytes: int = 2_000_000_000
    max_expanded_bytes: int = 8_000_000_000
    max_expansion: int = 200
    max_rows: int = 5_000_000
    max_line_bytes: int = 16_000_000
    max_depth: int = 100
    max_columns: int = 200
    max_tokens: int = 8_000
    min_user_characters: int = 10
    max_document_bytes: int = 30_000_000
    max_document_pages: int = 1_000
    max_document_characters: int = 5_000_000
    max_documents: int = 50  # of one thread
