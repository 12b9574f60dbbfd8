"""Versions of a dataset: what is shared, what is rewritten, how rows are found again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from storage import paths
from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets, RowFilter
from storage.datasets import columns as columns_module
from storage.datasets import index as index_module
from storage.datasets.summaries import summarise
from storage.errors import Corrupt, NotFound
from storage.manifests import Manifest, Summary
from storage.records import Tenant
from storage.rows import Input, Output, Row, last_user_message, to_openai_rft

TENANT = Tenant(enterprise="", team="T1")
OTHERS = Tenant(enterprise="", team="T2")
BY: dict[str, Any] = {"by": "U1", "at": 100.0}


def check(row: Row) -> tuple[str, int]:
    """A rule for tests: an empty question is an error; a token a character."""
    text = last_user_message(row)
    return ("" if text else "empty_user_message"), len(text)


def make_row(text: str, **more: Any) -> Row:
    return Row(
        id=more.pop("id", ""),
        input=Input([{"role": "user", "content": text}]),
        output=Output([{"role": "assistant", "content": "An answer."}]),
        **more,
    )


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def datasets(blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch) -> Datasets:
    """Small parts whose columns rest as those of large ones do."""
    monkeypatch.setattr(columns_module, "MAX_EXCEPTIONS", 2)
    return Datasets(blobs, part_rows=10)


def start(datasets: Datasets, rows: Sequence[Row], dataset_id: str = "d1") -> Manifest:
    empty = datasets.write_version(TENANT, dataset_id, (), (), operation="start", **BY)
    return datasets.append_rows(empty, rows, check=check, operation="upload", **BY)


def fifty(datasets: Datasets) -> Manifest:
    return start(datasets, [make_row(f"Question number {n}", id=f"q{n}") for n in range(50)])


def texts(datasets: Datasets, manifest: Manifest, **how: Any) -> list[str]:
    return [last_user_message(row) for row in datasets.iter_rows(manifest, **how)]


def changed_parts(old: Manifest, new: Manifest) -> list[int]:
    pairs = zip(old.parts, new.parts, strict=False)
    return [number for number, (before, after) in enumerate(pairs) if before != after]


def test_rows_come_back_in_order_part_by_part(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    assert [part.rows for part in manifest.parts] == [10] * 5
    assert texts(datasets, manifest) == [f"Question number {n}" for n in range(50)]
    assert [row.id for row in datasets.rows(manifest, 3)] == [f"q{n}" for n in range(30, 40)]


def test_a_version_reads_back_as_it_was_written(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    assert datasets.manifest(TENANT, "d1", manifest.version) == manifest
    head = datasets.head(TENANT, "d1", manifest.version)
    assert (head.version, head.parent, head.operation, head.by, head.at) == (2, 1, "upload", "U1", 100.0)
    assert (head.totals.rows, head.totals.valid, head.totals.turns) == (50, 50, 50)


def test_another_team_finds_nothing(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    with pytest.raises(NotFound):
        datasets.manifest(OTHERS, "d1", manifest.version)


def test_a_manifest_moved_to_another_team_is_refused(datasets: Datasets, blobs: MemoryBlobs) -> None:
    manifest = fifty(datasets)
    blobs.objects[paths.version(OTHERS, "d1", 2)] = blobs.get(paths.version(TENANT, "d1", 2))
    with pytest.raises(Corrupt):
        datasets.head(OTHERS, "d1", manifest.version)


@pytest.mark.parametrize("id", ["../x", "a/b", "", "a.b", "ä", "x" * 201])
def test_no_id_escapes_into_a_path(datasets: Datasets, id: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        datasets.head(TENANT, id, 1)
    with pytest.raises(ValueError, match="not an id"):
        paths.upload(Tenant(enterprise=id or "..", team="T1"), "f1")


def test_two_writers_never_share_a_number(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    one = datasets.commit(manifest, {}, operation="one", **BY)
    two = datasets.commit(manifest, {}, operation="two", **BY)
    assert (one.version, two.version) == (3, 4)
    assert datasets.head(TENANT, "d1", 3).operation == "one"
    assert (one.head.parent, two.head.parent) == (2, 2)


def test_writing_the_same_rows_twice_gives_the_same_bytes(datasets: Datasets) -> None:
    rows = [make_row(f"Question number {n}") for n in range(25)]
    one, two = start(datasets, rows, "d1"), start(datasets, rows, "d2")
    assert one.hash == two.hash
    assert [part.digest for part in one.parts] == [part.digest for part in two.parts]


def test_labels_rewrite_a_column_and_nothing_else(datasets: Datasets, blobs: MemoryBlobs) -> None:
    manifest = fifty(datasets)
    before = set(blobs.objects)
    labels = {
        "topic": ["billing"] * 6 + ["shipping"] * 3 + [None],
        "topic_confidence": [0.9] * 5 + [0.6, 0.4, 0.8, 0.7] + [None],
        "topic_method": ["keyword"] * 9 + [None],
    }
    part = datasets.set_columns(manifest, 2, labels)
    labelled = datasets.commit(manifest, {2: part}, operation="categorize", **BY)
    assert changed_parts(manifest, labelled) == [2]
    assert part.digest == manifest.parts[2].digest
    assert (
        len(set(blobs.objects) - before) == 2 + 2 + 1
    )  # two columns (the third nearly constant), a page and the list of parts, the head
    assert datasets.topic_counts(labelled) == {"billing": 6, "shipping": 3}
    topics = labelled.totals.topics
    assert (topics["billing"].low, topics["billing"].flagged, topics["billing"].high) == (1, 0, 5)
    assert (topics["shipping"].low, topics["shipping"].flagged, topics["shipping"].high) == (1, 1, 1)
    assert labelled.totals.unlabelled == 41
    assert [row.topic for row in datasets.rows(labelled, 2)] == labels["topic"]
    assert datasets.topic_counts(datasets.manifest(TENANT, "d1", manifest.version)) == {}


def test_a_column_that_does_not_fit_is_refused(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    for values in ({"topic": ["x"]}, {"colour": ["red"] * 10}):
        with pytest.raises(ValueError, match="do not fit"):
            datasets.set_columns(manifest, 0, values)


def test_an_invalid_row_counts_in_no_topic(datasets: Datasets) -> None:
    manifest = start(datasets, [make_row("First question"), make_row("")])
    part = datasets.set_columns(manifest, 0, {"topic": ["billing", "billing"]})
    labelled = datasets.commit(manifest, {0: part}, operation="categorize", **BY)
    assert datasets.topic_counts(labelled) == {"billing": 1}


def test_a_record_is_found_by_its_id(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    assert last_user_message(datasets.get_record(manifest, "q37")) == "Question number 37"
    for id in ("q50", "q3", ""):
        if id != "q3":
            with pytest.raises(NotFound):
                datasets.get_record(manifest, id)


@pytest.mark.parametrize("id", ['say "hi"', "Zeile\nzwei", "ünï", "<!channel>", "{", "q\\"])
def test_strange_ids_are_found_too(datasets: Datasets, id: str) -> None:
    manifest = start(datasets, [make_row("First question", id="plain"), make_row("Second question", id=id)])
    assert last_user_message(datasets.get_record(manifest, id)) == "Second question"


def test_many_rows_are_found_through_many_buckets(
    monkeypatch: pytest.MonkeyPatch, blobs: MemoryBlobs
) -> None:
    monkeypatch.setattr(index_module, "BUCKET_KEYS", 16)
    monkeypatch.setattr(index_module, "SEGMENT_KEYS", 150)
    datasets = Datasets(blobs, part_rows=20)
    manifest = start(datasets, [make_row(f"Question number {n}", id=f"q{n}") for n in range(300)])
    assert len(manifest.index) > 2
    assert max(segment.bits for segment in manifest.index) >= 3
    for n in range(0, 300, 7):
        assert last_user_message(datasets.get_record(manifest, f"q{n}")) == f"Question number {n}"


def test_an_edit_rewrites_one_part(datasets: Datasets) -> None:
    manifest = fifty(datasets)

    def ask_again(row: Row) -> Row:
        changed = make_row("A better question", id="ignored")
        return msgspec.structs.replace(changed, topic="billing", topic_method="manual", topic_confidence=1.0)

    edited = datasets.replace_record(manifest, "q23", ask_again, check=check, **BY)
    assert changed_parts(manifest, edited) == [2]
    row = datasets.get_record(edited, "q23")
    assert (row.id, last_user_message(row), row.topic, row.tokens) == (
        "q23",
        "A better question",
        "billing",
        17,
    )
    assert last_user_message(datasets.get_record(manifest, "q23")) == "Question number 23"
    assert edited.totals.rows == 50
    assert texts(datasets, edited)[24] == "Question number 24"


def test_after_edits_the_counts_are_as_if_counted_afresh(datasets: Datasets, mixed: Manifest) -> None:
    manifest = mixed
    ids = [row.id for row in datasets.iter_rows(mixed, only_valid=False)]
    changes = [
        ("", {}),
        ("A new question", {"topic": "shipping", "topic_confidence": 0.3}),
        ("A new question", {"topic": "new"}),
        ("Yet another question", {"is_generated": True, "score": 0.5, "item": {"label": "x"}}),
    ]
    for number, id in enumerate(ids[3:47:3]):
        text, more = changes[number % len(changes)]
        new = make_row(text, **more)
        manifest = datasets.replace_record(manifest, id, lambda row, new=new: new, check=check, **BY)
    for number, part in enumerate(manifest.parts):
        counted = summarise(datasets.rows(manifest, number))
        assert without_rounding(part.summary) == without_rounding(counted)
    assert manifest.totals.rows == 50


def without_rounding(summary: Summary) -> Summary:
    topics = {
        t: replace(found, confidence_sum=round(found.confidence_sum, 9))
        for t, found in summary.topics.items()
    }
    return replace(summary, topics=topics, score_sum=round(summary.score_sum, 9))


def test_an_edit_is_judged_again(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    edited = datasets.replace_record(manifest, "q5", lambda row: make_row(""), check=check, **BY)
    assert edited.totals.errors == {"empty_user_message": 1}
    assert (edited.totals.rows, edited.totals.valid) == (50, 49)
    mended = datasets.replace_record(edited, "q5", lambda row: make_row("Whole again"), check=check, **BY)
    assert (mended.totals.errors, mended.totals.valid) == ({}, 50)


@pytest.mark.parametrize("other", ["question  NUMBER 23", "Question number 45"])
def test_an_edit_that_repeats_another_row_is_a_duplicate(datasets: Datasets, other: str) -> None:
    manifest = fifty(datasets)
    edited = datasets.replace_record(manifest, "q21", lambda row: make_row(other), check=check, **BY)
    assert datasets.get_record(edited, "q21").error == "duplicate"


def test_an_edit_that_repeats_an_edited_row_is_a_duplicate(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    for id in ("q3", "q44"):
        manifest = datasets.replace_record(
            manifest, id, lambda row: make_row("Something new"), check=check, **BY
        )
    assert datasets.get_record(manifest, "q3").valid
    assert datasets.get_record(manifest, "q44").error == "duplicate"


def test_what_was_edited_away_may_be_said_again(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    manifest = datasets.replace_record(
        manifest, "q3", lambda row: make_row("Something new"), check=check, **BY
    )
    rows = [make_row("Question number 3"), make_row("Something new")]
    manifest = datasets.append_rows(manifest, rows, check=check, operation="generate", **BY)
    assert [row.error for row in datasets.rows(manifest, 5)] == ["", "duplicate"]


def test_the_next_of_equals_becomes_valid_when_the_first_changes(datasets: Datasets) -> None:
    manifest = start(datasets, [make_row("Same question", id="a"), make_row("same QUESTION", id="b")])
    assert datasets.get_record(manifest, "b").error == "duplicate"
    edited = datasets.replace_record(
        manifest, "a", lambda row: make_row("Another question"), check=check, **BY
    )
    assert [row.error for row in datasets.rows(edited, 0)] == ["", ""]


def test_appended_rows_come_in_new_parts(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    rows = [
        make_row("Generated question", is_generated=True, topic="billing", topic_confidence=0.95),
        make_row("Question number 7", is_generated=True),
        make_row("generated  question", is_generated=True),
        make_row("", is_generated=True),
    ]
    grown = datasets.append_rows(manifest, rows, check=check, operation="generate", **BY)
    assert grown.parts[:5] == manifest.parts
    added = list(datasets.rows(grown, 5))
    assert [row.error for row in added] == ["", "duplicate", "duplicate", "empty_user_message"]
    assert (grown.totals.generated, grown.totals.valid_generated, grown.totals.rows) == (4, 1, 54)
    assert grown.totals.topics["billing"].generated == 1
    assert len({row.id for row in added}) == 4
    for row in added:
        assert datasets.get_record(grown, row.id) == row


def test_appended_rows_never_take_an_id(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    rows = [
        make_row("New question one", id="q3"),
        make_row("New question two", id="n"),
        make_row("Third", id="n"),
    ]
    grown = datasets.append_rows(manifest, rows, check=check, operation="generate", **BY)
    ids = [row.id for row in datasets.iter_rows(grown)]
    assert len(ids) == len(set(ids)) == 53
    assert ids[51] == "n"
    assert last_user_message(datasets.get_record(grown, "q3")) == "Question number 3"


def test_dropped_rows_leave_other_parts_alone(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    left = datasets.drop_rows(manifest, lambda row: row.id in ("q12", "q14"), operation="delete", **BY)
    assert changed_parts(manifest, left) == [1]
    assert left.totals.rows == 48
    with pytest.raises(NotFound):
        datasets.get_record(left, "q12")
    assert last_user_message(datasets.get_record(left, "q13")) == "Question number 13"


def test_all_rows_may_be_dropped(datasets: Datasets) -> None:
    none = datasets.drop_rows(fifty(datasets), lambda row: True, operation="delete", **BY)
    assert none.totals.rows == 0
    assert list(datasets.iter_rows(none, only_valid=False)) == []
    assert datasets.sample(none, 5, seed=1) == ()
    grown = datasets.append_rows(none, [make_row("Question number 3")], check=check, operation="add", **BY)
    assert texts(datasets, grown) == ["Question number 3"]


def test_judging_again_by_other_rules_rewrites_columns(datasets: Datasets) -> None:
    manifest = fifty(datasets)
    done: list[int] = []

    def strict(row: Row) -> tuple[str, int]:
        return ("user_message_too_short" if last_user_message(row).endswith("7") else ""), 3

    judged = datasets.revalidate(manifest, check=strict, progress=done.append, **BY)
    assert judged.totals.errors == {"user_message_too_short": 5}
    assert done == [10, 20, 30, 40, 50]
    assert [part.digest for part in judged.parts] == [part.digest for part in manifest.parts]
    again = datasets.revalidate(judged, check=check, **BY)
    assert again.totals.valid == 50


@pytest.fixture
def mixed(datasets: Datasets) -> Manifest:
    rows = [
        make_row(
            "" if n % 10 == 9 else f"Question number {n} about {'refunds' if n % 4 == 0 else 'parcels'}",
            topic="billing/refunds" if n % 4 == 0 else "shipping",
            topic_confidence=n / 50,
            is_generated=n >= 40,
            score=n / 100 if n < 10 else None,
        )
        for n in range(50)
    ]
    return start(datasets, rows)


def all_pages(datasets: Datasets, manifest: Manifest, where: RowFilter, limit: int) -> list[Row]:
    rows: list[Row] = []
    page = datasets.page(manifest, where=where, limit=limit)
    rows += page.rows
    while page.cursor:
        page = datasets.page(manifest, where=where, cursor=page.cursor, limit=limit)
        assert len(page.rows) <= limit
        rows += page.rows
    return rows


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (RowFilter(), 50),
        (RowFilter(valid=True), 45),
        (RowFilter(valid=False), 5),
        (RowFilter(topic="billing/refunds"), 13),
        (RowFilter(topic="nothing"), 0),
        (RowFilter(source="generated"), 10),
        (RowFilter(source="uploaded", valid=True), 36),
        (RowFilter(confidence=(0.0, 0.5)), 25),
        (RowFilter(score=(0.05, 1.0)), 5),
        (RowFilter(text="REFUNDS"), 13),
        (RowFilter(text='"answer"'), 0),
        (RowFilter(text="an ANSWER."), 50),
        (RowFilter(text="number 4", source="generated"), 9),
    ],
)
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_show_what_matches(
    datasets: Datasets, mixed: Manifest, where: RowFilter, count: int, limit: int
) -> None:
    rows = all_pages(datasets, mixed, where, limit)
    everything = list(datasets.iter_rows(mixed, only_valid=False))
    order = [everything.index(row) for row in rows]
    assert len(rows) == count
    assert order == sorted(order)


def test_a_page_opens_only_a_few_parts(datasets: Datasets) -> None:
    manifest = start(datasets, [make_row(f"Question number {n}") for n in range(200)])
    page = datasets.page(manifest, where=RowFilter(text="number 199"))
    assert page.rows == ()
    assert page.cursor == "8.0"
    assert len(all_pages(datasets, manifest, RowFilter(text="number 199"), 10)) == 1


def test_parts_without_the_topic_are_not_opened(
    datasets: Datasets, blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = start(
        datasets, [make_row(f"Question {n}", topic="last" if n == 199 else "x") for n in range(200)]
    )
    read: list[str] = []
    get = blobs.get
    monkeypatch.setattr(blobs, "get", lambda path: (read.append(path), get(path))[1])
    page = datasets.page(manifest, where=RowFilter(topic="last", valid=True))
    assert len(page.rows) == 1
    assert len(read) <= 4


@pytest.mark.parametrize("cursor", ["x", "1", "1.x", "-1.0", "1.2.3"])
def test_a_strange_cursor_is_refused(datasets: Datasets, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        datasets.page(fifty(datasets), cursor=cursor)


def test_a_sample_is_spread_over_the_file_and_repeatable(datasets: Datasets, mixed: Manifest) -> None:
    rows = datasets.sample(mixed, 9, seed=7)
    assert rows == datasets.sample(mixed, 9, seed=7)
    assert rows != datasets.sample(mixed, 9, seed=8)
    assert all(row.valid for row in rows)
    valid = list(datasets.iter_rows(mixed))
    assert [valid.index(row) // 5 for row in rows] == list(range(9))
    assert len(datasets.sample(mixed, 1_000, seed=1)) == 45
    assert {row.topic for row in datasets.sample(mixed, 5, seed=1, topic="shipping")} == {"shipping"}


def test_exports_stream_in_the_form_asked_for(datasets: Datasets, mixed: Manifest) -> None:
    lines = b"".join(datasets.export_jsonl(mixed)).splitlines()
    assert len(lines) == 45
    assert json.loads(lines[0])["topic"] == "billing/refunds"
    rft = b"".join(datasets.export_jsonl(mixed, form=to_openai_rft, include_generated=False)).splitlines()
    assert len(rft) == 36
    assert json.loads(rft[0])["messages"][-1]["role"] == "user"
    assert len(b"".join(datasets.export_jsonl(mixed, only_valid=False)).splitlines()) == 50


def test_a_deleted_dataset_is_gone_and_its_neighbour_is_not(datasets: Datasets, blobs: MemoryBlobs) -> None:
    rows = [make_row("A question")]
    start(datasets, rows, "d1")
    kept = start(datasets, rows, "d11")
    datasets.delete(TENANT, "d1")
    assert not any("/d1/" in path for path in blobs.objects)
    assert texts(datasets, kept) == ["A question"]


def test_spoiled_objects_are_corrupt(datasets: Datasets, blobs: MemoryBlobs, mixed: Manifest) -> None:
    column = next(ref.digest for ref in mixed.parts[0].columns if ref.digest)
    for digest in (mixed.parts[0].digest, column):
        path = paths.content(TENANT, "d1", digest)
        whole = blobs.objects[path]
        blobs.objects[path] = b"not gzip"
        with pytest.raises(Corrupt):
            list(datasets.rows(mixed, 0))
        blobs.objects[path] = whole
