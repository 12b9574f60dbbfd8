"""The queue that wakes workers. It carries ids, never data, and is only a hint: the task's record is the truth.

A lost job is found by `sweeper.py`, which compares records with leases and with this queue. Jobs are JSON, and the job
class admits no function but `run_task` and `help_task`: whoever could write to Redis still could not name `os.system`.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any, Protocol

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue as RQQueue
from rq import Worker
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from storage import keys
from storage.records import Task

QUEUES = ("steps", "training")
RUN_TASK = "tasks.jobs.run_task"
HELP_TASK = "tasks.jobs.help_task"
MOST_HELPERS = 32
_WAITING_SECONDS = 86_400  # how long a job may wait for a worker before the sweeper has to renew it
_HELP_SECONDS = 20  # a call for help that nobody took by then is repeated or no longer needed
_FAILED_SECONDS = 3_600
_RUNNING_SECONDS = 7 * 86_400  # a backstop; an operation's own timeout is kept by `jobs.py`

_HELPER = re.compile(r"-h\d+$")

_log = structlog.get_logger(__name__)


class QueueUnreadable(Exception):
    """The queue could not be read; nothing can be said about what waits in it."""


class Waker(Protocol):
    """What starts work asks of a queue."""

    async def wake(self, task: Task) -> None:
        """Have a worker look at the task soon. Never raises: what is not woken now, the sweeper wakes."""
        ...

    async def help(self, task: Task, most: int) -> None:
        """Have up to `most` workers that are free lend a hand with a running task. Never raises."""
        ...

    async def others_wait(self, task: Task) -> bool:
        """Whether a task, not a call for help, waits in the task's queue. False where that cannot be told."""
        ...


class WorkQueue(Waker, Protocol):
    """What the sweeper asks of it besides."""

    async def waiting(self) -> frozenset[str]:
        """The ids (`job_id`) of all jobs that no worker has taken yet. Raises `QueueUnreadable`."""
        ...


class TaskJob(Job):
    """A job that runs `run_task` or `help_task` with plain arguments and nothing else: no callbacks, webhooks, methods."""

    @property
    def func(self) -> Any:
        if self.func_name not in (RUN_TASK, HELP_TASK) or self.instance is not None or self.kwargs:
            raise PermissionError(f"job {self.id} asks for something that workers do not run")
        return super().func

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        return None


class Queue:
    """Implements `WorkQueue` on RQ. `redis_url` as `storage.redis_state.connect` takes it."""

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=2)
        self._queues = {name: open_queue(name, self._redis) for name in QUEUES}

    async def wake(self, task: Task) -> None:
        try:
            await asyncio.to_thread(self._enqueue, task)
        except (RedisError, OSError) as error:
            _log.warning("task_not_woken", task=task.id, reason=type(error).__name__)

    async def help(self, task: Task, most: int) -> None:
        try:
            await asyncio.to_thread(self._call_helpers, task, most)
        except (RedisError, OSError) as error:
            _log.warning("helpers_not_called", task=task.id, reason=type(error).__name__)

    async def others_wait(self, task: Task) -> bool:
        try:
            waiting = await asyncio.to_thread(self._queues[task.queue].get_job_ids)
        except (RedisError, OSError):
            return False
        return any(not _HELPER.search(id) for id in waiting)

    async def waiting(self) -> frozenset[str]:
        try:
            return await asyncio.to_thread(self._waiting)
        except (RedisError, OSError) as error:
            raise QueueUnreadable(type(error).__name__) from error

    def close(self) -> None:
        self._redis.close()

    def _enqueue(self, task: Task) -> None:
        with suppress(DuplicateJobError):  # woken before
            self._queues[task.queue].enqueue_call(
                RUN_TASK,
                args=(keys.tenant_text(task.tenant), task.id, task.attempt),
                job_id=job_id(task),
                unique=True,
                description=task.operation,
                timeout=_RUNNING_SECONDS,
                ttl=_WAITING_SECONDS,
                result_ttl=0,
                failure_ttl=_FAILED_SECONDS,
            )

    def _call_helpers(self, task: Task, most: int) -> None:
        """One job for each worker of the queue but the one that runs the task; a job that still waits is not doubled."""
        queue = self._queues[task.queue]
        workers = Worker.count(queue=queue)
        for number in range(min(most, workers - 1, MOST_HELPERS)):
            with suppress(DuplicateJobError):
                queue.enqueue_call(
                    HELP_TASK,
                    args=(keys.tenant_text(task.tenant), task.id, number),
                    job_id=f"{job_id(task)}-h{number}",
                    unique=True,
                    description=f"help with {task.operation}",
                    timeout=_RUNNING_SECONDS,
                    ttl=_HELP_SECONDS,
                    result_ttl=0,
                    failure_ttl=_FAILED_SECONDS,
                )

    def _waiting(self) -> frozenset[str]:
        return frozenset(id for queue in self._queues.values() for id in queue.get_job_ids())


def job_id(task: Task) -> str:
    """The same for the same attempt, so that a repeated wake is one job; never the same for two tenants.

    RQ admits letters, digits, `-` and `_`.
    """
    return f"{task.tenant.enterprise}_{task.tenant.team}-{task.id}-{task.attempt}"


def open_queue(name: str, redis: Redis) -> RQQueue:
    """RQ's queue as both sides, web and worker, must open it."""
    return RQQueue(name, connection=redis, serializer=JSONSerializer, job_class=TaskJob)
