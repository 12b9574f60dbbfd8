"""What makes a large dataset as quick as a small one: blocks, patches, pages, the index, and what a process remembers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storage import codec, paths
from storage.blobs import BlobStore
from storage.blobs_file import FileBlobs
from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets, RowFilter
from storage.datasets import blocks as blocks_module
from storage.datasets import columns as columns_module
from storage.datasets import index as index_module
from storage.datasets import listing as listing_module
from storage.datasets.cache import Cache
from storage.errors import Corrupt, NotFound
from storage.manifests import Manifest, PartRef
from storage.rows import Row, last_user_message
from tests.storage.test_blobs import s3, s3_url  # noqa: F401
from tests.storage.test_datasets import BY, TENANT, changed_parts, check, make_row, start, texts

LONG = "A question of some length. " * 12


class Watched(MemoryBlobs):
    """Remembers how many bytes each call brought or took."""

    def __init__(self) -> None:
        super().__init__()
        self.read_bytes: list[int] = []
        self.written_bytes: list[int] = []

    def get(self, path: str) -> bytes:
        data = super().get(path)
        self.read_bytes.append(len(data))
        return data

    def get_range(self, path: str, start: int, end: int) -> bytes:
        data = self.objects[path][start:end]
        self.read_bytes.append(len(data))
        return data

    def put(self, path: str, chunks: Any) -> int:
        size = super().put(path, chunks)
        self.written_bytes.append(size)
        return size

    def forget(self) -> None:
        self.read_bytes, self.written_bytes = [], []


@pytest.fixture
def blobs() -> Watched:
    return Watched()


@pytest.fixture
def datasets(blobs: Watched, monkeypatch: pytest.MonkeyPatch) -> Datasets:
    """Parts of two hundred rows in blocks of about ten."""
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 5_000)
    monkeypatch.setattr(columns_module, "CHUNK_ROWS", 16)
    monkeypatch.setattr(index_module, "BUCKET_KEYS", 64)
    monkeypatch.setattr(listing_module, "PAGE_PARTS", 2)
    return Datasets(blobs, part_rows=200)


def thousand(datasets: Datasets) -> Manifest:
    rows = [
        make_row(f"{n}: {LONG}{n * 7919}", id=f"q{n}", topic=("a", "b")[n % 2], provenance={"line": n + 1})
        for n in range(1_000)
    ]
    return start(datasets, rows)


def reworded(row: Row) -> Row:
    return msgspec.structs.replace(row, input=make_row(f"Other words {row.id}").input)


# ---------------------------------------------------------------- one row


def test_one_row_is_read_without_its_part(datasets: Datasets, blobs: Watched) -> None:
    manifest = thousand(datasets)
    part = len(blobs.objects[paths.content(TENANT, "d1", manifest.parts[3].digest)])
    blobs.forget()
    assert datasets.get_record(manifest, "q700").line == 701
    assert max(blobs.read_bytes) < part / 5


def test_a_page_and_a_sample_read_blocks(datasets: Datasets, blobs: Watched) -> None:
    manifest = thousand(datasets)
    part = len(blobs.objects[paths.content(TENANT, "d1", manifest.parts[0].digest)])
    blobs.forget()
    assert len(datasets.page(manifest, where=RowFilter(topic="b"), limit=5).rows) == 5
    assert len(datasets.sample(manifest, 4, seed=1)) == 4
    assert max(blobs.read_bytes) < part / 5


def test_an_edit_writes_a_block_and_a_page(datasets: Datasets, blobs: Watched) -> None:
    manifest = thousand(datasets)
    part = len(blobs.objects[paths.content(TENANT, "d1", manifest.parts[2].digest)])
    blobs.forget()
    edited = datasets.replace_record(manifest, "q450", reworded, check=check, **BY)
    assert changed_parts(manifest, edited) == [2]
    assert edited.parts[2].digest != manifest.parts[2].digest
    assert [old == new for old, new in zip(manifest.pages, edited.pages, strict=True)] == [True, False, True]
    assert len(blobs.written_bytes) == 4  # the block, the index, the page, the list; the head is created
    assert max(blobs.read_bytes) < part / 5


def test_a_new_topic_writes_no_rows(datasets: Datasets, blobs: Watched) -> None:
    manifest = thousand(datasets)
    blobs.forget()
    edited = datasets.replace_record(
        manifest, "q450", lambda row: msgspec.structs.replace(row, topic="c"), check=check, **BY
    )
    assert edited.parts[2].digest == manifest.parts[2].digest
    assert len(blobs.written_bytes) == 2  # the page and the list
    assert datasets.topic_counts(edited) == {"a": 500 - 1, "b": 500, "c": 1}


def test_patches_are_put_together_before_they_become_many(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    most = 0
    for number in range(400, 600, 7):
        manifest = datasets.replace_record(manifest, f"q{number}", reworded, check=check, **BY)
        most = max(most, len(manifest.parts[2].patches))
    assert 1 < most <= blocks_module.MAX_PATCHES
    assert len(manifest.parts[2].patches) < most
    assert [row for row in texts(datasets, manifest) if row.startswith("Other")] == [
        f"Other words q{number}" for number in range(400, 600, 7)
    ]
    assert manifest.parts[2].size == sum(len(line) + 1 for line in _lines(datasets, manifest, 2))


def _lines(datasets: Datasets, manifest: Manifest, part: int) -> Iterator[bytes]:
    return blocks_module.all_lines(datasets._content(manifest), manifest.parts[part])


@pytest.mark.parametrize("spoilt", [b"", b"not gzip", "other rows", "cut"])
def test_a_spoilt_patch_is_corrupt(datasets: Datasets, blobs: Watched, spoilt: bytes | str) -> None:
    manifest = thousand(datasets)
    edited = datasets.replace_record(manifest, "q450", reworded, check=check, **BY)
    ((_, digest),) = edited.parts[2].patches
    path = paths.content(TENANT, "d1", digest)
    wrong = {"other rows": blocks_module.packed(b'{"id":"x"}\n'), "cut": blobs.objects[path][:-9]}
    blobs.objects[path] = wrong[spoilt] if isinstance(spoilt, str) else spoilt
    with pytest.raises(Corrupt):
        datasets.get_record(edited, "q450")
    with pytest.raises(Corrupt):
        list(datasets.rows(edited, 2))
    assert len(list(datasets.rows(manifest, 2))) == 200


# ---------------------------------------------------------------- equals


def test_a_dropped_row_leaves_its_place_to_the_next_of_equals(datasets: Datasets) -> None:
    rows = [make_row(f"Question {n}", id=f"q{n}") for n in range(450)]
    rows[430] = make_row("question 7", id="q430")
    rows[300] = make_row("QUESTION 7", id="q300")
    manifest = start(datasets, rows)
    assert [datasets.get_record(manifest, id).error for id in ("q300", "q430")] == ["duplicate", "duplicate"]
    left = datasets.drop_rows(manifest, lambda row: row.id == "q7", operation="delete", **BY)
    assert [datasets.get_record(left, id).error for id in ("q300", "q430")] == ["", "duplicate"]
    assert (left.totals.rows, left.totals.valid, left.totals.errors) == (449, 448, {"duplicate": 1})
    edited = datasets.replace_record(left, "q300", reworded, check=check, **BY)
    assert datasets.get_record(edited, "q430").valid


def test_rows_made_equal_by_one_change_leave_one(datasets: Datasets) -> None:
    manifest = thousand(datasets)

    def same(row: Row) -> Row:
        return msgspec.structs.replace(row, input=make_row("The same for all").input)

    changed = datasets.change_rows(
        manifest, same, check=check, operation="clean", ids=["q5", "q205", "q805", "nobody"], **BY
    )
    assert [datasets.get_record(changed, id).error for id in ("q5", "q205", "q805")] == [
        "",
        "duplicate",
        "duplicate",
    ]
    assert changed_parts(manifest, changed) == [0, 1, 4]


# ---------------------------------------------------------------- many rows, part by part


def test_a_part_made_elsewhere_survives_a_checkpoint(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    manifest = datasets.replace_record(manifest, "q3", reworded, check=check, **BY)
    made = {
        number: codec.from_json(PartRef, msgspec.json.decode(codec.dumps(part)))
        for number in range(5)
        for part in [datasets.dropped_part(manifest, number, lambda row: row.line % 10 == 0)]
    }
    left = datasets.commit_rows(manifest, made, operation="delete", **BY)
    assert left.totals.rows == 900
    assert [row.line for row in datasets.iter_rows(left)][8:10] == [9, 11]


def test_parts_that_lose_nothing_are_shared(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    assert datasets.dropped_part(manifest, 1, lambda row: False) is manifest.parts[1]
    left = datasets.drop_rows(manifest, lambda row: row.id == "q450", operation="delete", **BY)
    assert changed_parts(manifest, left) == [2]


def test_a_bulk_move_writes_columns_only(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    moved = datasets.change_rows(
        manifest,
        lambda row: msgspec.structs.replace(row, topic="new", previous_topic=row.topic),
        check=check,
        operation="move",
        where=RowFilter(topic="a", valid=True),
        **BY,
    )
    assert datasets.topic_counts(moved) == {"new": 500, "b": 500}
    assert [part.digest for part in moved.parts] == [part.digest for part in manifest.parts]


def test_what_progress_raises_stops_the_change(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    heard: list[int] = []

    def progress(rows: int) -> None:
        heard.append(rows)
        if rows >= 600:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        datasets.drop_rows(manifest, lambda row: True, operation="delete", progress=progress, **BY)
    assert heard == [200, 400, 600]
    with pytest.raises(NotFound):
        datasets.head(TENANT, "d1", manifest.version + 1)


# ---------------------------------------------------------------- lineage


def test_every_version_says_what_made_it(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    one = datasets.drop_rows(
        manifest, lambda row: row.id == "q1", operation="delete", by="U2", at=5.0, detail={"reason": "spam"}
    )
    two = datasets.replace_record(one, "q2", reworded, check=check, **BY)
    back = datasets.commit(manifest, {}, operation="restore", by="U3", at=9.0)
    newest = datasets.lineage(TENANT, "d1")
    assert [head.operation for head in newest] == ["restore", "edit", "delete", "upload", "start"]
    assert (newest[2].by, newest[2].at, newest[2].detail) == ("U2", 5.0, {"reason": "spam"})
    assert [h.version for h in datasets.lineage(TENANT, "d1", version=two.version)] == [4, 3, 2, 1]
    assert [h.version for h in datasets.lineage(TENANT, "d1", version=back.version)] == [5, 2, 1]
    assert [h.version for h in datasets.lineage(TENANT, "d1", limit=2)] == [5, 4]
    assert datasets.lineage(TENANT, "d2") == []


def test_a_detail_without_end_is_refused(datasets: Datasets) -> None:
    with pytest.raises(ValueError, match="4,000 bytes"):
        datasets.commit(thousand(datasets), {}, operation="x", detail={"ids": ["q"] * 2_000}, **BY)


def test_a_difference_reads_only_what_differs(datasets: Datasets, blobs: Watched) -> None:
    manifest = thousand(datasets)
    made = datasets.replace_record(manifest, "q450", reworded, check=check, **BY)
    made = datasets.drop_rows(made, lambda row: row.id == "q451", operation="delete", **BY)
    made = datasets.replace_record(
        made, "q452", lambda row: msgspec.structs.replace(row, topic="c"), check=check, **BY
    )
    made = datasets.replace_record(made, "q453", lambda row: make_row(""), check=check, **BY)
    made = datasets.append_rows(made, [make_row("New", id="n")], check=check, operation="add", **BY)
    blobs.forget()
    diff = datasets.diff(manifest, made)
    found = (diff.added, diff.removed, diff.changed, diff.topics, diff.validity)
    assert found == (1, 1, 2, 2, 1)
    assert (diff.parts_shared, diff.parts_differing) == (4, 1)
    assert diff.topic_moves == (("a", "c", 1), ("b", "", 1))
    examples = {(example.id, example.kind): (example.before, example.after) for example in diff.examples}
    assert examples["q453", "validity"] == ("", "empty_user_message")
    assert examples["q450", "changed"][1] == "Other words q450"
    assert examples["n", "added"] == ("", "New")
    assert len(blobs.read_bytes) <= 12
    assert datasets.diff(made, made).examples == ()


# ---------------------------------------------------------------- what is remembered


def test_another_process_sees_each_edit(blobs: Watched, datasets: Datasets) -> None:
    other = Datasets(blobs)
    manifest = thousand(datasets)
    for number in (3, 703):
        assert other.manifest(TENANT, "d1", manifest.version) == manifest
        manifest = datasets.replace_record(manifest, f"q{number}", reworded, check=check, **BY)
    blobs.forget()
    assert other.manifest(TENANT, "d1", manifest.version).parts == manifest.parts
    assert len(blobs.read_bytes) == 3  # the head, the list, and the page that changed


def test_a_view_of_other_parts_is_stored_as_it_is(datasets: Datasets) -> None:
    """Whoever replaces parts of a manifest by hand, and commits it, gets what it holds."""
    manifest = thousand(datasets)
    part = datasets.set_columns(manifest, 1, {"topic": ["c"] * 200})
    parts = (manifest.parts[0], part, *manifest.parts[2:])
    made = datasets.commit(replace(manifest, parts=parts), {}, operation="x", **BY)
    assert Datasets(datasets._blobs).manifest(TENANT, "d1", made.version).parts == parts
    assert made.totals.topics["c"].rows == 200


def test_a_deleted_dataset_is_not_remembered(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    datasets.manifest(TENANT, "d1", manifest.version)
    datasets.delete(TENANT, "d1")
    with pytest.raises(NotFound):
        datasets.manifest(TENANT, "d1", manifest.version)


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    cache = Cache(100)
    made: list[str] = []

    def make(name: str) -> tuple[str, int]:
        made.append(name)
        return name, 40

    for name in ("a", "b", "a", "c", "a", "b"):
        assert cache.get((name,), lambda name=name: make(name)) == name
    assert made == ["a", "b", "c", "b"]
    assert cache.held_bytes <= 100
    cache.put(("huge",), "x", 1_000)
    assert cache.held_bytes == 0


def test_threads_share_what_is_remembered(datasets: Datasets) -> None:
    manifest = thousand(datasets)
    wrong: list[BaseException] = []

    def look(first: int) -> None:
        try:
            for number in range(first, 1_000, 97):
                read = datasets.manifest(TENANT, "d1", manifest.version)
                assert datasets.get_record(read, f"q{number}").line == number + 1
        except BaseException as error:  # a thread's failure must reach the test
            wrong.append(error)

    threads = [threading.Thread(target=look, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---------------------------------------------------------------- the same everywhere


@pytest.fixture(params=["file", "s3"])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return FileBlobs(tmp_path) if request.param == "file" else request.getfixturevalue("s3")


def test_a_dataset_lives_the_same_on_a_real_store(real: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(columns_module, "CHUNK_ROWS", 16)
    monkeypatch.setattr(columns_module, "MAX_EXCEPTIONS", 2)
    datasets = Datasets(real, part_rows=40)
    manifest = start(
        datasets, [make_row(f"Question {n} {LONG}", id=f"q{n}", topic="ab"[n % 2]) for n in range(100)]
    )
    for number in (3, 50, 97):
        manifest = datasets.replace_record(manifest, f"q{number}", reworded, check=check, **BY)
    manifest = datasets.drop_rows(manifest, lambda row: row.id == "q4", operation="delete", **BY)
    read = Datasets(real).manifest(TENANT, "d1", manifest.version)
    assert [row.id for row in datasets.iter_rows(read)] == [f"q{n}" for n in range(100) if n != 4]
    assert last_user_message(datasets.get_record(read, "q50")) == "Other words q50"
    assert len(datasets.page(read, where=RowFilter(topic="b"), limit=30).rows) == 30
    assert [head.version for head in datasets.lineage(TENANT, "d1")] == [6, 5, 4, 3, 2, 1]
    assert datasets.diff(datasets.manifest(TENANT, "d1", 2), read).changed == 3
