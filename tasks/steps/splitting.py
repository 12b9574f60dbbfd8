"""Which rows train and which validate, for one dataset version: the same answer for upload, training and evaluation.

The rules are `tasks/rules/splits.py`. Rows that grew from one row, and near-duplicates, stay on one side.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from storage.datasets import Datasets
from storage.manifests import Manifest
from storage.records import Json
from storage.rows import Row, last_user_message
from tasks.rules.generation import NearDuplicates
from tasks.rules.splits import Side, Split, SplitRow, split

COMPARED_ROWS = 20_000  # near-duplicates are looked for up to here; beyond, only exact ones and families are kept together
BATCH_ROWS = 500
COLUMNS = ("error", "topic", "is_generated")


@dataclass(frozen=True, slots=True)
class Sides:
    """A split and where its rows are: `places` holds part and position of each valid row, two numbers a row."""

    manifest: Manifest
    split: Split
    places: array[int]

    def where(self, side: Side) -> Iterator[tuple[int, int]]:
        for index in self.split.indices(side):
            yield self.places[2 * index], self.places[2 * index + 1]


def sides(datasets: Datasets, manifest: Manifest, *, train: float) -> Sides:
    """Blocks; run it in a thread. Reads every row once, and keeps some 40 bytes of each."""
    places: array[int] = array("l")

    def rows() -> Iterator[SplitRow]:
        near = NearDuplicates() if manifest.totals.valid <= COMPARED_ROWS else None
        for number in range(len(manifest.parts)):
            for at, row in enumerate(datasets.rows(manifest, number, COLUMNS)):
                if row.valid:
                    places.extend((number, at))
                    yield SplitRow(row.id, row.topic, _group(row, near), row.is_generated)

    found = split(rows(), train=train, validation=1 - train, seed=0)
    return Sides(manifest, found, places)


def jsonl(
    datasets: Datasets, chosen: Sides, side: Side, form: Callable[[Row], Json | None]
) -> Iterator[bytes]:
    """One side's rows as JSONL in a provider's form, streamed; rows that the form cannot express are left out."""
    encoder = msgspec.json.Encoder()
    batch: list[Json] = []
    wanted = set(chosen.where(side))
    for number in range(len(chosen.manifest.parts)):
        for at, row in enumerate(datasets.rows(chosen.manifest, number, COLUMNS)):
            shaped = form(row) if (number, at) in wanted else None
            if shaped is not None:
                batch.append(shaped)
            if len(batch) == BATCH_ROWS:
                yield encoder.encode_lines(batch)
                batch.clear()
    if batch:
        yield encoder.encode_lines(batch)


def _group(row: Row, near: NearDuplicates | None) -> str:
    """The family of a row: what it grew from, else the first row that is almost the same, else its document."""
    seed = row.provenance.get("seed")
    if seed:
        return f"row:{seed}"
    source = row.provenance.get("document") or row.provenance.get("permalink")
    if source:
        return f"source:{source}"
    text = last_user_message(row)
    match = near.find(text) if near is not None else None
    if match is not None:
        return match.key
    key = f"row:{row.id}"
    if near is not None:
        near.add(key, text)
    return key
