"""The real client over a real socket, against the scripted server: both wires, tools, trouble, embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal

import pytest
from pydantic import SecretStr

from tasks.models.embeddings import build_embedder
from tasks.models.port import ChatRequest, Message, ToolSchema
from tasks.models.server import Patience
from tasks.models.wire import build_chat
from tasks.settings import Settings
from tests.scripted_model import ScriptedModel, call, status

pytestmark = pytest.mark.anyio
TOOLS = [ToolSchema("look", "Look.", {"type": "object", "properties": {}, "additionalProperties": False})]
CONTEXT = '```json\n{"finetune_workflow": null}\n```'


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedModel]:
    with ScriptedModel() as running:
        yield running


def settings(server: ScriptedModel, wire: Literal["chat", "responses"] = "chat") -> Settings:
    return Settings(
        openai_base_url=server.base_url,
        openai_api_key=SecretStr("k"),
        openai_wire=wire,
        embedding_model="standin-embedding",
    )


def request() -> ChatRequest:
    messages = (Message("system", "Be kind."), Message("user", "<@U1>: look"), Message("system", CONTEXT))
    return ChatRequest(model="standin-agent", messages=messages, tools=TOOLS, temperature=0.2)


@pytest.mark.parametrize("wire", ["chat", "responses"])
async def test_both_wires_call_tools_and_survive_trouble(
    server: ScriptedModel, wire: Literal["chat", "responses"]
) -> None:
    chat = build_chat(settings(server, wire), patience=Patience(deadline_seconds=30))
    server.agent(status(500), status(429), call("look"), "I looked.")
    first = await chat.complete(request())
    assert [item.name for item in first.tool_calls] == ["look"]
    assert (await chat.complete(request())).text == "I looked."
    await chat.close()


async def test_embeddings_come_over_the_wire(server: ScriptedModel) -> None:
    embedder = build_embedder(settings(server))
    found = await embedder.embed(["one", "two"])
    await embedder.close()  # type: ignore[attr-defined]
    assert len(found) == 2 and len(found[0]) == len(found[1])


def test_a_client_serves_one_event_loop_after_the_other(server: ScriptedModel) -> None:
    chat = build_chat(settings(server))

    async def once() -> str:
        reply = await chat.complete(request())
        await chat.close()
        return reply.text

    for _ in range(2):
        server.agent("Hello.")
        assert asyncio.run(once()) == "Hello."
