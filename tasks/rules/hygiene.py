"""What a version's totals say about its health and its make-up (domain.md §2): counts in, reports out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from storage.manifests import Summary
from storage.rows import Row
from tasks.rules.limits import Limits
from tasks.rules.validation import CODES, Code, RowProblem, explain

Health = Literal["healthy", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Hygiene:
    """`rate` is rejected / total. `lines` holds the first five line numbers of each code, `problems` one sentence each."""

    total: int
    valid: int
    rejected: int
    rate: float
    health: Health
    counts: dict[Code, int]
    duplicates: int
    lines: dict[Code, tuple[int, ...]]
    problems: tuple[RowProblem, ...]
    recommendations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Over valid rows; shares are 0 to 1. `turns` counts user messages. Empty mappings where there is nothing to count."""

    rows: int
    valid: int
    turns: int
    average_turns: float
    average_input_tokens: float
    average_output_tokens: float
    single_turn_share: float
    multi_turn_share: float
    reference_share: float
    generated_share: float
    tools: dict[str, int]
    labels: dict[str, int]
    tokens_by: str


def hygiene(totals: Summary, *, details: Sequence[RowProblem] = (), limits: Limits | None = None) -> Hygiene:
    """The hygiene report. `details` are problems found while reading; other errors are explained by code and line."""
    counts = {code: totals.errors[code] for code in CODES if totals.errors.get(code)}
    lines = {code: tuple(totals.error_lines.get(code, ())) for code in counts}
    known = {(problem.code, problem.line): problem for problem in details}
    problems = tuple(
        known.get((code, line)) or explain(code, line=line, limits=limits)
        for code, found in lines.items()
        for line in found
    )
    rate = totals.invalid / totals.rows if totals.rows else 0.0
    return Hygiene(
        total=totals.rows,
        valid=totals.valid,
        rejected=totals.invalid,
        rate=rate,
        health=health(rate),
        counts=counts,
        duplicates=counts.get("duplicate", 0),
        lines=lines,
        problems=problems,
        recommendations=recommendations(totals),
    )


def typical(rows: Sequence[Row], count: int = 3) -> tuple[Row, ...]:
    """Of some sampled rows the ones nearest the median length, in their order."""
    if not rows:
        return ()
    middle = median(row.tokens for row in rows)
    nearest = sorted(range(len(rows)), key=lambda at: (abs(rows[at].tokens - middle), at))[:count]
    return tuple(rows[at] for at in sorted(nearest))


def health(rate: float) -> Health:
    """≤ 5 % healthy, ≤ 15 % warning, above critical."""
    if rate <= 0.05 + 1e-9:
        return "healthy"
    return "warning" if rate <= 0.15 + 1e-9 else "critical"


def recommendations(totals: Summary) -> tuple[str, ...]:
    """What to do about errors that are frequent, or that spoil tool use and length whatever their number."""
    errors = totals.errors
    empty = errors.get("empty_messages", 0) + errors.get("empty_user_message", 0)
    tools = errors.get("missing_tool_call_id", 0) + errors.get("orphan_tool_result", 0)
    rows = max(1, totals.rows)
    advice = (
        (
            errors.get("no_user_message", 0) > 0.05 * rows,
            "Many rows have no user message: check how roles were exported.",
        ),
        (empty > 0.05 * rows, "Many rows are empty: check the export for a missing column."),
        (
            errors.get("user_message_too_short", 0) > 0.10 * rows,
            "Many last user messages are very short: add context, or lower the minimum length for this workflow.",
        ),
        (
            tools > 0,
            "Some tool chains are broken: every tool result needs the id of the call that it answers.",
        ),
        (errors.get("exceeds_max_tokens", 0) > 0, "Some rows are too long: split or shorten them."),
    )
    return tuple(text for applies, text in advice if applies)


def statistics(totals: Summary, *, tokens_by: str = "") -> Statistics:
    """What the valid rows are like."""
    valid = max(1, totals.valid)
    return Statistics(
        rows=totals.rows,
        valid=totals.valid,
        turns=totals.turns,
        average_turns=totals.turns / valid,
        average_input_tokens=totals.input_tokens / valid,
        average_output_tokens=totals.output_tokens / valid,
        single_turn_share=totals.single_turn / valid,
        multi_turn_share=(totals.valid - totals.single_turn) / valid,
        reference_share=totals.with_reference / valid,
        generated_share=totals.valid_generated / valid,
        tools=totals.tools,
        labels=totals.labels,
        tokens_by=tokens_by,
    )
