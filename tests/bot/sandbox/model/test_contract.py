"""The stand-in and the bot's own tools: whatever it calls is a call that the tool takes."""

from __future__ import annotations

import json

import pytest

from agent.tools import TOOLS
from bot.sandbox.model.asks import Tool
from tests.bot.sandbox.model.talk import Talk, workflow
from tests.bot.sandbox.model.test_intents import MEANT

OFFERED = tuple(Tool(tool.name, tool.description, tool.parameters) for tool in TOOLS)
ARGUMENTS = {tool.name: tool.arguments for tool in TOOLS}
RUNNING = [{"id": "t1", "operation": "generate", "status": "running"}]


@pytest.mark.parametrize(("text", "meant"), [case for case in MEANT if case[1]])
def test_calls_fit_the_real_schemas(text: str, meant: str) -> None:
    talk = Talk(workflow("coverage_generation", jobs=RUNNING), OFFERED)
    reply = talk.say(text)
    if meant not in ARGUMENTS:
        return
    assert reply.tool_calls, text
    for call in reply.tool_calls:
        ARGUMENTS[call.name].model_validate_json(json.dumps(call.parsed()), strict=True)
