"""Where a deployed model answers: the builtin gateway says where, and refuses what it cannot do."""

from __future__ import annotations

import pytest

from tasks.gateways import gateway
from tasks.gateways.port import GatewayError
from tests.makers import settings

pytestmark = pytest.mark.anyio


async def test_a_new_endpoint_is_the_providers_own_with_the_models_id() -> None:
    endpoint = await gateway(settings()).deploy(key="k", model="ft:base:1", mode="new_endpoint")
    assert endpoint.url == "http://model.test/v1/chat/completions"
    assert endpoint.example["model"] == "ft:base:1"


@pytest.mark.parametrize("mode", ["replace_gateway", "ab_test", "teleport"])
async def test_what_needs_a_gateway_of_its_own_is_refused_with_the_way_that_works(mode: str) -> None:
    with pytest.raises(GatewayError, match="new_endpoint"):
        await gateway(settings()).deploy(key="k", model="m", mode=mode)
