"""What a dataset version is made of: frozen, stdlib only, stored as JSON. Nothing here reads or writes.

A version is a head (lineage, totals) that names a list of parts; a part is about 8 MiB of rows, in blocks that can be read
alone, and its columns; each of them is an immutable object named by the hash of its bytes, so versions share whatever they
did not change. A row stays in its part and in its block for life, which is what the index relies on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

from storage.records import Tenant

LOW_CONFIDENCE = 0.7
FLAGGED_CONFIDENCE = 0.5
HIGH_CONFIDENCE = 0.8
FIRST_LINES = 5  # line numbers kept per error code
MAX_NAMES = 200  # distinct labels or tools counted by name; the rest count as OTHER
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class TopicSummary:
    """Valid rows of one topic. `low` is below 0.7, `flagged` below 0.5, `high` at least 0.8 (domain.md §3)."""

    rows: int = 0
    confidence_sum: float = 0.0
    low: int = 0
    flagged: int = 0
    high: int = 0
    generated: int = 0

    @property
    def average_confidence(self) -> float:
        return self.confidence_sum / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over some rows; they add up (`summed`), so that totals never need the rows.

    From `turns` on, everything counts valid rows only. Tokens are as the validation counted them. `labels` are the values
    of a `label` column. `unlabelled` rows were never categorised, `uncategorised` ones were and fit nowhere.
    """

    rows: int = 0
    valid: int = 0
    generated: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    error_lines: dict[str, list[int]] = field(default_factory=dict)
    turns: int = 0
    single_turn: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    with_output: int = 0
    with_reference: int = 0
    with_tools: int = 0
    valid_generated: int = 0
    tools: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    topics: dict[str, TopicSummary] = field(default_factory=dict)
    methods: dict[str, int] = field(default_factory=dict)
    unlabelled: int = 0
    uncategorised: int = 0
    scored: int = 0
    score_sum: float = 0.0

    @property
    def invalid(self) -> int:
        return self.rows - self.valid


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """One column of a part: an object that holds its values, or one value that all rows share.

    ends        where the object's chunks of values end, in bytes
    exceptions  (position, value) of the few rows that differ from that, in order
    """

    name: str
    digest: str = ""
    ends: tuple[int, ...] = ()
    constant: Any = None
    exceptions: tuple[tuple[int, Any], ...] = ()


class Block(NamedTuple):
    """Some consecutive rows of a part, compressed by themselves: how many, and in how many bytes of its object."""

    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class PartRef:
    """One part. A column that is not listed has its default everywhere.

    digest   names the rows as they are now: that of their object, or made from it and the patches
    size     uncompressed bytes
    base     the object that holds the blocks one after the other, where patches lie over it; else ""
    patches  (block, object) of the few blocks that were edited since that object was written
    """

    digest: str
    rows: int
    size: int
    base: str = ""
    blocks: tuple[Block, ...] = ()
    patches: tuple[tuple[int, str], ...] = ()
    columns: tuple[ColumnRef, ...] = ()
    summary: Summary = Summary()


@dataclass(frozen=True, slots=True)
class IndexRef:
    """Where the ids and conversations of some rows are found: an object of sorted entries, by their first bits in
    2**bits buckets; `ends` counts the entries up to the end of each."""

    digest: str
    keys: int
    bits: int
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The uploaded file that a version began with. `tokens_by` says how tokens were counted."""

    file_name: str = ""
    upload_id: str = ""
    size: int = 0
    format: str = ""
    shape: str = ""
    columns: tuple[str, ...] = ()
    tokens_by: str = "estimate: characters / 4"


@dataclass(frozen=True, slots=True)
class Head:
    """What most of the house needs of a version: small, and the same size for a thousand rows and for a million.

    `detail` says more about the operation: upload ids, a merged file's name, parameters.
    """

    tenant: Tenant
    dataset_id: str
    version: int
    parent: int | None
    operation: str
    by: str
    at: float
    totals: Summary
    source: Source
    parts_digest: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole version: its head and the list of its parts. `hash` names its content, whoever made it and when.

    `pages` are the objects that the list of parts was read from.
    """

    head: Head
    parts: tuple[PartRef, ...]
    index: tuple[IndexRef, ...] = ()
    pages: tuple[str, ...] = ()

    @property
    def tenant(self) -> Tenant:
        return self.head.tenant

    @property
    def dataset_id(self) -> str:
        return self.head.dataset_id

    @property
    def version(self) -> int:
        return self.head.version

    @property
    def totals(self) -> Summary:
        return self.head.totals

    @property
    def hash(self) -> str:
        return self.head.parts_digest


DiffKind = Literal["added", "removed", "changed", "topic", "validity"]


@dataclass(frozen=True, slots=True)
class RowDiff:
    """One row that differs. `before` and `after` are the last user message's beginning, the topics, or the errors."""

    id: str
    kind: DiffKind
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Diff:
    """How one version differs from another. A row may count as changed, as moved to another topic, and as judged otherwise.

    changed   rows whose conversation or extra columns differ
    topics    rows of another topic; `topic_moves` counts them by (from, to)
    validity  rows with another error, or none
    examples  the first few of each kind
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    topics: int = 0
    validity: int = 0
    topic_moves: tuple[tuple[str, str, int], ...] = ()
    parts_shared: int = 0
    parts_differing: int = 0
    examples: tuple[RowDiff, ...] = ()


def summed(summaries: list[Summary]) -> Summary:
    """The summary of all the rows together; the earliest line numbers are kept."""
    total: dict[str, Any] = {}
    for each in fields(Summary):
        values = [getattr(summary, each.name) for summary in summaries]
        total[each.name] = _combined(each.name, values)
    return Summary(**total)


def less(total: Summary, part: Summary) -> Summary:
    """`total` without the rows that `part` counts. Line numbers are left as they are: they cannot be taken out."""
    rest: dict[str, Any] = {}
    for each in fields(Summary):
        old, gone = getattr(total, each.name), getattr(part, each.name)
        rest[each.name] = _without(each.name, old, gone)
    return Summary(**rest)


def _without(name: str, old: Any, gone: Any) -> Any:
    if name == "error_lines":
        return old
    if name == "topics":
        parts = [part.name for part in fields(TopicSummary)]
        left = {
            topic: TopicSummary(
                *(
                    getattr(old[topic], part) - getattr(gone.get(topic, TopicSummary()), part)
                    for part in parts
                )
            )
            for topic in old
        }
        return {topic: found for topic, found in left.items() if found.rows}
    if isinstance(old, dict):
        counts = dict(old)
        for key, count in gone.items():
            key = key if key in counts else OTHER
            counts[key] = counts.get(key, 0) - count
        return {key: count for key, count in counts.items() if count > 0}
    return old - gone


def _combined(name: str, values: list[Any]) -> Any:
    if name == "topics":
        return _summed_topics(values)
    if name == "error_lines":
        return _first_lines(values)
    if name in ("errors", "tools", "labels", "methods"):
        return bounded_counts(values)
    return sum(values)


def bounded_counts(counts: list[dict[str, int]]) -> dict[str, int]:
    """Counts added up by name; names beyond the 200 that come first are counted together."""
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            key = name if name in total or len(total) < MAX_NAMES else OTHER
            total[key] = total.get(key, 0) + count
    return total


def _first_lines(values: list[dict[str, list[int]]]) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for each in values:
        for code, found in each.items():
            lines[code] = sorted(lines.get(code, []) + found)[:FIRST_LINES]
    return lines


def _summed_topics(values: list[dict[str, TopicSummary]]) -> dict[str, TopicSummary]:
    total: dict[str, list[Any]] = {}
    for each in values:
        for topic, found in each.items():
            sums = total.setdefault(topic, [0, 0.0, 0, 0, 0, 0])
            sums[0] += found.rows
            sums[1] += found.confidence_sum
            sums[2] += found.low
            sums[3] += found.flagged
            sums[4] += found.high
            sums[5] += found.generated
    return {topic: TopicSummary(*sums) for topic, sums in total.items()}
