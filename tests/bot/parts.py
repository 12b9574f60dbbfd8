"""What the bot's tests share: a Slack that remembers its calls, and the bot's hands over a scene in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from agent.tools import BY_NAME
from bot.hands import Click, Hands, placed
from bot.people import People
from storage.records import InboxItem, Json, OutboxEvent, Workflow
from tasks.drafting import Person
from tests.agent.scene import CHANNEL, OWNER, TENANT, THREAD, Scene

TEAM = TENANT.team


class FakeSlack:
    """Implements what is used of `SlackApi`. `script` holds errors or answers, by method, used up in order."""

    def __init__(self, **script: list[Any]) -> None:
        self.calls: list[tuple[str, Json]] = []
        self.script = {name.replace("_", "."): list(steps) for name, steps in script.items()}
        self.number = 0
        self.uploads = 0
        self.sent: dict[str, tuple[str, bytes]] = {}  # files by id: name and bytes
        self.members: dict[str, set[str]] = {}
        self.guests: set[str] = set()

    async def call(self, method: str, **params: Any) -> Json:
        self.calls.append((method, params))
        if self.script.get(method):
            step = self.script[method].pop(0)
            if isinstance(step, Exception):
                raise step
            return step  # type: ignore[no-any-return]
        match method:
            case "chat.postMessage":
                self.number += 1
                return {"ok": True, "ts": f"{self.number}.0", "channel": params["channel"]}
            case "users.info":
                user = params["user"]
                return {"user": {"id": user, "team_id": TEAM, "is_restricted": user in self.guests}}
            case "conversations.members":
                return {"members": sorted(self.members.get(params["channel"], set()))}
            case "chat.getPermalink":
                return {"permalink": f"https://slack.example/{params['channel']}/{params['message_ts']}"}
        return {"ok": True}

    async def hint(self, method: str, **params: Any) -> bool:
        await self.call(method, **params)
        return True

    async def upload_image(self, *, name: str, title: str, data: bytes, alt: str) -> str:
        self.uploads += 1
        return f"F{self.uploads}"

    async def send_file(self, *, name: str, size: int, chunks: AsyncIterator[bytes]) -> str:
        if self.script.get("upload"):
            raise self.script["upload"].pop(0)
        data = b"".join([chunk async for chunk in chunks])
        assert len(data) == size
        self.sent[f"F{len(self.sent) + 1}"] = (name, data)
        return f"F{len(self.sent)}"

    def of(self, method: str) -> list[Json]:
        return [params for name, params in self.calls if name == method]


class FakePeople(People):
    """Everybody is a member of everything, except who is named a guest."""

    def __init__(self, guests: Sequence[str] = ()) -> None:
        self.guests = set(guests)
        self.absent: set[str] = set()

    async def whois(self, user: str) -> Person:
        return Person(id=user, is_guest=user in self.guests)

    async def may_read(self, user: str, workflow: Workflow) -> bool:
        return user not in self.absent

    async def link(self, channel: str, ts: str) -> str:
        return f"https://slack.example/{channel}/{ts}"


def hands(scene: Scene, slack: FakeSlack | None = None, people: People | None = None) -> Hands:
    api: Any = slack or FakeSlack()
    return Hands(deps=scene.deps, desk=scene.desk, api=api, people=people or FakePeople(), tools=BY_NAME)


def clicked(action: str, value: str = "", *, user: str = OWNER, id: str = "c1", **data: Any) -> InboxItem:
    given = {
        "action": action,
        "value": value,
        "trigger": "t1",
        "channel": CHANNEL,
        "thread_ts": THREAD,
        **data,
    }
    return InboxItem(id=id, kind="action", user=user, text="", at=1_700_000_000.0, data=given)


def submitted(form: str, values: Json, *, user: str = OWNER, id: str = "v1", **data: Any) -> InboxItem:
    given = {"form": form, "values": values, "metadata": {}, "channel": CHANNEL, "thread_ts": THREAD, **data}
    return InboxItem(id=id, kind="edit", user=user, text="", at=1_700_000_000.0, data=given)


async def click(bot: Hands, item: InboxItem) -> Click:
    return await placed(bot, TENANT, item)


def texts(events: Sequence[OutboxEvent]) -> str:
    return " | ".join(str(event.data.get("text")) for event in events)
