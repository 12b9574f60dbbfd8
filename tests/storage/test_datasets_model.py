"""Any sequence of edits, bulk edits, drops, labels and additions, against a plain list of rows that does the same.

Blocks, chunks, pages and buckets are made tiny, so that ten rows meet every boundary that a million do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets, RowFilter
from storage.datasets import blocks as blocks_module
from storage.datasets import columns as columns_module
from storage.datasets import index as index_module
from storage.datasets import listing as listing_module
from storage.datasets.summaries import summarise
from storage.digests import conversation_digest
from storage.errors import NotFound
from storage.manifests import Manifest, summed
from storage.rows import Row, last_user_message
from tests.storage.test_datasets import BY, TENANT, check, make_row, without_rounding

TINY: tuple[tuple[Any, str, int], ...] = (
    (blocks_module, "BLOCK_BYTES", 600),
    (blocks_module, "MAX_PATCHES", 2),
    (columns_module, "CHUNK_ROWS", 4),
    (columns_module, "MAX_EXCEPTIONS", 2),
    (index_module, "BUCKET_KEYS", 4),
    (index_module, "SEGMENT_KEYS", 24),
    (listing_module, "PAGE_PARTS", 2),
)
TOPICS = (None, "billing", "shipping", "uncategorised")

texts = st.sampled_from(["", "one", "ONE ", "two", "three", "four", "five", "six", "long " * 60])
topics = st.sampled_from(TOPICS)


class Model:
    """A version as a list of parts of rows. The rule of equals is written out here as slowly as it can be."""

    def __init__(self, parts: list[list[Row]]) -> None:
        self.parts = parts

    @property
    def rows(self) -> list[Row]:
        return [row for part in self.parts for row in part]

    def copy(self) -> Model:
        return Model([list(part) for part in self.parts])

    def has_valid(self, digest: bytes) -> bool:
        return any(row.valid and conversation_digest(row.messages) == digest for row in self.rows)

    def change(self, change: Callable[[Row], Row | None]) -> None:
        affected: list[bytes] = []
        for number, part in enumerate(self.parts):
            kept = []
            for row in part:
                new = self._judged(row, change(row), affected)
                kept += [] if new is None else [new]
            self.parts[number] = kept
        for digest in affected:
            if not self.has_valid(digest):
                self._promote(digest)

    def _judged(self, old: Row, new: Row | None, affected: list[bytes]) -> Row | None:
        before = conversation_digest(old.messages)
        if new is None:
            affected += [before] if old.valid else []
            return None
        if (new.input, new.output, new.item) == (old.input, old.output, old.item):
            return new
        error, tokens = check(new)
        after = conversation_digest(new.messages)
        if old.valid and before == after and not error:
            return msgspec.structs.replace(new, tokens=tokens)
        affected += [before] if old.valid else []
        affected += [] if error else [after]
        return msgspec.structs.replace(new, error=error or "duplicate", tokens=tokens)

    def _promote(self, digest: bytes) -> None:
        for part in self.parts:
            for at, row in enumerate(part):
                if row.error == "duplicate" and conversation_digest(row.messages) == digest:
                    part[at] = msgspec.structs.replace(row, error="")
                    return


class DatasetMachine(RuleBasedStateMachine):
    @initialize(given=st.lists(st.tuples(texts, topics), max_size=30), seed=st.integers(0, 9))
    def begin(self, given: list[tuple[str, str | None]], seed: int) -> None:
        self.blobs = MemoryBlobs()
        self.datasets = Datasets(self.blobs, part_rows=6)
        self.rng = random.Random(seed)
        self.count = 0
        self.manifest = self.datasets.write_version(TENANT, "d1", (), (), operation="start", **BY)
        self.model = Model([])
        self.past: list[tuple[int, Model]] = [(1, self.model.copy())]
        self.append(given)

    @rule(given=st.lists(st.tuples(texts, topics), min_size=1, max_size=8))
    def append(self, given: list[tuple[str, str | None]]) -> None:
        rows = []
        for text, topic in given:
            self.count += 1
            provenance = {"file": "f", "line": self.count} if self.count % 3 else {}
            score = 0.5 if self.count % 4 == 0 else None
            id = f"q{self.count}" if self.count % 2 else ""
            rows.append(make_row(text, id=id, topic=topic, provenance=provenance, score=score))
        before = len(self.manifest.parts)
        made = self.datasets.append_rows(self.manifest, rows, check=check, operation="add", **BY)
        self.model.parts += [[] for _ in made.parts[before:]]
        given_rows = iter(rows)
        for number in range(before, len(made.parts)):
            for row, stored in zip(given_rows, self.datasets.rows(made, number), strict=False):
                error, tokens = check(row)
                taken = not error and self.model.has_valid(conversation_digest(row.messages))
                assert row.id in ("", stored.id)
                wanted = {"id": stored.id, "error": "duplicate" if taken else error, "tokens": tokens}
                self.model.parts[number].append(msgspec.structs.replace(row, **wanted))
                if len(self.model.parts[number]) == made.parts[number].rows:
                    break
        self._stands(made)

    @rule(at=st.integers(0, 200), text=texts, topic=topics, only_topic=st.booleans())
    def edit(self, at: int, text: str, topic: str | None, only_topic: bool) -> None:
        if not self.model.rows:
            return
        id = self.model.rows[at % len(self.model.rows)].id
        changes = {"topic": topic} if only_topic else {"topic": topic, "input": make_row(text).input}

        def change(row: Row) -> Row:
            return msgspec.structs.replace(row, **changes)

        self.model.change(lambda row: change(row) if row.id == id else row)
        self._stands(self.datasets.replace_record(self.manifest, id, change, check=check, **BY))

    @rule(text=texts, becomes=texts, share=st.floats(0, 1))
    def reword_many(self, text: str, becomes: str, share: float) -> None:
        chosen = {row.id for row in self.model.rows if self.rng.random() < share}

        def change(row: Row) -> Row | None:
            if row.id not in chosen:
                return row
            if last_user_message(row) == text:
                return None
            return msgspec.structs.replace(row, input=make_row(becomes).input)

        self.model.change(change)
        how: dict[str, Any] = {"ids": chosen} if self.rng.random() < 0.5 else {}
        self._stands(
            self.datasets.change_rows(self.manifest, change, check=check, operation="bulk", **how, **BY)
        )

    @rule(source=topics, becomes=topics)
    def move_topic(self, source: str | None, becomes: str | None) -> None:
        def change(row: Row) -> Row:
            return msgspec.structs.replace(row, topic=becomes) if row.topic == source else row

        where = RowFilter(topic=source) if source else None
        self.model.change(change)
        self._stands(
            self.datasets.change_rows(self.manifest, change, check=check, operation="move", where=where, **BY)
        )

    @rule(share=st.floats(0, 1))
    def drop(self, share: float) -> None:
        chosen = {row.id for row in self.model.rows if self.rng.random() < share}
        self.model.change(lambda row: None if row.id in chosen else row)
        self._stands(
            self.datasets.drop_rows(self.manifest, lambda row: row.id in chosen, operation="delete", **BY)
        )

    @rule(part=st.integers(0, 50), data=st.data())
    def label(self, part: int, data: st.DataObject) -> None:
        if not self.model.parts:
            return
        part %= len(self.model.parts)
        rows = self.model.parts[part]
        names = data.draw(st.lists(topics, min_size=len(rows), max_size=len(rows)))
        sure = [0.1 * (at % 10) for at in range(len(rows))]
        made = self.datasets.set_columns(self.manifest, part, {"topic": names, "topic_confidence": sure})
        self.model.parts[part] = [
            msgspec.structs.replace(row, topic=topic, topic_confidence=confidence)
            for row, topic, confidence in zip(rows, names, sure, strict=True)
        ]
        self._stands(self.datasets.commit(self.manifest, {part: made}, operation="label", **BY))

    @rule(strict=st.booleans())
    def judge_again(self, strict: bool) -> None:
        def rules(row: Row) -> tuple[str, int]:
            error, tokens = check(row)
            return ("too_short" if strict and tokens < 4 else error), tokens

        seen: set[bytes] = set()
        for part in self.model.parts:
            for at, row in enumerate(part):
                error, tokens = rules(row)
                digest = conversation_digest(row.messages)
                if not error and digest in seen:
                    error = "duplicate"
                if not error:
                    seen.add(digest)
                part[at] = msgspec.structs.replace(row, error=error, tokens=tokens)
        self._stands(self.datasets.revalidate(self.manifest, check=rules, **BY))

    def _stands(self, made: Manifest) -> None:
        previous, before = self.manifest, self.past[-1][1]
        self.manifest = made
        self.past.append((made.version, self.model.copy()))
        assert made.head.parent == previous.version
        self._diff_is_right(previous, made, before)

    def _diff_is_right(self, previous: Manifest, made: Manifest, before: Model) -> None:
        was = {row.id: row for row in before.rows}
        now = {row.id: row for row in self.model.rows}
        both = [(was[id], now[id]) for id in was.keys() & now.keys()]
        diff = self.datasets.diff(previous, made)
        assert (diff.added, diff.removed) == (len(now.keys() - was.keys()), len(was.keys() - now.keys()))
        assert diff.changed == sum(old.messages != new.messages for old, new in both)
        assert diff.topics == sum(old.topic != new.topic for old, new in both)
        assert diff.validity == sum(old.error != new.error for old, new in both)

    @invariant()
    def rows_are_those_of_the_list(self) -> None:
        stored = [list(self.datasets.rows(self.manifest, n)) for n in range(len(self.manifest.parts))]
        assert stored == self.model.parts

    @invariant()
    def summaries_are_as_if_counted_afresh(self) -> None:
        for part, rows in zip(self.manifest.parts, self.model.parts, strict=True):
            counted = summarise(rows)
            sorted_lines = {code: sorted(lines) for code, lines in counted.error_lines.items()}
            counted = replace(counted, error_lines=sorted_lines)
            assert without_rounding(part.summary) == without_rounding(counted)
            assert part.rows == len(rows)
        totals = summed([part.summary for part in self.manifest.parts])
        assert without_rounding(self.manifest.totals) == without_rounding(totals)

    @invariant()
    def one_of_equals_is_valid(self) -> None:
        valid = [conversation_digest(row.messages) for row in self.model.rows if row.valid]
        repeated = {conversation_digest(r.messages) for r in self.model.rows if r.error == "duplicate"}
        assert len(valid) == len(set(valid))
        assert repeated <= set(valid)

    @invariant()
    def every_row_is_found(self) -> None:
        for row in self.model.rows:
            assert self.datasets.get_record(self.manifest, row.id) == row
        gone = {row.id for _, model in self.past for row in model.rows} - {row.id for row in self.model.rows}
        for id in sorted(gone)[:5]:
            with pytest.raises(NotFound):
                self.datasets.get_record(self.manifest, id)

    @invariant()
    def pages_show_what_matches(self) -> None:
        where = RowFilter(topic="billing", valid=True)
        wanted = [row for row in self.model.rows if row.topic == "billing" and row.valid]
        assert list(self._pages(where)) == wanted
        assert list(self._pages(RowFilter(text="one"))) == [
            row for row in self.model.rows if "one" in last_user_message(row).casefold()
        ]

    def _pages(self, where: RowFilter) -> Iterator[Row]:
        cursor = ""
        while True:
            page = self.datasets.page(self.manifest, where=where, cursor=cursor, limit=3)
            yield from page.rows
            if not (cursor := page.cursor):
                return

    def teardown(self) -> None:
        """Versions are immutable: each still reads as it did, without anything remembered."""
        for version, model in getattr(self, "past", []):
            fresh = Datasets(self.blobs)
            manifest = fresh.manifest(TENANT, "d1", version)
            assert list(fresh.iter_rows(manifest, only_valid=False)) == model.rows
            assert without_rounding(manifest.totals) == without_rounding(
                summed([part.summary for part in manifest.parts])
            )


def test_any_sequence_of_changes_does_what_it_does_to_a_list() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        DatasetMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in TINY:
        monkeypatch.setattr(module, name, value)
