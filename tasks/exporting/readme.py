"""The dataset card: what a dataset is, in Markdown, for whoever finds the file without the thread it came from. Pure.

It names people by their Slack ids, because a mention means nothing outside Slack, and quotes what people wrote as text that
cannot become markup. It claims nothing that the house does not know: a licence is for whoever brought the rows to state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from storage.manifests import Source, Summary
from tasks.rules.hygiene import Hygiene, Statistics
from tasks.rules.lineage import made_by

MOST_VERSIONS = 50
MOST_TOPICS = 100
MOST_NAMES = 30
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#!])")


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version: which operation made it, from which version, by whom, when, and how many rows it has."""

    number: int
    parent: int | None
    operation: str
    by: str
    at: float
    rows: int
    valid: int


@dataclass(frozen=True, slots=True)
class SplitLine:
    """What a split came to. `leakage` says in how far rows of training resemble those held out; `notes` what had to yield."""

    shares: str
    rows: Mapping[str, int]
    notes: Sequence[str] = ()
    leakage: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """All that a card says. `topics` are (name, valid rows, generated ones among them); `generators` counts rows by how
    they were made; `files` are (name, rows) of what the card lies beside."""

    name: str
    goal: str
    dataset_id: str
    version: int
    made_at: float
    source: Source
    totals: Summary
    hygiene: Hygiene
    statistics: Statistics
    versions: Sequence[VersionLine] = ()
    topics: Sequence[tuple[str, int, int]] = ()
    generators: Mapping[str, int] = field(default_factory=dict)
    balance: float | None = None
    consent: str = ""
    split: SplitLine | None = None
    files: Sequence[tuple[str, int]] = ()
    notes: Sequence[str] = ()


def readme(facts: CardFacts) -> str:
    """The card. Sections that would be empty are not there."""
    parts = [
        f"# {plain(facts.name) or 'Dataset'}, version {facts.version}",
        _about(facts),
        _section("Files here", _files(facts)),
        _section("Splits", _split(facts.split) if facts.split else ()),
        _section("Rows", _rows(facts)),
        _section("Health", _health(facts.hygiene)),
        _section("Topics", _topics(facts)),
        _section("Generated rows", _generated(facts)),
        _section("Where it comes from", _sources(facts)),
        _section("Versions", _versions(facts.versions)),
        _section("Licence and consent", _licence(facts)),
        _section("Limits", _limits(facts)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: object, longest: int = 300) -> str:
    """Somebody's words as one line of Markdown that is nothing but text."""
    flat = " ".join(str(text).split())
    return _MARKUP.sub(r"\\\1", flat if len(flat) <= longest else f"{flat[: longest - 1]}…")


def _about(facts: CardFacts) -> str:
    goal = f"What it is for: {plain(facts.goal, 1_000)}\n\n" if facts.goal else ""
    return f"{goal}Dataset `{facts.dataset_id}`. This card was written on {_day(facts.made_at)}."


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> str:
    text = "\n".join(lines)
    return f"## {title}\n\n{text}" if text else ""


def _files(facts: CardFacts) -> Iterator[str]:
    yield from (f"- `{name}`: {_count(rows)}" for name, rows in facts.files)
    if facts.files and facts.notes:
        yield ""
    yield from (f"- {plain(note, 500)}" for note in facts.notes)


def _split(split: SplitLine) -> Iterator[str]:
    yield f"Divided {split.shares} by topic; rows that resemble each other, or come from one source, stay together.\n"
    yield from _table(("side", "rows"), split.rows.items())
    leaked = {name: count for name, count in split.leakage.items() if name != "held_out"}
    if split.leakage:
        told = ", ".join(
            f"{plain(name).replace(chr(92), '').replace('_', ' ')} {count:,}"
            for name, count in leaked.items()
        )
        yield f"\nHeld-out rows that have company in training: {told or 'none'}."
    yield from (f"\n{plain(note, 500)}" for note in split.notes)


def _rows(facts: CardFacts) -> Iterator[str]:
    known = facts.statistics
    yield f"- {_count(known.rows)}, {known.valid:,} of them valid"
    yield f"- tokens: {facts.totals.input_tokens + facts.totals.output_tokens:,} in valid rows ({plain(known.tokens_by)});"
    yield f"  a row has {known.average_input_tokens:,.0f} in its input and {known.average_output_tokens:,.0f} in its answer"
    yield f"- turns of the user: {known.average_turns:.1f} a row; {_percent(known.multi_turn_share)} have several"
    yield f"- with a reference answer: {_percent(known.reference_share)}"
    if known.tools:
        yield f"- tools used: {_names(known.tools)}"
    if known.labels:
        yield f"- labels: {_names(known.labels)}"


def _health(found: Hygiene) -> Iterator[str]:
    yield f"{found.health}: {_percent(found.rate)} rejected ({found.rejected:,} of {found.total:,})."
    if found.counts:
        yield ""
        lines = {code: ", ".join(map(str, found.lines.get(code, ()))) for code in found.counts}
        rows = ((code, f"{count:,}", lines[code] or "–") for code, count in found.counts.items())
        yield from _table(("error", "rows", "first lines of the file"), rows)


def _topics(facts: CardFacts) -> Iterator[str]:
    if not facts.topics:
        return
    if facts.balance is not None:
        yield f"Balance {facts.balance:.2f} (1: as the targets say; 0: all rows in one topic).\n"
    total = sum(count for _, count, _ in facts.topics) or 1
    shown = facts.topics[:MOST_TOPICS]
    rows = (
        (plain(name, 100), f"{count:,}", _percent(count / total), f"{made:,}") for name, count, made in shown
    )
    yield from _table(("topic", "rows", "share", "generated"), rows)
    if len(facts.topics) > len(shown):
        yield f"\n… and {len(facts.topics) - len(shown):,} more."


def _generated(facts: CardFacts) -> Iterator[str]:
    if not facts.totals.valid_generated:
        yield "None: every row was brought by people."
        return
    yield f"{facts.totals.valid_generated:,} of the valid rows ({_percent(facts.statistics.generated_share)}) were written by a model."
    if facts.generators:
        yield ""
        yield from _table(
            ("how", "rows"), ((plain(name, 150), f"{n:,}") for name, n in facts.generators.items())
        )


def _sources(facts: CardFacts) -> Iterator[str]:
    source = facts.source
    if source.file_name:
        shape = ", ".join(plain(part) for part in (source.format, source.shape) if part)
        yield f"- {plain(source.file_name)}{f' ({shape})' if shape else ''}"
    if source.columns:
        shown = ", ".join(plain(name, 60) for name in source.columns[:MOST_NAMES])
        yield f"- columns kept: {shown}{' …' if len(source.columns) > MOST_NAMES else ''}"


def _versions(versions: Sequence[VersionLine]) -> Iterator[str]:
    shown = versions[:MOST_VERSIONS]
    rows = (
        (f"{one.number}", f"{one.parent}" if one.parent else "–", plain(made_by(one.operation), 60), plain(one.by, 60),
         _day(one.at), f"{one.valid:,} of {one.rows:,}")
        for one in shown
    )  # fmt: skip
    if versions:
        yield from _table(("version", "made from", "what happened", "by", "on", "valid rows"), rows)
    if len(versions) > len(shown):
        yield f"\n… and {len(versions) - len(shown):,} older ones."


def _licence(facts: CardFacts) -> Iterator[str]:
    yield "- No licence was stated to us. Whoever brought the rows knows under which terms they may be used and passed on."
    yield (
        f"- {plain(facts.consent, 500)}"
        if facts.consent
        else "- Nobody has agreed that rows may be sent to a model provider."
    )


def _limits(facts: CardFacts) -> Iterator[str]:
    yield "- Rows are as they came: nobody has checked their facts, and personal data may be in them."
    yield f"- Tokens are counted so: {plain(facts.statistics.tokens_by)}."
    if facts.topics:
        yield "- Topics were assigned by rules, similarity or a model, each with a confidence; part of them is wrong."
    if facts.totals.valid_generated:
        yield "- Generated rows carry the habits of the model that wrote them. They are no measure of how people ask."


def _table(head: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row)} |"


def _names(counts: Mapping[str, int]) -> str:
    shown = [f"{plain(name, 60)} {count:,}" for name, count in list(counts.items())[:MOST_NAMES]]
    return ", ".join(shown) + (" …" if len(counts) > MOST_NAMES else "")


def _count(rows: int) -> str:
    return f"{rows:,} {'row' if rows == 1 else 'rows'}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
