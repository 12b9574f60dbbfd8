"""Runs a workspace for a test on a free port, and an app that records what it is sent and answers as told."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode
from urllib.request import Request, urlopen

import uvicorn

from bot.sandbox.workspace.app import create_workspace
from bot.sandbox.workspace.config import WorkspaceConfig
from bot.sandbox.workspace.person import Person

Json = dict[str, Any]
SECRET = "a-signing-secret"
Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Received:
    """One request that the app got."""

    headers: dict[str, str]
    raw: bytes

    @property
    def payload(self) -> Json:
        if self.headers["content-type"].startswith("application/json"):
            return dict(json.loads(self.raw))
        fields = {name: held[0] for name, held in parse_qs(self.raw.decode(), keep_blank_values=True).items()}
        return dict(json.loads(fields["payload"])) if "payload" in fields else fields

    @property
    def signed(self) -> bool:
        stamp = self.headers["x-slack-request-timestamp"]
        digest = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + self.raw, hashlib.sha256).hexdigest()
        return self.headers["x-slack-signature"] == f"v0={digest}"


@dataclass
class App:
    """The app at the other end. `answer` decides each reply: status, body, headers."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], Answer] = field(default=lambda _: (200, "", {}))
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, request: Received) -> Answer:
        with self.arrived:
            self.received.append(request)
            self.arrived.notify_all()
        return self.answer(request)

    def wait(self, wanted: Callable[[Json], bool], count: int = 1) -> list[Json]:
        """The payloads that are wanted, once there are that many."""

        def found() -> list[Json]:
            return [one.payload for one in self.received if wanted(one.payload)]

        with self.arrived:
            assert self.arrived.wait_for(lambda: len(found()) >= count, timeout=20), self.kinds()
            return found()

    def event(self, kind: str, **fields: Any) -> Json:
        """The first event of that type and fields."""

        def wanted(payload: Json) -> bool:
            event = payload.get("event", {})
            return event.get("type") == kind and all(
                event.get(name) == value for name, value in fields.items()
            )

        return self.wait(wanted)[0]

    def kinds(self) -> list[str]:
        return [one.payload.get("event", one.payload).get("type", "") for one in self.received]


@contextmanager
def an_app() -> Iterator[App]:
    app = App()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body, more = app.take(Received(headers, raw))
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                return

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    app.url = f"http://127.0.0.1:{server.server_port}/slack/events"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Place:
    """A running workspace with its app."""

    config: WorkspaceConfig
    app: App

    def person(self, user: str = "U0ADA", channel: str = "C0MODELS") -> Person:
        return Person(self.config.url, user, channel)

    def call(self, method: str, *, token: str | None = None, form: bool = False, **args: Any) -> Json:
        """A Web API call as the app makes it."""
        status, _, body = self.raw_call(method, token=token, form=form, **args)
        assert status == 200, (status, body)
        return dict(json.loads(body))

    def raw_call(
        self, method: str, *, token: str | None = None, form: bool = False, **args: Any
    ) -> tuple[int, dict[str, str], bytes]:
        bearer = self.config.bot_token if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if form:
            flat = {k: v if isinstance(v, str) else json.dumps(v) for k, v in args.items()}
            body, kind = urlencode(flat).encode(), "application/x-www-form-urlencoded"
        else:
            body, kind = json.dumps(args).encode(), "application/json; charset=utf-8"
        return self.http("POST", f"/api/{method}", body, {**headers, "Content-Type": kind})

    def http(
        self, verb: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        address = path if path.startswith("http") else self.config.url + path
        try:
            with urlopen(Request(address, body, headers or {}, method=verb), timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except HTTPError as error:
            return error.code, dict(error.headers), error.read()


@contextmanager
def a_workspace(**changes: Any) -> Iterator[Place]:
    with an_app() as app, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = WorkspaceConfig(
            signing_secret=SECRET, port=port, public_url=f"http://127.0.0.1:{port}", request_url=app.url
        )
        config = replace(config, **changes)
        settings = uvicorn.Config(
            create_workspace(config),
            host="127.0.0.1",
            port=port,
            log_level="error",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        try:
            yield Place(config, app)
        finally:
            server.should_exit = True
            thread.join(10)
