"""What a grade by script costs: our sandboxes, fresh for each call, beside the same engines reused in one process.

Fresh is what the product does: nothing that one grade leaves behind is seen by the next. The peer shows what that costs: the bare
engine with the script read once and called again and again, without a process between and without hardening.

    python -m benchmarks.grading
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tasks import graders
from tasks.graders.port import Sample

CALLS = 400
PYTHON = """
import json
def grade(sample, item):
    said = json.loads(sample["output_text"])
    right = said.get("answer") == item["reference_answer"]
    return 0.7 * right + 0.3 * (len(said.get("steps", [])) <= 3)
"""
JAVASCRIPT = """
function evaluate({response, item}) {
  const said = JSON.parse(response);
  const right = said.answer === item.reference_answer;
  return 0.7 * right + 0.3 * ((said.steps || []).length <= 3);
}
"""
SAMPLE = Sample(
    messages=[{"role": "user", "content": "What is the tax on 250 dollars at 19 percent?"}],
    output=json.dumps({"answer": "47.50", "steps": ["250 * 0.19", "= 47.5"]}),
    item={"reference_answer": "47.50"},
)


def run() -> list[dict[str, Any]]:
    """Milliseconds a grade, wall time, one after the other."""
    return [
        _entry(
            "grade_python_ms",
            asyncio.run(_ours("python", PYTHON)),
            _monty_reused(),
            "monty, one session reused",
        ),
        _entry(
            "grade_js_ms",
            asyncio.run(_ours("javascript", JAVASCRIPT)),
            _v8_reused(),
            "mini-racer, one context reused",
        ),
    ]


async def _ours(language: str, source: str) -> float:
    async with graders.bench(chat=None, judge_model="", meter=lambda model, usage: None) as bench:  # type: ignore[arg-type]

        async def one() -> None:
            grade = await graders.grade("script", {"language": language, "source": source}, SAMPLE, bench)
            if grade.score != 1.0:
                raise RuntimeError(f"{language}: {grade}")

        return await _timed(one)


async def _timed(one: Callable[[], Awaitable[None]]) -> float:
    for _ in range(5):
        await one()
    began = time.perf_counter()
    for _ in range(CALLS):
        await one()
    return (time.perf_counter() - began) / CALLS * 1000


def _monty_reused() -> float:
    import pydantic_monty

    sample, item = graders.port.sample_object(SAMPLE), dict(SAMPLE.item)
    with pydantic_monty.Monty(max_processes=1) as pool, pool.checkout() as session:
        session.feed_run(PYTHON)
        inputs = {"_sample": sample, "_item": item}
        began = time.perf_counter()
        for _ in range(CALLS):
            session.feed_run("grade(_sample, _item)", inputs=inputs)
        return (time.perf_counter() - began) / CALLS * 1000


def _v8_reused() -> float:
    from py_mini_racer import MiniRacer

    context = MiniRacer()
    context.eval(JAVASCRIPT)
    given = json.dumps({"response": SAMPLE.output, "item": SAMPLE.item})
    call = f"evaluate({given})"
    began = time.perf_counter()
    for _ in range(CALLS):
        context.eval(call)
    return (time.perf_counter() - began) / CALLS * 1000


def _entry(name: str, ours: float, peer: float, peer_name: str) -> dict[str, Any]:
    row = {"name": name, "ours": ours, "unit": "ms/grade", "peer": peer, "peer_name": peer_name}
    return {**row, "ratio": ours / peer}


if __name__ == "__main__":
    for row in run():
        print(row)
