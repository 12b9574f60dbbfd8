"""How a turn ends: one commit that consumes what was heard, appends the transcript, posts the answer and counts the money.

Or how it waits, when the model is away: nothing is consumed, people are told once, and the pause grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent import notices, status, transcript, words
from agent.session import Session
from agent.tooling import failed
from storage.errors import Conflict
from storage.records import Change, Json, OutboxEvent, Workflow

COMMIT_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """`waiting`: the model is away, the items are kept, come back after `retry_after` seconds. Otherwise they are consumed."""

    status: Literal["answered", "waiting", "stopped", "failed"]
    retry_after: float | None = None
    model_calls: int = 0


async def answered(session: Session, text: str) -> TurnOutcome:
    """The model's answer; "" when the cards of its tools say everything."""
    event = notices.prose(
        text, channel=_channel(session), thread_ts=session.turn.thread_ts, key=f"{session.id}:prose"
    )
    await _end(session, said=text, events=(event,) if text else ())
    return TurnOutcome("answered", model_calls=session.replies + 1)


async def said_by_code(
    session: Session, outcome: Literal["stopped", "failed"], text: str, *, level: str
) -> TurnOutcome:
    """A notice instead of an answer, in words of ours."""
    event = _notice(session, text, part="notice", level=level)
    await _end(session, said=f"(the bot's own notice: {text})", events=(event,))
    return TurnOutcome(outcome, model_calls=session.replies)


async def wait(session: Session) -> TurnOutcome:
    """The model is away: everything stays where it is, and somebody comes back later; in the end it is given up, aloud."""
    limits, now = session.limits, session.deps.clock()
    since = session.waiting_since or now
    if now - since >= limits.patience_seconds:
        text = notices.gave_up_text(round(limits.patience_seconds / 60))
        return await said_by_code(session, "failed", text, level="error")
    if not session.waits:
        event = _notice(session, notices.waiting_text(len(session.said())), part="waiting", level="warning")
        await session.deps.state.commit(
            session.turn.tenant, Change(events=(event,), lease=session.turn.lease)
        )
    pause = min(limits.longest_pause_seconds, limits.first_pause_seconds * 2.0 ** min(session.waits, 10))
    await session.write({"kind": "waiting", "attempt": session.waits + 1, "since": since})
    return TurnOutcome("waiting", retry_after=pause, model_calls=session.replies)


async def _end(session: Session, *, said: str, events: Sequence[OutboxEvent]) -> None:
    now = session.deps.clock()
    messages = [*session.messages, *_closed(session, now)]
    if said:
        messages.append({"role": "assistant", "content": said, "calls": [], "at": now})
    change = Change(
        events=(*await _welcome(session), *events, *await _by_code(session)),
        lease=session.turn.lease,
        consumed=(session.turn.lane, tuple(session.items)),
        transcript=(session.turn.lane, transcript.placed(messages, session.stored)),
    )
    await _commit(session, change)


async def _commit(session: Session, change: Change) -> None:
    """With the turn's cost on the newest workflow, again on every conflict. Raises `LostLease`."""
    for _ in range(COMMIT_ATTEMPTS):
        workflow = await session.workflow() if session.cost_usd else None
        puts = (replace(workflow, spent_usd=workflow.spent_usd + session.cost_usd),) if workflow else ()
        try:
            await session.deps.state.commit(session.turn.tenant, replace(change, puts=puts))
            return
        except Conflict:
            continue
    await session.deps.state.commit(session.turn.tenant, change)


def _closed(session: Session, now: float) -> list[Json]:
    """No call without a result may enter the transcript: servers refuse such a conversation."""
    return [
        transcript.from_result(call["id"], failed("The turn was stopped."), at=now)
        for call in session.pending
    ]


async def _welcome(session: Session) -> list[OutboxEvent]:
    """The status card, for somebody who returns after an hour or more."""
    workflow = await session.workflow() if session.was_idle else None
    if workflow is None:
        return []
    tasks, proposals = await session.tasks(workflow), await session.proposals()
    facts = status.describe(workflow, tasks, proposals, session.deps.clock(), steps_of=session.step_of)
    key = f"{session.id}:status"
    return [OutboxEvent("status", _channel(session), session.turn.thread_ts, facts, key=key)]


async def _by_code(session: Session) -> list[OutboxEvent]:
    """What people must see whatever the model says: what is missing, and the button that decides."""
    listed = {name: result for name, result in session.results if result.get("missing")}
    succeeded = {name for name, result in session.results if result.get("ok")}
    titles = {tool.name: tool.title for tool in session.tools}
    mended = {
        name for name, result in listed.items() if result.get("next") in succeeded
    }  # the model saw to it at once
    refused = [name for name in listed if name in titles and name not in succeeded | mended]
    workflow = await session.workflow() if refused else None
    events = [_refusal(session, name, titles[name], listed[name], workflow) for name in refused]
    return [*events, *await _buttons_again(session)]


def _refusal(session: Session, name: str, title: str, result: Json, workflow: Workflow | None) -> OutboxEvent:
    text = notices.refusal_text(title, result)
    buttons = notices.refusal_buttons(result, workflow)
    return _notice(session, text, part=f"refused:{name}", level="warning", buttons=buttons)


async def _buttons_again(session: Session) -> list[OutboxEvent]:
    said = session.said()
    if not session.undecided and not (said and words.leans_to_yes(said[-1])):
        return []
    first = min((item.at for item in said), default=0.0)
    older = [proposal for proposal in await session.proposals() if proposal.created_at < first]
    return [words.button_again(proposal, key=f"{session.id}:again:{proposal.id}") for proposal in older[:3]]


def _notice(
    session: Session, text: str, *, part: str, level: str, buttons: Sequence[Json] = ()
) -> OutboxEvent:
    key = f"{session.id}:{part}"
    thread = session.turn.thread_ts
    return notices.notice(
        text, channel=_channel(session), thread_ts=thread, key=key, level=level, buttons=buttons
    )


def _channel(session: Session) -> str:
    return session.turn.channel
