"""Where JavaScript graders run: a disposable child process for each sandbox, asked over pipes and killed when it does not answer.

V8 itself limits time and heap (`javascript_child.py`); what escapes that is stopped here by the clock and, in the child, by the
system's limits. A child belongs to one task, so one team's script never dies of another's. The next call after a kill
starts a new child.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from storage.records import Json

CHILD = Path(__file__).with_name("javascript_child.py")
GRACE_SECONDS = 1.0  # beyond the script's own time
CALLS = 500  # after so many a child is replaced, whatever it may have kept
_LONGEST_LINE = 8 << 20
_START_SECONDS = 20.0
_COMMAND = (sys.executable, "-I", str(CHILD))


class JavaScriptFailed(Exception):
    """The script gave no answer; `line` is where, from 1, or 0 when it is not known."""

    def __init__(self, message: str, *, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class JavaScript:
    """One child at a time; calls wait for each other."""

    def __init__(self, *, seconds: float, memory_bytes: int) -> None:
        self._seconds = seconds
        self._bytes = memory_bytes
        self._child: asyncio.subprocess.Process | None = None
        self._calls = 0
        self._lock = asyncio.Lock()

    async def evaluate(self, source: str, given: Json) -> tuple[float | None, str]:
        """The script's `evaluate(given)`: (number or None for anything else, reasoning). Raises `JavaScriptFailed`."""
        request = _request(source, json.dumps(given), self._seconds, self._bytes)
        async with self._lock:
            return _value(await self._answer(request))

    async def close(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
        if child is not None:
            await child.wait()

    async def _answer(self, request: bytes) -> bytes:
        stdin, stdout = await self._pipes()
        self._calls += 1
        try:
            async with asyncio.timeout(2 * self._seconds + GRACE_SECONDS):
                stdin.write(request)
                await stdin.drain()
                line = await stdout.readline()
        except TimeoutError:
            await self.close()
            raise JavaScriptFailed(f"It ran longer than {self._seconds:g} seconds.") from None
        except (ConnectionError, ValueError):  # it is gone; or its answer is longer than any answer of ours
            line = b""
        except BaseException:
            await self.close()  # an answer that nobody reads would be taken for that of the next call
            raise
        if not line.endswith(b"\n"):
            await self.close()
            raise JavaScriptFailed("The sandbox had to be stopped; most likely it used too much memory.")
        return line

    async def _pipes(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        """To and from a child that lives."""
        if self._child is not None and (self._child.returncode is not None or self._calls >= CALLS):
            await self.close()
        if self._child is None:
            self._calls = 0
            self._child = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                limit=_LONGEST_LINE,
            )
        if self._child.stdin is None or self._child.stdout is None:
            raise RuntimeError("a child without pipes")
        return self._child.stdin, self._child.stdout


def load(source: str, *, seconds: float, memory_bytes: int) -> None:
    """Read a script and look for its function without calling it, in a child of its own. Blocks. Raises `JavaScriptFailed`."""
    try:
        done = subprocess.run(  # noqa: S603 - our own child; the script is data on its standard input
            _COMMAND,
            input=_request(source, None, seconds, memory_bytes),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            timeout=2 * seconds + _START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JavaScriptFailed(f"It ran longer than {seconds:g} seconds.") from None
    if not done.stdout.endswith(b"\n"):
        raise JavaScriptFailed("The sandbox had to be stopped; most likely it used too much memory.")
    _value(done.stdout)


def _request(source: str, text: str | None, seconds: float, memory_bytes: int) -> bytes:
    request = {"source": source, "input": text, "seconds": seconds, "bytes": memory_bytes}
    return json.dumps(request).encode() + b"\n"


def _value(line: bytes) -> tuple[float | None, str]:
    """(number, reasoning) of an answer. What a child that a script has taken over may write is looked at like any data."""
    answer = json.loads(line)
    if not isinstance(answer, dict) or "value" not in answer:
        said = answer if isinstance(answer, dict) else {}
        at = said.get("line")
        raise JavaScriptFailed(str(said.get("error"))[:300], line=at if isinstance(at, int) else 0)
    number, reasoning = answer["value"]
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return (float(number) if is_number else None), str(reasoning)[:2_000]
