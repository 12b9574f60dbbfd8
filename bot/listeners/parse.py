"""Slack's payloads, read once: which lane of which thread, and what happened, as an `InboxItem`. Pure.

This is also where the bot decides whom it hears: direct messages, mentions, supported files in its channels, and threads
(the runner drops those without a workflow, since only it can ask). Bots, itself and everything else it does not hear.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage import keys
from storage.records import InboxItem
from tasks.rules import approvals

Json = dict[str, Any]
HEARD_SUBTYPES = frozenset({"", "file_share", "thread_broadcast", "me_message"})
SUPPORTED = re.compile(r"\.(jsonl|ndjson|json|csv|parquet)(\.(gz|gzip|zst|zstd))?$", re.IGNORECASE)
FILE_FIELDS = ("id", "name", "size", "mimetype", "mode", "file_access", "url_private_download", "url_private")
LONGEST_TEXT = 20_000
SHORTCUTS = {"add_to_dataset": "shortcut.add"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something to keep: in which lane of the installed workspace, and what."""

    lane: str
    item: InboxItem


def event(body: Json, *, bot_user: str, team: str) -> Arrival | None:
    """What an Events API envelope means to us; None for what is not ours to hear."""
    inner = _object(body.get("event"))
    match inner.get("type"):
        case "message" | "app_mention":
            return _message(inner, bot_user=bot_user, team=team)
        case "app_home_opened":
            return _home(inner)
        case "agent_session_stopped":
            return _stopped(inner)
        case _:
            return None


def of_our_team(body: Json, team: str) -> bool:
    """Whether an envelope was delivered for our installation (in shared channels `team_id` may be another's)."""
    authorizations = [_object(entry) for entry in _list(body.get("authorizations"))]
    teams = {str(entry.get("team_id") or "") for entry in authorizations} or {str(body.get("team_id") or "")}
    return team in teams


def action(body: Json, *, team: str) -> Arrival | None:
    """A click on a card or in the Home tab."""
    actions = _list(body.get("actions"))
    found = _object(actions[0]) if actions else {}
    name = str(found.get("action_id") or "")
    if not name or found.get("url"):
        return None
    container, message = _object(body.get("container")), _object(body.get("message"))
    user, view = _object(body.get("user")), _object(body.get("view"))
    home = metadata_of(view)  # where a modal belongs
    channel = str(
        _object(body.get("channel")).get("id") or container.get("channel_id") or home.get("channel") or ""
    )
    message_ts = str(container.get("message_ts") or "")
    thread_ts = str(
        container.get("thread_ts") or message.get("thread_ts") or message_ts or home.get("thread_ts") or ""
    )
    data: Json = {
        "action": name,
        "value": _value(found),
        "block": str(found.get("block_id") or ""),
        "trigger": str(body.get("trigger_id") or ""),
        "channel": channel,
        "thread_ts": thread_ts,
        "message_ts": message_ts,
        "ephemeral": bool(container.get("is_ephemeral")),
        "response_url": str(body.get("response_url") or ""),
        "foreign": _is_foreign(body, user, team),
        **({"view": view_of(view)} if view else {}),
    }
    at = str(found.get("action_ts") or "")
    id = f"click:{at}:{user.get('id')}:{name}:{data['trigger'] if not at else ''}"
    item = InboxItem(
        id=id[:500], kind="action", user=str(user.get("id") or ""), text="", at=_time(at), data=data
    )
    lane = keys.click_lane(channel, thread_ts) if channel else f"person:{user.get('id')}"
    return Arrival(lane, item)


def submission(body: Json, *, team: str, at: float) -> Arrival:
    """A submitted modal; its private metadata says where it belongs."""
    view, user = _object(body.get("view")), _object(body.get("user"))
    metadata = metadata_of(view)
    channel, thread_ts = str(metadata.get("channel") or ""), str(metadata.get("thread_ts") or "")
    data: Json = {
        "form": str(view.get("callback_id") or ""),
        "values": values_of(view),
        "metadata": metadata,
        "view": view_of(view) | {"held": {}},
        "trigger": str(body.get("trigger_id") or ""),
        "channel": channel,
        "thread_ts": thread_ts,
        "foreign": _is_foreign(body, user, team),
    }
    who = str(user.get("id") or "")
    item = InboxItem(
        id=f"view:{view.get('id')}:{view.get('hash')}", kind="edit", user=who, text="", at=at, data=data
    )
    return Arrival(keys.click_lane(channel, thread_ts) if channel else f"person:{who}", item)


def shortcut(body: Json, *, team: str) -> Arrival | None:
    """A shortcut on a message; the message itself is read again when it is used, for it may have changed. None for others."""
    name = SHORTCUTS.get(str(body.get("callback_id") or ""))
    if body.get("type") != "message_action" or name is None:
        return None
    user, message = _object(body.get("user")), _object(body.get("message"))
    channel, ts = str(_object(body.get("channel")).get("id") or ""), str(body.get("message_ts") or "")
    thread_ts, at = str(message.get("thread_ts") or ts), str(body.get("action_ts") or "")
    data: Json = {
        "action": name,
        "value": ts,
        "trigger": str(body.get("trigger_id") or ""),
        "channel": channel,
        "thread_ts": thread_ts,
        "message_ts": ts,
        "foreign": _is_foreign(body, user, team),
    }
    who = str(user.get("id") or "")
    id = f"shortcut:{at or data['trigger']}:{who}:{channel}:{ts}"[:500]
    item = InboxItem(id=id, kind="action", user=who, text="", at=_time(at), data=data)
    return Arrival(keys.click_lane(channel, thread_ts), item)


def command(body: Mapping[str, Any], *, at: float) -> Arrival:
    """A slash command; it knows no thread."""
    who = str(body.get("user_id") or "")
    data: Json = {
        "command": str(body.get("command") or ""),
        "channel": str(body.get("channel_id") or ""),
        "response_url": str(body.get("response_url") or ""),
    }
    text = html.unescape(str(body.get("text") or ""))[:LONGEST_TEXT]
    item = InboxItem(
        id=f"command:{body.get('trigger_id')}", kind="command", user=who, text=text, at=at, data=data
    )
    return Arrival(f"command:{who}", item)


def is_supported(file_name: str) -> bool:
    return bool(SUPPORTED.search(file_name))


def values_of(view: Json) -> dict[str, Any]:
    """A modal's answers by block id: text, the chosen value, or the list of them."""
    blocks = _object(_object(view.get("state")).get("values"))
    return {
        block: _answer(_object(next(iter(_object(inner).values()), {}))) for block, inner in blocks.items()
    }


def view_of(view: Json) -> Json:
    """The modal that was acted in: its ids, what it carries, and what every element in it holds, by action id."""
    blocks = _object(_object(view.get("state")).get("values"))
    held = {
        action: _answer(_object(element))
        for inner in blocks.values()
        for action, element in _object(inner).items()
    }
    return {
        "id": str(view.get("id") or ""),
        "root": str(view.get("root_view_id") or ""),
        "previous": str(view.get("previous_view_id") or ""),
        "name": str(view.get("callback_id") or ""),
        "metadata": metadata_of(view),
        "held": held,
    }


def metadata_of(view: Json) -> Json:
    try:
        found = json.loads(str(view.get("private_metadata") or "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _message(event: Json, *, bot_user: str, team: str) -> Arrival | None:
    user, text = str(event.get("user") or ""), str(event.get("text") or "")
    if event.get("bot_id") or not user or user in (bot_user, "USLACKBOT") or event.get("hidden"):
        return None
    if str(event.get("subtype") or "") not in HEARD_SUBTYPES:
        return None
    channel, ts = str(event.get("channel") or ""), str(event.get("ts") or "")
    thread_ts = str(event.get("thread_ts") or ts)
    files = [_file(_object(entry)) for entry in _list(event.get("files"))]
    direct = event.get("channel_type") == "im" or channel.startswith("D")
    addressed = direct or event.get("type") == "app_mention" or f"<@{bot_user}>" in text
    if not _is_heard(addressed=addressed, in_thread=bool(event.get("thread_ts")), files=files):
        return None
    words = html.unescape(text.replace(f"<@{bot_user}>", " ")).strip()[:LONGEST_TEXT]
    stops = not files and approvals.is_stop(words)
    data: Json = {
        "channel": channel,
        "ts": ts,
        "thread_ts": thread_ts,
        "addressed": addressed,
        "direct": direct,
        "files": files,
        "foreign": str(event.get("user_team") or event.get("team") or team) != team,
    }
    kind = "file" if files else "stop" if stops else "message"
    item = InboxItem(id=f"m:{channel}:{ts}", kind=kind, user=user, text=words, at=_time(ts), data=data)  # type: ignore[arg-type]
    return Arrival(keys.click_lane(channel, thread_ts) if stops else keys.lane(channel, thread_ts), item)


def _is_heard(*, addressed: bool, in_thread: bool, files: list[Json]) -> bool:
    return addressed or in_thread or any(is_supported(str(file.get("name") or "")) for file in files)


def _home(event: Json) -> Arrival:
    user, at = str(event.get("user") or ""), str(event.get("event_ts") or "")
    data = {
        "event": "home_opened",
        "tab": str(event.get("tab") or ""),
        "channel": str(event.get("channel") or ""),
    }
    item = InboxItem(
        id=f"home:{user}:{data['tab']}:{at}", kind="event", user=user, text="", at=_time(at), data=data
    )
    return Arrival(f"person:{user}", item)


def _stopped(event: Json) -> Arrival:
    user, at = str(event.get("user") or ""), str(event.get("event_ts") or "")
    channel, thread_ts = str(event.get("channel") or ""), str(event.get("thread_ts") or "")
    data = {"channel": channel, "thread_ts": thread_ts, "ts": at, "addressed": True, "pressed": True}
    item = InboxItem(
        id=f"stop:{channel}:{thread_ts}:{at}", kind="stop", user=user, text="", at=_time(at), data=data
    )
    return Arrival(keys.click_lane(channel, thread_ts), item)


def _file(entry: Json) -> Json:
    return {name: entry[name] for name in FILE_FIELDS if entry.get(name) is not None}


def _value(found: Json) -> str:
    chosen = _object(found.get("selected_option"))
    return str(chosen.get("value") or found.get("value") or "")


def _answer(element: Json) -> Any:
    if "selected_options" in element:
        return [str(_object(entry).get("value") or "") for entry in _list(element["selected_options"])]
    if "selected_option" in element:
        return str(_object(element["selected_option"]).get("value") or "")
    return str(element.get("value") or "")


def _is_foreign(body: Json, user: Json, team: str) -> bool:
    home = str(user.get("team_id") or _object(body.get("team")).get("id") or team)
    return home != team


def _time(ts: str) -> float:
    try:
        return float(ts)
    except ValueError:
        return 0.0


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
