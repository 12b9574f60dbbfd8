"""Idle memory of `web` and its start until it is ready, with an embedded Redis and a Slack that answers at once.

python -m benchmarks --only web
"""

from __future__ import annotations

import asyncio
import os
import statistics
from typing import Any

from benchmarks.web_process import SlackThatAgrees, Web

STARTS = 3


def run() -> list[dict[str, Any]]:
    """The figures for `benchmarks/results.json`. WEB_IDLE_SECONDS is how long it idles before its memory is read."""
    idle_seconds = float(os.environ.get("WEB_IDLE_SECONDS", "10"))
    ready, memory = asyncio.run(_measure(idle_seconds))
    return [
        _entry("web_rss_mb", "MB", max(memory)),
        _entry("web_ready_s", "s", statistics.median(ready)),
    ]


async def _measure(idle_seconds: float) -> tuple[list[float], list[float]]:
    slack = SlackThatAgrees()
    await slack.start()
    ready, memory = [], []
    for number in range(STARTS):
        async with Web(slack.url) as process:
            ready.append(process.ready_seconds)
            await asyncio.sleep(idle_seconds if number == 0 else 0.2)
            memory.append(process.rss_mb())
    await slack.stop()
    return ready, memory


def _entry(name: str, unit: str, ours: float) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 2),
        "unit": unit,
        "peer": None,
        "peer_name": None,
        "ratio": None,
    }
