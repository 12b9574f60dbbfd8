"""Objects in an S3 bucket, or in anything that speaks S3 (boto3 reads `AWS_ENDPOINT_URL_S3` and the usual variables).

Objects above 8 MiB go up in parts, one at a time, so that memory stays flat however large the upload; an upload that
fails is aborted and never becomes visible. Reading back what was written is consistent in S3, so nothing is cached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from storage.blobs import READ_BYTES
from storage.errors import NotFound, Unavailable

PART_BYTES = 8 << 20  # S3 wants at least 5 MiB in every part but the last


class S3Blobs:
    """A `BlobStore` under `prefix` in `bucket`. `connect` makes one with our timeouts and retries."""

    def __init__(self, client: Any, *, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @classmethod
    def connect(cls, *, bucket: str, prefix: str = "") -> S3Blobs:
        config = Config(
            retries={"mode": "standard", "max_attempts": 5},
            connect_timeout=5,
            read_timeout=60,
            tcp_keepalive=True,
            request_checksum_calculation="when_required",  # the newer default is refused by many S3-alikes
            response_checksum_validation="when_required",
        )
        return cls(boto3.client("s3", config=config), bucket=bucket, prefix=prefix)

    def put(self, path: str, chunks: Iterable[bytes]) -> int:
        pieces = _pieces(chunks)
        first = next(pieces, b"")
        second = next(pieces, None)
        if second is None:
            with _translated(path):
                self._client.put_object(Bucket=self._bucket, Key=self._key(path), Body=first)
            return len(first)
        return self._put_in_parts(path, _again(first, second, pieces))

    def create(self, path: str, data: bytes) -> bool:
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._key(path), Body=data, IfNoneMatch="*")
        except ClientError as error:
            if _status(error) in (409, 412):  # 409: another conditional write of the same name is under way
                return False
            raise _translation(path, error) from error
        except (BotoCoreError, HTTPClientError) as error:
            raise Unavailable(f"{path}: {error}") from error
        return True

    def read(self, path: str) -> Iterator[bytes]:
        with _translated(path):
            body = self._client.get_object(Bucket=self._bucket, Key=self._key(path))["Body"]
            try:
                while chunk := body.read(READ_BYTES):
                    yield chunk
            finally:
                body.close()

    def get(self, path: str) -> bytes:
        return b"".join(self.read(path))

    def get_range(self, path: str, start: int, end: int) -> bytes:
        wanted = {"Bucket": self._bucket, "Key": self._key(path), "Range": f"bytes={start}-{end - 1}"}
        try:
            with _translated(path), self._client.get_object(**wanted)["Body"] as body:
                return bytes(body.read())
        except Unavailable as error:
            if isinstance(error.__cause__, ClientError) and _status(error.__cause__) == 416:  # beyond the end
                return b""
            raise

    def exists(self, path: str) -> bool:
        try:
            self.size(path)
        except NotFound:
            return False
        return True

    def size(self, path: str) -> int:
        with _translated(path):
            return int(self._client.head_object(Bucket=self._bucket, Key=self._key(path))["ContentLength"])

    def list(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        with _translated(prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._key(prefix)):
                for item in page.get("Contents", ()):
                    yield item["Key"][len(self._prefix) :]

    def delete(self, path: str) -> None:
        with _translated(path):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(path))

    def signed_url(self, path: str, seconds: int, file_name: str) -> str | None:
        disposition = f"attachment; filename*=UTF-8''{quote(file_name)}"
        params = {"Bucket": self._bucket, "Key": self._key(path), "ResponseContentDisposition": disposition}
        return str(self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds))

    def _key(self, path: str) -> str:
        return self._prefix + path

    def _put_in_parts(self, path: str, pieces: Iterator[bytes]) -> int:
        key = self._key(path)
        with _translated(path):
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        done: list[dict[str, Any]] = []
        size = 0
        try:
            for number, piece in enumerate(pieces, 1):
                with _translated(path):
                    sent = self._client.upload_part(
                        Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
                    )
                done.append({"ETag": sent["ETag"], "PartNumber": number})
                size += len(piece)
            with _translated(path):
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
                )
        except BaseException:
            _quietly(
                lambda: self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
            )
            raise
        return size


def _again(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of PART_BYTES, the last one shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= PART_BYTES:
            yield bytes(buffer[:PART_BYTES])
            del buffer[:PART_BYTES]
    if buffer:
        yield bytes(buffer)


def _quietly(act: Callable[[], object]) -> None:
    """Tidy up after a failure; the failure itself is what the caller must hear."""
    try:
        act()
    except (ClientError, BotoCoreError):
        return


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _translation(path, error) from error
    except (BotoCoreError, HTTPClientError, HTTPError) as error:
        raise Unavailable(f"{path}: {error}") from error


def _translation(path: str, error: ClientError) -> NotFound | Unavailable:
    code = error.response.get("Error", {}).get("Code", "")
    missing = code in ("NoSuchKey", "404") or (_status(error) == 404 and code != "NoSuchBucket")
    return NotFound(path) if missing else Unavailable(f"{path}: {code or error}")


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
