"""An export over HTTP: from storage in pieces through the upload address into the thread, where a person can fetch it."""

from __future__ import annotations

import os
import time

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.buckets import Buckets
from bot.posting import Poster
from bot.sharing import Sharing
from bot.slack_api import SlackApi
from storage.blobs_memory import MemoryBlobs
from storage.memory import MemoryState
from storage.records import Json, OutboxEvent, Tenant

from .serving import Place

pytestmark = pytest.mark.anyio
TENANT = Tenant("", "T0SANDBOX")
PATH = "-/T0SANDBOX/exports/e1"
CONTENT = os.urandom(3_000_000)


def event(thread: str, path: str = PATH) -> OutboxEvent:
    files = [{"path": path, "file_name": "support-v2.parquet", "size": len(CONTENT)}]
    data: Json = {
        "file_name": "support-v2.parquet",
        "rows": 9,
        "files": files,
        "task_id": "e1",
        "workflow_id": "w1",
    }
    return OutboxEvent("export", "C0MODELS", thread, data, key="result:e1")


async def deliver(place: Place, *events: OutboxEvent) -> None:
    blobs, state = MemoryBlobs(), MemoryState()
    blobs.put(PATH, [CONTENT[at : at + 700_000] for at in range(0, len(CONTENT), 700_000)])
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(
            token=place.config.bot_token,
            base_url=f"{place.config.url}/api/",
            session=session,
            retry_handlers=[],
        )
        api = SlackApi(client, Buckets(time.monotonic))
        sharing = Sharing(api=api, state=state, blobs=blobs, max_bytes=20_000_000)
        for one in events:
            await Poster(api=api, state=state, sharing=sharing).deliver(TENANT, one)


async def test_the_file_stands_in_the_thread_and_can_be_fetched(place: Place) -> None:
    ada = place.person()
    root = ada.post("export it, please")
    await deliver(place, event(root), event(root))
    messages = ada.messages(thread_ts=root)
    (shared,) = [one for one in messages if one.get("files")]
    (file,) = shared["files"]
    assert (file["name"], file["size"], shared["thread_ts"]) == ("support-v2.parquet", len(CONTENT), root)
    assert ada.file_bytes(file["id"]) == CONTENT
    assert len([one for one in messages if "in this thread" in str(one.get("blocks"))]) == 1
    assert place.person().see("refusals")["refusals"] == []


async def test_an_answer_that_got_lost_leaves_one_file(place: Place) -> None:
    ada = place.person()
    root = ada.post("export it, please")
    lost = {"method": "files.completeUploadExternal", "times": 1}
    ada.faults(dropped_response=lost)
    await deliver(place, event(root))
    messages = ada.messages(thread_ts=root)
    assert len([one for one in messages if one.get("files")]) == 1


async def test_a_file_that_is_gone_ends_in_a_card_that_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sharing.PAUSE_SECONDS", 0.0)
    ada = place.person()
    root = ada.post("export it, please")
    await deliver(place, event(root, path="-/T0SANDBOX/exports/gone"))
    messages = ada.messages(thread_ts=root)
    assert not [one for one in messages if one.get("files")]
    assert "could not be put into the thread" in str(messages[-1]["blocks"])
