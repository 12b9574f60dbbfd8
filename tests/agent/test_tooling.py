"""How a typed function becomes a tool."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from agent.context import prompt
from agent.tooling import ToolContext, ToolResult, bounded, ok, tool
from agent.tools import TOOLS
from storage.records import STEP_NAMES
from tests.agent.scene import Scene

pytestmark = pytest.mark.anyio


@tool(title="Painting")
async def paint(
    ctx: ToolContext, *, colour: Literal["red", "blue"], layers: int = 2, notes: list[str] | None = None
) -> ToolResult:
    """Paint something.

    Use it when asked to.

    Parameters:
        colour: Which colour, of those
            that there are.
        layers: How many layers.
        notes: Remarks.
    """
    return ok(colour=colour, layers=layers, notes=notes)


def test_the_schema_comes_from_signature_and_docstring() -> None:
    assert (paint.name, paint.description) == ("paint", "Paint something. Use it when asked to.")
    assert paint.parameters == {
        "type": "object",
        "properties": {
            "colour": {
                "enum": ["red", "blue"],
                "type": "string",
                "description": "Which colour, of those that there are.",
            },
            "layers": {"default": 2, "type": "integer", "description": "How many layers."},
            "notes": {"items": {"type": "string"}, "type": "array", "description": "Remarks."},
        },
        "required": ["colour"],
        "additionalProperties": False,
    }


def test_a_parameter_without_a_word_about_it_is_refused_at_once() -> None:
    async def silent(ctx: ToolContext, *, what: str) -> ToolResult:
        """Do it."""
        return ok()

    with pytest.raises(TypeError, match="what"):
        tool(title="x")(silent)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"colour": "red"}, {"colour": "red", "layers": 2, "notes": None}),
        ('{"colour": "blue", "layers": 3, "notes": ["a"]}', {"colour": "blue", "layers": 3, "notes": ["a"]}),
        ({"colour": "red", "layers": None, "notes": None}, {"colour": "red", "layers": 2, "notes": None}),
    ],
)
async def test_arguments_are_parsed(arguments: Any, expected: dict[str, Any]) -> None:
    scene = Scene()
    ctx = ToolContext("T", "C", "1", await scene.whois("U1"), scene.deps, scene.desk, "k")  # type: ignore[arg-type]
    assert await paint.call(ctx, arguments) == {"ok": True, **expected}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "colour: this parameter is required"),
        ({"colour": "green"}, "'red' or 'blue'"),
        ({"colour": "red", "layers": "3"}, "layers: input should be a valid integer"),
        ({"colour": "red", "layers": 1.5}, "layers"),
        ({"colour": "red", "gloss": 1}, "gloss: there is no such parameter; there are colour, layers, notes"),
        ("", "colour: this parameter is required"),
        ("{'colour': 'red'}", "not valid JSON"),
        ('"red"', "one JSON object"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
async def test_wrong_arguments_are_explained(arguments: Any, word: str) -> None:
    scene = Scene()
    ctx = ToolContext("T", "C", "1", await scene.whois("U1"), scene.deps, scene.desk, "k")  # type: ignore[arg-type]
    result = await paint.call(ctx, arguments)
    assert result["ok"] is False and word in result["error"]


@given(st.text(max_size=200))
async def test_no_text_that_a_model_writes_breaks_the_parser(text: str) -> None:
    scene = Scene()
    ctx = ToolContext("T", "C", "1", await scene.whois("U1"), scene.deps, scene.desk, "k")  # type: ignore[arg-type]
    assert "ok" in await paint.call(ctx, text)


def test_every_tool_has_a_valid_schema_without_references() -> None:
    for each in TOOLS:
        Draft202012Validator.check_schema(each.parameters)
        text = json.dumps(each.parameters)
        assert ("$ref" not in text and "anyOf" not in text) or each.name in (
            "apply_topic_hierarchy",
            "get_dataset_records",
            "delete_records",
            "move_records",
        )
        assert 30 < len(each.description) < 600


def test_a_long_result_is_cut_and_says_so() -> None:
    result = bounded({"ok": True, "rows": ["x" * 100] * 1000})
    assert result["ok"] and "characters" in result["cut"] and len(json.dumps(result)) < 14_000


def test_every_step_has_a_prompt() -> None:
    for name in ("system", "steps/not_started", "steps/completed", *(f"steps/{step}" for step in STEP_NAMES)):
        assert len(prompt(name)) > 100
