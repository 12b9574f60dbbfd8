"""Files come into the thread once, whatever breaks in between; where that cannot be, a link takes their place."""

from __future__ import annotations

from typing import Any

import pytest

from bot import sharing
from bot.links import Links
from bot.posting import Poster
from bot.sharing import Sharing
from bot.slack_api import SlackAmbiguous, SlackRefused, SlackUnavailable
from storage.blobs_memory import MemoryBlobs
from storage.memory import MemoryState
from storage.records import OutboxEvent, Tenant
from tests.bot.parts import FakeSlack

pytestmark = pytest.mark.anyio
TENANT = Tenant("", "T1")
PATH = "-/T1/exports/e1"
DATA = {"file_name": "a.csv", "rows": 2, "path": PATH, "task_id": "e1", "workflow_id": "w1",
        "files": [{"path": PATH, "file_name": "a.csv", "size": 5}]}  # fmt: skip
EVENT = OutboxEvent("export", "C1", "1.0", DATA, key="k1")
COMPLETE, INFO = "files.completeUploadExternal", "files.info"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PAUSE_SECONDS", 0.0)


class Post:
    """One workspace's poster; `again` is what a restart leaves of it."""

    def __init__(self, *, max_bytes: int = 100, **script: list[Any]) -> None:
        self.state, self.slack, self.blobs = MemoryState(), FakeSlack(**script), MemoryBlobs()
        self.blobs.put(PATH, [b"a,", b"b\n1"])
        self.max_bytes = max_bytes

    async def deliver(self, event: OutboxEvent = EVENT) -> None:
        slack: Any = self.slack
        links = Links(blobs=self.blobs, secret="s", base_url="https://bot.example", clock=lambda: 1.0)
        shares = Sharing(api=slack, state=self.state, blobs=self.blobs, max_bytes=self.max_bytes)
        await Poster(api=slack, state=self.state, links=links, sharing=shares).deliver(TENANT, event)

    @property
    def card(self) -> str:
        (posted,) = self.slack.of("chat.postMessage")
        return str(posted["blocks"])


async def test_a_file_is_shared_in_its_thread_before_the_card() -> None:
    post = Post()
    await post.deliver()
    assert post.slack.sent["F1"] == ("a.csv", b"a,b\n1")
    (shared,) = post.slack.of(COMPLETE)
    assert (shared["channel_id"], shared["thread_ts"]) == ("C1", "1.0")
    assert shared["files"] == [{"id": "F1", "title": "a.csv"}]
    assert [name for name, _ in post.slack.calls] == [COMPLETE, "chat.postMessage"]
    assert "in this thread" in post.card and "https://" not in post.card


async def test_delivered_twice_it_is_shared_once() -> None:
    post = Post()
    await post.deliver()
    await post.deliver()
    assert len(post.slack.of(COMPLETE)) == len(post.slack.of("chat.postMessage")) == 1


async def test_killed_after_the_file_and_before_the_card_only_the_card_is_made_up_for() -> None:
    post = Post(chat_postMessage=[SlackUnavailable("gone")])
    with pytest.raises(SlackUnavailable):
        await post.deliver()
    await post.deliver()
    assert len(post.slack.of(COMPLETE)) == 1 and len(post.slack.of("chat.postMessage")) == 2


async def test_a_completion_that_broke_off_is_looked_for_before_it_is_repeated() -> None:
    arrived = Post(files_completeUploadExternal=[SlackAmbiguous("broken")])
    await arrived.deliver()
    assert len(arrived.slack.of(COMPLETE)) == 1 and len(arrived.slack.of(INFO)) == 1
    lost = Post(files_completeUploadExternal=[SlackAmbiguous("broken")],
                files_info=[SlackRefused(INFO, "file_not_found")] * 2)  # fmt: skip
    await lost.deliver()
    assert len(lost.slack.of(COMPLETE)) == 2 and "in this thread" in lost.card


async def test_a_killed_process_is_followed_by_one_that_asks_first() -> None:
    post = Post(files_completeUploadExternal=[RuntimeError("killed while Slack was completing it")])
    with pytest.raises(RuntimeError):
        await post.deliver()
    await post.deliver()
    assert post.slack.of(INFO) == [{"file": "F1"}] and len(post.slack.of(COMPLETE)) == 1
    assert "in this thread" in post.card


@pytest.mark.parametrize(
    "script",
    [
        {"upload": [SlackUnavailable("no")] * 3},
        {"files_completeUploadExternal": [SlackRefused(COMPLETE, "storage_limit_reached")]},
    ],
)
async def test_a_file_that_slack_does_not_take_becomes_a_link_and_that_is_said(
    script: dict[str, list[Any]],
) -> None:
    post = Post(**script)
    await post.deliver()
    assert "could not be put into the thread" in post.card and "https://bot.example/files/" in post.card


async def test_a_file_that_is_gone_does_not_hold_the_thread() -> None:
    post = Post()
    post.blobs.delete(PATH)
    await post.deliver()
    assert "could not be put" in post.card


async def test_a_large_file_is_a_link_without_an_excuse() -> None:
    post = Post(max_bytes=4)
    await post.deliver()
    assert post.slack.of(COMPLETE) == [] and "https://bot.example/files/" in post.card
    assert "could not be put" not in post.card


async def test_what_is_for_one_person_alone_is_never_put_into_the_thread() -> None:
    post = Post()
    await post.deliver(OutboxEvent("export", "C1", "1.0", DATA, key="k2", to="U1"))
    assert post.slack.of(COMPLETE) == []
    assert "https://bot.example/files/" in str(post.slack.of("chat.postEphemeral")[0]["blocks"])
