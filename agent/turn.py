"""One turn of the agent: everything that waits in a thread, answered by a model with tools, exactly once.

All that the turn does is journalled before it counts: what was heard, each reply before its tools run, each tool's result.
A killed turn is taken up by another process from the journal; a call that has a result is not run again, and one that has
none runs under the same key. Who leases the thread, and who comes back after a pause, is the bot's part.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from agent import endings, hearing, notices, transcript, words
from agent.context import closing, prompt
from agent.endings import TurnOutcome
from agent.session import Limits, Session, TurnInput
from agent.tooling import Order, Tool, ToolContext, failed
from agent.tools import TOOLS, allowed_tools
from storage.records import Json
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person, short_id
from tasks.models.port import (
    ChatReply,
    ChatRequest,
    Message,
    ModelAnswerInvalid,
    ModelError,
    ModelRefused,
    ModelUnavailable,
)
from tasks.rules.approvals import explicit_order

__all__ = ["Limits", "TurnInput", "TurnOutcome", "run"]
log = logging.getLogger(__name__)


async def run(
    turn: TurnInput,
    *,
    deps: Deps,
    desk: Desk,
    whois: Callable[[str], Awaitable[Person]],
    stopped: Callable[[], Awaitable[bool]],
    tools: Sequence[Tool] = TOOLS,
    limits: Limits | None = None,
) -> TurnOutcome:
    """Answer what waits. `whois` resolves a Slack user id; `stopped` says whether somebody asked this turn to stop.

    Raises `LostLease` when somebody else has the thread, `Unavailable` when state is out of reach: nothing is lost then.
    """
    session = Session(turn, deps, desk, whois, tools, limits or Limits())
    await session.load()
    if not session.resumed:
        await hearing.hear(session, turn.items)
    try:
        return await _converse(session, stopped)
    except ModelUnavailable as error:
        log.warning("the model is away: %s", error)
        return await endings.wait(session)
    except ModelError as error:
        log.error("the model cannot be used: %s", error)
        text = notices.trouble_text(error, deps.settings.agent_model)
        return await endings.said_by_code(session, "failed", text, level="error")


async def _converse(session: Session, stopped: Callable[[], Awaitable[bool]]) -> TurnOutcome:
    """Ask, run tools, ask again, until there is an answer in words or a reason to stop. Raises `ModelError`s."""
    asked = empty = 0
    while True:
        await _run_pending(session, stopped)
        if await stopped():
            return await endings.said_by_code(session, "stopped", notices.STOPPED, level="info")
        if session.replies >= session.limits.model_calls:
            text = notices.ENDLESS.format(calls=session.replies)
            return await endings.said_by_code(session, "failed", text, level="warning")
        if asked or session.resumed:
            await hearing.hear_more(session)
        reply = await _ask(session)
        asked += 1
        if reply.tool_calls:
            await _keep(session, reply)
        elif await hearing.hear_more(session) and asked < session.limits.model_calls:
            continue  # the answer is to a question that has changed meanwhile
        elif reply.text.strip():
            return await endings.answered(session, reply.text)
        elif empty:
            return await _without_words(session)
        else:
            empty += 1


async def _without_words(session: Session) -> TurnOutcome:
    """Twice nothing. Where a tool did something its card speaks; otherwise people get a clear answer."""
    if any(result.get("ok") for _, result in session.results):
        return await endings.answered(session, "")
    return await endings.said_by_code(session, "failed", notices.EMPTY, level="warning")


# ---------------------------------------------------------------- asking the model


async def _ask(session: Session) -> ChatReply:
    """The model's next reply. Raises `ModelError`s."""
    request = await _request(session)
    try:
        reply = await _complete(session, request)
    except ModelAnswerInvalid:
        reply = await _complete(session, request)
    except ModelRefused as refusal:
        if refusal.code != "context_length_exceeded" or not session.told:
            raise
        session.told = ()
        reply = await _complete(session, await _request(session))
    session.meter(session.deps.settings.agent_model, reply.usage)
    return reply


async def _complete(session: Session, request: ChatRequest) -> ChatReply:
    try:
        async with asyncio.timeout(session.limits.model_seconds):
            return await session.deps.chat.complete(request)
    except TimeoutError as error:
        raise ModelUnavailable("no answer in time") from error


async def _request(session: Session) -> ChatRequest:
    """Fixed tools, fixed prompt, transcript, this turn; last what changes: so the beginning stays cached."""
    workflow = await session.workflow()
    last = closing(workflow, await session.tasks(workflow), await session.proposals(), session.tools)
    said = [transcript.to_message(message) for message in (*session.told, *session.messages)]
    return ChatRequest(
        model=session.deps.settings.agent_model,
        messages=(Message("system", prompt("system")), *said, Message("system", last)),
        tools=[tool.schema for tool in session.tools],
        allowed_tools=allowed_tools(workflow, session.tools),
        temperature=session.limits.temperature,
        cache_key=session.turn.lane,
    )


async def _keep(session: Session, reply: ChatReply) -> None:
    """Journal a reply before its tools run. Calls get ids of ours: models repeat theirs, or leave them out."""
    calls = [
        {
            "id": short_id("c", session.id, str(session.calls + place)),
            "name": call.name,
            "arguments": call.arguments,
        }
        for place, call in enumerate(reply.tool_calls)
    ]
    at, cost = session.deps.clock(), session.cost_usd
    await session.write({"kind": "reply", "text": reply.text, "calls": calls, "at": at, "cost": cost})


# ---------------------------------------------------------------- running tools


async def _run_pending(session: Session, stopped: Callable[[], Awaitable[bool]]) -> None:
    """Run the calls of the last reply that have no result yet, one after the other, in order."""
    for place, call in enumerate(list(session.pending)):
        if place and await stopped():
            return
        result = await _call(session, call, place)
        entry = {"kind": "result", "call": call["id"], "tool": call["name"], "result": result}
        await session.write({**entry, "at": session.deps.clock(), "cost": session.cost_usd})


async def _call(session: Session, call: Json, place: int) -> Json:
    if place >= session.limits.calls_per_reply:
        return failed(
            f"At most {session.limits.calls_per_reply} calls at once. Go on with the results you have."
        )
    tool = next((tool for tool in session.tools if tool.name == call["name"]), None)
    if tool is None:
        known = ", ".join(tool.name for tool in session.tools)
        return failed(f"There is no tool {call['name'][:60]!r}. The tools are: {known}.")
    return await tool.call(await _context(session, call["id"]), call["arguments"])


async def _context(session: Session, call_id: str) -> ToolContext:
    """Who acts is who spoke last; where only something happened, the workflow's owner."""
    said = [item for item in session.said() if item.user]
    workflow = await session.workflow()
    actor = await session.whois(said[-1].user) if said else Person(id=workflow.owner if workflow else "")
    return ToolContext(
        tenant=session.turn.tenant,
        channel=session.turn.channel,
        thread_ts=session.turn.thread_ts,
        actor=actor,
        deps=session.deps,
        desk=session.desk,
        call_id=call_id,
        workflow=workflow,
        evidence=words.ts_of(said[-1]) if said else "",
        orders=await _orders(session),
        meter=session.meter,
    )


async def _orders(session: Session) -> tuple[Order, ...]:
    """Explicit orders in this turn's messages, the last one only: a later one takes the earlier back."""
    found = [(explicit_order(item.text), item) for item in session.said()[-1:]]
    return tuple(
        [Order(order, await session.whois(item.user), words.ts_of(item)) for order, item in found if order]
    )
