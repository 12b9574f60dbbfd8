"""views.open, push, update, publish: modals by trigger, the Home tab by user."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .. import objects
from ..hub import ApiError, Hub
from ..state import Json, Workspace
from .arguments import need, view_of

MAX_STACK = 3
STATEFUL_INITIAL = {
    "plain_text_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "rich_text_input": ("rich_text_value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "multi_users_select": ("selected_users", "initial_users"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "file_input": ("files", "initial_files"),
}
LISTS = ("selected_options", "selected_users", "selected_channels", "selected_conversations", "files")


def open_view(hub: Hub, args: Json) -> Json:
    """views.open: a new modal for whoever's trigger it is."""
    user = _exchanged(hub, args)
    given = view_of(hub, "views.open", args, "modal")
    hub.workspace.stacks[user] = []
    return {"view": stack_view(hub, user, given)}


def push_view(hub: Hub, args: Json) -> Json:
    """views.push: onto an open modal, at most three deep."""
    user = _exchanged(hub, args)
    stack = hub.workspace.stacks.get(user, [])
    given = view_of(hub, "views.push", args, "modal")
    if not stack:
        raise ApiError("not_found")
    if len(stack) >= MAX_STACK:
        raise ApiError("push_limit_reached")
    return {"view": stack_view(hub, user, given)}


def update_view(hub: Hub, args: Json) -> Json:
    """views.update, by view id or external id."""
    view = _named_view(hub, args)
    given = view_of(hub, "views.update", args, view["type"])
    if args.get("hash") and args["hash"] != view["hash"]:
        raise ApiError("hash_conflict")
    return {"view": replace_view(hub, view, given)}


def publish_view(hub: Hub, args: Json) -> Json:
    """views.publish: one person's Home tab."""
    workspace, user = hub.workspace, need(args, "user_id", "user_not_found")
    if user not in workspace.residents:
        raise ApiError("user_not_found")
    given = view_of(hub, "views.publish", args, "home")
    old = workspace.homes.get(user)
    if args.get("hash") and old and args["hash"] != old["hash"]:
        raise ApiError("hash_conflict")
    view = _stored(workspace, given, old["id"] if old else workspace.new_id("V"))
    workspace.homes[user] = view
    workspace.touch()
    return {"view": view}


METHODS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "views.open": (open_view, ()),
    "views.push": (push_view, ()),
    "views.update": (update_view, ()),
    "views.publish": (publish_view, ()),
}


def stack_view(hub: Hub, user: str, given: Json) -> Json:
    """Lay a modal on top of that user's stack."""
    workspace = hub.workspace
    if given.get("external_id") and any(
        v["external_id"] == given["external_id"] for v in workspace.views.values()
    ):
        raise ApiError("duplicate_external_id")
    stack = workspace.stacks.setdefault(user, [])
    view = _stored(workspace, given, workspace.new_id("V"))
    view["root_view_id"] = stack[0] if stack else view["id"]
    view["previous_view_id"] = stack[-1] if stack else None
    workspace.views[view["id"]] = view
    stack.append(view["id"])
    workspace.touch()
    return view


def replace_view(hub: Hub, view: Json, given: Json) -> Json:
    """Show other contents in an open view; what was typed in blocks that stay is kept."""
    workspace = hub.workspace
    fresh = _stored(workspace, given, view["id"])
    kept = view["state"]["values"]
    for block_id, actions in fresh["state"]["values"].items():
        for action_id in actions:
            if action_id in kept.get(block_id, {}):
                actions[action_id] = kept[block_id][action_id]
    fresh |= {"root_view_id": view["root_view_id"], "previous_view_id": view["previous_view_id"]}
    if view["id"] in workspace.views:
        workspace.views[view["id"]] = fresh
    for user, home in list(workspace.homes.items()):
        if home["id"] == view["id"]:
            workspace.homes[user] = fresh
    workspace.touch()
    return fresh


def initial_values(blocks: list[Json]) -> Json:
    """`state.values` of untouched blocks: block id, action id, type and initial value."""
    values: Json = {}
    for block in blocks:
        for element in [block.get("element"), block.get("accessory"), *block.get("elements", [])]:
            if element and element.get("type") in STATEFUL_INITIAL:
                values.setdefault(block["block_id"], {})[element["action_id"]] = initial_value(element)
    return values


def initial_value(element: Json) -> Json:
    """An untouched element's state."""
    name, initial = STATEFUL_INITIAL[element["type"]]
    return {"type": element["type"], name: element.get(initial, [] if name in LISTS else None)}


def _exchanged(hub: Hub, args: Json) -> str:
    trigger = hub.workspace.triggers.get(need(args, "trigger_id", "invalid_trigger_id"))
    if trigger is None:
        raise ApiError("invalid_trigger_id")
    if hub.workspace.clock() - trigger.born > hub.workspace.config.trigger_life_seconds:
        raise ApiError("expired_trigger_id")
    if trigger.used:
        raise ApiError("exchanged_trigger_id")
    trigger.used = True
    return trigger.user


def _named_view(hub: Hub, args: Json) -> Json:
    everything = [*hub.workspace.views.values(), *hub.workspace.homes.values()]
    for view in everything:
        if args.get("view_id") == view["id"]:
            return view
        if args.get("external_id") and args["external_id"] == view["external_id"]:
            return view
    raise ApiError("not_found")


def _stored(workspace: Workspace, given: Json, view_id: str) -> Json:
    config = workspace.config
    blocks = objects.named(workspace, given["blocks"])
    digest = hashlib.sha256(json.dumps(blocks).encode()).hexdigest()[:8]
    return {
        "id": view_id,
        "team_id": config.team_id,
        "type": given["type"],
        "blocks": blocks,
        "private_metadata": given.get("private_metadata", ""),
        "callback_id": given.get("callback_id", ""),
        "state": {"values": initial_values(blocks)},
        "hash": f"{int(workspace.clock())}.{digest}",
        "title": _titled(given, "title") or {"type": "plain_text", "text": "View Title", "emoji": True},
        "clear_on_close": given.get("clear_on_close", False),
        "notify_on_close": given.get("notify_on_close", False),
        "close": _titled(given, "close"),
        "submit": _titled(given, "submit"),
        "submit_disabled": given.get("submit_disabled", False),
        "previous_view_id": None,
        "root_view_id": view_id,
        "app_id": config.app_id,
        "external_id": given.get("external_id", ""),
        "app_installed_team_id": config.team_id,
        "bot_id": config.bot_id,
    }


def _titled(given: Json, name: str) -> Json | None:
    return {"emoji": True, **given[name]} if given.get(name) else None
