"""What may stand inside a Block Kit block: text and option objects, confirm dialogs, buttons, selects, inputs.

Tables of fields and limits (see slack.md), read by `block_kit.py`. Limits that Slack documents more loosely than the
house rules are held at the stricter figure, so that a card that passes here passes there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .shapes import (
    Check,
    any_field_of,
    choice,
    either,
    fault,
    flag,
    items,
    number,
    one_field_of,
    shape,
    string,
    url,
)

ID = string(255)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
TIME = re.compile(r"\d{2}:\d{2}")


def block_of(
    kind: str,
    required: dict[str, Check] | None = None,
    optional: dict[str, Check] | None = None,
    *extra: Check,
) -> Check:
    """A block of this type with these fields, and a block_id if it likes."""
    return shape({"type": choice(kind), **(required or {})}, {"block_id": ID, **(optional or {})}, *extra)


def plain(longest: int) -> Check:
    """A plain_text object of at most `longest` characters."""
    return shape({"type": choice("plain_text"), "text": string(longest)}, {"emoji": flag})


def text(longest: int) -> Check:
    """A plain_text or mrkdwn object of at most `longest` characters."""
    mrkdwn = shape({"type": choice("mrkdwn"), "text": string(longest)}, {"verbatim": flag})
    return either("type", {"plain_text": plain(longest), "mrkdwn": mrkdwn})


CONFIRM = shape(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": choice("primary", "danger")},
)


def _option(label: Check, *, link: bool = False) -> Check:
    optional: dict[str, Check] = {"description": text(75)}
    if link:
        optional["url"] = url()
    return shape({"text": label, "value": string(75)}, optional)


SELECT_OPTION, CHOICE_OPTION = _option(plain(75)), _option(text(75))
OPTION_GROUP = shape({"label": plain(75), "options": items(SELECT_OPTION, 100)})


def _initial_is_offered(value: dict[str, Any], at: str) -> Iterator[str]:
    offered = [*value.get("options", []), *(o for g in value.get("option_groups", []) for o in g["options"])]
    chosen = [value["initial_option"]] if "initial_option" in value else value.get("initial_options", [])
    if any(option not in offered for option in chosen):
        yield fault("initial option must be one of the options", at)


def _in_order(low: str, high: str) -> Check:
    def check(value: dict[str, Any], at: str) -> Iterator[str]:
        if low in value and high in value and float(value[low]) > float(value[high]):
            yield fault(f"{low} cannot be greater than {high}", at)

    return check


def _element(
    kind: str,
    required: dict[str, Check] | None = None,
    optional: dict[str, Check] | None = None,
    *extra: Check,
) -> Check:
    return shape({"type": choice(kind), **(required or {})}, {"action_id": ID, **(optional or {})}, *extra)


FOCUS: dict[str, Check] = {"focus_on_load": flag}
PROMPTED: dict[str, Check] = {**FOCUS, "placeholder": plain(150)}
ASKED: dict[str, Check] = {**PROMPTED, "confirm": CONFIRM}
MANY: dict[str, Check] = {**ASKED, "max_selected_items": number(1, whole=True)}
SELECT: dict[str, Check] = {"options": items(SELECT_OPTION, 100), "option_groups": items(OPTION_GROUP, 100)}
DISPATCH: dict[str, Check] = {
    "dispatch_action_config": shape(
        {"trigger_actions_on": items(choice("on_enter_pressed", "on_character_entered"), 2)}
    )
}
FILTER = shape(
    {},
    {
        "include": items(choice("im", "mpim", "private", "public"), 4),
        "exclude_external_shared_channels": flag,
        "exclude_bot_users": flag,
    },
)
SLACK_FILE = shape({}, {"id": ID, "url": url()}, one_field_of("id", "url"))
NUMBER_TEXT = string(64, pattern=re.compile(r"-?\d+(\.\d+)?"))
FEEDBACK = shape({"text": plain(75), "value": string(2000)}, {"accessibility_label": string(75)})

IMAGE = shape(
    {"type": choice("image"), "alt_text": string(2000)},
    {"image_url": url(), "slack_file": SLACK_FILE},
    one_field_of("image_url", "slack_file"),
)
BUTTON = _element(
    "button",
    {"text": plain(75)},
    {
        "value": string(2000),
        "url": url(),
        "style": choice("primary", "danger"),
        "confirm": CONFIRM,
        "accessibility_label": string(75),
        "agent_prompt": string(4000),
    },
)


def _picker(kind: str, initial: str, ids: Check, filters: dict[str, Check] | None = None) -> Check:
    return _element(kind, {}, {**ASKED, initial: ids, "response_url_enabled": flag, **(filters or {})})


def _pickers(kind: str, initial: str, filters: dict[str, Check] | None = None) -> Check:
    return _element(kind, {}, {**MANY, initial: items(ID, 100, 0), **(filters or {})})


CONVERSATIONS: dict[str, Check] = {"default_to_current_conversation": flag, "filter": FILTER}
PICKERS: dict[str, Check] = {
    "static_select": _element(
        "static_select",
        {},
        {**ASKED, **SELECT, "initial_option": SELECT_OPTION},
        one_field_of("options", "option_groups"),
        _initial_is_offered,
    ),
    "multi_static_select": _element(
        "multi_static_select",
        {},
        {**MANY, **SELECT, "initial_options": items(SELECT_OPTION, 100)},
        one_field_of("options", "option_groups"),
        _initial_is_offered,
    ),
    "external_select": _element(
        "external_select",
        {},
        {**ASKED, "initial_option": SELECT_OPTION, "min_query_length": number(0, whole=True)},
    ),
    "multi_external_select": _element(
        "multi_external_select",
        {},
        {**MANY, "initial_options": items(SELECT_OPTION, 100), "min_query_length": number(0, whole=True)},
    ),
    "users_select": _picker("users_select", "initial_user", ID),
    "multi_users_select": _pickers("multi_users_select", "initial_users"),
    "conversations_select": _picker("conversations_select", "initial_conversation", ID, CONVERSATIONS),
    "multi_conversations_select": _pickers(
        "multi_conversations_select", "initial_conversations", CONVERSATIONS
    ),
    "channels_select": _picker("channels_select", "initial_channel", ID),
    "multi_channels_select": _pickers("multi_channels_select", "initial_channels"),
    "datepicker": _element("datepicker", {}, {**ASKED, "initial_date": string(10, pattern=DATE)}),
    "timepicker": _element(
        "timepicker", {}, {**ASKED, "initial_time": string(5, pattern=TIME), "timezone": string(64)}
    ),
    "datetimepicker": _element(
        "datetimepicker",
        {},
        {**FOCUS, "confirm": CONFIRM, "initial_date_time": number(1_000_000_000, 9_999_999_999, whole=True)},
    ),
    "radio_buttons": _element(
        "radio_buttons",
        {"options": items(CHOICE_OPTION, 10)},
        {**FOCUS, "confirm": CONFIRM, "initial_option": CHOICE_OPTION},
        _initial_is_offered,
    ),
    "checkboxes": _element(
        "checkboxes",
        {"options": items(CHOICE_OPTION, 10)},
        {**FOCUS, "confirm": CONFIRM, "initial_options": items(CHOICE_OPTION, 10)},
        _initial_is_offered,
    ),
}
BUTTONS: dict[str, Check] = {
    "button": BUTTON,
    "overflow": _element(
        "overflow", {"options": items(_option(plain(75), link=True), 5)}, {"confirm": CONFIRM}
    ),
    "workflow_button": _element(
        "workflow_button",
        {
            "text": plain(75),
            "workflow": shape(
                {
                    "trigger": shape(
                        {"url": url()},
                        {
                            "customizable_input_parameters": items(
                                shape({"name": string(255), "value": string(2000)}), 100, 0
                            )
                        },
                    )
                }
            ),
        },
        {"style": choice("primary", "danger"), "accessibility_label": string(75)},
    ),
}
TYPED: dict[str, Check] = {
    "plain_text_input": _element(
        "plain_text_input",
        {},
        {
            **PROMPTED,
            **DISPATCH,
            "initial_value": string(3000, 0),
            "multiline": flag,
            "min_length": number(0, 3000, whole=True),
            "max_length": number(1, 3000, whole=True),
        },
        _in_order("min_length", "max_length"),
    ),
    "rich_text_input": _element(
        "rich_text_input", {}, {**PROMPTED, **DISPATCH, "initial_value": any_field_of("elements")}
    ),
    "email_text_input": _element(
        "email_text_input", {}, {**PROMPTED, **DISPATCH, "initial_value": string(3000, 0)}
    ),
    "url_text_input": _element(
        "url_text_input", {}, {**PROMPTED, **DISPATCH, "initial_value": string(3000, 0)}
    ),
    "number_input": _element(
        "number_input",
        {"is_decimal_allowed": flag},
        {
            **PROMPTED,
            **DISPATCH,
            "initial_value": NUMBER_TEXT,
            "min_value": NUMBER_TEXT,
            "max_value": NUMBER_TEXT,
        },
        _in_order("min_value", "max_value"),
    ),
    "file_input": _element(
        "file_input", {}, {"filetypes": items(string(64), 100), "max_files": number(1, 10, whole=True)}
    ),
}
FEEDBACK_BUTTONS = _element("feedback_buttons", {"positive_button": FEEDBACK, "negative_button": FEEDBACK})
ICON_BUTTON = _element(
    "icon_button",
    {"icon": choice("trash"), "text": plain(75)},
    {
        "value": string(2000),
        "confirm": CONFIRM,
        "accessibility_label": string(75),
        "visible_to_user_ids": items(ID, 100),
    },
)

_MULTI = {kind for kind in PICKERS if kind.startswith("multi_")}
IN_ACTIONS = either("type", {**BUTTONS, **{k: v for k, v in PICKERS.items() if k not in _MULTI}})
IN_SECTION = either("type", {**BUTTONS, **PICKERS, "image": IMAGE})
IN_INPUT = either("type", {**PICKERS, **TYPED})
IN_CONTEXT_ACTIONS = either("type", {"feedback_buttons": FEEDBACK_BUTTONS, "icon_button": ICON_BUTTON})
IN_CONTEXT = either(
    "type",
    {
        "image": IMAGE,
        "plain_text": plain(3000),
        "mrkdwn": text(3000),
    },
)
