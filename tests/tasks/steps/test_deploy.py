"""Deploying: what may go out, what needs an approver's word, and that twice is once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.records import TrainingSummary
from tasks.step import StepError
from tasks.steps.deploy import DEPLOY
from tests.makers import World, rows, settings
from tests.tasks.steps.test_start_training import RUNNING

pytestmark = pytest.mark.anyio


def trained(pattern: str, **fields: Any) -> TrainingSummary:
    return replace(RUNNING, status="completed", model="ft:1", pattern=pattern, **fields)


async def deploy(world: World, training: TrainingSummary, mode: str = "new_endpoint", **fields: Any) -> Any:
    workflow = await world.workflow(world.dataset(rows()), training=training, **fields)
    report = await DEPLOY.run(world.context(workflow), {"deployment_mode": mode})
    return report, report.change(workflow)


@pytest.mark.parametrize("pattern", ["improving", "mixed", "too_short"])
async def test_a_model_that_nothing_speaks_against_is_deployed_and_completes_the_workflow(
    pattern: str,
) -> None:
    report, after = await deploy(World(), trained(pattern))
    assert (report.view, report.facts["model_id"]) == ("deployed", "ft:1")
    assert report.facts["endpoint"] == "http://model.test/v1/chat/completions"
    assert after.status == "completed"
    assert (after.deployment.model_id, after.deployment.by, after.deployment.mode) == (
        "ft:1",
        "U1",
        "new_endpoint",
    )


async def test_the_example_can_be_copied_and_holds_no_key() -> None:
    report, _ = await deploy(World(), trained("improving"))
    example = report.facts["example_request"]
    assert example.startswith("curl http://model.test/v1/chat/completions")
    assert '"model": "ft:1"' in example
    assert "$OPENAI_API_KEY" in example


@pytest.mark.parametrize("pattern", ["failed", "reward_hacking", "overfitting", "no_learning", ""])
async def test_a_model_judged_badly_or_not_at_all_is_refused_until_an_approver_overrides(
    pattern: str,
) -> None:
    with pytest.raises(StepError, match="approver") as caught:
        await deploy(World(), trained(pattern))
    assert (caught.value.code, caught.value.next) == ("needs_override", "override_deploy")
    report, _ = await deploy(World(), trained(pattern, overridden_by="U9"))
    assert report.facts["overridden_by"] == "U9"


async def test_without_a_model_there_is_nothing_to_deploy() -> None:
    with pytest.raises(StepError) as caught:
        await deploy(World(), replace(trained("improving"), model=""))
    assert caught.value.next == "start_training"


@pytest.mark.parametrize("mode", ["replace_gateway", "ab_test"])
async def test_other_modes_are_refused_with_what_works(mode: str) -> None:
    with pytest.raises(StepError, match="`new_endpoint` works") as caught:
        await deploy(World(), trained("improving"), mode)
    assert caught.value.code == "deployment_mode"


async def test_an_unknown_gateway_is_named() -> None:
    with pytest.raises(StepError, match="GATEWAY"):
        await deploy(World(settings=settings(gateway="mine")), trained("improving"))


async def test_deploying_again_keeps_the_deployment_that_stands() -> None:
    _, after = await deploy(World(), trained("improving"))
    before = replace(after.deployment, deployed_at=5.0, by="U7")
    report, again = await deploy(World(), trained("improving"), deployment=before)
    assert again.deployment == before
    assert report.facts["deployed_at"] == 5.0
