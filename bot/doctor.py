"""`finetune doctor`: tries what the bot will need and says, line by line, what to mend. Changes nothing but one test object."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import aiohttp
from redis import Redis
from redis.exceptions import RedisError
from slack_sdk.web.async_client import AsyncWebClient

from bot.buckets import Buckets
from bot.manifest import scopes
from bot.settings import SlackSettings
from bot.slack_api import SlackApi, SlackError, SlackRefused
from storage import embedded
from storage.errors import StorageError
from tasks import deps as work
from tasks.models.port import ChatModel, ChatRequest, Message, ModelError, ModelRefused
from tasks.models.wire import build_chat
from tasks.settings import Settings, SettingsError

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, what to do about it."""

    what: str
    state: State
    says: str


Check = Callable[[Settings, SlackSettings], Awaitable[list[Finding]]]


async def examine(settings: Settings, slack: SlackSettings) -> list[Finding]:
    """Every check, in order; one that breaks is itself a finding."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += await check(settings, slack)
        except Exception as error:  # noqa: BLE001  the doctor must finish the round
            found.append(
                Finding(check.__name__.strip("_"), "wrong", f"could not be checked: {type(error).__name__}")
            )
    return found


async def _slack(settings: Settings, slack: SlackSettings) -> list[Finding]:
    missing = slack.missing()
    if missing:
        return [
            Finding(
                "Slack",
                "wrong",
                f"set {', '.join(missing)} (api.slack.com, your app, Basic Information and OAuth)",
            )
        ]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        token = slack.slack_bot_token.get_secret_value()
        client = AsyncWebClient(token=token, base_url=slack.api_url, session=session, retry_handlers=[])
        try:
            us = await SlackApi(client, Buckets(time.monotonic)).identity()
        except SlackRefused as error:
            return [
                Finding("Slack token", "wrong", f"Slack says {error.code}: copy the bot token (xoxb-…) again")
            ]
        except SlackError:
            return [
                Finding(
                    "Slack",
                    "wrong",
                    f"{slack.api_url} cannot be reached: check the network, proxy or SLACK_API_URL",
                )
            ]
    lines = [Finding("Slack token", "ok", f"team {us.team}, bot user {us.bot_user}")]
    lacking = sorted(set(scopes()) - set(us.scopes)) if us.scopes else []
    if lacking:
        lines.append(
            Finding("Slack scopes", "wrong", f"add {', '.join(lacking)}, then install the app again")
        )
    else:
        lines.append(
            Finding(
                "Slack scopes",
                "ok" if us.scopes else "warning",
                "all there" if us.scopes else "Slack did not list them",
            )
        )
    mode = (
        "Socket Mode"
        if slack.slack_app_token.get_secret_value()
        else f"HTTP, POST {settings.public_url or '<PUBLIC_URL>'}/slack/events"
    )
    return [*lines, Finding("Slack delivery", "ok", mode)]


async def _redis(settings: Settings, slack: SlackSettings) -> list[Finding]:
    if not settings.redis_url:
        server = await asyncio.to_thread(embedded.start, settings.home)
        try:
            return [
                Finding("Redis", "ok", f"embedded, in {settings.home}"),
                *await asyncio.to_thread(_redis_settings, server.url),
            ]
        finally:
            await asyncio.to_thread(server.stop)
    return await asyncio.to_thread(_redis_settings, settings.redis_url)


def _redis_settings(url: str) -> list[Finding]:
    try:
        with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=3) as redis:
            redis.ping()
            append_only = _configured(redis, "appendonly")
            policy = _configured(redis, "maxmemory-policy")
    except (RedisError, OSError, ValueError) as error:
        return [
            Finding(
                "Redis",
                "wrong",
                f"does not answer ({type(error).__name__}): check REDIS_URL and that the server runs",
            )
        ]
    lines = [Finding("Redis", "ok", "answers")]
    if append_only == "no":
        lines.append(
            Finding(
                "Redis append-only file",
                "wrong",
                "set appendonly yes, or accepted messages are lost at a restart",
            )
        )
    elif append_only:
        lines.append(Finding("Redis append-only file", "ok", "on; a power cut may cost the last second"))
    else:
        lines.append(
            Finding("Redis append-only file", "warning", "the server does not say; make sure that it is on")
        )
    if policy and policy != "noeviction":
        lines.append(Finding("Redis eviction", "wrong", f"maxmemory-policy is {policy}: set noeviction"))
    return lines


def _configured(redis: Redis, name: str) -> str:
    try:
        found = redis.config_get(name)
    except RedisError:
        return ""  # hosted servers often forbid CONFIG
    values = {str(_text(key)): _text(value) for key, value in dict(found).items()}
    return str(values.get(name, ""))


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


async def _storage(settings: Settings, slack: SlackSettings) -> list[Finding]:
    where = settings.storage_url or f"the folder {settings.home / 'storage'}"
    try:
        blobs = work.blob_store(settings)
        path = f"doctor/{secrets.token_hex(8)}"
        await asyncio.to_thread(blobs.put, path, [b"doctor"])
        back = await asyncio.to_thread(blobs.get, path)
        await asyncio.to_thread(blobs.delete, path)
    except SettingsError as error:
        return [Finding("Storage", "wrong", str(error))]
    except (StorageError, OSError) as error:
        return [Finding("Storage", "wrong", f"{where}: cannot write and read back ({type(error).__name__})")]
    return [Finding("Storage", "ok" if back == b"doctor" else "wrong", f"{where}: written and read back")]


async def _models(settings: Settings, slack: SlackSettings) -> list[Finding]:
    if not settings.openai_api_key.get_secret_value() and not settings.openai_base_url:
        return [Finding("Models", "wrong", "set OPENAI_API_KEY, or OPENAI_BASE_URL for another server")]
    chat = build_chat(settings)
    lines = []
    try:
        for role in ("agent_model", "generator_model", "judge_model", "base_model"):
            lines.append(await _model(chat, role, str(getattr(settings, role))))
    finally:
        await chat.close()
    consent = (
        "listed in ALLOWED_PROVIDERS"
        if settings.allows_provider()
        else "asked for in Slack before the first row leaves"
    )
    budget = (
        f"${settings.budget_usd:.2f} a workflow"
        if settings.budget_usd is not None
        else "BUDGET_USD is unset: what costs money is refused"
    )
    return [
        *lines,
        Finding("Sending rows", "ok", f"{settings.provider}: {consent}"),
        Finding("Budget", "ok" if settings.budget_usd is not None else "warning", budget),
    ]


async def _model(chat: ChatModel, role: str, name: str) -> Finding:
    variable = role.upper()
    request = ChatRequest(model=name, messages=(Message("user", "Answer with the word yes."),), max_tokens=16)
    try:
        async with asyncio.timeout(30):
            await chat.complete(request)
    except ModelRefused as error:
        return Finding(
            variable,
            "wrong",
            f"{name} is refused ({error.code or error.status}): check the key and {variable}",
        )
    except (ModelError, TimeoutError):
        return Finding(variable, "wrong", f"{name} does not answer: check OPENAI_BASE_URL and the network")
    return Finding(variable, "ok", f"{name} answers")


CHECKS: tuple[Check, ...] = (_slack, _redis, _storage, _models)
