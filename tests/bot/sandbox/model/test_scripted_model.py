"""The scripted server of other tests, seen by the real client."""

from __future__ import annotations

import json

import openai
import pytest
from openai import AsyncOpenAI

from tests.bot.sandbox.model.test_server import agent_body
from tests.scripted_model import ScriptedModel, call, calls, status

pytestmark = pytest.mark.anyio


async def test_the_agents_queue_is_played_in_order() -> None:
    with ScriptedModel() as model:
        model.agent(
            "Hello.", call("get_dataset_stats", limit=3), calls(("a", {}), ("b", "{torn")), status(500)
        )
        async with AsyncOpenAI(api_key="k", base_url=model.base_url, max_retries=0) as client:
            first = await client.chat.completions.create(**agent_body("hi"))
            second = await client.chat.completions.create(**agent_body("hi"))
            third = await client.chat.completions.create(**agent_body("hi"))
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(**agent_body("hi"))
            idle = await client.chat.completions.create(**agent_body("hi"))
    assert first.choices[0].message.content == "Hello."
    called = second.choices[0].message.tool_calls[0]
    assert (called.function.name, json.loads(called.function.arguments)) == (
        "get_dataset_stats",
        {"limit": 3},
    )
    assert [one.function.arguments for one in third.choices[0].message.tool_calls] == ["{}", "{torn"]
    assert len({one.id for one in (called, *third.choices[0].message.tool_calls)}) == 3
    assert idle.choices[0].message.content == "Done."
    assert len(model.agent_requests) == 5


async def test_structured_base_and_judge_answers_come_from_functions() -> None:
    judgement = {"name": "judgement", "strict": True, "schema": {"type": "object"}}
    with ScriptedModel() as model:
        model.judge(lambda data: {"score": 0.52, "reasoning": data["response"]})
        model.base(lambda ask: f"to {ask.last_user_text}")
        async with AsyncOpenAI(api_key="k", base_url=model.base_url, max_retries=0) as client:
            judged = await client.chat.completions.create(
                model="standin-judge",
                messages=[{"role": "user", "content": json.dumps({"response": "r"})}],
                response_format={"type": "json_schema", "json_schema": judgement},
            )
            plain = await client.chat.completions.create(
                model="standin-base", messages=[{"role": "user", "content": "me"}]
            )
            vectors = await client.embeddings.create(model="standin-embedding", input=["a text"])
    assert json.loads(judged.choices[0].message.content) == {"score": 0.52, "reasoning": "r"}
    assert plain.choices[0].message.content == "to me"
    assert len(vectors.data[0].embedding) == 256
    assert len(model.asked("judgement")) == len(model.asked("base")) == 1


async def test_without_a_script_the_stand_in_answers() -> None:
    with ScriptedModel(when_idle=None) as model:
        async with AsyncOpenAI(api_key="k", base_url=model.base_url, max_retries=0) as client:
            answer = await client.chat.completions.create(**agent_body("run the dry run"))
    assert answer.choices[0].message.tool_calls[0].function.name == "run_dry_run"
