"""The queue carries ids to the one function that workers run, and refuses everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue as RQQueue
from rq import Worker as RQWorker
from rq.serializers import JSONSerializer

from storage.records import Task, Tenant
from tasks.drafting import new_task
from tasks.queue import HELP_TASK, Queue, QueueUnreadable, TaskJob, open_queue
from tests.tasks.toys import an_operation, grow, workflow

pytestmark = pytest.mark.anyio


def a_task(tenant: Tenant, queue: str = "steps") -> Task:
    return new_task(
        an_operation(grow, queue=queue), workflow(tenant), {"secret": "row"}, by="U1", key="k", at=1.0
    )


async def test_a_wake_is_one_job_with_ids_only_on_the_tasks_queue(redis_url: str, tenant: Tenant) -> None:
    queue, task = Queue(redis_url), a_task(tenant, "training")
    for _ in range(2):
        await queue.wake(task)
    assert await queue.waiting() == frozenset({f"_{tenant.team}-{task.id}-0"})
    with Redis.from_url(redis_url) as redis:
        (job,) = open_queue("training", redis).get_jobs()
        assert job.args == [f"-.{tenant.team}", task.id, 0] and job.kwargs == {}
        assert b"secret" not in b"".join(redis.hgetall(job.key).values())
        assert open_queue("steps", redis).get_job_ids() == []
    queue.close()


async def test_a_call_for_help_is_one_job_for_each_other_worker(redis_url: str, tenant: Tenant) -> None:
    queue, task = Queue(redis_url), a_task(tenant, "training")
    with Redis.from_url(redis_url) as redis:
        workers = [RQWorker([open_queue("training", redis)], connection=redis) for _ in range(3)]
        for worker in workers:
            worker.register_birth()
        for _ in range(2):
            await queue.help(task, most=9)
        jobs = open_queue("training", redis).get_jobs()
        assert [job.args for job in jobs] == [[f"-.{tenant.team}", task.id, number] for number in range(2)]
        assert {job.func_name for job in jobs} == {HELP_TASK}
        assert not await queue.others_wait(task), "calls for help keep nobody waiting"
        await queue.wake(task)
        assert await queue.others_wait(task)
        for worker in workers:
            worker.register_death()
    queue.close()


async def test_a_queue_out_of_reach_keeps_nobody_waiting(tmp_path: Path, tenant: Tenant) -> None:
    queue = Queue(f"unix://{tmp_path}/nobody.sock")
    await queue.wake(a_task(tenant))
    await queue.help(a_task(tenant), 3)
    assert not await queue.others_wait(a_task(tenant))
    with pytest.raises(QueueUnreadable):
        await queue.waiting()


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        ("os.system", ("true",), {}),
        ("os.getcwd", (), {}),
        ("tasks.jobs.equip", (None,), {}),
        ("tasks.jobs.run_task", (), {"tenant_text": "-.T1", "task_id": "t", "attempt": 0}),
    ],
)
def test_a_job_that_names_anything_else_is_not_run(
    redis_url: str, function: str, args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    with Redis.from_url(redis_url) as redis:
        forged = RQQueue("steps", connection=redis, serializer=JSONSerializer)
        id = forged.enqueue_call(function, args=args, kwargs=kwargs).id
        job = TaskJob.fetch(id, connection=redis, serializer=JSONSerializer)
        with pytest.raises(PermissionError):
            job.perform()


def test_a_jobs_callbacks_are_ignored(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        forged = RQQueue("steps", connection=redis, serializer=JSONSerializer)
        id = forged.enqueue_call("tasks.jobs.run_task", args=("-.T1", "t", 0)).id
        redis.hset(
            f"rq:job:{id}", mapping={"success_callback_name": "os.abort", "failure_callback_name": "os.abort"}
        )
        job = TaskJob.fetch(id, connection=redis, serializer=JSONSerializer)
        assert job.success_callback is None and job.failure_callback is None
    assert os.getpid()
