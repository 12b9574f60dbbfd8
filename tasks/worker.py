"""The worker process: `python -m tasks.worker steps` or `… training`. One queue each; every job in a child of its own.

RQ does the waiting and forking; nothing relies on it to remember (`queue.py`). Here: only our kind of job is run, a
child dies with its parent, heavy libraries are loaded before forking, and a Redis that goes away is waited for.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue as RQQueue
from rq import Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from storage.embedded import EmbeddedServer, start
from storage.errors import Unavailable
from storage.redis_state import connect
from tasks.jobs import Workplace, equip
from tasks.queue import QUEUES, TaskJob, open_queue
from tasks.settings import Settings, SettingsError, load

_WORKER_SECONDS = 20  # after so long without a sign RQ takes the worker for dead
_MAINTENANCE_SECONDS = 15
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)  # while Redis is away
_PR_SET_PDEATHSIG = 1

_log = structlog.get_logger(__name__)


def main(arguments: list[str]) -> int:
    """Run until a signal. Returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in QUEUES:
        print(f"usage: python -m tasks.worker {'|'.join(QUEUES)}", file=sys.stderr)
        return 2
    try:
        settings = load()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if settings.redis_url:
        work(arguments[0], settings.redis_url, real_workplace(settings, settings.redis_url))
        return 0
    server = start(settings.home)
    try:
        work(arguments[0], server.url, real_workplace(settings, server.url), server)
    finally:
        server.stop()
    return 0


def real_workplace(settings: Settings, redis_url: str) -> Workplace:
    """The configured clients and all operations. Imports the heavy libraries, so that children need not."""
    import openai  # noqa: F401 - 1.2 s of CPU in every child otherwise
    import sklearn.cluster  # noqa: F401

    from tasks.deps import build
    from tasks.steps import OPERATIONS

    known = settings.model_copy(update={"redis_url": redis_url})
    return Workplace(
        build=partial(build, known), open_state=partial(connect, redis_url), operations=OPERATIONS
    )


def work(queue: str, redis_url: str, workplace: Workplace, server: EmbeddedServer | None = None) -> None:
    """Take jobs from one queue until SIGTERM or SIGINT; waits for Redis, and starts an embedded one again."""
    equip(workplace)
    away = 0
    while True:
        try:
            if server:
                server.ensure()
            if _one_life(queue, redis_url):
                return
            away = 0
        except StopRequested:
            return
        except (RedisError, OSError, Unavailable) as error:
            _log.warning("redis_away", queue=queue, reason=type(error).__name__)
        time.sleep(_PAUSES_SECONDS[min(away, len(_PAUSES_SECONDS) - 1)])
        away += 1


def _one_life(queue: str, redis_url: str) -> bool:
    """Work until a signal (True) or until RQ's worker gives up for want of Redis (False)."""
    with Redis.from_url(redis_url) as redis:
        worker = TaskWorker(
            [open_queue(queue, redis)],
            connection=redis,
            job_class=TaskJob,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_SECONDS,
            maintenance_interval=_MAINTENANCE_SECONDS,
            default_result_ttl=0,
        )
        worker.work(logging_level="WARNING")
        return worker.stopped_by_signal


class TaskWorker(Worker):
    """RQ's forking worker, whose children do not outlive it."""

    @property
    def stopped_by_signal(self) -> bool:
        return self._shutdown_requested_date is not None

    def main_work_horse(self, job: Job, queue: RQQueue) -> None:
        die_with(self.pid or 0)
        super().main_work_horse(job, queue)


def die_with(parent: int, *, leave: Callable[[], None] = lambda: os._exit(os.EX_TEMPFAIL)) -> None:
    """Have this process end as soon as its parent is gone, however that came to be."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent, leave), daemon=True).start()
    if os.getppid() != parent:  # it was gone before we could ask
        leave()


def _watch(parent: int, leave: Callable[[], None]) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    leave()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
