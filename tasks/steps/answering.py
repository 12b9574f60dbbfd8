"""A model's answer to a row's conversation, and its grade: what dry runs, grader tests and evaluations repeat.

The outcome of one answer is plain JSON, so that it can be a checkpoint. A failure is an outcome, too; only a server that is away is
not, because asking again later helps.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from storage.records import Grader, Json
from storage.rows import Row, conversation_text, last_user_message
from tasks import graders
from tasks.graders.port import Bench, Grade, Sample
from tasks.models.port import (
    ChatReply,
    ChatRequest,
    Message,
    ModelAnswerInvalid,
    ModelRefused,
    ToolCall,
    ToolSchema,
)
from tasks.step import StepContext, StepError
from tasks.steps.common import cut

KEPT_CHARACTERS = 2_000  # of a response, in checkpoints and reports
SHOWN_CHARACTERS = 600  # on cards
MAX_TOKENS = 1_024


@dataclass(frozen=True, slots=True)
class Judge:
    """A grader's kind and configuration, and the version they are of (0: a draft)."""

    kind: str
    config: Json
    number: int


async def current_grader(ctx: StepContext, version: int = 0) -> Judge:
    """That version, else the one that the workflow stood on when the task was started. Raises `StepError`."""
    number = version or ctx.workflow.grader_version
    found = await ctx.deps.state.get(ctx.workflow.tenant, Grader, f"{ctx.workflow.id}.{number}")
    if found is None:
        raise StepError(
            "No grader yet: say how an answer should be judged.", code="grader", next="configure_grader"
        )
    return Judge(found.kind, found.config, found.number)


def base_model(ctx: StepContext) -> str:
    """The model that training will begin from: the workflow's own choice, else the setting."""
    return str(ctx.workflow.configuration.get("model_base") or ctx.deps.settings.base_model)


@asynccontextmanager
async def bench(ctx: StepContext) -> AsyncIterator[Bench]:
    settings = ctx.deps.settings
    async with graders.bench(
        chat=ctx.deps.chat, judge_model=settings.judge_model, meter=ctx.meter, embedder=ctx.deps.embedder
    ) as opened:
        yield opened


async def answer_and_grade(ctx: StepContext, model: str, row: Row, judge: Judge, bench: Bench) -> Json:
    """`{response, score, reasoning, error, parts, refused}`. Raises `ModelUnavailable` only."""
    try:
        reply = await respond(ctx, model, row)
    except (ModelRefused, ModelAnswerInvalid) as error:
        said = (
            "The model would not answer this row."
            if isinstance(error, ModelRefused)
            else "The model's answer was unreadable."
        )
        return {"response": "", "score": None, "reasoning": "", "error": said, "parts": {}, "refused": True}
    grade = await graders.grade(judge.kind, judge.config, sample_of(row, reply), bench)
    return outcome(reply.text or _calls_text(reply), grade)


def outcome(response: str, grade: Grade) -> Json:
    return {
        "response": cut(response, KEPT_CHARACTERS),
        "length": len(response),
        "score": grade.score,
        "reasoning": cut(grade.reasoning, 1_000),
        "error": cut(grade.error, 300),
        "parts": dict(grade.parts),
        "refused": False,
    }


async def respond(ctx: StepContext, model: str, row: Row) -> ChatReply:
    """One answer to the row's own messages, with its tools when it has them. Raises `ModelError`s."""
    request = ChatRequest(
        model=model,
        messages=[_message(message) for message in row.input.messages],
        tools=[tool for given in row.input.tools or () if (tool := _tool(given)) is not None],
        max_tokens=MAX_TOKENS,
    )
    reply = await ctx.deps.chat.complete(request)
    ctx.meter(model, reply.usage)
    return reply


def sample_of(row: Row, reply: ChatReply) -> Sample:
    """What graders see of a row and its answer."""
    return sample_with(row, reply.text, tool_calls=[_wire_call(call) for call in reply.tool_calls])


def sample_with(row: Row, text: str, *, tool_calls: list[Json] | None = None) -> Sample:
    reference = row.reference_answer
    item = {**({"reference_answer": reference} if reference else {}), **row.item}
    return Sample(
        messages=row.input.messages,
        output=text,
        output_tools=tool_calls or (),
        item=item,
        tools=[tool for tool in row.input.tools or () if isinstance(tool, dict)],
    )


def item_fields(rows: tuple[Row, ...]) -> frozenset[str]:
    """The columns that graders may name, as far as these rows have them."""
    fields = {name for row in rows for name in row.item}
    return frozenset(fields | ({"reference_answer"} if any(row.reference_answer for row in rows) else set()))


def shown(row: Row, outcome: Json) -> Json:
    """A sample for a card: prompt, response, score and why."""
    return {
        "prompt": cut(last_user_message(row) or conversation_text(row.input.messages), SHOWN_CHARACTERS),
        "response": cut(str(outcome["response"]), SHOWN_CHARACTERS),
        "score": outcome["score"],
        "reasoning": cut(str(outcome["reasoning"]), SHOWN_CHARACTERS),
        "error": outcome["error"],
        "parts": outcome["parts"],
        "record_id": cut(row.id, 100),
        "topic": row.topic or "",
    }


def check_not_all_refused(outcomes: list[Json]) -> None:
    """A model that refuses every row is misconfigured; say that instead of counting errors."""
    if len(outcomes) >= 3 and all(outcome.get("refused") for outcome in outcomes):
        raise StepError("The model refuses every row. Check its name and access.", code="model_refused")


def _message(message: Json) -> Message:
    calls = [call for call in message.get("tool_calls") or () if isinstance(call, dict)]
    return Message(
        role=message.get("role", "user"),
        content=message.get("content"),
        tool_calls=tuple(_call(call) for call in calls),
        tool_call_id=str(message.get("tool_call_id") or ""),
    )


def _call(call: Json) -> ToolCall:
    function = call.get("function") if isinstance(call.get("function"), dict) else {}
    arguments: Any = (function or {}).get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(id=str(call.get("id", "")), name=str((function or {}).get("name", "")), arguments=text)


def _wire_call(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _calls_text(reply: ChatReply) -> str:
    return " ".join(f"{call.name}({call.arguments})" for call in reply.tool_calls)


def _tool(tool: Any) -> ToolSchema | None:
    if not isinstance(tool, dict):
        return None
    function = tool.get("function") if isinstance(tool.get("function"), dict) else tool
    name = (function or {}).get("name")
    if not isinstance(name, str) or not name:
        return None
    parameters = (function or {}).get("parameters")
    return ToolSchema(
        name=name,
        description=str((function or {}).get("description") or ""),
        parameters=parameters if isinstance(parameters, dict) else {"type": "object", "properties": {}},
    )
