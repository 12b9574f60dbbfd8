"""Whom the bot hears, and in which lane what they said ends up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.listeners import parse

BOT, TEAM = "UBOT", "T1"


def message(**fields: Any) -> dict[str, Any]:
    base = {
        "type": "message",
        "user": "U1",
        "text": "hello",
        "channel": "C1",
        "channel_type": "channel",
        "ts": "10.1",
        "team": TEAM,
    }
    return {"event": {**base, **fields}, "team_id": TEAM, "authorizations": [{"team_id": TEAM}]}


def heard(body: dict[str, Any]) -> parse.Arrival | None:
    return parse.event(body, bot_user=BOT, team=TEAM)


@pytest.mark.parametrize(
    ("fields", "is_heard"),
    [
        ({}, False),  # chatter in a channel
        ({"text": f"<@{BOT}> hi"}, True),
        ({"type": "app_mention", "text": f"<@{BOT}> hi"}, True),
        ({"channel": "D1", "channel_type": "im"}, True),
        ({"thread_ts": "9.0"}, True),  # the runner drops threads without a workflow
        ({"files": [{"id": "F1", "name": "rows.jsonl"}], "subtype": "file_share"}, True),
        ({"files": [{"id": "F1", "name": "rows.csv.gz"}], "subtype": "file_share"}, True),
        ({"files": [{"id": "F1", "name": "cat.png"}], "subtype": "file_share"}, False),
        ({"channel": "D1", "channel_type": "im", "bot_id": "B9"}, False),
        ({"channel": "D1", "channel_type": "im", "user": BOT}, False),
        ({"channel": "D1", "channel_type": "im", "subtype": "message_changed", "hidden": True}, False),
        ({"channel": "D1", "channel_type": "im", "subtype": "channel_join"}, False),
        ({"type": "reaction_added"}, False),
    ],
)
def test_whom_the_bot_hears(fields: dict[str, Any], is_heard: bool) -> None:
    assert (heard(message(**fields)) is not None) is is_heard


def test_a_mention_and_its_message_are_one() -> None:
    text = f"<@{BOT}> here is the data"
    files = [{"id": "F1", "name": "rows.jsonl"}]
    as_message = heard(message(text=text, files=files, subtype="file_share"))
    as_mention = heard(message(text=text, files=files, type="app_mention", channel_type=None))
    assert as_message and as_mention
    assert (as_message.item.id, as_message.lane, as_message.item.kind) == (
        as_mention.item.id,
        as_mention.lane,
        "file",
    )
    assert as_message.item.text == "here is the data"


def test_a_reply_belongs_to_its_thread_and_stop_to_the_clicks() -> None:
    reply, stop = heard(message(thread_ts="9.0")), heard(message(thread_ts="9.0", text="stop", ts="11.0"))
    assert reply and stop
    assert (reply.lane, reply.item.kind) == ("C1:9.0", "message")
    assert (stop.lane, stop.item.kind) == ("C1:9.0:clicks", "stop")


def test_slacks_escapes_are_undone_once() -> None:
    arrival = heard(message(text="a &lt;b&gt; &amp;amp; c", thread_ts="9.0"))
    assert arrival and arrival.item.text == "a <b> &amp; c"


def test_a_person_of_another_organisation_is_marked() -> None:
    arrival = heard(message(thread_ts="9.0", user_team="T9"))
    assert arrival and arrival.item.data["foreign"]


@pytest.mark.parametrize(
    ("body", "ours"),
    [
        ({"team_id": "T1", "authorizations": [{"team_id": "T1"}]}, True),
        ({"team_id": "T9", "authorizations": [{"team_id": "T1"}]}, True),  # a shared channel
        ({"team_id": "T9", "authorizations": [{"team_id": "T9"}]}, False),
        ({"team_id": "T1"}, True),
        ({}, False),
    ],
)
def test_only_our_installation_is_served(body: dict[str, Any], ours: bool) -> None:
    assert parse.of_our_team(body, TEAM) is ours


def a_click(**fields: Any) -> dict[str, Any]:
    base = {
        "type": "block_actions",
        "user": {"id": "U1", "team_id": TEAM},
        "team": {"id": TEAM},
        "channel": {"id": "C1"},
        "container": {"message_ts": "12.0", "thread_ts": "9.0", "channel_id": "C1"},
        "trigger_id": "tr",
        "actions": [{"action_id": "proposal.approve", "value": "p1", "action_ts": "13.5", "block_id": "b"}],
    }
    return {**base, **fields}


def test_a_click_goes_past_the_threads_turn() -> None:
    arrival = parse.action(a_click(), team=TEAM)
    assert arrival and arrival.lane == "C1:9.0:clicks"
    assert arrival.item.data["value"] == "p1" and arrival.item.user == "U1"


def test_the_same_click_delivered_twice_is_one() -> None:
    first, second = parse.action(a_click(), team=TEAM), parse.action(a_click(), team=TEAM)
    other = parse.action(
        a_click(actions=[{"action_id": "proposal.approve", "value": "p1", "action_ts": "14.5"}]), team=TEAM
    )
    assert first and second and other
    assert first.item.id == second.item.id != other.item.id


def test_a_chosen_option_is_the_value() -> None:
    chosen = {"action_id": "review.pick:r1", "selected_option": {"value": "k"}, "action_ts": "1.0"}
    arrival = parse.action(a_click(actions=[chosen]), team=TEAM)
    assert arrival and arrival.item.data["value"] == "k"


@pytest.mark.parametrize("actions", [[], [{"action_id": "open", "url": "https://x.example"}], [{}]])
def test_a_link_is_no_action_of_ours(actions: list[Any]) -> None:
    assert parse.action(a_click(actions=actions), team=TEAM) is None


def test_a_form_finds_its_thread_and_its_values() -> None:
    view = {
        "id": "V1",
        "hash": "h",
        "callback_id": "goal",
        "private_metadata": '{"channel": "C1", "thread_ts": "9.0"}',
        "state": {
            "values": {
                "goal": {"goal": {"type": "plain_text_input", "value": "be kind"}},
                "m": {"m": {"selected_options": [{"value": "a"}]}},
            }
        },
    }
    arrival = parse.submission({"view": view, "user": {"id": "U1"}, "team": {"id": TEAM}}, team=TEAM, at=5.0)
    assert arrival.lane == "C1:9.0:clicks" and arrival.item.kind == "edit"
    assert arrival.item.data["values"] == {"goal": "be kind", "m": ["a"]}


def test_a_command_has_a_lane_of_its_person() -> None:
    arrival = parse.command(
        {"user_id": "U1", "text": "status all", "trigger_id": "x", "channel_id": "C1"}, at=1.0
    )
    assert (arrival.lane, arrival.item.text, arrival.item.id) == ("command:U1", "status all", "command:x")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "event",
        "type",
        "user",
        "text",
        "channel",
        "ts",
        "thread_ts",
        "files",
        "actions",
        "container",
        "view",
        "state",
        "message",
    ]
)


@given(st.dictionaries(names, json_values | st.dictionaries(names, json_values, max_size=5), max_size=6))
def test_no_payload_breaks_the_parser(body: dict[str, Any]) -> None:
    for read in (
        lambda: parse.event(body, bot_user=BOT, team=TEAM),
        lambda: parse.action(body, team=TEAM),
        lambda: parse.submission(body, team=TEAM, at=1.0),
        lambda: parse.command(body, at=1.0),
    ):
        read()


def test_a_click_in_a_modal_goes_where_the_modal_belongs_with_everything_it_holds() -> None:
    held = {
        "filters_0": {
            "rows.filter:topic": {"selected_option": {"value": "k"}},
            "rows.filter:valid": {"selected_option": None},
        },
        "text_0": {"rows.filter:text": {"value": "gift"}},
    }
    view = {
        "id": "V2",
        "root_view_id": "V1",
        "previous_view_id": "V1",
        "callback_id": "rows",
        "private_metadata": '{"channel": "C1", "thread_ts": "9.0", "n": 3}',
        "state": {"values": held},
    }
    body = {
        "user": {"id": "U1", "team_id": TEAM},
        "container": {"type": "view", "view_id": "V2"},
        "view": view,
        "trigger_id": "t",
        "actions": [{"action_id": "rows.page:next", "value": "next", "action_ts": "1.0"}],
    }
    arrival = parse.action(body, team=TEAM)
    assert arrival and arrival.lane == "C1:9.0:clicks"
    found = arrival.item.data["view"]
    assert (found["id"], found["root"], found["previous"], found["metadata"]["n"]) == ("V2", "V1", "V1", 3)
    assert found["held"] == {"rows.filter:topic": "k", "rows.filter:valid": "", "rows.filter:text": "gift"}


def test_a_shortcut_on_a_message_names_its_thread_and_others_are_not_ours() -> None:
    body = {
        "type": "message_action",
        "callback_id": "add_to_dataset",
        "trigger_id": "t",
        "action_ts": "20.5",
        "message_ts": "9.5",
        "user": {"id": "U1", "team_id": "T9"},
        "team": {"id": TEAM},
        "channel": {"id": "C1"},
        "message": {"ts": "9.5", "thread_ts": "9.0", "text": "hi"},
    }
    arrival = parse.shortcut(body, team=TEAM)
    assert arrival and arrival.lane == "C1:9.0:clicks"
    assert (arrival.item.data["action"], arrival.item.data["message_ts"]) == ("shortcut.add", "9.5")
    assert arrival.item.data["foreign"] and arrival.item.user == "U1"
    alone = parse.shortcut({**body, "message": {"ts": "9.5"}}, team=TEAM)
    assert alone and alone.lane == "C1:9.5:clicks"
    assert parse.shortcut({**body, "callback_id": "other"}, team=TEAM) is None
    assert parse.shortcut({"type": "shortcut", "callback_id": "add_to_dataset"}, team=TEAM) is None
