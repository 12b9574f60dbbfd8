"""Asking base and tuned model the same, side by side."""

from __future__ import annotations

from typing import Any

import pytest

from storage.records import Json
from storage.rows import Input, Row
from tasks.models.port import ModelRefused
from tasks.step import StepError
from tasks.steps.try_model import TRY_MODEL
from tests.fakes import FakeChat
from tests.makers import World, settings
from tests.tasks.steps.test_deploy import trained

pytestmark = pytest.mark.anyio


def chat(**answers: Any) -> FakeChat:
    found = FakeChat(
        judgement=lambda data: {"score": 0.9 if "tuned" in data["response"] else 0.4, "reasoning": "so"}
    )
    found.answers |= {"base": lambda request: "from base", "ft:1": lambda request: "from tuned", **answers}
    return found


def with_system(count: int = 12) -> list[Row]:
    system = {"role": "system", "content": "You are Acme's helper."}
    texts = [f"Where is my parcel number {number * 7919}?" for number in range(count)]
    return [Row(id=text, input=Input(messages=[system, {"role": "user", "content": text}])) for text in texts]


async def tried(world: World, prompt: str = "Where is it?", **fields: Any) -> Json:
    workflow = await world.workflow(world.dataset(with_system()), training=trained("improving"), **fields)
    report = await TRY_MODEL.run(world.context(workflow), {"prompt": prompt})
    assert report.view == "tried"
    return report.facts


async def test_both_answer_the_same_prompt_and_are_scored_by_the_grader() -> None:
    world = World(chat=chat())
    await world.grader()
    facts = await tried(world, grader_version=1)
    assert facts["prompt"] == "Where is it?"
    assert facts["base"] == {"model": "base", "text": "from base", "score": 0.4}
    assert facts["tuned"] == {"model": "ft:1", "text": "from tuned", "score": 0.9}
    first, second = world.chat.answered_by("base") + world.chat.answered_by("ft:1")
    assert first.messages == second.messages


async def test_the_system_message_that_all_rows_share_goes_along() -> None:
    world = World(chat=chat())
    await tried(world)
    (request,) = world.chat.answered_by("ft:1")
    assert [message.content for message in request.messages] == ["You are Acme's helper.", "Where is it?"]


async def test_it_stays_at_home_where_rows_may_not_be_sent() -> None:
    world = World(chat=chat(), settings=settings(allowed_providers=()))
    facts = await tried(world)
    assert "score" not in facts["base"]
    (request,) = world.chat.answered_by("ft:1")
    assert [message.content for message in request.messages] == ["Where is it?"]


async def test_a_model_that_does_not_answer_yet_is_said_plainly() -> None:
    refusing = chat(**{"ft:1": lambda request: ModelRefused("no such model", code="model_not_found")})
    with pytest.raises(StepError, match=r"ft:1 would not answer.*try again"):
        await tried(World(chat=refusing))


async def test_an_empty_prompt_is_refused_before_anybody_is_asked() -> None:
    world = World(chat=chat())
    with pytest.raises(StepError, match="what to ask"):
        await tried(world, "  ")
    assert world.chat.requests == []


async def test_a_restart_does_not_ask_the_base_model_again() -> None:
    world = World(chat=chat())
    workflow = await world.workflow(world.dataset(with_system()), training=trained("improving"))
    done = {"base": {"model": "base", "text": "kept"}}
    report = await TRY_MODEL.run(world.context(workflow, done=done), {"prompt": "Where is it?"})
    assert report.facts["base"]["text"] == "kept"
    assert world.chat.answered_by("base") == []
