"""The same job by one worker and by two: real worker processes, a real Redis, a folder as the store, one task.

The job is the check of every row (`validate`), which computes and asks no model: on two cores two workers can at best
take half the time. What is not shared is the last look over all parts together, and starting.

    python -m benchmarks.two_workers
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.turn_million import TENANT, build
from storage import embedded
from storage.blobs_file import FileBlobs
from storage.records import Change, Dataset, Task
from storage.redis_state import connect
from tasks import workflow as flow
from tasks.desk import Desk, Started
from tasks.queue import Queue
from tasks.settings import Settings
from tasks.steps import OPERATIONS

ROWS = 1_000_000
ROUNDS = 2  # the best counts: the first reads files that have just been written


def run() -> list[dict[str, Any]]:
    """Seconds of wall time from the start of the task to its end; the ratio is the speed-up."""
    with tempfile.TemporaryDirectory() as folder, _house(Path(folder)) as url:
        manifest_rows = asyncio.run(_prepare(Path(folder), url))
        runs = [
            (count, _timed(Path(folder), url, count, round)) for round in range(ROUNDS) for count in (1, 2)
        ]
    seconds = {count: min(taken for workers, taken in runs if workers == count) for count in (1, 2)}
    return [
        {
            "name": "two_worker_speedup",
            "ours": seconds[1] / seconds[2],
            "unit": f"× ({manifest_rows:,} rows: {seconds[2]:.1f} s)",
            "peer": seconds[1],
            "peer_name": "seconds with one worker",
            "ratio": seconds[2] / seconds[1],
        }
    ]


@contextmanager
def _house(folder: Path) -> Iterator[str]:
    server = embedded.start(folder)
    try:
        yield server.url
    finally:
        server.stop()


async def _prepare(folder: Path, url: str) -> int:
    """A dataset of chat rows and the workflow that stands on it."""
    made = build(FileBlobs(folder / "storage"), "d1", ROWS)
    stands = replace(
        flow.create(
            id="w1", tenant=TENANT, channel="C1", thread_ts="1.0", owner="U1", name="Bench", goal="g", at=1.0
        ),
        dataset_id="d1",
        dataset_version=made.version,
        total_rows=made.totals.rows,
        valid_rows=made.totals.valid,
    )
    dataset = Dataset("d1", TENANT, "Bench", "bench.jsonl", "U1", 1.0, latest=made.version)
    state = connect(url)
    await state.commit(TENANT, Change(puts=(stands, dataset)))
    await state.close()
    return made.totals.rows


def _timed(folder: Path, url: str, workers: int, round: int) -> float:
    environment = {**os.environ, "REDIS_URL": url, "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "worker"], env=environment, stderr=subprocess.DEVNULL
        )
        for _ in range(workers)
    ]
    try:
        _registered(url, workers)
        return asyncio.run(_task(url, key=f"{workers} workers, {round}"))
    finally:
        for process in processes:
            process.kill()  # the count of near-duplicates, which follows by itself, is not waited for
            process.wait()
        with Redis.from_url(url) as redis:
            redis.delete("rq:workers", "rq:workers:steps")  # where they would stand until they are missed


def _registered(url: str, workers: int) -> None:
    with Redis.from_url(url) as redis:
        while redis.scard("rq:workers:steps") != workers:
            time.sleep(0.05)


async def _task(url: str, *, key: str) -> float:
    state, queue = connect(url), Queue(url)
    desk = Desk(state=state, queue=queue, settings=Settings(), operations=OPERATIONS, clock=time.time)
    workflow = await desk.workflow(TENANT, "w1")
    began = time.perf_counter()
    started = await desk.start(TENANT, workflow, "validate", {}, by="U1", key=key)
    if not isinstance(started, Started):
        raise RuntimeError(started.error)
    while True:
        task = await state.get(TENANT, Task, started.task.id)
        if task is not None and task.status not in ("queued", "running"):
            break
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - began
    if task.status != "finished":
        raise RuntimeError(f"{task.status}: {task.error}")
    await state.close()
    queue.close()
    return seconds


if __name__ == "__main__":
    print(run())
