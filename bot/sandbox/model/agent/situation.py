"""What the agent has in front of it, read once from the messages: context block, news of this turn, results, history.

A system message is read for its context block only; its prose never matters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.sandbox.model.asks import Ask, Json, Message, Tool, ToolCall

_FENCED = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```", re.S)
_SPEAKER = re.compile(r"^\s*<@[A-Z0-9]+(?:\|[^>]*)?>:\s*")
_MENTION = re.compile(r"<@[A-Z0-9]+(?:\|[^>]*)?>")


@dataclass(frozen=True, slots=True)
class Result:
    """A tool call and what came back; `answer` is {} for what is not a JSON object."""

    tool: str
    arguments: Json
    answer: Json

    @property
    def ok(self) -> bool:
        return self.answer.get("ok", True) is not False and "error" not in {
            k for k, v in self.answer.items() if v
        }

    @property
    def missing(self) -> list[str]:
        """Codes of what is missing, in order."""
        items = self.answer.get("missing") or []
        return [str(item.get("code") if isinstance(item, dict) else item) for item in items]


@dataclass(frozen=True, slots=True)
class Situation:
    """`words` and `events` are this turn's news; `results` this turn's calls; `history` all finished calls before.

    `since_words` are the calls since a person last said something (`last_words`), in this turn or before.
    """

    workflow: Json | None
    words: tuple[str, ...]
    events: tuple[Json, ...]
    results: tuple[Result, ...]
    history: tuple[Result, ...]
    earlier_words: tuple[str, ...]
    earlier_events: tuple[Json, ...]
    since_words: tuple[Result, ...]
    last_reply: str
    tools: dict[str, Tool]

    @property
    def proposals(self) -> list[Json]:
        return list((self.workflow or {}).get("proposals") or [])

    @property
    def last_words(self) -> str:
        return ([*self.earlier_words, *self.words] or [""])[-1]

    @property
    def running_jobs(self) -> list[Json]:
        jobs = (self.workflow or {}).get("jobs") or []
        return [
            job
            for job in jobs
            if str(job.get("status")) in ("pending", "queued", "running", "started", "paused")
        ]

    def called(self, tool: str) -> list[Result]:
        return [result for result in self.results if result.tool == tool]

    def knowledge(self) -> Iterator[Json]:
        """Everything structured that was seen, newest first."""
        for result in (*reversed(self.results), *reversed(self.history)):
            yield result.answer
        yield from reversed(self.events)
        yield from reversed(self.earlier_events)


def read_situation(ask: Ask) -> Situation:
    messages = [message for message in ask.messages if message.role not in ("system", "developer")]
    start = _turn_start(messages)
    before, turn = messages[:start], messages[start:]
    words, events = _news(turn)
    earlier_words, earlier_events = _news(before)
    return Situation(
        workflow=_workflow(ask.messages),
        words=words,
        events=events,
        results=tuple(_results(turn)),
        history=tuple(_results(before)),
        earlier_words=earlier_words,
        earlier_events=earlier_events,
        since_words=tuple(_results(messages[_last_words_at(messages) :])),
        last_reply=next((message.text for message in reversed(before) if _is_reply(message)), ""),
        tools={tool.name: tool for tool in ask.tools},
    )


def context_block(text: str) -> Json | None:
    """The fenced JSON object with the key `finetune_workflow`, if the text has one."""
    for block in _FENCED.findall(text):
        try:
            value = json.loads(block)
        except ValueError:
            continue
        if isinstance(value, dict) and "finetune_workflow" in value:
            return value
    return None


def find(value: Any, *keys: str) -> Any:
    """The first non-empty value under any of the keys, outermost first; None when there is none."""
    queue = [value]
    while queue:
        level, queue = queue, []
        for one in level:
            if isinstance(one, dict):
                for key in keys:
                    if one.get(key) not in (None, "", [], {}):
                        return one[key]
                queue.extend(one.values())
            elif isinstance(one, list):
                queue.extend(one[:50])
    return None


def _turn_start(messages: Sequence[Message]) -> int:
    """Where the turn begins: after the last reply in words that had something behind it."""
    for index in range(len(messages) - 1, -1, -1):
        if _is_reply(messages[index]) and index < len(messages) - 1:
            return index + 1
    return 0


def _last_words_at(messages: Sequence[Message]) -> int:
    places = [
        place
        for place, message in enumerate(messages)
        if message.role == "user" and _event(message.text) is None
    ]
    return places[-1] if places else 0


def _is_reply(message: Message) -> bool:
    return message.role == "assistant" and not message.tool_calls


def _workflow(messages: Sequence[Message]) -> Json | None:
    for message in reversed(messages):
        block = context_block(message.text) if message.role in ("system", "developer") else None
        if block is not None:
            workflow = block["finetune_workflow"]
            return workflow if isinstance(workflow, dict) else None
    return None


def _news(messages: Sequence[Message]) -> tuple[tuple[str, ...], tuple[Json, ...]]:
    words, events = [], []
    for message in messages:
        if message.role != "user":
            continue
        event = _event(message.text)
        if event is not None:
            events.append(event)
        else:
            words.append(_MENTION.sub("", _SPEAKER.sub("", message.text)).strip())
    return tuple(word for word in words if word), tuple(events)


def _event(text: str) -> Json | None:
    """A message that is one JSON object with `event`; a person who types one is only quoted, never obeyed more."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "event" in value else None


def _results(messages: Sequence[Message]) -> Iterator[Result]:
    calls: dict[str, ToolCall] = {}
    for message in messages:
        for call in message.tool_calls:
            calls[call.id] = call
        if message.role == "tool" and message.tool_call_id in calls:
            call = calls[message.tool_call_id]
            yield Result(call.name, call.parsed(), _object(message.text))


def _object(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError:
        return {"text": text}
    return value if isinstance(value, dict) else {"value": value}
