"""Socket Mode: a websocket that carries the same payloads, for an app that no one can reach over HTTP.

While a connection is open, deliveries go to it (to one of them, in turn) instead of the request URL. At most ten.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from .delivery import Kind
from .hub import Hub
from .state import Json

MAX_CONNECTIONS = 10


async def connect(hub: Hub, socket: WebSocket) -> None:
    """One connection, from hello to the end."""
    await socket.accept()
    if len(hub.delivery.sockets) >= MAX_CONNECTIONS:
        await socket.close(1008, "too_many_websockets")
        return
    waiting: dict[str, asyncio.Future[Json]] = {}

    async def send(kind: Kind, payload: Json, timeout_seconds: float) -> Json | None:
        """Send one envelope; the acknowledgement's payload ({} if it has none), or None when there is none in time."""
        envelope_id = hub.workspace.new_id("", 32).lower()
        waiting[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            await socket.send_text(json.dumps(_enveloped(kind, payload, envelope_id)))
            return await asyncio.wait_for(waiting[envelope_id], timeout_seconds)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            return None
        finally:
            waiting.pop(envelope_id, None)

    await socket.send_text(json.dumps(_hello(hub)))
    hub.delivery.sockets.append(send)
    try:
        while True:
            _acknowledge(json.loads(await socket.receive_text()), waiting)
    except (WebSocketDisconnect, ValueError):
        pass
    finally:
        if send in hub.delivery.sockets:
            hub.delivery.sockets.remove(send)


def _acknowledge(answer: Any, waiting: dict[str, asyncio.Future[Json]]) -> None:
    future = waiting.get(answer.get("envelope_id", "")) if isinstance(answer, dict) else None
    if future and not future.done():
        future.set_result(answer.get("payload") or {})


def _hello(hub: Hub) -> Json:
    return {
        "type": "hello",
        "num_connections": len(hub.delivery.sockets) + 1,
        "connection_info": {"app_id": hub.workspace.config.app_id},
        "debug_info": {"host": "sandbox", "approximate_connection_time": 18060},
    }


def _enveloped(kind: Kind, payload: Json, envelope_id: str) -> Json:
    answerable = kind != "events_api"
    found = {
        "envelope_id": envelope_id,
        "payload": payload,
        "type": kind,
        "accepts_response_payload": answerable,
    }
    return found if answerable else {**found, "retry_attempt": 0, "retry_reason": ""}
