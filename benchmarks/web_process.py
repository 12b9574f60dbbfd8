"""`web` as a process of its own, with a Slack that only says "ok" and an embedded Redis in a folder that goes away."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

SECRET = "bench"
TEAM, BOT = "T0BENCH", "U0BOT"
READY_SECONDS = 60.0


class SlackThatAgrees:
    """Answers every Web API method; `posts` counts messages by thread."""

    def __init__(self) -> None:
        self.posts: Counter[str] = Counter()
        self._number = 0
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}/api/"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if method == "auth.test":
            return web.json_response(
                {"ok": True, "team_id": TEAM, "user_id": BOT, "bot_id": "B0", "url": "https://x"}
            )
        body: dict[str, Any] = (
            await request.json() if request.content_type == "application/json" else dict(await request.post())
        )
        if method == "chat.postMessage":
            self.posts[str(body.get("thread_ts"))] += 1
        self._number += 1
        user = {"id": str(body.get("user")), "team_id": TEAM}
        return web.json_response(
            {"ok": True, "ts": f"9.{self._number:06d}", "channel": body.get("channel"), "user": user}
        )


class Web:
    """A context manager around the process. `ready_seconds` is what it took until /readyz said 200."""

    def __init__(self, slack_url: str, *, model_url: str = "") -> None:
        self.port, self.metrics_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready_seconds = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="bench-web-")
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("SLACK_", "OPENAI_", "REDIS_"))
            },
            "SLACK_BOT_TOKEN": "xoxb-bench",
            "SLACK_SIGNING_SECRET": SECRET,
            "SLACK_API_URL": slack_url,
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
            "HOST": "127.0.0.1",
            "DATA_DIR": self._folder.name,
            "OPENAI_API_KEY": "bench",
            "OPENAI_BASE_URL": model_url or "http://127.0.0.1:9/v1",
            "OPENAI_WIRE": "chat",
        }

    async def __aenter__(self) -> Web:
        began = time.monotonic()
        with Path(self._folder.name, "web.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot.cli", "web"], env=self._environment, stdout=log, stderr=log
            )
        async with aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                if self.process.poll() is not None or time.monotonic() - began > READY_SECONDS:
                    raise RuntimeError(Path(self._folder.name, "web.log").read_text()[-2_000:])
                await asyncio.sleep(0.02)
        self.ready_seconds = time.monotonic() - began
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, 15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._folder.cleanup()

    def rss_mb(self) -> float:
        """Resident memory now, in MB."""
        found = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True, check=True
        )
        return int(found.stdout) / 1_000

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/readyz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
