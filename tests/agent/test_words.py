"""Words that decide: whose, when, which; and everything that does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storage.records import Proposal
from tasks.models.port import ChatRequest
from tasks.step import Draft
from tests.agent.scene import LANE, OWNER, TENANT, Scene, says
from tests.agent.test_turn import Killed

pytestmark = pytest.mark.anyio


async def with_proposal(scene: Scene, kind: str = "skip", ceiling: float = 0.0, key: str = "k") -> Proposal:
    payloads: dict[str, Any] = {
        "skip": {"step": "topics_config", "title": "Topics", "reason": "hurry", "warning": ""},
        "delete": {"name": "Support", "rows": 10, "owns": []},
        "consent": {"provider": "api.openai.com", "consent_id": "x", "what": []},
    }
    workflow = await scene.current()
    draft = Draft(kind, f"Do {kind}", payloads[kind], ceiling_usd=ceiling)  # type: ignore[arg-type]
    made = await scene.desk.propose(workflow, draft, by=OWNER, key=key)
    assert isinstance(made, Proposal)
    return made


async def stored(scene: Scene, proposal: Proposal) -> Proposal:
    found = await scene.state.get(TENANT, Proposal, proposal.id)
    assert found
    return found


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("yes", "done"),
        ("Yes, let's do it!", "done"),
        ("<@B0T> go ahead.", "done"),
        ("OK", "done"),
        ("Looks good", "done"),
        ("no", "rejected"),
        ("No, thanks", "rejected"),
        ("yes, but later", "open"),
        ("sure thing", "open"),
        ("is it ok?", "open"),
        ("yes or no?", "open"),
        ("do not do it yet", "open"),
        ("~yes~", "open"),
    ],
)
async def test_only_exact_words_decide(text: str, status: str) -> None:
    scene = Scene()
    await scene.workflow()
    proposal = await with_proposal(scene)
    await scene.say(text)
    await scene.turn(says("Understood."))
    found = await stored(scene, proposal)
    assert found.status == status
    if status != "open":
        assert found.decisions[0].evidence == f"{scene.now:.6f}"
        assert found.decisions[0].user == OWNER


async def test_the_model_is_told_what_was_decided_and_by_whom() -> None:
    scene = Scene()
    await scene.workflow()
    await with_proposal(scene)
    await scene.say("yes")
    await scene.turn(says("Skipped."))
    told = json.loads(scene.model.heard()[-1])
    assert (told["event"], told["by"]) == ("proposal_approved", OWNER)
    assert await scene.left() == ()  # the desk's own event was part of this turn
    assert len(scene.model.requests) == 1


async def test_no_model_output_decides() -> None:
    scene = Scene()
    await scene.workflow()
    proposal = await with_proposal(scene)
    await scene.say("what is this?")
    await scene.turn(says("yes"), says("approve"))
    assert (await stored(scene, proposal)).status == "open"


async def test_two_open_proposals_are_decided_by_their_buttons_only() -> None:
    scene = Scene()
    await scene.workflow()
    one, other = await with_proposal(scene), await with_proposal(scene, "delete")
    await scene.say("yes")
    await scene.turn(says("Which one?"))
    assert {(await stored(scene, one)).status, (await stored(scene, other)).status} == {"open"}
    told = json.loads(scene.model.heard()[-1])
    assert told["event"] == "words_did_not_decide" and "2 proposals" in told["reason"]
    again = [event.data["buttons"][0] for event in await scene.events("notice")]
    assert [button["value"] for button in again] == sorted([one.id, other.id])


@pytest.mark.parametrize(("said_at", "status"), [("1700000000.5", "open"), ("1700000100.0", "done")])
async def test_a_message_older_than_the_card_does_not_decide(said_at: str, status: str) -> None:
    scene = Scene()
    await scene.workflow()
    proposal = await with_proposal(scene)
    await scene.state.remember(TENANT, f"proposal:{proposal.id}", {"ts": "1700000050.0"})
    item = await scene.say("yes")
    item.data["ts"] = said_at
    scene.state._room(TENANT).inbox[LANE].clear()
    scene.state._room(TENANT).seen.clear()
    await scene.state.accept(TENANT, LANE, item)
    await scene.turn(says("Fine."))
    assert (await stored(scene, proposal)).status == status


@pytest.mark.parametrize(
    ("after", "status"),
    [
        ("no", "rejected"),
        ("wait, change it", "open"),
        ("actually not", "open"),
        ("stop", "open"),
        ("thanks!", "done"),
    ],
)
async def test_who_takes_it_back_at_once_has_not_approved(after: str, status: str) -> None:
    scene = Scene()
    await scene.workflow()
    proposal = await with_proposal(scene)
    await scene.say("yes")
    await scene.say(after)
    await scene.turn(says("Understood."))
    assert (await stored(scene, proposal)).status == status


async def test_somebody_else_taking_it_back_does_not_undo_the_word_of_the_first() -> None:
    scene = Scene()
    await scene.workflow()
    proposal = await with_proposal(scene)
    await scene.say("yes")
    await scene.say("wait", user="U2")
    await scene.turn(says("Understood."))
    assert (await stored(scene, proposal)).status == "done"


async def test_guests_and_people_who_may_not_spend_decide_nothing() -> None:
    scene = Scene()
    await scene.workflow()
    free = await with_proposal(scene)
    scene.guests = {"U9"}
    await scene.say("yes", user="U9")
    await scene.turn(says("Not you."))
    assert (await stored(scene, free)).status == "open"
    assert "Guests" in json.loads(scene.model.heard()[-1])["reason"]
    await scene.say("no")
    await scene.turn(says("Rejected."))
    costly = await with_proposal(scene, "delete", ceiling=5.0)
    await scene.say("yes", user="U2")
    await scene.turn(says("Only the owner may."))
    assert (await stored(scene, costly)).status == "open"
    await scene.say("yes")
    await scene.turn(says("Deleted."))
    assert (await stored(scene, costly)).status == "done"


async def test_without_an_open_proposal_yes_is_just_a_message() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.say("yes")
    await scene.turn(says("Yes to what?"))
    assert scene.model.heard() == ["<@U1>: yes"]
    assert await scene.texts() == ["Yes to what?"]


async def test_words_that_sound_like_a_yes_bring_the_button_back() -> None:
    scene = Scene()
    await scene.workflow()
    proposal = await with_proposal(scene)
    await scene.say("sure, sounds good to me")
    await scene.turn(says("Please press the button."))
    (notice,) = await scene.events("notice")
    assert notice.data["buttons"][0] == {
        "text": "Approve",
        "action": "proposal.approve",
        "value": proposal.id,
    }
    for words in ("what would it cost?", "please append both files"):
        await scene.say(words)
        await scene.turn(says("Nothing."))
    assert len(await scene.events("notice")) == 1


@pytest.mark.parametrize("kill_at", range(1, 9))
async def test_a_kill_while_deciding_decides_once_and_tells_the_model(kill_at: int) -> None:
    scene = Scene()
    await scene.workflow()
    proposal = await with_proposal(scene)
    await scene.say("yes")
    writes = 0
    real_write, real_commit = scene.state.write, scene.state.commit

    async def killing(real: Any, *args: Any) -> None:
        nonlocal writes
        writes += 1
        if writes == kill_at:
            raise Killed
        await real(*args)
        writes += 1
        if writes == kill_at:
            raise Killed

    scene.state.write = lambda *args: killing(real_write, *args)  # type: ignore[method-assign]
    scene.state.commit = lambda *args: killing(real_commit, *args)  # type: ignore[method-assign]
    heard: list[str] = []

    def listening(request: ChatRequest) -> Any:
        heard[:] = [str(message.content) for message in request.messages if message.role == "user"]
        return says("Skipped.")

    with pytest.raises(Killed):
        await scene.turn(listening)
    scene.state.write, scene.state.commit = real_write, real_commit  # type: ignore[method-assign]
    scene.model.script.clear()
    await scene.desk.settle(await stored(scene, proposal))  # what the sweeper does
    if await scene.left():
        await scene.turn(listening, listening)
    found = await stored(scene, proposal)
    assert found.status == "done" and len(found.decisions) == 1
    assert any("proposal_approved" in text for text in heard)
    assert await scene.left() == ()
