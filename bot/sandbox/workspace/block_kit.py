"""Is this Block Kit payload one that Slack would take? Every limit of slack.md, and every fault at once.

Pure: dicts in, messages out, an empty list when all is well. Surfaces are "message", "modal" and "home". It does not
judge taste, and does not resolve ids (whether a user or a file exists is the Web API's business). Where Slack's own
figure is unverified, the stricter one is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from .block_elements import (
    BUTTON,
    ID,
    IMAGE,
    IN_ACTIONS,
    IN_CONTEXT,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
    SLACK_FILE,
    block_of,
    plain,
    text,
)
from .rich_text import RICH_TEXT
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
    unique,
    url,
)

Surface = Literal["message", "modal", "home"]
MAX_BLOCKS: dict[str, int] = {"message": 50, "modal": 100, "home": 100}
MAX_TEXT = 4_000
MAX_MESSAGE_CHARACTERS = 13_000
MAX_MARKDOWN = 12_000
MAX_TABLE_CHARACTERS = 10_000
NOT_READ = frozenset(
    {"type", "block_id", "action_id", "image_url", "url", "style", "status", "task_id", "level", "icon"}
)


def validate_blocks(blocks: Any, surface: Surface) -> list[str]:
    """Every fault of a list of blocks on that surface, as `response_metadata.messages` would show them."""
    faults = list(items(either("type", BLOCKS), MAX_BLOCKS[surface], 0)(blocks, "/blocks"))
    if faults:
        return faults
    return [message for rule in TOGETHER for message in rule(blocks, surface)]


def validate_view(view: Any) -> list[str]:
    """Every fault of a modal or Home view: its own fields and its blocks."""
    faults = list(either("type", VIEWS)(view, "/view"))
    if faults:
        return faults
    faults = validate_blocks(view["blocks"], view["type"])
    has_input = any(one.get("type") == "input" for one in view["blocks"])
    if view["type"] == "modal" and has_input and "submit" not in view:
        faults.append(fault("missing required field: submit (a modal with an input block needs it)", "/view"))
    return faults


def validate_message(text: Any, blocks: Any) -> list[str]:
    """Every fault of a message: `no_text` and `msg_too_long` first, then its blocks'."""
    if not text and not blocks:
        return ["no_text"]
    too_long = ["msg_too_long"] if text and len(str(text)) >= MAX_TEXT else []
    return too_long + (validate_blocks(blocks, "message") if blocks else [])


# What every kind of block may hold.


def _any_block(value: Any, at: str) -> Iterator[str]:
    yield from either("type", {k: v for k, v in BLOCKS.items() if k not in ("container", "carousel")})(
        value, at
    )


RAW_TEXT = shape({"type": choice("raw_text"), "text": string(MAX_TABLE_CHARACTERS)})
RAW_NUMBER = shape({"type": choice("raw_number"), "value": number()}, {"text": string(255)})
CELL = either("type", {"raw_text": RAW_TEXT, "raw_number": RAW_NUMBER, "rich_text": RICH_TEXT})
COLUMN = shape({}, {"align": choice("left", "center", "right"), "is_wrapped": flag})


def _column(value: Any, at: str) -> Iterator[str]:
    if value is not None:
        yield from COLUMN(value, at)


def _even_rows_under_a_header(block: dict[str, Any], at: str) -> Iterator[str]:
    rows = block["rows"]
    if any(len(row) != len(rows[0]) for row in rows):
        yield fault("every row must have the same number of cells", f"{at}/rows")
    if any(cell["type"] == "rich_text" for cell in rows[0]):
        yield fault("header cells cannot be rich_text", f"{at}/rows/0")


def _table_size(block: dict[str, Any], at: str) -> Iterator[str]:
    if _characters(block["rows"]) > MAX_TABLE_CHARACTERS:
        yield fault(f"table cannot exceed {MAX_TABLE_CHARACTERS} characters", at)


def _same_points(chart: dict[str, Any], at: str) -> Iterator[str]:
    categories = chart["axis_config"]["categories"]
    yield from unique([(one["name"], f"{at}/series") for one in chart["series"]], "series name")
    for index, one in enumerate(chart["series"]):
        if [point["label"] for point in one["data"]] != categories:
            yield fault("data must have one point for each category, in order", f"{at}/series/{index}/data")


def _axis_chart(kind: str) -> Check:
    point = shape({"label": string(20), "value": number()})
    axis = shape({"categories": items(string(20), 20)}, {"x_label": string(50), "y_label": string(50)})
    series = shape({"name": string(20), "data": items(point, 20)})
    return shape({"type": choice(kind), "series": items(series, 6), "axis_config": axis}, {}, _same_points)


POSITIVE = number(0.000001)
SEGMENT = shape({"label": string(20), "value": POSITIVE})
CHARTS: dict[str, Check] = {kind: _axis_chart(kind) for kind in ("line", "bar", "area")}
CHARTS["pie"] = shape({"type": choice("pie"), "segments": items(SEGMENT, 6)})

SOURCE = shape({"type": choice("url"), "url": url(), "text": string(255)}, {"icon_url": url()})
TASK_CARD = block_of(
    "task_card",
    {"task_id": ID, "title": string(255), "status": choice("pending", "in_progress", "complete", "error")},
    {"details": RICH_TEXT, "output": RICH_TEXT, "sources": items(SOURCE, 20, 0)},
)
CARD = block_of(
    "card",
    {},
    {
        "hero_image": IMAGE,
        "icon": IMAGE,
        "title": text(150),
        "subtitle": text(150),
        "body": text(200),
        "actions": items(BUTTON, 5),
    },
    any_field_of("hero_image", "title", "actions", "body"),
)


def _header_divider(block: dict[str, Any], at: str) -> Iterator[str]:
    if block.get("is_collapsible") and block.get("has_header_divider"):
        yield fault("has_header_divider cannot be set when is_collapsible is true", at)
    if block.get("default_collapsed") and not block.get("is_collapsible"):
        yield fault("default_collapsed requires is_collapsible", at)


BLOCKS: dict[str, Check] = {
    "section": block_of(
        "section",
        {},
        {"text": text(3000), "fields": items(text(2000), 10), "accessory": IN_SECTION, "expand": flag},
        any_field_of("text", "fields"),
    ),
    "header": block_of("header", {"text": plain(150)}, {"level": number(1, 6, whole=True)}),
    "divider": block_of("divider"),
    "image": block_of(
        "image",
        {"alt_text": string(2000)},
        {"image_url": url(), "slack_file": SLACK_FILE, "title": plain(2000)},
        one_field_of("image_url", "slack_file"),
    ),
    "actions": block_of("actions", {"elements": items(IN_ACTIONS, 25)}),
    "context": block_of("context", {"elements": items(IN_CONTEXT, 10)}),
    "context_actions": block_of("context_actions", {"elements": items(IN_CONTEXT_ACTIONS, 5)}),
    "markdown": block_of("markdown", {"text": string(MAX_MARKDOWN)}),
    "input": block_of(
        "input",
        {"label": plain(2000), "element": IN_INPUT},
        {"hint": plain(2000), "optional": flag, "dispatch_action": flag},
    ),
    "rich_text": RICH_TEXT,
    "table": block_of(
        "table",
        {"rows": items(items(CELL, 20), 100)},
        {"column_settings": items(_column, 20, 0)},
        _table_size,
    ),
    "data_table": block_of(
        "data_table",
        {"caption": string(255), "rows": items(items(CELL, 20), 101, 2)},
        {"page_size": number(1, 100, whole=True), "row_header_column_index": number(0, 19, whole=True)},
        _even_rows_under_a_header,
        _table_size,
    ),
    "data_visualization": block_of(
        "data_visualization", {"title": string(50), "chart": either("type", CHARTS)}
    ),
    "task_card": TASK_CARD,
    "plan": block_of("plan", {"title": string(255)}, {"tasks": items(TASK_CARD, 50, 0)}),
    "card": CARD,
    "carousel": block_of("carousel", {"elements": items(CARD, 10)}),
    "container": block_of(
        "container",
        {"child_blocks": items(_any_block, 10)},
        {
            "title": plain(150),
            "rich_text_title": RICH_TEXT,
            "subtitle": text(150),
            "width": choice("narrow", "standard", "wide", "full"),
            "icon": IMAGE,
            "is_collapsible": flag,
            "default_collapsed": flag,
            "has_header_divider": flag,
        },
        any_field_of("title", "rich_text_title"),
        _header_divider,
    ),
    "alert": block_of(
        "alert", {"text": text(200)}, {"level": choice("default", "info", "warning", "error", "success")}
    ),
    "file": block_of("file", {"external_id": ID, "source": choice("remote")}),
    "video": block_of(
        "video",
        {"alt_text": string(2000), "title": plain(199), "thumbnail_url": url(), "video_url": url()},
        {
            "author_name": string(49),
            "description": plain(199),
            "provider_icon_url": url(),
            "provider_name": string(50),
            "title_url": url(),
        },
    ),
}

ONLY_ON: dict[str, tuple[Surface, ...]] = {
    **dict.fromkeys(
        (
            "markdown",
            "table",
            "data_table",
            "data_visualization",
            "task_card",
            "plan",
            "card",
            "carousel",
            "container",
            "context_actions",
            "file",
        ),
        ("message",),
    ),
    "alert": ("message", "modal"),
}

_VIEW_FIELDS: dict[str, Check] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
_VIEW_BLOCKS: dict[str, Check] = {"blocks": items(lambda value, at: iter(()), 100, 0)}
VIEWS: dict[str, Check] = {
    "modal": shape(
        {"type": choice("modal"), "title": plain(24), **_VIEW_BLOCKS},
        {
            **_VIEW_FIELDS,
            "submit": plain(24),
            "close": plain(24),
            "clear_on_close": flag,
            "notify_on_close": flag,
            "submit_disabled": flag,
        },
    ),
    "home": shape({"type": choice("home"), **_VIEW_BLOCKS}, _VIEW_FIELDS),
}


# What blocks may be together.


def _allowed_here(blocks: list[dict[str, Any]], surface: Surface) -> Iterator[str]:
    for at, block in _walk(blocks):
        if surface not in ONLY_ON.get(block["type"], (surface,)):
            yield fault(f"block of type {block['type']} is not available in a {surface}", at)


def _ids_are_unique(blocks: list[dict[str, Any]], surface: Surface) -> Iterator[str]:
    walked = list(_walk(blocks))
    yield from unique([(b["block_id"], at) for at, b in walked if "block_id" in b], "block_id")
    for at, block in walked:
        held = block.get("elements", block.get("actions", []))
        yield from unique([(e["action_id"], at) for e in held if e.get("action_id")], "action_id")


def _sizes_add_up(blocks: list[dict[str, Any]], surface: Surface) -> Iterator[str]:
    kinds = [block["type"] for _, block in _walk(blocks)]
    if kinds.count("table") > 1:
        yield fault("only one table block is allowed", "/blocks")
    if sum(len(block["text"]) for _, block in _walk(blocks) if block["type"] == "markdown") > MAX_MARKDOWN:
        yield fault(f"markdown blocks cannot exceed {MAX_MARKDOWN} characters together", "/blocks")
    if surface == "message" and _characters(blocks) > MAX_MESSAGE_CHARACTERS:
        yield fault(f"blocks cannot exceed {MAX_MESSAGE_CHARACTERS} characters together", "/blocks")


def _one_focus(blocks: list[dict[str, Any]], surface: Surface) -> Iterator[str]:
    inner = [e for b in blocks for e in [b.get("element"), b.get("accessory"), *b.get("elements", [])] if e]
    if sum(bool(element.get("focus_on_load")) for element in inner) > 1:
        yield fault("only one element can have focus_on_load", "/blocks")


TOGETHER: tuple[Callable[[list[dict[str, Any]], Surface], Iterator[str]], ...] = (
    _allowed_here,
    _ids_are_unique,
    _sizes_add_up,
    _one_focus,
)


def _walk(blocks: list[dict[str, Any]], at: str = "/blocks") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every block with its pointer, the blocks inside a container, carousel or plan included."""
    for index, block in enumerate(blocks):
        yield f"{at}/{index}", block
        for field in ("child_blocks", "tasks"):
            yield from _walk(block.get(field, []), f"{at}/{index}/{field}")
        if block["type"] == "carousel":
            yield from _walk(block["elements"], f"{at}/{index}/elements")


def _characters(value: Any) -> int:
    """Characters a person or the app could read: every string except ids, types and addresses."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_characters(item) for item in value)
    if isinstance(value, dict):
        return sum(_characters(inner) for name, inner in value.items() if name not in NOT_READ)
    return 0
