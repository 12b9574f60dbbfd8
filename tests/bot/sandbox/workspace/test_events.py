from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from .serving import Place, Received, a_workspace

Json = dict[str, Any]
SAMPLES = Path(__file__).parents[3] / "data" / "slack" / "samples"


def sample(name: str) -> Json:
    return dict(json.loads((SAMPLES / f"{name}.json").read_text()))


def strangers(found: Any, published: Any, at: str = "", ignore: frozenset[str] = frozenset()) -> list[str]:
    """Keys that the published shape has not, and values of another type; null fits anything."""
    if found is None or published is None:
        return []
    if isinstance(published, bool) != isinstance(found, bool) or (
        not isinstance(found, int) and type(found) is not type(published)
    ):
        return [f"{at}: {type(found).__name__} for {type(published).__name__}"]
    if isinstance(found, dict) and published:
        return [fault for key in found for fault in _key(found, published, key, at, ignore)]
    if isinstance(found, list) and published:
        return [fault for item in found for fault in strangers(item, published[0], f"{at}[]", ignore)]
    return []


def _key(found: Json, published: Json, key: str, at: str, ignore: frozenset[str]) -> list[str]:
    if key in ignore:
        return []
    if key not in published:
        return [f"{at}.{key} is not published"]
    return strangers(found[key], published[key], f"{at}.{key}", ignore)


# Present in live payloads, absent from the published logs; blocks are judged by block_kit.py.
LIVE = frozenset(
    {"blocks", "context_team_id", "context_enterprise_id", "user_id", "shares", "channels", "groups", "ims"}
)
LIVE_INTERACTION = LIVE | {"values", "actions", "response_urls", "state"}


def test_an_envelope_is_signed_and_says_for_whom_it_is(place: Place) -> None:
    place.person().post("hello")
    payload = place.app.event("message")
    assert place.app.received[0].signed
    assert payload["api_app_id"] == "A0FINETUNE"
    assert payload["authorizations"][0]["user_id"] == "U0FINETUNE"
    assert payload["event_id"].startswith("Ev")
    event = payload["event"]
    assert (event["channel_type"], event["channel"], event["user"]) == ("channel", "C0MODELS", "U0ADA")
    assert event["event_ts"] == event["ts"]
    assert "subtype" not in event


def test_a_mention_arrives_twice_under_two_event_ids(place: Place) -> None:
    ts = place.person().post("@finetune train this & that <now>")
    both = [place.app.event("message"), place.app.event("app_mention")]
    assert {one["event"]["ts"] for one in both} == {ts}
    assert len({one["event_id"] for one in both}) == 2
    assert both[1]["event"]["text"] == "<@U0FINETUNE> train this &amp; that &lt;now&gt;"
    assert "channel_type" not in both[1]["event"]


def test_a_direct_message_is_no_mention(place: Place) -> None:
    place.person(channel="D0ADA").post("@finetune hi")
    assert place.app.event("message")["event"]["channel_type"] == "im"
    assert place.app.event("app_home_opened", tab="messages")
    assert "app_mention" not in place.app.kinds()


def test_an_upload_in_a_thread_is_a_file_share_and_a_mention_carries_files(place: Place) -> None:
    ada = place.person()
    root = ada.post("here it comes")
    ada.upload([("a.jsonl", b"{}\n"), ("b.jsonl", b"{}\n")], "@finetune look", thread_ts=root)
    shared = place.app.event("message", subtype="file_share")["event"]
    assert shared["thread_ts"] == root
    assert [one["name"] for one in shared["files"]] == ["a.jsonl", "b.jsonl"]
    assert len(place.app.event("app_mention")["event"]["files"]) == 2
    assert place.app.event("file_shared")["event"]["channel_id"] == "C0MODELS"
    token = {"Authorization": "Bearer xoxb-sandbox"}
    assert place.http("GET", shared["files"][0]["url_private_download"], None, token)[2] == b"{}\n"


def test_a_file_of_another_organisation_must_be_looked_up(place: Place) -> None:
    place.person().upload([("a.jsonl", b"{}\n")], check_file_info=True)
    [held] = place.app.event("message", subtype="file_share")["event"]["files"]
    assert held["file_access"] == "check_file_info"
    assert "url_private" not in held
    assert place.call("files.info", file=held["id"])["file"]["url_private"]


def test_edits_and_deletions_are_told(place: Place) -> None:
    ada = place.person()
    ts = ada.post("one")
    ada.edit(ts, "two")
    changed = place.app.event("message", subtype="message_changed")["event"]
    assert (changed["message"]["text"], changed["previous_message"]["text"]) == ("two", "one")
    ada.delete(ts)
    assert place.app.event("message", subtype="message_deleted")["event"]["deleted_ts"] == ts


def test_the_app_hears_nothing_from_where_it_is_not(place: Place) -> None:
    place.person(channel="C0RANDOM").post("@finetune hello")
    place.person().post("last")
    place.app.event("message", text="last")
    assert place.app.kinds() == ["message"]


def test_the_apps_own_message_comes_back_with_its_bot_id(place: Place) -> None:
    place.call("chat.postMessage", channel="C0MODELS", text="mine")
    assert place.app.event("message")["event"]["bot_id"] == "B0FINETUNE"


def test_home_reactions_and_stop_are_told(place: Place) -> None:
    ada = place.person()
    root = ada.post("hi")
    ada.react(root, "eyes")
    ada.open_home()
    who: Json = {"recipient_user_id": "U0ADA", "recipient_team_id": "T0SANDBOX"}
    stream = place.call("chat.startStream", channel="C0MODELS", thread_ts=root, **who)["ts"]
    ada.stop(root)
    assert place.app.event("reaction_added")["event"]["item"]["ts"] == root
    assert place.app.event("app_home_opened", tab="home")["event"]["channel"] == "D0ADA"
    assert place.app.event("agent_session_stopped")["event"]["streaming_message_ts"] == [stream]


def test_an_uninstalled_app_is_told_and_its_token_is_dead(place: Place) -> None:
    place.http("POST", "/sandbox/uninstall", b"{}")
    assert place.app.event("tokens_revoked")
    assert place.app.event("app_uninstalled")
    assert place.call("auth.test")["error"] == "invalid_auth"


def test_the_request_url_is_verified_by_a_challenge(place: Place) -> None:
    assert json.loads(place.http("POST", "/sandbox/verify", b"{}")[2])["verified"] is False
    place.app.answer = lambda received: (200, received.payload.get("challenge", ""), {})
    assert json.loads(place.http("POST", "/sandbox/verify", b"{}")[2])["verified"] is True


def test_an_event_that_is_not_taken_is_sent_again_with_headers() -> None:
    with a_workspace(retry_delays_seconds=(0.0, 0.01, 0.01)) as place:
        place.app.answer = lambda _: (503, "", {})
        place.person().post("hello")
        sent = place.app.wait(lambda payload: True, 4)
        assert len({one["event_id"] for one in sent}) == 1
        headers = [one.headers.get("x-slack-retry-num") for one in place.app.received]
        assert headers == [None, "1", "2", "3"]
        assert place.app.received[1].headers["x-slack-retry-reason"] == "http_error"


def test_an_app_may_decline_retries() -> None:
    with a_workspace(retry_delays_seconds=(0.0,)) as place:
        place.app.answer = lambda _: (500, "", {"X-Slack-No-Retry": "1"})
        place.person().post("one")
        place.person().post("two")
        place.app.event("message", text="two")
        assert place.person().wait_for(lambda: len(place.person().deliveries()) == 2)
        assert [one.headers.get("x-slack-retry-num") for one in place.app.received] == [None, None]


def test_a_slow_app_is_asked_again() -> None:
    def slow(received: Received) -> tuple[int, str, dict[str, str]]:
        if "x-slack-retry-num" not in received.headers:
            time.sleep(0.4)
        return 200, "", {}

    with a_workspace(retry_delays_seconds=(0.0,), ack_timeout_seconds=0.1) as place:
        place.app.answer = slow
        place.person().post("hello")
        place.app.wait(lambda payload: True, 2)
        assert place.app.received[1].headers["x-slack-retry-reason"] == "http_timeout"


def test_armed_faults_repeat_double_and_reorder_events(place: Place) -> None:
    ada = place.person()
    ada.faults(retry_events=1)
    ada.post("again")
    again = place.app.wait(lambda payload: payload["event"]["text"] == "again", 2)
    assert again[0]["event_id"] == again[1]["event_id"]
    ada.faults(duplicate_events=1)
    ada.post("twice")
    twice = place.app.wait(lambda payload: payload["event"]["text"] == "twice", 2)
    assert twice[0]["event_id"] != twice[1]["event_id"]
    ada.faults(shuffle_events=2)
    ada.post("first")
    assert "first" not in [one.payload["event"]["text"] for one in place.app.received]
    ada.post("second")
    place.app.wait(lambda payload: payload["event"]["text"] in ("first", "second"), 2)


def test_a_lost_event_comes_with_the_retry(place: Place) -> None:
    ada = place.person()
    ada.faults(drop_events=1)
    ada.post("hello")
    place.app.event("message")
    assert place.app.received[0].headers["x-slack-retry-reason"] == "connection_failed"


def test_armed_faults_hit_the_web_api_as_often_as_asked(place: Place) -> None:
    ada = place.person()
    ada.faults(rate_limit={"method": "chat.postMessage", "times": 1, "seconds": 7})
    status, headers, body = place.raw_call("chat.postMessage", channel="C0MODELS", text="x")
    assert (status, headers["retry-after"], json.loads(body)["error"]) == (429, "7", "ratelimited")
    ada.faults(server_error={"method": "*", "times": 1, "status": 502})
    assert place.raw_call("auth.test")[0] == 502
    ada.faults(dropped_response={"method": "chat.postMessage", "times": 1})
    with pytest.raises(Exception, match=r"IncompleteRead|Remote|Connection|reset"):
        place.raw_call("chat.postMessage", channel="C0MODELS", text="done anyway")
    assert [one["text"] for one in ada.messages()] == ["done anyway"]
    assert place.call("chat.postMessage", channel="C0MODELS", text="x")["ok"]


def test_slacks_limits_hold_when_switched_on(place: Place) -> None:
    ada = place.person()
    for n in range(20):
        place.call("chat.postMessage", channel="C0MODELS", text=str(n))
    ada.faults(history_objects=15)
    assert len(place.call("conversations.history", channel="C0MODELS", limit=100)["messages"]) == 15
    assert place.raw_call("conversations.history", channel="C0MODELS")[0] == 429
    ada.faults()
    ada.faults(enforce_limits=True)
    root = ada.post("root")
    statuses = [place.raw_call("conversations.replies", channel="C0MODELS", ts=root)[0] for _ in range(51)]
    assert (statuses[0], statuses[-1]) == (200, 429)


SHAPES = [
    ("message", {}, "MessagePayload"),
    ("message", {"subtype": "file_share"}, "MessageFileSharePayload"),
    ("message", {"subtype": "message_changed"}, "MessageChangedPayload"),
    ("message", {"subtype": "message_deleted"}, "MessageDeletedPayload"),
    ("app_mention", {}, "AppMentionPayload"),
    ("app_home_opened", {}, "AppHomeOpenedPayload"),
    ("file_shared", {}, "FileSharedPayload"),
    ("reaction_added", {}, "ReactionAddedPayload"),
    ("app_uninstalled", {}, "AppUninstalledPayload"),
    ("tokens_revoked", {}, "TokensRevokedPayload"),
]


def test_events_have_the_published_keys_and_types(place: Place) -> None:
    ada = place.person()
    ts = ada.post("@finetune hi")
    ada.edit(ts, "hello")
    ada.react(ts, "eyes")
    ada.upload([("a.jsonl", b"{}\n")])
    ada.delete(ts)
    ada.open_home()
    place.http("POST", "/sandbox/uninstall", b"{}")
    ignore = LIVE | {"event_ts", "reactions"}
    for kind, fields, name in SHAPES:
        payload = place.app.event(kind, **fields)
        assert strangers(payload, sample(name), ignore=ignore) == [], name


API_SHAPES: list[tuple[str, Json, str]] = [
    ("auth.test", {}, "api.auth.test"),
    ("team.info", {}, "api.team.info"),
    ("users.info", {"user": "U0ADA"}, "api.users.info"),
    ("conversations.info", {"channel": "C0MODELS"}, "api.conversations.info"),
    ("files.getUploadURLExternal", {"filename": "a.png", "length": 3}, "api.files.getUploadURLExternal"),
    ("chat.postEphemeral", {"channel": "C0MODELS", "user": "U0ADA", "text": "x"}, "api.chat.postEphemeral"),
    ("views.publish", {"user_id": "U0ADA", "view": {"type": "home", "blocks": []}}, "api.views.publish"),
]


def test_answers_have_the_published_keys_and_types(place: Place) -> None:
    for method, args, name in API_SHAPES:
        answer = place.call(method, **args)
        assert answer["ok"]
        ignore = LIVE | {"parent_conversation", "values", "user_id"}
        assert strangers(answer, sample(name), ignore=ignore) == [], name
