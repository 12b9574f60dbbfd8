from __future__ import annotations

import json
from typing import Any

import pytest

from bot.sandbox.workspace.config import SCOPES
from bot.sandbox.workspace.person import words

from .serving import Place, a_workspace

Json = dict[str, Any]
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go", "value": "1"}


def posted(place: Place, **args: Any) -> str:
    answer = place.call("chat.postMessage", **{"channel": "C0MODELS", "text": "hi", **args})
    assert answer["ok"], answer
    return str(answer["ts"])


def test_a_posted_message_is_seen_with_its_blocks(place: Place) -> None:
    answer = place.call("chat.postMessage", channel="C0MODELS", text="hi", blocks=[SECTION])
    [message] = place.person().messages()
    assert (message["ts"], message["text"]) == (answer["ts"], "hi")
    assert message["blocks"][0]["text"] == {"type": "mrkdwn", "text": "hello", "verbatim": False}
    assert message["blocks"][0]["block_id"]
    assert answer["message"]["bot_profile"]["app_id"] == "A0FINETUNE"


def test_form_and_json_bodies_mean_the_same(place: Place) -> None:
    for form in (True, False):
        answer = place.call("chat.postMessage", form=form, channel="C0MODELS", text="x", blocks=[SECTION])
        assert answer["message"]["blocks"][0]["type"] == "section"


def test_a_token_may_stand_in_the_body(place: Place) -> None:
    assert place.call("auth.test", token="", form=True, token_="x")["error"] == "not_authed"
    body = b"token=xoxb-sandbox"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert json.loads(place.http("POST", "/api/auth.test", body, kind)[2])["user_id"] == "U0FINETUNE"


REFUSALS: list[tuple[str, Json, str]] = [
    ("auth.test", {"token": "xoxb-other"}, "invalid_auth"),
    ("auth.test", {"token": ""}, "not_authed"),
    ("chat.dance", {}, "unknown_method"),
    ("chat.postMessage", {"channel": "C404", "text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"channel": "C0RANDOM", "text": "x"}, "not_in_channel"),
    ("chat.postMessage", {"channel": "C0MODELS"}, "no_text"),
    ("chat.postMessage", {"channel": "C0MODELS", "text": "x" * 4000}, "msg_too_long"),
    ("chat.postMessage", {"channel": "C0MODELS", "text": "x", "blocks": "[{"}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": "C0MODELS", "text": "x", "blocks": [{"type": "hm"}]}, "invalid_blocks"),
    ("chat.postMessage", {"channel": "C0MODELS", "text": "x", "thread_ts": "1.2"}, "thread_not_found"),
    ("chat.update", {"channel": "C0MODELS", "ts": "1.2", "text": "x"}, "message_not_found"),
    ("chat.delete", {"channel": "C0MODELS", "ts": "1.2"}, "message_not_found"),
    ("chat.postEphemeral", {"channel": "C0MODELS", "user": "U404", "text": "x"}, "user_not_in_channel"),
    ("chat.getPermalink", {"channel": "C0MODELS", "message_ts": "1.2"}, "message_not_found"),
    ("chat.startStream", {"channel": "C0MODELS", "thread_ts": "1.2"}, "thread_not_found"),
    ("conversations.info", {"channel": "C404"}, "channel_not_found"),
    ("conversations.replies", {"channel": "C0MODELS", "ts": "1.2"}, "thread_not_found"),
    ("conversations.history", {"channel": "C0RANDOM"}, "not_in_channel"),
    ("conversations.open", {"users": "U404"}, "user_not_found"),
    ("users.info", {"user": "U404"}, "user_not_found"),
    ("usergroups.users.list", {"usergroup": "S404"}, "no_such_subteam"),
    ("reactions.add", {"channel": "C0MODELS", "timestamp": "1.2", "name": "eyes"}, "message_not_found"),
    ("files.info", {"file": "F404"}, "file_not_found"),
    ("files.completeUploadExternal", {"files": [{"id": "F404"}]}, "file_not_found"),
    ("views.open", {"trigger_id": "1.2.3", "view": {}}, "invalid_trigger_id"),
    ("views.update", {"view_id": "V404", "view": {}}, "not_found"),
    ("views.publish", {"user_id": "U404", "view": {}}, "user_not_found"),
    ("agents.sessions.setStatus", {"channel_id": "C0MODELS", "thread_ts": "1.2"}, "invalid_thread_ts"),
    ("apps.connections.open", {}, "not_allowed_token_type"),
    ("oauth.v2.access", {"client_id": "x"}, "invalid_client_id"),
]


def test_refusals_have_slacks_codes(place: Place) -> None:
    for method, args, code in REFUSALS:
        assert place.call(method, **args)["error"] == code, (method, args)


def test_every_method_of_the_platform_note_is_there(place: Place) -> None:
    listed = """auth.test team.info bots.info chat.postMessage chat.update chat.delete chat.postEphemeral
        chat.getPermalink chat.startStream chat.appendStream chat.stopStream conversations.info conversations.open
        conversations.members conversations.history conversations.replies users.info reactions.add reactions.remove
        files.getUploadURLExternal files.completeUploadExternal files.info views.open views.push views.update
        views.publish assistant.threads.setStatus assistant.threads.setSuggestedPrompts agents.sessions.setStatus
        agents.sessions.rename blocks.validate oauth.v2.access apps.connections.open usergroups.users.list"""
    for method in listed.split():
        assert place.call(method).get("error") != "unknown_method", method


@pytest.mark.parametrize(
    ("missing", "method", "args"),
    [
        ("chat:write", "chat.postMessage", {"channel": "C0MODELS", "text": "x"}),
        ("channels:history", "conversations.history", {"channel": "C0MODELS"}),
        ("groups:read", "conversations.info", {"channel": "G0LEADS"}),
        ("im:history", "conversations.history", {"channel": "D0ADA"}),
        ("users:read", "users.info", {"user": "U0ADA"}),
        ("files:write", "files.getUploadURLExternal", {"filename": "a", "length": 1}),
    ],
)
def test_a_method_without_its_scope_says_which_is_missing(missing: str, method: str, args: Json) -> None:
    granted = tuple(scope for scope in SCOPES if scope != missing)
    with a_workspace(scopes=granted) as place:
        answer = place.call(method, **args)
    assert (answer["error"], answer["needed"]) == ("missing_scope", missing)


def test_an_invalid_card_is_refused_with_its_faults_and_remembered(place: Place) -> None:
    bad = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
    answer = place.call("chat.postMessage", channel="C0MODELS", text="x", blocks=bad)
    assert "/blocks/0/text/text" in answer["response_metadata"]["messages"][0]
    [refusal] = place.person().cards_invalid()
    assert (refusal["method"], refusal["error"]) == ("chat.postMessage", "invalid_blocks")


def test_an_update_without_blocks_drops_the_blocks(place: Place) -> None:
    ts = posted(place, blocks=[SECTION])
    assert place.call("chat.update", channel="C0MODELS", ts=ts, text="new", blocks=[SECTION])["ok"]
    assert "blocks" in place.person().messages()[0]
    assert place.call("chat.update", channel="C0MODELS", ts=ts, text="newer")["ok"]
    assert "blocks" not in place.person().messages()[0]


def test_only_the_apps_own_messages_may_be_changed(place: Place) -> None:
    ts = place.person().post("mine")
    assert place.call("chat.update", channel="C0MODELS", ts=ts, text="x")["error"] == "cant_update_message"
    assert place.call("chat.delete", channel="C0MODELS", ts=ts)["error"] == "cant_delete_message"


def test_metadata_comes_back_only_when_asked_for(place: Place) -> None:
    metadata = {"event_type": "card", "event_payload": {"job": "j1"}}
    posted(place, metadata=metadata)
    plain = place.call("conversations.history", channel="C0MODELS")["messages"][0]
    whole = place.call("conversations.history", channel="C0MODELS", include_all_metadata=True)["messages"][0]
    assert "metadata" not in plain
    assert whole["metadata"] == metadata


def test_threads_count_their_replies_and_history_shows_only_roots(place: Place) -> None:
    root = place.person().post("root")
    reply = posted(place, thread_ts=root)
    [seen] = place.call("conversations.history", channel="C0MODELS")["messages"]
    assert (seen["reply_count"], seen["latest_reply"]) == (1, reply)
    thread = place.call("conversations.replies", channel="C0MODELS", ts=root)["messages"]
    assert [one["ts"] for one in thread] == [root, reply]
    place.call("chat.delete", channel="C0MODELS", ts=reply)
    assert "reply_count" not in place.call("conversations.history", channel="C0MODELS")["messages"][0]


def test_history_comes_in_pages(place: Place) -> None:
    sent = [posted(place, text=str(n)) for n in range(5)]
    first = place.call("conversations.history", channel="C0MODELS", limit=3)
    cursor = first["response_metadata"]["next_cursor"]
    rest = place.call("conversations.history", channel="C0MODELS", limit=3, cursor=cursor)
    assert [one["ts"] for one in first["messages"] + rest["messages"]] == sent[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    after = place.call("conversations.history", channel="C0MODELS", oldest=sent[3])
    assert [one["ts"] for one in after["messages"]] == [sent[4]]


def test_an_ephemeral_message_is_for_one_person(place: Place) -> None:
    assert place.call("chat.postEphemeral", channel="C0MODELS", user="U0GRACE", text="psst")["message_ts"]
    assert [one["text"] for one in place.person("U0GRACE").messages()] == ["psst"]
    assert place.person("U0ADA").messages() == []
    assert place.call("conversations.history", channel="C0MODELS")["messages"] == []


def test_a_stream_grows_and_ends_with_blocks(place: Place) -> None:
    root = place.person().post("question")
    refused = place.call("chat.startStream", channel="C0MODELS", thread_ts=root)
    assert refused["error"] == "missing_recipient_user_id"
    who: Json = {"recipient_user_id": "U0ADA", "recipient_team_id": "T0SANDBOX"}
    ts = place.call("chat.startStream", channel="C0MODELS", thread_ts=root, markdown_text="One ", **who)["ts"]
    chunk = {"type": "task_update", "id": "t1", "title": "Read rows", "status": "in_progress"}
    assert place.call("chat.appendStream", channel="C0MODELS", ts=ts, markdown_text="two.")["ok"]
    assert place.call("chat.appendStream", channel="C0MODELS", ts=ts, chunks=[chunk])["ok"]
    closing = [{"type": "actions", "elements": [BUTTON]}]
    assert place.call("chat.stopStream", channel="C0MODELS", ts=ts, blocks=closing)["ok"]
    message = place.person().messages(thread_ts=root)[-1]
    assert message["text"] == "One two."
    assert [block["type"] for block in message["blocks"]] == ["plan", "markdown", "actions"]
    late = place.call("chat.appendStream", channel="C0MODELS", ts=ts, markdown_text="late")
    assert late["error"] == "message_not_in_streaming_state"
    assert not any(key.startswith("_") for key in message)


def test_the_apps_upload_lands_in_the_thread_and_downloads_need_the_token(place: Place) -> None:
    root = place.person().post("chart?")
    given = place.call(
        "files.getUploadURLExternal", form=True, filename="c.png", length="4", alt_txt="a chart"
    )
    assert place.http("POST", given["upload_url"], b"\x89PNG")[2] == b"OK - 4"
    done = place.call(
        "files.completeUploadExternal",
        form=True,
        files=[{"id": given["file_id"], "title": "Chart"}],
        channel_id="C0MODELS",
        thread_ts=root,
        initial_comment="here",
    )
    assert done["files"][0]["alt_txt"] == "a chart"
    message = place.person().messages(thread_ts=root)[-1]
    assert (message["subtype"], message["files"][0]["title"]) == ("file_share", "Chart")
    url = message["files"][0]["url_private_download"]
    status, _, page = place.http("GET", url)
    assert status == 200
    assert page.startswith(b"<!DOCTYPE html>")
    assert place.http("GET", url, None, {"Authorization": "Bearer xoxb-sandbox"})[2] == b"\x89PNG"


def test_an_image_block_may_name_only_a_file_that_is_there(place: Place) -> None:
    image = {"type": "image", "slack_file": {"id": "F404"}, "alt_text": "chart"}
    answer = place.call("chat.postMessage", channel="C0MODELS", text="x", blocks=[image])
    assert answer["error"] == "invalid_blocks"


def test_a_deleted_file_is_gone(place: Place) -> None:
    ada = place.person()
    ada.upload([("a.jsonl", b"{}\n")])
    [info] = ada.files()
    assert place.call("files.info", file=info["id"])["file"]["name"] == "a.jsonl"
    ada.delete_file(info["id"])
    assert place.call("files.info", file=info["id"])["error"] == "file_deleted"
    token = {"Authorization": "Bearer xoxb-sandbox"}
    assert place.http("GET", info["url_private_download"], None, token)[0] == 404


def test_files_where_the_app_is_not_stay_hidden(place: Place) -> None:
    ada = place.person(channel="C0RANDOM")
    ada.upload([("secret.jsonl", b"{}\n")])
    assert place.call("files.info", file=ada.files()[0]["id"])["error"] == "file_not_found"


def test_reactions_are_added_once_and_taken_back(place: Place) -> None:
    ts = place.person().post("hi")
    react: Json = {"channel": "C0MODELS", "timestamp": ts, "name": "eyes"}
    assert place.call("reactions.add", **react)["ok"]
    assert place.call("reactions.add", **react)["error"] == "already_reacted"
    assert place.person().messages()[0]["reactions"][0]["users"] == ["U0FINETUNE"]
    assert place.call("reactions.remove", **react)["ok"]
    assert place.call("reactions.remove", **react)["error"] == "no_reaction"


def test_a_status_shows_until_the_app_answers(place: Place) -> None:
    root = place.person().post("hi")
    assert place.call(
        "assistant.threads.setStatus", channel_id="C0MODELS", thread_ts=root, status="is thinking…"
    )["ok"]
    assert [one["status"] for one in place.person().statuses()] == ["is thinking…"]
    posted(place, thread_ts=root)
    assert place.person().statuses() == []


def test_a_session_processes_until_the_app_says_otherwise(place: Place) -> None:
    root = place.person().post("hi")
    where: Json = {"channel_id": "C0MODELS", "thread_ts": root}
    assert (
        place.call("agents.sessions.setStatus", status="processing", title="Tune", **where)["title"] == "Tune"
    )
    assert place.person().statuses()[0]["session"] == "processing"
    assert place.call("agents.sessions.setStatus", status="resting", **where)["error"] == "invalid_status"
    assert place.call("agents.sessions.setStatus", status="active", **where)["agent_status"] == "active"
    assert place.person().statuses() == []


def test_home_is_published_per_person(place: Place) -> None:
    view = {"type": "home", "blocks": [SECTION]}
    first = place.call("views.publish", user_id="U0ADA", view=view)["view"]
    again = place.call("views.publish", form=True, user_id="U0ADA", view=view)["view"]
    assert again["id"] == first["id"]
    home = place.person().home()
    assert home
    assert "hello" in words(home)
    assert place.person("U0GRACE").home() is None
    modal = {"type": "modal", "title": {"type": "plain_text", "text": "t"}, "blocks": []}
    assert place.call("views.publish", user_id="U0ADA", view=modal)["error"] == "invalid_arguments"


def test_blocks_can_be_validated_before_they_are_sent(place: Place) -> None:
    assert place.call("blocks.validate", blocks=[SECTION]) == {"ok": True}
    bad = place.call("blocks.validate", message={"blocks": [{"type": "header"}]})
    assert bad["error"] == "invalid_message"
    assert bad["errors"][0]["pointer"] == "/blocks/0"


def test_an_installation_brings_a_working_token(place: Place) -> None:
    given: Json = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "code": "code-1"}
    token = place.call("oauth.v2.access", token="", form=True, **given)["access_token"]
    assert place.call("auth.test", token=token)["ok"]
    assert place.call("auth.test")["ok"]


def test_who_is_who(place: Place) -> None:
    assert place.call("users.info", user="U0LINUS")["user"]["is_restricted"]
    assert place.call("users.info", user="U0FINETUNE")["user"]["is_bot"]
    assert place.call("conversations.open", users="U0ADA")["channel"]["id"] == "D0ADA"
    assert "U0LINUS" in place.call("conversations.members", channel="C0MODELS")["members"]
    assert place.call("usergroups.users.list", usergroup="S0APPROVERS")["users"] == ["U0ADA", "U0KATHERINE"]
    assert place.call("team.info")["team"]["id"] == "T0SANDBOX"
    assert place.call("bots.info", bot="B0FINETUNE")["bot"]["user_id"] == "U0FINETUNE"
