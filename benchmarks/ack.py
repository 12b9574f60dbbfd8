"""How fast Slack's events are acknowledged, and whether each is kept exactly once: 200 signed events a second, 30 % of them
repeats under new event ids, against `web` as a process with an embedded Redis.

Most events are replies in threads without a workflow (written to the inbox, looked at, dropped); one in twenty is a mention
that starts a turn with two model calls, so that acks are measured beside the work they compete with. Lost and doubled are
read from `web`'s own counters, and from the answers that the mentions got.

    ACK_SECONDS=5 python -m benchmarks --only ack
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.model_server import ModelProcess
from benchmarks.web_process import BOT, SECRET, TEAM, SlackThatAgrees, Web

EVENTS_A_SECOND = 200
DUPLICATES = 0.3
MENTION_EVERY = 20
SETTLE_SECONDS = 30.0


@dataclass(slots=True)
class Load:
    """What was offered and how it was answered. `delays` are from the time an event was due to its ack, in seconds."""

    unique: int = 0
    mentions: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    refused: int = 0


def run() -> list[dict[str, Any]]:
    """The figures for `benchmarks/results.json`. ACK_SECONDS is how long events are offered."""
    with ModelProcess() as model:
        found = asyncio.run(_measure(float(os.environ.get("ACK_SECONDS", "30")), model.base_url))
    return [_entry(name, unit, ours) for name, unit, ours in found]


async def _measure(seconds: float, model_url: str) -> list[tuple[str, str, float]]:
    slack = SlackThatAgrees()
    await slack.start()
    async with Web(slack.url, model_url=model_url) as process, aiohttp.ClientSession() as session:
        load = await _offer(session, process.url, seconds)
        accepted = await _settled(session, process, load, slack)
    answers = [slack.posts[thread] for thread in load.mentions]
    await slack.stop()
    delays = sorted(load.delays)
    lost = max(0, load.unique - accepted) + sum(1 for count in answers if count == 0) + load.refused
    doubled = max(0, accepted - load.unique) + sum(1 for count in answers if count > 1)
    return [
        ("ack_p99_ms", "ms", delays[int(len(delays) * 0.99)] * 1_000),
        ("ack_lost", "events", lost),
        ("ack_doubled", "events", doubled),
    ]


async def _offer(session: aiohttp.ClientSession, url: str, seconds: float) -> Load:
    """Send at a steady pace whatever the answers do; an event that waits for its turn counts its wait."""
    load, chance = Load(), random.Random(7)
    began, sending = time.perf_counter(), []
    sent: list[dict[str, Any]] = []
    for number in range(int(seconds * EVENTS_A_SECOND)):
        due = began + number / EVENTS_A_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if sent and chance.random() < DUPLICATES:
            event = _again(chance.choice(sent[-200:]), chance)
        else:
            event = _event(load, number)
            sent.append(event)
        sending.append(asyncio.create_task(_send(session, url, event, number, due, load)))
    await asyncio.gather(*sending)
    return load


def _event(load: Load, number: int) -> dict[str, Any]:
    load.unique += 1
    ts = f"17{number:08d}.000100"
    event = {
        "type": "message",
        "channel": f"C{number % 20}",
        "channel_type": "channel",
        "user": "U1",
        "ts": ts,
        "event_ts": ts,
    }
    if load.unique % MENTION_EVERY:
        return {**event, "thread_ts": "1600000000.000100", "text": "a remark in some thread"}
    load.mentions.append(ts)
    event["channel"] = f"C{len(load.mentions) % 20}"
    return {**event, "text": f"<@{BOT}> what do you need from me?"}


def _again(event: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same message once more: as Slack repeats it, or as the other of its two events."""
    return {**event, "type": chance.choice(("message", "app_mention"))} if BOT in event["text"] else event


async def _send(
    session: aiohttp.ClientSession, url: str, event: dict[str, Any], number: int, due: float, load: Load
) -> None:
    body = json.dumps(
        {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A0",
            "event_id": f"Ev{number}",
            "event_time": 1,
            "event": event,
            "authorizations": [{"team_id": TEAM, "user_id": BOT, "is_bot": True}],
        }
    )
    stamp = str(int(time.time()))
    signature = hmac.new(SECRET.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={signature}",
    }
    async with session.post(f"{url}/slack/events", data=body, headers=headers) as answer:
        await answer.read()
        load.refused += answer.status != 200
    load.delays.append(time.perf_counter() - due)


async def _settled(session: aiohttp.ClientSession, process: Web, load: Load, slack: SlackThatAgrees) -> int:
    """Wait until every mention has its answer; how many events `web` says it accepted."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and any(not slack.posts[thread] for thread in load.mentions):
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)  # a second answer, if there were one
    async with session.get(f"http://127.0.0.1:{process.metrics_port}/metrics") as answer:
        lines = re.findall(r"^finetune_accepted_total\{[^}]*\} ([\d.]+)$", await answer.text(), re.MULTILINE)
    return int(sum(float(value) for value in lines))


def _entry(name: str, unit: str, ours: float) -> dict[str, Any]:
    return {
        "name": name,
        "ours": round(ours, 1),
        "unit": unit,
        "peer": None,
        "peer_name": None,
        "ratio": None,
    }
