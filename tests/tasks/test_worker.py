"""Real worker processes, and what is left of their work when they, their children or Redis are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from storage import embedded
from storage.ports import State
from storage.records import Task, Tenant, Workflow
from storage.redis_state import connect
from tasks.desk import Desk
from tasks.queue import Queue
from tasks.settings import Settings
from tasks.step import Step
from tasks.sweeper import sweep
from tests.tasks import toys

pytestmark = pytest.mark.anyio
SLOW = toys.an_operation(toys.grow, name="slow")
SHARED = toys.an_operation(toys.grow, name="shared")
PARTS = [f"part {number}" for number in range(10)]
SHARES = [f"share {number}" for number in range(20)]


@pytest.fixture
def own_redis(data_dir: Path) -> Iterator[embedded.EmbeddedServer]:
    server = embedded.start(data_dir)
    yield server
    server.stop()


class Shop:
    """A queue, a state, and worker processes that a test may kill."""

    def __init__(self, url: str, diary: Path) -> None:
        self.url, self.diary = url, diary
        self.state: State = connect(url)
        self.queue = Queue(url)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.desk = Desk(
            state=self.state,
            queue=self.queue,
            settings=Settings(),
            operations={"slow": SLOW, "shared": SHARED},
            clock=time.time,
        )

    def hire(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.tasks.worker_process", self.url, str(self.diary)]
        self.workers.append(subprocess.Popen(command))
        return self.workers[-1]

    def lines(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []

    def children(self) -> list[int]:
        return [int(line.split()[1]) for line in self.lines() if line.startswith("start")]

    def crew(self) -> list[int]:
        """The worker processes that have begun a share, in the order in which they came."""
        begun = (line.split() for line in self.lines() if line.startswith("start") and "share" in line)
        return list(dict.fromkeys(int(words[2]) for words in begun))

    def registered(self) -> int:
        with Redis.from_url(self.url) as redis:
            return int(redis.scard("rq:workers:steps"))

    async def finished(self, task: Task, *, sweeping: bool = False) -> Task:
        """The task once it is over. With `sweeping`, as if the clock ran ahead and leases ran out."""
        while True:
            found = await self.state.get(task.tenant, Task, task.id)
            if found is not None and found.status not in ("queued", "running"):
                return found
            if sweeping:
                with Redis.from_url(self.url) as redis:
                    for key in redis.keys(f"ft:{{-.{task.tenant.team}}}:lease:task:{task.id}*"):
                        redis.delete(key)
                await sweep(self.desk, self.queue, now=time.time() + 60)
                sweeping = False
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(10)
        await self.state.close()
        self.queue.close()


@pytest.fixture
async def shop(own_redis: embedded.EmbeddedServer, tmp_path: Path) -> AsyncIterator[Shop]:
    opened = Shop(own_redis.url, tmp_path / "diary")
    yield opened
    await opened.close()


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


async def start(shop: Shop, tenant: Tenant, step: Step = SLOW) -> Task:
    task = await toys.begin(shop.state, tenant, step)
    await shop.queue.wake(task)
    return task


def gone(pid: int) -> bool:
    """Whether the process has ended, though nobody may have collected it yet."""
    status = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return not status.stdout.strip() or status.stdout.startswith("Z")


async def test_a_worker_runs_a_task_in_a_child_and_leaves_no_job_behind(shop: Shop, tenant: Tenant) -> None:
    worker = shop.hire()
    task = await asyncio.wait_for(shop.finished(await start(shop, tenant)), 30)
    assert (task.status, task.result) == ("finished", {"parts": 10})
    assert shop.children() != [worker.pid]
    assert await shop.queue.waiting() == frozenset()


async def test_a_task_completes_once_when_worker_and_child_are_killed(shop: Shop, tenant: Tenant) -> None:
    first = shop.hire()
    task = await start(shop, tenant)
    await asyncio.wait_for(until(lambda: "part 4" in shop.lines()), 30)
    (child,) = shop.children()
    first.kill()
    await asyncio.wait_for(until(lambda: gone(child)), 10)
    assert "part 9" not in shop.lines(), "the child died with its parent"
    shop.hire()
    done = await asyncio.wait_for(shop.finished(task, sweeping=True), 30)
    assert (done.status, done.attempt, done.result) == ("finished", 1, {"parts": 10})
    made = [line for line in shop.lines() if line.startswith("part")]
    assert sorted(set(made)) == PARTS and len(made) <= len(PARTS) + 1, (
        "at most the part in hand was made again"
    )
    workflow = await shop.state.get(tenant, Workflow, "w1")
    assert workflow is not None and workflow.applied == (task.id,)
    assert len(await shop.state.waiting(tenant, "C1:1.0")) == 1


async def test_a_task_completes_once_when_its_child_is_killed(shop: Shop, tenant: Tenant) -> None:
    shop.hire()
    task = await start(shop, tenant)
    await asyncio.wait_for(until(lambda: "part 4" in shop.lines()), 30)
    os.kill(shop.children()[0], signal.SIGKILL)
    await asyncio.wait_for(until(lambda: gone(shop.children()[0])), 10)
    done = await asyncio.wait_for(shop.finished(task, sweeping=True), 30)
    assert (done.status, done.attempt, len(shop.children())) == ("finished", 1, 2)
    assert len(await shop.state.waiting(tenant, "C1:1.0")) == 1


async def test_a_task_whose_job_was_lost_is_found_by_the_sweeper(shop: Shop, tenant: Tenant) -> None:
    task = await toys.begin(shop.state, tenant, SLOW)  # written, and the process died before the wake
    shop.hire()
    done = await asyncio.wait_for(shop.finished(task, sweeping=True), 30)
    assert done.status == "finished"


async def test_a_worker_outlives_a_killed_redis(
    shop: Shop, own_redis: embedded.EmbeddedServer, tenant: Tenant
) -> None:
    worker = shop.hire()
    await asyncio.wait_for(shop.finished(await start(shop, tenant)), 30)
    with Redis.from_url(own_redis.url) as client:
        os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
    own_redis.ensure()
    other = Tenant(enterprise="E1", team=tenant.team)
    task = await start(shop, other)
    assert (await asyncio.wait_for(shop.finished(task), 60)).status == "finished"
    assert worker.poll() is None


async def test_a_worker_leaves_on_a_signal(shop: Shop, tenant: Tenant) -> None:
    worker = shop.hire()
    await asyncio.wait_for(shop.finished(await start(shop, tenant)), 30)
    worker.terminate()
    await asyncio.wait_for(until(lambda: worker.poll() is not None), 15)
    assert worker.returncode == 0


@pytest.mark.parametrize("victim", ["the worker that runs the task", "the worker that helps"])
async def test_workers_share_a_task_and_a_killed_one_costs_the_share_in_hand(
    shop: Shop, tenant: Tenant, victim: str
) -> None:
    workers = {shop.hire().pid: shop.workers[-1] for _ in range(2)}
    await asyncio.wait_for(until(lambda: shop.registered() == 2), 30)
    task = await start(shop, tenant, SHARED)
    await asyncio.wait_for(until(lambda: len(shop.crew()) == 2), 30)
    leader, helper = shop.crew()
    workers[leader if victim == "the worker that runs the task" else helper].kill()
    done = await asyncio.wait_for(shop.finished(task, sweeping=True), 60)
    assert (done.status, done.result["parts"]) == ("finished", 20)
    made = [line for line in shop.lines() if line.startswith("share")]
    assert sorted(set(made)) == sorted(SHARES) and len(made) <= len(SHARES) + 1
    assert len(await shop.state.waiting(tenant, "C1:1.0")) == 1
