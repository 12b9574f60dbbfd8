"""Reads a method's arguments: what must be there, what kind it is, which place or message it names."""

from __future__ import annotations

import json
from typing import Any, Literal

from ..block_kit import MAX_TEXT, validate_blocks, validate_view
from ..hub import ApiError, Hub
from ..state import Conversation, Json


def need(args: Json, name: str, code: str = "invalid_arguments") -> str:
    """A required string argument."""
    value = args.get(name)
    if value in (None, ""):
        more = {"response_metadata": {"messages": [f"[ERROR] missing required field: {name}"]}}
        raise ApiError(code, **(more if code == "invalid_arguments" else {}))
    return str(value)


def structured(args: Json, name: str, code: str) -> Any:
    """An argument that is JSON, or JSON in a string (form-encoded calls); None if it is not there."""
    value = args.get(name)
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except ValueError as error:
        raise ApiError(code) from error


def truthy(args: Json, name: str) -> bool:
    """A boolean argument, however it was spelled."""
    return str(args.get(name, "")).lower() in ("1", "true")


def place_of(hub: Hub, args: Json, name: str = "channel", *, writing: bool = False) -> Conversation:
    """The conversation named; a user's id means the DM with them. Hidden ones are not found."""
    wanted = need(args, name, "channel_not_found")
    workspace = hub.workspace
    place = workspace.conversations.get(wanted)
    if place is None and writing and wanted in workspace.residents:
        place = workspace.direct_messages(wanted)
    if place is None or (not workspace.bot_is_in(place) and place.is_private):
        raise ApiError("channel_not_found")
    if writing and not workspace.bot_is_in(place):
        raise ApiError("not_in_channel")
    return place


def message_of(place: Conversation, ts: str, code: str = "message_not_found") -> Json:
    """The message with that ts."""
    if ts not in place.messages:
        raise ApiError(code)
    return place.messages[ts]


def text_of(args: Json) -> str:
    """The `text` argument, within its limit."""
    text = str(args.get("text") or "")
    if len(text) >= MAX_TEXT:
        raise ApiError("msg_too_long")
    return text


def blocks_of(
    hub: Hub, method: str, args: Json, surface: Literal["message"] = "message"
) -> list[Json] | None:
    """The `blocks` argument, valid in every limit; a refusal is kept for the record. None if there are none."""
    blocks = structured(args, "blocks", "invalid_blocks_format")
    if blocks is None or blocks == []:
        return None
    faults = validate_blocks(blocks, surface) or _missing_files(hub, blocks)
    if faults:
        refuse(hub, method, "invalid_blocks", faults, blocks)
    return list(blocks)


def view_of(hub: Hub, method: str, args: Json, kind: Literal["modal", "home"]) -> Json:
    """The `view` argument, valid in every limit and of that kind."""
    view = structured(args, "view", "invalid_arguments")
    faults = validate_view(view) or _missing_files(hub, view["blocks"])
    if not faults and view["type"] != kind:
        faults = [f"[ERROR] a {kind} view is wanted here [json-pointer:/view/type]"]
    if faults:
        refuse(hub, method, "invalid_arguments", faults, view)
    return dict(view)


def refuse(hub: Hub, method: str, code: str, faults: list[str], payload: Any) -> None:
    """Note an invalid card and raise the refusal, its faults in `response_metadata.messages`."""
    hub.workspace.refusals.append({"method": method, "error": code, "messages": faults, "payload": payload})
    raise ApiError(code, errors=faults, response_metadata={"messages": faults})


def _missing_files(hub: Hub, blocks: list[Json]) -> list[str]:
    known = hub.workspace.files
    faults = []
    for index, block in enumerate(blocks):
        file_id = block.get("slack_file", {}).get("id")
        if file_id and (file_id not in known or known[file_id].deleted):
            faults.append(f"[ERROR] invalid slack file [json-pointer:/blocks/{index}/slack_file]")
    return faults


def page(found: list[Any], args: Json, usual: int, most: int = 1000) -> tuple[list[Any], str]:
    """One page of a list and the cursor of the next, empty at the end."""
    try:
        start = int(str(args.get("cursor") or "0").removeprefix("next:"))
        limit = min(int(args.get("limit") or usual), most)
    except ValueError as error:
        raise ApiError("invalid_cursor") from error
    rest = start + limit < len(found)
    return found[start : start + limit], f"next:{start + limit}" if rest else ""
