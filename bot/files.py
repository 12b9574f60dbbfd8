"""Brings an uploaded file from Slack into storage, streaming, and says in plain words when that cannot be done.

Slack's traps are dealt with here: files that must be asked about first, redirects (followed only within Slack's own hosts),
the HTML login page with status 200, files that are gone. What is in the file is the worker's business.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.slack_api import SlackApi, SlackError, SlackRefused
from storage.blobs import BlobStore
from storage.errors import StorageError

Json = dict[str, Any]
CHUNK_BYTES = 1 << 20
QUEUED_CHUNKS = 8  # bounds memory between network and disk
REDIRECTS = 5
SLACK_HOSTS = (".slack.com", ".slack-edge.com", ".slack-files.com")
PAGES = (".html", ".htm", ".xhtml")
GONE = frozenset({"file_deleted", "file_not_found", "not_found"})


class FileProblem(Exception):
    """Why the file cannot be had, in words for people. `again` is true when trying later may help."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


@dataclass(frozen=True, slots=True)
class SlackFile:
    """A file as Slack describes it. `size` 0 when it is not said."""

    id: str
    name: str
    url: str
    size: int


async def describe(api: SlackApi, file: Json) -> SlackFile:
    """The file with its address; asked of Slack where the event does not say. Raises `FileProblem`."""
    known = file
    if file.get("mode") == "tombstone":
        raise FileProblem(_gone(str(file.get("name") or "")))
    if file.get("file_access") == "check_file_info" or not _address(file):
        try:
            known = (await api.call("files.info", file=file.get("id")))["file"]
        except SlackRefused as error:
            raise FileProblem(_refused(error.code, str(file.get("name") or ""))) from error
        except SlackError as error:
            raise FileProblem("Slack does not answer about this file just now.", again=True) from error
    if known.get("mode") == "tombstone" or known.get("is_deleted") or not _address(known):
        raise FileProblem(_gone(str(known.get("name") or "")))
    size = known.get("size")
    return SlackFile(
        id=str(known.get("id") or file.get("id") or ""),
        name=str(known.get("name") or known.get("title") or "file"),
        url=_address(known),
        size=size if isinstance(size, int) and size > 0 else 0,
    )


class Downloads:
    """Downloads with the bot's token. `api_url` names the host that stands in for Slack where it is not Slack itself."""

    def __init__(
        self, *, session: aiohttp.ClientSession, token: str, api_url: str, blobs: BlobStore, max_bytes: int
    ) -> None:
        self._session = session
        self._token = token
        self._api_host = urlsplit(api_url).netloc
        self._blobs = blobs
        self._max_bytes = max_bytes

    async def fetch(
        self, file: SlackFile, path: str, *, seen: Callable[[int], None] = lambda size: None
    ) -> int:
        """Stream the file to `path`; its size in bytes. Nothing is left behind on failure. Raises `FileProblem`."""
        if file.size > self._max_bytes:
            raise FileProblem(self._too_large(file))
        if await asyncio.to_thread(self._is_there, path, file.size):
            return file.size
        try:
            return await self._stream(file, path, seen)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise FileProblem("The download from Slack broke off.", again=True) from error
        except StorageError as error:
            raise FileProblem(
                "Storage cannot be reached just now; the file is not lost.", again=True
            ) from error

    async def _stream(self, file: SlackFile, path: str, seen: Callable[[int], None]) -> int:
        response = await self._open(file)
        try:
            self._check_answer(file, response)
            chunks = self._checked(file, response.content.iter_chunked(CHUNK_BYTES), seen)
            size = await store(self._blobs, path, chunks)
        finally:
            response.release()
        expected = file.size or response.content_length or 0
        if response.content_length and size < response.content_length:
            await asyncio.to_thread(self._blobs.delete, path)
            raise FileProblem("The download from Slack broke off.", again=True)
        if _may_be_a_page(file) and size != file.size:
            await asyncio.to_thread(self._blobs.delete, path)
            raise FileProblem(_refused("html", file.name))
        if not size and not expected:
            await asyncio.to_thread(self._blobs.delete, path)
            raise FileProblem(f"`{_name(file.name)}` is empty. Upload a file with at least one row.")
        return size

    async def _open(self, file: SlackFile) -> aiohttp.ClientResponse:
        url, first = file.url, urlsplit(file.url).netloc
        for _ in range(REDIRECTS):
            if not self._is_slacks(url):
                raise FileProblem("Slack pointed to an address that is not its own, so I did not follow it.")
            headers = {"Authorization": f"Bearer {self._token}"}
            response = await self._session.get(url, headers=headers, allow_redirects=False)
            target = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or not target:
                return response
            response.release()
            url = urljoin(url, target)
        raise FileProblem(f"Slack sent me in circles for this file (from {_name(first)}).")

    def _check_answer(self, file: SlackFile, response: aiohttp.ClientResponse) -> None:
        if response.status in (404, 410):
            raise FileProblem(_gone(file.name))
        if response.status in (401, 403):
            raise FileProblem(_refused("not_authed", file.name))
        if response.status >= 400:
            raise FileProblem(
                "Slack does not give out the file just now.",
                again=response.status >= 500 or response.status == 429,
            )
        if response.content_length and response.content_length > self._max_bytes:
            raise FileProblem(self._too_large(file))
        if response.content_type == "text/html" and not _may_be_a_page(file):
            raise FileProblem(_refused("html", file.name))

    async def _checked(
        self, file: SlackFile, chunks: AsyncIterator[bytes], seen: Callable[[int], None]
    ) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            if size == 0 and not _may_be_a_page(file) and _is_a_page(chunk):
                raise FileProblem(_refused("html", file.name))
            size += len(chunk)
            if size > self._max_bytes:
                raise FileProblem(self._too_large(file))
            seen(size)
            yield chunk

    def _is_there(self, path: str, size: int) -> bool:
        return bool(size) and self._blobs.exists(path) and self._blobs.size(path) == size

    def _is_slacks(self, url: str) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.netloc == self._api_host:
            return parts.scheme in ("http", "https")
        return parts.scheme == "https" and (host == "slack.com" or host.endswith(SLACK_HOSTS))

    def _too_large(self, file: SlackFile) -> str:
        limit = self._max_bytes / 1_000_000
        return f"`{_name(file.name)}` is larger than {limit:,.0f} MB, the limit here (`limits.max_file_bytes`). Split it, or compress it with gzip."


async def store(blobs: BlobStore, path: str, chunks: AsyncIterator[bytes]) -> int:
    """Write an async stream through the synchronous blob port in a thread, with a bounded queue between them."""
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(QUEUED_CHUNKS)
    writing = asyncio.create_task(asyncio.to_thread(blobs.put, path, _drained(waiting)))
    try:
        async for chunk in chunks:
            await _hand_over(waiting, chunk, writing)
        await _hand_over(waiting, None, writing)
    except BaseException as error:
        await _hand_over(waiting, error, writing)
        await asyncio.gather(writing, return_exceptions=True)
        raise
    return await writing


async def _hand_over(
    waiting: queue.Queue[bytes | BaseException | None],
    chunk: bytes | BaseException | None,
    writing: asyncio.Task[int],
) -> None:
    while not writing.done():
        try:
            waiting.put_nowait(chunk)
        except queue.Full:
            await asyncio.sleep(0.005)
            continue
        return
    if not isinstance(chunk, BaseException):
        writing.result()  # raises what ended the writer early


def _drained(waiting: queue.Queue[bytes | BaseException | None]) -> Iterator[bytes]:
    while True:
        chunk = waiting.get()
        if chunk is None:
            return
        if isinstance(chunk, BaseException):
            raise chunk
        yield chunk


def _may_be_a_page(file: SlackFile) -> bool:
    """Whether a web page may be what was shared. Slack's login page looks like one too, but has another size."""
    return file.name.lower().endswith(PAGES) and file.size > 0


def _is_a_page(start: bytes) -> bool:
    return start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def _address(file: Json) -> str:
    return str(file.get("url_private_download") or file.get("url_private") or "")


def _gone(name: str) -> str:
    what = f"`{_name(name)}`" if name else "The file"
    return f"{what} was deleted before I could fetch it. Upload it again and I start at once."


def _refused(code: str, name: str) -> str:
    if code in GONE:
        return _gone(name)
    return (
        f"Slack does not let me read `{_name(name)}`. Whoever runs the bot: check the token and its `files:read` scope "
        "(`finetune doctor` does). Then upload the file again."
    )


def _name(name: str) -> str:
    flat = " ".join(name.replace("`", "'").split())[:100]
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
