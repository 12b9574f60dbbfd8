"""A Slack that keeps what it is sent, and holds every message, update, ephemeral answer and modal against the platform's limits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.workspace.block_kit import validate_message, validate_view
from bot.slack_api import SlackRefused
from storage.records import Json


@dataclass(slots=True)
class Shown:
    """One message as people see it now. `to` is whom alone it is shown to."""

    channel: str
    thread_ts: str
    ts: str
    text: str
    blocks: list[Json]
    to: str = ""

    @property
    def words(self) -> str:
        """Everything that can be read in it, one line each."""
        return "\n".join([self.text, *_strings(self.blocks)])

    @property
    def buttons(self) -> list[Json]:
        """Its buttons and selects, top to bottom."""
        found = [[*block.get("elements", []), block.get("accessory") or {}] for block in self.blocks]
        return [one for listed in found for one in listed if one.get("action_id")]


@dataclass(slots=True)
class Slack:
    """Implements what the bot uses of `SlackApi`. `faults` holds everything that Slack would not have taken."""

    clock: Any
    team: str
    messages: list[Shown] = field(default_factory=list)
    modals: list[Json] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    guests: set[str] = field(default_factory=set)
    members: dict[str, set[str]] = field(default_factory=dict)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    count: int = 0
    sent: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # uploads that nobody sees yet
    shared: list[tuple[str, str, str, bytes]] = field(default_factory=list)  # channel, thread, name, bytes
    stack: list[Json] = field(
        default_factory=list
    )  # open modals of the one person who acts, the topmost last
    threads: dict[str, list[Json]] = field(
        default_factory=dict
    )  # what conversations.replies answers, by thread
    names: dict[str, str] = field(default_factory=dict)  # what people are called

    async def call(self, method: str, **params: Any) -> Json:
        self.calls.append((method, params))
        match method:
            case "chat.postMessage" | "chat.postEphemeral":
                return self._posted(method, params)
            case "chat.update":
                return self._updated(params)
            case "views.open" | "views.publish":
                self.faults += validate_view(params["view"])
                self.modals.append(params["view"])
                if method == "views.open":
                    self.stack.clear()
                    return {"ok": True, "view": self._stacked(params["view"])}
            case "views.push":
                self.faults += validate_view(params["view"])
                if len(self.stack) >= 3:
                    raise SlackRefused(method, "push_limit_reached")
                return {"ok": True, "view": self._stacked(params["view"])}
            case "views.update":
                self._redrawn(params)
            case "conversations.replies":
                if params["ts"] not in self.threads:
                    raise SlackRefused(method, "thread_not_found")
                return {"ok": True, "messages": self.threads[params["ts"]]}
            case "chat.getPermalink" if params["message_ts"] in self.threads:
                return {
                    "ok": True,
                    "permalink": f"https://slack.test/{params['channel']}/{params['message_ts']}",
                }
            case "users.info":
                who = params["user"]
                described = {"id": who, "team_id": self.team, "is_restricted": who in self.guests}
                return {"user": described | ({"real_name": self.names[who]} if who in self.names else {})}
            case "files.completeUploadExternal":
                return self._completed(params)
            case "conversations.members":
                return {"members": sorted(self.members.get(params["channel"], set()))}
        return {"ok": True}

    async def hint(self, method: str, **params: Any) -> bool:
        await self.call(method, **params)
        return True

    async def upload_image(self, *, name: str, title: str, data: bytes, alt: str) -> str:
        if not data.startswith(b"\x89PNG") or not alt:
            self.faults.append(f"not a picture with a description: {title}")
        self.count += 1
        return f"F{self.count}"

    def _stacked(self, view: Json) -> Json:
        self.count += 1
        held = {
            **view,
            "id": f"V{self.count}",
            "previous_view_id": self.stack[-1]["id"] if self.stack else None,
        }
        held["root_view_id"] = self.stack[0]["id"] if self.stack else held["id"]
        self.stack.append(held)
        return held

    def _redrawn(self, params: Json) -> None:
        self.faults += validate_view(params["view"])
        view = next((one for one in self.stack if one["id"] == params["view_id"]), None)
        if view is None:
            raise SlackRefused("views.update", "not_found")
        view.update(params["view"])

    async def send_file(self, *, name: str, size: int, chunks: AsyncIterator[bytes]) -> str:
        data = b"".join([chunk async for chunk in chunks])
        if len(data) != size:
            self.faults.append(f"{name} was announced with {size} bytes and came with {len(data)}")
        self.count += 1
        self.sent[f"F{self.count}"] = (name, data)
        return f"F{self.count}"

    def _completed(self, params: Json) -> Json:
        """Files become visible, in the thread that is named."""
        for one in params["files"]:
            name, data = self.sent[one["id"]]
            self.shared.append((params["channel_id"], str(params.get("thread_ts") or ""), name, data))
        return {"ok": True, "files": params["files"]}

    def _posted(self, method: str, params: Json) -> Json:
        self.count += 1
        ts = f"{self.clock() + self.count / 1e6:.6f}"
        to = str(params.get("user") or "") if method == "chat.postEphemeral" else ""
        thread = str(params.get("thread_ts") or "")
        blocks = params.get("blocks") or []
        self._check(params["text"], blocks)
        self.messages.append(Shown(params["channel"], thread, ts, params["text"], blocks, to))
        return {"ok": True, "ts": ts, "channel": params["channel"]}

    def _updated(self, params: Json) -> Json:
        self._check(params["text"], params["blocks"])
        message = next(one for one in self.messages if one.ts == params["ts"])
        message.text, message.blocks = params["text"], params["blocks"]
        return {"ok": True}

    def _check(self, text: str, blocks: list[Json]) -> None:
        faults = validate_message(text, blocks)
        self.faults += [f"{fault} in {json.dumps(blocks)[:500]}" for fault in faults]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and name in ("text", "alt_text"):
                yield inner
            else:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
