"""One request and one reply, whichever wire they came by. Parsing of HTTP bodies lives with each wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.model.words import number_from

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON text, as the wire carries it."""

    id: str
    name: str
    arguments: str

    def parsed(self) -> Json:
        try:
            value = json.loads(self.arguments or "{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: Json


@dataclass(frozen=True, slots=True)
class Ask:
    """`tools` are those that may be called now (allowed_tools already applied). `variant` tells repeats apart."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    schema_name: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int | None = None
    temperature: float | None = None
    variant: int | None = None

    @property
    def last_user_text(self) -> str:
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def prompt_text(self) -> str:
        return "\n".join(_all_text(message) for message in self.messages)


@dataclass(frozen=True, slots=True)
class Reply:
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""

    @property
    def why_finished(self) -> str:
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    @property
    def written(self) -> str:
        return self.text + "".join(call.name + call.arguments for call in self.tool_calls)


def tool_call(name: str, arguments: Mapping[str, Any], *, key: object) -> ToolCall:
    """A call whose id only depends on its content and `key`, so that the same conversation gives the same id."""
    text = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(f"call_{number_from(name, text, key):016x}", name, text)


def _all_text(message: Message) -> str:
    return message.text + "".join(call.name + call.arguments for call in message.tool_calls)
