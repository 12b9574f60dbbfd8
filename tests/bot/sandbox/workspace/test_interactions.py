from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.workspace.person import Refused, buttons, words

from .serving import Answer, Place, Received, a_workspace
from .test_events import LIVE_INTERACTION, sample, strangers

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


OPTIONS = [{"text": plain(name), "value": name.lower()} for name in ("Keep", "Move")]
CARD: list[Json] = [
    {"type": "header", "text": plain("Approve?")},
    {
        "type": "actions",
        "block_id": "decide",
        "elements": [
            {"type": "button", "text": plain("Approve"), "action_id": "proposal.approve", "value": "p1"},
            {"type": "static_select", "action_id": "pick", "options": OPTIONS},
            {"type": "overflow", "action_id": "menu", "options": OPTIONS},
        ],
    },
]


def edit_modal(**more: Any) -> Json:
    outline = {"type": "plain_text_input", "action_id": "outline", "initial_value": "General"}
    field = {"type": "input", "block_id": "topics", "label": plain("Topics"), "element": outline}
    return {
        "type": "modal",
        "callback_id": "edit",
        "title": plain("Edit"),
        "submit": plain("Save"),
        "blocks": [field],
        **more,
    }


def carded(place: Place, **args: Any) -> str:
    return str(place.call("chat.postMessage", channel="C0MODELS", text="card", blocks=CARD, **args)["ts"])


def opened(place: Place, view: Json | None = None) -> Json:
    """A modal that the app opened on a click."""
    ada, ts = place.person(), carded(place)
    ada.click(ts, "proposal.approve")
    trigger = place.app.wait(lambda p: p.get("type") == "block_actions")[-1]["trigger_id"]
    answer = place.call("views.open", trigger_id=trigger, view=view or edit_modal())
    assert answer["ok"], answer
    return dict(answer["view"])


def answering(kind: str, body: Any) -> Any:
    def answer(received: Received) -> Answer:
        return (200, body if received.payload.get("type") == kind else "", {})

    return answer


def test_a_click_tells_who_what_and_where(place: Place) -> None:
    root = place.person().post("root")
    ts = carded(place, thread_ts=root)
    assert place.person().click(ts, "proposal.approve")["ok"]
    [payload] = place.app.wait(lambda p: p.get("type") == "block_actions")
    assert place.app.received[-1].signed
    [action] = payload["actions"]
    assert (action["block_id"], action["value"], action["type"]) == ("decide", "p1", "button")
    assert payload["user"] == {"id": "U0ADA", "username": "ada", "name": "ada", "team_id": "T0SANDBOX"}
    assert payload["container"]["thread_ts"] == root
    assert payload["message"]["ts"] == ts
    assert strangers(payload, sample("BlockActionPayload"), ignore=LIVE_INTERACTION) == []


def test_a_choice_carries_the_option_and_only_an_offered_one(place: Place) -> None:
    ts, ada = carded(place), place.person()
    ada.choose(ts, "pick", "move")
    [payload] = place.app.wait(lambda p: p.get("type") == "block_actions")
    assert payload["actions"][0]["selected_option"]["value"] == "move"
    assert payload["state"]["values"]["decide"]["pick"]["selected_option"]["value"] == "move"
    ada.choose(ts, "menu", "keep")
    with pytest.raises(Refused, match="value_not_offered"):
        ada.choose(ts, "pick", "burn")
    with pytest.raises(Refused, match="action_not_found"):
        ada.click(ts, "gone")


def test_a_click_on_an_ephemeral_card_says_so_and_can_be_replaced(place: Place) -> None:
    place.call("chat.postEphemeral", channel="C0MODELS", user="U0ADA", text="x", blocks=CARD)
    ada = place.person()
    ada.click(ada.messages()[0], "proposal.approve")
    [payload] = place.app.wait(lambda p: p.get("type") == "block_actions")
    assert payload["container"]["is_ephemeral"]
    assert "message" not in payload
    body = json.dumps({"replace_original": True, "text": "done"}).encode()
    assert place.http("POST", payload["response_url"], body)[2] == b"ok"
    assert [one["text"] for one in ada.messages()] == ["done"]
    with pytest.raises(Refused, match="message_not_found"):
        place.person("U0GRACE").click(ada.messages()[0], "proposal.approve")


def test_a_response_url_works_five_times(place: Place) -> None:
    place.person().click(carded(place), "proposal.approve")
    url = place.app.wait(lambda p: p.get("type") == "block_actions")[0]["response_url"]
    answers = [place.http("POST", url, b'{"text": "hi"}')[0] for _ in range(6)]
    assert answers == [200] * 5 + [404]


def test_an_app_that_fails_a_click_is_shown_to_the_person(place: Place) -> None:
    place.app.answer = lambda _: (404, "", {})
    answer = place.person().click(carded(place), "proposal.approve")
    assert (answer["ok"], answer["status"]) == (False, 404)


def test_a_trigger_opens_one_view_and_only_in_time() -> None:
    with a_workspace() as place:
        place.person().click(carded(place), "proposal.approve")
        trigger = place.app.wait(lambda p: p.get("type") == "block_actions")[0]["trigger_id"]
        bad = edit_modal(title=plain("x" * 25))
        assert place.call("views.open", trigger_id=trigger, view=edit_modal())["ok"]
        again = place.call("views.open", trigger_id=trigger, view=bad)
        assert again["error"] == "exchanged_trigger_id"
    with a_workspace(trigger_life_seconds=-1.0) as place:
        place.person().click(carded(place), "proposal.approve")
        trigger = place.app.wait(lambda p: p.get("type") == "block_actions")[0]["trigger_id"]
        late = place.call("views.open", trigger_id=trigger, view=edit_modal())
        assert late["error"] == "expired_trigger_id"


def test_a_submission_carries_the_state_and_an_empty_ack_closes(place: Place) -> None:
    view, ada = opened(place), place.person()
    assert ada.submit(view, {"topics": {"outline": "General\n  Complaints"}})["ok"]
    [payload] = place.app.wait(lambda p: p.get("type") == "view_submission")
    held = payload["view"]["state"]["values"]["topics"]["outline"]
    assert held == {"type": "plain_text_input", "value": "General\n  Complaints"}
    assert ada.views() == []
    ignore = LIVE_INTERACTION | {"previous_view_id"}
    assert strangers(payload, sample("ViewSubmissionPayload"), ignore=ignore) == []


def test_untouched_inputs_submit_their_initial_values_and_empty_ones_are_refused(place: Place) -> None:
    view, ada = opened(place), place.person()
    assert ada.submit(view, {"topics": {"outline": ""}})["errors"] == {
        "topics": "Please complete this required field."
    }
    assert "view_submission" not in place.app.kinds()
    ada.submit(view, {"topics": {"outline": "General"}})
    [payload] = place.app.wait(lambda p: p.get("type") == "view_submission")
    assert payload["view"]["state"]["values"]["topics"]["outline"]["value"] == "General"


def test_inline_errors_keep_the_modal_open(place: Place) -> None:
    view, ada = opened(place), place.person()
    errors = {"response_action": "errors", "errors": {"topics": "Twice the same topic."}}
    place.app.answer = answering("view_submission", errors)
    assert ada.submit(view)["errors"] == {"topics": "Twice the same topic."}
    assert len(ada.views()) == 1


@pytest.mark.parametrize(
    ("what", "titles"), [("update", ["Next"]), ("push", ["Edit", "Next"]), ("clear", [])]
)
def test_a_submissions_ack_may_update_push_or_clear(place: Place, what: str, titles: list[str]) -> None:
    view, ada = opened(place), place.person()
    place.app.answer = answering(
        "view_submission", {"response_action": what, "view": edit_modal(title=plain("Next"))}
    )
    ada.submit(view)
    assert [one["title"]["text"] for one in ada.views()] == titles


def test_a_view_can_be_updated_while_what_was_typed_stays(place: Place) -> None:
    view, ada = opened(place), place.person()
    ada.act_on_view(view, "outline", "typed so far")
    answer = place.call(
        "views.update", view_id=view["id"], hash=view["hash"], view=edit_modal(title=plain("B"))
    )
    assert answer["view"]["state"]["values"]["topics"]["outline"]["value"] == "typed so far"
    stale = place.call("views.update", view_id=view["id"], hash="old", view=edit_modal())
    assert stale["error"] == "hash_conflict"


def test_a_closed_view_is_told_only_where_asked_for(place: Place) -> None:
    ada = place.person()
    ada.close(opened(place))
    ada.close(opened(place, edit_modal(notify_on_close=True)))
    [payload] = place.app.wait(lambda p: p.get("type") == "view_closed")
    assert payload["is_cleared"] is False
    assert strangers(payload, sample("ViewClosedPayload"), ignore=LIVE_INTERACTION) == []


def test_somebody_elses_modal_cannot_be_submitted(place: Place) -> None:
    view = opened(place)
    with pytest.raises(Refused, match="view_not_found"):
        place.person("U0GRACE").submit(view)


def test_a_command_is_answered_for_one_person_only(place: Place) -> None:
    place.app.answer = lambda _: (200, {"text": "2 workflows", "response_type": "ephemeral"}, {})
    assert place.person().command("/finetune status all")["ok"]
    [payload] = place.app.wait(lambda p: p.get("command") == "/finetune")
    assert (payload["text"], payload["channel_name"]) == ("status all", "support-model")
    assert [one["text"] for one in place.person().messages()] == ["2 workflows"]
    assert place.person("U0GRACE").messages() == []
    published = sample("SlashCommandPayload") | {"is_enterprise_install": "false"}
    assert strangers(payload, published) == []


def test_a_commands_plain_text_ack_is_shown(place: Place) -> None:
    place.app.answer = lambda _: (200, "just words", {"Content-Type": "text/plain"})
    place.person().command("/finetune help")
    assert [one["text"] for one in place.person().messages()] == ["just words"]


def test_commands_are_refused_in_threads_and_when_unknown_or_unanswered(place: Place) -> None:
    ada = place.person()
    root = ada.post("root")
    assert ada.command("/finetune status", thread_ts=root)["error"] == "not_in_threads"
    assert ada.command("/giphy cat")["error"] == "invalid_command"
    place.app.answer = lambda _: (500, "", {})
    assert ada.command("/finetune status")["error"] == "dispatch_failed"
    assert "dispatch_failed" in ada.messages()[-1]["text"]


def test_shortcuts_carry_their_message(place: Place) -> None:
    ada = place.person()
    ts = ada.post("look at this")
    ada.shortcut("use_message", message_ts=ts)
    ada.shortcut("start")
    [on_message] = place.app.wait(lambda p: p.get("type") == "message_action")
    assert on_message["message"]["ts"] == ts
    ignore = LIVE_INTERACTION | {"username", "api_app_id"}
    assert strangers(on_message, sample("MessageShortcutPayload"), ignore=ignore) == []
    assert place.app.wait(lambda p: p.get("type") == "shortcut")[0]["callback_id"] == "start"


def test_a_button_of_the_home_tab_is_a_view_action(place: Place) -> None:
    place.call("views.publish", user_id="U0ADA", view={"type": "home", "blocks": CARD})
    ada = place.person()
    home = ada.home()
    assert home
    assert "Approve?" in words(home)
    assert set(buttons(home)) == {"proposal.approve", "pick", "menu"}
    ada.act_on_view(home, "proposal.approve")
    [payload] = place.app.wait(lambda p: p.get("type") == "block_actions")
    assert payload["container"] == {"type": "view", "view_id": home["id"]}


def test_feedback_says_which_thumb(place: Place) -> None:
    both = {f"{kind}_button": {"text": plain(kind), "value": kind} for kind in ("positive", "negative")}
    element = {"type": "feedback_buttons", "action_id": "feedback", **both}
    blocks = [{"type": "context_actions", "elements": [element]}]
    ts = place.call("chat.postMessage", channel="C0MODELS", text="x", blocks=blocks)["ts"]
    place.person().click(ts, "feedback", value="negative")
    [payload] = place.app.wait(lambda p: p.get("type") == "block_actions")
    assert payload["actions"][0]["value"] == "negative"


def test_a_page_of_another_origin_may_do_nothing(place: Place) -> None:
    body = json.dumps({"user": "U0ADA", "channel": "C0MODELS", "text": "x"}).encode()
    status, _, _ = place.http("POST", "/sandbox/messages", body, {"Origin": "https://evil.example"})
    assert status == 403
    assert place.person().messages() == []


def test_people_see_only_where_they_are(place: Place) -> None:
    with pytest.raises(Refused, match="channel_not_found"):
        place.person("U0LINUS", "G0LEADS").post("let me in")
    names = [one["name"] for one in place.person("U0LINUS").see("channels")["channels"]]
    assert names == ["support-model", "Finetune"]


def test_slacks_own_client_is_content(place: Place) -> None:
    async def use() -> None:
        client = AsyncWebClient("xoxb-sandbox", base_url=f"{place.config.url}/api/")
        assert (await client.auth_test())["user_id"] == "U0FINETUNE"
        posted = await client.chat_postMessage(channel="C0MODELS", text="x", blocks=CARD, unfurl_links=False)
        await client.chat_update(channel="C0MODELS", ts=posted["ts"], text="y", blocks=CARD)
        await client.files_upload_v2(
            channel="C0MODELS", thread_ts=posted["ts"], content=b"\x89PNG", filename="c.png", alt_txt="chart"
        )
        stream = await client.chat_stream(
            channel="C0MODELS",
            thread_ts=posted["ts"],
            recipient_user_id="U0ADA",
            recipient_team_id="T0SANDBOX",
            buffer_size=1,
        )
        await stream.append(markdown_text="**Hello**")
        await stream.stop()
        thread = await client.conversations_replies(channel="C0MODELS", ts=posted["ts"])
        assert [one.get("subtype") for one in thread["messages"]] == [None, "file_share", None]
        assert thread["messages"][2]["text"] == "**Hello**"

    asyncio.run(use())


def test_socket_mode_carries_the_same_payloads(place: Place) -> None:
    async def listen() -> tuple[Json, Json]:
        opened = place.call("apps.connections.open", token="xapp-sandbox")
        async with aiohttp.ClientSession() as session, session.ws_connect(opened["url"]) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            command = asyncio.create_task(asyncio.to_thread(place.person().command, "/finetune help"))
            envelope = await socket.receive_json(timeout=10)
            await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "by socket"}})
            return envelope, await command

    envelope, answer = asyncio.run(listen())
    assert (envelope["type"], envelope["payload"]["text"]) == ("slash_commands", "help")
    assert answer["ok"]
    assert [one["text"] for one in place.person().messages()] == ["by socket"]
    assert place.app.received == []
