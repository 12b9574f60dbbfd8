"""Fakes that implement a port, for everybody's tests."""

from __future__ import annotations

from storage.records import Task
from tasks.queue import job_id


class FakeQueue:
    """Implements `tasks.queue.WorkQueue`: remembers the jobs in order; a test takes them with `take`."""

    def __init__(self) -> None:
        self.jobs: list[Task] = []

    async def wake(self, task: Task) -> None:
        if job_id(task) not in {job_id(job) for job in self.jobs}:
            self.jobs.append(task)

    async def waiting(self) -> frozenset[str]:
        return frozenset(job_id(job) for job in self.jobs)

    def take(self) -> Task:
        """The oldest job, as a worker would pop it. Raises IndexError."""
        return self.jobs.pop(0)
