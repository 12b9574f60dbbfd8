from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import tool_chains

FIND = {
    "type": "function",
    "function": {
        "name": "find_order",
        "parameters": {
            "type": "object",
            "properties": {
                "order": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["order"],
            "additionalProperties": False,
        },
    },
}
REFUND = {
    "name": "refund_order",
    "parameters": {"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "string"}}}},
}
CATALOGUE = tool_chains.catalogue([[FIND], None, [REFUND, FIND, "junk", {"name": 7}]])


def call(id: str, name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": id, "type": "function", "function": {"name": name, "arguments": text}}],
    }


def result(id: str, content: str = "{}") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def talk(*turns: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "my money back"}, *turns, {"role": "assistant", "content": "Done."}]


GOOD = (call("1", "find_order", {"order": "A1"}), result("1"), call("2", "refund_order", {}), result("2"))


def test_the_catalogue_holds_each_tool_once_however_it_is_written() -> None:
    assert list(CATALOGUE) == ["find_order", "refund_order"]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (GOOD, ""),
        (GOOD[2:], "instead of find_order → refund_order"),
        ((*GOOD[2:], *GOOD[:2]), "instead of"),
        ((), "Calls no tool instead of"),
        ((*GOOD[:3],), "Not every call has its result"),
        ((*GOOD[:3], result("2", "")), "Not every call has its result"),
        ((*GOOD[:3], result("9")), "Not every call has its result"),
        ((call("1", "find_order", {}), *GOOD[1:]), "order is missing"),
        ((call("1", "find_order", "not json"), *GOOD[1:]), "not JSON"),
        ((call("1", "find_order", "[1]"), *GOOD[1:]), "not an object"),
        ((call("1", "find_order", {"order": 7}), *GOOD[1:]), "is not string"),
        ((call("1", "find_order", {"order": "A", "days": 12}), *GOOD[1:]), "above 9"),
        ((call("1", "find_order", {"order": "A", "days": True}), *GOOD[1:]), "is not integer"),
        ((call("1", "find_order", {"order": "A", "other": 1}), *GOOD[1:]), "not a parameter"),
        ((*GOOD[:2], call("2", "refund_order", {"lines": ["a", 1]}), result("2")), "lines[1] is not string"),
    ],
)
def test_a_conversation_follows_its_chain(turns: tuple[dict[str, Any], ...], said: str) -> None:
    problem = tool_chains.chain_problem(talk(*turns), ["find_order", "refund_order"], CATALOGUE)
    assert said in problem if said else problem == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Where is my order, and can I have the money back?", ""),
        ("Please use find_order for A1", "find_order"),
        ("Run findOrder on it", "find_order"),
        ("Could you find order A1?", "find_order"),
        ("I want to search for shoes", ""),
        ("Use the search tool for shoes", "search"),
        ("Call `search` with shoes", "search"),
        ("search() shoes", "search"),
    ],
)
def test_a_user_who_names_a_tool_is_found_out(text: str, named: str) -> None:
    assert tool_chains.named_tool(text, [*CATALOGUE, "search"]) == named


def test_chains_are_found_in_conversations_the_most_frequent_first() -> None:
    once, twice = talk(*GOOD[2:], *GOOD[:2]), talk(*GOOD)
    found = tool_chains.patterns_in([once, twice, twice, talk(*GOOD[:2])])
    assert found == [("find_order", "refund_order"), ("refund_order", "find_order")]


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        ("a", {"enum": ["a", "b"]}, True),
        ("c", {"enum": ["a", "b"]}, False),
        (None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, False),
        (1, {"type": ["string", "integer"]}, True),
        (2, {"const": 2}, True),
        (3, {"const": 2}, False),
        ("x", {"type": "made up"}, True),
        ({}, {}, True),
    ],
)
def test_values_are_checked_against_the_parts_of_json_schema_that_tools_use(
    value: Any, schema: Any, fits: bool
) -> None:
    assert (tool_chains.misfit(value, schema, "it") == "") is fits


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_whatever_a_model_calls_a_tool_with_is_judged_and_never_a_crash(value: Any) -> None:
    parameters = FIND["function"]["parameters"]  # type: ignore[index]
    assert isinstance(tool_chains.arguments_problem(value, parameters), str)
    assert isinstance(tool_chains.arguments_problem(json.dumps(value), parameters), str)
