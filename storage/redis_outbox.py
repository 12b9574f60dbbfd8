"""The outbox in Redis: one stream a tenant, emptied as events are delivered; and what was posted for them.

Events enter only through `redis_records`' commit.
"""

from __future__ import annotations

from dataclasses import replace

from storage import keys
from storage.codec import loads
from storage.records import Json, OutboxEvent, Tenant
from storage.redis_client import RedisClient, Script, decode, encode

_POSTED_DAYS = 180  # how long a card can still be updated in place

_REMEMBER = Script(f"""
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - {_POSTED_DAYS * 86_400}, 'LIMIT', 0, 50)
for _, name in ipairs(old) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
end
return 1
""")


class RedisOutbox:
    client: RedisClient

    async def tenants(self) -> tuple[Tenant, ...]:
        names = await self.client.call("SMEMBERS", keys.TENANTS)
        return tuple(keys.tenant_from_text(name.decode()) for name in sorted(names))

    async def read(self, tenant: Tenant, *, limit: int) -> tuple[OutboxEvent, ...]:
        entries = await self.client.call("XRANGE", keys.outbox(tenant), "-", "+", "COUNT", limit)
        return tuple(
            replace(loads(OutboxEvent, fields[b"event"]), position=position.decode())
            for position, fields in entries
        )

    async def delivered(self, tenant: Tenant, positions: tuple[str, ...]) -> None:
        if positions:
            await self.client.call("XDEL", keys.outbox(tenant), *positions)

    async def remember(self, tenant: Tenant, key: str, value: Json) -> None:
        touched = (keys.posted(tenant), keys.posted_ages(tenant))
        await self.client.run(_REMEMBER, touched, key, encode(value))

    async def recall(self, tenant: Tenant, key: str) -> Json | None:
        stored = await self.client.call("HGET", keys.posted(tenant), key)
        return decode(stored) if stored is not None else None
