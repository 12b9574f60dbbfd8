"""A real worker process with toy operations, for `test_worker.py`.

usage: python -m tests.tasks.worker_process <redis url> <file that each start and each part is appended to>
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

from storage.records import Json
from storage.redis_state import connect
from tasks.deps import Deps
from tasks.jobs import Workplace
from tasks.queue import Queue
from tasks.step import Fan, StepContext, StepReport, registry
from tasks.worker import work
from tests.tasks import toys

PARTS = 10
SHARES = 20


async def slow(diary: Path, ctx: StepContext, params: Json) -> StepReport:
    """Ten parts of 50 ms, each written down when it is made."""
    note(diary, f"start {os.getpid()} {os.getppid()}")
    for part in map(str, range(PARTS)):
        if part not in ctx.done:
            note(diary, f"part {part}")
            await ctx.checkpoint(part, {"made": True})
            await asyncio.sleep(0.05)
    return StepReport(facts={"parts": len(ctx.done)}, summary="done")


async def shared(ctx: StepContext, params: Json) -> StepReport:
    """Twenty shares, for as many workers as there are."""
    await ctx.spread({f"share {number}": 1 for number in range(SHARES)}, label="rows milled")
    return StepReport(facts={"parts": len(ctx.done)}, summary="done")


async def prepared(ctx: StepContext, params: Json) -> bool:
    return True


async def share(diary: Path, ctx: StepContext, ready: bool, name: str) -> Json:
    """50 ms, written down when it begins and when it is done, by whom."""
    note(diary, f"start {os.getpid()} {os.getppid()} {name}")
    await asyncio.sleep(0.05)
    note(diary, name)
    return {"made": ready}


def note(diary: Path, line: str) -> None:
    with open(diary, "a") as file:
        file.write(line + "\n")


def main(url: str, diary: Path) -> None:
    def build() -> Deps:
        return toys.deps(connect(url), Queue(url))

    fan = Fan(prepared, partial(share, diary))
    operations = registry(
        toys.an_operation(partial(slow, diary), name="slow"),
        toys.an_operation(shared, name="shared", fan=fan),
    )
    work("steps", url, Workplace(build=build, open_state=partial(connect, url), operations=operations))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
