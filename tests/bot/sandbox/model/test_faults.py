"""Faults on order."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from tests.bot.sandbox.model.test_server import agent_body

pytestmark = pytest.mark.anyio


async def arm(server: str, kind: str, **more: Any) -> None:
    async with httpx2.AsyncClient() as http:
        await http.delete(f"{server}/standin/faults")
        (await http.post(f"{server}/standin/faults", json={"kind": kind, **more})).raise_for_status()


async def test_a_rate_limit_comes_with_its_headers_n_times(server: str, client: AsyncOpenAI) -> None:
    await arm(server, "429", times=2, retry_after_seconds=3)
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as refused:
            await client.models.list()
        assert refused.value.response.headers["retry-after"] == "3"
        assert refused.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert (await client.models.list()).data


async def test_a_bare_rate_limit_has_no_headers(server: str, client: AsyncOpenAI) -> None:
    await arm(server, "rate_limit_bare")
    with pytest.raises(openai.RateLimitError) as refused:
        await client.models.list()
    assert "retry-after" not in refused.value.response.headers
    assert "x-ratelimit-remaining-requests" not in refused.value.response.headers


async def test_other_statuses(server: str, client: AsyncOpenAI) -> None:
    await arm(server, "server_error")
    with pytest.raises(openai.InternalServerError):
        await client.models.list()
    await arm(server, "training_not_available", path="/v1/fine_tuning")
    assert (await client.models.list()).data
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await client.fine_tuning.jobs.list()
    assert refused.value.code == "training_not_available"


async def test_a_hang_outlasts_the_clients_patience(server: str, client: AsyncOpenAI) -> None:
    await arm(server, "hang")
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.3).models.list()


async def test_faulty_replies(server: str, client: AsyncOpenAI) -> None:
    async def reply(kind: str, **more: Any) -> Any:
        await arm(server, kind, **more)
        return (await client.chat.completions.create(**agent_body("hello"))).choices[0].message

    assert (await reply("unknown_tool")).tool_calls[0].function.name == "reticulate_splines"
    assert (await reply("malformed_arguments")).tool_calls[0].function.arguments == '{"limit": 5, '
    assert "wobble" in (await reply("nonsense")).content
    empty = await reply("empty")
    assert not empty.content
    assert not empty.tool_calls
    assert (await reply("endless_tools", times=3)).tool_calls[0].function.name == "get_workflow_status"


async def test_a_fault_of_a_role_leaves_other_roles_alone(server: str, client: AsyncOpenAI) -> None:
    await arm(server, "server_error", role="base")
    assert (await client.chat.completions.create(**agent_body("hello"))).choices[0].message.content
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(
            model="standin-base", messages=[{"role": "user", "content": "hi there"}]
        )


async def test_an_unknown_fault_is_refused(server: str) -> None:
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{server}/standin/faults", json={"kind": "earthquake"})
    assert answer.status_code == 400
