"""The two questions the house asks of models: a chat completion and embeddings. Neutral of wire and vendor.

Adapters live beside this file; they raise only the errors below. Retrying, limiting and metering are the adapters' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from storage.records import Json

Role = Literal["system", "developer", "user", "assistant", "tool"]
Content = str | list[Json] | None


class ModelError(Exception):
    """Base. The message is for operators; people are told by the caller, in plain words."""


class ModelUnavailable(ModelError):
    """Rate limited, overloaded, unreachable or timed out, after the adapter's own retries; may work later."""


class ModelRefused(ModelError):
    """The server will not do this (bad request, no access, unknown model); asking again unchanged is useless.

    `code` is the provider's error code ("model_not_found", "training_not_available" …) or ""."""

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class ModelAnswerInvalid(ModelError):
    """The answer does not fit the schema that was asked for."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is the JSON text as the model wrote it, unparsed."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: Content = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """`parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Json


@dataclass(frozen=True, slots=True)
class OutputSchema:
    name: str
    schema: Json


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`allowed_tools` narrows what may be called now, where the wire knows it; None allows all of `tools`."""

    model: str
    messages: Sequence[Message]
    tools: Sequence[ToolSchema] = ()
    allowed_tools: tuple[str, ...] | None = None
    schema: OutputSchema | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    cache_key: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChatReply:
    text: str
    tool_calls: tuple[ToolCall, ...]
    usage: Usage
    model: str
    finish_reason: str = "stop"


class ChatModel(Protocol):
    async def complete(self, request: ChatRequest) -> ChatReply:
        """One completion. With `schema`, `text` is JSON valid for it or `ModelAnswerInvalid` is raised."""
        ...

    async def close(self) -> None: ...


class Embedder(Protocol):
    """`name` tells people what was used ("offline TF-IDF + SVD", "text-embedding-…")."""

    name: str

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, all of one length, normalised to length 1."""
        ...

    async def close(self) -> None: ...
