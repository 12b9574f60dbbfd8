"""Inboxes in Redis: one stream a lane, one sorted set a tenant of the lanes that have something waiting.

Who may work on a lane is not decided here (`redis_leases`); items leave through `redis_records`' commit alone.
"""

from __future__ import annotations

from storage import keys
from storage.codec import dumps, loads
from storage.records import InboxItem, Tenant
from storage.redis_client import RedisClient, Script, new_write

_SEEN_SECONDS = 7 * 86_400

ACCEPT_FUNCTION = f"""
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function accept(seen, inbox, ready, lane, id, item, write)
  if not redis.call('SET', seen, write, 'NX', 'EX', {_SEEN_SECONDS}) then
    return redis.call('GET', seen) == write and 1 or 0
  end
  redis.call('XADD', inbox, '*', 'id', id, 'item', item)
  redis.call('ZADD', ready, 'NX', milliseconds(), lane)
  return 1
end
"""

_ACCEPT = Script(
    ACCEPT_FUNCTION,
    "return accept(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3], ARGV[4])",
)


class RedisInbox:
    """`ready` walks all tenants: their own sorted sets are the truth, so no process-wide mark can be lost."""

    client: RedisClient

    async def accept(self, tenant: Tenant, lane: str, item: InboxItem) -> bool:
        touched = (keys.seen(tenant, item.id), keys.inbox(tenant, lane), keys.ready(tenant))
        write = new_write()
        return bool(await self.client.run_known(tenant, _ACCEPT, touched, lane, item.id, dumps(item), write))

    async def waiting(self, tenant: Tenant, lane: str) -> tuple[InboxItem, ...]:
        entries = await self.client.call("XRANGE", keys.inbox(tenant, lane), "-", "+")
        return tuple(loads(InboxItem, fields[b"item"]) for _, fields in entries)

    async def ready(self, limit: int) -> tuple[tuple[Tenant, str], ...]:
        names = sorted(await self.client.call("SMEMBERS", keys.TENANTS))
        tenants = [keys.tenant_from_text(name.decode()) for name in names]
        walk = [("ZRANGE", keys.ready(tenant), 0, limit - 1, "WITHSCORES") for tenant in tenants]
        answers = await self.client.many(walk) if walk else []
        walked = zip(tenants, answers, strict=True)
        found = [(float(score), tenant, lane.decode()) for tenant, pairs in walked for lane, score in pairs]
        found.sort(key=lambda entry: entry[0])
        return tuple((tenant, lane) for _, tenant, lane in found[:limit])
