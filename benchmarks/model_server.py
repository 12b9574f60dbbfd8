"""The model of the turn benchmark, in a process of its own: a tool call, then words. Speaks just enough Chat Completions."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "get_dataset_stats", "arguments": "{}"}}
USAGE = {"prompt_tokens": 9000, "completion_tokens": 20, "total_tokens": 9020}


class ModelProcess:
    """A context manager; `base_url` is where it answers."""

    def __enter__(self) -> ModelProcess:
        ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(theirs,), daemon=True
        )
        self._process.start()
        self.base_url = f"http://127.0.0.1:{ours.recv()}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection) -> None:
    asyncio.run(_listen(pipe))


async def _listen(pipe: Connection) -> None:
    server = await asyncio.start_server(_talk, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept alive: requests with a content-length, answers with one."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            content = json.dumps(_completion(json.loads(body))).encode()
            lines = (
                f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
            )
            writer.write(lines.encode() + content)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _completion(asked: dict[str, Any]) -> dict[str, Any]:
    """Words once a tool has answered in this turn, the call before."""
    roles = [message["role"] for message in asked["messages"]]
    last_user = max((place for place, role in enumerate(roles) if role == "user"), default=0)
    answered = "tool" in roles[last_user:]
    message: dict[str, Any] = {"role": "assistant", "content": "Ten rows are valid." if answered else None}
    if not answered:
        message["tool_calls"] = [TOOL_CALL]
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "stop" if answered else "tool_calls",
        "logprobs": None,
    }
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"]}
    return {**head, "choices": [choice], "usage": USAGE}
