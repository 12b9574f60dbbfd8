"""Each event becomes one message, whatever breaks in between; a card that Slack refuses becomes a word about it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.posting import Poster
from bot.slack_api import SlackAmbiguous, SlackRefused, SlackUnavailable
from storage.memory import MemoryState
from storage.records import Change, OutboxEvent, Tenant
from tests.bot.parts import FakeSlack
from tests.bot.views import cases

pytestmark = pytest.mark.anyio
TENANT = Tenant("", "T1")
NOTICE = OutboxEvent("notice", "C1", "1.0", {"text": "hello"}, key="k1")


class Post:
    def __init__(self, **script: list[Any]) -> None:
        self.state, self.slack = MemoryState(), FakeSlack(**script)

    async def deliver(self, event: OutboxEvent) -> None:
        await Poster(api=self.slack, state=self.state).deliver(TENANT, event)  # type: ignore[arg-type]

    @property
    def posted(self) -> int:
        return len(self.slack.of("chat.postMessage"))


async def test_an_event_delivered_twice_is_one_message() -> None:
    post = Post()
    await post.deliver(NOTICE)
    await post.deliver(NOTICE)
    assert post.posted == 1
    sent = post.slack.of("chat.postMessage")[0]
    assert sent["metadata"]["event_payload"] == {"key": "k1"}
    assert sent["unfurl_links"] is False and sent["thread_ts"] == "1.0"


async def test_after_a_broken_connection_the_message_is_looked_for() -> None:
    found = {"messages": [{"ts": "7.0", "metadata": {"event_payload": {"key": "k1"}}}]}
    post = Post(chat_postMessage=[SlackAmbiguous("broken")], conversations_replies=[found])
    await post.deliver(NOTICE)
    assert post.posted == 1
    assert (await post.state.recall(TENANT, "k1") or {})["ts"] == "7.0"


async def test_a_message_that_did_not_arrive_is_posted_again() -> None:
    post = Post(chat_postMessage=[SlackAmbiguous("broken")], conversations_replies=[{"messages": []}])
    with pytest.raises(SlackAmbiguous):
        await post.deliver(NOTICE)
    await post.deliver(NOTICE)
    assert post.posted == 2
    assert (await post.state.recall(TENANT, "k1") or {})["ts"]


async def test_a_killed_relay_finds_what_it_had_posted() -> None:
    post = Post(
        conversations_replies=[{"messages": [{"ts": "8.0", "metadata": {"event_payload": {"key": "k1"}}}]}]
    )
    await post.state.remember(TENANT, "k1", {"announced": True})  # killed between the post and remembering it
    await post.deliver(NOTICE)
    assert post.posted == 0
    assert (await post.state.recall(TENANT, "k1") or {})["ts"] == "8.0"


async def test_a_card_is_updated_in_place_and_only_when_it_changed() -> None:
    post = Post()
    for done, key in ((1, "a"), (1, "b"), (2, "c")):
        data = {"task_id": "t1", "title": "Dry run", "status": "running", "done": done, "total": 9}
        await post.deliver(OutboxEvent("progress", "C1", "1.0", data, key=key, card="task:t1"))
    assert (post.posted, len(post.slack.of("chat.update"))) == (1, 1)
    assert post.slack.of("chat.update")[0]["blocks"]


async def test_a_proposal_is_drawn_as_it_is_now() -> None:
    post = Post()
    await post.state.commit(
        TENANT, Change(puts=(cases.proposal("topics", tenant=TENANT, status="rejected"),))
    )
    await post.deliver(
        OutboxEvent("proposal", "C1", "1.0", {"proposal_id": "p1"}, key="k", card="proposal:p1")
    )
    assert "Rejected by" in post.slack.of("chat.postMessage")[0]["text"]


async def test_a_card_that_slack_refuses_becomes_a_notice() -> None:
    post = Post(chat_postMessage=[SlackRefused("chat.postMessage", "invalid_blocks", ("too long",))])
    await post.deliver(NOTICE)
    assert "Slack did not take the card" in post.slack.of("chat.postMessage")[-1]["text"]


async def test_a_kind_that_nobody_can_draw_becomes_a_notice() -> None:
    post = Post()
    await post.deliver(OutboxEvent("mystery", "C1", "1.0", {}, key="k"))
    assert post.posted == 1


async def test_a_channel_that_is_gone_blocks_nobody() -> None:
    post = Post(chat_postMessage=[SlackRefused("chat.postMessage", "is_archived")])
    await post.deliver(NOTICE)
    assert post.posted == 1


async def test_a_deleted_card_is_posted_anew() -> None:
    post = Post(chat_update=[SlackRefused("chat.update", "message_not_found")])
    for status in ("queued", "finished"):
        data = {"task_id": "t1", "title": "Dry run", "status": status}
        await post.deliver(OutboxEvent("progress", "C1", "1.0", data, key=status, card="task:t1"))
    assert post.posted == 2


async def test_slack_being_away_is_for_the_relay_to_wait_out() -> None:
    post = Post(chat_postMessage=[SlackUnavailable("away")])
    with pytest.raises(SlackUnavailable):
        await post.deliver(NOTICE)


async def test_words_for_one_person_are_said_once_and_to_them() -> None:
    post = Post()
    event = OutboxEvent("notice", "C1", "1.0", {"text": "only you"}, key="k", to="U1")
    await post.deliver(event)
    await post.deliver(event)
    assert [sent["user"] for sent in post.slack.of("chat.postEphemeral")] == ["U1"]
    assert post.posted == 0


async def test_a_chart_is_uploaded_once_and_shown_in_its_place() -> None:
    post = Post(chat_postMessage=[SlackUnavailable("away")])
    event = OutboxEvent("coverage", "C1", "1.0", cases.events(4, "Refunds")["coverage"], key="k")
    with pytest.raises(SlackUnavailable):
        await post.deliver(event)
    await post.deliver(event)
    images = [block for block in post.slack.of("chat.postMessage")[-1]["blocks"] if block["type"] == "image"]
    assert images[0]["slack_file"] == {"id": "F1"} and post.slack.uploads == 1


async def test_a_chart_that_slack_cannot_show_yet_does_not_keep_the_card_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.posting.PICTURE_PAUSE_SECONDS", 0.0)
    refused = SlackRefused("chat.postMessage", "invalid_blocks", ("slack_file",))
    post = Post(chat_postMessage=[refused] * 4)
    await post.deliver(OutboxEvent("coverage", "C1", "1.0", cases.events(4, "Refunds")["coverage"], key="k"))
    last = post.slack.of("chat.postMessage")[-1]["blocks"]
    assert not [block for block in last if block["type"] == "image"]
    assert [block for block in last if block["type"] == "table"]
