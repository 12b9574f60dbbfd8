from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.workspace.block_kit import BLOCKS, validate_blocks, validate_message, validate_view

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def button(n: int = 0, **more: Any) -> Json:
    return {"type": "button", "text": plain("Go"), "action_id": f"a{n}", **more}


def options(count: int, **more: Any) -> list[Json]:
    return [{"text": plain(f"o{n}"), "value": f"v{n}", **more} for n in range(count)]


def select(count: int = 2, **more: Any) -> Json:
    return {"type": "static_select", "action_id": "s", "options": options(count), **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def section(text: str = "hello", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def asked(element: Json | None = None, **more: Any) -> Json:
    element = element or {"type": "plain_text_input", "action_id": "x"}
    return {"type": "input", "label": plain("Name"), "element": element, **more}


def cell(text: str = "x") -> Json:
    return {"type": "raw_text", "text": text}


def table(rows: int, columns: int, text: str = "x") -> Json:
    return {"type": "table", "rows": [[cell(text)] * columns for _ in range(rows)]}


def data_table(rows: int, columns: int = 2) -> Json:
    return {"type": "data_table", "caption": "Topics", "rows": [[cell()] * columns for _ in range(rows)]}


def chart(kind: str = "bar", series: int = 1, points: int = 2, title: str = "Coverage") -> Json:
    names = [f"c{n}" for n in range(points)]
    lines = [{"name": f"s{n}", "data": [{"label": c, "value": 1} for c in names]} for n in range(series)]
    body = {"type": kind, "series": lines, "axis_config": {"categories": names}}
    return {"type": "data_visualization", "title": title, "chart": body}


def pie(segments: int) -> Json:
    held = [{"label": f"s{n}", "value": n + 1} for n in range(segments)]
    return {"type": "data_visualization", "title": "t", "chart": {"type": "pie", "segments": held}}


def rich(text: str = "hi") -> Json:
    part = {"type": "text", "text": text, "style": {"bold": True}}
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [part]}]}


def task(n: int = 0, status: str = "complete") -> Json:
    return {"type": "task_card", "task_id": f"t{n}", "title": "Check", "status": status, "details": rich()}


def card(**more: Any) -> Json:
    return {"type": "card", "title": mrkdwn("Model A"), "body": mrkdwn("good"), "actions": [button()], **more}


def image(**more: Any) -> Json:
    return {"type": "image", "image_url": "https://x.test/a.png", "alt_text": "a chart", **more}


def confirm(**more: Any) -> Json:
    return {"title": plain("t"), "text": plain("x"), "confirm": plain("y"), "deny": plain("n"), **more}


def feedback(**more: Any) -> Json:
    both = {f"{kind}_button": {"text": plain(kind), "value": kind} for kind in ("positive", "negative")}
    return {"type": "feedback_buttons", "action_id": "f", **both, **more}


def container(children: int = 1, **more: Any) -> Json:
    return {"type": "container", "title": plain("t"), "child_blocks": [section()] * children, **more}


def radio(count: int, kind: str = "radio_buttons") -> Json:
    return {"type": kind, "action_id": "r", "options": options(count)}


def overflow(count: int) -> Json:
    return {"type": "overflow", "action_id": "o", "options": options(count)}


MESSAGE_LIMITS: list[tuple[str, list[Json], list[Json]]] = [
    ("blocks", [{"type": "divider"}] * 50, [{"type": "divider"}] * 51),
    ("section text", [section("x" * 3000)], [section("x" * 3001)]),
    ("section without text", [section()], [{"type": "section"}]),
    ("empty text", [section("x")], [section("")]),
    (
        "fields",
        [{"type": "section", "fields": [mrkdwn("x")] * 10}],
        [{"type": "section", "fields": [mrkdwn("x")] * 11}],
    ),
    (
        "field text",
        [{"type": "section", "fields": [mrkdwn("x" * 2000)]}],
        [{"type": "section", "fields": [mrkdwn("x" * 2001)]}],
    ),
    (
        "header",
        [{"type": "header", "text": plain("x" * 150)}],
        [{"type": "header", "text": plain("x" * 151)}],
    ),
    ("header plain", [{"type": "header", "text": plain("x")}], [{"type": "header", "text": mrkdwn("x")}]),
    ("markdown", [{"type": "markdown", "text": "x" * 12000}], [{"type": "markdown", "text": "x" * 12001}]),
    (
        "markdown together",
        [{"type": "markdown", "text": "x" * 6000}] * 2,
        [{"type": "markdown", "text": "x" * 6000}, {"type": "markdown", "text": "x" * 6001}],
    ),
    (
        "whole message",
        [section("x" * 3000)] * 4 + [section("x" * 1000)],
        [section("x" * 3000)] * 4 + [section("x" * 1001)],
    ),
    (
        "context",
        [{"type": "context", "elements": [mrkdwn("x")] * 10}],
        [{"type": "context", "elements": [mrkdwn("x")] * 11}],
    ),
    ("actions", [actions(*(button(n) for n in range(25)))], [actions(*(button(n) for n in range(26)))]),
    ("no actions", [actions(button())], [actions()]),
    (
        "context_actions",
        [{"type": "context_actions", "elements": [feedback(action_id=f"f{n}") for n in range(5)]}],
        [{"type": "context_actions", "elements": [feedback(action_id=f"f{n}") for n in range(6)]}],
    ),
    ("button text", [actions(button(text=plain("x" * 75)))], [actions(button(text=plain("x" * 76)))]),
    ("button value", [actions(button(value="x" * 2000))], [actions(button(value="x" * 2001))]),
    (
        "accessibility label",
        [actions(button(accessibility_label="x" * 75))],
        [actions(button(accessibility_label="x" * 76))],
    ),
    ("button style", [actions(button(style="danger"))], [actions(button(style="blue"))]),
    ("action id", [actions(button(action_id="x" * 255))], [actions(button(action_id="x" * 256))]),
    ("block id", [section(block_id="x" * 255)], [section(block_id="x" * 256)]),
    ("unique block ids", [section(block_id="a"), section(block_id="b")], [section(block_id="a")] * 2),
    ("unique action ids", [actions(button(1), button(2))], [actions(button(1), button(1))]),
    ("same action in two blocks", [actions(button(1)), actions(button(1))], [actions(button(1), button(1))]),
    (
        "confirm title",
        [actions(button(confirm=confirm(title=plain("x" * 100))))],
        [actions(button(confirm=confirm(title=plain("x" * 101))))],
    ),
    (
        "confirm text",
        [actions(button(confirm=confirm(text=mrkdwn("x" * 300))))],
        [actions(button(confirm=confirm(text=mrkdwn("x" * 301))))],
    ),
    (
        "confirm buttons",
        [actions(button(confirm=confirm(deny=plain("x" * 30))))],
        [actions(button(confirm=confirm(deny=plain("x" * 31))))],
    ),
    ("select", [actions(select(100))], [actions(select(101))]),
    ("select of nothing", [actions(select(1))], [actions(select(0))]),
    (
        "option text",
        [actions(select(options=options(1, text=plain("x" * 75))))],
        [actions(select(options=options(1, text=plain("x" * 76))))],
    ),
    (
        "option value",
        [actions(select(options=options(1, value="x" * 75)))],
        [actions(select(options=options(1, value="x" * 76)))],
    ),
    (
        "initial option",
        [actions(select(initial_option=options(1)[0]))],
        [actions(select(initial_option=options(3)[2]))],
    ),
    (
        "placeholder",
        [actions(select(placeholder=plain("x" * 150)))],
        [actions(select(placeholder=plain("x" * 151)))],
    ),
    ("overflow", [actions(overflow(5))], [actions(overflow(6))]),
    ("overflow of one", [actions(overflow(1))], [actions(overflow(0))]),
    ("radio", [actions(radio(10))], [actions(radio(11))]),
    ("checkboxes", [actions(radio(10, "checkboxes"))], [actions(radio(11, "checkboxes"))]),
    ("table rows", [table(100, 2)], [table(101, 2)]),
    ("table columns", [table(2, 20)], [table(2, 21)]),
    ("table characters", [table(10, 10, "x" * 100)], [table(10, 10, "x" * 101)]),
    ("one table", [table(2, 2)], [table(2, 2), table(2, 2)]),
    ("empty cell", [table(1, 1, "–")], [table(1, 1, "")]),
    ("card title", [card(title=mrkdwn("x" * 150))], [card(title=mrkdwn("x" * 151))]),
    ("card body", [card(body=mrkdwn("x" * 200))], [card(body=mrkdwn("x" * 201))]),
    ("empty card", [card()], [{"type": "card"}]),
    (
        "carousel",
        [{"type": "carousel", "elements": [card()] * 10}],
        [{"type": "carousel", "elements": [card()] * 11}],
    ),
    ("no cards", [{"type": "carousel", "elements": [card()]}], [{"type": "carousel", "elements": []}]),
    ("container", [container(10)], [container(11)]),
    ("data table", [data_table(101)], [data_table(102)]),
    ("data table needs rows", [data_table(2)], [data_table(1)]),
    ("chart series", [chart(series=6)], [chart(series=7)]),
    ("chart without series", [chart(series=1)], [chart(series=0)]),
    ("chart title", [chart(title="x" * 50)], [chart(title="x" * 51)]),
    ("chart kind", [chart("line"), chart("area")], [chart("radar")]),
    ("pie", [pie(6)], [pie(7)]),
    ("task status", [task(status="in_progress")], [task(status="done")]),
    (
        "plan",
        [{"type": "plan", "title": "Steps", "tasks": [task(1)]}],
        [{"type": "plan", "tasks": [task(1)]}],
    ),
    ("image alt text", [image()], [{"type": "image", "image_url": "https://x.test/a.png"}]),
    ("image address", [image()], [image(image_url="file:///etc/passwd")]),
    ("rich text", [rich()], [rich("")]),
    ("unknown field", [section()], [section(colour="red")]),
    ("unknown type", [section()], [{"type": "marquee"}]),
    ("input label", [asked(label=plain("x" * 2000))], [asked(label=plain("x" * 2001))]),
    ("input hint", [asked(hint=plain("x" * 2000))], [asked(hint=plain("x" * 2001))]),
    ("not an object", [section()], ["section"]),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("name", "good", "bad"), MESSAGE_LIMITS, ids=[row[0] for row in MESSAGE_LIMITS])
def test_a_message_at_the_limit_passes_and_one_over_it_does_not(
    name: str, good: list[Json], bad: list[Json]
) -> None:
    assert validate_blocks(good, "message") == []
    assert validate_blocks(bad, "message")


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("Topics"), "blocks": list(blocks or [section()]), **more}


VIEW_LIMITS: list[tuple[str, Json, Json]] = [
    ("blocks", modal(*[section()] * 100), modal(*[section()] * 101)),
    (
        "home blocks",
        {"type": "home", "blocks": [section()] * 100},
        {"type": "home", "blocks": [section()] * 101},
    ),
    ("title", modal(title=plain("x" * 24)), modal(title=plain("x" * 25))),
    ("submit", modal(submit=plain("x" * 24)), modal(submit=plain("x" * 25))),
    ("close", modal(close=plain("x" * 24)), modal(close=plain("x" * 25))),
    ("metadata", modal(private_metadata="x" * 3000), modal(private_metadata="x" * 3001)),
    ("input needs submit", modal(asked(), submit=plain("Save")), modal(asked())),
    ("title needed", modal(), {"type": "modal", "blocks": []}),
    ("no table", modal(), modal(table(1, 1))),
    ("no markdown", modal(), modal({"type": "markdown", "text": "x"})),
    ("kind", modal(), {"type": "message", "blocks": []}),
]


@pytest.mark.parametrize(("name", "good", "bad"), VIEW_LIMITS, ids=[row[0] for row in VIEW_LIMITS])
def test_a_view_at_the_limit_passes_and_one_over_it_does_not(name: str, good: Json, bad: Json) -> None:
    assert validate_view(good) == []
    assert validate_view(bad)


def test_a_fault_says_where_it_is() -> None:
    [message] = validate_blocks([section(), section("x" * 3001)], "message")
    assert message == "[ERROR] must be less than 3001 characters [json-pointer:/blocks/1/text/text]"


def test_a_message_needs_words_or_blocks_and_words_have_a_limit() -> None:
    assert validate_message("", []) == ["no_text"]
    assert validate_message(None, [section()]) == []
    assert validate_message("x" * 3999, None) == []
    assert validate_message("x" * 4000, None) == ["msg_too_long"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "elements", "blocks", "value", "rows"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_json_breaks_the_validator(value: Any) -> None:
    assert isinstance(validate_blocks(value, "message"), list)
    assert isinstance(validate_view(value), list)


@given(st.sampled_from(sorted(BLOCKS)), st.dictionaries(st.sampled_from(["elements", "rows", "text"]), JSON))
def test_no_block_breaks_the_validator(kind: str, rest: Json) -> None:
    assert isinstance(validate_blocks([{"type": kind, **rest}], "message"), list)


def test_judging_changes_nothing() -> None:
    blocks = [row[1] for row in MESSAGE_LIMITS]
    before = copy.deepcopy(blocks)
    for one in blocks:
        validate_blocks(one, "message")
    assert blocks == before
