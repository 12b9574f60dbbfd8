"""A turn's journal, the transcript of finished turns, and a task's checkpoints, in Redis.

Journal and checkpoints are written under a lease, by a script that compares its fence. The journal is cleared, and the
transcript grows, only by `redis_records`' commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage import keys
from storage.errors import LostLease
from storage.records import Json, Lease, Tenant
from storage.redis_client import RedisClient, Script, decode, encode, new_write

_AT_ONCE = 500  # names that one command forgets
_CHECKPOINT_DAYS = 60  # of tasks that nobody ever finished

# An entry is stored behind the 16 characters that name its write, so that a retry after a lost reply finds itself.
_WRITE_NAME = 16
_WRITE = Script(f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local last = redis.call('LINDEX', KEYS[2], -1)
if not last or string.sub(last, 1, {_WRITE_NAME}) ~= ARGV[2] then redis.call('RPUSH', KEYS[2], ARGV[2] .. ARGV[3]) end
return 1
""")

_SAVE = Script(f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], {_CHECKPOINT_DAYS * 86_400})
return 1
""")


_FORGET = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
return 1
""")


class RedisJournal:
    client: RedisClient

    async def entries(self, tenant: Tenant, lane: str) -> tuple[Json, ...]:
        stored = await self.client.call("LRANGE", keys.journal(tenant, lane), 0, -1)
        return tuple(decode(entry[_WRITE_NAME:]) for entry in stored)

    async def write(self, lease: Lease, lane: str, entry: Json) -> None:
        touched = (keys.fence(lease.tenant, lease.name), keys.journal(lease.tenant, lane))
        if not await self.client.run(_WRITE, touched, lease.fence, new_write(), encode(entry)):
            raise LostLease(lease.name)

    async def transcript(self, tenant: Tenant, lane: str, *, last: int) -> tuple[Json, ...]:
        if last <= 0:
            return ()
        stored = await self.client.call("LRANGE", keys.transcript(tenant, lane), -last, -1)
        return tuple(decode(message) for message in stored)


class RedisCheckpoints:
    client: RedisClient

    async def load(self, tenant: Tenant, task_id: str) -> dict[str, Json]:
        flat = await self.client.call("HGETALL", keys.checkpoints(tenant, task_id))
        return {name.decode(): decode(value) for name, value in flat.items()}

    async def saved(self, tenant: Tenant, task_id: str) -> frozenset[str]:
        names = await self.client.call("HKEYS", keys.checkpoints(tenant, task_id))
        return frozenset(name.decode() for name in names)

    async def save(self, lease: Lease, task_id: str, name: str, value: Json) -> None:
        touched = (keys.fence(lease.tenant, lease.name), keys.checkpoints(lease.tenant, task_id))
        if not await self.client.run(_SAVE, touched, lease.fence, name, encode(value)):
            raise LostLease(lease.name)

    async def forget(self, lease: Lease, task_id: str, names: Sequence[str]) -> None:
        touched = (keys.fence(lease.tenant, lease.name), keys.checkpoints(lease.tenant, task_id))
        for start in range(0, len(names), _AT_ONCE):
            if not await self.client.run(_FORGET, touched, lease.fence, *names[start : start + _AT_ONCE]):
                raise LostLease(lease.name)

    async def clear(self, tenant: Tenant, task_id: str) -> None:
        await self.client.call("DEL", keys.checkpoints(tenant, task_id))
