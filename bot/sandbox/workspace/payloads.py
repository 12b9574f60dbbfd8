"""What the app is told: event envelopes, block actions, view submissions, commands, shortcuts. Pure builders.

The shapes are held against `tests/data/slack/samples` by a test. Sending is delivery.py's business.
"""

from __future__ import annotations

from typing import Any

from .state import Conversation, Json, Workspace


def envelope(workspace: Workspace, event: Json) -> Json:
    """An `event_callback` around an event, under a new event id."""
    config = workspace.config
    return {
        "token": config.verification_token,
        "team_id": config.team_id,
        "context_team_id": config.team_id,
        "context_enterprise_id": None,
        "api_app_id": config.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": workspace.new_id("Ev", 10),
        "event_time": int(workspace.clock()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": config.team_id,
                "user_id": config.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": "4-" + workspace.new_id("", 24),
    }


def message_event(place: Conversation, message: Json) -> Json:
    """`message` as delivered when it is posted: plain, of the app, or with files."""
    counted = ("reply_count", "reply_users_count", "latest_reply", "reply_users", "is_locked", "subscribed")
    kept = {key: value for key, value in public(message).items() if key not in (*counted, "reactions")}
    return {
        **kept,
        "channel": place.id,
        "event_ts": message["ts"],
        "channel_type": place.kind,
    }


def public(message: Json) -> Json:
    """A message without what only the workspace keeps of it."""
    return {key: value for key, value in message.items() if not key.startswith("_")}


def mention_event(place: Conversation, message: Json) -> Json:
    """`app_mention`: the same message again; no channel_type and no subtype, but its files."""
    event = message_event(place, message) | {"type": "app_mention"}
    for name in ("channel_type", "subtype", "parent_user_id"):
        event.pop(name, None)
    return event


def changed_event(workspace: Workspace, place: Conversation, message: Json, before: Json) -> Json:
    """`message_changed`."""
    now = workspace.new_ts()
    return {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": place.id,
        "channel_type": place.kind,
        "message": {
            **message,
            "source_team": workspace.config.team_id,
            "user_team": workspace.config.team_id,
        },
        "previous_message": public(before),
        "ts": now,
        "event_ts": now,
    }


def deleted_event(workspace: Workspace, place: Conversation, message: Json) -> Json:
    """`message_deleted`."""
    now = workspace.new_ts()
    return {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "channel": place.id,
        "channel_type": place.kind,
        "deleted_ts": message["ts"],
        "previous_message": public(message),
        "ts": now,
        "event_ts": now,
    }


def reaction_event(
    workspace: Workspace, kind: str, place: Conversation, message: Json, user: str, name: str
) -> Json:
    """`reaction_added` or `reaction_removed`."""
    return {
        "type": kind,
        "user": user,
        "reaction": name,
        "item": {"type": "message", "channel": place.id, "ts": message["ts"]},
        "item_user": message["user"],
        "event_ts": workspace.new_ts(),
    }


def file_shared_event(workspace: Workspace, place: Conversation, file_id: str, user: str) -> Json:
    """`file_shared`."""
    return {
        "type": "file_shared",
        "channel_id": place.id,
        "file_id": file_id,
        "user_id": user,
        "file": {"id": file_id},
        "event_ts": workspace.new_ts(),
    }


def home_opened_event(workspace: Workspace, user: str, tab: str) -> Json:
    """`app_home_opened`, for the tab `home` (with its view, if published) or `messages`."""
    event: Json = {
        "type": "app_home_opened",
        "user": user,
        "channel": workspace.direct_messages(user).id,
        "tab": tab,
        "event_ts": workspace.new_ts(),
    }
    if tab == "home" and user in workspace.homes:
        event["view"] = workspace.homes[user]
    return event


def stopped_event(
    workspace: Workspace, place: Conversation, thread_ts: str, user: str, streams: list[str]
) -> Json:
    """`agent_session_stopped`: somebody pressed the native stop button."""
    return {
        "type": "agent_session_stopped",
        "channel": place.id,
        "thread_ts": thread_ts,
        "streaming_message_ts": streams,
        "user": user,
        "event_ts": workspace.new_ts(),
    }


def _interaction(workspace: Workspace, kind: str, user: str) -> Json:
    config = workspace.config
    name = workspace.name_of(user)
    home = workspace.residents[user].team_id or config.team_id
    return {
        "type": kind,
        "user": {"id": user, "username": name, "name": name, "team_id": home},
        "api_app_id": config.app_id,
        "token": config.verification_token,
        "team": {"id": config.team_id, "domain": config.team_name.lower()},
        "enterprise": None,
        "is_enterprise_install": False,
        "trigger_id": workspace.new_trigger(user),
    }


def _channel(place: Conversation) -> Json:
    return {"id": place.id, "name": "directmessage" if place.is_im else place.name}


def message_action(
    workspace: Workspace, user: str, place: Conversation, message: Json, action: Json, values: Json
) -> Json:
    """`block_actions` from a message. An ephemeral one is named in the container but not enclosed."""
    ephemeral = bool(message.get("is_ephemeral"))
    thread_ts = message.get("thread_ts")
    container: Json = {
        "type": "message",
        "message_ts": message["ts"],
        "channel_id": place.id,
        "is_ephemeral": ephemeral,
        **({"thread_ts": thread_ts} if thread_ts else {}),
    }
    payload = _interaction(workspace, "block_actions", user) | {
        "container": container,
        "channel": _channel(place),
        "state": {"values": values},
        "response_url": workspace.new_response_url(place.id, user, message["ts"], thread_ts),
        "actions": [action],
    }
    return payload if ephemeral else payload | {"message": public(message)}


def view_action(workspace: Workspace, user: str, view: Json, action: Json) -> Json:
    """`block_actions` from a modal or the Home tab."""
    return _interaction(workspace, "block_actions", user) | {
        "container": {"type": "view", "view_id": view["id"]},
        "view": view,
        "actions": [action],
    }


def view_submission(workspace: Workspace, user: str, view: Json) -> Json:
    """`view_submission`; the view carries its state."""
    return _interaction(workspace, "view_submission", user) | {"view": view, "response_urls": []}


def view_closed(workspace: Workspace, user: str, view: Json, *, is_cleared: bool) -> Json:
    """`view_closed`, sent where the view asked for it."""
    payload = _interaction(workspace, "view_closed", user) | {"view": view, "is_cleared": is_cleared}
    payload.pop("trigger_id")
    return payload


def shortcut(workspace: Workspace, user: str, callback_id: str) -> Json:
    """A global shortcut."""
    found = _interaction(workspace, "shortcut", user)
    return found | {"callback_id": callback_id, "action_ts": workspace.new_ts()}


def message_shortcut(
    workspace: Workspace, user: str, callback_id: str, place: Conversation, message: Json
) -> Json:
    """A message shortcut: the message is enclosed."""
    return _interaction(workspace, "message_action", user) | {
        "callback_id": callback_id,
        "action_ts": workspace.new_ts(),
        "message_ts": message["ts"],
        "channel": _channel(place),
        "message": public(message),
        "response_url": workspace.new_response_url(place.id, user, message["ts"], message.get("thread_ts")),
    }


def command(workspace: Workspace, user: str, place: Conversation, name: str, text: str) -> dict[str, Any]:
    """A slash command's form fields: no thread among them."""
    config = workspace.config
    return {
        "token": config.verification_token,
        "team_id": config.team_id,
        "team_domain": config.team_name.lower(),
        "channel_id": place.id,
        "channel_name": "directmessage" if place.is_im else place.name,
        "user_id": user,
        "user_name": workspace.name_of(user),
        "command": name,
        "text": text,
        "api_app_id": config.app_id,
        "is_enterprise_install": "false",
        "response_url": workspace.new_response_url(place.id, user),
        "trigger_id": workspace.new_trigger(user),
    }
