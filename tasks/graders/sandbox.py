"""Where grader scripts run: disposable interpreter processes that reach nothing.

Python: pydantic-monty interprets a subset of Python in its own process with an empty environment: no files, network, processes or clock of
ours. The limits are enforced inside it, and its parent kills a process that does not stop. One session a call: nothing that one
grade leaves behind is seen by the next. JavaScript: `javascript.py`, under the same limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import pydantic_monty

from tasks.graders.javascript import JavaScript

SECONDS = 2.0
MEMORY_BYTES = 64 * 1024 * 1024
LIMITS: pydantic_monty.ResourceLimits = {
    "max_feed_duration_secs": SECONDS,
    "max_memory": MEMORY_BYTES,
    "max_recursion_depth": 500,
    "max_suspensions": 200,
    "max_total_sleep_secs": 0.0,
}
PRINTED_BYTES = 64 * 1024


class ScriptFailed(Exception):
    """The script did not finish; `line` is where, from 1, or 0 when it is not known."""

    def __init__(self, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class Sandbox:
    """An async context manager. The processes start with the first script, so graders without one cost nothing."""

    def __init__(self, *, processes: int = 2) -> None:
        self.javascript = JavaScript(seconds=SECONDS, memory_bytes=MEMORY_BYTES)
        self._processes = processes
        self._pool: pydantic_monty.AsyncMonty | None = None
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.javascript.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.__aexit__(kind, error, trace)

    async def call(
        self,
        source: str,
        expression: str,
        inputs: Mapping[str, Any],
        helpers: Mapping[str, Callable[..., Any]],
    ) -> Any:
        """Run `source`, then the expression with `inputs` bound; its value. Raises `ScriptFailed`."""
        pool = await self._started()
        printed = pydantic_monty.CollectString(max_bytes=PRINTED_BYTES)
        try:
            async with pool.checkout(limits=LIMITS) as session:
                await session.feed_run(source, external_lookup=dict(helpers), print_callback=printed)
                return await session.feed_run(
                    expression, inputs=dict(inputs), external_lookup=dict(helpers), print_callback=printed
                )
        except pydantic_monty.MontyError as error:
            raise ScriptFailed(_told(error), line=_line(error)) from error

    async def _started(self) -> pydantic_monty.AsyncMonty:
        async with self._lock:
            if self._pool is None:
                pool = pydantic_monty.AsyncMonty(max_processes=self._processes)
                await pool.__aenter__()
                self._pool = pool
            return self._pool


def load(source: str, helpers: Mapping[str, Callable[..., Any]]) -> None:
    """Run only the top level of a script, to see whether it can be loaded at all. Blocks. Raises `ScriptFailed`."""
    printed = pydantic_monty.CollectString(max_bytes=PRINTED_BYTES)
    try:
        with pydantic_monty.Monty(max_processes=1) as pool, pool.checkout(limits=LIMITS) as session:
            session.feed_run(source, external_lookup=dict(helpers), print_callback=printed)
    except pydantic_monty.MontyError as error:
        raise ScriptFailed(_told(error), line=_line(error)) from error


def _told(error: pydantic_monty.MontyError) -> str:
    text = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    if isinstance(error, pydantic_monty.MontyCrashedError):
        return "The sandbox had to be stopped."
    return _FRIENDLIER.get(text.partition(":")[0], "{}").format(text)[:300]


def _line(error: pydantic_monty.MontyError) -> int:
    if isinstance(error, pydantic_monty.MontySyntaxError | pydantic_monty.MontyRuntimeError):
        frames = error.traceback()
        return frames[-1].line if frames else 0
    return 0


_FRIENDLIER = {
    "TimeoutError": f"It ran longer than {SECONDS:g} seconds ({{}}).",
    "MemoryError": f"It used more than {MEMORY_BYTES >> 20} MiB ({{}}).",
    "NotImplementedError": "It uses something that the sandbox does not support ({}).",
    "ModuleNotFoundError": "It imports something that the sandbox does not have ({}).",
}
