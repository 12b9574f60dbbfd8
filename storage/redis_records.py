"""Documents in Redis, and the one commit that binds them to lease, inbox, journal, transcript and outbox.

A document is a hash: `json`, `version`, and `indexes` (the keys of the sorted sets it is a member of, one a line).
Index members are `<kind>/<id>`, all with score 0, so that Redis keeps them in order of id.
The commit is one Lua script: all checks first, then all writes. Its keys share the tenant's hash tag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from storage import keys
from storage.codec import dumps, loads
from storage.errors import Conflict, LostLease
from storage.kinds import KINDS, TRANSCRIPT_KEPT
from storage.ports import D
from storage.records import Change, Document, InboxItem, Json, Tenant
from storage.redis_client import RedisClient, Script, new_write
from storage.redis_inbox import ACCEPT_FUNCTION

_USED_DAYS = 7
_APPLIED_SECONDS = 60

_pack = msgspec.msgpack.Encoder().encode

_COMMIT = Script(
    ACCEPT_FUNCTION,
    f"""
local change = cmsgpack.unpack(ARGV[1])

local function put(doc)
  local keep = {{}}
  for _, index in ipairs(doc.indexes) do
    keep[index] = true
    redis.call('ZADD', index, 0, doc.member)
  end
  local before = redis.call('HGET', doc.key, 'indexes') or ''
  for index in string.gmatch(before, '[^\\n]+') do
    if not keep[index] then redis.call('ZREM', index, doc.member) end
  end
  redis.call('HSET', doc.key, 'json', doc.json, 'version', doc.next, 'indexes', table.concat(doc.indexes, '\\n'))
end

local function consume(lane)
  local drop, left = {{}}, false
  for _, id in ipairs(lane.ids) do drop[id] = true end
  for _, entry in ipairs(redis.call('XRANGE', lane.inbox, '-', '+')) do
    if drop[entry[2][2]] then redis.call('XDEL', lane.inbox, entry[1]) else left = left or entry[1] end
  end
  redis.call('DEL', lane.journal)
  if left then
    redis.call('ZADD', lane.ready, string.match(left, '^%d+'), lane.name)
  else
    redis.call('DEL', lane.inbox)
    redis.call('ZREM', lane.ready, lane.name)
  end
end

local function announce(out)
  local now = milliseconds()
  for _, event in ipairs(out.events) do
    if redis.call('ZADD', out.used, 'NX', now, event.key) == 1 then
      redis.call('XADD', out.stream, '*', 'event', event.json)
    end
  end
  redis.call('ZREMRANGEBYSCORE', out.used, '-inf', now - {_USED_DAYS * 86_400_000})
end

if redis.call('EXISTS', KEYS[1]) == 1 then return 'done' end
if change.fence and redis.call('GET', change.fence.key) ~= change.fence.is then return 'lost' end
for _, doc in ipairs(change.docs) do
  if (redis.call('HGET', doc.key, 'version') or '0') ~= doc.version then return doc.member end
end

for _, doc in ipairs(change.docs) do put(doc) end
if change.consumed then consume(change.consumed) end
for _, item in ipairs(change.items) do
  accept(item.seen, item.inbox, item.ready, item.lane, item.id, item.json, ARGV[2])
end
if change.said then
  for _, message in ipairs(change.said.messages) do redis.call('RPUSH', change.said.key, message) end
  redis.call('LTRIM', change.said.key, -{TRANSCRIPT_KEPT}, -1)
end
if change.out then announce(change.out) end
redis.call('SET', KEYS[1], '', 'EX', {_APPLIED_SECONDS})
return 'done'
""",
)

_FIND = Script("""
local found = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1] .. '/', '(' .. ARGV[1] .. '0')) do
  local id = string.sub(member, #ARGV[1] + 2)
  found[#found + 1] = redis.call('HGET', ARGV[2] .. id, 'json')
end
return found
""")


class RedisRecords:
    client: RedisClient

    async def get(self, tenant: Tenant, kind: type[D], id: str) -> D | None:
        stored = await self.client.call("HGET", keys.document(tenant, KINDS[kind], id), "json")
        return loads(kind, stored) if stored is not None else None

    async def find(self, tenant: Tenant, kind: type[D], index: str) -> tuple[D, ...]:
        name = KINDS[kind]
        touched = (keys.index(tenant, index),)
        stored = await self.client.run(_FIND, touched, name, keys.document(tenant, name, ""))
        return tuple(loads(kind, document) for document in stored if document)

    async def commit(self, tenant: Tenant, change: Change) -> None:
        write = new_write()
        packed = _pack(_packed(tenant, change))
        answer = await self.client.run_known(tenant, _COMMIT, (keys.applied(tenant, write),), packed, write)
        if answer == b"lost":
            raise LostLease(change.lease.name if change.lease else "")
        if answer != b"done":
            raise Conflict(answer.decode())


def _packed(tenant: Tenant, change: Change) -> Json:
    """The change as the script reads it: keys spelled out, records as JSON. Absent parts are left out (Lua has no null)."""
    docs = [_packed_document(tenant, document) for document in change.puts]
    if len({doc["key"] for doc in docs}) < len(docs):
        raise ValueError("a change puts one document twice")
    packed: Json = {"docs": docs, "items": [_packed_item(tenant, lane, item) for lane, item in change.items]}
    if change.lease:
        packed["fence"] = {"key": keys.fence(tenant, change.lease.name), "is": str(change.lease.fence)}
    if change.consumed:
        packed["consumed"] = _packed_consumption(tenant, *change.consumed)
    if change.transcript:
        lane, messages = change.transcript
        packed["said"] = {
            "key": keys.transcript(tenant, lane),
            "messages": [_text(message) for message in messages],
        }
    if change.events:
        events = [{"key": event.key, "json": _text(event)} for event in change.events]
        packed["out"] = {"stream": keys.outbox(tenant), "used": keys.used(tenant), "events": events}
    return packed


def _packed_document(tenant: Tenant, document: Document) -> Json:
    kind = KINDS[type(document)]
    after: Document = replace(document, version=document.version + 1)
    return {
        "key": keys.document(tenant, kind, document.id),
        "member": f"{kind}/{document.id}",
        "version": str(document.version),
        "next": str(after.version),
        "json": _text(after),
        "indexes": [keys.index(tenant, name) for name in keys.index_names(after)],
    }


def _packed_item(tenant: Tenant, lane: str, item: InboxItem) -> Json:
    return {
        "seen": keys.seen(tenant, item.id),
        "inbox": keys.inbox(tenant, lane),
        "ready": keys.ready(tenant),
        "lane": lane,
        "id": item.id,
        "json": _text(item),
    }


def _packed_consumption(tenant: Tenant, lane: str, ids: tuple[str, ...]) -> Json:
    return {
        "name": lane,
        "ids": ids,
        "inbox": keys.inbox(tenant, lane),
        "journal": keys.journal(tenant, lane),
        "ready": keys.ready(tenant),
    }


def _text(record: Any) -> str:
    return dumps(record).decode()  # Redis' msgpack knows strings, not bytes
