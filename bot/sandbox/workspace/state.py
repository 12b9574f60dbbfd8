"""What the workspace remembers: people, conversations, messages, files, views, statuses. In memory, lost at the end.

One mutable object, changed only on the event loop. It mints ids and timestamps and says who may see what; it sends
nothing (delivery.py), knows no HTTP, and judges no blocks (block_kit.py). Messages are dicts shaped as Slack's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import string
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .config import Resident, WorkspaceConfig

Json = dict[str, Any]
STATUS_LIFE_SECONDS = 120.0
RESPONSE_URL_LIFE_SECONDS, RESPONSE_URL_USES = 1800.0, 5


@dataclass(slots=True)
class Conversation:
    """A channel or a DM with its messages by ts, oldest first, and what single people see there."""

    id: str
    name: str
    members: set[str]
    is_private: bool = False
    is_im: bool = False
    topic: str = ""
    created: int = 0
    messages: dict[str, Json] = field(default_factory=dict)
    ephemerals: list[Json] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`channel_type` of an event from here."""
        return "im" if self.is_im else "group" if self.is_private else "channel"


@dataclass(slots=True)
class StoredFile:
    """An uploaded file: the object Slack shows, and where its bytes lie."""

    info: Json
    path: Path
    uploaded: bool = False
    deleted: bool = False


@dataclass(slots=True)
class Trigger:
    """What an interaction may be exchanged for: one view, for one user, for three seconds."""

    user: str
    born: float
    used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """Where the app may answer an interaction without a token: five times within half an hour."""

    channel: str
    user: str
    born: float
    message_ts: str | None = None
    thread_ts: str | None = None
    uses: int = 0


@dataclass(slots=True)
class Status:
    """The line "is thinking…" in a thread, or an agent session's state."""

    text: str
    born: float
    session: str = ""
    title: str = ""
    loading_messages: list[str] = field(default_factory=list)


class Workspace:
    """The state of one workspace. `clock` gives seconds since the epoch; `chance` makes ids."""

    def __init__(
        self,
        config: WorkspaceConfig,
        clock: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self.config, self.clock, self.chance = config, clock, chance or random.Random()
        self.residents: dict[str, Resident] = {person.id: person for person in config.residents}
        self.conversations: dict[str, Conversation] = {}
        self.files: dict[str, StoredFile] = {}
        self.views: dict[str, Json] = {}
        self.stacks: dict[str, list[str]] = {}
        self.homes: dict[str, Json] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.statuses: dict[tuple[str, str], Status] = {}
        self.prompts: dict[tuple[str, str], Json] = {}
        self.refusals: list[Json] = []
        self.tokens: dict[str, tuple[str, ...]] = {config.bot_token: config.scopes}
        self.version = 0
        self._changed = asyncio.Event()
        self._last_ts = 0
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-files-")
        self._people_the_rooms()

    def _people_the_rooms(self) -> None:
        now, bot = int(self.clock()), self.config.bot_user_id
        for room in self.config.rooms:
            members = {*room.members, *({bot} if room.has_bot else ())}
            self.conversations[room.id] = Conversation(
                room.id, room.name, members, is_private=room.is_private, topic=room.topic, created=now
            )
        for person in self.config.residents:
            self.direct_messages(person.id)

    # Minting.

    def new_id(self, prefix: str, length: int = 9) -> str:
        """An id as Slack's look: a letter and capitals."""
        return prefix + "".join(self.chance.choices(string.ascii_uppercase + string.digits, k=length))

    def new_ts(self) -> str:
        """A message timestamp: seconds and microseconds, never twice the same."""
        self._last_ts = max(self._last_ts + 1, int(self.clock() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def new_trigger(self, user: str) -> str:
        """A trigger id for that user, alive for three seconds."""
        name = (
            f"{self.chance.randrange(10**12)}.{self.chance.randrange(10**12)}.{self.new_id('', 32).lower()}"
        )
        self.triggers[name] = Trigger(user, self.clock())
        return name

    def new_response_url(
        self, channel: str, user: str, message_ts: str | None = None, thread_ts: str | None = None
    ) -> str:
        """An address the app may answer to, tied to the message that was acted on if any."""
        key = self.new_id("", 24)
        self.response_urls[key] = ResponseUrl(channel, user, self.clock(), message_ts, thread_ts)
        return f"{self.config.url}/actions/{self.config.team_id}/{self.chance.randrange(10**12)}/{key}"

    def new_file_path(self, file_id: str) -> Path:
        """Where the bytes of that file are kept."""
        return Path(self._folder.name) / file_id

    # Telling the page.

    def touch(self) -> None:
        """Something that people see has changed."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def change_after(self, version: int, timeout_seconds: float) -> int:
        """The present version, as soon as it is newer than `version` or the time is over."""
        if self.version <= version:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), timeout_seconds)
        return self.version

    # People and places.

    def direct_messages(self, user: str) -> Conversation:
        """The DM between that user and the app."""
        name = "D" + user[1:]
        if name not in self.conversations:
            members = {user, self.config.bot_user_id}
            self.conversations[name] = Conversation(name, "", members, is_im=True, created=int(self.clock()))
        return self.conversations[name]

    def visible_to(self, user: str) -> list[Conversation]:
        """The conversations that user is in, channels first."""
        mine = [place for place in self.conversations.values() if user in place.members]
        return sorted(mine, key=lambda place: (place.is_im, place.is_private))

    def bot_is_in(self, place: Conversation) -> bool:
        """Whether the app was invited."""
        return self.config.bot_user_id in place.members

    def name_of(self, user: str) -> str:
        """A person's or the app's user name; the id of somebody unknown."""
        if user == self.config.bot_user_id:
            return self.config.bot_name
        return self.residents[user].name if user in self.residents else user

    # Messages.

    def thread(self, place: Conversation, thread_ts: str) -> list[Json]:
        """The root and its replies, oldest first."""
        return [m for ts, m in place.messages.items() if thread_ts in (ts, m.get("thread_ts"))]

    def add_message(self, place: Conversation, message: Json) -> Json:
        """Store a message (its ts set here), count it on its thread's root, and clear the thread's status line."""
        message["ts"] = self.new_ts()
        place.messages[message["ts"]] = message
        if root := place.messages.get(message.get("thread_ts", "")):
            message["parent_user_id"] = root.get("user")
            self._recount(place, root)
        if message.get("bot_id"):
            self.statuses.pop((place.id, message.get("thread_ts") or message["ts"]), None)
        self.touch()
        return message

    def remove_message(self, place: Conversation, ts: str) -> Json:
        """Take a message away; its thread's root is recounted."""
        message = place.messages.pop(ts)
        if root := place.messages.get(message.get("thread_ts", "")):
            self._recount(place, root)
        self.touch()
        return message

    def _recount(self, place: Conversation, root: Json) -> None:
        replies = [m for m in self.thread(place, root["ts"]) if m is not root]
        counted = (
            "reply_count",
            "reply_users_count",
            "latest_reply",
            "reply_users",
            "is_locked",
            "subscribed",
        )
        for name in counted:
            root.pop(name, None)
        root["thread_ts"] = root["ts"]
        if not replies:
            root.pop("thread_ts")
            return
        people = list(dict.fromkeys(m["user"] for m in replies))
        root |= {
            "reply_count": len(replies),
            "reply_users_count": len(people),
            "latest_reply": replies[-1]["ts"],
            "reply_users": people,
            "is_locked": False,
            "subscribed": True,
        }

    def ephemeral(self, place: Conversation, ts: str) -> Json | None:
        """The message with that ts that only one person sees."""
        return next((message for message in place.ephemerals if message["ts"] == ts), None)

    # Views.

    def open_views(self, user: str) -> list[Json]:
        """That user's modals, the topmost last."""
        return [self.views[name] for name in self.stacks.get(user, [])]

    def pop_view(self, view_id: str) -> None:
        """Close one modal wherever it lies."""
        for stack in self.stacks.values():
            if view_id in stack:
                stack.remove(view_id)
        self.views.pop(view_id, None)
        self.touch()

    def owner_of_view(self, view_id: str) -> str | None:
        """Whose modal it is."""
        return next((user for user, stack in self.stacks.items() if view_id in stack), None)

    # Statuses.

    def live_statuses(self) -> Iterator[tuple[str, str, Status]]:
        """(channel, thread_ts, status) of those younger than two minutes; a session's processing state stays."""
        for (channel, thread_ts), status in list(self.statuses.items()):
            if status.session or self.clock() - status.born < STATUS_LIFE_SECONDS:
                yield channel, thread_ts, status
