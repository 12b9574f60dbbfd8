"""What happens when a person clicks, chooses, submits, closes or types a command: the payload out, the ack applied.

It finds the element that was acted on, builds the action as Slack would, delivers it within the app's three seconds
and does what the ack says (view errors, update, push, clear; a command's answer). It refuses what a person could not do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import objects, payloads
from .api.arguments import refuse
from .api.chat import add_ephemeral
from .api.views import STATEFUL_INITIAL, initial_values, replace_view, stack_view
from .block_kit import validate_message, validate_view
from .delivery import Ack
from .hub import ApiError, Hub
from .state import Conversation, Json

OPTION_LISTS = ("checkboxes", "multi_static_select", "multi_external_select")
NO_ANSWER = "the app did not answer in time"


async def act_on_message(
    hub: Hub, user: str, place: Conversation, ts: str, block_id: str, action_id: str, value: Any, state: Json
) -> Json:
    """A click or a choice in a message; `state` holds other elements' values by block and action id."""
    message = place.messages.get(ts) or hub.workspace.ephemeral(place, ts)
    if message is None or message.get("for_user", user) != user:
        raise ApiError("message_not_found")
    block, element = find_element(message.get("blocks", []), block_id, action_id)
    action = _action(hub, block, element, value)
    values = initial_values(message.get("blocks", []))
    _merge(values, message.get("blocks", []), {**state, block["block_id"]: {element["action_id"]: value}})
    payload = payloads.message_action(hub.workspace, user, place, message, action, values)
    return _acked(await hub.delivery.interaction(payload))


async def act_on_view(hub: Hub, user: str, view_id: str, block_id: str, action_id: str, value: Any) -> Json:
    """A click or a choice in an open modal or on the Home tab."""
    view = _view_of(hub, user, view_id)
    block, element = find_element(view["blocks"], block_id, action_id)
    action = _action(hub, block, element, value)
    _merge(view["state"]["values"], view["blocks"], {block["block_id"]: {element["action_id"]: value}})
    if block["type"] == "input" and not block.get("dispatch_action"):
        return {"ok": True}
    return _acked(await hub.delivery.interaction(payloads.view_action(hub.workspace, user, view, action)))


async def submit(hub: Hub, user: str, view_id: str, values: Json) -> Json:
    """A modal's submit. Inline errors come back as `errors`, by block id."""
    view = _view_of(hub, user, view_id)
    _merge(view["state"]["values"], view["blocks"], values)
    unfilled = dict(_unfilled(view))
    if unfilled:
        return {"ok": False, "error": "incomplete", "errors": unfilled}
    ack = await hub.delivery.interaction(payloads.view_submission(hub.workspace, user, view))
    if ack.outcome != "ok":
        return _acked(ack)
    answer = ack.json()
    if answer.get("response_action") == "errors":
        return {"ok": False, "error": "errors", "errors": answer.get("errors", {})}
    _follow(hub, user, view, answer)
    return {"ok": True, "response_action": answer.get("response_action")}


async def close(hub: Hub, user: str, view_id: str, *, everything: bool) -> Json:
    """A modal's cancel (the topmost) or its ✕ (all of them); told to the app where the view asked for it."""
    view = _view_of(hub, user, view_id)
    gone = hub.workspace.open_views(user)[::-1] if everything or view["clear_on_close"] else [view]
    for one in gone:
        hub.workspace.pop_view(one["id"])
        if one["notify_on_close"]:
            cleared = len(gone) > 1
            await hub.delivery.interaction(payloads.view_closed(hub.workspace, user, one, is_cleared=cleared))
    return {"ok": True}


async def command(hub: Hub, user: str, place: Conversation, typed: str, thread_ts: str | None) -> Json:
    """A slash command, and the ack's answer shown."""
    name, _, text = typed.strip().partition(" ")
    if name not in hub.workspace.config.commands:
        return _slackbot(hub, place, user, f"{name} is not a valid command.", "invalid_command")
    if thread_ts:
        words = f"{name} is not supported in threads. Sorry!"
        return _slackbot(hub, place, user, words, "not_in_threads")
    ack = await hub.delivery.command(payloads.command(hub.workspace, user, place, name, text.strip()))
    if ack.outcome != "ok":
        reason = "operation_timeout" if ack.outcome == "http_timeout" else "dispatch_failed"
        return _slackbot(hub, place, user, f"{name} failed with the error “{reason}”", reason)
    answer = ack.json() or ({"text": ack.body} if ack.body.strip() else {})
    if not answer.get("text") and not answer.get("blocks"):
        return {"ok": True}
    respond(hub, place, user, answer, None)
    return {"ok": True}


async def shortcut(hub: Hub, user: str, callback_id: str, place: Conversation | None, ts: str | None) -> Json:
    """A global shortcut, or one on a message."""
    if place is None or ts is None:
        return _acked(await hub.delivery.interaction(payloads.shortcut(hub.workspace, user, callback_id)))
    if ts not in place.messages:
        raise ApiError("message_not_found")
    message = place.messages[ts]
    payload = payloads.message_shortcut(hub.workspace, user, callback_id, place, message)
    return _acked(await hub.delivery.interaction(payload))


def respond(hub: Hub, place: Conversation, user: str, answer: Json, thread_ts: str | None) -> Json:
    """Show what the app answered to a command or a response URL: ephemeral unless it says in_channel."""
    message = _answered(hub, answer, thread_ts)
    if answer.get("response_type") == "in_channel":
        return hub.post(place, message)
    return add_ephemeral(hub, place, user, message)


def respond_to_message(hub: Hub, place: Conversation, user: str, ts: str, answer: Json) -> None:
    """A response URL's `replace_original` or `delete_original`."""
    message = place.messages.get(ts) or hub.workspace.ephemeral(place, ts)
    if message is None:
        raise ApiError("message_not_found")
    if answer.get("delete_original"):
        _delete(hub, place, message)
        return
    fresh = _answered(hub, answer, None)
    fields = {"text": fresh["text"], "blocks": fresh.get("blocks")}
    hub.change(place, message, fields, quiet=bool(message.get("is_ephemeral")))


def find_element(blocks: list[Json], block_id: str, action_id: str) -> tuple[Json, Json]:
    """The block and the element acted on. Raises `action_not_found`."""
    for block, element in _elements(blocks):
        if element.get("action_id") == action_id and block_id in ("", block.get("block_id")):
            return block, element
    raise ApiError("action_not_found")


def _elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    for block in blocks:
        inside = [
            block.get("element"),
            block.get("accessory"),
            *block.get("elements", []),
            *block.get("actions", []),
        ]
        for element in inside:
            if element and element.get("type") == "card":
                yield from ((block, button) for button in element.get("actions", []))
            elif element:
                yield block, element
        yield from _elements(block.get("child_blocks", []))


def _action(hub: Hub, block: Json, element: Json, value: Any) -> Json:
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": hub.workspace.new_ts(),
    }
    for name in ("placeholder", "confirm", "style", "url", "text"):
        if name in element:
            action[name] = element[name]
    if element["type"] in ("button", "icon_button", "workflow_button"):
        return action | ({"value": element["value"]} if "value" in element else {})
    if element["type"] == "feedback_buttons":
        return action | _feedback(element, value)
    return action | {key: held for key, held in state_value(element, value).items() if key != "type"}


def _feedback(element: Json, value: Any) -> Json:
    both = [element["positive_button"], element["negative_button"]]
    chosen = next((one for one in both if one["value"] == value), None)
    if chosen is None:
        raise ApiError("value_not_offered")
    return {"text": chosen["text"], "value": chosen["value"]}


def state_value(element: Json, value: Any) -> Json:
    """An element's state from a plain value: the text, the option's value, or a list of values."""
    kind = element["type"]
    if isinstance(value, dict) and value.get("type") == kind:
        return value
    if kind == "overflow" or STATEFUL_INITIAL.get(kind, ("",))[0] == "selected_option":
        return {"type": kind, "selected_option": _option(element, value) if value not in (None, "") else None}
    if kind in OPTION_LISTS:
        chosen = value if isinstance(value, list) else [value]
        return {"type": kind, "selected_options": [_option(element, one) for one in chosen if one]}
    if kind not in STATEFUL_INITIAL:
        raise ApiError("action_not_found")
    name = STATEFUL_INITIAL[kind][0]
    return {"type": kind, name: None if value == "" else value}


def _option(element: Json, value: Any) -> Json:
    options = [
        *element.get("options", []),
        *(o for g in element.get("option_groups", []) for o in g["options"]),
    ]
    found = next((option for option in options if option["value"] == value), None)
    if found is None:
        raise ApiError("value_not_offered")
    return dict(found)


def _merge(values: Json, blocks: list[Json], given: Json) -> None:
    """Lay what a person chose over the state's values."""
    for block, element in _elements(blocks):
        chosen = given.get(block.get("block_id", ""), {})
        if element.get("action_id") in chosen and element["type"] in STATEFUL_INITIAL:
            held = state_value(element, chosen[element["action_id"]])
            values.setdefault(block["block_id"], {})[element["action_id"]] = held


def _unfilled(view: Json) -> Iterator[tuple[str, str]]:
    """What Slack's own form refuses before the app hears of it."""
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        element = block["element"]
        held = view["state"]["values"].get(block["block_id"], {}).get(element["action_id"], {})
        value = held.get(STATEFUL_INITIAL[element["type"]][0])
        if value in (None, "", []):
            if not block.get("optional"):
                yield block["block_id"], "Please complete this required field."
        elif isinstance(value, str):
            yield from ((block["block_id"], fault) for fault in _text_faults(element, value))


def _text_faults(element: Json, value: str) -> Iterator[str]:
    if len(value) > int(element.get("max_length", 3000)):
        yield f"This entry must be at most {element.get('max_length', 3000)} characters."
    if len(value) < int(element.get("min_length", 0)):
        yield f"This entry must be at least {element['min_length']} characters."
    if element["type"] == "number_input":
        yield from _number_faults(element, value)


def _number_faults(element: Json, value: str) -> Iterator[str]:
    try:
        number = float(value)
    except ValueError:
        yield "Please enter a number."
        return
    if not element["is_decimal_allowed"] and not number.is_integer():
        yield "Please enter a whole number."
    if number < float(element.get("min_value", "-inf")) or number > float(element.get("max_value", "inf")):
        yield "This number is out of range."


def _follow(hub: Hub, user: str, view: Json, answer: Json) -> None:
    """Do what the ack of a view_submission says."""
    what = answer.get("response_action")
    if what in ("update", "push"):
        given = answer.get("view")
        faults = validate_view(given)
        if faults:
            refuse(hub, f"view_submission {what}", "invalid_arguments", faults, given)
        if what == "update":
            replace_view(hub, view, dict(given or {}))
        else:
            stack_view(hub, user, dict(given or {}))
        return
    gone = hub.workspace.open_views(user) if what == "clear" else [view]
    for one in gone:
        hub.workspace.pop_view(one["id"])


def _view_of(hub: Hub, user: str, view_id: str) -> Json:
    home = hub.workspace.homes.get(user)
    if home and home["id"] == view_id:
        return home
    if hub.workspace.owner_of_view(view_id) != user:
        raise ApiError("view_not_found")
    return hub.workspace.views[view_id]


def _acked(ack: Ack) -> Json:
    if ack.outcome == "ok":
        return {"ok": True}
    words = NO_ANSWER if ack.outcome == "http_timeout" else f"the app answered {ack.status or 'nothing'}"
    return {"ok": False, "error": ack.outcome, "message": words, "status": ack.status}


def _answered(hub: Hub, answer: Json, thread_ts: str | None) -> Json:
    blocks = answer.get("blocks")
    if isinstance(blocks, str):
        blocks = json.loads(blocks)
    faults = validate_message(answer.get("text"), blocks)
    if faults:
        code = faults[0] if faults[0] in ("no_text", "msg_too_long") else "invalid_blocks"
        refuse(hub, "response", code, faults, answer)
    in_thread = str(answer["thread_ts"]) if answer.get("thread_ts") else thread_ts
    return objects.bot_message(hub.workspace, str(answer.get("text") or ""), blocks, in_thread)


def _delete(hub: Hub, place: Conversation, message: Json) -> None:
    if message.get("is_ephemeral"):
        place.ephemerals.remove(message)
        hub.workspace.touch()
    else:
        hub.remove(place, message["ts"])


def _slackbot(hub: Hub, place: Conversation, user: str, words: str, error: str) -> Json:
    said = {"type": "message", "user": "USLACKBOT", "text": words, "team": hub.workspace.config.team_id}
    add_ephemeral(hub, place, user, said)
    return {"ok": False, "error": error, "message": words}
