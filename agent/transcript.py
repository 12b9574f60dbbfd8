"""The thread's conversation as models are told it: neutral messages, append-only, byte for byte the same from turn to turn.

Providers cache the beginning of a request, so nothing already said is ever reworded, and the front is cut off in coarse
steps only. Each message carries its place (`o`, characters before it) and its time (`at`), which models never see. What
people or files say is data: a person's text is prefixed by who they are, what happened is one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from storage.records import InboxItem, Json
from tasks.models.port import ChatReply, Message, ToolCall

KEPT_CHARACTERS = 60_000
STEP_CHARACTERS = (
    40_000  # the front moves by this much at once, so that most turns find their whole prefix cached
)
LEAST_CHARACTERS = 300  # what a message counts at least: bounds their number below what the store keeps
MESSAGE_CHARACTERS = 20_000  # of one person's text; more is cut and said so
LAST_MESSAGES = 400


def from_item(item: InboxItem) -> Json:
    """What a person said, or what happened, as a message."""
    if item.kind == "message":
        return _user(f"<@{item.user}>: {cut(item.text)}", item.at)
    return event(item.data if "event" in item.data else {"event": item.kind, **item.data}, at=item.at)


def event(facts: Json, *, at: float) -> Json:
    """Something that happened without words: one JSON object, which no person's message can imitate."""
    return _user(json.dumps(facts, ensure_ascii=False, default=str), at)


def from_reply(reply: ChatReply | Json, *, at: float) -> Json:
    """The model's reply; `reply` may be its journal entry."""
    if isinstance(reply, ChatReply):
        calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in reply.tool_calls]
        return {"role": "assistant", "content": reply.text, "calls": calls, "at": at}
    return {"role": "assistant", "content": reply["text"], "calls": reply["calls"], "at": at}


def from_result(call_id: str, result: Json, *, at: float) -> Json:
    content = json.dumps(result, ensure_ascii=False, default=str)
    return {"role": "tool", "content": content, "call": call_id, "at": at}


def placed(messages: Sequence[Json], before: Sequence[Json]) -> tuple[Json, ...]:
    """New messages with their places, going on where the stored ones end: ready for `Change.transcript`."""
    place = end_of(before)
    result = []
    for message in messages:
        result.append({**message, "o": place})
        place += _size(message)
    return tuple(result)


def window(stored: Sequence[Json]) -> tuple[Json, ...]:
    """The part of the stored messages that is still told. Begins with something said, never in the middle of a turn."""
    start = (max(0, end_of(stored) - KEPT_CHARACTERS) // STEP_CHARACTERS) * STEP_CHARACTERS
    late = [message for message in stored if message["o"] >= start]
    first = next((place for place, message in enumerate(late) if message["role"] == "user"), len(late))
    return tuple(late[first:])


def end_of(stored: Sequence[Json]) -> int:
    return int(stored[-1]["o"]) + _size(stored[-1]) if stored else 0


def to_message(stored: Json) -> Message:
    """As the model port takes it."""
    calls = tuple(ToolCall(call["id"], call["name"], call["arguments"]) for call in stored.get("calls", ()))
    content = stored["content"]
    return Message(
        role=stored["role"],
        content=content if content or not calls else None,
        tool_calls=calls,
        tool_call_id=stored.get("call", ""),
    )


def cut(text: str) -> str:
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    return f"{text[:MESSAGE_CHARACTERS]} […the message goes on for {len(text) - MESSAGE_CHARACTERS} more characters]"


def _user(content: str, at: float) -> Json:
    return {"role": "user", "content": content, "at": at}


def _size(message: Json) -> int:
    called = sum(len(call["arguments"]) + len(call["name"]) for call in message.get("calls", ()))
    return max(LEAST_CHARACTERS, len(message["content"] or "") + called)
