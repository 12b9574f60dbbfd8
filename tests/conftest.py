"""Fixtures for everybody: an embedded Redis per test session, a state per test, one event loop backend.

Async tests are marked `pytestmark = pytest.mark.anyio`; async fixtures share the test's loop.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from storage import embedded
from storage.ports import State
from storage.records import Tenant
from storage.redis_state import connect

_teams = itertools.count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def embedded_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.EmbeddedServer]:
    """One server per test process, started when the first test asks."""
    server = embedded.start(tmp_path_factory.mktemp("state"))
    yield server
    server.stop()


@pytest.fixture
def redis_url(embedded_redis: embedded.EmbeddedServer) -> str:
    """A running, empty server."""
    embedded_redis.ensure()
    with Redis.from_url(embedded_redis.url) as client:
        client.flushall()
    return embedded_redis.url


@pytest.fixture
async def state(redis_url: str) -> AsyncIterator[State]:
    """State on the real server."""
    opened = connect(redis_url)
    yield opened
    await opened.close()


@pytest.fixture
def tenant() -> Tenant:
    """A workspace of this test's own."""
    return Tenant(enterprise="", team=f"T{os.getpid()}N{next(_teams)}")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
