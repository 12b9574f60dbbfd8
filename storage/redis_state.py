"""All of state on one Redis (or Valkey) server: the adapters of one port each, on a shared client."""

from __future__ import annotations

from storage.redis_client import RedisClient, open_redis
from storage.redis_inbox import RedisInbox
from storage.redis_journal import RedisCheckpoints, RedisJournal
from storage.redis_leases import RedisLeases
from storage.redis_outbox import RedisOutbox
from storage.redis_records import RedisRecords


class RedisState(RedisRecords, RedisLeases, RedisInbox, RedisJournal, RedisCheckpoints, RedisOutbox):
    """Implements `storage.ports.State`. Belongs to the event loop it was first used on."""

    def __init__(self, client: RedisClient) -> None:
        self.client = client

    async def ping(self) -> None:
        await self.client.call("PING")

    async def close(self) -> None:
        await self.client.redis.aclose()


def connect(url: str) -> RedisState:
    """State at `url` (`redis://`, `rediss://`, `unix://`); connects on first use."""
    return RedisState(RedisClient(open_redis(url)))
