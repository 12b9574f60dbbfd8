"""A person in one thread of a running stack: speaks, clicks, waits until everything is at rest, and looks at what came of it.

"At rest" is a fact of the state, not of the clock: nothing in the inbox, no task open, no training under way, no approved
proposal without its effect, nothing left to show.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from bot.sandbox.workspace.person import Person, buttons, words
from storage import keys
from storage.errors import StorageError
from storage.ports import State
from storage.records import InboxItem, Proposal, Task, Workflow
from tests.journey.stack import CHANNEL, Stack

Json = dict[str, Any]
PATIENCE_SECONDS = 100.0
GOAL = "Helpful, correct customer support answers that stay on brand"


@dataclass(slots=True)
class Walk:
    """`thread_ts` is set by whatever begins the thread."""

    stack: Stack
    person: Person
    thread_ts: str = ""

    # ------------------------------------------------------------ doing

    def begin(self, name: str, content: bytes, text: str = "") -> None:
        """Share a file in a new thread."""
        self.thread_ts = self.person.upload([(name, content)], text)
        self.heard(self.thread_ts)

    def sample(self, name: str = "customer_support.jsonl", text: str = "") -> None:
        """Share a sample in a new thread."""
        self.thread_ts = self.person.share_sample(name, text)
        self.heard(self.thread_ts)

    def say(self, text: str, *, by: str = "", rest: bool = True) -> str:
        """Say something in the thread (or begin one with it), and wait for what comes of it. The message's ts."""
        who = self._who(by)
        ts = who.post(text, thread_ts=self.thread_ts or None)
        self.thread_ts = self.thread_ts or ts
        self.heard(ts)
        if rest:
            self.rest()
        return ts

    def click(self, action: str, *, contains: str = "", by: str = "", rest: bool = True) -> Json:
        """Press that button on the newest card that has it. The card as it was."""
        card = self.card(action=action, contains=contains)
        self._who(by).click(card, action)
        if rest:
            self.rest()
        return card

    def heard(self, ts: str) -> None:
        """Wait until the message is in the bot's inbox, or has been."""
        name = keys.seen(self.stack.tenant, f"m:{self.person.channel}:{ts}")
        with Redis.from_url(self.stack.environment["REDIS_URL"]) as redis:
            _until(lambda: bool(redis.exists(name)), "the bot has not heard", self)

    def _who(self, by: str) -> Person:
        return self.stack.person(by, self.person.channel) if by else self.person

    def rest(self) -> None:
        """Wait until everything is at rest."""
        rest(self.stack, self)

    # ------------------------------------------------------------ seeing

    def thread(self) -> list[Json]:
        return self.person.messages(thread_ts=self.thread_ts)

    def cards(self, contains: str = "", *, action: str = "") -> list[Json]:
        """The bot's messages that say that and have that button, oldest first."""
        return [
            one
            for one in self.thread()
            if one.get("bot_id") and contains in words(one) and (not action or action in buttons(one))
        ]

    def message(self, ts: str) -> Json:
        """A message as it is now."""
        return next(one for one in self.thread() if one["ts"] == ts)

    def card(self, contains: str = "", *, action: str = "") -> Json:
        """The newest of `cards`; fails with what the thread shows instead."""
        found = self.cards(contains, action=action)
        assert found, f"no card with {contains!r} {action!r}; the thread ends with:\n{self.last_words()}"
        return found[-1]

    def shows(self, contains: str) -> bool:
        return bool(self.cards(contains))

    def wait_for(self, contains: str = "", *, action: str = "") -> Json:
        """The newest such card as soon as there is one."""
        _until(
            lambda: bool(self.cards(contains, action=action)), f"no card with {contains!r} {action!r}", self
        )
        return self.card(contains, action=action)

    def last_words(self, messages: int = 6) -> str:
        return "\n".join(f"[{one.get('user')}] {words(one)[:500]}" for one in self.thread()[-messages:])

    # ------------------------------------------------------------ what is kept

    @property
    def workflow(self) -> Workflow:
        found = self.stack.workflow(self.thread_ts, self.person.channel)
        assert found is not None, f"this thread has no workflow:\n{self.last_words()}"
        return found

    def proposals(self) -> tuple[Proposal, ...]:
        """The thread's open proposals."""
        index = f"proposal:thread:{self.person.channel}:{self.thread_ts}"
        return self.stack.ask(lambda state: state.find(self.stack.tenant, Proposal, index))

    def tasks(self, operation: str = "") -> list[Task]:
        """Every task the workflow ever had, the oldest first."""
        index = f"task:workflow:{self.workflow.id}"
        found = self.stack.ask(lambda state: state.find(self.stack.tenant, Task, index))
        wanted = [task for task in found if operation in ("", task.operation)]
        return sorted(wanted, key=lambda task: task.created_at)


def rest(stack: Stack, walk: Walk | None = None) -> None:
    """Wait until the whole stack is at rest; raises AssertionError with what still moves."""
    moving: list[str] = []

    def still() -> bool:
        moving[:] = stack.ask(lambda state: _moving(state, stack))
        return not moving

    _until(still, lambda: f"not at rest: {moving}", walk)


async def _moving(state: State, stack: Stack) -> list[str]:
    tenant = stack.tenant
    lanes = [lane for _, lane in await state.ready(20)]
    tasks = [f"{task.operation} {task.status}" for task in await state.find(tenant, Task, "task:open")]
    trained = [f"training of {one.id}" for one in await state.find(tenant, Workflow, "workflow:training")]
    decided = [one.title for one in await state.find(tenant, Proposal, "proposal:approved")]
    unseen = [event.kind for event in await state.read(tenant, limit=5)]
    return [*lanes, *tasks, *trained, *decided, *unseen]


def _until(true: Callable[[], bool], why: str | Callable[[], str], walk: Walk | None) -> None:
    """Redis may be away meanwhile: then it is not true yet."""

    def is_true() -> bool:
        try:
            return true()
        except (RedisError, StorageError):
            return False

    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        if time.monotonic() > deadline:
            reason = why if isinstance(why, str) else why()
            raise AssertionError(f"{reason}\n{walk.last_words() if walk and walk.thread_ts else ''}")
        time.sleep(0.05)


# ---------------------------------------------------------------- what must hold


def doubled(walk: Walk) -> list[str]:
    """Keys of cards that were posted more than once in the thread."""
    posted = [
        key
        for one in walk.thread()
        if (key := ((one.get("metadata") or {}).get("event_payload") or {}).get("key"))
    ]
    assert posted, "the workspace shows no metadata"
    return [key for key, count in Counter(posted).items() if count > 1]


def waiting(stack: Stack, thread_ts: str) -> tuple[InboxItem, ...]:
    """What the thread's inbox holds."""
    return stack.ask(lambda state: state.waiting(stack.tenant, keys.lane(CHANNEL, thread_ts)))
