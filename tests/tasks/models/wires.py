"""A model server made of a function: what it was asked is kept, what it answers is up to the test. No sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import httpx2

from tasks.models.embeddings import OpenAIEmbedder
from tasks.models.port import ChatRequest, Message, OutputSchema
from tasks.models.server import ModelServer, Patience
from tasks.models.wire import OpenAIChat

Json = dict[str, Any]
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]] | Exception
SCHEMA = OutputSchema(
    "verdict",
    {
        "type": "object",
        "properties": {"score": {"type": "number", "minimum": 0, "maximum": 1}, "why": {"type": "string"}},
        "required": ["score", "why"],
        "additionalProperties": False,
    },
)


class Wire:
    """Implements the transport. `asked` lists (path, body)."""

    def __init__(self, answer: Callable[[str, Json], Answer]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Json]] = []
        self.now = 0.0
        self.slept: list[float] = []

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        sent = json.loads(request.content)
        self.asked.append((request.url.path, sent))
        answer = self.answer(request.url.path, sent)
        if isinstance(answer, Exception):
            raise answer
        content, headers = answer[1], answer[2] if len(answer) == 3 else {}
        if isinstance(content, str):
            return httpx2.Response(answer[0], text=content, headers=headers)
        return httpx2.Response(answer[0], json=content, headers=headers)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def server(self, **patience: float) -> ModelServer:
        return ModelServer(
            base_url="https://models.test/v1",
            api_key="k",
            patience=Patience(**patience),
            transport=httpx2.MockTransport(self.handle),
            clock=lambda: self.now,
            sleep=self.sleep,
            jitter=lambda: 0.5,
        )

    def chat(
        self, *, wire: Literal["auto", "responses", "chat"] = "auto", is_openai: bool = False
    ) -> OpenAIChat:
        return OpenAIChat(self.server(), wire=wire, is_openai=is_openai)

    def embedder(self) -> OpenAIEmbedder:
        return OpenAIEmbedder(self.server(), model="embed")

    @property
    def paths(self) -> list[str]:
        return [path.removeprefix("/v1") for path, _ in self.asked]


def completion(text: str = "Hello.", *calls: Json, **fields: Any) -> Json:
    message: Json = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = list(calls)
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    return {"model": "m-1", "choices": [choice], "usage": usage, **fields}


def response(text: str = "Hello.", *calls: Json, **fields: Any) -> Json:
    output: list[Json] = [{"type": "reasoning", "summary": []}]
    if text:
        output.append(
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        )
    usage = {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}
    return {"model": "m-1", "status": "completed", "output": [*output, *calls], "usage": usage, **fields}


def error(message: str, *, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code, "param": None}}


def ask(text: str = "Hi", **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message("system", "Be kind."), Message("user", text)), **fields)
