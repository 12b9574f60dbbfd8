"""One turn of the agent: everything that waits in a thread, answered by a model with tools, exactly once.

All that the turn does is journalled before it counts: what was heard, each reply before its tools run, each tool's result.
A killed turn is taken up by another process from the journal; a call that has a result is not run again, and one that has
none runs under the same key. One commit at the end consumes the items, appends the transcript and posts the answer.
Deciding by words is `words.py`; what people read when the model fails is `notices.py`; who leases the thread is the bot's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent import notices, status, transcript, words
from agent.context import closing, prompt
from agent.tooling import Order, Tool, ToolContext, failed
from agent.tools import TOOLS, allowed_tools
from storage.errors import Conflict
from storage.records import Change, InboxItem, Json, Lease, OutboxEvent, Proposal, Task, Tenant, Workflow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person, short_id
from tasks.models.port import ChatReply, ChatRequest, Message, ModelAnswerInvalid, ModelError, ModelRefused, ModelUnavailable
from tasks.rules.approvals import explicit_order

log = logging.getLogger(__name__)
COMMIT_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class TurnInput:
    """A leased lane and what waits in it. `items` is everything that `Inbox.waiting` gave."""

    tenant: Tenant
    lane: str
    lease: Lease
    channel: str
    thread_ts: str
    items: tuple[InboxItem, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    model_calls: int = 20
    calls_per_reply: int = 16
    temperature: float = 0.2
    model_seconds: float = 150.0
    first_pause_seconds: float = 5.0
    longest_pause_seconds: float = 60.0
    patience_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """`waiting`: the model is away, the items are kept, come back after `retry_after` seconds. Otherwise they are consumed."""

    status: Literal["answered", "waiting", "stopped", "failed"]
    retry_after: float | None = None
    model_calls: int = 0


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
    session = _Session(turn, deps, desk, whois, stopped, tools, limits or Limits())
    await session.take_up()
    try:
        return await session.converse()
    except ModelUnavailable as error:
        log.warning("the model is away: %s", error)
        return await session.wait()
    except ModelError as error:
        log.error("the model cannot be used: %s", error)
        return await session.end("failed", notice=notices.trouble_text(error, deps.settings.agent_model), level="error")


class _Session:
    """The state of one turn while this process works on it; everything in it can be rebuilt from the journal."""

    def __init__(
        self,
        turn: TurnInput,
        deps: Deps,
        desk: Desk,
        whois: Callable[[str], Awaitable[Person]],
        stopped: Callable[[], Awaitable[bool]],
        tools: Sequence[Tool],
        limits: Limits,
    ) -> None:
        self.turn, self.deps, self.desk = turn, deps, desk
        self.whois, self.stopped, self.limits = whois, stopped, limits
        self.tools = tools
        self.tool_of = {tool.name: tool for tool in tools}
        self.schemas = [tool.schema for tool in tools]
        self.state = deps.state
        self.thread = words.Thread(turn.tenant, turn.channel, turn.thread_ts)
        self.items: dict[str, InboxItem] = {}
        self.messages: list[Json] = []
        self.pending: list[Json] = []  # calls of the last reply that have no result yet
        self.intents: dict[str, words.Intent] = {}
        self.results: list[tuple[str, Json]] = []  # (tool, result) of this turn
        self.id = ""
        self.replies = self.calls = self.waits = 0
        self.waiting_since = 0.0
        self.cost_usd = 0.0
        self.undecided = False
        self.was_idle = False
        self.stored: tuple[Json, ...] = ()
        self.last_stored: tuple[Json, ...] = ()

    # ------------------------------------------------------------ taking up

    async def take_up(self) -> None:
        """Rebuild what was done before, if anything was; then hear what is new."""
        known = {item.id: item for item in self.turn.items}
        for entry in await self.state.entries(self.turn.tenant, self.turn.lane):
            self._replay(entry, known)
        self.last_stored = await self.state.transcript(
            self.turn.tenant, self.turn.lane, last=transcript.LAST_MESSAGES
        )
        self.stored = transcript.window(self.last_stored)
        if not self.id:
            self.id = short_id("n", self.turn.lane, *known)
            await self._hear(self.turn.items)

    def _replay(self, entry: Json, known: dict[str, InboxItem]) -> None:
        match entry["kind"]:
            case "started" | "heard":
                self.id = self.id or entry["turn"]
                self.items |= {id: known[id] for id in entry["items"] if id in known}
                self.messages += entry["messages"]
                self.undecided = self.undecided or bool(entry.get("undecided"))
                self.was_idle = self.was_idle or bool(entry.get("idle"))
            case "deciding":
                self.intents[entry["item"]] = words.Intent(entry["proposal"], entry["approve"])
            case "reply":
                self._replied(entry)
            case "result":
                self._answered(entry)
            case "waiting":
                self.waits = entry["attempt"]
                self.waiting_since = entry["since"]

    # ------------------------------------------------------------ hearing

    async def _hear(self, items: Sequence[InboxItem]) -> None:
        """Take new items into the turn: words that decide are carried out, everything becomes a message."""
        first = not self.items
        heard: list[Json] = await self._welcome(items) if first else []
        for place, item in enumerate(items):
            heard += await self._one(item, items[place + 1 :])
        self.items |= {item.id: item for item in items}
        entry = {
            "kind": "started" if first else "heard",
            "turn": self.id,
            "items": list(self.items),
            "messages": heard,
            "undecided": self.undecided,
            "idle": self.was_idle,
        }
        await self._write(entry)
        self.messages += heard

    async def _one(self, item: InboxItem, later: Sequence[InboxItem]) -> list[Json]:
        if item.id in self.items:  # an event that a decision by words has already brought along
            return []
        said = [transcript.from_item(item)] if item.kind != "stop" else []
        outcome = await self._stop(item) or await self._decide(item, later)
        if outcome is None:
            return said
        if outcome.get("event") == "words_did_not_decide":
            self.undecided = True
        brought = await self._brought_along(outcome)
        return [*said, *(brought or [transcript.event(outcome, at=item.at)])]

    async def _stop(self, item: InboxItem) -> Json | None:
        if not words.is_stop(item):
            return None
        workflow = await self._workflow()
        return await words.stop_work(self.desk, self.turn.tenant, workflow.id, by=item.user) if workflow else None

    async def _decide(self, item: InboxItem, later: Sequence[InboxItem]) -> Json | None:
        wanted: words.Intent | Json | None = self.intents.get(item.id)
        if wanted is None:
            if item.kind != "message":
                return None
            proposals = await self._proposals()
            wanted = await words.intent(item, later, proposals, shown=self.state, thread=self.thread)
            if isinstance(wanted, words.Intent):
                entry = {"kind": "deciding", "item": item.id, "proposal": wanted.proposal_id, "approve": wanted.approve}
                await self._write(entry)
        if not isinstance(wanted, words.Intent):
            return wanted
        person = await self.whois(item.user)
        return await words.carry_out(wanted, item, person, desk=self.desk, tenant=self.turn.tenant)

    async def _brought_along(self, outcome: Json) -> list[Json]:
        """The desk's own event about a decision, which waits in this lane: part of this turn instead of one more."""
        ids = {f"approved:{outcome.get('proposal_id')}", f"rejected:{outcome.get('proposal_id')}"}
        waiting = await self.state.waiting(self.turn.tenant, self.turn.lane) if "proposal_id" in outcome else ()
        found = [item for item in waiting if item.id in ids]
        self.items |= {item.id: item for item in found}
        return [transcript.from_item(item) for item in found]

    async def _welcome(self, items: Sequence[InboxItem]) -> list[Json]:
        """Somebody returns after an hour or more: the model is told where things stand, and the status card is shown."""
        last = self.last_stored[-1]["at"] if self.last_stored else None
        now = self.deps.clock()
        if last is None or now - last < status.IDLE_SECONDS or not any(item.kind == "message" for item in items):
            return []
        workflow = await self._workflow()
        if workflow is None:
            return []
        self.was_idle = True
        facts = status.welcome_back(workflow, await self._tasks(workflow), await self._proposals(), now)
        return [transcript.event(facts, at=now)]

    async def _more(self) -> bool:
        """Take in what has arrived meanwhile, so that the last word counts. True when there was something."""
        waiting = await self.state.waiting(self.turn.tenant, self.turn.lane)
        new = tuple(item for item in waiting if item.id not in self.items)
        if new:
            await self._hear(new)
        return bool(new)

    # ------------------------------------------------------------ the conversation with the model

    async def converse(self) -> TurnOutcome:
        empty = 0
        while True:
            await self._run_pending()
            if await self.stopped():
                return await self.end("stopped", notice=notices.STOPPED)
            if self.replies >= self.limits.model_calls:
                text = notices.ENDLESS.format(calls=self.limits.model_calls)
                return await self.end("failed", notice=text, level="warning")
            if self.replies or empty:
                await self._more()
            reply = await self._ask()
            if reply.tool_calls:
                await self._keep(reply)
                continue
            if await self._more():  # said before the answer was out: it would answer the wrong question
                continue
            if reply.text.strip():
                return await self.end("answered", prose=reply.text, reply=reply)
            empty += 1
            if empty == 2:
                return await self._end_without_words()

    async def _ask(self) -> ChatReply:
        """The model's next reply. Raises `ModelError`s."""
        request = await self._request()
        try:
            reply = await self._complete(request)
        except ModelAnswerInvalid:
            reply = await self._complete(request)
        except ModelRefused as refusal:
            if refusal.code != "context_length_exceeded" or not self.stored:
                raise
            self.stored = ()
            reply = await self._complete(await self._request())
        price = self.deps.settings.price(self.deps.settings.agent_model)
        spent = reply.usage.input_tokens * price.input + reply.usage.output_tokens * price.output
        self.cost_usd += spent / 1_000_000
        return reply

    async def _complete(self, request: ChatRequest) -> ChatReply:
        try:
            async with asyncio.timeout(self.limits.model_seconds):
                return await self.deps.chat.complete(request)
        except TimeoutError as error:
            raise ModelUnavailable("no answer in time") from error

    async def _request(self) -> ChatRequest:
        workflow = await self._workflow()
        tasks = await self._tasks(workflow)
        last = closing(workflow, tasks, await self._proposals(), self.tools)
        said = [transcript.to_message(message) for message in (*self.stored, *self.messages)]
        return ChatRequest(
            model=self.deps.settings.agent_model,
            messages=(Message("system", prompt("system")), *said, Message("system", last)),
            tools=self.schemas,
            allowed_tools=allowed_tools(workflow, self.tools),
            temperature=self.limits.temperature,
            cache_key=self.turn.lane,
        )

    async def _keep(self, reply: ChatReply) -> None:
        """Journal a reply before its tools run. Calls get ids of ours: models repeat theirs, or leave them out."""
        calls = [
            {"id": short_id("c", self.id, str(self.calls + place)), "name": call.name, "arguments": call.arguments}
            for place, call in enumerate(reply.tool_calls)
        ]
        entry = {"kind": "reply", "text": reply.text, "calls": calls, "at": self.deps.clock(), "cost": self.cost_usd}
        await self._write(entry)
        self._replied(entry)

    def _replied(self, entry: Json) -> None:
        self.messages.append(transcript.from_reply(entry, at=entry["at"]))
        self.pending = list(entry["calls"])
        self.calls += len(entry["calls"])
        self.replies += 1
        self.cost_usd = entry["cost"]

    async def _run_pending(self) -> None:
        """Run the calls of the last reply that have no result yet, one after the other, in order."""
        for place, call in enumerate(list(self.pending)):
            if place < self.limits.calls_per_reply:
                result = await self._call(call)
            else:
                result = failed(f"At most {self.limits.calls_per_reply} calls at once. Go on with the results you have.")
            entry = {"kind": "result", "call": call["id"], "tool": call["name"], "result": result, "at": self.deps.clock()}
            await self._write(entry)
            self._answered(entry)

    def _answered(self, entry: Json) -> None:
        self.messages.append(transcript.from_result(entry["call"], entry["result"], at=entry["at"]))
        self.pending = [call for call in self.pending if call["id"] != entry["call"]]
        self.results.append((entry["tool"], entry["result"]))

    async def _call(self, call: Json) -> Json:
        tool = self.tool_of.get(call["name"])
        if tool is None:
            return failed(f"There is no tool {call['name'][:60]!r}. The tools are: {', '.join(self.tool_of)}.")
        return await tool.call(await self._context(call["id"]), call["arguments"])

    async def _context(self, call_id: str) -> ToolContext:
        said = [item for item in self.items.values() if item.kind == "message" and item.user]
        last = said[-1] if said else None
        workflow = await self._workflow()
        actor = await self.whois(last.user) if last else Person(id=workflow.owner if workflow else "")
        return ToolContext(
            tenant=self.turn.tenant,
            channel=self.turn.channel,
            thread_ts=self.turn.thread_ts,
            actor=actor,
            deps=self.deps,
            desk=self.desk,
            call_id=call_id,
            workflow=workflow,
            evidence=words.ts_of(last) if last else "",
            orders=tuple([await self._order(item) for item in said if explicit_order(item.text)]),
        )

    async def _order(self, item: InboxItem) -> Order:
        order = explicit_order(item.text)
        assert order is not None  # noqa: S101  asked by the caller
        return Order(order=order, person=await self.whois(item.user), evidence=words.ts_of(item))

    # ------------------------------------------------------------ endings

    async def wait(self) -> TurnOutcome:
        """The model is away: everything stays where it is, people are told once, and somebody comes back later."""
        now = self.deps.clock()
        self.waiting_since = self.waiting_since or now
        if now - self.waiting_since >= self.limits.patience_seconds:
            minutes = round(self.limits.patience_seconds / 60)
            return await self.end("failed", notice=notices.gave_up_text(minutes), level="error")
        if not self.waits:
            messages = sum(1 for item in self.items.values() if item.kind == "message")
            event = self._notice(notices.waiting_text(messages), part="waiting", level="warning")
            await self.state.commit(self.turn.tenant, Change(events=(event,), lease=self.turn.lease))
        pause = min(self.limits.longest_pause_seconds, self.limits.first_pause_seconds * 2.0 ** min(self.waits, 10))
        self.waits += 1
        await self._write({"kind": "waiting", "attempt": self.waits, "since": self.waiting_since})
        return TurnOutcome("waiting", retry_after=pause, model_calls=self.replies)

    async def end(
        self,
        outcome: Literal["answered", "stopped", "failed"],
        *,
        prose: str = "",
        notice: str = "",
        level: str = "info",
        reply: ChatReply | None = None,
    ) -> TurnOutcome:
        """The one commit: items consumed, transcript appended, journal cleared, answer posted, money counted."""
        events = await self._events(prose=prose, notice=notice, level=level)
        said = list(self.messages)
        if reply is not None or notice:
            now = self.deps.clock()
            text = reply.text if reply else f"(the bot's own notice: {notice})"
            said = [*self._closed(said, now), {"role": "assistant", "content": text, "calls": [], "at": now}]
        change = Change(
            events=events,
            lease=self.turn.lease,
            consumed=(self.turn.lane, tuple(self.items)),
            transcript=(self.turn.lane, transcript.placed(said, self.last_stored)),
        )
        await self._commit(change)
        return TurnOutcome(outcome, model_calls=self.replies + (1 if reply else 0))

    async def _end_without_words(self) -> TurnOutcome:
        """Twice nothing. Where a tool did something its card speaks; otherwise people get a clear answer."""
        if any(result.get("ok") for _, result in self.results):
            return await self.end("answered")
        return await self.end("failed", notice=notices.EMPTY, level="warning")

    async def _events(self, *, prose: str, notice: str, level: str) -> tuple[OutboxEvent, ...]:
        workflow = await self._workflow()
        events: list[OutboxEvent] = []
        if self.was_idle and workflow:
            facts = status.describe(
                workflow, await self._tasks(workflow), await self._proposals(), self.deps.clock(), steps_of=self._step_of
            )
            events.append(OutboxEvent("status", self.turn.channel, self.turn.thread_ts, facts, key=f"{self.id}:status"))
        if prose:
            key = f"{self.id}:prose"
            events.append(notices.prose(prose, channel=self.turn.channel, thread_ts=self.turn.thread_ts, key=key))
        if notice:
            events.append(self._notice(notice, part="notice", level=level))
        events += self._refusals(workflow)
        events += await self._buttons_again()
        return tuple(events)

    def _refusals(self, workflow: Workflow | None) -> list[OutboxEvent]:
        """Each tool that was refused for what is missing: listed by code, whatever the model makes of it."""
        listed = {name: result for name, result in self.results if result.get("missing")}
        succeeded = {name for name, result in self.results if result.get("ok")}
        return [
            self._notice(
                notices.refusal_text(self.tool_of[name].title, result),
                part=f"refused:{name}",
                level="warning",
                buttons=notices.refusal_buttons(result, workflow),
            )
            for name, result in listed.items()
            if name in self.tool_of and name not in succeeded
        ]

    async def _buttons_again(self) -> list[OutboxEvent]:
        """Words that sounded like a decision and were none: the button is shown again."""
        said = [item for item in self.items.values() if item.kind == "message"]
        if not self.undecided and not (said and words.leans_to_yes(said[-1])):
            return []
        first_heard = min((item.at for item in said), default=0.0)
        older = [proposal for proposal in await self._proposals() if proposal.created_at < first_heard]
        return [words.button_again(proposal, key=f"{self.id}:again:{proposal.id}") for proposal in older[:3]]

    def _closed(self, said: list[Json], now: float) -> list[Json]:
        """No call without a result may enter the transcript: servers refuse such a conversation."""
        left = [transcript.from_result(call["id"], failed("The turn was stopped."), at=now) for call in self.pending]
        return [*said, *left]

    async def _commit(self, change: Change) -> None:
        """With the turn's cost on the newest workflow, again on every conflict. Raises `LostLease`."""
        for _ in range(COMMIT_ATTEMPTS):
            workflow = await self._workflow() if self.cost_usd else None
            puts = (replace(workflow, spent_usd=workflow.spent_usd + self.cost_usd),) if workflow else ()
            try:
                await self.state.commit(self.turn.tenant, replace(change, puts=puts))
                return
            except Conflict:
                continue
        await self.state.commit(self.turn.tenant, change)

    # ------------------------------------------------------------ small helpers

    async def _workflow(self) -> Workflow | None:
        return await self.desk.workflow_of_thread(self.turn.tenant, self.turn.channel, self.turn.thread_ts)

    async def _tasks(self, workflow: Workflow | None) -> tuple[Task, ...]:
        return await self.desk.open_tasks(self.turn.tenant, workflow.id) if workflow else ()

    async def _proposals(self) -> tuple[Proposal, ...]:
        return await self.desk.open_proposals(self.turn.tenant, self.turn.channel, self.turn.thread_ts)

    async def _write(self, entry: Json) -> None:
        await self.state.write(self.turn.lease, self.turn.lane, entry)

    def _notice(self, text: str, *, part: str, level: str, buttons: Sequence[Json] = ()) -> OutboxEvent:
        turn = self.turn
        return notices.notice(
            text, channel=turn.channel, thread_ts=turn.thread_ts, key=f"{self.id}:{part}", level=level, buttons=buttons
        )

    def _step_of(self, operation: str) -> str | None:
        found = self.desk.operations.get(operation)
        return found.step if found else None
