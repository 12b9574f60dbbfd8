"""What a running operation holds in its hand: `RunContext`, the `StepContext` of real workers; `ShareContext` for a share of it.

Everything it writes carries its lease, so a copy that was overtaken writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from storage.errors import Conflict, LostLease
from storage.records import Change, Json, Lease, Task, Workflow
from tasks.deps import Deps
from tasks.heartbeat import Heartbeat
from tasks.models.port import Usage
from tasks.outcomes import progress_event
from tasks.step import Cancelled

OURS = "~"  # checkpoints of the house begin so; no operation names a part so
_SHOW_SECONDS = 1.0
_SPENT = "~spent"  # money spent by the task's own worker; "~spent:<share>" by whoever did a share
_WRITES = 20  # of the task's record, when people change it at the same time


class RunContext:
    """Implements `tasks.step.StepContext`.

    An operation that asks `cancelled()` stops by itself and keeps what is done: from then on `progress` and `checkpoint`
    no longer raise `Cancelled`. `reached` is the last progress it told, shown or not.
    """

    def __init__(
        self,
        *,
        task: Task,
        workflow: Workflow,
        deps: Deps,
        lease: Lease,
        title: str,
        heartbeat: Heartbeat,
        saved: Mapping[str, Json],
        spread: Callable[[RunContext, Mapping[str, int], str], Awaitable[bool]] | None = None,
        share: str = "",
    ) -> None:
        self.task = task
        self.workflow = workflow
        self.deps = deps
        self.done: Mapping[str, Json] = {}
        self._lease = lease
        self._title = title
        self._heartbeat = heartbeat
        self._spread = spread
        self._spent_name = f"{_SPENT}:{share}" if share else _SPENT
        self._spent_usd = self._spent_saved = float(saved.get(self._spent_name, {}).get("usd", 0.0))
        self._spent_by_others = 0.0
        self.take_over(saved)
        self.reached = (task.done, task.total)
        self._shown_at = 0.0
        self._shown = (-1, -1, "")
        self._stops_itself = False

    def take_over(self, saved: Mapping[str, Json]) -> None:
        """Know what others have saved meanwhile."""
        self.done = {name: value for name, value in saved.items() if not name.startswith(OURS)}
        others = [name for name in saved if name.startswith(_SPENT) and name != self._spent_name]
        self._spent_by_others = sum(float(saved[name].get("usd", 0.0)) for name in others)

    async def progress(self, done: int, total: int, label: str) -> None:
        self.reached = (done, total)
        self._check()
        now = time.monotonic()
        if (done, total, label) == self._shown or now - self._shown_at < _SHOW_SECONDS:
            return
        self._shown, self._shown_at = (done, total, label), now
        await self._write(done, total, label)

    async def checkpoint(self, name: str, value: Json) -> None:
        state = self.deps.state
        await self._save_spending()
        await state.save(self._lease, self.task.id, name, value)
        if not name.startswith(OURS):
            self.done = {**self.done, name: value}
        self._check()

    async def spread(self, shares: Mapping[str, int], *, label: str) -> bool:
        if self._spread is None:
            raise RuntimeError(f"{self.task.operation} has no fan, or is a share itself")
        return await self._spread(self, shares, label)

    def cancelled(self) -> bool:
        self._stops_itself = True
        return self._heartbeat.stop_asked

    def meter(self, model: str, usage: Usage) -> None:
        price = self.deps.settings.price(model)
        self._spent_usd += (usage.input_tokens * price.input + usage.output_tokens * price.output) / 1e6

    def spent_usd(self) -> float:
        return self._spent_usd + self._spent_by_others

    def _check(self) -> None:
        if self._heartbeat.lost:
            raise LostLease(self._lease.name)
        if self._heartbeat.stop_asked and not self._stops_itself:
            raise Cancelled

    async def _save_spending(self) -> None:
        if self._spent_usd != self._spent_saved:
            await self.deps.state.save(self._lease, self.task.id, self._spent_name, {"usd": self._spent_usd})
            self._spent_saved = self._spent_usd

    async def _write(self, done: int, total: int, label: str) -> None:
        for _ in range(_WRITES):
            shown = replace(self.task, done=done, total=total, label=label)
            key = f"{self._lease.fence}:{shown.version}"
            event = progress_event(shown, self._title, "running", key=key)
            try:
                await self.deps.state.commit(
                    shown.tenant, Change(puts=(shown,), events=(event,), lease=self._lease)
                )
            except Conflict:
                self.task = await self.deps.state.get(shown.tenant, Task, shown.id) or self.task
                continue
            self.task = replace(shown, version=shown.version + 1)
            return
        raise Conflict(self.task.id)


class ShareContext(RunContext):
    """Of one share of a task, under the share's own lease. Its progress is known here and shown by the task's own worker."""

    @property
    def part_done(self) -> float:
        """How much of the share is done, 0 to 1."""
        done, total = self.reached
        return min(1.0, done / total) if total else 0.0

    async def progress(self, done: int, total: int, label: str) -> None:
        self.reached = (done, total)
        self._check()

    async def finish(self, name: str, value: Json) -> None:
        """Save what came of the share, and forget what it had saved on the way: a million rows leave ten thousand such pieces."""
        await self.checkpoint(name, value)
        pieces = [piece for piece in self.done if piece.startswith(f"{name}/")]
        await self.deps.state.forget(self._lease, self.task.id, pieces)
