"""The workspace as one ASGI app: Web API, files, response URLs, Socket Mode, the people's door, and the page at `/`.

`create_workspace(config)` wires it. What each door does stands in its own module; only the small ones are here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from . import file_routes, interactions, people, socket_mode
from .api import dispatch
from .config import WorkspaceConfig
from .delivery import Delivery
from .faults import Faults
from .hub import ApiError, Hub
from .state import RESPONSE_URL_LIFE_SECONDS, RESPONSE_URL_USES, Json, Workspace

PAGE = Path(__file__).parent / "page"
Door = Callable[[Hub, Request], Awaitable[Response]]


def create_workspace(config: WorkspaceConfig) -> Starlette:
    """One workspace, empty of messages, ready to be served."""
    workspace, faults = Workspace(config), Faults()

    def renamed(payload: Json) -> Json:
        return {**payload, "event_id": workspace.new_id("Ev", 10)}

    hub = Hub(workspace, Delivery(config, faults, renamed), faults)

    def door(enter: Door) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await enter(hub, request)

        return endpoint

    async def socket(connection: WebSocket) -> None:
        await socket_mode.connect(hub, connection)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await hub.delivery.start()
        try:
            yield
        finally:
            await hub.delivery.stop()

    routes: list[Any] = [
        Route("/", door(_page)),
        Route("/healthz", door(_health)),
        Route("/api/{method:str}", door(dispatch.call), methods=["GET", "POST"]),
        Route("/upload/v1/{file_id:str}", door(file_routes.upload), methods=["POST"]),
        Route("/files-pri/{name:str}/{rest:path}", door(file_routes.download)),
        Route("/actions/{team:str}/{number:str}/{key:str}", door(_response_url), methods=["POST"]),
        Route("/oauth/v2/authorize", door(_authorize)),
        Route("/archives/{channel:str}/{ts:str}", door(_page)),
        WebSocketRoute("/link/", socket),
        Route("/sandbox/upload", door(people.upload), methods=["POST"]),
        Route("/sandbox/changes", door(people.changes)),
        Route("/sandbox/files/{file_id:str}/content", door(people.content)),
        Route("/sandbox/faults", door(people.clear_faults), methods=["DELETE"]),
        Route("/sandbox/{what:path}", door(people.do), methods=["POST"]),
        Route("/sandbox/{what:path}", door(people.look), methods=["GET"]),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _page(hub: Hub, request: Request) -> Response:
    policy = "default-src 'self'; img-src 'self' https: http: data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    return FileResponse(
        PAGE / "index.html", headers={"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    )


async def _health(hub: Hub, request: Request) -> Response:
    return PlainTextResponse("ok")


async def _authorize(hub: Hub, request: Request) -> Response:
    """The consent page of an installation, always agreed to: back to the app with a code."""
    target = request.query_params.get("redirect_uri", "")
    if request.query_params.get("client_id") != hub.workspace.config.client_id or not target.startswith(
        "http"
    ):
        return PlainTextResponse("invalid_client_id", 400)
    joint, state = ("&" if "?" in target else "?"), request.query_params.get("state", "")
    return RedirectResponse(f"{target}{joint}code=code-{hub.workspace.new_id('', 12)}&state={state}")


async def _response_url(hub: Hub, request: Request) -> Response:
    """Where an interaction is answered without a token: five times, within half an hour."""
    held = hub.workspace.response_urls.get(request.path_params["key"])
    if held is None or hub.workspace.clock() - held.born > RESPONSE_URL_LIFE_SECONDS:
        return JSONResponse({"ok": False, "error": "expired_url"}, 404)
    if held.uses >= RESPONSE_URL_USES:
        return JSONResponse({"ok": False, "error": "used_url"}, 404)
    held.uses += 1
    place = hub.workspace.conversations[held.channel]
    try:
        answer = json.loads(await request.body())
        if held.message_ts and (answer.get("replace_original") or answer.get("delete_original")):
            interactions.respond_to_message(hub, place, held.user, held.message_ts, answer)
        else:
            interactions.respond(hub, place, held.user, answer, held.thread_ts)
    except ApiError as refusal:
        return JSONResponse({"ok": False, "error": refusal.code, **refusal.more}, 400)
    except (ValueError, AttributeError):
        return JSONResponse({"ok": False, "error": "invalid_payload"}, 400)
    return PlainTextResponse("ok")
