"""One contract for every place that objects rest in: memory, a folder, and S3 on a moto server."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from storage import blobs_s3
from storage.blobs import BlobStore, open_store
from storage.blobs_file import FileBlobs
from storage.blobs_memory import MemoryBlobs
from storage.blobs_s3 import S3Blobs
from storage.errors import NotFound, Unavailable

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> S3Blobs:
    for name, value in (
        ("AWS_ENDPOINT_URL_S3", s3_url),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="datasets")
    for item in client.list_objects_v2(Bucket="datasets").get("Contents", ()):
        client.delete_object(Bucket="datasets", Key=item["Key"])
    store = open_store("s3://datasets/some/prefix")
    assert isinstance(store, S3Blobs)
    return store


@pytest.fixture(params=["memory", "file", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "memory":
        return MemoryBlobs()
    if request.param == "file":
        return FileBlobs(tmp_path / "blobs")
    return request.getfixturevalue("s3")


def test_what_was_put_comes_back(blobs: BlobStore) -> None:
    assert blobs.put("-/T1/uploads/f1", iter([b"one ", b"", b"two"])) == 7
    assert blobs.get("-/T1/uploads/f1") == b"one two"
    assert b"".join(blobs.read("-/T1/uploads/f1")) == b"one two"
    assert blobs.size("-/T1/uploads/f1") == 7
    assert blobs.exists("-/T1/uploads/f1")


def test_an_empty_object_is_an_object(blobs: BlobStore) -> None:
    assert blobs.put("-/T1/empty", ()) == 0
    assert blobs.get("-/T1/empty") == b""


def test_a_large_object_streams_both_ways(blobs: BlobStore) -> None:
    chunks = [bytes([n]) * MEBIBYTE for n in range(19)]
    assert blobs.put("-/T1/large", iter(chunks)) == 19 * MEBIBYTE
    pieces = list(blobs.read("-/T1/large"))
    assert max(map(len, pieces)) <= MEBIBYTE
    assert b"".join(pieces) == b"".join(chunks)


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(0, 3, b"012"), (3, 7, b"3456"), (7, 10, b"789"), (8, 20, b"89"), (10, 12, b""), (30, 40, b"")],
)
def test_a_range_is_read_alone(blobs: BlobStore, start: int, end: int, found: bytes) -> None:
    blobs.put("-/T1/x", (b"0123456789",))
    assert blobs.get_range("-/T1/x", start, end) == found


def test_a_range_of_a_large_object(blobs: BlobStore) -> None:
    blobs.put("-/T1/large", (bytes([n]) * MEBIBYTE for n in range(10)))
    assert blobs.get_range("-/T1/large", 8 * MEBIBYTE - 2, 8 * MEBIBYTE + 1) == b"\x07\x07\x08"


def test_a_later_put_replaces(blobs: BlobStore) -> None:
    blobs.put("-/T1/x", (b"old",))
    blobs.put("-/T1/x", (b"new",))
    assert blobs.get("-/T1/x") == b"new"


@pytest.mark.parametrize("size", [10, 17 * MEBIBYTE])
def test_a_failed_put_leaves_no_trace(blobs: BlobStore, size: int) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * size
        raise ConnectionResetError("Slack hung up")

    with pytest.raises(ConnectionResetError, match="Slack hung up"):
        blobs.put("-/T1/x", broken())
    assert not blobs.exists("-/T1/x")
    assert list(blobs.list("-/T1/")) == []


def test_an_object_is_created_only_once(blobs: BlobStore) -> None:
    assert blobs.create("-/T1/versions/1", b"first")
    assert not blobs.create("-/T1/versions/1", b"second")
    assert not blobs.create("-/T1/versions/1", b"first")
    assert blobs.get("-/T1/versions/1") == b"first"


def test_what_is_missing_is_not_found(blobs: BlobStore) -> None:
    blobs.put("-/T1/a/b", (b"",))
    for path in ("-/T1/none", "-/T1/a"):
        assert not blobs.exists(path)
        ranged = partial(blobs.get_range, start=0, end=1)
        for ask in (blobs.get, blobs.size, ranged, lambda path: next(blobs.read(path))):
            with pytest.raises(NotFound):
                ask(path)


def test_listing_knows_one_prefix_from_another(blobs: BlobStore) -> None:
    for path in ("-/T1/a/2", "-/T1/a/1", "-/T1/ab", "-/T2/a/1"):
        blobs.put(path, (b".",))
    assert list(blobs.list("-/T1/a/")) == ["-/T1/a/1", "-/T1/a/2"]
    assert list(blobs.list("-/T1/")) == ["-/T1/a/1", "-/T1/a/2", "-/T1/ab"]
    assert list(blobs.list("-/T3/")) == []


def test_deleting_twice_is_harmless(blobs: BlobStore) -> None:
    blobs.put("-/T1/x", (b".",))
    blobs.delete("-/T1/x")
    blobs.delete("-/T1/x")
    assert not blobs.exists("-/T1/x")


def test_a_signed_link_downloads_under_the_given_name(s3: S3Blobs, tmp_path: Path) -> None:
    s3.put("-/T1/x", (b"hello",))
    url = s3.signed_url("-/T1/x", 60, 'über "x".jsonl')
    assert url is not None
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"hello"
    assert "filename" in url
    assert FileBlobs(tmp_path).signed_url("-/T1/x", 60, "x") is None


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a//b", "a/.hidden", "a/b c", "", "a\x00b"]
)
def test_no_path_leaves_the_folder(tmp_path: Path, path: str) -> None:
    store = FileBlobs(tmp_path / "blobs")
    for act in (store.get, store.delete, lambda path: store.put(path, (b"x",))):
        with pytest.raises(ValueError, match="not an object path"):
            act(path)


def test_a_killed_writers_leftover_is_not_listed(tmp_path: Path) -> None:
    store = FileBlobs(tmp_path)
    store.put("-/T1/x", (b".",))
    (tmp_path / "-" / "T1" / ".0123abcd").write_bytes(b"half")
    assert list(store.list("-/T1/")) == ["-/T1/x"]


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "T1").write_bytes(b"a file where a folder should be")
    with pytest.raises(Unavailable):
        FileBlobs(tmp_path).put("T1/x", (b".",))


def test_an_unreachable_store_is_unavailable(s3: S3Blobs) -> None:
    config = blobs_s3.Config(retries={"mode": "standard", "max_attempts": 1}, connect_timeout=0.2)
    gone = S3Blobs(boto3.client("s3", endpoint_url="http://127.0.0.1:9", config=config), bucket="datasets")
    for act in (lambda: gone.put("x", (b".",)), lambda: gone.get("x"), lambda: gone.create("x", b"."),
                lambda: gone.get_range("x", 0, 1), lambda: gone.exists("x"), lambda: list(gone.list("x"))):  # fmt: skip
        with pytest.raises(Unavailable):
            act()


def test_a_missing_bucket_is_unavailable_not_an_empty_answer(s3: S3Blobs) -> None:
    nowhere = S3Blobs(boto3.client("s3"), bucket="nowhere-at-all")
    with pytest.raises(Unavailable):
        nowhere.get("x")
    with pytest.raises(Unavailable):
        nowhere.put("x", (b".",))


@pytest.mark.parametrize("url", ["", "s3://", "ftp://x/y", "/a/folder", "file://"])
def test_a_strange_storage_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="STORAGE_URL"):
        open_store(url)


def test_a_folder_url_opens_a_folder(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/with%20space")
    store.put("x", (b".",))
    assert (tmp_path / "with space" / "x").read_bytes() == b"."
