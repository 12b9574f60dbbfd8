"""Counting rows into a `Summary`, one at a time, so that a version's totals never need its rows again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from storage.manifests import (
    FIRST_LINES,
    FLAGGED_CONFIDENCE,
    HIGH_CONFIDENCE,
    LOW_CONFIDENCE,
    Summary,
    TopicSummary,
    bounded_counts,
)
from storage.rows import UNCATEGORISED, Message, Row, content_text

_TOLERANCE = 1e-9


def summarise(rows: Iterable[Row]) -> Summary:
    """The summary of some rows, columns laid over them."""
    counter = SummaryCounter()
    for row in rows:
        counter.add(row)
    return counter.summary()


def relabelled(old: Summary, columns: Mapping[str, Sequence[Any]], rows: int) -> Summary:
    """`old` with everything that depends only on topic and score columns counted again."""
    counter = SummaryCounter()
    names = ("error", "topic", "topic_confidence", "topic_method", "is_generated", "score")
    values = [columns.get(name) or [None] * rows for name in names]
    for error, topic, confidence, method, generated, score in zip(*values, strict=True):
        if not error:
            counter.label(topic, confidence, method, bool(generated), score)
    fresh = counter.summary()
    return replace(
        old,
        topics=fresh.topics,
        methods=fresh.methods,
        unlabelled=fresh.unlabelled,
        uncategorised=fresh.uncategorised,
        scored=fresh.scored,
        score_sum=fresh.score_sum,
    )


def characters(messages: Sequence[Message]) -> int:
    """String contents plus the JSON of tool calls (domain.md §2)."""
    total = 0
    for message in messages:
        total += len(content_text(message.get("content")))
        if calls := message.get("tool_calls"):
            total += len(msgspec.json.encode(calls))
    return total


class SummaryCounter:
    """Counts rows. `add` looks at a whole row; ingest's fast path calls `valid`, `invalid` and `label` itself."""

    def __init__(self) -> None:
        self.rows = self.generated = 0
        self.errors: dict[str, int] = {}
        self.error_lines: dict[str, list[int]] = {}
        self.valid_rows = self.turns = self.single_turn = self.input_tokens = self.output_tokens = 0
        self.with_output = self.with_reference = self.with_tools = self.valid_generated = 0
        self.tools: dict[str, int] = {}
        self.labels: dict[str, int] = {}
        self.topics: dict[str, list[float]] = {}
        self.methods: dict[str, int] = {}
        self.unlabelled = self.uncategorised = self.scored = 0
        self.score_sum = 0.0

    def add(self, row: Row) -> None:
        self.generated += row.is_generated
        if row.error:
            self.invalid(row.error, row.line)
            return
        into, out = characters(row.input.messages), characters(row.output.messages)
        tools = tool_names(row.messages)
        self.valid(
            turns=sum(message.get("role") == "user" for message in row.input.messages),
            tokens=row.tokens,
            output_tokens=row.tokens * out // max(1, into + out),
            has_output=bool(row.output.messages),
            has_reference=bool(row.reference_answer),
        )
        self.named(tools=tools, has_tools=bool(tools or row.input.tools), label=row.item.get("label"))
        self.label(row.topic, row.topic_confidence, row.topic_method, row.is_generated, row.score)

    def invalid(self, code: str, line: int) -> None:
        self.rows += 1
        self.errors[code] = self.errors.get(code, 0) + 1
        lines = self.error_lines.setdefault(code, [])
        if line and len(lines) < FIRST_LINES:
            lines.append(line)

    def valid(
        self, *, turns: int, tokens: int, output_tokens: int, has_output: bool, has_reference: bool
    ) -> None:
        """Count one valid row; `output_tokens` are the answer's, by its share of the characters."""
        self.rows += 1
        self.valid_rows += 1
        self.turns += turns
        self.single_turn += turns <= 1
        self.input_tokens += tokens - output_tokens
        self.output_tokens += output_tokens
        self.with_output += has_output
        self.with_reference += has_reference

    def named(self, *, tools: Iterable[str], has_tools: bool, label: Any) -> None:
        """Count the tools and the label of a valid row."""
        self.with_tools += has_tools
        for name in tools:
            self.tools[name] = self.tools.get(name, 0) + 1
        if isinstance(label, str | int | bool):
            name = str(label)[:100]
            self.labels[name] = self.labels.get(name, 0) + 1

    def label(
        self,
        topic: str | None,
        confidence: float | None,
        method: str | None,
        generated: bool,
        score: float | None,
    ) -> None:
        """Count where a valid row belongs and what it scored."""
        self.valid_generated += generated
        if score is not None:
            self.scored += 1
            self.score_sum += score
        if method:
            self.methods[method] = self.methods.get(method, 0) + 1
        if topic is None:
            self.unlabelled += 1
        elif topic == UNCATEGORISED:
            self.uncategorised += 1
        else:
            self._topic(topic, 1.0 if confidence is None else confidence, generated)

    def _topic(self, topic: str, confidence: float, generated: bool) -> None:
        counts = self.topics.setdefault(topic, [0, 0.0, 0, 0, 0, 0])
        counts[0] += 1
        counts[1] += confidence
        counts[2] += confidence < LOW_CONFIDENCE - _TOLERANCE
        counts[3] += confidence < FLAGGED_CONFIDENCE - _TOLERANCE
        counts[4] += confidence >= HIGH_CONFIDENCE - _TOLERANCE
        counts[5] += generated

    def summary(self) -> Summary:
        return Summary(
            rows=self.rows,
            valid=self.valid_rows,
            generated=self.generated,
            errors=self.errors,
            error_lines=self.error_lines,
            turns=self.turns,
            single_turn=self.single_turn,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            with_output=self.with_output,
            with_reference=self.with_reference,
            with_tools=self.with_tools,
            valid_generated=self.valid_generated,
            tools=bounded_counts([self.tools]),
            labels=bounded_counts([self.labels]),
            topics={topic: _topic_summary(counts) for topic, counts in self.topics.items()},
            methods=self.methods,
            unlabelled=self.unlabelled,
            uncategorised=self.uncategorised,
            scored=self.scored,
            score_sum=self.score_sum,
        )


def tool_names(messages: Sequence[Message]) -> set[str]:
    """The names of the functions that the conversation calls."""
    calls = (
        call for message in messages for call in message.get("tool_calls") or () if isinstance(call, dict)
    )
    functions = (call.get("function") or {} for call in calls)
    return {str(function.get("name", ""))[:100] for function in functions if isinstance(function, dict)} - {
        ""
    }


def _topic_summary(counts: list[float]) -> TopicSummary:
    rows, confidence_sum, low, flagged, high, generated = counts
    return TopicSummary(int(rows), confidence_sum, int(low), int(flagged), int(high), int(generated))
