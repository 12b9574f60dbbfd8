"""What a person sees: places, messages, ephemeral answers, modals, Home, statuses. Reads only; fresh dicts.

`people.py` serves these over GET; `snapshot` is everything that the page needs in one answer.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from .api.arguments import need
from .hub import ApiError, Hub
from .payloads import public
from .state import Conversation, Json

SHOWN = 300
SAMPLES = Path(__file__).parent.parent / "samples"
SAMPLE_TYPES = (".jsonl", ".md", ".html")


def snapshot(hub: Hub, args: Json) -> Json:
    """The whole page of one person: where they are, what is there, what is open."""
    workspace, user = hub.workspace, _user(hub, args)
    places = workspace.visible_to(user)
    wanted = args.get("channel")
    place = next((one for one in places if one.id == wanted), places[0])
    thread_ts = args.get("thread_ts") or None
    return {
        "version": workspace.version,
        "team": {"id": workspace.config.team_id, "name": workspace.config.team_name},
        "app": {
            "user": workspace.config.bot_user_id,
            "name": workspace.config.app_name,
            "handle": workspace.config.bot_name,
        },
        "user": user,
        "people": [asdict(one) for one in workspace.residents.values()],
        "channels": [_summary(hub, one) for one in places],
        "channel": place.id,
        "messages": _roots(hub, user, place),
        "thread": _thread(hub, user, place, thread_ts) if thread_ts else [],
        "statuses": [one for one in statuses(hub, {})["statuses"] if one["channel"] == place.id],
        "prompts": _prompts(hub, place),
        "views": workspace.open_views(user),
        "home": workspace.homes.get(user),
        "commands": list(workspace.config.commands),
        "shortcuts": [asdict(one) for one in workspace.config.shortcuts],
        "samples": sorted(path.name for path in SAMPLES.iterdir() if path.suffix in SAMPLE_TYPES),
    }


def messages(hub: Hub, args: Json) -> Json:
    """A channel's messages (threads' replies not among them), or a whole thread; ephemerals where they belong."""
    user = _user(hub, args)
    place = place_for(hub, user, need(args, "channel", "channel_not_found"))
    thread_ts = args.get("thread_ts")
    found = _thread(hub, user, place, thread_ts) if thread_ts else _roots(hub, user, place)
    return {"messages": found}


def channels(hub: Hub, args: Json) -> Json:
    """The conversations that person is in."""
    return {"channels": [_summary(hub, place) for place in hub.workspace.visible_to(_user(hub, args))]}


def people(hub: Hub, args: Json) -> Json:
    """Everyone, and the app's user id."""
    everyone = [asdict(one) for one in hub.workspace.residents.values()]
    return {"people": everyone, "app": hub.workspace.config.bot_user_id}


def views(hub: Hub, args: Json) -> Json:
    """That person's modals, the topmost last."""
    return {"views": hub.workspace.open_views(_user(hub, args))}


def home(hub: Hub, args: Json) -> Json:
    """That person's Home tab; null before the app published one."""
    return {"home": hub.workspace.homes.get(_user(hub, args))}


def statuses(hub: Hub, args: Json) -> Json:
    """The status lines showing now."""
    found = [
        {
            "channel": channel,
            "thread_ts": thread_ts,
            "status": status.text,
            "session": status.session,
            "title": status.title,
            "loading_messages": status.loading_messages,
        }
        for channel, thread_ts, status in hub.workspace.live_statuses()
    ]
    return {"statuses": found}


def files(hub: Hub, args: Json) -> Json:
    """Every file of the workspace."""
    return {"files": [{**stored.info, "deleted": stored.deleted} for stored in hub.workspace.files.values()]}


def refusals(hub: Hub, args: Json) -> Json:
    """Every card the workspace refused as invalid so far."""
    return {"refusals": hub.workspace.refusals}


def deliveries(hub: Hub, args: Json) -> Json:
    """The last payloads sent to the app and how it answered."""
    return {"deliveries": list(hub.delivery.log)}


def faults(hub: Hub, args: Json) -> Json:
    """What is armed."""
    held = asdict(hub.faults)
    held.pop("_calls")
    return {"faults": held}


SEEING: dict[str, Any] = {
    "snapshot": snapshot,
    "messages": messages,
    "channels": channels,
    "people": people,
    "views": views,
    "home": home,
    "statuses": statuses,
    "files": files,
    "refusals": refusals,
    "deliveries": deliveries,
    "faults": faults,
}


def place_for(hub: Hub, user: str, channel: str) -> Conversation:
    """The conversation, if that person is in it. Raises `channel_not_found`."""
    place = hub.workspace.conversations.get(channel)
    if place is None or user not in place.members:
        raise ApiError("channel_not_found")
    return place


def _user(hub: Hub, args: Json) -> str:
    user = need(args, "user", "user_not_found")
    if user not in hub.workspace.residents:
        raise ApiError("user_not_found")
    return user


def _summary(hub: Hub, place: Conversation) -> Json:
    last = next(reversed(place.messages), "")
    return {
        "id": place.id,
        "name": hub.workspace.config.app_name if place.is_im else place.name,
        "topic": place.topic,
        "is_private": place.is_private,
        "is_im": place.is_im,
        "has_bot": hub.workspace.bot_is_in(place),
        "members": len(place.members),
        "latest": last,
    }


def _roots(hub: Hub, user: str, place: Conversation) -> list[Json]:
    found = [
        message
        for message in list(place.messages.values())
        if message.get("thread_ts") in (None, message["ts"]) or message.get("subtype") == "thread_broadcast"
    ]
    mine = [one for one in place.ephemerals if one["for_user"] == user and not one.get("thread_ts")]
    return [_shown(hub, one) for one in sorted([*found[-SHOWN:], *mine], key=lambda one: str(one["ts"]))]


def _thread(hub: Hub, user: str, place: Conversation, thread_ts: str) -> list[Json]:
    found = hub.workspace.thread(place, thread_ts)
    mine = [one for one in place.ephemerals if one["for_user"] == user and one.get("thread_ts") == thread_ts]
    return [_shown(hub, one) for one in sorted([*found, *mine], key=lambda one: str(one["ts"]))]


def _shown(hub: Hub, message: Json) -> Json:
    """A message with its files looked up, for a person sees more of them than a bare event may hold."""
    kept = public(message)
    if "files" in kept:
        kept["files"] = [hub.workspace.files[one["id"]].info for one in kept["files"]]
    return kept


def _prompts(hub: Hub, place: Conversation) -> list[Json]:
    held = [value for (channel, _), value in hub.workspace.prompts.items() if channel == place.id]
    return held[-1:]
