"""Several processes, forty threads, duplicates, kill -9 (of Redis too) and stalls: every state exact, no effect twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from redis import Redis

from storage import embedded
from storage.errors import Unavailable
from storage.records import Change, InboxItem, Task, Tenant
from storage.redis_client import RedisClient, open_redis
from storage.redis_state import RedisState, connect
from tests.storage.lane_worker import lane_id, new_document

pytestmark = pytest.mark.anyio
LANES = [f"C{number}:1" for number in range(40)]
MESSAGES = 600
KILLS = 8


def start_worker(url: str, tenant: Tenant) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.storage.lane_worker", url, tenant.team])


def item(number: int) -> InboxItem:
    return InboxItem(id=f"m{number}", kind="message", user="U1", text="hi", at=float(number))


async def send_all(state: RedisState, tenant: Tenant, rng: random.Random) -> dict[str, list[str]]:
    """What was accepted, by lane, in order; nearly a third of it sent again, some of it much later."""
    accepted: dict[str, list[str]] = defaultdict(list)
    sent: list[tuple[str, InboxItem]] = []
    for number in range(MESSAGES):
        lane = rng.choice(LANES)
        assert await state.accept(tenant, lane, item(number))
        accepted[lane].append(f"m{number}")
        sent.append((lane, item(number)))
        if rng.random() < 0.3:
            assert not await state.accept(tenant, *rng.choice(sent[-50:]))
        await asyncio.sleep(0.002)
    return accepted


async def kill_now_and_then(
    workers: list[subprocess.Popen[bytes]], url: str, tenant: Tenant, rng: random.Random
) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(0.2)
        victim = rng.randrange(len(workers))
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = start_worker(url, tenant)


async def everything_consumed(state: RedisState) -> None:
    while await state.ready(1):
        await asyncio.sleep(0.02)


async def test_killed_and_stalling_processes_lose_nothing_and_do_nothing_twice(
    redis_url: str, tenant: Tenant
) -> None:
    rng = random.Random(7)
    state = connect(redis_url)
    workers = [start_worker(redis_url, tenant) for _ in range(3)]
    try:
        accepted, _ = await asyncio.gather(
            send_all(state, tenant, rng), kill_now_and_then(workers, redis_url, tenant, rng)
        )
        await asyncio.wait_for(everything_consumed(state), 30)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    effects = [event.data["item"] for event in await state.read(tenant, limit=10_000)]
    assert sorted(effects) == sorted(f"m{number}" for number in range(MESSAGES))
    for lane, ids in accepted.items():
        document = await state.get(tenant, Task, lane_id(lane))
        assert document is not None and document.result["seen"] == ids
        assert [said["id"] for said in await state.transcript(tenant, lane, last=400)] == ids
    await state.close()


async def test_what_was_accepted_survives_kills_of_redis_itself(data_dir: Path, tenant: Tenant) -> None:
    server = embedded.start(data_dir)
    state = connect(server.url)
    accepted = []
    for number in range(400):
        if number % 130 == 65:
            with Redis.from_url(server.url) as client:
                os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
            server.ensure()
        assert await state.accept(tenant, "C1:1", item(number))
        accepted.append(f"m{number}")
    assert [waiting.id for waiting in await state.waiting(tenant, "C1:1")] == accepted
    await state.close()
    server.stop()


async def test_an_unreachable_redis_is_said_plainly_and_soon(tmp_path: Path, tenant: Tenant) -> None:
    state = connect(f"unix://{tmp_path}/nobody.sock")
    for attempt in (state.accept(tenant, "C1:1", item(1)), state.ping(), state.commit(tenant, Change())):
        with pytest.raises(Unavailable):
            await attempt
    await state.close()


class RepliesLost(RedisClient):
    """Sends every write twice, as the client does when the connection breaks before the reply."""

    async def _run_known(self, *args: object) -> object:
        await super()._run_known(*args)  # type: ignore[arg-type]
        return await super()._run_known(*args)  # type: ignore[arg-type]

    async def run(self, *args: object) -> object:
        await super().run(*args)  # type: ignore[arg-type]
        return await super().run(*args)  # type: ignore[arg-type]


async def test_a_write_repeated_after_a_lost_reply_counts_once(redis_url: str, tenant: Tenant) -> None:
    state = RedisState(RepliesLost(open_redis(redis_url)))
    assert await state.accept(tenant, "C1:1", item(1))
    assert not await state.accept(tenant, "C1:1", item(1))
    sound = connect(redis_url)
    lease = await sound.claim(tenant, "lane", seconds=60)
    assert lease is not None
    await state.write(lease, "C1:1", {"reply": 1})
    assert await state.entries(tenant, "C1:1") == ({"reply": 1},)
    change = Change(puts=(new_document(tenant, "C1:1"),), lease=lease, transcript=("C1:1", ({"said": 1},)))
    await state.commit(tenant, change)
    assert await state.transcript(tenant, "C1:1", last=9) == ({"said": 1},)
    stored = await state.get(tenant, Task, lane_id("C1:1"))
    assert stored is not None and stored.version == 1
    await state.close()
    await sound.close()
