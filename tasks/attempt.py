"""One attempt at one task: the operation under a heartbeat and a timeout, and one commit of what came of it.

Errors become outcomes here, once: what the operation cannot do fails with its plain words; what does not answer is tried
again with growing pauses; a bug fails with an id that also stands in the log. The records written are `outcomes.py`'s.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from storage.codec import from_json
from storage.errors import Conflict, LostLease, Unavailable
from storage.ports import State
from storage.records import Change, Document, Lease, OutboxEvent, Task, Workflow
from tasks import fanout, outcomes
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import queued_event
from tasks.heartbeat import Heartbeat
from tasks.models.port import ModelAnswerInvalid, ModelRefused, ModelUnavailable
from tasks.running import RunContext
from tasks.step import Cancelled, Next, Step, StepError, StepReport
from tasks.trainers.port import TrainerUnavailable

ATTEMPTS = 20  # after so many starts that came to nothing a task fails
_WRITES = 20  # of one outcome, when the workflow changes at the same time
_PAUSES_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)
_OVERDUE_SECONDS = 60.0  # an operation still running so long after its timeout takes its process with it

_log = structlog.get_logger(__name__)

Outcome = Callable[[Task, Workflow | None], Awaitable[Change]]


class Attempt:
    """`run` raises `LostLease` when the task was taken over, `Unavailable` when state is out of reach."""

    def __init__(
        self,
        deps: Deps,
        operations: Mapping[str, Step],
        open_state: Callable[[], State],
        lease: Lease,
        task: Task,
    ) -> None:
        self.deps = deps
        self.state = deps.state
        self.operations = operations
        self.open_state = open_state
        self.lease = lease
        self.task = task
        self.step = operations.get(task.operation) or _unknown(task.operation)
        self.desk = Desk(
            state=deps.state,
            queue=deps.queue,
            settings=deps.settings,
            operations=dict(operations),
            clock=deps.clock,
        )
        self.ctx: RunContext | None = None

    async def run(self) -> None:
        """Run the operation and write what came of it."""
        try:
            await self._finish(await self._operate(await self._begin()))
        except Cancelled:
            await self._write(self._cancelled)
        except StepError as error:
            await self._fail(error)
        except (ModelRefused, ModelAnswerInvalid) as error:
            _log.warning("model_of_no_use", task=self.task.id, error=str(error))
            await self._fail(_plain(error))
        except ModelUnavailable as error:
            await self._postpone("The model server does not answer", error)
        except TrainerUnavailable as error:
            await self._postpone("The training service does not answer", error)
        except (Unavailable, Conflict) as error:
            await self._postpone("Storage does not answer", error)
        except LostLease:
            raise
        except Exception:  # noqa: BLE001 - a bug in an operation: logged with its traceback, told with an id
            await self._fail(self._unexpected())
        if self.task.finished_at:
            await self.state.clear(self.task.tenant, self.task.id)

    # ------------------------------------------------------------ running

    async def _begin(self) -> Workflow:
        """Mark the task as running; the workflow it was pinned to. Raises `StepError`, `Cancelled`."""
        task = self.task
        if task.attempt >= ATTEMPTS:
            reason = task.result.get("waiting_for", "Its worker stopped again and again")
            raise StepError(
                f"{reason}; given up after {task.attempt} attempts. Try again later.", code="gave_up"
            )
        await self._write(self._begun)
        if self.task.cancel_requested or await self._workflow() is None:
            raise Cancelled
        return from_json(Workflow, task.inputs["workflow"])

    async def _operate(self, pinned: Workflow) -> StepReport:
        heartbeat = self._heartbeat()
        saved = await self.state.load(self.task.tenant, self.task.id)
        self.ctx = ctx = RunContext(
            task=self.task,
            workflow=pinned,
            deps=self.deps,
            lease=self.lease,
            title=self.step.title,
            heartbeat=heartbeat,
            saved=saved,
            spread=self._spread if self.step.fan else None,
        )
        try:
            with heartbeat:
                return await self._within_time(ctx)
        except asyncio.CancelledError:
            if heartbeat.lost:
                raise LostLease(self.lease.name) from None
            raise
        finally:
            self.task = ctx.task

    async def _spread(self, ctx: RunContext, shares: Mapping[str, int], label: str) -> bool:
        return await fanout.spread(ctx, shares, label, step=self.step, open_state=self.open_state)

    async def _within_time(self, ctx: RunContext) -> StepReport:
        try:
            async with asyncio.timeout(self.step.timeout_seconds) as limit:
                return await self.step.run(ctx, ctx.task.params)
        except TimeoutError:
            if not limit.expired():
                raise
            minutes = max(1, self.step.timeout_seconds // 60)
            message = f"It took longer than {minutes} minutes and was stopped. Try it on less."
            raise StepError(message, code="timeout") from None

    def _heartbeat(self) -> Heartbeat:
        running, loop = asyncio.current_task(), asyncio.get_running_loop()

        def stop() -> None:
            if running is not None:
                loop.call_soon_threadsafe(running.cancel)

        return Heartbeat(
            self.lease,
            self.task.id,
            open_state=self.open_state,
            on_lost=stop,
            until=time.monotonic() + self.step.timeout_seconds + _OVERDUE_SECONDS,
            on_overdue=lambda: os._exit(os.EX_TEMPFAIL),
        )

    # ------------------------------------------------------------ the result

    async def _finish(self, report: StepReport) -> None:
        following: list[Task] = []

        async def result(task: Task, workflow: Workflow | None) -> Change:
            following.clear()
            if workflow is None:
                return await self._cancelled(task, None)
            return await self._result(task, workflow, report, following)

        await self._write(result)
        for task in following:
            await self.desk.wake(task)

    async def _result(
        self, task: Task, workflow: Workflow, report: StepReport, following: list[Task]
    ) -> Change:
        """Everything a report writes; tasks to wake once it is committed are appended to `following`."""
        at = self.deps.clock()
        changed, base = outcomes.finished(task, workflow, self.step, report, spent_usd=self._spent(), at=at)
        puts: list[Document] = list(base.puts)
        events: list[OutboxEvent] = list(base.events)
        for number, draft in enumerate(report.drafts):
            more, _ = await self.desk.proposal_change(changed, draft, by=task.by, key=f"{task.id}:{number}")
            puts += more.puts
            events += more.events
        for then in report.then:
            if await self._may_follow(changed, then, task):
                new = self.desk.new_task(changed, then.operation, then.params, by=task.by, key=task.id)
                changed = next(iter(self.desk.begun(changed, then.operation, by=task.by)), changed)
                puts.append(new)
                events.append(queued_event(new, self.operations[then.operation].title))
                following.append(new)
        return replace(base, puts=(*puts, changed), events=tuple(events))

    async def _may_follow(self, workflow: Workflow, then: Next, finished: Task) -> bool:
        """False when something is missing by now, or the same operation is under way already."""
        missing = flow.may_start(workflow, self.operations[then.operation].needs, then.params)
        under_way = await self.desk.open_tasks(workflow.tenant, workflow.id)
        again = any(task.operation == then.operation and task.id != finished.id for task in under_way)
        return not missing and not again

    # ------------------------------------------------------------ other outcomes

    async def _begun(self, task: Task, workflow: Workflow | None) -> Change:
        return outcomes.begun(task, self.step.title, at=self.deps.clock())

    async def _cancelled(self, task: Task, workflow: Workflow | None) -> Change:
        return outcomes.cancelled(task, workflow, self.step, spent_usd=self._spent(), at=self.deps.clock())

    async def _fail(self, error: StepError) -> None:
        async def failed(task: Task, workflow: Workflow | None) -> Change:
            return outcomes.failed(
                task, workflow, self.step, error, spent_usd=self._spent(), at=self.deps.clock()
            )

        await self._write(failed)

    async def _postpone(self, waiting_for: str, error: Exception) -> None:
        pause = _PAUSES_SECONDS[min(self.task.attempt, len(_PAUSES_SECONDS) - 1)]
        _log.warning("task_postponed", task=self.task.id, seconds=pause, reason=str(error))

        async def postponed(task: Task, workflow: Workflow | None) -> Change:
            at = self.deps.clock()
            return outcomes.postponed(
                task, self.step.title, waiting_for=waiting_for, pause_seconds=pause, at=at
            )

        await self._write(postponed)

    def _unexpected(self) -> StepError:
        error_id = uuid.uuid4().hex[:8]
        _log.exception("task_failed", error_id=error_id, task=self.task.id, operation=self.task.operation)
        return StepError(
            f"Something went wrong on our side (error {error_id}). Try again.", code="unexpected"
        )

    # ------------------------------------------------------------ writing

    async def _write(self, outcome: Outcome) -> None:
        """Commit an outcome under the lease, computed from the newest records, again on every conflict."""
        for _ in range(_WRITES):
            task = await self.state.get(self.task.tenant, Task, self.task.id)
            if task is None or task.status not in ("queued", "running"):
                raise LostLease(self.lease.name)  # somebody else has ended it
            change = await outcome(self._as_reached(task), await self._workflow())
            try:
                await self.state.commit(task.tenant, replace(change, lease=self.lease))
            except Conflict:
                continue
            put = next(put for put in change.puts if isinstance(put, Task) and put.id == task.id)
            self.task = replace(put, version=task.version + 1)
            return
        raise Conflict(self.task.id)

    def _as_reached(self, task: Task) -> Task:
        done, total = self.ctx.reached if self.ctx else (task.done, task.total)
        return replace(task, done=done, total=total)

    async def _workflow(self) -> Workflow | None:
        """The workflow as it stands; None when it is gone, unless the operation is what follows a deletion."""
        if self.step.after_deletion:
            return await self.state.get(self.task.tenant, Workflow, self.task.workflow_id)
        return await self.desk.workflow(self.task.tenant, self.task.workflow_id)

    def _spent(self) -> float:
        return self.ctx.spent_usd() if self.ctx else 0.0


def _plain(error: ModelRefused | ModelAnswerInvalid) -> StepError:
    if isinstance(error, ModelRefused):
        code = f" ({error.code})" if error.code else ""
        return StepError(
            f"The model server refuses this request{code}. Check the model's name and access.",
            code="model_refused",
        )
    return StepError(
        "The model's answers could not be used. Try again, or use another model.", code="model_answer"
    )


def _unknown(operation: str) -> Step:
    async def body(ctx: object, params: object) -> StepReport:
        raise StepError(f"This version of the bot does not know {operation!r}.", code="unknown_operation")

    return Step(name=operation, title=operation.replace("_", " ").capitalize(), body=body)
