"""chat.*: posting, editing, deleting, ephemeral messages, permalinks."""

from __future__ import annotations

from .. import objects, payloads
from ..hub import ApiError, Hub
from ..state import Conversation, Json
from .arguments import blocks_of, message_of, need, place_of, structured, text_of, truthy


def post_message(hub: Hub, args: Json) -> Json:
    """chat.postMessage."""
    place = place_of(hub, args, writing=True)
    message = _composed(hub, "chat.postMessage", place, args)
    stored = hub.post(place, message)
    return {"channel": place.id, "ts": stored["ts"], "message": shown(stored, with_metadata=True)}


def update(hub: Hub, args: Json) -> Json:
    """chat.update: only the app's own messages; without blocks, the blocks go."""
    place = place_of(hub, args, writing=True)
    message = _own(hub, place, args, "cant_update_message")
    blocks, text = blocks_of(hub, "chat.update", args), text_of(args)
    if not text and not blocks:
        raise ApiError("no_text")
    changed: Json = {
        "text": text,
        "blocks": objects.named(hub.workspace, blocks) if blocks else None,
        "edited": {"user": hub.workspace.config.bot_user_id, "ts": hub.workspace.new_ts()},
    }
    metadata = structured(args, "metadata", "invalid_metadata_format")
    if metadata is not None:
        changed["metadata"] = _metadata(metadata)
    hub.change(place, message, changed)
    return {
        "channel": place.id,
        "ts": message["ts"],
        "text": text,
        "message": shown(message, with_metadata=True),
    }


def delete(hub: Hub, args: Json) -> Json:
    """chat.delete: only the app's own messages."""
    place = place_of(hub, args, writing=True)
    message = _own(hub, place, args, "cant_delete_message")
    hub.remove(place, message["ts"])
    return {"channel": place.id, "ts": message["ts"]}


def post_ephemeral(hub: Hub, args: Json) -> Json:
    """chat.postEphemeral: seen by one member of the place."""
    place = place_of(hub, args, writing=True)
    user = need(args, "user", "user_not_found")
    if user not in place.members:
        raise ApiError("user_not_in_channel")
    message = _composed(hub, "chat.postEphemeral", place, args)
    return {"message_ts": add_ephemeral(hub, place, user, message)["ts"]}


def get_permalink(hub: Hub, args: Json) -> Json:
    """chat.getPermalink."""
    place = place_of(hub, args)
    message = message_of(place, need(args, "message_ts"))
    thread = message.get("thread_ts")
    tail = f"?thread_ts={thread}&cid={place.id}" if thread and thread != message["ts"] else ""
    link = f"{hub.workspace.config.url}/archives/{place.id}/p{message['ts'].replace('.', '')}{tail}"
    return {"channel": place.id, "permalink": link}


METHODS = {
    "chat.postMessage": (post_message, ("chat:write",)),
    "chat.update": (update, ("chat:write",)),
    "chat.delete": (delete, ("chat:write",)),
    "chat.postEphemeral": (post_ephemeral, ("chat:write",)),
    "chat.getPermalink": (get_permalink, ()),
}


def add_ephemeral(hub: Hub, place: Conversation, user: str, message: Json) -> Json:
    """Show a message to one person only."""
    message |= {"ts": hub.workspace.new_ts(), "is_ephemeral": True, "for_user": user}
    place.ephemerals.append(message)
    hub.workspace.touch()
    return message


def shown(message: Json, *, with_metadata: bool = False) -> Json:
    """A message as the Web API returns it."""
    kept = payloads.public(message)
    return {key: value for key, value in kept.items() if with_metadata or key != "metadata"}


def _composed(hub: Hub, method: str, place: Conversation, args: Json) -> Json:
    blocks, text = blocks_of(hub, method, args), text_of(args)
    if not text and not blocks:
        raise ApiError("no_text")
    thread_ts = str(args["thread_ts"]) if args.get("thread_ts") else None
    if thread_ts:
        root = message_of(place, thread_ts, "thread_not_found")
        thread_ts = root.get("thread_ts", thread_ts)
    message = objects.bot_message(hub.workspace, text, blocks, thread_ts)
    metadata = structured(args, "metadata", "invalid_metadata_format")
    if metadata is not None:
        message["metadata"] = _metadata(metadata)
    if truthy(args, "reply_broadcast") and thread_ts:
        message["subtype"] = "thread_broadcast"
    return message


def _metadata(metadata: Json) -> Json:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise ApiError(
            "metadata_must_be_sent_as_json" if not isinstance(metadata, dict) else "invalid_metadata_format"
        )
    return {"event_type": metadata["event_type"], "event_payload": metadata.get("event_payload", {})}


def _own(hub: Hub, place: Conversation, args: Json, refusal: str) -> Json:
    message = message_of(place, need(args, "ts"))
    if message.get("bot_id") != hub.workspace.config.bot_id:
        raise ApiError(refusal)
    return message
