"""Whether a chat costs the same on a million rows as on a thousand: a turn, the browsing page, coverage and one edit.

Both datasets have rows of about one kilobyte with topic columns and rest in a folder; they are written with the part writer
itself, which takes half a minute. The turn is `agent.turn` with a tool that reads the dataset's figures, on state in memory
and a model in another process; page, coverage and edit are the tools `get_dataset_records` (rows of one topic to review, as a
card), `analyze_coverage` and `update_record` (other words and another topic), and every edit stands on the one before. Rounds alternate between the sizes, so that a busy machine hits both; medians are compared, by the clock
(`turn_million_ratio`) and of our own CPU, which no slow disk can hide (`turn_million_cpu_ratio`).
What a process pays when it sees the dataset for the first time is told apart (`turn_million_cold_ms`).

    python -m benchmarks.turn_million
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent.session import TurnInput
from agent.tooling import ToolContext
from agent.tools import BY_NAME, TOOLS
from agent.turn import run as run_turn
from benchmarks.model_server import ModelProcess
from storage import keys
from storage.blobs_file import FileBlobs
from storage.datasets import Datasets, PartWriter
from storage.digests import BETWEEN, conversation_key, digests_of
from storage.manifests import Manifest
from storage.memory import MemoryState
from storage.records import Change, Dataset, InboxItem, Task, Tenant, Topic
from tasks import workflow as flow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person
from tasks.models.offline import OfflineEmbedder
from tasks.models.wire import build_chat
from tasks.settings import Settings

SMALL, LARGE = 1_000, 1_000_000
ROUNDS, WARM_UP = 80, 5
PIECES = ("turn", "page", "coverage", "edit")
SUMS = (PIECES, tuple(f"{piece}_cpu" for piece in PIECES))
TENANT = Tenant("", "TBENCH")
TOPICS = tuple(f"topic_{letter}" for letter in "abcdefghijklmnopqrst")
BATCH = 200
_WORDS = [
    "invoice",
    "parcel",
    "refund",
    "account",
    "router",
    "camera",
    "password",
    "printer",
    "order",
    "Monday",
    "charge",
    "address",
    "export",
    "cancel",
    "restore",
    "upgrade",
    "phone",
    "laptop",
    "coupon",
    "ticket",
    "agent",
    "delivery",
    "payment",
    "weekend",
    "error",
    "cable",
]


def run() -> list[dict[str, Any]]:
    """Milliseconds at a million rows (`ours`) and at a thousand (`peer`), and the ratio of the four together."""
    with ModelProcess() as model, tempfile.TemporaryDirectory() as folder:
        store = FileBlobs(Path(folder))
        versions = {rows: build(store, f"d{rows}", rows) for rows in (SMALL, LARGE)}
        small, large = asyncio.run(_measure(store, versions, model.base_url))
    wall, cpu = (
        sum(large[piece] for piece in names) / sum(small[piece] for piece in names) for names in SUMS
    )
    lines = [_line("turn_million_ratio", "×", wall, 1.0), _line("turn_million_cpu_ratio", "×", cpu, 1.0)]
    return lines + [
        _line(f"turn_million_{piece}_ms", "ms", large[piece], small[piece]) for piece in (*PIECES, "cold")
    ]


def _line(name: str, unit: str, ours: float, peer: float) -> dict[str, Any]:
    shown = {"ours": round(ours, 3), "peer": round(peer, 3), "ratio": round(ours / peer, 3)}
    return {"name": name, "unit": unit, "peer_name": "the same at 1,000 rows", **shown}


# ---------------------------------------------------------------- the datasets


def build(store: FileBlobs, dataset_id: str, rows: int) -> Manifest:
    """A version of synthetic rows of a kilobyte, sorted into twenty topics."""
    datasets, rng = Datasets(store), random.Random(7)
    sentences = [" ".join(rng.choices(_WORDS, k=14)) + "." for _ in range(997)]
    writer = datasets.writer(TENANT, dataset_id)
    for first in range(0, rows, BATCH):
        _add(writer, range(first, min(rows, first + BATCH)), sentences, rng)
    parts, index = writer.finish()
    return datasets.write_version(TENANT, dataset_id, parts, index, operation="upload", by="U1", at=0.0)


def _add(writer: PartWriter, numbers: range, sentences: list[str], rng: random.Random) -> None:
    asked = [f"Question {n}: {' '.join(rng.sample(sentences, 3))}" for n in numbers]
    answers = [f"Answer {n}: {' '.join(rng.sample(sentences, 5))}" for n in numbers]
    pieces = [
        text for pair in zip(asked, answers, strict=True) for text in ("user,assistant", *pair, BETWEEN)
    ]
    digests = digests_of(pieces, len(asked)) or []
    lines, tokens = [], []
    for number, question, answer, digest in zip(numbers, asked, answers, digests, strict=True):
        lines.append(_encoded(f"r{digest[:12].hex()}", number + 1, question, answer))
        tokens.append((len(question) + len(answer)) // 4)
        topic, confidence = rng.choice(TOPICS), round(rng.uniform(0.4, 1.0), 3)
        shares = {"turns": 1, "tokens": tokens[-1], "output_tokens": len(answer) // 4}
        writer.counts.valid(has_output=True, has_reference=True, **shares)
        writer.counts.label(topic, confidence, "keyword", False, None)
        writer.set("topic", topic)
        writer.set("topic_confidence", confidence)
        writer.set("topic_method", "keyword")
        writer.add_many(lines[-1], (conversation_key(digest),), ("",), tokens[-1:])


def _encoded(id: str, line: int, question: str, answer: str) -> bytes:
    """What `storage.rows.encode` gives; the texts need no escaping."""
    return (
        f'{{"id":"{id}","input":{{"messages":[{{"role":"user","content":"{question}"}}]}},'
        f'"output":{{"messages":[{{"role":"assistant","content":"{answer}"}}]}},'
        f'"provenance":{{"file":"bench.jsonl","line":{line}}}}}\n'
    ).encode()


# ---------------------------------------------------------------- the measuring


async def _measure(
    store: FileBlobs, versions: dict[int, Manifest], base_url: str
) -> tuple[dict[str, float], dict[str, float]]:
    chats = [await Chat.begun(store, versions[rows], base_url) for rows in (SMALL, LARGE)]
    times: list[dict[str, list[float]]] = [{} for _ in chats]
    for number in range(WARM_UP + ROUNDS):
        for chat, found in zip(chats, times, strict=True):
            gc.collect()
            taken = await chat.round(random.Random(number))
            if number >= WARM_UP:
                for piece, seconds in taken.items():
                    found.setdefault(piece, []).append(seconds * 1000)
    for chat in chats:
        await chat.close()
    small, large = ({piece: statistics.median(all) for piece, all in found.items()} for found in times)
    return small, large


@dataclass(slots=True)
class Chat:
    """A thread about one dataset."""

    deps: Deps
    desk: Desk
    calls: int = 0

    @classmethod
    async def begun(cls, store: FileBlobs, manifest: Manifest, base_url: str) -> Chat:
        settings = Settings(
            openai_base_url=base_url, openai_api_key=SecretStr("k"), agent_model="m", allowed_providers=("*",)
        )
        state, queue = MemoryState(), _NoQueue()
        chat, embedder = build_chat(settings), OfflineEmbedder()
        deps = Deps(settings, state, store, Datasets(store), chat, embedder, {}, queue, time.time)
        desk = Desk(state=state, queue=queue, settings=settings, operations={}, clock=time.time)
        begun = flow.create(
            id="w1", tenant=TENANT, channel="C1", thread_ts="1.0", owner="U1", name="Bench", goal="g", at=0.0
        )
        workflow = replace(
            begun,
            dataset_id=manifest.dataset_id,
            dataset_version=manifest.version,
            topics=tuple(Topic(id, id.replace("_", " ")) for id in TOPICS),
            total_rows=manifest.totals.rows,
            valid_rows=manifest.totals.valid,
        )
        dataset = Dataset(manifest.dataset_id, TENANT, "B", "b.jsonl", "U1", 0.0, latest=manifest.version)
        await state.commit(TENANT, Change(puts=(workflow, dataset)))
        return cls(deps, desk)

    async def round(self, rng: random.Random) -> dict[str, float]:
        """Seconds for each piece, one after the other, by the clock and of this process."""
        ctx = await self._context()
        newest = self._newest(ctx)
        id, topic = self._some_row(newest, rng), rng.choice(TOPICS)
        review = {"show": True, "filter": {"topic": topic, "valid": True, "confidence": 0.7}}
        words = [
            {"role": "user", "content": f"Other words {time.time_ns()}"},
            {"role": "assistant", "content": "A"},
        ]
        taken = await _timed("turn", self._turn)
        taken |= await _timed("page", lambda: _called(ctx, "get_dataset_records", review))
        taken |= await _timed("coverage", lambda: _called(ctx, "analyze_coverage", {}))
        updates = {"record_id": id, "updates": {"messages": words, "topic": topic}}
        taken |= await _timed("edit", lambda: _called(ctx, "update_record", updates))
        fresh = replace(ctx, deps=replace(self.deps, datasets=Datasets(self.deps.blobs)), call_id="cold")
        return taken | await _timed("cold", lambda: _called(fresh, "get_dataset_records", review))

    async def close(self) -> None:
        await self.deps.chat.close()

    async def _context(self) -> ToolContext:
        self.calls += 1
        workflow = await self.desk.workflow(TENANT, "w1")
        return ToolContext(
            TENANT, "C1", "1.0", Person("U1"), self.deps, self.desk, f"call{self.calls}", workflow
        )

    async def _turn(self) -> None:
        """Two model calls and the tool that reads the dataset's figures; the conversation does not grow."""
        state, lane = self.deps.state, keys.lane("C1", f"{self.calls}.0")
        message = {"ts": f"{self.calls}.1"}
        item = InboxItem(f"m{self.calls}", "message", "U1", "how many rows are valid?", time.time(), message)
        await state.accept(TENANT, lane, item)
        lease = await state.claim(TENANT, lane, seconds=60)
        if lease is None:
            raise RuntimeError("the thread is taken")
        given = TurnInput(TENANT, lane, lease, "C1", "1.0", await state.waiting(TENANT, lane))
        done = await run_turn(
            given, deps=self.deps, desk=self.desk, whois=_whois, stopped=_never, tools=TOOLS
        )
        if (done.status, done.model_calls) != ("answered", 2):
            raise RuntimeError(f"the turn came to {done.status} after {done.model_calls} calls")
        await state.release(lease)

    def _newest(self, ctx: ToolContext) -> Manifest:
        return self.deps.datasets.manifest(TENANT, ctx.flow.dataset_id, ctx.flow.dataset_version)

    def _some_row(self, manifest: Manifest, rng: random.Random) -> str:
        part = rng.randrange(len(manifest.parts))
        place = (part, rng.randrange(manifest.parts[part].rows))
        return next(self.deps.datasets.pick(manifest, [place])).id


async def _called(ctx: ToolContext, name: str, arguments: dict[str, Any]) -> None:
    result = await BY_NAME[name].body(ctx, **BY_NAME[name].arguments.model_validate(arguments).__dict__)
    if not result["ok"] or (name == "get_dataset_records" and len(result["rows"]) != 10):
        raise RuntimeError(f"{name} said {result}")


async def _timed(piece: str, work: Callable[[], Awaitable[None]]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    return {piece: time.perf_counter() - wall, f"{piece}_cpu": time.process_time() - cpu}


class _NoQueue:
    async def wake(self, task: Task) -> None:
        return None

    async def help(self, task: Task, most: int) -> None:
        return None

    async def others_wait(self, task: Task) -> bool:
        return False


async def _whois(user: str) -> Person:
    return Person(user)


async def _never() -> bool:
    return False


if __name__ == "__main__":
    for line in run():
        print(json.dumps(line))
