"""Buttons and forms: each does what the model's tool would, refuses in words, and never acts for somebody who may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot import actions, submitted
from bot.hands import Hands
from bot.slack_api import SlackRefused
from bot.views.topics import topic_key
from storage.records import Change, Proposal, Task
from tasks.step import Draft
from tests.agent.scene import OWNER, TENANT, TOPICS, Scene, done
from tests.bot.parts import FakePeople, FakeSlack, click, clicked, hands, texts
from tests.bot.parts import submitted as form

pytestmark = pytest.mark.anyio
TREE = [{"id": "a", "name": "Billing"}, {"id": "b", "name": "Complaints"}]


class Desk:
    """A scene with a workflow, and hands on it."""

    def __init__(self, *guests: str, **settings: Any) -> None:
        self.scene, self.slack = Scene(**settings), FakeSlack()
        self.bot: Hands = hands(self.scene, self.slack, FakePeople(guests))

    async def press(self, action: str, value: str = "", **how: Any) -> str:
        return texts(await actions.act(self.bot, await click(self.bot, clicked(action, value, **how))))

    async def send(self, name: str, values: dict[str, Any], **how: Any) -> str:
        return texts(await submitted.submit(self.bot, await click(self.bot, form(name, values, **how))))

    async def topics(self, **changes: Any) -> Proposal:
        workflow = await self.scene.workflow()
        made = await self.scene.desk.propose(
            workflow, Draft("topics", "2 topics", {"hierarchy": TREE}), by=OWNER, key="k"
        )
        assert isinstance(made, Proposal)
        if changes:
            stored = await self.stored(made.id)
            await self.scene.state.commit(TENANT, Change(puts=(replace(stored, **changes),)))
        return made

    async def stored(self, id: str) -> Proposal:
        found = await self.scene.state.get(TENANT, Proposal, id)
        assert found
        return found

    @property
    def opened(self) -> list[str]:
        return [call["view"]["callback_id"] for call in self.slack.of("views.open")]


async def test_approving_acts_once_and_a_second_click_gets_an_answer() -> None:
    desk = Desk()
    proposal = await desk.topics()
    assert await desk.press("proposal.approve", proposal.id) == ""
    assert (await desk.stored(proposal.id)).status == "done"
    assert "already approved" in await desk.press("proposal.approve", proposal.id, id="c2")
    assert await desk.scene.tasks() == ["categorize"]


async def test_rejecting_closes_the_card() -> None:
    desk = Desk()
    proposal = await desk.topics()
    await desk.press("proposal.reject", proposal.id)
    assert (await desk.stored(proposal.id)).status == "rejected"


async def test_guests_and_strangers_decide_nothing() -> None:
    desk = Desk("UGUEST")
    proposal = await desk.topics()
    assert "Guests" in await desk.press("proposal.approve", proposal.id, user="UGUEST")
    assert "other organisations" in await desk.press("proposal.approve", proposal.id, user="U9", foreign=True)
    assert "other organisations" in await desk.press("next.export_dataset", user="U9", foreign=True)
    assert (await desk.stored(proposal.id)).status == "open"


async def test_who_may_not_spend_is_told_who_may() -> None:
    desk = Desk()
    proposal = await desk.topics(deciders=("UBOSS",), ceiling_usd=5.0)
    assert "<@UBOSS>" in await desk.press("proposal.approve", proposal.id)
    assert (await desk.stored(proposal.id)).status == "open"


async def test_ids_of_other_channels_and_of_nobody_find_nothing() -> None:
    desk = Desk()
    proposal = await desk.topics()
    assert "do not know" in await desk.press("proposal.approve", "p-unknown")
    assert "do not know" in await desk.press("proposal.approve", proposal.id, channel="C9")
    assert "do not know" in await desk.press("task.cancel", "t-unknown")
    assert (await desk.stored(proposal.id)).status == "open"


@pytest.mark.parametrize("action", ["next.delete_workflow", "next.nonsense", "something.old", ""])
async def test_an_unknown_button_gets_an_answer_and_does_nothing(action: str) -> None:
    desk = Desk()
    await desk.scene.workflow()
    assert "card is probably an old one" in await desk.press(action)
    assert await desk.scene.events("proposal") == []


async def test_editing_opens_the_tree_and_its_submission_replaces_the_card() -> None:
    desk = Desk()
    old = await desk.topics()
    await desk.press("proposal.edit", old.id)
    view = desk.slack.of("views.open")[0]["view"]
    assert "Billing" in view["blocks"][0]["element"]["initial_value"]
    assert await desk.send("topics", {"outline_0": "Billing\nComplaints\nPraise"}) == ""
    (new,) = await desk.scene.proposals()
    assert len(new.payload["hierarchy"]) == 3
    assert (await desk.stored(old.id)).status == "superseded"


async def test_a_closed_card_is_not_edited() -> None:
    desk = Desk()
    proposal = await desk.topics(status="rejected")
    assert "closed already" in await desk.press("proposal.edit", proposal.id)


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("goal.open", "goal"),
        ("topics.manual", "topics"),
        ("topics.template", "template"),
        ("grader.open", "grader"),
        ("generation.open", "generation"),
        ("training.open", "training"),
        ("try.open", "try"),
        ("override.verdict", "override"),
    ],
)
async def test_a_button_opens_its_form(action: str, name: str) -> None:
    desk = Desk()
    await desk.scene.workflow(topics=TOPICS)
    assert await desk.press(action) == ""
    assert desk.opened == [name]


async def test_a_form_that_comes_too_late_is_said_to_be() -> None:
    desk = Desk()
    await desk.scene.workflow()
    desk.slack.script["views.open"] = [SlackRefused("views.open", "expired_trigger_id")]
    assert "click once more" in await desk.press("goal.open")


async def test_a_button_is_refused_like_the_tool_with_everything_missing_and_the_way_on() -> None:
    desk = Desk()
    await desk.scene.workflow(goal="")
    said = await desk.press("next.run_dry_run")
    assert "No grader yet" in said and "upload it" in said
    assert await desk.scene.tasks() == []


async def test_a_button_starts_what_its_tool_starts_and_once() -> None:
    desk = Desk()
    await desk.scene.workflow(topics=TOPICS)
    assert await desk.press("next.categorize_records") == ""
    assert "already running" in await desk.press("next.categorize_records", id="c2")
    assert await desk.scene.tasks() == ["categorize"]


async def test_a_job_is_asked_to_stop() -> None:
    desk = Desk()
    workflow = await desk.scene.workflow()
    begun: Any = await desk.scene.desk.start(TENANT, workflow, "validate", {}, by=OWNER, key="k")
    assert "Stopping" in await desk.press("task.cancel", begun.task.id)
    task = await desk.scene.state.get(TENANT, Task, begun.task.id)
    assert task and task.cancel_requested


async def test_the_goal_is_kept_and_told_to_the_thread() -> None:
    desk = Desk()
    await desk.scene.workflow(goal="")
    assert "set the goal: be kind" in await desk.send("goal", {"goal": "be kind"})
    assert (await desk.scene.current()).goal == "be kind"


async def test_a_grader_by_form_is_proposed_and_settles_the_coverage() -> None:
    desk = Desk()
    workflow = await desk.scene.workflow(topics=TOPICS)
    await desk.scene.change(lambda current: done(current, "topics_config", "categorize"))
    assert workflow
    await desk.send("grader", {"kind": "criteria", "criteria": "Accuracy | 40 | right\nTone | 60 | kind"})
    (proposal,) = await desk.scene.proposals()
    assert [one["weight"] for one in proposal.payload["config"]["criteria"]] == [0.4, 0.6]
    assert (await desk.scene.current()).steps["coverage_generation"].status == "completed"


async def test_generation_by_form_names_count_and_topics() -> None:
    desk = Desk()
    await desk.scene.workflow(topics=TOPICS)
    values = {"count": "6", "strategy": "few_shot", "topics": [topic_key("complaints")]}
    assert await desk.send("generation", values) == ""
    (proposal,) = await desk.scene.proposals()
    assert proposal.payload["params"]["target_topics"] == ["complaints"]
    assert (proposal.payload["total"], proposal.payload["strategy"]) == (6, "few_shot")


async def test_the_form_takes_a_scenario_and_what_varies_in_it() -> None:
    desk = Desk()
    await desk.scene.workflow(topics=TOPICS)
    values = {
        "count": "4",
        "strategy": "scenario_expansion",
        "mode": "sft",
        "topics": [topic_key("complaints")],
        "base_scenario": "A parcel is late",
        "aspects": "abroad\ntone: calm, angry\n",
        "tool_patterns": "find_order → refund_order",
    }
    assert await desk.send("generation", values) == ""
    (proposal,) = await desk.scene.proposals()
    params = proposal.payload["params"]
    assert (params["generation_mode"], params["base_scenario"]) == ("sft", "A parcel is late")
    assert params["aspects"] == ["abroad", "tone: calm, angry"]
    assert params["tool_patterns"] == [["find_order", "refund_order"]]
    assert proposal.payload["combinations"] == 2 * 2 * 12 * 3


async def test_a_form_without_its_workflow_says_so() -> None:
    desk = Desk()
    assert "no workflow" in await desk.send("goal", {"goal": "be kind"})


async def test_feedback_is_thanked_for() -> None:
    desk = Desk()
    assert "Thank you" in await desk.press("prose.feedback", "good")
