"""The people's door: what a person does and sees, over HTTP without a token, for the page, the journey and tests alike.

Everything is JSON (`upload` is a form). A refusal is a 400 with `{"ok": false, "error": …}`. Requests that a page of
another origin sends are refused; the port is meant for localhost only. The app never calls these.

Doing (POST, with `user`):
    /sandbox/messages          channel, text, thread_ts?                      → ts
    /sandbox/messages/edit     channel, ts, text
    /sandbox/messages/delete   channel, ts
    /sandbox/upload            form: channel, thread_ts?, text?, file (one or more), check_file_info?  → ts, files
    /sandbox/samples           channel, thread_ts?, text?, name               → ts, files (a sample dataset at hand)
    /sandbox/files/delete      file
    /sandbox/actions           block_id, action_id, value?, and channel + message_ts (with state?) or view_id
    /sandbox/views/submit      view_id, values {block_id: {action_id: value}} → response_action, or errors by block id
    /sandbox/views/close       view_id, all?
    /sandbox/commands          channel, text ("/finetune status"), thread_ts?
    /sandbox/shortcuts         callback_id, and channel + message_ts for one on a message
    /sandbox/home              tab ("home" or "messages"): opens the app
    /sandbox/reactions         channel, ts, name, remove?
    /sandbox/stop              channel, thread_ts: the native stop button
    /sandbox/invite            channel: the app joins
Running the place (POST): /sandbox/faults (see faults.py; DELETE clears), /sandbox/faults/drop-streams,
    /sandbox/faults/release (what shuffling held back), /sandbox/uninstall, /sandbox/verify (url_verification),
    /sandbox/session-event ({event}: any further event, delivered in an envelope)
Seeing (GET): /sandbox/snapshot?user&channel&thread_ts (all that a page shows), /sandbox/messages?user&channel&thread_ts,
    /sandbox/views?user, /sandbox/home?user, /sandbox/statuses, /sandbox/files, /sandbox/files/{id}/content,
    /sandbox/channels?user, /sandbox/people, /sandbox/refusals, /sandbox/deliveries, /sandbox/faults,
    /sandbox/version?after&timeout (waits for a change), /sandbox/changes (the same as server-sent events)
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from . import interactions, objects, payloads, seen
from .api.arguments import message_of, need
from .api.files import note_share
from .api.more import emoji_name
from .api.streams import end_streams
from .hub import ApiError, Hub
from .state import Conversation, Json, StoredFile

HEARTBEAT_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 30.0


async def do(hub: Hub, request: Request) -> Response:
    """Every POST below /sandbox/ but the upload."""
    return await _answered(request, lambda: _run(hub, request))


async def upload(hub: Hub, request: Request) -> Response:
    """POST /sandbox/upload."""
    return await _answered(request, lambda: _upload(hub, request))


async def look(hub: Hub, request: Request) -> Response:
    """Every GET below /sandbox/ but the streams."""
    return await _answered(request, lambda: _seen(hub, request))


async def content(hub: Hub, request: Request) -> Response:
    """GET /sandbox/files/{id}/content: a file's bytes for the page; images only are shown, the rest is downloaded."""
    stored = hub.workspace.files.get(request.path_params["file_id"])
    if stored is None or stored.deleted or not stored.path.exists():
        return JSONResponse({"ok": False, "error": "file_not_found"}, 404)
    mimetype = str(stored.info["mimetype"])
    safe = mimetype in ("image/png", "image/jpeg", "image/gif", "image/webp")
    return FileResponse(
        stored.path,
        media_type=mimetype if safe else "application/octet-stream",
        filename=None if safe else stored.info["name"],
        headers={"X-Content-Type-Options": "nosniff"},
    )


async def changes(hub: Hub, request: Request) -> Response:
    """GET /sandbox/changes: the state's version whenever it changes."""

    async def stream() -> AsyncIterator[str]:
        version = -1
        while True:
            newer = await hub.workspace.change_after(version, HEARTBEAT_SECONDS)
            yield f"data: {newer}\n\n" if newer != version else ": still here\n\n"
            version = newer

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _answered(request: Request, work: Any) -> Response:
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        return JSONResponse({"ok": False, "error": "foreign_origin"}, 403)
    try:
        found = await work()
    except ApiError as refusal:
        return JSONResponse({"ok": False, "error": refusal.code, **refusal.more}, 400)
    except (ValueError, TypeError) as error:
        return JSONResponse({"ok": False, "error": "invalid_arguments", "message": str(error)}, 400)
    return JSONResponse({"ok": True, **found} if isinstance(found, dict) else found)


async def _run(hub: Hub, request: Request) -> Json:
    body = await request.body()
    args = json.loads(body) if body.strip() else {}
    name = request.path_params["what"]
    if not isinstance(args, dict) or name not in DOING:
        raise ApiError("unknown_method")
    found = DOING[name](hub, args)
    return dict(await found if asyncio.iscoroutine(found) else found)


async def _seen(hub: Hub, request: Request) -> Any:
    name, args = request.path_params["what"], dict(request.query_params)
    if name == "version":
        wait = min(float(args.get("timeout", 0)), LONGEST_WAIT_SECONDS)
        return {"version": await hub.workspace.change_after(int(args.get("after", -1)), wait)}
    if name not in seen.SEEING:
        raise ApiError("unknown_method")
    return seen.SEEING[name](hub, args)


# What a person does.


def _post(hub: Hub, args: Json) -> Json:
    place, user = _here(hub, args), _user(hub, args)
    text = need(args, "text", "no_text")
    if place.is_im:
        _open_messages_tab(hub, user)
    message = objects.person_message(hub.workspace, user, text, _thread_ts(place, args))
    return {"ts": hub.post(place, message)["ts"]}


def _edit(hub: Hub, args: Json) -> Json:
    place, message = _own(hub, args)
    text = objects.as_stored(hub.workspace, need(args, "text", "no_text"))
    edited = {"user": message["user"], "ts": hub.workspace.new_ts()}
    fields = {"text": text, "blocks": [objects.rich_text(hub.workspace, text)], "edited": edited}
    hub.change(place, message, fields)
    return {"ts": message["ts"]}


def _delete(hub: Hub, args: Json) -> Json:
    place, message = _own(hub, args)
    hub.remove(place, message["ts"])
    return {}


async def _upload(hub: Hub, request: Request) -> Json:
    form = await request.form(max_part_size=1 << 20)
    args: Json = {name: value for name, value in form.items() if isinstance(value, str)}
    parts = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    if not parts:
        raise ApiError("no_file_data")
    user, stored = _user(hub, args), []
    _here(hub, args)
    for part in parts:
        one = _new_file(hub, user, part.filename or "file", part.size or 0)
        with one.path.open("wb") as sink:
            await asyncio.to_thread(shutil.copyfileobj, part.file, sink)
        stored.append(one)
    return _share(hub, args, stored)


async def _sample(hub: Hub, args: Json) -> Json:
    """A sample dataset by name, shared as if the person had it on their disk."""
    path = seen.SAMPLES / Path(need(args, "name", "file_not_found")).name
    if path.suffix not in seen.SAMPLE_TYPES or not path.exists():
        raise ApiError("file_not_found")
    _here(hub, args)
    stored = _new_file(hub, _user(hub, args), path.name, path.stat().st_size)
    await asyncio.to_thread(shutil.copyfile, path, stored.path)
    return _share(hub, args, [stored])


def _new_file(hub: Hub, user: str, name: str, size: int) -> StoredFile:
    file_id = hub.workspace.new_id("F")
    info = objects.file(hub.workspace, file_id=file_id, name=name, size=size, owner=user)
    stored = StoredFile(info, hub.workspace.new_file_path(file_id), uploaded=True)
    hub.workspace.files[file_id] = stored
    return stored


def _share(hub: Hub, args: Json, stored: list[StoredFile]) -> Json:
    """A message with files; as in Slack Connect, they may come as bare ids to be looked up."""
    place, user = _here(hub, args), _user(hub, args)
    message = objects.person_message(
        hub.workspace, user, str(args.get("text") or ""), _thread_ts(place, args)
    )
    for name in ("client_msg_id", "team"):  # a published file_share has neither
        message.pop(name)
    bare = str(args.get("check_file_info", "")) in ("1", "true", "True")
    message |= {
        "subtype": "file_share",
        "files": [_bare(one.info) if bare else one.info for one in stored],
        "upload": False,
        "display_as_bot": False,
    }
    for one in stored:
        one.info["is_public"] = place.kind == "channel"
    posted = hub.post(place, message)
    for one in stored:
        note_share(hub, place, one, posted)
    return {"ts": posted["ts"], "files": [one.info["id"] for one in stored]}


def _bare(info: Json) -> Json:
    kept = ("id", "created", "timestamp", "user")
    return {name: info[name] for name in kept} | {"mode": "file_access", "file_access": "check_file_info"}


def _delete_file(hub: Hub, args: Json) -> Json:
    stored = hub.workspace.files.get(need(args, "file", "file_not_found"))
    if stored is None or stored.deleted:
        raise ApiError("file_not_found")
    stored.deleted = True
    stored.path.unlink(missing_ok=True)
    stored.info["mode"] = "tombstone"
    hub.workspace.touch()
    return {}


async def _act(hub: Hub, args: Json) -> Json:
    user, action_id = _user(hub, args), need(args, "action_id")
    block_id, value = str(args.get("block_id") or ""), args.get("value")
    if args.get("view_id"):
        return await interactions.act_on_view(hub, user, str(args["view_id"]), block_id, action_id, value)
    place, state = _here(hub, args), args.get("state") or {}
    ts = need(args, "message_ts")
    return await interactions.act_on_message(hub, user, place, ts, block_id, action_id, value, state)


async def _submit(hub: Hub, args: Json) -> Json:
    return await interactions.submit(hub, _user(hub, args), need(args, "view_id"), args.get("values") or {})


async def _close(hub: Hub, args: Json) -> Json:
    everything = bool(args.get("all"))
    return await interactions.close(hub, _user(hub, args), need(args, "view_id"), everything=everything)


async def _command(hub: Hub, args: Json) -> Json:
    place, user = _here(hub, args), _user(hub, args)
    return await interactions.command(hub, user, place, need(args, "text"), args.get("thread_ts"))


async def _shortcut(hub: Hub, args: Json) -> Json:
    place = _here(hub, args) if args.get("channel") else None
    callback = need(args, "callback_id")
    return await interactions.shortcut(hub, _user(hub, args), callback, place, args.get("message_ts"))


def _open_home(hub: Hub, args: Json) -> Json:
    tab = str(args.get("tab") or "home")
    if tab not in ("home", "messages"):
        raise ApiError("invalid_arguments")
    hub.send(payloads.home_opened_event(hub.workspace, _user(hub, args), tab))
    return {}


def _open_messages_tab(hub: Hub, user: str) -> None:
    """Someone who writes to the app has opened its messages; the first time, the app hears of it."""
    if not hub.workspace.direct_messages(user).messages:
        hub.send(payloads.home_opened_event(hub.workspace, user, "messages"))


def _react(hub: Hub, args: Json) -> Json:
    place = _here(hub, args)
    change = hub.unreact if args.get("remove") else hub.react
    change(place, message_of(place, need(args, "ts")), _user(hub, args), emoji_name(args))
    return {}


def _stop(hub: Hub, args: Json) -> Json:
    place, user, thread_ts = _here(hub, args), _user(hub, args), need(args, "thread_ts")
    streams = end_streams(hub, place, thread_ts)
    hub.tell(place, payloads.stopped_event(hub.workspace, place, thread_ts, user, streams))
    return {"streams": streams}


def _invite(hub: Hub, args: Json) -> Json:
    _here(hub, args).members.add(hub.workspace.config.bot_user_id)
    hub.workspace.touch()
    return {}


# Running the place.


def _arm(hub: Hub, args: Json) -> Json:
    hub.faults.arm(args)
    return {}


def _drop_streams(hub: Hub, args: Json) -> Json:
    return {
        "dropped": [
            ts for place in hub.workspace.conversations.values() for ts in end_streams(hub, place, None)
        ]
    }


def _release(hub: Hub, args: Json) -> Json:
    hub.faults.shuffle_events = 0
    hub.delivery.release()
    return {}


def _uninstall(hub: Hub, args: Json) -> Json:
    hub.workspace.tokens.clear()
    config = hub.workspace.config
    hub.send(
        {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [config.bot_user_id]}, "event_ts": "0"}
    )
    hub.send({"type": "app_uninstalled", "event_ts": "0"})
    return {}


async def _verify(hub: Hub, args: Json) -> Json:
    return {"verified": await hub.delivery.verify()}


def _session_event(hub: Hub, args: Json) -> Json:
    event = args.get("event")
    if not isinstance(event, dict) or "type" not in event:
        raise ApiError("invalid_arguments")
    hub.send({"event_ts": hub.workspace.new_ts(), **event})
    return {}


DOING: dict[str, Any] = {
    "messages": _post,
    "messages/edit": _edit,
    "messages/delete": _delete,
    "samples": _sample,
    "files/delete": _delete_file,
    "actions": _act,
    "views/submit": _submit,
    "views/close": _close,
    "commands": _command,
    "shortcuts": _shortcut,
    "home": _open_home,
    "reactions": _react,
    "stop": _stop,
    "invite": _invite,
    "faults": _arm,
    "faults/drop-streams": _drop_streams,
    "faults/release": _release,
    "uninstall": _uninstall,
    "verify": _verify,
    "session-event": _session_event,
}


async def clear_faults(hub: Hub, request: Request) -> Response:
    """DELETE /sandbox/faults."""
    hub.faults.clear()
    hub.delivery.release()
    return JSONResponse({"ok": True, "faults": asdict(hub.faults)["methods"]})


def _user(hub: Hub, args: Json) -> str:
    user = need(args, "user", "user_not_found")
    if user not in hub.workspace.residents:
        raise ApiError("user_not_found")
    return user


def _here(hub: Hub, args: Json) -> Conversation:
    """The conversation, if that person is in it."""
    return seen.place_for(hub, _user(hub, args), need(args, "channel", "channel_not_found"))


def _thread_ts(place: Conversation, args: Json) -> str | None:
    if not args.get("thread_ts"):
        return None
    root = message_of(place, str(args["thread_ts"]), "thread_not_found")
    return str(root.get("thread_ts", root["ts"]))


def _own(hub: Hub, args: Json) -> tuple[Conversation, Json]:
    place = _here(hub, args)
    message = message_of(place, need(args, "ts"))
    if message.get("user") != _user(hub, args):
        raise ApiError("cant_update_message")
    return place, message
