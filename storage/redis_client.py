"""The connection that the Redis adapters share: scripts by digest, vendor errors translated once.

It knows nothing of documents or inboxes. A command is repeated at most twice, within half a second, when the connection
breaks; every script is therefore written so that its own repeat is harmless.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from storage import keys
from storage.errors import Corrupt, Unavailable
from storage.records import Json, Tenant

_RETRIES = 2
# What a server answers that is full, starting, failing over or read-only, rather than asked something wrong.
_PASSING = (
    "OOM",
    "command not allowed when used memory",
    "LOADING",
    "MISCONF",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "You can't write",
)
_decode = msgspec.json.Decoder().decode
encode = msgspec.json.encode


class Script:
    """A Lua script and the digest that the server knows it by."""

    __slots__ = ("digest", "text")

    def __init__(self, *parts: str) -> None:
        self.text = "\n".join(parts)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """Commands and scripts on one server. Raises `Unavailable`, never a vendor's error."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def call(self, *command: Any) -> Any:
        with _translated():
            return await self.redis.execute_command(*command)

    async def run(self, script: Script, touched: Sequence[str], *args: Any) -> Any:
        """Run a script whose keys all carry one tenant's hash tag."""
        with _translated():
            try:
                return await self.redis.execute_command(
                    "EVALSHA", script.digest, len(touched), *touched, *args
                )
            except NoScriptError:
                return await self.redis.execute_command("EVAL", script.text, len(touched), *touched, *args)

    async def run_known(self, tenant: Tenant, script: Script, touched: Sequence[str], *args: Any) -> Any:
        """`run`, with the tenant noted among all tenants *before* the write, in the same round trip.

        The set of tenants lies in another cluster slot, so it cannot be in the script; noted first, a crash in between
        leaves at worst a tenant without anything.
        """
        with _translated():
            return await self._run_known(tenant, script, touched, args)

    async def many(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Several commands in one round trip, not atomic."""
        with _translated():
            pipeline = self.redis.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute()

    async def _run_known(
        self, tenant: Tenant, script: Script, touched: Sequence[str], args: Sequence[Any]
    ) -> Any:
        for verb, body in (("EVALSHA", script.digest), ("EVAL", script.text)):
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.execute_command("SADD", keys.TENANTS, keys.tenant_text(tenant))
            pipeline.execute_command(verb, body, len(touched), *touched, *args)
            noted, answer = await pipeline.execute(raise_on_error=False)
            if isinstance(answer, NoScriptError):
                continue
            for result in (noted, answer):
                if isinstance(result, Exception):
                    raise result
            return answer
        raise Unavailable("Redis keeps forgetting scripts")


def open_redis(url: str) -> Redis:
    """A lazily connecting client for `redis://`, `rediss://` or `unix://`; the answer stays bytes."""
    retry = Retry(ExponentialBackoff(cap=0.3, base=0.05), _RETRIES)
    return Redis.from_url(
        url, retry=retry, socket_timeout=10, socket_connect_timeout=2, decode_responses=False
    )


def new_write() -> str:
    """Sixteen characters that name one write, so that a script can recognise its own retry."""
    return secrets.token_hex(8)


def decode(data: bytes) -> Json:
    """A stored JSON object. Raises `Corrupt`."""
    try:
        value: Json = _decode(data)
        return value
    except msgspec.DecodeError as error:
        raise Corrupt(f"not JSON: {error}") from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        if isinstance(error, ResponseError) and not str(error).startswith(_PASSING):
            raise  # a bug of ours
        raise Unavailable(f"Redis: {type(error).__name__}") from error
