"""Chat Completions: a neutral request to its JSON body, and its JSON answer to a neutral reply. Sends nothing itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from storage.records import Json
from tasks.models.port import ChatReply, ChatRequest, Message, ModelAnswerInvalid, ToolCall, Usage
from tasks.models.quirks import Quirks

PATH = "/chat/completions"


def body(request: ChatRequest, quirks: Quirks) -> Json:
    """What is posted. `quirks` says what this server has refused to take."""
    made: Json = {"model": request.model, "messages": [_message(message) for message in request.messages]}
    if request.tools:
        made["tools"] = [_tool(tool.name, tool.description, tool.parameters) for tool in request.tools]
        if request.allowed_tools is not None and quirks.takes("tool_choice"):
            made["tool_choice"] = _allowed(request.allowed_tools)
    if request.schema is not None and quirks.takes("response_format"):
        named = {"name": request.schema.name, "strict": True, "schema": request.schema.schema}
        made["response_format"] = {"type": "json_schema", "json_schema": named}
    if request.temperature is not None and quirks.takes("temperature"):
        made["temperature"] = request.temperature
    if request.max_tokens is not None:
        made["max_completion_tokens" if quirks.takes("max_completion_tokens") else "max_tokens"] = (
            request.max_tokens
        )
    if request.cache_key and quirks.takes("prompt_cache_key"):
        made["prompt_cache_key"] = request.cache_key
    return made


def reply(answer: Json) -> ChatReply:
    """Raises `ModelAnswerInvalid` when there is no message in it."""
    choice = next((item for item in _list(answer.get("choices")) if isinstance(item, dict)), None)
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        raise ModelAnswerInvalid("the answer holds no message")
    return ChatReply(
        text=_text(message.get("content")) or str(message.get("refusal") or ""),
        tool_calls=tuple(_calls(_list(message.get("tool_calls")))),
        usage=_usage(answer.get("usage")),
        model=str(answer.get("model") or ""),
        finish_reason=str(choice.get("finish_reason") or "stop"),
    )


def _message(message: Message) -> Json:
    made: Json = {"role": message.role, "content": message.content}
    if message.tool_calls:
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    return made


def _tool(name: str, description: str, parameters: Json) -> Json:
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def _allowed(names: Sequence[str]) -> Any:
    if not names:
        return "none"
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}}


def _calls(items: list[Any]) -> list[ToolCall]:
    calls = []
    for place, item in enumerate(items):
        function = item.get("function") if isinstance(item, dict) else None
        if isinstance(function, dict):
            id = str(item.get("id") or f"call_{place}")
            calls.append(
                ToolCall(id=id, name=str(function.get("name") or ""), arguments=_arguments(function))
            )
    return calls


def _arguments(function: Json) -> str:
    """Some gateways send the object instead of its text."""
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return arguments or "{}"
    return json.dumps(arguments or {})


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in _list(content) if isinstance(part, dict)]
    return "".join(part for part in parts if isinstance(part, str))


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(
        int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0), int(cached or 0)
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
