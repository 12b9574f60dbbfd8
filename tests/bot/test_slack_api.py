"""Calls to Slack: in their turn, tried again where that is safe, and told apart where it is not."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_sdk.web.async_client import AsyncWebClient

from bot.buckets import Buckets
from bot.people import People
from bot.slack_api import SlackAmbiguous, SlackApi, SlackRefused, SlackUnavailable
from storage.records import Tenant, Workflow
from tests.bot.parts import TEAM, FakeSlack

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Server:
    """A Web API that answers from a list: (status, headers, body)."""

    def __init__(self, *answers: tuple[int, dict[str, str], Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    async def __aenter__(self) -> SlackApi:
        app = web.Application()
        app.router.add_post("/api/{method}", self._answer)
        self.server = TestServer(app)
        await self.server.start_server()
        self.session = aiohttp.ClientSession()
        client = AsyncWebClient(
            token="xoxb-t",
            base_url=str(self.server.make_url("/api/")),
            session=self.session,
            retry_handlers=[],
        )
        clock = Clock()
        return SlackApi(client, Buckets(clock, clock.sleep))

    async def __aexit__(self, *error: object) -> None:
        await self.session.close()
        await self.server.close()

    async def _answer(self, request: web.Request) -> web.Response:
        is_json = request.content_type == "application/json"
        self.asked.append(await request.json() if is_json else dict(await request.post()))
        status, headers, body = self.answers.pop(0)
        if isinstance(body, str):
            return web.Response(status=status, headers=headers, text=body, content_type="text/html")
        return web.json_response(body, status=status, headers=headers)


OK: tuple[int, dict[str, str], Any] = (200, {}, {"ok": True, "ts": "1.0"})


async def test_a_rate_limit_is_waited_for() -> None:
    server = Server((429, {"Retry-After": "30"}, {"ok": False, "error": "ratelimited"}), OK)
    async with server as api:
        assert (await api.call("chat.postMessage", channel="C1", text="x"))["ts"] == "1.0"


async def test_a_refusal_carries_slacks_code_and_what_is_wrong_with_blocks() -> None:
    body = {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": ["too long"]}}
    async with Server((200, {}, body)) as api:
        with pytest.raises(SlackRefused) as told:
            await api.call("chat.postMessage", channel="C1")
    assert (told.value.code, told.value.details) == ("invalid_blocks", ("too long",))


async def test_a_post_that_broke_off_is_ambiguous_and_not_repeated_here() -> None:
    server = Server((503, {}, "<html>upstream</html>"), OK)
    async with server as api:
        with pytest.raises(SlackAmbiguous):
            await api.call("chat.postMessage", channel="C1", text="x")
    assert len(server.asked) == 1


async def test_an_update_that_broke_off_is_simply_repeated() -> None:
    async with Server((500, {}, "oops"), (502, {}, "oops"), OK) as api:
        assert (await api.call("chat.update", channel="C1", ts="1.0", text="x"))["ok"]


async def test_methods_that_read_a_form_get_one_and_the_others_json() -> None:
    server = Server(OK, OK)
    async with server as api:
        await api.call("users.info", user="U1", include_locale=True)
        await api.call("chat.postMessage", channel="C1", blocks=[{"type": "divider"}], thread_ts=None)
    assert server.asked[0]["user"] == "U1" and server.asked[0]["include_locale"] == "true"
    assert server.asked[1] == {"channel": "C1", "blocks": [{"type": "divider"}]}


async def test_nobody_there_is_unavailable() -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(
            token="x", base_url="http://127.0.0.1:9/api/", session=session, retry_handlers=[]
        )
        clock = Clock()
        with pytest.raises(SlackUnavailable):
            await SlackApi(client, Buckets(clock, clock.sleep)).identity()


async def test_identity_brings_the_scopes() -> None:
    body = {"ok": True, "team_id": "T1", "user_id": "UBOT", "bot_id": "B1", "url": "https://x"}
    async with Server((200, {"x-oauth-scopes": "chat:write, commands"}, body)) as api:
        us = await api.identity()
    assert (us.team, us.bot_user, us.scopes) == ("T1", "UBOT", ("chat:write", "commands"))


async def test_what_is_only_nice_never_waits_and_never_fails() -> None:
    server = Server(*[OK] * 8, (200, {}, {"ok": False, "error": "not_in_channel"}))
    async with server as api:
        shown = [
            await api.hint("assistant.threads.setStatus", channel_id="C1", status="is thinking")
            for _ in range(20)
        ]
    assert shown.count(True) == 8 and len(server.asked) == 8
    async with Server((429, {"Retry-After": "30"}, {"ok": False, "error": "ratelimited"})) as api:
        assert not await api.hint("reactions.add", channel="C1")
        assert not await api.hint("reactions.add", channel="C1")  # closed for a while, so not even asked


async def test_posts_are_paced_by_channel_and_others_by_method() -> None:
    clock = Clock()
    buckets = Buckets(clock, clock.sleep)
    for _ in range(13):
        await buckets.take("chat.postMessage", "C1")
    assert 9.9 <= clock.now <= 10.1  # three at once, then one a second
    await buckets.take("chat.postMessage", "C2")
    await buckets.take("chat.update", "C1")
    assert clock.now <= 10.1


async def test_a_closed_bucket_is_closed_for_everybody() -> None:
    clock = Clock()
    buckets = Buckets(clock, clock.sleep)
    buckets.close("chat.update", "C1", 30.0)
    await buckets.take("chat.update", "C2")
    assert clock.now == 30.0


def workflow(channel: str, owner: str = "U1") -> Workflow:
    return Workflow("w1", Tenant("", TEAM), channel, "1.0", owner, "Support", 0.0, 0.0)


async def test_who_somebody_is_comes_from_slack_at_the_time() -> None:
    clock, slack = Clock(), FakeSlack()
    slack.script["usergroups.users.list"] = [{"users": ["U1"]}, {"users": []}]
    api: Any = slack
    people = People(api=api, team=lambda: TEAM, groups=("S1", "U9"), clock=clock)
    assert (await people.whois("U1")).groups == frozenset({"S1"})
    slack.guests.add("U1")
    assert not (await people.whois("U1")).is_guest  # kept for seconds
    clock.now += 60
    again = await people.whois("U1")
    assert again.is_guest and again.groups == frozenset()


@pytest.mark.parametrize(
    "described", [{"is_stranger": True}, {"is_ultra_restricted": True}, {"team_id": "T9"}, {"deleted": True}]
)
async def test_strangers_and_the_departed_count_as_guests(described: dict[str, Any]) -> None:
    api: Any = FakeSlack(users_info=[{"user": {"id": "U1", "team_id": TEAM, **described}}])
    assert (await People(api=api, team=lambda: TEAM, groups=()).whois("U1")).is_guest


async def test_who_slack_does_not_know_may_decide_nothing() -> None:
    api: Any = FakeSlack(users_info=[SlackRefused("users.info", "user_not_found")])
    found = await People(api=api, team=lambda: TEAM, groups=()).whois("U1")
    assert found.is_guest
    assert "does not tell me who you are" in found.turned_away


async def test_reading_follows_membership() -> None:
    slack = FakeSlack()
    slack.members["C1"] = {"U1"}
    api: Any = slack
    people = People(api=api, team=lambda: TEAM, groups=())
    assert await people.may_read("U1", workflow("C1")) and not await people.may_read("U2", workflow("C1"))
    assert await people.may_read("U1", workflow("D1")) and not await people.may_read("U2", workflow("D1"))


async def test_a_large_channel_is_read_to_its_end() -> None:
    pages = [{"members": ["U1"], "response_metadata": {"next_cursor": "n"}}, {"members": ["U2"]}]
    api: Any = FakeSlack(conversations_members=pages)
    assert await People(api=api, team=lambda: TEAM, groups=()).may_read("U2", workflow("C1"))


async def test_a_channel_that_we_left_is_read_by_nobody() -> None:
    api: Any = FakeSlack(conversations_members=[SlackRefused("conversations.members", "channel_not_found")])
    assert not await People(api=api, team=lambda: TEAM, groups=()).may_read("U1", workflow("C1"))
