"""A model that says what a test tells it: the agent from a script, structured answers and answers to rows from functions.

Nothing is invented: a structured call without a function, or a row's answer without one, fails the test.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from storage.records import Json
from tasks.models.port import ChatReply, ChatRequest, ToolCall, Usage

AGENT, WRITER, JUDGE, BASE = "agent-1", "writer-1", "judge-1", "base-1"
USED = Usage(100, 20)
Scripted = str | ChatReply | Exception | Callable[[ChatRequest], Any]


def use(tool: str, /, **arguments: Any) -> ChatReply:
    """A reply that calls one tool."""
    return uses((tool, arguments))


def uses(*wanted: tuple[str, Json]) -> ChatReply:
    """A reply that calls several tools at once."""
    calls = tuple(ToolCall(f"call_{n}", tool, json.dumps(given)) for n, (tool, given) in enumerate(wanted))
    return ChatReply(text="", tool_calls=calls, usage=USED, model=AGENT)


class Model:
    """Implements `ChatModel`. The agent takes its replies from `script`; where that is empty it says "Noted."."""

    def __init__(self) -> None:
        self.script: deque[Scripted] = deque()
        self.structured: dict[str, Callable[[Json], Any]] = {}
        self.answers: dict[
            str, Callable[[str], Any]
        ] = {}  # by model: from the last user message to an answer
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        await asyncio.sleep(0)
        if request.schema is not None:
            asked = json.loads(str(request.messages[-1].content))
            return _said(await _value(self.structured[request.schema.name](asked)), request.model)
        if request.model == AGENT:
            return await self._agent(request)
        last = next(str(one.content) for one in reversed(request.messages) if one.role == "user")
        return _said(await _value(self.answers[request.model](last)), request.model)

    async def close(self) -> None:
        return None

    async def _agent(self, request: ChatRequest) -> ChatReply:
        scripted = self.script.popleft() if self.script else "Noted."
        reply = await _value(scripted(request)) if callable(scripted) else scripted
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, ChatReply) else _said(reply, AGENT)

    # ------------------------------------------------------------ looking

    def asked(self, schema: str) -> list[Json]:
        """The data of every structured call of that name."""
        found = [one for one in self.requests if one.schema is not None and one.schema.name == schema]
        return [json.loads(str(one.messages[-1].content)) for one in found]

    @property
    def turns(self) -> list[ChatRequest]:
        """Every request of the agent."""
        return [one for one in self.requests if one.model == AGENT and one.schema is None]

    @property
    def work(self) -> list[ChatRequest]:
        """Every other request: what would have cost money or shown rows."""
        return [one for one in self.requests if one.schema is not None or one.model != AGENT]


def told(request: ChatRequest) -> list[str]:
    """What the model was told by people and events, oldest first."""
    return [str(message.content) for message in request.messages if message.role == "user"]


def results(request: ChatRequest) -> list[Json]:
    """The tool results in a request, oldest first."""
    return [json.loads(str(message.content)) for message in request.messages if message.role == "tool"]


class Scores:
    """Base and tuned answers and what the judge thinks of them. `deal` gives the next rows these scores, in order.

    The judge knows an answer by its number; an answer that nobody gave (an attack) deserves 0.05. `tuned` maps a
    criterion to the score of every tuned answer; without it the tuned model is as good as the base.
    """

    def __init__(self, model: Model) -> None:
        self.known: dict[str, float | Json | None] = {}
        self.waiting: deque[float | Json | None] = deque()
        self.tuned: Json = {}
        self.by_text: Callable[[str], float | None] | None = None
        model.answers[BASE] = self.base
        model.structured["judgement"] = self.judge

    def deal(self, scores: Sequence[float | None]) -> None:
        self.waiting = deque(scores)

    def base(self, text: str) -> str:
        score = self.by_text(text) if self.by_text else (self.waiting.popleft() if self.waiting else 0.5)
        answer = f"Base answer number {len(self.known) + 1}, to the point."
        self.known[answer] = score
        return answer

    def better(self, text: str) -> str:
        answer = f"Tuned answer number {len(self.known) + 1}, to the point."
        self.known[answer] = self.tuned
        return answer

    def judge(self, data: Json) -> Any:
        score = self.known.get(data["response"], 0.05)
        if isinstance(score, dict):
            score = score.get(data["criterion"]["name"], score.get("", 0.0))
        if score is None:
            return "I would rather not say."
        return {"score": score, "reasoning": "as dealt"}


async def _value(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


def _said(value: Any, model: str) -> ChatReply:
    if isinstance(value, Exception):
        raise value
    text = value if isinstance(value, str) else json.dumps(value)
    return ChatReply(text=text, tool_calls=(), usage=USED, model=model)
