"""The composition root of `web`: every client and every long-running part, built once, started and stopped together.

Reading order for a newcomer: `listeners/slack.py` (in), `lanes.py` (who deals with it), `relay.py` (out). Nothing here
decides anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
import structlog
import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette

from agent.tools import BY_NAME
from bot import http
from bot.buckets import Buckets
from bot.commands import Commands
from bot.files import Downloads
from bot.hands import Hands
from bot.lanes import Lanes
from bot.links import Links
from bot.listeners import slack as listeners
from bot.metrics import Metrics
from bot.people import People
from bot.periodic import Chore, Periodic
from bot.posting import Poster
from bot.relay import Relay
from bot.runner import Runner
from bot.settings import SlackSettings
from bot.sharing import Sharing
from bot.slack_api import Identity, SlackApi, SlackError
from storage import embedded
from storage.errors import StorageError
from storage.records import Tenant
from tasks import deps as work
from tasks import sweeper, training_watch
from tasks.desk import Desk
from tasks.models.server import Patience
from tasks.models.wire import build_chat, shared_limiter
from tasks.queue import Queue
from tasks.settings import Settings
from tasks.steps import OPERATIONS

log = structlog.get_logger(__name__)
SWEEP_SECONDS = 10.0
KEEP_REDIS_SECONDS = 2.0
ASK_AGAIN_SECONDS = 2.0
API_SECONDS = 20.0
AGENT_PATIENCE = Patience(deadline_seconds=8.0)  # a person waits: then the turn says so, and waits on


@dataclass(slots=True)
class _Us:
    """Who the token belongs to, once Slack has said so."""

    known: Identity | None = None
    is_known: asyncio.Event = field(default_factory=asyncio.Event)


def create(settings: Settings, slack: SlackSettings) -> Starlette:
    """The ASGI app of `web`. Everything is built when it starts, on its event loop."""
    doors: list[http.Doors] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            doors.append(await _build(stack, settings, slack))
            yield
        doors.clear()

    return http.app(lambda: doors[0] if doors else None, lifespan)


async def serve(settings: Settings, slack: SlackSettings) -> None:
    """Serve until a signal."""
    config = uvicorn.Config(
        create(settings, slack),
        host=slack.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        loop="none",
    )
    await uvicorn.Server(config).serve()


async def _build(stack: contextlib.AsyncExitStack, settings: Settings, slack: SlackSettings) -> http.Doors:
    server = await _embedded_redis(stack, settings)
    known = settings.model_copy(update={"redis_url": settings.redis_url or (server.url if server else "")})
    deps = replace(
        work.build(known), chat=build_chat(known, patience=AGENT_PATIENCE, limiter=shared_limiter(known))
    )
    stack.push_async_callback(deps.close)
    metrics = Metrics()
    if slack.metrics_port:
        metrics.serve(slack.metrics_port)

    token = slack.slack_bot_token.get_secret_value()
    calls = await stack.enter_async_context(
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=API_SECONDS))
    )
    slow = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    downloads = await stack.enter_async_context(aiohttp.ClientSession(timeout=slow, auto_decompress=False))
    client = AsyncWebClient(token=token, base_url=slack.api_url, session=calls, retry_handlers=[])
    api = SlackApi(client, Buckets(time.monotonic), counted=metrics.slack_calls)
    us = _Us()

    desk = Desk(state=deps.state, queue=deps.queue, settings=known, operations=OPERATIONS, clock=deps.clock)
    people = People(api=api, team=lambda: us.known.team if us.known else "", groups=known.approvers)
    hands = Hands(deps=deps, desk=desk, api=api, people=people, tools=BY_NAME)
    secret = slack.slack_signing_secret.get_secret_value()
    links = Links(blobs=deps.blobs, secret=secret or token, base_url=_public_url(known), clock=deps.clock)
    sharing = Sharing(api=api, state=deps.state, blobs=deps.blobs, max_bytes=slack.slack_file_max_bytes)
    relay = Relay(
        state=deps.state,
        poster=Poster(api=api, state=deps.state, links=links, sharing=sharing),
        serves=lambda tenant: _is_ours(us.known, tenant),
    )
    lanes = Lanes(
        hands=hands,
        downloads=Downloads(
            session=downloads,
            token=token,
            api_url=slack.api_url,
            blobs=deps.blobs,
            max_bytes=known.limits.max_file_bytes,
        ),
        commands=Commands(hands=hands, session=calls),
        posted=relay.notify,
    )
    runner = Runner(state=deps.state, work=lanes, give_up=lanes.give_up, busy=metrics.lanes_busy.set)
    periodic = Periodic(leases=deps.state, chores=_chores(desk, deps))
    bolt = listeners.build(
        inbox=deps.state,
        identity=lambda: us.known,
        notify=runner.notify,
        client=client,
        signing_secret=secret,
        metrics=metrics,
    )

    running = [
        _supervised("identity", lambda: _learn_identity(api, us)),
        _supervised("runner", _after(us, runner.run)),
        _supervised("relay", _after(us, relay.run)),
        _supervised("periodic", periodic.run),
    ]
    if server:
        running.append(_supervised("redis", lambda: _keep_redis(server)))
    if app_token := slack.slack_app_token.get_secret_value():
        running.append(_supervised("socket", _after(us, lambda: _socket(bolt, app_token))))
    stack.push_async_callback(_stop, [asyncio.create_task(part) for part in running])

    async def ready() -> dict[str, bool]:
        return {"slack": us.known is not None, "redis": await _answers(deps)}

    return http.Doors(
        slack=AsyncSlackRequestHandler(bolt),
        ready=ready,
        links=links,
        blobs=deps.blobs,
        training_secret=known.training_webhook_secret.get_secret_value(),
        training_news=lambda: periodic.poke("training"),
    )


# ---------------------------------------------------------------- parts


def _chores(desk: Desk, deps: work.Deps) -> list[Chore]:
    queue = Queue(deps.settings.redis_url)
    return [
        Chore("sweep", SWEEP_SECONDS, lambda: sweeper.sweep(desk, queue, now=deps.clock())),
        Chore(
            "training",
            deps.settings.training_poll_seconds,
            lambda: training_watch.poll_all(deps, desk),
        ),
    ]


async def _embedded_redis(
    stack: contextlib.AsyncExitStack, settings: Settings
) -> embedded.EmbeddedServer | None:
    if settings.redis_url:
        return None
    server = await asyncio.to_thread(embedded.start, settings.home)
    stack.push_async_callback(asyncio.to_thread, server.stop)
    return server


async def _keep_redis(server: embedded.EmbeddedServer) -> None:
    """An embedded server that was killed is started again."""
    while True:
        await asyncio.to_thread(server.ensure)
        await asyncio.sleep(KEEP_REDIS_SECONDS)


async def _learn_identity(api: SlackApi, us: _Us) -> None:
    """Ask Slack who we are until it answers. Until then events are refused with 503, and Slack repeats them."""
    while us.known is None:
        try:
            us.known = await api.identity()
        except SlackError as error:
            log.warning("slack_does_not_know_us", error=str(error))
            await asyncio.sleep(ASK_AGAIN_SECONDS)
    us.is_known.set()
    log.info("ready", team=us.known.team, bot_user=us.known.bot_user)


def _after(us: _Us, start: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await us.is_known.wait()
        await start()

    return run


async def _socket(bolt: AsyncApp, app_token: str) -> None:
    """Socket Mode: the same requests over a connection that we open. Imported only where it is used."""
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

    handler = AsyncSocketModeHandler(bolt, app_token)
    try:
        await handler.connect_async()  # type: ignore[no-untyped-call]
        await asyncio.Event().wait()
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def _supervised(name: str, start: Callable[[], Awaitable[None]]) -> None:
    """Run a part for as long as the process lives; one that fails is started again after a moment."""
    while True:
        try:
            await start()
            return
        except Exception as error:
            log.error("part_failed", part=name, exc_info=error)
            await asyncio.sleep(1.0)


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _answers(deps: work.Deps) -> bool:
    try:
        await deps.state.ping()
    except StorageError:
        return False
    return True


def _is_ours(known: Identity | None, tenant: Tenant) -> bool:
    return known is not None and (tenant.enterprise, tenant.team) == (known.enterprise, known.team)


def _public_url(settings: Settings) -> str:
    return settings.public_url or f"http://localhost:{settings.port}"
