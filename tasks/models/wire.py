"""The chat model that the house talks to: one base URL, whichever of the two wires it speaks.

`auto` begins with Responses at OpenAI and with Chat Completions elsewhere, and changes over when the server says that it
does not know the one or wants the other; which wire and which fields it takes is remembered. An answer that must fit a
schema is checked here, and asked for once more when it does not fit.
"""

from __future__ import annotations

import json
from dataclasses import replace
from types import ModuleType
from typing import Literal, get_args

from storage.records import Json
from storage.redis_turnstile import open_turnstile
from tasks.models import chat_completions, responses, structured
from tasks.models.limiter import Limiter, SharedLimiter
from tasks.models.port import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Message,
    ModelAnswerInvalid,
    ModelRefused,
    OutputSchema,
    Usage,
)
from tasks.models.quirks import Field, Quirks
from tasks.models.server import ModelServer, Patience
from tasks.settings import Settings

Wire = Literal["responses", "chat"]
OPENAI_URL = "https://api.openai.com/v1"
UNKNOWN_PATH = {404, 405, 501}
WIRES: dict[Wire, ModuleType] = {"responses": responses, "chat": chat_completions}


def build_chat(
    settings: Settings, *, patience: Patience | None = None, limiter: Limiter | None = None
) -> ChatModel:
    """The configured chat model. Connects to nothing before the first question. Without a limiter it has its own."""
    server = build_server(settings, patience=patience, limiter=limiter)
    return OpenAIChat(server, wire=settings.openai_wire, is_openai=settings.is_openai)


def build_server(
    settings: Settings, *, patience: Patience | None = None, limiter: Limiter | None = None
) -> ModelServer:
    """The configured server itself, for adapters that share its limits."""
    return ModelServer(
        base_url=settings.openai_base_url.rstrip("/") or OPENAI_URL,
        api_key=settings.openai_api_key.get_secret_value(),
        patience=patience,
        limiter=limiter,
    )


def shared_limiter(settings: Settings) -> Limiter:
    """One limit for every process on the same Redis that asks the configured server."""
    server = settings.openai_base_url.rstrip("/") or OPENAI_URL
    return SharedLimiter(open_turnstile(settings.redis_url), server=server)


class OpenAIChat:
    """Implements `ChatModel`."""

    def __init__(
        self,
        server: ModelServer,
        *,
        wire: Literal["auto", "responses", "chat"] = "auto",
        is_openai: bool = False,
    ) -> None:
        self._server = server
        self._is_openai = is_openai
        self._may_change = wire == "auto"
        self._wire: Wire = wire if wire != "auto" else ("responses" if is_openai else "chat")
        self._quirks: dict[str, Quirks] = {}

    async def complete(self, request: ChatRequest) -> ChatReply:
        if request.schema is None:
            return await self._ask(request)
        return await self._structured(request, request.schema)

    async def close(self) -> None:
        await self._server.close()

    # ------------------------------------------------------------ one question

    async def _ask(self, request: ChatRequest) -> ChatReply:
        quirks = self._quirks_of(request.model)
        for _ in range(
            len(get_args(Field)) + 2
        ):  # each round learns something new about the server, or is the last
            wire = WIRES[self._wire]
            body: Json = wire.body(_spelled_out(request, quirks), quirks)
            try:
                answer = await self._server.post(wire.PATH, body, tokens=_size(request))
            except ModelRefused as refusal:
                if not self._learned(refusal, quirks, body):
                    raise
                continue
            return wire.reply(answer)
        raise ModelRefused("the server refuses every form of the request")

    def _learned(self, refusal: ModelRefused, quirks: Quirks, body: Json) -> bool:
        if self._may_change and self._change_wire(refusal):
            return True
        return refusal.status in (400, 422) and quirks.learn(str(refusal), sent=_sent(body))

    def _change_wire(self, refusal: ModelRefused) -> bool:
        unknown = refusal.status in UNKNOWN_PATH and refusal.code != "model_not_found"
        if self._wire == "responses" and unknown:
            self._wire, self._may_change = "chat", False
            return True
        if self._wire == "chat" and refusal.status == 400 and "v1/responses" in str(refusal):
            self._wire, self._may_change = "responses", False
            return True
        return False

    def _quirks_of(self, model: str) -> Quirks:
        if model not in self._quirks:
            unknown: set[Field] = {"tool_choice", "max_completion_tokens", "prompt_cache_key"}
            self._quirks[model] = Quirks(refused=set() if self._is_openai else unknown)
        return self._quirks[model]

    # ------------------------------------------------------------ answers with a schema

    async def _structured(self, request: ChatRequest, schema: OutputSchema) -> ChatReply:
        first = await self._ask(request)
        try:
            return _as_json(first, schema)
        except ModelAnswerInvalid as problem:
            again = await self._ask(_asked_again(request, first, problem))
        return _as_json(replace(again, usage=_sum(first.usage, again.usage)), schema)


def _as_json(reply: ChatReply, schema: OutputSchema) -> ChatReply:
    return replace(reply, text=json.dumps(structured.parse(reply.text, schema), ensure_ascii=False))


def _asked_again(request: ChatRequest, reply: ChatReply, problem: ModelAnswerInvalid) -> ChatRequest:
    words = f"That answer cannot be used: {problem}. Answer again with JSON for the schema, nothing else."
    said = (Message("assistant", reply.text or "(nothing)"), Message("user", words))
    return replace(request, messages=(*request.messages, *said))


def _spelled_out(request: ChatRequest, quirks: Quirks) -> ChatRequest:
    """Where the server knows no schemas, the schema becomes words of the system prompt."""
    if request.schema is None or quirks.takes("response_format"):
        return request
    words = structured.instruction(request.schema)
    first, rest = request.messages[0], request.messages[1:]
    if first.role != "system":
        return replace(request, messages=(Message("system", words), *request.messages))
    return replace(request, messages=(replace(first, content=f"{first.content}\n\n{words}"), *rest))


def _sent(body: Json) -> frozenset[Field]:
    names: dict[str, Field] = {"text": "response_format", **{name: name for name in get_args(Field)}}
    return frozenset(names[name] for name in body if name in names)


def _size(request: ChatRequest) -> int:
    """Tokens, roughly: a quarter of the characters."""
    return sum(len(m.content) for m in request.messages if isinstance(m.content, str)) // 4


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_tokens + other.cached_tokens,
    )
