"""Downloads: Slack's traps are told in words, only Slack is followed, memory stays small, nothing half is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot import files
from bot.files import Downloads, FileProblem, SlackFile
from bot.slack_api import SlackRefused
from storage.blobs_memory import MemoryBlobs
from tests.bot.parts import FakeSlack

pytestmark = pytest.mark.anyio
PATH = "-/T1/uploads/u1"
PAGE = b"<!DOCTYPE html><html><body><h1>Returns</h1></body></html>"
BODY = b'{"messages": []}\n' * 1000


class Files:
    """A server of files with Slack's habits, and what fetches from it."""

    def __init__(self, server: TestServer, session: aiohttp.ClientSession, most: int = 1_000_000) -> None:
        self.url = str(server.make_url("/file"))
        self.blobs = MemoryBlobs()
        api = str(server.make_url("/api/"))
        self.downloads = Downloads(
            session=session, token="xoxb-t", api_url=api, blobs=self.blobs, max_bytes=most
        )

    async def fetch(self, query: str = "", size: int = 0, name: str = "rows.jsonl") -> int:
        return await self.downloads.fetch(SlackFile("F1", name, f"{self.url}{query}", size), PATH)

    @property
    def kept(self) -> bytes | None:
        return self.blobs.get(PATH) if self.blobs.exists(PATH) else None


async def _answer(request: web.Request) -> web.StreamResponse:
    match request.query.get("what", ""):
        case "login":
            return web.Response(text="<!DOCTYPE html><html>sign in</html>", content_type="text/html")
        case "sly login":
            return web.Response(
                body=b"\n<!DOCTYPE html><html>sign in</html>", content_type="application/octet-stream"
            )
        case "page":
            return web.Response(body=PAGE, content_type="text/html")
        case "gone":
            return web.Response(status=404)
        case "busy":
            return web.Response(status=503)
        case "empty":
            return web.Response(body=b"")
        case "moved":
            raise web.HTTPFound("/file")
        case "away":
            raise web.HTTPFound("https://evil.example/file")
        case "circles":
            raise web.HTTPFound("/file?what=circles")
        case "cut":
            response = web.StreamResponse(headers={"Content-Length": str(len(BODY) * 2)})
            await response.prepare(request)
            await response.write(BODY)
            assert request.transport
            request.transport.close()
            return response
    assert request.headers["Authorization"] == "Bearer xoxb-t"
    return web.Response(body=BODY, content_type="application/octet-stream")


@asynccontextmanager
async def slack(most: int = 1_000_000) -> AsyncIterator[Files]:
    app = web.Application()
    app.router.add_get("/file", _answer)
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        yield Files(server, session, most)
    await server.close()


async def test_a_file_is_stored_as_it_came() -> None:
    async with slack() as there:
        assert await there.fetch() == len(BODY)
        assert there.kept == BODY


async def test_a_web_page_that_was_shared_is_no_login_page() -> None:
    async with slack() as there:
        assert await there.fetch("?what=page", name="handbook.html", size=len(PAGE)) == len(PAGE)
        assert there.kept == PAGE


@pytest.mark.parametrize(("name", "size"), [("a.html", len(PAGE)), ("a.html", 0), ("rows.jsonl", len(PAGE))])
@pytest.mark.parametrize("what", ["login", "sly login"])
async def test_a_login_page_is_not_taken_for_the_page(what: str, name: str, size: int) -> None:
    async with slack() as there:
        with pytest.raises(FileProblem, match="does not let me read"):
            await there.fetch(f"?what={what}", name=name, size=size)
        assert there.kept is None


async def test_a_redirect_within_the_host_is_followed() -> None:
    async with slack() as there:
        assert await there.fetch("?what=moved") == len(BODY)


@pytest.mark.parametrize(
    ("what", "word", "again"),
    [
        ("login", "does not let me read", False),
        ("sly login", "does not let me read", False),
        ("gone", "was deleted", False),
        ("empty", "is empty", False),
        ("away", "not its own", False),
        ("circles", "circles", False),
        ("busy", "just now", True),
        ("cut", "broke off", True),
    ],
)
async def test_what_goes_wrong_is_said_and_leaves_nothing(what: str, word: str, again: bool) -> None:
    async with slack() as there:
        with pytest.raises(FileProblem) as told:
            await there.fetch(f"?what={what}")
        assert word in str(told.value) and told.value.again is again
        assert there.kept is None


@pytest.mark.parametrize("size", [0, 50_000])
async def test_a_file_over_the_limit_is_refused_whether_it_says_so_or_not(size: int) -> None:
    async with slack(most=4_000) as there:
        with pytest.raises(FileProblem, match="max_file_bytes"):
            await there.fetch(size=size)
        assert there.kept is None


async def test_a_file_that_is_there_already_is_not_fetched_again() -> None:
    async with slack() as there:
        there.blobs.put(PATH, [BODY])
        assert await there.fetch("?what=gone", size=len(BODY)) == len(BODY)


async def test_a_writer_that_fails_ends_the_download() -> None:
    class Full(MemoryBlobs):
        def put(self, path: str, chunks: Any) -> int:
            next(iter(chunks))
            raise OSError("disk full")

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(OSError, match="disk full"):
        await files.store(Full(), PATH, endless())


async def test_a_file_of_a_shared_channel_is_asked_about_first() -> None:
    answer = {
        "file": {
            "id": "F1",
            "name": "rows.jsonl",
            "url_private_download": "https://files.slack.com/x",
            "size": 7,
        }
    }
    api: Any = FakeSlack(files_info=[answer])
    found = await files.describe(api, {"id": "F1", "file_access": "check_file_info"})
    assert found == SlackFile("F1", "rows.jsonl", "https://files.slack.com/x", 7)


@pytest.mark.parametrize(
    ("file", "script"),
    [
        ({"id": "F1", "mode": "tombstone", "name": "rows.jsonl"}, []),
        ({"id": "F1", "file_access": "check_file_info"}, [SlackRefused("files.info", "file_deleted")]),
        ({"id": "F1"}, [{"file": {"id": "F1", "mode": "tombstone"}}]),
    ],
)
async def test_a_deleted_file_is_said_to_be_deleted(file: dict[str, Any], script: list[Any]) -> None:
    api: Any = FakeSlack(files_info=script)
    with pytest.raises(FileProblem, match="deleted"):
        await files.describe(api, file)
