"""The whole product as a deployment has it, for tests: the Procfile's processes, told by environment variables alone.

    with Stack(folder) as stack:
        ada = stack.person()
        stack.kill("worker"); stack.start("worker")

Around them, in threads of the test: a Slack (the local workspace), an OpenAI-compatible server (`stack.model`, a
`ScriptedModel` that follows the stand-in's policy until it is told otherwise), an embedded Redis, and a folder or an S3
(moto). The processes know none of that; they see addresses. `stack.ask` looks into the state behind their backs.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from redis import Redis

from bot.sandbox.model.config import ModelConfig
from bot.sandbox.workspace.app import create_workspace
from bot.sandbox.workspace.config import Room, WorkspaceConfig
from bot.sandbox.workspace.person import Person, words
from storage import embedded, keys
from storage.ports import State
from storage.records import Tenant, Workflow
from storage.redis_state import connect
from tasks.desk import Desk
from tasks.queue import Queue
from tasks.settings import Settings
from tasks.steps import OPERATIONS
from tasks.sweeper import sweep
from tests.journey.tripwire import Tripwires, Watched, WatchedModel
from tests.scripted_model import ScriptedModel, free_port, serving

Json = dict[str, Any]
T = TypeVar("T")
Process = Literal["web", "worker", "trainer"]

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-signing-secret-of-the-test"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of the test's webhooks").decode()
CHANNEL = "C0MODELS"
READY_SECONDS = 60.0
STOP_SECONDS = 10.0
TRAINING_SPEED = 600.0  # of the provider's clock: minutes of training take a fraction of a second
RETRY_SECONDS = (0.0, 1.0, 1.0, 2.0, 2.0, 5.0, 5.0, 10.0)  # Slack's retries, sooner than Slack's
WORKSPACE = WorkspaceConfig(
    signing_secret=SECRET, retry_delays_seconds=RETRY_SECONDS, trigger_life_seconds=30.0
)

LIVE: list[Stack] = []  # what runs now, for the report of a failed test


class Stack:
    """A context manager. `environment` is added to what the processes are told; `storage` is "file" or "s3"."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        storage: Literal["file", "s3"] = "file",
        model: ModelConfig | None = None,
        model_url: str = "",
        workspace: WorkspaceConfig = WORKSPACE,
        environment: Mapping[str, str] | None = None,
        webhooks: bool = False,
        rooms: int = 0,
    ) -> None:
        self.folder = folder
        self.workers = workers
        self.port = free_port()
        place = free_port()
        self.workspace = replace(
            workspace,
            rooms=(*workspace.rooms, *_rooms(rooms)),
            port=place,
            public_url=f"http://127.0.0.1:{place}",
            request_url=f"http://127.0.0.1:{self.port}/slack/events",
        )
        self._free = iter(range(rooms))
        self.tenant = Tenant(enterprise="", team=workspace.team_id)
        self.wires = Tripwires()
        self.redis: embedded.EmbeddedServer | None = None
        self._model: ScriptedModel | None = None
        self._model_config = model or ModelConfig(speed=TRAINING_SPEED)
        self._model_url = model_url
        self._storage = storage
        self._webhooks = webhooks
        self._more = dict(environment or {})
        self._around = contextlib.ExitStack()
        self._running: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.environment: dict[str, str] = {}

    # ------------------------------------------------------------ people and the model

    def person(self, user: str = "U0ADA", channel: str = CHANNEL) -> Person:
        return Person(self.workspace.url, user, channel)

    def fresh_channel(self) -> str:
        """A channel of the test's own: Slack lets a bot post once a second in each."""
        return f"C0ROOM{next(self._free)}"

    @property
    def model(self) -> ScriptedModel:
        assert self._model is not None, "this stack talks to a model server of its own choice"
        return self._model

    def provider(self, path: str, body: Json | None = None, *, method: str = "") -> Json:
        """Ask the model server itself, as nobody of ours would: `/v1/fine_tuning/jobs`, `/standin/faults` …"""
        url = self.environment["OPENAI_BASE_URL"].removesuffix("/v1") + path
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer test", "Content-Type": "application/json"}
        with urlopen(Request(url, data, headers, method=method or None), timeout=30) as answer:
            return dict(json.loads(answer.read()))

    def interact(self, payload: Json) -> int:
        """Send `web` an interaction as Slack would, signed; what a page that was never reloaded may still do. The status."""
        body = urlencode({"payload": json.dumps(payload)}).encode()
        stamp = str(int(time.time()))
        digest = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}
        with urlopen(Request(self.workspace.request_url, body, headers), timeout=30) as answer:
            return int(answer.status)

    def training_jobs(self) -> list[Json]:
        """Every fine-tuning job that the provider ever accepted."""
        return list(self.provider("/v1/fine_tuning/jobs?limit=100")["data"])

    # ------------------------------------------------------------ processes

    def start(self, name: Process) -> None:
        """Start one more process of that name. `wait_ready` tells when `web` answers."""
        path = self.folder / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            process = subprocess.Popen(
                _command(name),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.setdefault(name, []).append(process)

    def kill(self, name: Process, *, leases_run_out: bool = True) -> None:
        """SIGKILL all processes of that name, and what they had forked. With `leases_run_out`, as if enough time had
        passed for nobody to believe them alive."""
        for process in self._running.pop(name, []):
            children = _children(process.pid)
            process.kill()
            process.wait()
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        if leases_run_out:
            self._let_leases_run_out(tasks=name != "web")

    def restart(self, name: Process) -> None:
        """Kill it, and have it taken up again."""
        self.kill(name)
        self.revive(name)

    def revive(self, name: Process) -> None:
        """Start what was killed again, and have the sweeper look for what it left."""
        self.start(name)
        if name == "web":
            self.wait_ready()
        else:
            self.sweep()

    def alive(self, name: Process) -> bool:
        return any(process.poll() is None for process in self._running.get(name, []))

    def wait_ready(self) -> None:
        """Until `web` says that it is ready. Raises RuntimeError with the end of its log."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.alive("web"):
            if _answers(f"http://127.0.0.1:{self.port}/readyz"):
                return
            time.sleep(0.02)
        raise RuntimeError(f"web did not get ready.\n{self.logs()}")

    def sweep(self) -> None:
        """What `web` does every ten seconds, now and a minute later on the clock."""

        async def run(state: State) -> None:
            settings = Settings(redis_url=self.environment["REDIS_URL"])
            queue = Queue(settings.redis_url)
            desk = Desk(state=state, queue=queue, settings=settings, operations=OPERATIONS, clock=time.time)
            try:
                await sweep(desk, queue, now=time.time() + 60)
            finally:
                queue.close()

        self.ask(run)

    def logs(self, characters: int = 3_000) -> str:
        """The end of each process's log."""
        found = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-characters:]}" for path in found
        )

    def scene(self, messages: int = 12) -> str:
        """The end of what stands in the channel and its threads, as a person sees it."""
        ada = self.person()
        threads = [one["ts"] for one in ada.messages() if one.get("reply_count")]
        found = [*ada.messages()[-3:], *(ada.messages(thread_ts=threads[-1]) if threads else [])][-messages:]
        return "\n".join(f"[{one.get('user')}] {words(one)[:600]}" for one in found)

    # ------------------------------------------------------------ the state behind it

    def ask(self, question: Callable[[State], Awaitable[T]]) -> T:
        """Put a question to the state, on a connection of its own."""

        async def run() -> T:
            state = connect(self.environment["REDIS_URL"])
            try:
                return await question(state)
            finally:
                await state.close()

        return asyncio.run(run())

    def workflow(self, thread_ts: str, channel: str = CHANNEL) -> Workflow | None:
        """The workflow of a thread, as it is kept."""
        index = f"workflow:thread:{channel}:{thread_ts}"
        found = self.ask(lambda state: state.find(self.tenant, Workflow, index))
        return found[-1] if found else None

    def kill_redis(self) -> None:
        """SIGKILL the Redis server, and start it again from its append-only file."""
        assert self.redis is not None
        with Redis.from_url(self.redis.url) as client:
            os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
        self.redis.ensure()

    def _let_leases_run_out(self, *, tasks: bool) -> None:
        with Redis.from_url(self.environment["REDIS_URL"]) as redis:
            for team in (self.tenant, Tenant(enterprise="", team="leader")):
                prefix = f"{keys.prefix(team)}:lease:"
                held = [key.decode() for key in redis.scan_iter(f"{prefix}*", count=1_000)]
                for key in held:
                    if key.removeprefix(prefix).startswith("task:") is tasks:
                        redis.delete(key)

    # ------------------------------------------------------------ coming and going

    def __enter__(self) -> Stack:
        LIVE.append(self)
        try:
            self._surround()
            self.start("web")
            for _ in range(self.workers):
                self.start("worker")
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything. Harmless when repeated."""
        processes = [process for kept in self._running.values() for process in kept]
        self._running.clear()
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._around.close()
        if self in LIVE:
            LIVE.remove(self)

    def _surround(self) -> None:
        """Slack, model, Redis and storage; then the environment that names them."""
        self.redis = embedded.start(self.folder / "redis")
        self._around.callback(self.redis.stop)
        slack = Watched(create_workspace(self.workspace), self.wires)
        self._around.enter_context(serving(slack, self.workspace.port))
        model_url = self._model_url or self._serve_model()
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ},
            "HOME": str(self.folder),
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "METRICS_PORT": "0",
            "SLACK_BOT_TOKEN": self.workspace.bot_token,
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": f"{self.workspace.url}/api/",
            "OPENAI_API_KEY": "test",
            "OPENAI_BASE_URL": model_url,
            "ALLOWED_PROVIDERS": model_url.split("/")[2],
            "AGENT_MODEL": "standin-agent",
            "GENERATOR_MODEL": "standin-writer",
            "JUDGE_MODEL": "standin-judge",
            "BASE_MODEL": "standin-base",
            "EMBEDDING_MODEL": "standin-embedding",
            "BUDGET_USD": "500",
            "TRAINING_POLL_SECONDS": "0.5",
            "TRAINING_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "REDIS_URL": self.redis.url,
            **self._kept(),
            **self._more,
        }

    def _serve_model(self) -> str:
        hook = f"http://127.0.0.1:{self.port}/webhooks/training" if self._webhooks else ""
        config = replace(
            self._model_config, port=free_port(), webhook_url=hook, webhook_secret=WEBHOOK_SECRET
        )
        self._model = self._around.enter_context(WatchedModel(self.wires, config))
        return self._model.base_url

    def _kept(self) -> dict[str, str]:
        if self._storage == "file":
            folder = self.folder / "storage"
            folder.mkdir(parents=True, exist_ok=True)
            return {"STORAGE_URL": folder.as_uri()}
        return _an_s3(self._around)


def _an_s3(around: contextlib.ExitStack) -> dict[str, str]:
    """A bucket on a moto server, and the variables that lead to it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    around.callback(server.stop)
    host, port = server.get_host_and_port()
    access = {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=access["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=access["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=access["AWS_SECRET_ACCESS_KEY"],
        region_name=access["AWS_DEFAULT_REGION"],
    )
    client.create_bucket(Bucket="datasets")
    return {**access, "STORAGE_URL": "s3://datasets/some/prefix"}


def _rooms(count: int) -> tuple[Room, ...]:
    people = ("U0ADA", "U0GRACE", "U0KATHERINE", "U0LINUS")
    return tuple(Room(f"C0ROOM{number}", f"room-{number}", people) for number in range(count))


def _command(name: str) -> list[str]:
    """What the Procfile says, run by this interpreter."""
    lines = dict(line.split(":", 1) for line in (ROOT / "Procfile").read_text().splitlines() if ":" in line)
    program, *arguments = lines[name].split()
    assert program == "finetune", lines[name]
    return [sys.executable, "-m", "bot.cli", *arguments]


def _children(pid: int) -> list[int]:
    """Direct children of a process."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
