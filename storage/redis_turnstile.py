"""Whose turn it is to ask a server outside: one queue and two token buckets per name, shared by every process.

`turn` lets a caller through when the buckets allow it and everybody before it has been served; `over` takes back what was learned.
The order is fair between teams: a team with a thousand calls waiting and a team with one take turns (start-time fair queueing: each
call's tag is one more than the later of its team's last tag and the tag last served). Callers that stop asking lose their place;
calls whose process died are forgotten. Time is the server's, so processes need not agree on it. Which headers mean what is
not decided here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from storage import keys
from storage.redis_client import RedisClient, Script, open_redis

PATIENCE_SECONDS = 5.0  # a waiting caller asks again before that
_FLIGHT_SECONDS = 300  # longer than any call
_UNSEEN_SECONDS = 10  # a call sent before that has been counted by the server that answers another
_KEPT_SECONDS = 3_600
_AT_ONCE = 8  # commands, each on a connection: however many calls wait, they share a few
_LOWERED_TO = 0.7  # of the rate at which a server without headers refused more than it answered,
_EASED_TO = 0.9  # and of the rate at which it refused some
_RAISED_BY = 0.05  # calls a second, per answered call: five percent a second, so that a lowered rate finds its way up again
_SMALLEST_RATE = 0.2  # calls per second

Outcome = Literal["answered", "refused", "failed", "left"]

_COMMON = f"""
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local fields = redis.call('HGETALL', KEYS[1])
local pace = {{}}
for i = 1, #fields, 2 do pace[fields[i]] = tonumber(fields[i + 1]) end
local function put(...)
  redis.call('HSET', KEYS[1], ...)
  for i = 1, #KEYS do redis.call('EXPIRE', KEYS[i], {_KEPT_SECONDS}) end
end
local function exact(number) return string.format('%.17g', number) end
local function level(kind)
  if not pace[kind .. '.rate'] then return nil end
  local grown = pace[kind .. '.level'] + (now - pace[kind .. '.at']) * pace[kind .. '.rate']
  return math.min(pace[kind .. '.capacity'], grown)
end
"""

_TURN = Script(
    _COMMON,
    f"""
local ticket, team, tokens = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('ZSCORE', KEYS[5], ticket) then return '0' end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - {PATIENCE_SECONDS}, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[2], gone)
  redis.call('ZREM', KEYS[3], gone)
end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - {_FLIGHT_SECONDS})
local tag = tonumber(redis.call('ZSCORE', KEYS[2], ticket) or '')
if not tag then
  tag = math.max(pace['served'] or 0, tonumber(redis.call('HGET', KEYS[4], team) or '0')) + 1
  redis.call('ZADD', KEYS[2], exact(tag), ticket)
  redis.call('HSET', KEYS[4], team, exact(tag))
end
redis.call('ZADD', KEYS[3], exact(now), ticket)
local ahead = redis.call('ZRANK', KEYS[2], ticket)
local wait = math.max(0, (pace['blocked'] or 0) - now)
local requests, room = level('requests'), level('tokens')
if requests and requests < ahead + 1 then
  wait = math.max(wait, (ahead + 1 - requests) / pace['requests.rate'])
end
if room and tokens > 0 then
  local wanted = math.min(tokens, pace['tokens.capacity'])
  local before = math.min(wanted * ahead, pace['tokens.capacity'])
  if room < wanted + before then wait = math.max(wait, (wanted + before - room) / pace['tokens.rate']) end
end
if wait > 0 then
  put('waited', exact(now))
  return exact(math.max(wait, 0.002))
end
redis.call('ZREM', KEYS[2], ticket)
redis.call('ZREM', KEYS[3], ticket)
redis.call('ZADD', KEYS[5], exact(now), ticket)
if redis.call('ZCARD', KEYS[2]) == 0 then redis.call('DEL', KEYS[4]) end
local second = math.floor(now)
local sent, before = pace['sent'] or 0, pace['before'] or 0
if second ~= pace['second'] then
  before = (second == (pace['second'] or 0) + 1) and sent or 0
  sent = 0
end
put('served', exact(tag), 'second', second, 'sent', sent + 1, 'before', before)
if requests then put('requests.level', exact(requests - 1), 'requests.at', exact(now)) end
if room and tokens > 0 then
  put('tokens.level', exact(room - math.min(tokens, pace['tokens.capacity'])), 'tokens.at', exact(now))
end
return '0'
""",
)

_OVER = Script(
    _COMMON,
    f"""
local ticket, outcome, pause = ARGV[1], ARGV[2], tonumber(ARGV[3])
if outcome == 'left' then
  redis.call('ZREM', KEYS[2], ticket)
  redis.call('ZREM', KEYS[3], ticket)
  return 1
end
if redis.call('ZREM', KEYS[5], ticket) == 0 then return 0 end
local unseen = (outcome == 'answered') and redis.call('ZCOUNT', KEYS[5], now - {_UNSEEN_SECONDS}, '+inf') or 0
local function learn(kind, at, spent)
  local limit, left, reset = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if not limit or limit <= 0 or not left then return false end
  local known = pace[kind .. '.rate']
  if kind == 'requests' and (pace['learned'] or 0) == 1 then known = nil end
  local told = known and (pace[kind .. '.told'] or 0) or 0
  local rate = known or limit / 60
  if reset and reset > 0 and left < limit / 2 then
    local seen = (limit - left) / reset
    rate = (told == 1) and math.min(seen, known * 1.1) or seen
    told = 1
  end
  put(kind .. '.capacity', exact(limit), kind .. '.rate', exact(math.max(rate, {_SMALLEST_RATE})), kind .. '.told', told,
      kind .. '.level', exact(math.min(limit, left) - spent), kind .. '.at', exact(now))
  return true
end
if outcome == 'failed' then return 1 end
local second = math.floor(now)
if second ~= pace['counted'] then
  pace['answers'], pace['refusals'] = 0, 0
end
local count = outcome == 'answered' and 'answers' or 'refusals'
pace[count] = pace[count] + 1
put('counted', second, 'answers', pace['answers'], 'refusals', pace['refusals'])
learn('tokens', 7, 0)
local heard = learn('requests', 4, unseen)
if heard then put('learned', 0) end
if outcome == 'answered' then
  if not heard and (pace['learned'] or 0) == 1 then
    put('requests.level', exact(level('requests')), 'requests.at', exact(now),
        'requests.rate', exact(pace['requests.rate'] + {_RAISED_BY}),
        'requests.capacity', exact(math.max(1, pace['requests.rate'] / 10)))
  end
  return 1
end
put('blocked', exact(math.max(pace['blocked'] or 0, now + pause)))
if not heard and now >= (pace['lowered'] or -1) + 1 then
  local before = pace['requests.rate'] or math.max(pace['sent'] or 0, pace['before'] or 0, 1)
  local share = pace['refusals'] > pace['answers'] and {_LOWERED_TO} or {_EASED_TO}
  local rate = math.max({_SMALLEST_RATE}, before * share)
  put('lowered', exact(now), 'learned', 1, 'requests.rate', exact(rate), 'requests.capacity', exact(math.max(1, rate / 10)),
      'requests.level', exact(math.min(0, level('requests') or 0)), 'requests.at', exact(now), 'requests.told', 0)
end
return 1
""",
)


@dataclass(frozen=True, slots=True)
class Window:
    """What a server said of one of its limits: how many there are, how many are left, seconds until all are back."""

    limit: float
    left: float
    reset: float | None = None


class Turnstile:
    """Raises `Unavailable`. Belongs to the event loop it was first used on."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def turn(self, name: str, ticket: str, *, team: str, tokens: int) -> float:
        """0 when the call may be made now, else the seconds after which to ask again, at the latest after five."""
        async with self._free:
            return float(await self._client.run(_TURN, _keys(name), ticket, team, tokens))

    async def over(
        self,
        name: str,
        ticket: str,
        outcome: Outcome,
        *,
        requests: Window | None = None,
        tokens: Window | None = None,
        pause: float = 0.0,
    ) -> None:
        """What became of the call. `pause`: how long nobody may ask after a refusal. A repeat changes nothing."""
        said = [*_said(requests), *_said(tokens)]
        async with self._free:
            await self._client.run(_OVER, _keys(name), ticket, outcome, pause, *said)

    async def close(self) -> None:
        await self._client.redis.aclose()


def open_turnstile(url: str) -> Turnstile:
    """At a Redis URL; connects on first use."""
    return Turnstile(RedisClient(open_redis(url)))


def _said(window: Window | None) -> tuple[str, str, str]:
    if window is None:
        return "", "", ""
    return repr(window.limit), repr(window.left), "" if window.reset is None else repr(window.reset)


def _keys(name: str) -> tuple[str, ...]:
    return tuple(keys.turns(name, part) for part in ("pace", "queue", "asked", "teams", "flights"))
