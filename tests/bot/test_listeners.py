"""Slack's requests over HTTP: what is kept before the ack, what is refused, what people hear when it cannot be kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from bot.listeners import slack
from bot.metrics import Metrics
from bot.slack_api import Identity
from storage.errors import Unavailable
from storage.memory import MemoryState
from storage.records import Tenant

SECRET = "shhh"
US = Identity(team="T1", enterprise="", bot_user="UBOT", bot_id="B1", url="", scopes=())
TENANT = Tenant("", "T1")


class Door:
    """The listener behind a test client. `state.accept` fails while `down`."""

    def __init__(self, known: Identity | None = US, secret: str = SECRET) -> None:
        self.state = MemoryState()
        self.down = False
        self.notified: list[str] = []
        app = slack.build(
            inbox=self,  # type: ignore[arg-type]
            identity=lambda: known,
            notify=lambda tenant, lane: self.notified.append(lane),
            client=AsyncWebClient(token="xoxb-test"),
            signing_secret=secret,
            metrics=Metrics(),
        )
        handler = AsyncSlackRequestHandler(app)
        self.http = TestClient(Starlette(routes=[Route("/slack/events", handler.handle, methods=["POST"])]))

    async def accept(self, tenant: Tenant, lane: str, item: Any) -> bool:
        if self.down:
            raise Unavailable("Redis: gone")
        return await self.state.accept(tenant, lane, item)

    def post(self, body: str, kind: str, *, age: float = 0, secret: str = SECRET) -> Any:
        stamp = str(int(time.time() - age))
        signature = (
            "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        )
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature, "content-type": kind}
        return self.http.post("/slack/events", content=body, headers=headers)

    def event(self, event: dict[str, Any], *, team: str = "T1", id: str = "Ev1", **how: Any) -> Any:
        body = {
            "type": "event_callback",
            "team_id": team,
            "event_id": id,
            "event": event,
            "authorizations": [{"team_id": team}],
        }
        return self.post(json.dumps(body), "application/json", **how)

    def interaction(self, payload: dict[str, Any]) -> Any:
        return self.post(urlencode({"payload": json.dumps(payload)}), "application/x-www-form-urlencoded")

    async def kept(self) -> list[str]:
        return [
            item.id
            for tenant, lane in await self.state.ready(99)
            for item in await self.state.waiting(tenant, lane)
        ]


MENTION = {
    "type": "app_mention",
    "user": "U1",
    "text": "<@UBOT> hi",
    "channel": "C1",
    "ts": "1.5",
    "event_ts": "1.5",
}
CLICK = {
    "type": "block_actions",
    "user": {"id": "U1", "team_id": "T1"},
    "team": {"id": "T1"},
    "channel": {"id": "C1"},
    "container": {"type": "message", "message_ts": "2.0", "thread_ts": "1.5", "channel_id": "C1"},
    "actions": [
        {
            "type": "button",
            "action_id": "proposal.approve",
            "value": "p1",
            "action_ts": "3.0",
            "block_id": "b",
        }
    ],
    "trigger_id": "tr",
}


def submission(goal: str) -> dict[str, Any]:
    view = {
        "id": "V1",
        "hash": "h",
        "type": "modal",
        "callback_id": "goal",
        "private_metadata": "{}",
        "state": {"values": {"goal": {"goal": {"type": "plain_text_input", "value": goal}}}},
        "blocks": [{"type": "input", "block_id": "goal"}],
    }
    return {
        "type": "view_submission",
        "user": {"id": "U1"},
        "team": {"id": "T1"},
        "view": view,
        "trigger_id": "t",
    }


@pytest.mark.anyio
async def test_a_mention_and_its_message_are_kept_once_in_either_order() -> None:
    door = Door()
    message = {**MENTION, "type": "message", "channel_type": "channel"}
    for event, id in ((message, "Ev1"), (MENTION, "Ev2"), (message, "Ev3")):
        assert door.event(event, id=id).status_code == 200
    assert await door.kept() == ["m:C1:1.5"] and door.notified == ["C1:1.5"]


@pytest.mark.anyio
async def test_what_is_not_ours_is_acked_and_forgotten() -> None:
    door = Door()
    assert door.event({**MENTION, "bot_id": "B7"}).status_code == 200
    assert door.event(MENTION, team="T9").status_code == 200
    assert door.event({"type": "team_join", "user": {"id": "U9"}}).status_code == 200
    assert await door.kept() == []


@pytest.mark.parametrize("how", [{"secret": "other"}, {"age": 600}])
def test_a_forged_or_old_request_is_refused(how: dict[str, Any]) -> None:
    assert Door().event(MENTION, **how).status_code == 401


@pytest.mark.anyio
async def test_without_redis_an_event_is_left_to_slack_to_repeat() -> None:
    door = Door()
    door.down = True
    assert door.event(MENTION).status_code == 503
    door.down = False
    assert door.event(MENTION).status_code == 200
    assert await door.kept() == ["m:C1:1.5"]


def test_before_the_token_is_known_events_are_left_to_slack_to_repeat() -> None:
    assert Door(known=None).event(MENTION).status_code in (500, 503)


def test_without_redis_a_command_says_so() -> None:
    door = Door()
    door.down = True
    body = urlencode(
        {
            "command": "/finetune",
            "text": "status",
            "user_id": "U1",
            "team_id": "T1",
            "trigger_id": "x",
            "channel_id": "C1",
        }
    )
    answer = door.post(body, "application/x-www-form-urlencoded")
    assert answer.status_code == 200 and "try again" in answer.text


def test_without_redis_a_form_stays_open_and_says_so() -> None:
    door = Door()
    door.down = True
    answer = door.interaction(submission("be kind")).json()
    assert answer["response_action"] == "errors" and "try again" in answer["errors"]["goal"]


@pytest.mark.anyio
async def test_a_form_with_a_mistake_is_not_accepted() -> None:
    door = Door()
    assert door.interaction(submission(" ")).json()["response_action"] == "errors"
    assert await door.kept() == []
    assert door.interaction(submission("be kind")).text == ""
    assert await door.kept() == ["view:V1:h"]


@pytest.mark.anyio
async def test_a_click_is_kept_once_and_goes_to_the_clicks() -> None:
    door = Door()
    for _ in range(2):
        assert door.interaction(CLICK).status_code == 200
    assert door.notified == ["C1:1.5:clicks"]


def test_slack_may_check_the_address() -> None:
    door = Door(known=None)
    body = json.dumps({"type": "url_verification", "challenge": "c123", "token": "x"})
    assert "c123" in door.post(body, "application/json").text


@pytest.mark.parametrize("secret", ["", SECRET])
def test_with_socket_mode_alone_nothing_passes_over_http(secret: str) -> None:
    door = Door(secret="")
    assert door.event(MENTION, secret=secret).status_code == 401
