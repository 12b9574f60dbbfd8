"""The Responses API: a neutral request to its JSON body, and its JSON answer to a neutral reply. Sends nothing itself.

Nothing is stored at the provider (`store: false`): the transcript is ours and travels with every request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from storage.records import Json
from tasks.models.port import ChatReply, ChatRequest, Content, Message, ModelAnswerInvalid, ToolCall, Usage
from tasks.models.quirks import Quirks

PATH = "/responses"


def body(request: ChatRequest, quirks: Quirks) -> Json:
    """What is posted. `quirks` says what this server has refused to take."""
    items = [item for message in request.messages for item in _items(message)]
    made: Json = {"model": request.model, "input": items, "store": False}
    if request.tools:
        made["tools"] = [
            {
                "type": "function",
                "name": t.name,
                "description": t.description,
                "parameters": t.parameters,
                "strict": False,
            }
            for t in request.tools
        ]
        if request.allowed_tools is not None and quirks.takes("tool_choice"):
            made["tool_choice"] = _allowed(request.allowed_tools)
    if request.schema is not None and quirks.takes("response_format"):
        named = {"name": request.schema.name, "strict": True, "schema": request.schema.schema}
        made["text"] = {"format": {"type": "json_schema", **named}}
    if request.temperature is not None and quirks.takes("temperature"):
        made["temperature"] = request.temperature
    if request.max_tokens is not None:
        made["max_output_tokens"] = max(16, request.max_tokens)  # the least it takes
    if request.cache_key and quirks.takes("prompt_cache_key"):
        made["prompt_cache_key"] = request.cache_key
    return made


def reply(answer: Json) -> ChatReply:
    """Raises `ModelAnswerInvalid` when the response failed or holds no output list."""
    output = answer.get("output")
    if answer.get("status") == "failed" or not isinstance(output, list):
        raise ModelAnswerInvalid(f"the response failed: {str(answer.get('error') or 'no output')[:300]}")
    items = [item for item in output if isinstance(item, dict)]
    calls = tuple(
        _call(item, place) for place, item in enumerate(items) if item.get("type") == "function_call"
    )
    return ChatReply(
        text="".join(text for item in items if item.get("type") == "message" for text in _texts(item)),
        tool_calls=calls,
        usage=_usage(answer.get("usage")),
        model=str(answer.get("model") or ""),
        finish_reason=_finish_reason(answer, calls),
    )


def _items(message: Message) -> Iterator[Json]:
    if message.role == "tool":
        output = message.content if isinstance(message.content, str) else _plain(message.content)
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": output}
        return
    if message.content or not message.tool_calls:
        yield {"role": message.role, "content": _content(message)}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _content(message: Message) -> Any:
    if not isinstance(message.content, list):
        return message.content or ""
    kind = "output_text" if message.role == "assistant" else "input_text"
    return [_part(part, kind) for part in message.content]


def _part(part: Json, kind: str) -> Json:
    if part.get("type") == "image_url":
        image = part.get("image_url")
        return {"type": "input_image", "image_url": image.get("url") if isinstance(image, dict) else image}
    return {"type": kind, "text": str(part.get("text") or "")} if "text" in part else part


def _plain(content: Content) -> str:
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts)


def _allowed(names: Sequence[str]) -> Any:
    if not names:
        return "none"
    return {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": name} for name in names],
    }


def _texts(item: Json) -> Iterator[str]:
    for part in item.get("content") or ():
        if isinstance(part, dict):
            yield str(part.get("text") or part.get("refusal") or "")


def _call(item: Json, place: int) -> ToolCall:
    id = str(item.get("call_id") or item.get("id") or f"call_{place}")
    return ToolCall(id=id, name=str(item.get("name") or ""), arguments=str(item.get("arguments") or "{}"))


def _finish_reason(answer: Json, calls: tuple[ToolCall, ...]) -> str:
    if answer.get("status") == "incomplete":
        details = answer.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else ""
        return "content_filter" if reason == "content_filter" else "length"
    return "tool_calls" if calls else "stop"


def _usage(usage: Any) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(int(usage.get("input_tokens") or 0), int(usage.get("output_tokens") or 0), int(cached or 0))
