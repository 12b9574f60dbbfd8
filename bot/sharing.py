"""Puts the files that an event names into its thread as Slack files, once, and says when that could not be done.

Bytes go from storage to Slack in pieces. An upload is nothing that anybody sees until it is completed, so all before that may
be repeated. The completion is announced in the store before it is asked for and noted after it; whoever finds the announcement
alone asks Slack about the files first. Large files are not for this: they go by a link that expires (`links.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import structlog

from bot.slack_api import SlackAmbiguous, SlackApi, SlackError, SlackRefused, SlackUnavailable
from bot.views.kit import listed, mapped, whole
from storage.blobs import BlobStore
from storage.errors import StorageError
from storage.ports import State
from storage.records import Json, OutboxEvent, Tenant

log = structlog.get_logger(__name__)
MAX_FILES = 10
TRIES = 3
PAUSE_SECONDS = 1.0
Outcome = Literal["", "shared", "not_shared"]


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    name: str
    size: int


class Sharing:
    """`max_bytes` is the most that one event's files may have together; 0 shares none."""

    def __init__(self, *, api: SlackApi, state: State, blobs: BlobStore, max_bytes: int) -> None:
        self._api = api
        self._state = state
        self._blobs = blobs
        self._max_bytes = max_bytes

    async def share(self, tenant: Tenant, event: OutboxEvent) -> Outcome:
        """Whether the event's files stand in its thread now; "" where there are none, or they are for a link.

        Raises `StorageError` when the store of what was shared cannot be asked.
        """
        files = _files_of(event.data)
        if not files or event.to or sum(file.size for file in files) > self._max_bytes:
            return ""
        for attempt in range(TRIES):
            try:
                await self._once(tenant, event, files)
                return "shared"
            except SlackRefused as error:
                log.warning("files_refused", key=event.key, code=error.code)
                return "not_shared"
            except SlackUnavailable as error:
                log.warning("files_wait", key=event.key, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS * attempt)
        return "not_shared"

    async def _once(self, tenant: Tenant, event: OutboxEvent, files: list[_File]) -> None:
        name = f"files:{event.key}"
        known = await self._state.recall(tenant, name) or {}
        if known.get("shared") or await self._is_there(listed(known.get("sharing"))):
            return
        ids = [await self._uploaded(file) for file in files]
        await self._state.remember(tenant, name, {"sharing": ids})
        try:
            await self._api.call(
                "files.completeUploadExternal",
                files=[{"id": id, "title": file.name} for id, file in zip(ids, files, strict=True)],
                channel_id=event.channel,
                thread_ts=event.thread_ts or None,
            )
        except SlackAmbiguous:
            if not await self._is_there(ids):
                raise
        await self._state.remember(tenant, name, {"shared": ids})

    async def _uploaded(self, file: _File) -> str:
        try:
            size = await asyncio.to_thread(self._blobs.size, file.path)  # a wrong one would cut the file off
            return await self._api.send_file(name=file.name, size=size, chunks=self._pieces(file.path))
        except StorageError as error:
            raise SlackUnavailable(f"files: {type(error).__name__}") from error

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        pieces = self._blobs.read(path)
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece

    async def _is_there(self, ids: list[str]) -> bool:
        """Whether an earlier completion arrived: Slack tells of a file only then."""
        if not ids:
            return False
        try:
            await self._api.call("files.info", file=ids[0])
        except SlackRefused:
            return False
        except SlackError as error:
            raise SlackUnavailable("files.info: cannot tell") from error
        return True


def _files_of(data: Json) -> list[_File]:
    found = [mapped(one) for one in listed(data.get("files"))[:MAX_FILES]]
    return [
        _File(str(one["path"]), str(one.get("file_name") or "export"), whole(one.get("size")))
        for one in found
        if one.get("path") and whole(one.get("size"))
    ]
