"""The rest: auth.test, reactions.*, assistant.threads.*, agents.sessions.*, blocks.validate, oauth, Socket Mode's door."""

from __future__ import annotations

import re
from typing import Any

from ..block_kit import validate_blocks, validate_message, validate_view
from ..hub import ApiError, Hub
from ..state import Json, Status
from .arguments import message_of, need, place_of, structured

SESSION_STATES = ("processing", "active", "suspended", "closed")
EMOJI = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")
POINTER = re.compile(r"\[ERROR\] (?P<message>.*) \[json-pointer:(?P<pointer>.*)\]", re.DOTALL)


def auth_test(hub: Hub, args: Json) -> Json:
    """auth.test."""
    config = hub.workspace.config
    return {
        "url": f"{config.url}/",
        "team": config.team_name,
        "user": config.bot_name,
        "team_id": config.team_id,
        "user_id": config.bot_user_id,
        "bot_id": config.bot_id,
        "app_id": config.app_id,
        "app_name": config.app_name,
        "is_enterprise_install": False,
    }


def add_reaction(hub: Hub, args: Json) -> Json:
    """reactions.add."""
    place = place_of(hub, args, writing=True)
    message = message_of(place, need(args, "timestamp", "no_item_specified"))
    hub.react(place, message, hub.workspace.config.bot_user_id, emoji_name(args))
    return {}


def remove_reaction(hub: Hub, args: Json) -> Json:
    """reactions.remove."""
    place = place_of(hub, args, writing=True)
    message = message_of(place, need(args, "timestamp", "no_item_specified"))
    hub.unreact(place, message, hub.workspace.config.bot_user_id, emoji_name(args))
    return {}


def set_status(hub: Hub, args: Json) -> Json:
    """assistant.threads.setStatus: "is thinking…" under a thread; an empty one clears it."""
    key = _thread_key(hub, args)
    words = str(args.get("status") or "")
    loading = structured(args, "loading_messages", "invalid_arguments") or []
    if words:
        hub.workspace.statuses[key] = Status(words, hub.workspace.clock(), loading_messages=list(loading))
    else:
        hub.workspace.statuses.pop(key, None)
    hub.workspace.touch()
    return {}


def set_prompts(hub: Hub, args: Json) -> Json:
    """assistant.threads.setSuggestedPrompts: at most four."""
    channel = place_of(hub, {"channel": args.get("channel_id")}, writing=True).id
    prompts = structured(args, "prompts", "invalid_arguments")
    good = isinstance(prompts, list) and 1 <= len(prompts) <= 4
    if not good or not all(
        isinstance(one, dict) and one.get("title") and one.get("message") for one in prompts
    ):
        raise ApiError("invalid_arguments")
    key = (channel, str(args.get("thread_ts") or ""))
    hub.workspace.prompts[key] = {"title": str(args.get("title") or ""), "prompts": prompts}
    hub.workspace.touch()
    return {}


def session_status(hub: Hub, args: Json) -> Json:
    """agents.sessions.setStatus: while processing, people see a stop button."""
    channel, thread_ts = _thread_key(hub, args)
    state = need(args, "status")
    if state not in SESSION_STATES:
        raise ApiError("invalid_status")
    old = hub.workspace.statuses.get((channel, thread_ts))
    title = str(args.get("title") or (old.title if old else ""))
    if state == "processing":
        words = old.text if old else "is working…"
        hub.workspace.statuses[channel, thread_ts] = Status(words, hub.workspace.clock(), state, title)
    else:
        hub.workspace.statuses.pop((channel, thread_ts), None)
    hub.workspace.touch()
    return {"status": state, "agent_status": state, "title": title}


def session_rename(hub: Hub, args: Json) -> Json:
    """agents.sessions.rename: the thread's title."""
    channel, thread_ts = _thread_key(hub, args)
    title = need(args, "title")
    root = hub.workspace.conversations[channel].messages[thread_ts]
    root["session_title"] = title
    hub.workspace.touch()
    return {"title": title}


def blocks_validate(hub: Hub, args: Json) -> Json:
    """blocks.validate: exactly one of blocks, message, view; every fault with its pointer."""
    given = {name: structured(args, name, "invalid_arguments") for name in ("blocks", "message", "view")}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ApiError("invalid_arguments")
    value = given[named[0]]
    if named[0] == "message":
        value = value if isinstance(value, dict) else {}
        faults = validate_message(value.get("text"), value.get("blocks"))
    else:
        faults = validate_view(value) if named[0] == "view" else validate_blocks(value, "message")
    if faults:
        raise ApiError(f"invalid_{named[0]}", errors=[_error(one) for one in faults])
    return {}


def oauth_access(hub: Hub, args: Json) -> Json:
    """oauth.v2.access: a code becomes a bot token."""
    workspace, config = hub.workspace, hub.workspace.config
    if args.get("client_id") != config.client_id:
        raise ApiError("invalid_client_id")
    if args.get("client_secret") != config.client_secret:
        raise ApiError("bad_client_secret")
    if not str(args.get("code") or "").startswith("code-"):
        raise ApiError("invalid_code")
    token = "xoxb-" + workspace.new_id("", 24).lower()
    workspace.tokens[token] = config.scopes
    return {
        "access_token": token,
        "token_type": "bot",
        "scope": ",".join(config.scopes),
        "bot_user_id": config.bot_user_id,
        "app_id": config.app_id,
        "team": {"id": config.team_id, "name": config.team_name},
        "enterprise": None,
        "is_enterprise_install": False,
        "authed_user": {"id": next(iter(workspace.residents))},
    }


def open_connection(hub: Hub, args: Json) -> Json:
    """apps.connections.open: where Socket Mode connects."""
    address = hub.workspace.config.url.replace("http", "ws", 1)
    return {
        "url": f"{address}/link/?ticket={hub.workspace.new_id('', 24)}&app_id={hub.workspace.config.app_id}"
    }


METHODS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "auth.test": (auth_test, ()),
    "reactions.add": (add_reaction, ("reactions:write",)),
    "reactions.remove": (remove_reaction, ("reactions:write",)),
    "assistant.threads.setStatus": (set_status, ("assistant:write", "chat:write")),
    "assistant.threads.setSuggestedPrompts": (set_prompts, ("assistant:write",)),
    "agents.sessions.setStatus": (session_status, ("chat:write",)),
    "agents.sessions.rename": (session_rename, ("chat:write",)),
    "blocks.validate": (blocks_validate, ()),
    "oauth.v2.access": (oauth_access, ()),
    "apps.connections.open": (open_connection, ()),
}


def emoji_name(args: Json) -> str:
    """The reaction's name, without colons."""
    name = need(args, "name", "invalid_name").strip(":")
    if not EMOJI.fullmatch(name):
        raise ApiError("invalid_name")
    return name


def _thread_key(hub: Hub, args: Json) -> tuple[str, str]:
    place = place_of(hub, {"channel": args.get("channel_id")}, writing=True)
    thread_ts = need(args, "thread_ts", "invalid_thread_ts")
    message_of(place, thread_ts, "invalid_thread_ts")
    return place.id, thread_ts


def _error(fault: str) -> Json:
    found = POINTER.fullmatch(fault)
    pointer, message = (found["pointer"], found["message"]) if found else ("/", fault)
    return {"pointer": pointer, "code": "failed_constraint", "message": message}
