"""P2: every event delivered twice, again later with new envelopes, and out of order: as once."""

from __future__ import annotations

import pytest

from bot.listeners import parse
from storage import keys
from tests.acceptance import stages
from tests.acceptance.house import BOT, CHANNEL, OWNER, House
from tests.acceptance.model import told, use

pytestmark = pytest.mark.anyio


async def footprint(house: House) -> object:
    workflow = await house.workflow()
    return (
        [(task.id, task.operation, task.status, task.attempt) for task in await house.tasks()],
        [one.id for one in await house.proposals()],
        (
            workflow.version,
            workflow.dataset_version,
            workflow.graders_made,
            len(workflow.dry_runs),
            workflow.spent_usd,
        ),
        [line.what for line in workflow.history],
        len(house.slack.messages),
        len(house.model.requests),
    )


async def test_every_event_delivered_twice_is_as_once() -> None:
    once, twice = House(), House()
    twice.deliveries = 2
    await stages.ready_to_train(once)
    await stages.ready_to_train(twice)
    assert await footprint(twice) == await footprint(once)


async def test_every_event_again_later_and_in_reverse_changes_nothing() -> None:
    house = await stages.trained()
    before = await footprint(house)
    for arrival in reversed(list(house.arrivals)):
        await house.state.accept(house.tenant, arrival.lane, arrival.item)
    await house.settle()
    assert await footprint(house) == before


async def test_a_mention_told_as_message_and_as_mention_is_heard_once() -> None:
    house = await stages.in_coverage()
    turns = len(house.model.turns)
    house.now += 1
    for kind, envelope in (("message", "Ev1"), ("app_mention", "Ev2"), ("app_mention", "Ev3")):
        event = {
            "type": kind,
            "channel": CHANNEL,
            "user": OWNER,
            "text": f"<@{BOT}> status?",
            "ts": f"{house.now:.6f}",
        }
        body = {
            "event_id": envelope,
            "team_id": house.tenant.team,
            "event": {**event, "thread_ts": house.thread},
        }
        arrival = parse.event(body, bot_user=BOT, team=house.tenant.team)
        assert arrival
        await house.state.accept(house.tenant, arrival.lane, arrival.item)
    await house.settle()
    assert len(house.model.turns) == turns + 1


async def test_messages_that_arrive_in_the_wrong_order_are_read_in_the_order_they_were_written() -> None:
    house = await stages.in_coverage()
    house.now += 10
    await house.send("no, delete all", at=house.now + 2)
    await house.send("generate 100", at=house.now)
    house.model.script.append("You do not want the hundred.")
    await house.settle()
    assert [text.partition(": ")[2] for text in told(house.model.turns[-1])[-2:]] == [
        "generate 100",
        "no, delete all",
    ]


async def test_an_approval_older_than_its_card_approves_nothing() -> None:
    """A "yes" that was held up on its way meant something else."""
    house = await stages.in_coverage()
    written = house.now
    house.now += 5
    await house.say("judge by quality", use("configure_grader", preset="quality"))
    await house.send("yes", at=written)
    await house.settle()
    assert (await house.workflow()).grader_version == 0
    assert [one.kind for one in await house.proposals()] == ["grader"]
    assert any("older than the proposal's card" in text for text in told(house.model.turns[-1]))


async def test_two_clicks_at_once_approve_once() -> None:
    house = await stages.uploaded()
    (proposal,) = await house.proposals()
    await house.press("proposal.approve", proposal.id)
    await house.press("proposal.approve", proposal.id, user="U0BEN")
    assert len(await house.tasks("categorize")) == 1
    assert any("already approved" in text for text in house.notices)


async def test_the_same_words_with_another_ts_are_another_message() -> None:
    """Not everything alike is a repeat."""
    house = await stages.in_coverage()
    turns = len(house.model.turns)
    await house.say("how many rows?", "Sixty.")
    await house.say("how many rows?", "Still sixty.")
    assert len(house.model.turns) == turns + 2
    assert await house.state.waiting(house.tenant, keys.lane(CHANNEL, house.thread)) == ()
