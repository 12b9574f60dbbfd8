"""Chat Completions: HTTP body → `Ask`, `Reply` → body or server-sent events. Decides nothing about content."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bot.sandbox.model.asks import Ask, Json, Message, Reply, Tool, ToolCall
from bot.sandbox.model.errors import bad_request
from bot.sandbox.model.words import number_from, token_count

ROLES = {"system", "developer", "user", "assistant", "tool", "function"}


def parse_chat(body: Json, *, variant: int | None = None) -> Ask:
    """Raises WireError 400 for what OpenAI would refuse."""
    tools, must_call = chosen_tools(body.get("tools"), body.get("tool_choice"), name_of=_nested_name)
    name, schema = output_schema(body.get("response_format"), key="json_schema")
    return Ask(
        model=required_text(body, "model"),
        messages=tuple(_messages(body.get("messages"))),
        tools=tools,
        must_call=must_call,
        schema_name=name,
        schema=schema,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        temperature=body.get("temperature"),
        variant=body["seed"] if isinstance(body.get("seed"), int) else variant,
    )


def completion_body(ask: Ask, replies: Sequence[Reply]) -> Json:
    """A `chat.completion` object; one choice a reply."""
    choices = [
        {
            "index": index,
            "message": _assistant(reply),
            "logprobs": None,
            "finish_reason": reply.why_finished,
        }
        for index, reply in enumerate(replies)
    ]
    return _head(ask, replies, "chat.completion") | {"choices": choices, "usage": usage(ask, replies)}


def completion_events(ask: Ask, replies: Sequence[Reply], *, include_usage: bool) -> Iterator[str]:
    """The same answer as `data:` lines of chunks, ended by [DONE]."""
    head = _head(ask, replies, "chat.completion.chunk")
    extra: Json = {"usage": None} if include_usage else {}
    for index, reply in enumerate(replies):
        for delta, reason in _deltas(reply):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            yield _data(head | extra | {"choices": [choice]})
    if include_usage:
        yield _data(head | {"choices": [], "usage": usage(ask, replies)})
    yield "data: [DONE]\n\n"


def usage(ask: Ask, replies: Sequence[Reply]) -> Json:
    prompt = token_count(ask.prompt_text)
    written = sum(token_count(reply.written) for reply in replies)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def chosen_tools(offered: Any, choice: Any, *, name_of: Any) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called now, and whether one must be."""
    tools = tuple(
        _tool(item) for item in _list(offered, "tools") if item.get("type", "function") == "function"
    )
    if choice in (None, "auto"):
        return tools, False
    if choice == "none":
        return (), False
    if choice == "required":
        return tools, True
    if not isinstance(choice, dict):
        raise bad_request("Invalid value for 'tool_choice'.", "tool_choice")
    if choice.get("type") != "allowed_tools":
        return tuple(tool for tool in tools if tool.name == name_of(choice)), True
    allowance = choice.get("allowed_tools", choice)
    names = {name_of(item) for item in _list(allowance.get("tools"), "tool_choice.tools")}
    return tuple(tool for tool in tools if tool.name in names), allowance.get("mode") == "required"


def output_schema(declared: Any, *, key: str | None) -> tuple[str, Json]:
    """Name and schema of a `json_schema` format; a bare `json_object` is an object without known properties."""
    if not isinstance(declared, dict) or declared.get("type") in (None, "text"):
        return "", {}
    if declared["type"] == "json_object":
        return "json_object", {"type": "object"}
    inner = declared.get(key) if key else declared
    if not isinstance(inner, dict) or not inner.get("name") or not isinstance(inner.get("schema"), dict):
        raise bad_request("A json_schema format needs a name and a schema.", "response_format")
    return str(inner["name"]), inner["schema"]


def required_text(body: Json, field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise bad_request(f"Missing required parameter: '{field}'.", field)
    return value


def content_text(content: Any) -> str:
    """Text of a string or of a list of parts; other parts are not read."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        str(part.get("text") or "") for part in parts if isinstance(part, dict) and "text" in part
    )


def _messages(items: Any) -> Iterator[Message]:
    if not isinstance(items, list) or not items:
        raise bad_request("Invalid 'messages': expected a non-empty array.", "messages")
    for index, item in enumerate(items):
        if not isinstance(item, dict) or item.get("role") not in ROLES:
            raise bad_request(f"Invalid value for 'messages[{index}].role'.", f"messages[{index}].role")
        yield Message(
            role=item["role"],
            text=content_text(item.get("content")),
            tool_calls=tuple(_called(call) for call in item.get("tool_calls") or ()),
            tool_call_id=str(item.get("tool_call_id") or ""),
        )


def _called(call: Json) -> ToolCall:
    function = call.get("function") or {}
    return ToolCall(
        str(call.get("id", "")), str(function.get("name", "")), str(function.get("arguments") or "{}")
    )


def _tool(item: Json) -> Tool:
    described = item.get("function") or item
    name = described.get("name")
    if not name:
        raise bad_request("Missing required parameter: 'tools[].name'.", "tools")
    return Tool(
        str(name), str(described.get("description") or ""), described.get("parameters") or {"type": "object"}
    )


def _nested_name(item: Json) -> str:
    return str((item.get("function") or item).get("name", ""))


def _list(value: Any, param: str) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise bad_request(f"Invalid type for '{param}': expected an array of objects.", param)
    return value


def _head(ask: Ask, replies: Sequence[Reply], kind: str) -> Json:
    key = number_from(ask.prompt_text, *(reply.written for reply in replies))
    return {
        "id": f"chatcmpl-standin-{key:016x}",
        "object": kind,
        "created": int(time.time()),
        "model": ask.model,
        "system_fingerprint": "fp_standin",
        "service_tier": "default",
    }


def _assistant(reply: Reply) -> Json:
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None, "annotations": []}
    if reply.tool_calls:
        return message | {"tool_calls": [_call(call) for call in reply.tool_calls]}
    return message | {"content": reply.text}


def _call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _deltas(reply: Reply) -> Iterator[tuple[Json, str | None]]:
    yield {"role": "assistant", "content": "" if reply.text or not reply.tool_calls else None}, None
    for piece in pieces(reply.text):
        yield {"content": piece}, None
    for index, call in enumerate(reply.tool_calls):
        opening = _call(call) | {"index": index, "function": {"name": call.name, "arguments": ""}}
        yield {"tool_calls": [opening]}, None
        for piece in pieces(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
    yield {}, reply.why_finished


def pieces(text: str, size: int = 24) -> list[str]:
    """What a stream sends at a time."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def _data(chunk: Json) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
