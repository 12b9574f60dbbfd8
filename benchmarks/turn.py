"""Our own CPU per agent turn: two model calls and one tool, against a bare loop on the same client and two frameworks.

All of them send the same system prompt, the same tools and one user message to one model in another process; what is counted
is the CPU time of this process. Ours includes what the others do not do: inbox, journal, context block, transcript and the
final commit, once on state in memory and once on a real embedded Redis. Rounds alternate, so that a busy machine hits all.
A good part of the bare loop's time is the client's own walk over the tool schemas, which our adapter does not need; so both
are measured with a single tool as well.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
from pydantic import SecretStr

from agent.context import prompt
from agent.session import TurnInput
from agent.tooling import Tool
from agent.tools import BY_NAME, TOOLS
from agent.turn import run as run_turn
from benchmarks.model_server import ModelProcess
from storage import embedded, keys
from storage.blobs_memory import MemoryBlobs
from storage.datasets import Datasets
from storage.memory import MemoryState
from storage.ports import State
from storage.records import Change, Dataset, InboxItem, Tenant
from storage.redis_state import connect
from storage.rows import Input, Row
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person
from tasks.models.offline import OfflineEmbedder
from tasks.models.port import ChatModel
from tasks.models.wire import build_chat
from tasks.rules.validation import check_row
from tasks.settings import Settings

TURNS, ROUNDS = 60, 5
MODEL = "bench-model"
QUESTION = "<@U1>: how many rows are valid?"
RESULT = json.dumps({"ok": True, "hygiene": {"total": 10, "valid": 10, "rejected": 0}})
Turn = Callable[[], Awaitable[None]]


def run() -> list[dict[str, Any]]:
    """CPU milliseconds per turn, the median of the rounds. `peer` is the bare loop; frameworks follow where installed."""
    with ModelProcess() as model, tempfile.TemporaryDirectory() as folder:
        redis = embedded.start(Path(folder))
        try:
            measured = asyncio.run(_measure(model.base_url, redis.url))
        finally:
            redis.stop()
    ours = measured["ours"]
    pairs = [
        ("turn_cpu_ms", ours, "bare loop"),
        ("turn_cpu_redis_ms", measured["ours on redis"], "bare loop"),
        ("turn_cpu_one_tool_ms", measured["ours, one tool"], "bare loop, one tool"),
        ("turn_cpu_openai_agents_ms", ours, "openai-agents"),
        ("turn_cpu_pydantic_ai_ms", ours, "pydantic-ai"),
    ]
    return [_line(name, mine, peer, measured[peer]) for name, mine, peer in pairs if peer in measured]


def _line(name: str, ours: float, peer_name: str, peer: float) -> dict[str, Any]:
    unit = "ms CPU per turn"
    shown = {"ours": round(ours, 2), "peer": round(peer, 2), "ratio": round(ours / peer, 2)}
    return {"name": name, "unit": unit, "peer_name": peer_name, **shown}


async def _measure(base_url: str, redis_url: str) -> dict[str, float]:
    on_redis = connect(redis_url)
    clients = [_client(base_url) for _ in range(4)]
    mine = [build_chat(_settings(base_url)) for _ in range(3)]
    one = [BY_NAME["get_dataset_stats"]]
    contenders: dict[str, Turn] = {
        "bare loop": _bare_loop(clients[0], TOOLS),
        "ours": await _ours(base_url, mine[0], MemoryState(), TOOLS),
        "ours on redis": await _ours(base_url, mine[1], on_redis, TOOLS),
        "bare loop, one tool": _bare_loop(clients[1], one),
        "ours, one tool": await _ours(base_url, mine[2], MemoryState(), one),
    }
    if importlib.util.find_spec("agents"):
        contenders["openai-agents"] = _openai_agents(clients[2])
    if importlib.util.find_spec("pydantic_ai"):
        contenders["pydantic-ai"] = _pydantic_ai(clients[3])
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in contenders.values():
        await _cpu_ms(turn, 10)  # connections, caches, imports
    for _ in range(ROUNDS):
        for name, turn in contenders.items():
            times[name].append(await _cpu_ms(turn, TURNS))
    for chat in mine:
        await chat.close()
    for client in clients:
        await client.close()
    await on_redis.close()
    return {name: statistics.median(found) for name, found in times.items()}


async def _cpu_ms(turn: Turn, turns: int) -> float:
    gc.collect()
    begun = time.process_time()
    for _ in range(turns):
        await turn()
    return (time.process_time() - begun) * 1000 / turns


# ---------------------------------------------------------------- ours


def _settings(base_url: str) -> Settings:
    return Settings(
        openai_base_url=base_url, openai_api_key=SecretStr("k"), agent_model=MODEL, allowed_providers=("*",)
    )


async def _ours(base_url: str, chat: ChatModel, state: State, tools: Sequence[Tool]) -> Turn:
    settings, blobs = _settings(base_url), MemoryBlobs()
    deps = Deps(settings, state, blobs, Datasets(blobs), chat, OfflineEmbedder(), {}, _NoQueue())
    desk = Desk(state=state, queue=_NoQueue(), settings=settings, operations={}, clock=time.time)
    tenant = Tenant("", "TBENCH")
    await _workflow(deps, tenant)
    count = 0

    async def turn() -> None:
        """A fresh thread position each time: the workflow stays, the conversation does not grow."""
        nonlocal count
        count += 1
        lane = keys.lane("C1", f"{count}.0")
        item = InboxItem(
            f"m{count}", "message", "U1", "how many rows are valid?", time.time(), {"ts": f"{count}.1"}
        )
        await state.accept(tenant, lane, item)
        lease = await state.claim(tenant, lane, seconds=60)
        assert lease
        items = await state.waiting(tenant, lane)
        given = TurnInput(tenant, lane, lease, "C1", "1.0", items)
        outcome = await run_turn(given, deps=deps, desk=desk, whois=_whois, stopped=_never, tools=tools)
        assert outcome.status == "answered" and outcome.model_calls == 2
        await state.release(lease)

    return turn


async def _workflow(deps: Deps, tenant: Tenant) -> None:
    writer = deps.datasets.writer(tenant, "d1")
    parts, index = writer.finish()
    empty = deps.datasets.write_version(tenant, "d1", parts, index, operation="ingest", by="U1", at=0.0)
    rows = [
        Row(id=f"r{n}", input=Input(messages=[{"role": "user", "content": f"Where is invoice {n}?"}]))
        for n in range(10)
    ]
    made = deps.datasets.append_rows(empty, rows, check=check_row, operation="ingest", by="U1", at=0.0)
    begun = flow.create(
        id="w1",
        tenant=tenant,
        channel="C1",
        thread_ts="1.0",
        owner="U1",
        name="Bench",
        goal="be helpful",
        at=0.0,
    )
    stands = replace(begun, dataset_id="d1", dataset_version=made.version, total_rows=10, valid_rows=10)
    dataset = Dataset("d1", tenant, "Bench", "bench.jsonl", "U1", 0.0, latest=made.version)
    await deps.state.commit(tenant, Change(puts=(stands, dataset)))


class _NoQueue:
    async def wake(self, task: object) -> None:
        return None

    async def help(self, task: object, most: int) -> None:
        return None

    async def others_wait(self, task: object) -> bool:
        return False


async def _whois(user: str) -> Person:
    return Person(user)


async def _never() -> bool:
    return False


# ---------------------------------------------------------------- the others


def _client(base_url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="k", base_url=base_url, max_retries=0, http_client=openai.DefaultAioHttpClient()
    )


def _bare_loop(client: openai.AsyncOpenAI, offered: Sequence[Tool]) -> Turn:
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in offered
    ]
    tools: Any = [{"type": "function", "function": function} for function in functions]

    async def turn() -> None:
        messages: Any = [
            {"role": "system", "content": prompt("system")},
            {"role": "user", "content": QUESTION},
        ]
        while True:
            reply = await client.chat.completions.create(
                model=MODEL, messages=messages, tools=tools, temperature=0.2
            )
            message = reply.choices[0].message
            if not message.tool_calls:
                return
            messages.append(message.model_dump(exclude_none=True))
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": RESULT} for call in message.tool_calls
            ]

    return turn


def _openai_agents(client: openai.AsyncOpenAI) -> Turn:
    import agents

    agents.set_tracing_disabled(True)

    async def invoke(context: Any, arguments: str) -> str:
        return RESULT

    tools: list[Any] = [
        agents.FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.parameters,
            on_invoke_tool=invoke,
            strict_json_schema=False,
        )
        for tool in TOOLS
    ]
    model = agents.OpenAIChatCompletionsModel(model=MODEL, openai_client=client)
    agent = agents.Agent(name="bench", instructions=prompt("system"), tools=tools, model=model)

    async def turn() -> None:
        await agents.Runner.run(agent, QUESTION)

    return turn


def _pydantic_ai(client: openai.AsyncOpenAI) -> Turn:
    from pydantic_ai import Agent, Tool
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def invoke(**arguments: Any) -> str:
        return RESULT

    tools = [
        Tool.from_schema(invoke, name=tool.name, description=tool.description, json_schema=tool.parameters)
        for tool in TOOLS
    ]
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))
    agent = Agent(model, system_prompt=prompt("system"), tools=tools)

    async def turn() -> None:
        await agent.run(QUESTION)

    return turn


if __name__ == "__main__":
    for line in run():
        print(line)
