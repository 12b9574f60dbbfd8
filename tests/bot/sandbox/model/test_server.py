"""The wire, seen by the real client."""

from __future__ import annotations

import json
import math

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from tests.bot.sandbox.model.talk import tools, workflow

pytestmark = pytest.mark.anyio

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    },
}


def agent_body(text: str) -> dict:
    offered = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": "", "parameters": tool.parameters},
        }
        for tool in tools()
    ]
    block = json.dumps({"finetune_workflow": workflow("dry_run", has_grader=True)})
    messages = [
        {"role": "system", "content": "prose"},
        {"role": "user", "content": f"<@U1>: {text}"},
        {"role": "system", "content": f"more prose\n```json\n{block}\n```"},
    ]
    return {"model": "standin-agent", "messages": messages, "tools": offered}


async def test_a_plain_answer_has_usage_and_the_mark(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="standin-base", messages=[{"role": "user", "content": "My parcel is late, what now?"}]
    )
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert "stand-in" in raw.headers["x-standin"]
    assert int(raw.headers["x-ratelimit-remaining-requests"]) > 0


async def test_the_agent_calls_a_tool(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**agent_body("run the dry run on 20%"))
    assert answer.choices[0].finish_reason == "tool_calls"
    called = answer.choices[0].message.tool_calls[0]
    assert called.function.name == "run_dry_run"
    assert json.loads(called.function.arguments) == {"sample_percentage": 20.0}


async def test_a_stream_carries_the_same_call_in_pieces(client: AsyncOpenAI) -> None:
    body = agent_body("add a Complaints category under General")
    whole = await client.chat.completions.create(**body)
    stream = await client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True})
    name, arguments, usage, reasons = "", "", None, []
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            reasons.append(choice.finish_reason)
            for delta in choice.delta.tool_calls or ():
                name += delta.function.name or ""
                arguments += delta.function.arguments or ""
    called = whole.choices[0].message.tool_calls[0].function
    assert (name, arguments) == (called.name, called.arguments)
    assert reasons[-1] == "tool_calls"
    assert usage.total_tokens == whole.usage.total_tokens


async def test_streamed_text_is_the_whole_text(client: AsyncOpenAI) -> None:
    body = {
        "model": "standin-base",
        "messages": [{"role": "user", "content": "How do I change my plan?"}],
        "temperature": 0,
    }
    whole = await client.chat.completions.create(**body)
    stream = await client.chat.completions.create(**body, stream=True)
    pieces = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 2


@pytest.mark.parametrize("narrowed", [["get_workflow_status"], []])
async def test_only_allowed_tools_are_called(client: AsyncOpenAI, narrowed: list[str]) -> None:
    allowed = [{"type": "function", "function": {"name": name}} for name in narrowed]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": allowed}}
    answer = await client.chat.completions.create(**agent_body("deploy it"), tool_choice=choice)
    assert not answer.choices[0].message.tool_calls
    assert "not possible" in answer.choices[0].message.content


async def test_a_required_call_is_made_even_for_small_talk(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**agent_body("thanks!"), tool_choice="required")
    assert answer.choices[0].message.tool_calls


async def test_a_schema_is_answered_with_json_that_fits(client: AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "verdict": {"enum": ["yes", "no"]},
            "reasons": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["verdict", "reasons"],
        "additionalProperties": False,
    }
    answer = await client.chat.completions.create(
        model="standin-judge",
        messages=[{"role": "user", "content": "is water wet?"}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "novel", "strict": True, "schema": schema},
        },
    )
    value = json.loads(answer.choices[0].message.content)
    assert value["verdict"] in ("yes", "no")
    assert value["reasons"]


async def test_an_answer_is_cut_at_its_token_limit(client: AsyncOpenAI) -> None:
    question = [{"role": "user", "content": "How do I get a refund for the blender I bought in March?"}]
    answer = await client.chat.completions.create(
        model="standin-base", messages=question, max_completion_tokens=2
    )
    assert answer.choices[0].finish_reason == "length"
    assert len(answer.choices[0].message.content) <= 8


async def test_repeated_rollouts_differ_and_temperature_zero_does_not(client: AsyncOpenAI) -> None:
    question = [{"role": "user", "content": "Which plan fits a team of nine people with three projects?"}]

    async def ask(**settings: float) -> str:
        made = await client.chat.completions.create(model="standin-base", messages=question, **settings)
        return made.choices[0].message.content

    assert len({await ask(temperature=0) for _ in range(3)}) == 1
    assert len({await ask(temperature=1) for _ in range(4)}) > 1
    assert await ask(seed=5) == await ask(seed=5)
    several = await client.chat.completions.create(model="standin-base", messages=question, n=3)
    assert len({choice.message.content for choice in several.choices}) > 1


async def test_responses_answer_like_chat(client: AsyncOpenAI) -> None:
    made = await client.responses.create(
        model="standin-base", input="How do I change my plan?", instructions="Be kind."
    )
    assert made.output_text
    assert made.status == "completed"
    assert made.usage.total_tokens > 0
    body = agent_body("run the dry run")
    flat = [{"type": "function", **tool["function"], "strict": False} for tool in body["tools"]]
    called = await client.responses.create(model="standin-agent", input=body["messages"], tools=flat)
    item = called.output[0]
    assert (item.type, item.name) == ("function_call", "run_dry_run")
    again = [
        *body["messages"][:2],
        {"type": "function_call", "call_id": item.call_id, "name": item.name, "arguments": item.arguments},
        {
            "type": "function_call_output",
            "call_id": item.call_id,
            "output": json.dumps({"ok": True, "status": "started", "job_id": "j"}),
        },
        body["messages"][2],
    ]
    told = await client.responses.create(model="standin-agent", input=again, tools=flat)
    assert "started" in told.output_text


async def test_responses_stream_and_narrow_tools(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="standin-base", input="How do I change my plan?") as stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        final = await stream.get_final_response()
    assert text == final.output_text
    body = agent_body("deploy")
    flat = [{"type": "function", **tool["function"], "strict": False} for tool in body["tools"]]
    choice = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "get_workflow_status"}],
    }
    told = await client.responses.create(
        model="standin-agent", input=body["messages"], tools=flat, tool_choice=choice
    )
    assert "not possible" in told.output_text


async def test_models_say_what_they_are(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert "standin-agent" in names
    assert (await client.models.retrieve("standin-base")).owned_by == "sandbox stand-in"
    with pytest.raises(openai.NotFoundError) as refused:
        await client.models.retrieve("gpt-real")
    assert refused.value.code == "model_not_found"


async def test_similar_texts_are_near(client: AsyncOpenAI) -> None:
    texts = ["I want a refund for my order", "please refund my last order", "the app crashes on start"]
    made = await client.embeddings.create(model="standin-embedding", input=texts)
    floats = await client.embeddings.create(
        model="standin-embedding", input=texts[0], encoding_format="float"
    )
    first, near, far = (row.embedding for row in made.data)
    assert len(first) == 256
    assert math.isclose(sum(value * value for value in first), 1, rel_tol=1e-5)
    assert sum(map(float.__mul__, first, near)) > 0.5 > sum(map(float.__mul__, first, far)) + 0.3
    assert floats.data[0].embedding == pytest.approx(first, abs=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "gpt-real", "messages": [{"role": "user", "content": "hi"}]}, 404, "model_not_found"),
        ({"model": "standin-base", "messages": []}, 400, None),
        ({"model": "standin-base", "messages": [{"role": "pirate", "content": "hi"}]}, 400, None),
        ({"messages": [{"role": "user", "content": "hi"}]}, 400, None),
        ({"model": "standin-base", "messages": [{"role": "user", "content": "hi"}], "n": 99}, 400, None),
    ],
)
async def test_bad_requests_get_openais_errors(
    server: str, body: dict, status: int, code: str | None
) -> None:
    async with httpx2.AsyncClient(headers={"authorization": "Bearer x"}) as http:
        answer = await http.post(f"{server}/v1/chat/completions", json=body)
        torn = await http.post(f"{server}/v1/chat/completions", content=b'{"model": ')
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert torn.status_code == 400


async def test_a_key_is_needed_and_the_page_explains(server: str) -> None:
    async with httpx2.AsyncClient() as http:
        refused = await http.get(f"{server}/v1/models")
        page = await http.get(f"{server}/")
        nowhere = await http.get(f"{server}/v1/nowhere", headers={"authorization": "Bearer x"})
    assert refused.status_code == 401
    assert "stand-in" in page.text
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "unknown_url")


async def test_a_tool_of_the_record_is_called_by_the_base_model(client: AsyncOpenAI) -> None:
    question = [{"role": "user", "content": "What is the weather in Leeds?"}]
    answers = [
        await client.chat.completions.create(
            model="standin-base", messages=question, tools=[WEATHER], seed=seed
        )
        for seed in range(12)
    ]
    called = [answer.choices[0].message.tool_calls for answer in answers]
    assert any(called)
    assert not all(called)
