"""The Responses API: HTTP body → `Ask`, `Reply` → body or events. Keeps no conversation: `previous_response_id` is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from bot.sandbox.model.asks import Ask, Json, Message, Reply, ToolCall
from bot.sandbox.model.chat_wire import chosen_tools, content_text, output_schema, pieces, required_text
from bot.sandbox.model.errors import bad_request
from bot.sandbox.model.words import number_from, token_count


def parse_response(body: Json, *, variant: int | None = None) -> Ask:
    """Raises WireError 400 for what the stand-in does not keep or OpenAI would refuse."""
    if body.get("previous_response_id") or body.get("conversation"):
        raise bad_request("The stand-in keeps no conversation; send the whole input.", "previous_response_id")
    tools, must_call = chosen_tools(body.get("tools"), body.get("tool_choice"), name_of=_name)
    name, schema = output_schema((body.get("text") or {}).get("format"), key=None)
    return Ask(
        model=required_text(body, "model"),
        messages=tuple(_messages(body)),
        tools=tools,
        must_call=must_call,
        schema_name=name,
        schema=schema,
        max_tokens=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        variant=variant,
    )


def response_body(ask: Ask, reply: Reply, body: Json) -> Json:
    """A `response` object; `body` is the request, whose settings it repeats."""
    cut = reply.why_finished == "length"
    return _head(ask, reply, body) | {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": _output(ask, reply),
        "usage": _usage(ask, reply),
    }


def response_events(ask: Ask, reply: Reply, body: Json) -> Iterator[str]:
    """The same answer as named server-sent events with sequence numbers."""
    for number, event in enumerate(_events(ask, reply, body)):
        data = json.dumps(event | {"sequence_number": number}, ensure_ascii=False)
        yield f"event: {event['type']}\ndata: {data}\n\n"


def _events(ask: Ask, reply: Reply, body: Json) -> Iterator[Json]:
    begun = _head(ask, reply, body) | {
        "status": "in_progress",
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(_output(ask, reply)):
        place = {"item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.added", "output_index": index, "item": _unfinished(item)}
        yield from _call_events(item, place) if item["type"] == "function_call" else _text_events(item, place)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    finished = response_body(ask, reply, body)
    yield {"type": f"response.{finished['status']}", "response": finished}


def _text_events(item: Json, place: Json) -> Iterator[Json]:
    part = item["content"][0]
    where = place | {"content_index": 0}
    yield where | {"type": "response.content_part.added", "part": part | {"text": ""}}
    for piece in pieces(part["text"]):
        yield where | {"type": "response.output_text.delta", "delta": piece, "logprobs": []}
    yield where | {"type": "response.output_text.done", "text": part["text"], "logprobs": []}
    yield where | {"type": "response.content_part.done", "part": part}


def _call_events(item: Json, place: Json) -> Iterator[Json]:
    for piece in pieces(item["arguments"]):
        yield place | {"type": "response.function_call_arguments.delta", "delta": piece}
    yield (
        place
        | {"type": "response.function_call_arguments.done"}
        | {k: item[k] for k in ("arguments", "name")}
    )


def _unfinished(item: Json) -> Json:
    empty: Json = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
    return item | {"status": "in_progress"} | empty


def _messages(body: Json) -> Iterator[Message]:
    if body.get("instructions"):
        yield Message("system", str(body["instructions"]))
    given = body.get("input")
    if isinstance(given, str) and given:
        yield Message("user", given)
        return
    if not isinstance(given, list) or not given:
        raise bad_request("Invalid 'input': expected a string or a non-empty array.", "input")
    for item in given:
        yield from _message(item)


def _message(item: Any) -> Iterator[Message]:
    if not isinstance(item, dict):
        raise bad_request("Invalid 'input': every item must be an object.", "input")
    kind = item.get("type", "message")
    if kind == "message":
        yield Message(str(item.get("role", "user")), content_text(item.get("content")))
    elif kind == "function_call":
        call = ToolCall(
            str(item.get("call_id", "")), str(item.get("name", "")), str(item.get("arguments") or "{}")
        )
        yield Message("assistant", tool_calls=(call,))
    elif kind == "function_call_output":
        yield Message("tool", content_text(item.get("output")), tool_call_id=str(item.get("call_id", "")))


def _name(item: Json) -> str:
    return str(item.get("name", ""))


def _head(ask: Ask, reply: Reply, body: Json) -> Json:
    repeated = (
        "instructions",
        "metadata",
        "temperature",
        "top_p",
        "max_output_tokens",
        "text",
        "prompt_cache_key",
    )
    return {
        "id": f"resp_standin_{number_from(ask.prompt_text, reply.written):016x}",
        "object": "response",
        "created_at": int(time.time()),
        "model": ask.model,
        "error": None,
        "parallel_tool_calls": bool(body.get("parallel_tool_calls", True)),
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "store": False,
    } | {field: body.get(field) for field in repeated}


def _output(ask: Ask, reply: Reply) -> list[Json]:
    key = f"{number_from(ask.prompt_text, reply.written):016x}"
    calls: list[Json] = [
        {
            "id": f"fc_{key}_{index}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for index, call in enumerate(reply.tool_calls)
    ]
    if calls and not reply.text:
        return calls
    part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{key}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    return [message, *calls]


def _usage(ask: Ask, reply: Reply) -> Json:
    given, written = token_count(ask.prompt_text), token_count(reply.written)
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + written,
    }
