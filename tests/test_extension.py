"""What docs/extend.md promises: a step, a grader kind, a trainer, a gateway and a card are one object and one registry line each.

The throwaway ones here are registered in a copy of the registry and go through the real house.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import pytest

from bot.views import VIEWS
from bot.views.kit import Rendered, rendered, section
from storage.memory import MemoryState
from storage.records import Json, Task
from tasks import graders
from tasks.desk import Desk, Started
from tasks.gateways import GATEWAYS, gateway
from tasks.gateways.port import Endpoint
from tasks.graders.port import Bench, Grade, GraderKind, Sample
from tasks.jobs import perform
from tasks.rules.problems import Problem
from tasks.step import Step, StepContext, StepReport, registry
from tasks.steps import OPERATIONS
from tasks.trainers import TRAINERS, build
from tasks.trainers.port import Trainer
from tests.fakes import FakeQueue, FakeTrainer
from tests.makers import TENANT, World, rows, settings

pytestmark = pytest.mark.anyio


async def count_words(ctx: StepContext, params: Json) -> StepReport:
    manifest = ctx.deps.datasets.manifest(TENANT, ctx.workflow.dataset_id, ctx.workflow.dataset_version)
    words = sum(
        len(str(row.input.messages[-1]["content"]).split()) for row in ctx.deps.datasets.iter_rows(manifest)
    )
    return StepReport(facts={"words": words}, view="words")


WORDS = Step(name="count_words", title="Counting words", body=count_words, needs=("valid_rows",))


async def test_a_step_is_one_file_and_one_line() -> None:
    world = World(state=MemoryState(clock=lambda: 1000.0))
    workflow = await world.workflow(world.dataset(rows({"login": 3})))
    operations = registry(*OPERATIONS.values(), WORDS)
    queue = FakeQueue()
    desk = Desk(
        state=world.state, queue=queue, settings=world.settings, operations=operations, clock=lambda: 1000.0
    )

    started = await desk.start(TENANT, workflow, "count_words", {}, by="U1", key="k")
    assert isinstance(started, Started)
    await perform(world.deps, operations, lambda: world.state, TENANT, queue.take().id)

    done = await world.state.get(TENANT, Task, started.task.id)
    assert done is not None
    assert done.result["words"] > 0
    assert "words" in [event.kind for event in await world.state.read(TENANT, limit=50)]


def test_a_card_is_one_function_and_one_line() -> None:
    def words(data: Json) -> Rendered:
        return rendered("Words", [section(f"{data['words']} words")])

    views = {**VIEWS, "words": words}
    assert views["words"]({"words": 7}).blocks[0]["text"]["text"] == "7 words"


def test_every_view_that_a_step_names_is_registered() -> None:
    named = {
        "overview",
        "categorised",
        "generated",
        "preview",
        "grader_test",
        "uploaded",
        "viability",
        "dry_run",
    }
    assert named <= set(VIEWS)


class LengthGrader:
    name = "length"

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        return () if "words" in config else (Problem("bad_config", "Say how many words."),)

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        return Grade(min(1.0, len(sample.output.split()) / config["words"]))

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        return {"type": "python", "name": name, "source": "def grade(sample, item): return 1.0"}


async def test_a_grader_kind_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    kind: GraderKind = LengthGrader()
    monkeypatch.setitem(graders.KINDS, "length", kind)
    assert graders.check("length", {}, ())[0].message == "Say how many words."
    sample = Sample(messages=[], output="two words")
    bench = cast(Bench, None)  # this kind needs nothing of it
    assert (await graders.grade("length", {"words": 4}, sample, bench)).score == 0.5


def test_a_training_backend_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(_: object) -> Trainer:
        return FakeTrainer()

    monkeypatch.setitem(cast(dict[str, object], TRAINERS), "throwaway", make)
    assert isinstance(build(settings())["throwaway"], FakeTrainer)


class Nowhere:
    name = "nowhere"

    async def deploy(self, *, key: str, model: str, mode: str) -> Endpoint:
        return Endpoint(url="http://nowhere.test", model=model, example={})


async def test_a_gateway_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(dict[str, object], GATEWAYS), "nowhere", lambda _: Nowhere())
    found = gateway(settings(gateway="nowhere"))
    assert (await found.deploy(key="k", model="ft:x", mode="new_endpoint")).model == "ft:x"
