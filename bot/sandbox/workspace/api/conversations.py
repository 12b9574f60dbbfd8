"""conversations.*, users.info, usergroups.users.list, team.info, bots.info: who and where."""

from __future__ import annotations

from typing import Any

from .. import objects
from ..hub import ApiError, Hub
from ..state import Conversation, Json
from .arguments import message_of, need, page, place_of, truthy
from .chat import shown

READ = ("channels:read", "groups:read", "im:read")
HISTORY = ("channels:history", "groups:history", "im:history")


def info(hub: Hub, args: Json) -> Json:
    """conversations.info."""
    place = place_of(hub, args)
    needs_scope(args, place, "read")
    return {"channel": objects.channel(hub.workspace, place)}


def open_dm(hub: Hub, args: Json) -> Json:
    """conversations.open: the DM with one person."""
    users = [one for one in need(args, "users", "users_list_not_supplied").split(",") if one]
    if len(users) != 1 or users[0] not in hub.workspace.residents:
        raise ApiError("user_not_found")
    place = hub.workspace.direct_messages(users[0])
    whole = truthy(args, "return_im")
    found = objects.channel(hub.workspace, place) if whole else {"id": place.id}
    return {"no_op": True, "already_open": True, "channel": found}


def members(hub: Hub, args: Json) -> Json:
    """conversations.members, by pages."""
    place = place_of(hub, args)
    needs_scope(args, place, "read")
    found, cursor = page(sorted(place.members), args, 100)
    return {"members": found, "response_metadata": {"next_cursor": cursor}}


def history(hub: Hub, args: Json) -> Json:
    """conversations.history: roots and broadcasts, newest first."""
    place = _readable(hub, args)
    roots = [m for m in place.messages.values() if _in_channel(m) and _between(m["ts"], args)]
    found, cursor = page(roots[::-1], _capped(hub, args), 100)
    return {**_shown(found, args), "has_more": bool(cursor), "pin_count": 0, **_next(cursor)}


def replies(hub: Hub, args: Json) -> Json:
    """conversations.replies: the root and its replies, oldest first."""
    place = _readable(hub, args)
    ts = need(args, "ts")
    root = message_of(place, ts, "thread_not_found")
    thread = hub.workspace.thread(place, root.get("thread_ts", ts))
    kept = [m for m in thread if m["ts"] == ts or _between(m["ts"], args)]
    found, cursor = page(kept, _capped(hub, args), 1000)
    return {**_shown(found, args), "has_more": bool(cursor), **_next(cursor)}


def user_info(hub: Hub, args: Json) -> Json:
    """users.info."""
    wanted, workspace = need(args, "user", "user_not_found"), hub.workspace
    if wanted == workspace.config.bot_user_id:
        return {"user": objects.bot_user(workspace)}
    if wanted not in workspace.residents:
        raise ApiError("user_not_found")
    return {"user": objects.user(workspace, workspace.residents[wanted])}


def group_users(hub: Hub, args: Json) -> Json:
    """usergroups.users.list."""
    wanted = need(args, "usergroup", "no_such_subteam")
    found = next((group for group in hub.workspace.config.user_groups if group.id == wanted), None)
    if found is None:
        raise ApiError("no_such_subteam")
    return {"users": list(found.members)}


def team_info(hub: Hub, args: Json) -> Json:
    """team.info."""
    if args.get("team") not in (None, "", hub.workspace.config.team_id):
        raise ApiError("team_not_found")
    return {"team": objects.team(hub.workspace)}


def bot_info(hub: Hub, args: Json) -> Json:
    """bots.info."""
    if args.get("bot") not in (None, "", hub.workspace.config.bot_id):
        raise ApiError("bot_not_found")
    return {"bot": objects.bot_profile(hub.workspace)}


METHODS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "conversations.info": (info, READ),
    "conversations.open": (open_dm, ("im:write",)),
    "conversations.members": (members, READ),
    "conversations.history": (history, HISTORY),
    "conversations.replies": (replies, HISTORY),
    "users.info": (user_info, ("users:read",)),
    "usergroups.users.list": (group_users, ("usergroups:read",)),
    "team.info": (team_info, ("team:read",)),
    "bots.info": (bot_info, ("users:read",)),
}


def needs_scope(args: Json, place: Conversation, what: str) -> None:
    """The scope for that kind of place: `channels:…`, `groups:…` or `im:…`."""
    family = {"channel": "channels", "group": "groups", "im": "im"}[place.kind]
    granted = args["_scopes"]
    if f"{family}:{what}" not in granted:
        raise ApiError("missing_scope", needed=f"{family}:{what}", provided=",".join(granted))


def _readable(hub: Hub, args: Json) -> Conversation:
    place = place_of(hub, args)
    needs_scope(args, place, "history")
    if not hub.workspace.bot_is_in(place):
        raise ApiError("not_in_channel")
    return place


def _in_channel(message: Json) -> bool:
    return message.get("thread_ts") in (None, message["ts"]) or message.get("subtype") == "thread_broadcast"


def _between(ts: str, args: Json) -> bool:
    oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or "inf")
    return oldest <= float(ts) <= latest and (truthy(args, "inclusive") or float(ts) not in (oldest, latest))


def _capped(hub: Hub, args: Json) -> Json:
    cap = hub.faults.history_objects
    return {**args, "limit": min(int(args.get("limit") or cap), cap)} if cap else args


def _shown(found: list[Json], args: Json) -> Json:
    whole = truthy(args, "include_all_metadata")
    return {"messages": [shown(message, with_metadata=whole) for message in found]}


def _next(cursor: str) -> Json:
    return {"response_metadata": {"next_cursor": cursor}} if cursor else {}
