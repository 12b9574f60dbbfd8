"""One stand-in over HTTP for the tests of this folder, and the real client against it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI

from bot.sandbox.model import ModelConfig, create_model_server
from tests.scripted_model import free_port, serving


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    port = free_port()
    with serving(create_model_server(ModelConfig(port=port, speed=1.0, hang_seconds=30.0)), port) as url:
        yield url


@pytest.fixture
async def client(server: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="any", base_url=f"{server}/v1", max_retries=0, timeout=10) as made:
        yield made
