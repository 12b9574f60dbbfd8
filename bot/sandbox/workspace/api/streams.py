"""chat.startStream, appendStream, stopStream: a message that grows while it is being written.

A stream that nobody has appended to for five minutes is over. Chunks may be text, task updates, a plan title or
blocks. What a stream wrote stays as markdown and plan blocks when it stops.
"""

from __future__ import annotations

from typing import Any

from .. import objects
from ..hub import ApiError, Hub
from ..state import Conversation, Json
from .arguments import blocks_of, message_of, need, place_of, refuse, structured

IDLE_SECONDS = 300.0
MAX_MARKDOWN = 12_000


def start(hub: Hub, args: Json) -> Json:
    """chat.startStream: in a thread; in a channel for whom it is written must be said."""
    place = place_of(hub, args, writing=True)
    root = message_of(place, need(args, "thread_ts"), "thread_not_found")
    if not place.is_im:
        need(args, "recipient_user_id", "missing_recipient_user_id")
        need(args, "recipient_team_id", "missing_recipient_team_id")
    message = objects.bot_message(hub.workspace, "", None, root.get("thread_ts", root["ts"]))
    stream: Json = {"markdown": "", "tasks": {}, "title": "", "blocks": [], "last": hub.workspace.clock()}
    message |= {"streaming_state": "in_progress", "_stream": stream}
    _append(hub, stream, args)
    hub.workspace.add_message(place, message)
    _render(hub, message)
    return {"channel": place.id, "ts": message["ts"]}


def append(hub: Hub, args: Json) -> Json:
    """chat.appendStream."""
    place = place_of(hub, args, writing=True)
    message = _streaming(hub, place, args)
    if not args.get("markdown_text") and not args.get("chunks"):
        raise ApiError("no_text")
    _append(hub, message["_stream"], args)
    message["_stream"]["last"] = hub.workspace.clock()
    _render(hub, message)
    return {"channel": place.id, "ts": message["ts"]}


def stop(hub: Hub, args: Json) -> Json:
    """chat.stopStream: the last words, and blocks for the end (feedback buttons, say)."""
    place = place_of(hub, args, writing=True)
    message = _streaming(hub, place, args)
    _append(hub, message["_stream"], args)
    closing = blocks_of(hub, "chat.stopStream", args) or []
    written = [*_written(message["_stream"]), *closing]
    if len(written) > 50:
        refuse(hub, "chat.stopStream", "invalid_blocks", ["[ERROR] no more than 50 items allowed"], written)
    metadata = structured(args, "metadata", "invalid_metadata_format")
    _finish(hub, place, message, closing, {"metadata": metadata} if metadata else {})
    return {"channel": place.id, "ts": message["ts"], "message": dict(message)}


METHODS = {
    "chat.startStream": (start, ("chat:write",)),
    "chat.appendStream": (append, ("chat:write",)),
    "chat.stopStream": (stop, ("chat:write",)),
}


def end_streams(hub: Hub, place: Conversation, thread_ts: str | None) -> list[str]:
    """Stop every open stream there (a person pressed stop, or a fault drops them); their ts."""
    open_ones = [
        message
        for message in place.messages.values()
        if "_stream" in message and thread_ts in (None, message.get("thread_ts"), message["ts"])
    ]
    for message in open_ones:
        _finish(hub, place, message, [], {})
    return [message["ts"] for message in open_ones]


def _streaming(hub: Hub, place: Conversation, args: Json) -> Json:
    message = message_of(place, need(args, "ts"))
    if message.get("bot_id") != hub.workspace.config.bot_id:
        raise ApiError("message_not_owned_by_app")
    if "_stream" not in message:
        raise ApiError("message_not_in_streaming_state")
    if hub.workspace.clock() - message["_stream"]["last"] > IDLE_SECONDS:
        _finish(hub, place, message, [], {})
        raise ApiError("message_not_in_streaming_state")
    return message


def _append(hub: Hub, stream: Json, args: Json) -> None:
    words = str(args.get("markdown_text") or "")
    chunks = structured(args, "chunks", "invalid_chunks") or []
    if words and chunks:
        raise ApiError("invalid_arguments")
    if len(words) > MAX_MARKDOWN:
        raise ApiError("msg_too_long")
    for chunk in [{"type": "markdown_text", "text": words}] if words else chunks:
        _append_chunk(hub, stream, chunk)


def _append_chunk(hub: Hub, stream: Json, chunk: Any) -> None:
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    if kind == "markdown_text":
        stream["markdown"] += str(chunk.get("text", ""))
    elif kind == "plan_update":
        stream["title"] = str(chunk.get("title", ""))
    elif kind == "task_update" and chunk.get("id"):
        stream["tasks"].setdefault(chunk["id"], {}).update(chunk)
    elif kind == "blocks":
        stream["blocks"] += blocks_of(hub, "chat.appendStream", chunk) or []
    else:
        raise ApiError("invalid_chunks")


def _render(hub: Hub, message: Json) -> None:
    stream = message["_stream"]
    message["text"] = stream["markdown"]
    message["blocks"] = objects.named(hub.workspace, _written(stream))
    hub.workspace.touch()


def _written(stream: Json) -> list[Json]:
    text = stream["markdown"]
    words = [{"type": "markdown", "text": text[i : i + 12_000]} for i in range(0, len(text), 12_000)]
    tasks = [_task(task) for task in stream["tasks"].values()]
    plan = [{"type": "plan", "title": stream["title"] or "Working on it", "tasks": tasks}] if tasks else []
    return [*plan, *words, *stream["blocks"]]


def _task(task: Json) -> Json:
    made: Json = {
        "type": "task_card",
        "task_id": str(task["id"]),
        "title": str(task.get("title") or task["id"]),
        "status": task.get("status", "pending"),
    }
    for name in ("details", "output"):
        if task.get(name):
            part = {"type": "text", "text": str(task[name])}
            section = {"type": "rich_text_section", "elements": [part]}
            made[name] = {"type": "rich_text", "elements": [section]}
    return made | ({"sources": task["sources"]} if task.get("sources") else {})


def _finish(hub: Hub, place: Conversation, message: Json, closing: list[Json], more: Json) -> None:
    stream = message["_stream"]
    blocks = [*_written(stream), *closing]
    over: Json = {"_stream": None, "streaming_state": None, "text": stream["markdown"], **more}
    hub.change(place, message, over | {"blocks": objects.named(hub.workspace, blocks) if blocks else None})
