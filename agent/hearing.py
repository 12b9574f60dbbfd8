"""How a turn hears what waits: words that decide are carried out, everything becomes a message for the model.

Also what arrives while the model thinks: it joins the turn, so that the last word counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent import status, transcript, words
from agent.session import Session
from storage.records import InboxItem, Json
from tasks.drafting import short_id


async def hear(session: Session, items: Sequence[InboxItem]) -> None:
    """Take new items into the turn and journal them; the first time this is what begins the turn.

    Slack does not promise order: what arrived together is heard as it was written.
    """
    first = not session.id
    items = sorted(items, key=lambda item: item.at)
    batch = _Batch(session)
    heard = await batch.welcome(items) if first else []
    for place, item in enumerate(items):
        heard += await batch.one(item, items[place + 1 :])
    session.items |= batch.taken
    entry = {
        "kind": "started" if first else "heard",
        "turn": session.id or short_id("n", session.turn.lane, *(item.id for item in items)),
        "items": list(batch.taken),
        "messages": heard,
        "undecided": batch.undecided,
        "idle": batch.was_idle,
    }
    await session.write(entry)


async def hear_more(session: Session) -> bool:
    """Take in what has arrived meanwhile, files apart: those are the bot's to fetch. True when there was something."""
    waiting = await session.waiting()
    new = tuple(item for item in waiting if item.id not in session.items and item.kind != "file")
    if new:
        await hear(session, new)
    return bool(new)


class _Batch:
    """Items that are being heard together."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.taken: dict[str, InboxItem] = {}
        self.undecided = False
        self.was_idle = False

    async def one(self, item: InboxItem, later: Sequence[InboxItem]) -> list[Json]:
        """The messages that an item comes to."""
        if item.id in self.taken:  # an event that a decision by words has already brought along
            return []
        self.taken[item.id] = item
        said = [transcript.from_item(item)] if item.kind != "stop" else []
        outcome = await self._stop(item) or await self._decide(item, later)
        if outcome is None:
            return said
        self.undecided = self.undecided or outcome.get("event") == "words_did_not_decide"
        brought = await self._brought_along(outcome)
        return [*said, *(brought or [transcript.event(outcome, at=item.at)])]

    async def welcome(self, items: Sequence[InboxItem]) -> list[Json]:
        """Somebody returns after an hour or more: the model is told where things stand."""
        session, now = self.session, self.session.deps.clock()
        last = session.stored[-1]["at"] if session.stored else now
        if now - last < status.IDLE_SECONDS or not any(item.kind == "message" for item in items):
            return []
        workflow = await session.workflow()
        if workflow is None:
            return []
        self.was_idle = True
        facts = status.welcome_back(workflow, await session.tasks(workflow), await session.proposals(), now)
        return [transcript.event(facts, at=now)]

    async def _stop(self, item: InboxItem) -> Json | None:
        if not words.is_stop(item):
            return None
        workflow = await self.session.workflow()
        if workflow is None:
            return None
        return await words.stop_work(self.session.desk, self.session.turn.tenant, workflow.id, by=item.user)

    async def _decide(self, item: InboxItem, later: Sequence[InboxItem]) -> Json | None:
        session = self.session
        wanted: words.Intent | Json | None = session.intents.get(item.id)
        if wanted is None:
            proposals = await session.proposals() if words.may_decide(item) else ()
            wanted = await words.intent(
                item, later, proposals, shown=session.deps.state, tenant=session.turn.tenant
            )
            if isinstance(wanted, words.Intent):
                entry = {
                    "kind": "deciding",
                    "item": item.id,
                    "proposal": wanted.proposal_id,
                    "approve": wanted.approve,
                }
                await session.write(entry)
        if not isinstance(wanted, words.Intent):
            return wanted
        person = await session.whois(item.user)
        return await words.carry_out(wanted, item, person, desk=session.desk, tenant=session.turn.tenant)

    async def _brought_along(self, outcome: Json) -> list[Json]:
        """The desk's own event about a decision, which waits in this lane: part of this turn instead of one more."""
        if "proposal_id" not in outcome:
            return []
        ids = {f"approved:{outcome['proposal_id']}", f"rejected:{outcome['proposal_id']}"}
        found = [item for item in await self.session.waiting() if item.id in ids]
        self.taken |= {item.id: item for item in found}
        return [transcript.from_item(item) for item in found]
