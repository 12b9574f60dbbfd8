"""Which rows a change is about: a filter or ids on one dataset version, counted and remembered part by part.

A filter is always read on the version that people were shown; what it found is kept as positions, so that exactly those
rows are changed later, however the dataset has moved on. Nothing here decides or writes.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from storage.datasets import Datasets, RowFilter
from storage.manifests import Manifest, PartRef, Summary
from storage.records import Json
from storage.rows import UNCATEGORISED, Row

INLINE_PARTS = (
    8  # more parts than these are searched by a worker, so that a turn costs the same on any dataset
)
MOST_IDS = 200
EXAMPLES = 5


ANY = RowFilter()


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows by id, or else by filter; an empty filter means every row."""

    where: RowFilter = ANY
    ids: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        return not self.ids and self.where == ANY


@dataclass(frozen=True, slots=True)
class Found:
    """What a selection comes to: rows, the valid ones among them, and those by topic."""

    rows: int = 0
    valid: int = 0
    by_topic: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundHere:
    """What it comes to in one part, with the positions."""

    found: Found
    places: tuple[int, ...] = ()


def to_params(selection: Selection) -> Json:
    """As a task's parameters carry it."""
    where = {name: value for name, value in asdict(selection.where).items() if value not in (None, "")}
    return {"where": where, "ids": list(selection.ids)}


def from_params(params: Json) -> Selection:
    """The reverse of `to_params`."""
    given = dict(params.get("where") or {})
    for name in ("confidence", "score"):
        if given.get(name) is not None:
            low, high = given[name]
            given[name] = (float(low), float(high))
    return Selection(RowFilter(**given), tuple(str(id) for id in params.get("ids") or ()))


def from_totals(totals: Summary, selection: Selection) -> Found | None:
    """What the totals alone say, at no cost for any number of rows; None when the rows have to be looked at."""
    where = selection.where
    if selection.ids or where.text or where.confidence or where.score:
        return None
    by_topic = {topic: found.rows for topic, found in totals.topics.items()}
    nothing_else = where.valid is None and not totals.invalid  # topics count valid rows only
    match (where.topic, where.valid, where.source):
        case (None, None, None):
            return Found(totals.rows, totals.valid, by_topic)
        case (None, True, None):
            return Found(totals.valid, totals.valid, by_topic)
        case (None, False, None):
            return Found(totals.invalid)
        case (None, None, "generated"):
            made = {topic: found.generated for topic, found in totals.topics.items() if found.generated}
            return Found(totals.generated, totals.valid_generated, made)
        case (topic, valid, None) if topic == UNCATEGORISED and (valid or nothing_else):
            return Found(totals.uncategorised + totals.unlabelled, totals.uncategorised + totals.unlabelled)
        case (str() as topic, valid, None) if topic in by_topic and (valid or nothing_else):
            return Found(by_topic[topic], by_topic[topic], {topic: by_topic[topic]})
    return None


def is_quick(manifest: Manifest, selection: Selection) -> bool:
    """Whether counting needs no worker."""
    return bool(
        selection.ids
        or from_totals(manifest.totals, selection)
        or (len(manifest.parts) <= INLINE_PARTS and not selection.where.text)
    )


def count(datasets: Datasets, manifest: Manifest, selection: Selection) -> Found:
    """The whole of it, at once; for what `is_quick`."""
    known = from_totals(manifest.totals, selection)
    if known is not None:
        return known
    places = by_part(datasets, manifest, selection.ids) if selection.ids else {}
    parts = places or range(len(manifest.parts))
    if selection.ids and not places:
        return Found()
    return summed(in_part(datasets, manifest, part, selection, places.get(part)).found for part in parts)


def by_part(datasets: Datasets, manifest: Manifest, ids: Sequence[str]) -> dict[int, list[int]]:
    """Part → positions of the rows with these ids; ids that are none are left out."""
    found = datasets.places_of(manifest, ids[:MOST_IDS])
    return {part: sorted(set(places)) for part, places in sorted(found.items())}


def in_part(
    datasets: Datasets,
    manifest: Manifest,
    part: int,
    selection: Selection,
    places: Sequence[int] | None = None,
) -> FoundHere:
    """The rows of one part; `places` where they are known already."""
    if places is None:
        places = datasets.places(manifest, part, selection.where)
    if not places:
        return FoundHere(Found())
    columns = datasets.columns(manifest, part, ("error", "topic"))
    valid = [at for at in places if not columns["error"][at]]
    topics = Counter(
        columns["topic"][at] for at in valid if columns["topic"][at] not in (None, UNCATEGORISED)
    )
    return FoundHere(Found(len(places), len(valid), dict(topics)), tuple(places))


def summed(found: Iterable[Found]) -> Found:
    rows = valid = 0
    topics: Counter[str] = Counter()
    for one in found:
        rows, valid = rows + one.rows, valid + one.valid
        topics.update(one.by_topic)
    return Found(rows, valid, dict(topics))


def examples(datasets: Datasets, manifest: Manifest, selection: Selection) -> tuple[Row, ...]:
    """A few of the rows, as far as a page's reading goes."""
    if selection.ids:
        places = by_part(datasets, manifest, selection.ids[:EXAMPLES])
        return tuple(datasets.pick(manifest, [(part, at) for part, found in places.items() for at in found]))
    return datasets.page(manifest, where=selection.where, limit=EXAMPLES).rows


# ---------------------------------------------------------------- checkpoints


def saved(here: FoundHere, part: PartRef) -> Json:
    """As a checkpoint: counts, and one bit a row."""
    bits = bytearray((part.rows + 7) // 8)
    for at in here.places:
        bits[at >> 3] |= 1 << (at & 7)
    return {**asdict(here.found), "bits": base64.b85encode(bytes(bits)).decode() if here.places else ""}


def loaded(value: Json) -> FoundHere:
    """The reverse of `saved`."""
    bits = base64.b85decode(value["bits"])
    places = tuple(at for at in range(len(bits) * 8) if bits[at >> 3] >> (at & 7) & 1)
    return FoundHere(Found(value["rows"], value["valid"], dict(value["by_topic"])), places)


# ---------------------------------------------------------------- the same rows on a later version


def places_now(
    datasets: Datasets, shown: Manifest, newest: Manifest, part: int, places: Sequence[int]
) -> tuple[list[int], int]:
    """Where the selected rows of a part are on `newest`, and how many somebody has changed since: those are left out."""
    if part >= len(newest.parts):
        return [], len(places)
    old, new = shown.parts[part], newest.parts[part]
    if (old.digest, old.columns) == (new.digest, new.columns):
        return list(places), 0
    rows = {row.id: row for row in datasets.pick(shown, [(part, at) for at in places])}
    found = [
        at
        for at, row in enumerate(datasets.rows(newest, part))
        if row.id in rows and _is_as_shown(rows[row.id], row)
    ]
    return found, len(places) - len(found)


def _is_as_shown(shown: Row, now: Row) -> bool:
    return (shown.messages, shown.topic, shown.item, shown.raw) == (
        now.messages,
        now.topic,
        now.item,
        now.raw,
    )
