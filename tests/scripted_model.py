"""A scripted OpenAI-compatible server for tests: the wire, embeddings, files and jobs of the stand-in, answers of the test.

    with ScriptedModel() as model:
        model.agent("Here is what I found.", call("get_dataset_stats"), status(429))
        model.structured("grader_criteria", lambda data: {"criteria": [...], "summary": ""})
        model.judge(lambda data: {"score": 0.5, "reasoning": "so"})
        model.base(lambda ask: "an answer")
        ... OPENAI_BASE_URL = model.base_url ...
        assert model.agent_requests[0].tools

Agent calls take the queue in order; an empty queue gives `when_idle`, or the stand-in's policy when that is None. Calls
without a script of their own get the stand-in's answer.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from bot.sandbox.model.answers import answer, role_of
from bot.sandbox.model.asks import Ask, Json, Reply, ToolCall
from bot.sandbox.model.config import ModelConfig
from bot.sandbox.model.errors import WireError
from bot.sandbox.model.server import create_model_server
from bot.sandbox.model.writer import Skill

STARTED_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Status:
    """An HTTP error instead of a reply."""

    code: int
    body: str = "scripted"
    kind: str = "server_error"
    error_code: str | None = None


Scripted = str | Reply | Status | Callable[[Ask], "str | Reply | Status"]


def status(code: int, *, error_code: str | None = None) -> Status:
    return Status(code, error_code=error_code)


def call(tool: str, /, **arguments: Any) -> Reply:
    """A reply that calls one tool. The id is given when it is sent, so that equal calls differ."""
    return calls((tool, arguments))


def calls(*wanted: tuple[str, Json | str]) -> Reply:
    """A reply with several calls; arguments as text are sent as they are, valid or not."""
    made = [
        ToolCall("", name, arguments if isinstance(arguments, str) else json.dumps(arguments))
        for name, arguments in wanted
    ]
    return Reply(tool_calls=tuple(made))


class ScriptedModel:
    """A context manager. Everything may be scripted before or while it runs; it is safe from other threads."""

    def __init__(self, *, when_idle: Scripted | None = "Done.", config: ModelConfig | None = None) -> None:
        self.config = config or ModelConfig(port=free_port(), speed=1000.0)
        self.when_idle = when_idle
        self.requests: list[tuple[str, Ask]] = []
        self._queue: deque[Scripted] = deque()
        self._structured: dict[str, Callable[[Json], Any]] = {}
        self._base: Callable[[Ask], str] | None = None
        self._tuned: Callable[[Ask], str] | None = None
        self._lock = threading.Lock()
        self._count = 0
        self._stack = contextlib.ExitStack()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.config.port}/v1"

    @property
    def agent_requests(self) -> list[Ask]:
        return self.asked("agent")

    def asked(self, role: str) -> list[Ask]:
        """Requests of one role: "agent", "base", "tuned", or a schema's name."""
        with self._lock:
            return [ask for kind, ask in self.requests if kind == role]

    def agent(self, *replies: Scripted) -> None:
        """Queue replies of the agent: text, `call(…)`, `status(…)`, or a function of the request."""
        with self._lock:
            self._queue.extend(replies)

    def structured(self, schema: str, respond: Callable[[Json], Any]) -> None:
        """Answer calls of that schema name: from the user's JSON to a JSON value, or a `Status`."""
        self._structured[schema] = respond

    def judge(self, respond: Callable[[Json], Any]) -> None:
        self.structured("judgement", respond)

    def base(self, respond: Callable[[Ask], str]) -> None:
        self._base = respond

    def tuned(self, respond: Callable[[Ask], str]) -> None:
        self._tuned = respond

    def reply_to(self, ask: Ask, skill: Skill | None) -> Reply:
        """What the server asks for each chat request."""
        role = role_of(ask)
        with self._lock:
            self.requests.append((role, ask))
            self._count += 1
            number = self._count
            scripted = self._scripted(role, ask)
        if callable(scripted):
            scripted = scripted(ask)
        if isinstance(scripted, Status):
            raise WireError(scripted.body, status=scripted.code, kind=scripted.kind, code=scripted.error_code)
        if scripted is None:
            return answer(ask, skill=skill, seed=self.config.seed)
        return _numbered(Reply(scripted) if isinstance(scripted, str) else scripted, number)

    def _scripted(self, role: str, ask: Ask) -> Scripted | None:
        if role == "agent":
            return self._queue.popleft() if self._queue else self.when_idle
        if role in self._structured:
            return self._as_json(self._structured[role])
        return {"base": self._base, "tuned": self._tuned}.get(role)

    def _as_json(self, respond: Callable[[Json], Any]) -> Scripted:
        def reply(ask: Ask) -> str | Status:
            value = respond(json.loads(ask.last_user_text))
            return value if isinstance(value, (Status, str)) else json.dumps(value, ensure_ascii=False)

        return reply

    def __enter__(self) -> ScriptedModel:
        app = create_model_server(self.config, answer_with=self.reply_to)
        self._stack.enter_context(serving(app, self.config.port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _numbered(reply: Reply, number: int) -> Reply:
    made = tuple(
        ToolCall(one.id or f"call_{number}_{place}", one.name, one.arguments)
        for place, one in enumerate(reply.tool_calls)
    )
    return Reply(reply.text, made, reply.finish_reason)


@contextlib.contextmanager
def serving(app: ASGIApp, port: int) -> Iterator[str]:
    """The app on 127.0.0.1 in a thread, until the block ends. Gives its base URL."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, name=f"serving-{port}", daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    if not server.started:
        raise RuntimeError(f"the server on port {port} did not start")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
