"""The door of the Web API: reads form or JSON, checks the token and its scopes, lets the weather in, answers as Slack.

A refusal is a 200 with `ok: false` and a code; only rate limits (429) and armed server errors have other statuses.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..faults import MethodFault
from ..hub import ApiError, Hub
from ..state import Json
from . import chat, conversations, files, more, streams, views

METHODS: dict[str, tuple[Any, tuple[str, ...]]] = {
    **chat.METHODS,
    **streams.METHODS,
    **conversations.METHODS,
    **files.METHODS,
    **views.METHODS,
    **more.METHODS,
}
WITHOUT_TOKEN = ("oauth.v2.access",)
BY_APP_TOKEN = ("apps.connections.open",)
SPECIFIC_SCOPES = (*conversations.READ, *conversations.HISTORY)


async def call(hub: Hub, request: Request) -> Response:
    """One call of a Web API method."""
    method = request.path_params["method"]
    fault = hub.faults.of_call(method)
    if fault and fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    elif fault and fault.kind != "dropped_response":
        return _bad_weather(fault)
    try:
        args = await _arguments(request)
    except ValueError:
        return JSONResponse({"ok": False, "error": "invalid_json"})
    wait = hub.faults.wait_for_quota(method, str(args.get("channel", "")))
    if wait:
        return _rate_limited(wait)
    answer = _answer(hub, method, args, _bearer(request))
    if fault and fault.kind == "dropped_response":
        return _cut_off()
    headers = {"x-oauth-scopes": ",".join(hub.workspace.config.scopes)}
    return JSONResponse(answer, headers=headers)


def _answer(hub: Hub, method: str, args: Json, bearer: str) -> Json:
    try:
        if method not in METHODS:
            raise ApiError("unknown_method", req_method=method)
        args["_scopes"] = _authorise(hub, method, bearer or str(args.pop("token", "") or ""))
        run, _ = METHODS[method]
        return {"ok": True, **run(hub, args)}
    except ApiError as refusal:
        return {"ok": False, "error": refusal.code, **refusal.more}


def _authorise(hub: Hub, method: str, token: str) -> tuple[str, ...]:
    """The scopes of the token, if it may call that method."""
    config = hub.workspace.config
    if method in WITHOUT_TOKEN:
        return config.scopes
    if not token:
        raise ApiError("not_authed")
    if method in BY_APP_TOKEN:
        if token != config.app_token:
            raise ApiError("not_allowed_token_type" if token in hub.workspace.tokens else "invalid_auth")
        return ()
    if token not in hub.workspace.tokens:
        raise ApiError("not_allowed_token_type" if token == config.app_token else "invalid_auth")
    granted, wanted = hub.workspace.tokens[token], METHODS[method][1]
    if wanted and not set(wanted) & set(granted):
        raise ApiError("missing_scope", needed=wanted[0], provided=",".join(granted))
    return granted


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


async def _arguments(request: Request) -> Json:
    """Query, form and JSON arguments together. Raises ValueError for JSON that is not an object."""
    args: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if "json" in kind:
        body = await request.body()
        given = json.loads(body) if body.strip() else {}
        if not isinstance(given, dict):
            raise ValueError("an object is wanted")
        return args | given
    if "multipart" in kind:
        form = await request.form()
        return args | {name: value for name, value in form.items() if isinstance(value, str)}
    return args | dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def _bad_weather(fault: MethodFault) -> Response:
    if fault.kind == "rate_limit":
        return _rate_limited(max(1, int(fault.seconds)))
    return Response("upstream connect error", status_code=fault.status, media_type="text/plain")


def _rate_limited(seconds: int) -> Response:
    return JSONResponse({"ok": False, "error": "ratelimited"}, 429, headers={"Retry-After": str(seconds)})


def _cut_off() -> Response:
    """The work is done, but the answer breaks off: the caller cannot know."""

    async def body() -> AsyncIterator[bytes]:
        yield b'{"ok": tr'
        raise ConnectionError("the answer was dropped, as a fault switch asked")

    return StreamingResponse(body(), media_type="application/json")
