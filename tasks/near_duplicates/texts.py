"""What of a row is compared, and what groups of rows mean for the rows that are valid.

Two questions, two texts. *Does it ask the same?* compares what was said up to the last user message, without the system prompt
that all rows may share; of a single turn that is the user's message. Splits and the overview ask this. *Is it the same row?*
compares the answer too, so that two answers to one question are two rows. Only cleaning, which removes, asks this, and both must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from storage.datasets import Datasets
from storage.manifests import Manifest
from storage.rows import Message, Row, content_text, conversation_text

TextKind = Literal["prompt", "whole"]
SPOKEN = ("user", "assistant")


def prompt_text(row: Row) -> str:
    """What people and assistant said up to the last user message."""
    return _spoken(row.input.messages)


def whole_text(row: Row) -> str:
    """The same with the reference answer; for a preference row with the rejected one too."""
    rejected = row.item.get("rejected")
    parts = (
        _spoken(row.input.messages),
        conversation_text(row.output.messages) or str(row.item.get("reference_answer") or ""),
        conversation_text(rejected) if isinstance(rejected, list) else str(rejected or ""),
    )
    return "\n".join(part for part in parts if part)


TEXTS: dict[TextKind, Callable[[Row], str]] = {"prompt": prompt_text, "whole": whole_text}


def copies(datasets: Datasets, manifest: Manifest, leaders: npt.NDArray[np.uint32]) -> int:
    """Valid rows whose group has an earlier valid row."""
    return sum(1 for _ in copies_by_part(datasets, manifest, leaders))


def copies_by_part(
    datasets: Datasets, manifest: Manifest, leaders: npt.NDArray[np.uint32]
) -> Iterator[tuple[int, int, int]]:
    """(part, position, number of the group's first valid row) of each valid row that has an earlier one in its group.

    Numbers count all rows, parts in order. Reads the `error` column alone; four bytes of memory a row.
    """
    first = np.full(len(leaders), -1, dtype=np.int32)
    start = 0
    for part, ref in enumerate(manifest.parts):
        errors = datasets.columns(manifest, part, ("error",))["error"]
        valid = [at for at, error in enumerate(errors) if not error]
        for at, leader in zip(valid, leaders[start : start + ref.rows][valid].tolist(), strict=True):
            if first[leader] >= 0:
                yield part, at, int(first[leader])
            else:
                first[leader] = start + at
        start += ref.rows


def place_of(manifest: Manifest, number: int) -> tuple[int, int]:
    """(part, position) of a row's number, counted over all rows of all parts."""
    part = 0
    while number >= manifest.parts[part].rows:
        number -= manifest.parts[part].rows
        part += 1
    return part, number


def _spoken(messages: list[Message]) -> str:
    turns = (content_text(message.get("content")) for message in messages if message.get("role") in SPOKEN)
    return "\n".join(turn for turn in turns if turn)
