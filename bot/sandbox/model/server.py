"""The HTTP face of the stand-in: routes, one composition. Content is decided in `answers.py`, shapes in the wires."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bot.sandbox.model.answers import answer, role_of
from bot.sandbox.model.asks import Ask, Json, Reply
from bot.sandbox.model.bodies import json_body
from bot.sandbox.model.chat_wire import completion_body, completion_events, parse_chat
from bot.sandbox.model.clock import SandboxClock
from bot.sandbox.model.config import ModelConfig
from bot.sandbox.model.door import FrontDoor
from bot.sandbox.model.embeddings import embeddings_body
from bot.sandbox.model.errors import WireError, bad_request, no_such_model
from bot.sandbox.model.faults import FaultBox, faulty_reply, faulty_response, parse_fault
from bot.sandbox.model.files_api import FileShelf, file_routes
from bot.sandbox.model.jobs_api import JobBook, job_routes
from bot.sandbox.model.responses_wire import parse_response, response_body, response_events
from bot.sandbox.model.webhooks import deliver_forever
from bot.sandbox.model.words import number_from
from bot.sandbox.model.writer import Skill

MODELS = ("standin-agent", "standin-writer", "standin-judge", "standin-base", "standin-embedding")
REMEMBERED_PROMPTS = 50_000

Answer = Callable[[Ask, Skill | None], Reply]


def create_model_server(config: ModelConfig, *, answer_with: Answer | None = None) -> Starlette:
    """The whole server. `answer_with` replaces the roles (a test's script); wires, files and jobs stay."""
    clock = SandboxClock(speed=config.speed)
    shelf = FileShelf(clock)
    book = JobBook(shelf=shelf, clock=clock, seed=config.seed)
    faults = FaultBox(config.faults)
    desk = _Desk(
        config, book, faults, answer_with or (lambda ask, skill: answer(ask, skill=skill, seed=config.seed))
    )
    return Starlette(
        routes=[
            Route("/", _explain),
            Route("/v1/chat/completions", desk.chat, methods=["POST"]),
            Route("/v1/responses", desk.responses, methods=["POST"]),
            Route("/v1/embeddings", desk.embeddings, methods=["POST"]),
            Route("/v1/models", desk.models),
            Route("/v1/models/{id:path}", desk.model),
            *file_routes(shelf),
            *job_routes(book, base_models=frozenset(MODELS)),
            *_test_routes(faults, clock, book),
        ],
        middleware=[Middleware(FrontDoor, config=config, faults=faults)],
        exception_handlers={WireError: _refused, 404: _no_route, 405: _no_route},
        lifespan=_lifespan(book, config),
    )


class _Desk:
    """The endpoints that need the roles."""

    def __init__(self, config: ModelConfig, book: JobBook, faults: FaultBox, answer_with: Answer) -> None:
        self._config = config
        self._book = book
        self._faults = faults
        self._answer = answer_with
        self._repeats = Repeats()

    async def chat(self, request: Request) -> Response:
        body = await json_body(request)
        ask = parse_chat(body)
        count = body.get("n") or 1
        if not isinstance(count, int) or not 1 <= count <= 16:
            raise bad_request("Invalid 'n': expected 1 to 16.", "n")
        found = await self._replies(ask, request.url.path, count)
        if isinstance(found, Response):
            return found
        if not body.get("stream"):
            return JSONResponse(completion_body(ask, found))
        options = body.get("stream_options") or {}
        return _stream(completion_events(ask, found, include_usage=bool(options.get("include_usage"))))

    async def responses(self, request: Request) -> Response:
        body = await json_body(request)
        ask = parse_response(body)
        found = await self._replies(ask, request.url.path, 1)
        if isinstance(found, Response):
            return found
        if not body.get("stream"):
            return JSONResponse(response_body(ask, found[0], body))
        return _stream(response_events(ask, found[0], body))

    async def embeddings(self, request: Request) -> Response:
        body = await json_body(request)
        self._skill(str(body.get("model")))
        return JSONResponse(await asyncio.to_thread(embeddings_body, body))

    async def models(self, request: Request) -> Response:
        names = [*MODELS, *self._book.tuned_models()]
        return JSONResponse({"object": "list", "data": [_model_body(name) for name in names]})

    async def model(self, request: Request) -> Response:
        self._skill(request.path_params["id"])
        return JSONResponse(_model_body(request.path_params["id"]))

    async def _replies(self, ask: Ask, path: str, count: int) -> list[Reply] | Response:
        """`count` replies, or the response of an ordered fault. Raises WireError 404 for an unknown model."""
        skill, role = self._skill(ask.model), role_of(ask)
        broken = self._faults.due_for_request(path, role)
        if broken is not None:
            return await faulty_response(broken, hang_seconds=self._config.hang_seconds)
        faulty = self._faults.due_for_reply(path, role, has_tools=bool(ask.tools))
        if faulty is not None:
            return [faulty_reply(faulty, ask)] * count
        first = self._variant(ask, role, count)
        return [self._answer(replace(ask, variant=first + index), skill) for index in range(count)]

    def _variant(self, ask: Ask, role: str, count: int) -> int:
        """0 at temperature 0; else the seed, or how often this prompt came, so that repeated rollouts differ."""
        if role not in ("base", "tuned") or ask.temperature == 0:
            return 0
        return ask.variant if ask.variant is not None else self._repeats.count(ask, count)

    def _skill(self, model: str) -> Skill | None:
        if model in MODELS:
            return None
        skill = self._book.skill_of(model)
        if skill is None:
            raise no_such_model(model)
        return skill


class Repeats:
    """How often each prompt was sampled before; the oldest are forgotten."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, int] = OrderedDict()

    def count(self, ask: Ask, more: int) -> int:
        key = number_from(ask.model, ask.prompt_text)
        before = self._seen.pop(key, 0)
        self._seen[key] = before + more
        if len(self._seen) > REMEMBERED_PROMPTS:
            self._seen.popitem(last=False)
        return before


def _test_routes(faults: FaultBox, clock: SandboxClock, book: JobBook) -> list[Route]:
    async def arm(request: Request) -> Response:
        faults.arm(parse_fault(await json_body(request)))
        return await armed(request)

    async def armed(request: Request) -> Response:
        return JSONResponse({"faults": [asdict(fault) for fault in faults.armed()]})

    async def clear(request: Request) -> Response:
        faults.clear()
        return await armed(request)

    async def advance(request: Request) -> Response:
        seconds = (await json_body(request)).get("advance_seconds")
        if not isinstance(seconds, (int, float)) or seconds < 0:
            raise bad_request("'advance_seconds' must be a number of 0 or more.", "advance_seconds")
        clock.advance(float(seconds))
        book.settle()
        return JSONResponse({"now": clock.now()})

    return [
        Route("/standin/faults", arm, methods=["POST"]),
        Route("/standin/faults", armed),
        Route("/standin/faults", clear, methods=["DELETE"]),
        Route("/standin/clock", advance, methods=["POST"]),
    ]


def _lifespan(book: JobBook, config: ModelConfig) -> Callable[[Starlette], Any]:
    @contextlib.asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        if not (config.webhook_url and config.webhook_secret):
            yield
            return
        courier = asyncio.create_task(deliver_forever(book, config))
        yield
        courier.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await courier

    return running


def _model_body(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "sandbox stand-in"}


def _stream(lines: Iterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, WireError)
    return error.response()


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    message = f"Invalid URL ({request.method} {request.url.path})"
    return WireError(message, status=status, code="unknown_url").response()


async def _explain(request: Request) -> Response:
    models = "".join(f"<li><code>{name}</code></li>" for name in MODELS)
    return HTMLResponse(
        "<!doctype html><html lang=en><title>Stand-in model</title><h1>This is a stand-in, not a model</h1>"
        "<p>The sandbox's OpenAI-compatible server. It understands nothing: the agent follows a table of intents, "
        "answers are put together from the words in front of it, the judge counts features, training jobs are a "
        "clock. No claim about quality rests on it. Set <code>OPENAI_API_KEY</code> and <code>OPENAI_BASE_URL</code> "
        f"to use a real one.</p><p>Models:</p><ul>{models}</ul>"
        '<p>For tests: <code>POST /standin/clock {"advance_seconds": n}</code>, '
        '<code>POST /standin/faults {"kind", "times", "path", "role"}</code>.</p></html>'
    )
