"""Kills at a chosen instant: when the n-th call of some kind has been served, and its answer has not yet been delivered.

That is the worst instant there is: the effect outside has happened, and who asked for it does not know. A `Watched` app
stands before the model server and before Slack; `Tripwires` is what it tells. Chat calls are named by their role ("agent",
"judgement", "tuned" …), all others by "METHOD /path".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.sandbox.model.answers import role_of
from bot.sandbox.model.chat_wire import parse_chat
from bot.sandbox.model.config import ModelConfig
from bot.sandbox.model.server import create_model_server
from tests.scripted_model import ScriptedModel, serving

CHAT = "/v1/chat/completions"


@dataclass
class Wire:
    """Trips once, at the `nth` call whose name begins with `call`."""

    call: str
    nth: int
    action: Callable[[], None]
    tripped: threading.Event = field(default_factory=threading.Event)


class Tripwires:
    """Armed wires, and what has been called so far."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._instead: dict[str, ASGIApp] = {}
        self._armed: list[Wire] = []
        self._lock = threading.Lock()

    def arm(self, call: str, nth: int, action: Callable[[], None]) -> Wire:
        wire = Wire(call, nth, action)
        with self._lock:
            self._armed.append(wire)
        return wire

    def instead(self, call: str, answer: ASGIApp) -> None:
        """Have the next request whose "METHOD /path" begins so answered by something else."""
        self._instead[call] = answer

    def other(self, call: str) -> ASGIApp | None:
        """What answers this request instead, if anything does; once."""
        found = next((begins for begins in self._instead if call.startswith(begins)), None)
        return self._instead.pop(found) if found else None

    def passed(self, call: str) -> None:
        """Something was called; what is due trips, in the thread of the server."""
        with self._lock:
            self.calls.append(call)
            for wire in self._armed:
                wire.nth -= call.startswith(wire.call)
            due = [wire for wire in self._armed if wire.nth <= 0]
            self._armed = [wire for wire in self._armed if wire not in due]
        for wire in due:
            wire.action()
            wire.tripped.set()


class Watched:
    """An ASGI app before another: lets it serve, tells the wires, and only then delivers."""

    def __init__(self, app: ASGIApp, wires: Tripwires) -> None:
        self._app = app
        self._wires = wires

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/sandbox/"):
            await self._app(scope, receive, send)
            return
        body = b""
        kept: list[Message] = []

        async def hearing() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def keeping(message: Message) -> None:
            kept.append(message)

        app = self._wires.other(f"{scope['method']} {scope['path']}") or self._app
        await app(scope, hearing, keeping)
        self._wires.passed(_name(scope, body))
        for message in kept:
            await send(message)


class WatchedModel(ScriptedModel):
    """A `ScriptedModel` behind the wires, which follows the stand-in's policy until it is told otherwise."""

    def __init__(self, wires: Tripwires, config: ModelConfig) -> None:
        super().__init__(when_idle=None, config=config)
        self._wires = wires

    def __enter__(self) -> WatchedModel:
        app = create_model_server(self.config, answer_with=self.reply_to)
        self._stack.enter_context(serving(Watched(app, self._wires), self.config.port))
        return self


def _name(scope: Scope, body: bytes) -> str:
    if scope["path"] != CHAT:
        return f"{scope['method']} {scope['path']}"
    try:
        return role_of(parse_chat(json.loads(body)))
    except Exception:
        return "unreadable"
