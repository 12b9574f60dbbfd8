"""files.getUploadURLExternal, completeUploadExternal, info: the app's own uploads, and what it may know of others'.

The bytes travel elsewhere: to the upload address and from the private download, both in `file_routes.py`.
"""

from __future__ import annotations

from typing import Any

from .. import objects, payloads
from ..hub import ApiError, Hub
from ..state import Conversation, Json, StoredFile
from .arguments import blocks_of, message_of, need, place_of, structured

MAX_LENGTH = 1_073_741_824


def get_upload_url(hub: Hub, args: Json) -> Json:
    """files.getUploadURLExternal."""
    workspace, name = hub.workspace, need(args, "filename")
    try:
        length = int(need(args, "length"))
    except ValueError as error:
        raise ApiError("invalid_arguments") from error
    if not 0 < length <= MAX_LENGTH:
        raise ApiError("file_upload_size_restricted" if length > MAX_LENGTH else "invalid_arguments")
    config, file_id = workspace.config, workspace.new_id("F")
    info = objects.file(
        workspace,
        file_id=file_id,
        name=name,
        size=length,
        owner=config.bot_user_id,
        alt_txt=args.get("alt_txt"),
        bot_id=config.bot_id,
    )
    workspace.files[file_id] = StoredFile(info, workspace.new_file_path(file_id))
    return {"upload_url": f"{config.url}/upload/v1/{file_id}", "file_id": file_id}


def complete_upload(hub: Hub, args: Json) -> Json:
    """files.completeUploadExternal: the uploads become visible, and are shared where it says."""
    wanted = structured(args, "files", "invalid_arguments")
    if not isinstance(wanted, list) or not wanted:
        raise ApiError("invalid_arguments")
    stored = [_uploaded(hub, one) for one in wanted]
    named = args.get("channel_id") or str(args.get("channels") or "").split(",")[0]
    if named:
        _share(hub, place_of(hub, {"channel": named}, writing=True), stored, args)
    return {"files": [one.info for one in stored]}


def info(hub: Hub, args: Json) -> Json:
    """files.info: only of files shared where the app is, or its own."""
    stored = hub.workspace.files.get(need(args, "file", "file_not_found"))
    if stored is None or not stored.uploaded or not visible_to_app(hub, stored):
        raise ApiError("file_not_found")
    if stored.deleted:
        raise ApiError("file_deleted")
    return {"file": stored.info, "comments": [], "response_metadata": {"next_cursor": ""}}


METHODS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "files.getUploadURLExternal": (get_upload_url, ("files:write",)),
    "files.completeUploadExternal": (complete_upload, ("files:write",)),
    "files.info": (info, ("files:read",)),
}


def visible_to_app(hub: Hub, stored: StoredFile) -> bool:
    """Whether the app may see that file."""
    places = [
        hub.workspace.conversations[name]
        for kind in ("channels", "groups", "ims")
        for name in stored.info[kind]
    ]
    mine = stored.info["user"] == hub.workspace.config.bot_user_id
    return mine or any(hub.workspace.bot_is_in(place) for place in places)


def note_share(hub: Hub, place: Conversation, stored: StoredFile, message: Json) -> None:
    """Write on the file where it was shared, and tell the app of it."""
    info, key = stored.info, {"channel": "channels", "group": "groups", "im": "ims"}[place.kind]
    info[key] = [*info[key], place.id]
    share = {
        "reply_users": [],
        "reply_users_count": 0,
        "reply_count": 0,
        "ts": message["ts"],
        "channel_name": place.name,
        "team_id": hub.workspace.config.team_id,
        "share_user_id": message["user"],
        "source": "UNKNOWN",
        "is_silent_share": False,
        **({"thread_ts": message["thread_ts"]} if message.get("thread_ts") else {}),
    }
    visibility = "public" if place.kind == "channel" else "private"
    info["shares"].setdefault(visibility, {}).setdefault(place.id, []).append(share)
    shared = payloads.file_shared_event(hub.workspace, place, info["id"], message["user"])
    hub.tell(place, shared)


def _uploaded(hub: Hub, wanted: Any) -> StoredFile:
    stored = hub.workspace.files.get(str(wanted.get("id"))) if isinstance(wanted, dict) else None
    if stored is None or not stored.path.exists():
        raise ApiError("file_not_found")
    stored.uploaded = True
    stored.info["title"] = wanted.get("title") or stored.info["name"]
    return stored


def _share(hub: Hub, place: Conversation, stored: list[StoredFile], args: Json) -> None:
    thread_ts = str(args.get("thread_ts") or "") or None
    if thread_ts:
        root = message_of(place, thread_ts, "thread_not_found")
        thread_ts = root.get("thread_ts", thread_ts)
    words = str(args.get("initial_comment") or "")
    blocks = blocks_of(hub, "files.completeUploadExternal", args)
    message = objects.bot_message(hub.workspace, words, blocks, thread_ts)
    message |= {
        "subtype": "file_share",
        "files": [one.info for one in stored],
        "upload": False,
        "display_as_bot": False,
    }
    posted = hub.post(place, message)
    for one in stored:
        note_share(hub, place, one, posted)
