"""Checking again, part by part on whatever workers there are, finds what one pass over everything finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import paths
from storage.manifests import Manifest
from storage.rows import Row
from tasks.rules.limits import Limits
from tasks.rules.validation import check_row
from tasks.step import Cancelled
from tasks.steps.validate import VALIDATE
from tests.makers import TENANT, World, row

pytestmark = pytest.mark.anyio
TEXTS = ["short one", "long enough to be valid", "another text that is valid", "Long  ENOUGH to be valid", ""]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def verdicts(world: World, manifest: Manifest) -> list[tuple[str, str, int]]:
    return [
        (each.id, each.error, each.tokens) for each in world.datasets.iter_rows(manifest, only_valid=False)
    ]


@given(
    picked=st.lists(st.integers(min_value=0, max_value=len(TEXTS) - 1), min_size=1, max_size=60),
    least=st.sampled_from([1, 9, 10, 22, 25]),
)
def test_the_shared_check_is_the_single_pass(picked: list[int], least: int) -> None:
    import asyncio

    async def both() -> None:
        world = World()
        made = world.dataset([row(TEXTS[choice], id=f"r{at}") for at, choice in enumerate(picked)])
        workflow = await world.workflow(made, valid_rows=1)
        params = {"limits": {"min_user_characters": least}}
        await VALIDATE.run(world.context(workflow, "validate", params=params), params)
        strict = Limits(min_user_characters=least)

        def check(given: Row) -> tuple[str, int]:
            return check_row(given, strict)

        alone = world.datasets.revalidate(made, check=check, by="U1", at=1.0)
        shared = world.datasets.manifest(TENANT, "d1", 2)
        assert verdicts(world, shared) == verdicts(world, alone)
        assert shared.totals == alone.totals

    asyncio.run(both())


async def test_what_the_shares_hand_to_each_other_is_gone_afterwards() -> None:
    world = World()
    workflow = await world.workflow(
        world.dataset([row(f"{text} {at}", id=f"r{at}") for at, text in enumerate(TEXTS * 9)])
    )
    await VALIDATE.run(world.context(workflow, "validate"), {})
    assert not list(world.blobs.list(paths.dataset(TENANT, "d1") + "work/"))


async def test_a_check_that_is_stopped_changes_nothing() -> None:
    world = World()
    workflow = await world.workflow(
        world.dataset([row(f"{text} {at}", id=f"r{at}") for at, text in enumerate(TEXTS * 9)])
    )
    context = world.context(workflow, "validate")
    context.stop_after = 1
    with pytest.raises(Cancelled):
        await VALIDATE.run(context, {})
    assert not list(world.blobs.list(paths.dataset(TENANT, "d1") + "work/"))


async def test_a_second_attempt_checks_only_the_parts_that_are_missing() -> None:
    world = World()
    workflow = await world.workflow(
        world.dataset([row(f"{text} {at}", id=f"r{at}") for at, text in enumerate(TEXTS * 9)])
    )
    first = world.context(workflow, "validate")
    first.die_after = 2
    with pytest.raises(Exception, match="task:t1"):
        await VALIDATE.run(first, {})
    second = world.context(workflow, "validate", done=first.done)
    report = await VALIDATE.run(second, {})
    assert len(first.done) == 2 and report.facts["dataset_version"] == 2
