"""Starts everything on one machine: the local Slack workspace, a stand-in model where no key is set, and the Procfile's processes.

It only starts, watches and stops; what each process does, it does as in production, told by environment variables alone.
Ctrl-C stops all of it. A process that dies is started again, as a platform would.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

START_SECONDS = 60.0
STOP_SECONDS = 10.0
PAUSE_SECONDS = 0.2
MOST_RESTARTS = 20
TRAINING_SPEED = 60  # the stand-in's training clock; a job of minutes takes seconds
OURS = (
    "SLACK_",
    "OPENAI_",
    "REDIS_URL",
    "STORAGE_URL",
    "DATA_DIR",
    "PORT",
    "METRICS_PORT",
    "PUBLIC_URL",
    "TRAINING_",
)


@dataclass(frozen=True, slots=True)
class Part:
    """A process: how it is started, and the address that answers 200 once it works ("" for those without one)."""

    name: str
    command: tuple[str, ...]
    health: str = ""


@dataclass(slots=True)
class Running:
    part: Part
    process: subprocess.Popen[bytes]
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is started, in order, and the environment of it all."""

    parts: tuple[Part, ...]
    environment: Mapping[str, str]
    workspace_url: str
    real_model: bool
    folder: Path


@dataclass(slots=True)
class Household:
    """The processes of a plan. `start` returns when all answer; `stop` leaves nothing behind."""

    plan: Plan
    running: list[Running] = field(default_factory=list)

    def start(self) -> None:
        """Raises RuntimeError with the end of the log of what did not come up."""
        for part in self.plan.parts:
            self.running.append(Running(part, self._spawn(part)))
            if part.health:
                self._wait_for(self.running[-1])

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart what dies, until told to stop."""
        while not until():
            for entry in self.running:
                if entry.process.poll() is not None and entry.restarts < MOST_RESTARTS:
                    print(
                        f"{entry.part.name} ended ({entry.process.returncode}); starting it again",
                        file=sys.stderr,
                    )
                    entry.restarts += 1
                    entry.process = self._spawn(entry.part)
            time.sleep(PAUSE_SECONDS)

    def stop(self) -> None:
        """Ask all to end, the last started first; kill what does not."""
        for entry in reversed(self.running):
            if entry.process.poll() is None:
                entry.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for entry in reversed(self.running):
            try:
                entry.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                entry.process.kill()
                entry.process.wait()

    def log_of(self, name: str) -> Path:
        return self.plan.folder / "logs" / f"{name}.log"

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        path = self.log_of(part.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            return subprocess.Popen(
                part.command,
                env=dict(self.plan.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the launcher only, which then stops them in order
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def _wait_for(self, entry: Running) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if entry.process.poll() is not None:
                break
            if _answers(entry.part.health):
                return
            time.sleep(PAUSE_SECONDS / 2)
        end = self.log_of(entry.part.name).read_text(errors="replace")[-2_000:]
        raise RuntimeError(f"{entry.part.name} did not start. The end of its log:\n{end}")


def run(*, journey: bool = False, port: int = 4000, keep: bool = False, workers: int = 2) -> int:
    """Run the sandbox until Ctrl-C, or play the journey and return its exit status."""
    folder = Path(tempfile.mkdtemp(prefix="finetune-journey-")) if journey else _folder(keep)
    plan = planned(
        folder,
        workspace_port=free_port() if journey else port,
        environment=os.environ,
        workers=workers,
    )
    household = Household(plan)
    stopping: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.append(number)
        if journey:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        household.start()
        if journey:
            return _play(plan)
        _greet(plan)
        household.watch(lambda: bool(stopping))
        return 0
    except (RuntimeError, KeyboardInterrupt) as error:
        print(str(error) or "stopped", file=sys.stderr)
        return 1
    finally:
        household.stop()
        if journey and not os.environ.get("FINETUNE_KEEP_JOURNEY"):
            shutil.rmtree(folder, ignore_errors=True)


def planned(folder: Path, *, workspace_port: int, environment: Mapping[str, str], workers: int = 1) -> Plan:
    """What to start, and with what environment. A key in `environment` means the real model; without, the stand-in."""
    web_port, model_port = free_port(), free_port()
    workspace_url = f"http://localhost:{workspace_port}"
    real_model = bool(environment.get("OPENAI_API_KEY"))
    secret = secrets.token_hex(16)
    webhook_secret = secrets.token_hex(16)
    model_url = f"http://127.0.0.1:{model_port}/v1"
    slack = {
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_SIGNING_SECRET": secret,
        "SLACK_API_URL": f"{workspace_url}/api/",
        "DATA_DIR": str(folder),
        "PORT": str(web_port),
        "HOST": "127.0.0.1",
        "METRICS_PORT": "0",
        "TRAINING_WEBHOOK_SECRET": webhook_secret,
        "TRAINING_POLL_SECONDS": environment.get("TRAINING_POLL_SECONDS", "1"),
    }
    stand_in = {
        "OPENAI_API_KEY": "stand-in",
        "OPENAI_BASE_URL": model_url,
        "ALLOWED_PROVIDERS": f"127.0.0.1:{model_port}",
        "AGENT_MODEL": "standin-agent",
        "GENERATOR_MODEL": "standin-writer",
        "JUDGE_MODEL": "standin-judge",
        "BASE_MODEL": "standin-base",
        "EMBEDDING_MODEL": "standin-embedding",
        "BUDGET_USD": environment.get("BUDGET_USD", "500"),
    }
    kept = {
        name: value for name, value in environment.items() if real_model or not name.startswith("OPENAI_")
    }
    clean = {
        name: value for name, value in kept.items() if not name.startswith(OURS) or name.startswith("OPENAI_")
    }
    python = (sys.executable, "-m")
    model = Part(
        "model",
        (
            *python,
            "bot.sandbox.model",
            "--port",
            str(model_port),
            "--speed",
            str(TRAINING_SPEED),
            "--webhook-url",
            f"http://127.0.0.1:{web_port}/webhooks/training",
            "--webhook-secret",
            webhook_secret,
        ),
        f"http://127.0.0.1:{model_port}/",
    )
    request_url = f"http://127.0.0.1:{web_port}/slack/events"
    workspace = Part(
        "workspace",
        (*python, "bot.sandbox.workspace", "--port", str(workspace_port), "--request-url", request_url),
        f"{workspace_url}/healthz",
    )
    ours = (
        Part("web", (*python, "bot.cli", "web"), f"http://127.0.0.1:{web_port}/readyz"),
        *(
            Part(name, (*python, "bot.cli", "worker"))
            for name in ("worker", *(f"worker{number}" for number in range(2, workers + 1)))
        ),
        Part("trainer", (*python, "bot.cli", "trainer")),
    )
    return Plan(
        parts=(workspace, *(() if real_model else (model,)), *ours),
        environment={**clean, **slack, **({} if real_model else stand_in)},
        workspace_url=workspace_url,
        real_model=real_model,
        folder=folder,
    )


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _folder(keep: bool) -> Path:
    """The sandbox's data. The workspace forgets its messages, so what points to them is cleared unless asked otherwise."""
    folder = Path("~/.finetune/sandbox").expanduser()
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _greet(plan: Plan) -> None:
    model = (
        "the model of your OPENAI_API_KEY"
        if plan.real_model
        else "a stand-in model (set OPENAI_API_KEY for a real one)"
    )
    print(f"The workspace is at {plan.workspace_url} , answered by {model}.")
    print(f"Logs: {plan.folder / 'logs'}. Ctrl-C stops everything.", flush=True)


def _play(plan: Plan) -> int:
    from bot.sandbox.journey import play

    return play(plan.workspace_url, say=lambda line: print(line, flush=True))


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False


def _end_with_parent() -> None:
    """In the child: be stopped when the launcher is gone, however that came to be."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
