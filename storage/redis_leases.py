"""Leases in Redis: a key that expires, and a counter beside it (the fence) that grows with every taker.

The fence outlives the lease: scripts that write on a holder's behalf compare it, so a holder that stalled past its
lease cannot write once a successor has begun.
"""

from __future__ import annotations

from storage import keys
from storage.records import Lease, Tenant
from storage.redis_client import RedisClient, Script

_FENCE_DAYS = 60  # a holder silent for longer than this is not coming back

_CLAIM = Script(f"""
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local fence = redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], {_FENCE_DAYS * 86_400})
redis.call('SET', KEYS[1], fence, 'PX', ARGV[1])
return fence
""")

# An expired lease that nobody has taken since is still the last holder's to extend.
_RENEW = Script(f"""
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('EXPIRE', KEYS[2], {_FENCE_DAYS * 86_400})
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

_RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")


class RedisLeases:
    client: RedisClient

    async def claim(self, tenant: Tenant, name: str, *, seconds: float) -> Lease | None:
        fence = await self.client.run(_CLAIM, _keys(tenant, name), int(seconds * 1000))
        return Lease(tenant=tenant, name=name, fence=fence) if fence else None

    async def renew(self, lease: Lease, *, seconds: float) -> bool:
        touched = _keys(lease.tenant, lease.name)
        return bool(await self.client.run(_RENEW, touched, lease.fence, int(seconds * 1000)))

    async def release(self, lease: Lease) -> None:
        await self.client.run(_RELEASE, _keys(lease.tenant, lease.name), lease.fence)

    async def held(self, tenant: Tenant, name: str) -> bool:
        return bool(await self.client.call("EXISTS", keys.lease(tenant, name)))


def _keys(tenant: Tenant, name: str) -> tuple[str, str]:
    return keys.lease(tenant, name), keys.fence(tenant, name)
