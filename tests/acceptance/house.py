"""The whole product in one process, without sockets: what a person does goes in as Slack's payloads, what they see comes out.

Real: parsing, lanes, uploads, turns, tools, desk, buttons, jobs, operations, the training watch, views and posting, over
state and blobs in memory. Fake: Slack's side of its API (which checks every payload), the model server, the training
provider, the queue. `settle` plays until nothing is left to do, so a test never waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

from agent.tooling import ToolContext
from agent.tools import BY_NAME
from bot.hands import Hands
from bot.lanes import Lanes
from bot.links import Links
from bot.listeners import forms, parse
from bot.people import People
from bot.posting import Poster
from bot.sharing import Sharing
from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.manifests import Manifest
from storage.memory import MemoryState
from storage.records import Json, OutboxEvent, Proposal, Task, Tenant, Workflow
from storage.rows import Row
from tasks import jobs, training_watch
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person
from tasks.settings import Price, Settings
from tasks.steps import OPERATIONS
from tests.acceptance.model import AGENT, BASE, JUDGE, WRITER, Model, Scores, Scripted
from tests.acceptance.slack import Shown, Slack
from tests.fakes import FakeQueue, FakeTrainer

START = 1_790_000_000.0
OWNER, COLLEAGUE, GUEST = "U0ADA", "U0BEN", "U0GUEST"
CHANNEL, BOT = "C0MODELS", "U0BOT"
FREE = {"": Price(input=0, output=0, training=0)}


class Embedder:
    """Implements `Embedder`: a text points to the topics whose words it holds, and to all of them when it holds none."""

    name = "words of the test"

    def __init__(self) -> None:
        self.words: dict[str, tuple[str, ...]] = {}

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vector(text.casefold()) for text in texts]

    def _vector(self, text: str) -> list[float]:
        hits = [float(any(word in text for word in words)) for words in self.words.values()] or [1.0]
        known = hits if any(hits) else [1.0] * len(hits)
        length = sum(value * value for value in known) ** 0.5
        return [value / length for value in known]


@dataclass
class Downloads:
    """Implements `fetch` of `bot.files.Downloads`: a file's bytes are what the person shared under its id."""

    blobs: MemoryBlobs
    files: dict[str, bytes] = field(default_factory=dict)

    async def fetch(self, file: Any, path: str) -> int:
        self.blobs.put(path, (self.files[file.id],))
        return len(self.files[file.id])


class Beat:
    """The heartbeat's own connection; `stop_seen` is set when it has read that somebody wants the task stopped."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self.stop_seen = False

    async def get(self, tenant: Tenant, kind: Any, id: str) -> Any:
        found = await self._state.get(tenant, kind, id)
        self.stop_seen = self.stop_seen or bool(found and found.cancel_requested)
        return found

    async def renew(self, lease: Any, *, seconds: float) -> bool:
        return await self._state.renew(lease, seconds=seconds)

    async def close(self) -> None:
        return None


class House:
    """One workspace. `beside` is a house whose stores this one shares (another team on the same servers)."""

    def __init__(
        self,
        *,
        team: str = "T0ONE",
        beside: House | None = None,
        start: float = START,
        share_bytes: int = 20_000_000,
        **settings: Any,
    ) -> None:
        given = {
            "openai_base_url": "http://model.test/v1",
            "openai_api_key": SecretStr("key"),
            "allowed_providers": ("model.test",),
            "agent_model": AGENT,
            "generator_model": WRITER,
            "judge_model": JUDGE,
            "base_model": BASE,
            "budget_usd": 1_000.0,
        }
        self.tenant = Tenant(enterprise="", team=team)
        self.now = start
        self.settings = Settings(**{**given, **settings})
        self.state = beside.state if beside else MemoryState(self.clock)
        self.blobs = beside.blobs if beside else MemoryBlobs()
        self.model, self.trainer, self.queue = Model(), FakeTrainer(), FakeQueue()
        self.scores = Scores(self.model)
        self.embedder, self.beat = Embedder(), Beat(self.state)
        self.slack = Slack(self.clock, team, guests={GUEST})
        self.deps = Deps(
            settings=self.settings,
            state=self.state,
            blobs=self.blobs,
            datasets=Datasets(self.blobs, part_rows=2_000),
            chat=self.model,
            embedder=self.embedder,
            trainers={"openai": self.trainer},
            queue=self.queue,
            clock=self.clock,
        )
        self.desk = Desk(
            state=self.state,
            queue=self.queue,
            settings=self.settings,
            operations=OPERATIONS,
            clock=self.clock,
        )
        people = People(api=self.slack, team=lambda: team, groups=(), clock=self.clock)  # type: ignore[arg-type]
        self.hands = Hands(deps=self.deps, desk=self.desk, api=self.slack, people=people, tools=BY_NAME)  # type: ignore[arg-type]
        self.downloads = Downloads(self.blobs)
        self.lanes = Lanes(
            hands=self.hands,
            downloads=self.downloads,  # type: ignore[arg-type]
            commands=None,  # type: ignore[arg-type]
            posted=lambda: None,
        )
        sharing = Sharing(api=self.slack, state=self.state, blobs=self.blobs, max_bytes=share_bytes)  # type: ignore[arg-type]
        links = Links(blobs=self.blobs, secret="links", base_url="https://bot.example", clock=self.clock)
        self.poster = Poster(api=self.slack, state=self.state, links=links, sharing=sharing)  # type: ignore[arg-type]
        self.thread = ""
        self.events: list[OutboxEvent] = []
        self.arrivals: list[parse.Arrival] = []
        self.deliveries = 1  # how often Slack delivers each payload

    def clock(self) -> float:
        return self.now

    # ------------------------------------------------------------ what people do

    async def upload(
        self, data: bytes | Sequence[Json], *, name: str = "data.jsonl", text: str = "", user: str = OWNER
    ) -> str:
        """Share a file in a new thread; the thread's ts."""
        content = data if isinstance(data, bytes) else jsonl(data)
        id = f"F0UP{len(self.downloads.files)}"
        self.downloads.files[id] = content
        file = {
            "id": id,
            "name": name,
            "size": len(content),
            "url_private_download": f"https://files.slack.com/{id}",
        }
        self.thread = ""
        self.thread = await self.send(text, user=user, files=[file])
        await self.settle()
        return self.thread

    async def say(self, text: str, *replies: Scripted, user: str = OWNER) -> str:
        """Write in the thread; the agent's turn answers with `replies`. The message's ts."""
        self.model.script.extend(replies)
        ts = await self.send(text, user=user)
        await self.settle()
        return ts

    async def send(
        self, text: str, *, user: str = OWNER, files: Sequence[Json] = (), at: float | None = None
    ) -> str:
        """A message arrives; nobody has looked at it yet."""
        self.now += 1
        ts = f"{self.now if at is None else at:.6f}"
        event = {
            "type": "message",
            "channel": CHANNEL,
            "user": user,
            "text": text,
            "ts": ts,
            "team": self.tenant.team,
        }
        event |= {"thread_ts": self.thread} if self.thread else {}
        event |= {"files": list(files), "subtype": "file_share"} if files else {}
        body = {"team_id": self.tenant.team, "event": event}
        await self._arrive(parse.event(body, bot_user=BOT, team=self.tenant.team))
        return ts

    async def click(self, button: str, *, user: str = OWNER) -> None:
        """Press the newest button of the thread whose label begins so, or whose action is called so."""
        for message in reversed(self.slack.messages):
            for one in message.buttons:
                label = str((one.get("text") or {}).get("text", ""))
                if (label.startswith(button) or one["action_id"] == button) and message.to in ("", user):
                    await self.press(one["action_id"], one.get("value", ""), user=user, message=message)
                    return
        raise AssertionError(f"nobody sees a button {button!r}; there are {self.labels}")

    async def approve(self, *, user: str = OWNER) -> None:
        """Press the button that says yes on the newest open card."""
        await self.click("proposal.approve", user=user)

    async def press(
        self,
        action: str,
        value: str = "",
        *,
        user: str = OWNER,
        message: Shown | None = None,
        channel: str = "",
        home: str = "",
    ) -> None:
        """A click as Slack tells it; any action with any value, from any team (`home`)."""
        self.now += 1
        place = message.ts if message else self.thread
        body = {
            "user": {"id": user, "team_id": home or self.tenant.team},
            "team": {"id": self.tenant.team},
            "channel": {"id": channel or CHANNEL},
            "container": {"message_ts": place, "thread_ts": self.thread, "channel_id": channel or CHANNEL},
            "trigger_id": f"trigger{self.now}",
            "actions": [{"action_id": action, "value": value, "action_ts": f"{self.now:.6f}"}],
        }
        await self._arrive(parse.action(body, team=self.tenant.team))
        await self.settle()

    # ------------------------------------------------------------ modals and shortcuts

    @property
    def modal(self) -> Json:
        """The topmost open modal."""
        return self.slack.stack[-1]

    @property
    def modal_words(self) -> str:
        return json.dumps(self.modal["blocks"], ensure_ascii=False)

    async def tap(self, action: str, value: str = "", *, user: str = OWNER, **held: str) -> None:
        """A click or a choice in the topmost modal; `held` are other elements' values, by action id (dots as they are)."""
        self.now += 1
        body = {
            "user": {"id": user, "team_id": self.tenant.team},
            "team": {"id": self.tenant.team},
            "container": {"type": "view", "view_id": self.modal["id"]},
            "view": {**self.modal, "state": {"values": state_of(self.modal, {**held, action: value})}},
            "trigger_id": f"trigger{self.now}",
            "actions": [{"action_id": action, "value": value, "action_ts": f"{self.now:.6f}"}],
        }
        await self._arrive(parse.action(body, team=self.tenant.team))
        await self.settle()

    async def submit(self, *, user: str = OWNER, **values: Any) -> dict[str, str]:
        """Send the topmost modal's form, changed by block id; the inline errors, or {} when it was taken."""
        self.now += 1
        view = {**self.modal, "hash": str(self.now), "state": {"values": state_of(self.modal, values)}}
        if errors := forms.errors_of(view):
            return errors
        self.slack.stack.pop()
        team = self.tenant.team
        body = {"user": {"id": user, "team_id": team}, "team": {"id": team}, "view": view}
        await self._arrive(parse.submission(body, team=self.tenant.team, at=self.now))
        await self.settle()
        return {}

    async def shortcut(self, ts: str, *, thread_ts: str = "", user: str = OWNER) -> None:
        """ "Add to dataset" on a message of the channel."""
        self.now += 1
        body = {
            "type": "message_action",
            "callback_id": "add_to_dataset",
            "trigger_id": f"trigger{self.now}",
            "action_ts": f"{self.now:.6f}",
            "message_ts": ts,
            "team": {"id": self.tenant.team},
            "user": {"id": user, "team_id": self.tenant.team},
            "channel": {"id": CHANNEL, "name": "support"},
            "message": {"type": "message", "ts": ts, "text": "", "thread_ts": thread_ts or ts},
        }
        await self._arrive(parse.shortcut(body, team=self.tenant.team))
        await self.settle()

    async def _arrive(self, arrival: parse.Arrival | None) -> None:
        if arrival is None:
            return
        self.arrivals.append(arrival)
        for _ in range(self.deliveries):
            await self.state.accept(self.tenant, arrival.lane, arrival.item)

    async def hear(self, text: str, *replies: Scripted, user: str = OWNER) -> str:
        """As `say`, while a job is running: turns and posts only."""
        self.model.script.extend(replies)
        ts = await self.send(text, user=user)
        while await self._lanes():
            await self.show()
        return ts

    # ------------------------------------------------------------ what the processes do

    async def settle(self) -> None:
        """Turns, clicks, jobs and posts, until nothing is left. Fails when Slack would have refused anything."""
        for _ in range(1_000):
            await self.show()
            if not (await self._lanes() or await self._job()):
                break
        else:
            raise AssertionError("it never comes to rest")
        assert not self.slack.faults, self.slack.faults[:3]

    async def _lanes(self) -> bool:
        ready = [lane for tenant, lane in await self.state.ready(50) if tenant == self.tenant]
        for lane in ready:
            lease = await self.state.claim(self.tenant, lane, seconds=60)
            assert lease
            try:
                self.now += await self.lanes(lease, lane)
            finally:
                await self.state.release(lease)
        return bool(ready)

    async def _job(self) -> bool:
        if not self.queue.jobs:
            return False
        await self.run(self.queue.take())
        return True

    async def run(self, task: Task) -> None:
        await jobs.perform(self.deps, OPERATIONS, lambda: self.beat, task.tenant, task.id)  # type: ignore[arg-type, return-value]

    async def show(self) -> None:
        """Post what is in the outbox, in order."""
        for event in await self.state.read(self.tenant, limit=500):
            await self.poster.deliver(self.tenant, event)
            await self.state.delivered(self.tenant, (event.position,))
            self.events.append(event)

    async def poll(self, **job: Any) -> None:
        """The provider's job is now like this, and the watch looks."""
        self.now += 60
        self.trainer.job = replace(self.trainer.job, **job)
        await training_watch.poll_all(self.deps, self.desk)
        await self.settle()

    # ------------------------------------------------------------ looking

    async def workflow(self) -> Workflow:
        found = await self.desk.workflow_of_thread(self.tenant, CHANNEL, self.thread)
        assert found
        return found

    async def proposals(self) -> tuple[Proposal, ...]:
        return await self.desk.open_proposals(self.tenant, CHANNEL, self.thread)

    async def proposal(self, kind: str) -> Proposal:
        """The open proposal of that kind."""
        return next(one for one in await self.proposals() if one.kind == kind)

    async def tasks(self, operation: str = "") -> list[Task]:
        """Every task of the thread's workflow, oldest first."""
        workflow = await self.workflow()
        found = await self.state.find(self.tenant, Task, f"task:workflow:{workflow.id}")
        kept = [task for task in found if operation in ("", task.operation)]
        return sorted(kept, key=lambda task: task.created_at)

    async def manifest(self) -> Manifest:
        workflow = await self.workflow()
        return self.deps.datasets.manifest(self.tenant, workflow.dataset_id, workflow.dataset_version)

    async def rows(self) -> list[Row]:
        return list(self.deps.datasets.iter_rows(await self.manifest()))

    async def counts(self) -> dict[str, int]:
        """Valid rows by topic."""
        return {topic: found.rows for topic, found in (await self.manifest()).totals.topics.items()}

    def last(self, kind: str) -> Json:
        """The data of the newest event of that kind."""
        return next(event.data for event in reversed(self.events) if event.kind == kind)

    def of(self, kind: str) -> list[Json]:
        return [event.data for event in self.events if event.kind == kind]

    @property
    def notices(self) -> list[str]:
        return [data["text"] for data in self.of("notice")]

    @property
    def prose(self) -> list[str]:
        return [data["text"] for data in self.of("prose")]

    @property
    def labels(self) -> list[str]:
        """Labels of all buttons that can be seen now, newest message last."""
        found = [button for message in self.slack.messages for button in message.buttons]
        return [label for button in found if (label := str((button.get("text") or {}).get("text", "")))]

    async def call(
        self, name: str, arguments: Json | None = None, *, key: str = "k1", user: str = OWNER
    ) -> Json:
        """A tool, as the model would call it in the thread."""
        workflow = await self.desk.workflow_of_thread(self.tenant, CHANNEL, self.thread)
        person = await self.hands.people.whois(user)
        ctx = ToolContext(
            tenant=self.tenant,
            channel=CHANNEL,
            thread_ts=self.thread,
            actor=Person(person.id, is_guest=person.is_guest),
            deps=self.deps,
            desk=self.desk,
            call_id=key,
            workflow=workflow,
            evidence=self.thread,
        )
        return await BY_NAME[name].call(ctx, arguments or {})


def state_of(view: Json, changed: dict[str, str]) -> Json:
    """`state.values` of a modal whose elements hold what they began with, or what `changed` says by block or action id."""
    values: Json = {}
    for block in view["blocks"]:
        for element in [block.get("element"), block.get("accessory"), *block.get("elements", [])]:
            if element and element.get("type") == "checkboxes":
                ticked = [option["value"] for option in element.get("initial_options", [])]
                held = changed.get(block.get("block_id", ""), ticked)
                chosen = {"selected_options": [{"value": value} for value in held]}
                values.setdefault(block["block_id"], {})[element["action_id"]] = chosen
            if not element or element.get("type") not in (
                "plain_text_input",
                "static_select",
                "radio_buttons",
            ):
                continue
            action = element["action_id"]
            first = element.get("initial_value") or (element.get("initial_option") or {}).get("value")
            held = changed.get(action, changed.get(block.get("block_id", ""), first))
            chosen = {"selected_option": {"value": held} if held else None}
            kept = {"value": held} if element["type"] == "plain_text_input" else chosen
            values.setdefault(block.get("block_id") or action, {})[action] = kept
    return values


def jsonl(rows: Sequence[Json]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


async def until_seen(beat: Beat) -> None:
    """Wait until the running task's heartbeat has read that it should stop."""
    while not beat.stop_seen:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.02)
