"""Slash commands, Home and greeting: answered to the person alone, and only with what they may see now."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import ClientError

from bot.commands import Commands
from bot.sandbox.workspace.block_kit import validate_message, validate_view
from storage.records import InboxItem, Task
from tasks.step import Draft
from tests.agent.scene import CHANNEL, OWNER, TENANT, Scene
from tests.bot.parts import FakePeople, FakeSlack, hands

pytestmark = pytest.mark.anyio


class Response:
    """Implements what is used of an aiohttp response."""

    def __init__(self, status: int) -> None:
        self.status = status

    async def __aenter__(self) -> Response:
        return self

    async def __aexit__(self, *error: object) -> None:
        return None


class Line:
    """Commands over a scene; `answers` is what was sent to response URLs."""

    def __init__(self, status: int = 200) -> None:
        self.scene, self.slack, self.people = Scene(), FakeSlack(), FakePeople()
        self.status = status
        self.answers: list[dict[str, Any]] = []
        self.commands = Commands(hands=hands(self.scene, self.slack, self.people), session=self)  # type: ignore[arg-type]

    def post(self, url: str, json: dict[str, Any], timeout: Any) -> Response:
        if not url:
            raise ClientError("no address")
        self.answers.append(json)
        return Response(self.status)

    async def type(self, text: str, user: str = OWNER, url: str = "https://hooks.example/1") -> str:
        item = InboxItem(
            "cmd",
            "command",
            user,
            text,
            1.0,
            {"command": "/finetune", "channel": CHANNEL, "response_url": url},
        )
        await self.commands.answer(TENANT, item)
        if not self.answers:
            return ""
        answer = self.answers[-1]
        assert (
            answer["response_type"] == "ephemeral"
            and validate_message(answer["text"], answer["blocks"]) == []
        )
        return json.dumps(answer, ensure_ascii=False)


@pytest.mark.parametrize("word", ["", "help", "dance", "<!channel>", "HELP me"])
async def test_help_and_unknown_words_get_the_help(word: str) -> None:
    said = await Line().type(word)
    assert "/finetune status" in said and "<!channel>" not in said


async def test_status_shows_mine_all_of_the_channel_or_one_by_name() -> None:
    line = Line()
    await line.scene.workflow()
    assert "Support" in await line.type("status")
    assert "No workflow yet" in await line.type("status", user="U9")
    assert "Support" in await line.type("status all", user="U9")
    assert "1. *Topics*" in await line.type("status support")
    assert "no workflow called" in await line.type("status nothing of the kind")
    assert "Support" in await line.type("list")


async def test_who_has_left_the_channel_reads_nothing() -> None:
    line = Line()
    await line.scene.workflow()
    line.people.absent.add(OWNER)
    for words in ("status", "status all", "status support", "list"):
        assert "Support" not in await line.type(words), words


async def test_cancel_stops_what_runs_and_says_what() -> None:
    line = Line()
    workflow = await line.scene.workflow()
    assert "Nothing of yours is running" in await line.type("cancel")
    begun: Any = await line.scene.desk.start(TENANT, workflow, "validate", {}, by=OWNER, key="k")
    assert "Stopping" in await line.type("cancel")
    task = await line.scene.state.get(TENANT, Task, begun.task.id)
    assert task and task.cancel_requested


async def test_new_opens_a_thread_and_links_to_it() -> None:
    line = Line()
    assert "https://slack.example/C1/1.0" in await line.type("new Billing <!channel>")
    assert "<!channel>" not in line.slack.of("chat.postMessage")[0]["text"]


async def test_an_address_that_is_no_longer_good_is_replaced_by_an_ephemeral_message() -> None:
    line = Line(status=404)
    await line.type("status")
    assert line.slack.of("chat.postEphemeral")[0]["user"] == OWNER
    other = Line()
    await other.type("status", url="")
    assert other.slack.of("chat.postEphemeral")


async def test_home_shows_my_workflows_and_what_waits_for_me() -> None:
    line = Line()
    workflow = await line.scene.workflow()
    await line.scene.desk.propose(
        workflow, Draft("topics", "Nine topics", {"hierarchy": []}), by="U2", key="k"
    )
    item = InboxItem("h", "event", OWNER, "", 1.0, {"event": "home_opened", "tab": "home", "channel": "D1"})
    await line.commands.opened(TENANT, item)
    view = line.slack.of("views.publish")[0]["view"]
    assert validate_view(view) == []
    assert "Support" in json.dumps(view) and "Nine topics" in json.dumps(view)


async def test_a_person_is_greeted_once() -> None:
    line = Line()
    item = InboxItem(
        "h", "event", OWNER, "", 1.0, {"event": "home_opened", "tab": "messages", "channel": "D1"}
    )
    await line.commands.opened(TENANT, item)
    await line.commands.opened(TENANT, item)
    assert len(line.slack.of("chat.postMessage")) == 1
