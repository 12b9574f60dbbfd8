"""Which rows train, validate and test, for one dataset version: the same answer for upload, training and evaluation.

The rules are `tasks/rules/splits.py`. Rows that belong together stay on one side: near-duplicates, a row and what grew from it,
the rows of one document or thread, all of it transitively (`families.py`). What may still have leaked is measured afterwards, row by row.
A test set is locked for the dataset the first time that one is asked for.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import msgspec

from storage import paths
from storage.blobs import BlobStore
from storage.datasets import Datasets
from storage.errors import NotFound
from storage.manifests import Manifest
from storage.records import Json, Tenant
from storage.rows import Row
from tasks.near_duplicates import groups
from tasks.rules.splits import Leakage, Side, Split, split
from tasks.steps.families import Families, families, leakage

BATCH_ROWS = 500
COLUMNS = ("error", "topic", "is_generated")
NOT_MEASURED = Leakage()


@dataclass(frozen=True, slots=True)
class Sides:
    """A split and where its rows are: `rows[i]` is the number of the i-th valid row, counted over all rows of all parts.

    `lock` names the dataset's locked test set where there is one: what is made of these sides depends on it.
    """

    manifest: Manifest
    split: Split
    rows: array[int]
    leakage: Leakage = NOT_MEASURED
    lock: str = ""

    def where(self, side: Side) -> Iterator[tuple[int, int]]:
        """(part, position) of each row of a side, in order."""
        part, first = 0, 0
        for index in self.split.indices(side):
            while self.rows[index] >= first + self.manifest.parts[part].rows:
                first += self.manifest.parts[part].rows
                part += 1
            yield part, self.rows[index] - first


class TestSet(msgspec.Struct, frozen=True):
    """The rows that are kept for testing, by id, since when, and the version they were drawn from."""

    ids: tuple[str, ...]
    at: float
    version: int

    @property
    def name(self) -> str:
        return hashlib.sha256("\x1f".join(self.ids).encode("utf-8", "replace")).hexdigest()[:12]


def sides(
    datasets: Datasets,
    manifest: Manifest,
    *,
    train: float,
    validation: float | None = None,
    test: float = 0.0,
    locked_test: Collection[str] | None = None,
    blobs: BlobStore | None = None,
    at: float = 0.0,
    before: float | None = None,
    seed: int = 0,
) -> Sides:
    """Blocks; run it in a thread. Keeps some 60 bytes of a row while it works, 5 in its answer.

    validation   what train and test leave, when None
    test         above 0, a test set is drawn and locked for the dataset (with `blobs`; `at` is the time to note)
    locked_test  ids of a test set in place of the dataset's own
    blobs        where near-duplicates found before and the locked test set are kept; without it nothing is remembered
    before       a lock made after this time is not yet known: for telling again how an earlier training was split

    A locked test set stays what it is in every later version: new rows never join it, rows that are gone are left out (and
    return with a roll back), and no other side ever gets its rows, whether a test side is asked for or not.
    """
    lock = None if locked_test is not None else locked(manifest, blobs, before=before)
    ids = frozenset(locked_test if locked_test is not None else lock.ids if lock else ())
    near = groups(datasets, manifest, blobs=blobs)
    found = families(datasets, manifest, near, locked=ids)
    rest = 1 - train - test if validation is None else validation
    made = split(found.rows(), train=train, validation=rest, test=test, seed=seed, locked_test=ids)
    if test and not ids and blobs is not None and made.count("test"):
        drawn = TestSet(ids=_ids(datasets, manifest, found, made), at=at, version=manifest.version)
        lock = _lock(blobs, manifest, drawn)
        if lock != drawn:  # somebody was quicker, from another version perhaps
            found = families(datasets, manifest, near, locked=frozenset(lock.ids))
            made = split(
                found.rows(),
                train=train,
                validation=rest,
                test=test,
                seed=seed,
                locked_test=frozenset(lock.ids),
            )
    made = replace(made, notes=(*made.notes, *found.notes))
    measured = leakage(datasets, manifest, found, made, near)
    return Sides(manifest, made, found.numbers, measured, lock.name if lock else "")


def locked(manifest: Manifest, blobs: BlobStore | None, *, before: float | None = None) -> TestSet | None:
    """The dataset's locked test set, if it has one (by that time)."""
    found = test_set(blobs, manifest.tenant, manifest.dataset_id) if blobs is not None else None
    return None if found is not None and before is not None and found.at > before else found


def test_set(blobs: BlobStore, tenant: Tenant, dataset_id: str) -> TestSet | None:
    """The rows set aside for testing in every version of a dataset. Raises `Unavailable`."""
    try:
        data = blobs.get(paths.test_set(tenant, dataset_id))
    except NotFound:
        return None
    return msgspec.json.decode(data, type=TestSet)


def leakage_facts(chosen: Sides) -> Json:
    """The leakage report as cards and the agent carry it: counts over validation and test, at most three examples."""
    found = chosen.leakage
    return {
        "held_out": found.held_out,
        "exact": found.exact,
        "near": found.near,
        "same_source": found.same_source,
        "examples": [
            {"kind": kind, "text": text, "in_training": other} for kind, text, other in found.examples
        ],
        "locked_test": chosen.split.count("test"),
        "left_out": chosen.split.count("left_out"),
    }


def jsonl(
    datasets: Datasets, chosen: Sides, side: Side, form: Callable[[Row], Json | None]
) -> Iterator[bytes]:
    """One side's rows as JSONL in a provider's form, streamed; rows that the form cannot express are left out."""
    encoder = msgspec.json.Encoder()
    batch: list[Json] = []
    wanted = chosen.where(side)
    at = next(wanted, None)
    for number in range(len(chosen.manifest.parts)):
        if at is None or at[0] > number:
            continue
        for place, row in enumerate(datasets.rows(chosen.manifest, number, COLUMNS)):
            if at != (number, place):
                continue
            at = next(wanted, None)
            shaped = form(row)
            if shaped is not None:
                batch.append(shaped)
            if len(batch) == BATCH_ROWS:
                yield encoder.encode_lines(batch)
                batch.clear()
    if batch:
        yield encoder.encode_lines(batch)


def _ids(datasets: Datasets, manifest: Manifest, found: Families, made: Split) -> tuple[str, ...]:
    chosen = Sides(manifest, made, found.numbers)
    return tuple(row.id for row in datasets.pick(manifest, chosen.where("test")))


def _lock(blobs: BlobStore, manifest: Manifest, drawn: TestSet) -> TestSet:
    """Sets the rows aside for good; the rows that are, where somebody else did so first."""
    path = paths.test_set(manifest.tenant, manifest.dataset_id)
    if blobs.create(path, msgspec.json.encode(drawn)):
        return drawn
    return locked(manifest, blobs) or drawn
