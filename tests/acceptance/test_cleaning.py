"""“Clean the data”: a look, a card with counts and examples, some of it approved; and “are there near-duplicates?”."""

from __future__ import annotations

import json

import pytest

from storage.records import Json
from tasks.steps import find_near_duplicates, overview
from tests.acceptance import stages
from tests.acceptance.house import GUEST, House
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio
KEY = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
MAIL = "ada.lovelace@corp.io"


def said(user: str, answer: str = "Certainly, it is on its way to you.", **columns: object) -> Json:
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **columns}


def dirty() -> list[Json]:
    """Forty honest rows and one of each kind of dirt."""
    honest = [
        said(f"Question {n * 7919}: where is parcel {n * 104729} from {n}th street?") for n in range(40)
    ]
    long = "please tell me where the parcel with my new lamp is because the courier said it was delivered"
    return [
        *honest,
        honest[3],
        said(long),
        said(long.replace("lamp", "lamps")),
        said("I paid AT&amp;T twice for cafÃ© number nine, why is that?"),
        said("Write to me at " + MAIL + " or call +1 415 555 2671, please.", note=f"token {KEY} of {MAIL}"),
        said("How do I hurt somebody badly, tell me now?", "I'm sorry, but I can't help with that."),
        said("Does an <!channel> in a row mention anybody at all?\nUser:"),
    ]


async def cleaning(**choices: object) -> House:
    house = House()
    house.model.structured["topic_hierarchy"] = lambda data: {"topics": []}
    await house.upload(dirty(), text=stages.GOAL)
    await house.say("clean the data", use("clean_dataset", **choices))
    return house


async def test_the_card_counts_everything_with_examples_and_changes_nothing() -> None:
    house = await cleaning()
    proposal = await house.proposal("clean")
    found = {one["code"]: one["rows"] for one in proposal.payload["findings"]}
    assert found == {
        "remove_duplicates": 1,
        "near_duplicates": 1,
        "fix_formatting": 2,
        "refusals": 1,
        "personal_data": 1,
    }
    shown = json.dumps(proposal.payload)
    assert MAIL not in shown
    assert KEY not in shown
    assert "[EMAIL_1]" in shown
    assert (await house.manifest()).version == 1


async def test_what_was_approved_is_done_and_nothing_else() -> None:
    house = await cleaning()
    await house.approve()
    done = house.last("cleaned")
    assert done["did"] == {"remove_duplicates": 1, "fix_formatting": 2}
    manifest = await house.manifest()
    assert (manifest.version, manifest.totals.rows, manifest.head.operation) == (2, 46, "clean")
    assert manifest.head.detail["did"] == done["did"]
    texts = [str(row.input.messages[-1]["content"]) for row in await house.rows()]
    assert "I paid AT&T twice for café number nine, why is that?" in texts
    assert any(MAIL in text for text in texts)  # personal data was only reported
    older = house.deps.datasets.manifest(house.tenant, manifest.dataset_id, 1)
    assert older.totals.rows == 47


async def test_some_of_it_is_chosen_in_the_form_and_personal_data_is_masked() -> None:
    house = await cleaning()
    await house.click("proposal.edit")
    view = house.modal
    offered = [option["value"] for option in view["blocks"][0]["element"]["options"]]
    assert offered == ["remove_duplicates", "near_duplicates", "fix_formatting", "refusals"]
    scans = len(await house.tasks("inspect_cleaning"))
    assert await house.submit(what=["near_duplicates", "refusals"], personal_data="mask") == {}
    assert len(await house.tasks("inspect_cleaning")) == scans  # nobody looked again
    await house.approve()
    assert house.last("cleaned")["did"] == {"near_duplicates": 1, "refusals": 1, "personal_data": 1}
    rows = await house.rows()
    everything = json.dumps([[row.messages, row.item] for row in rows])
    assert MAIL not in everything
    assert KEY not in everything
    masked = next(row for row in rows if row.item.get("note"))
    assert masked.input.messages[-1]["content"] == "Write to me at [EMAIL_1] or call [PHONE_1], please."
    assert masked.item["note"] == "token [SECRET_1] of [EMAIL_1]"
    declined = next(row for row in rows if "hurt somebody" in str(row.messages))
    assert declined.output.messages == []
    assert MAIL not in json.dumps([event.data for event in house.events])


async def test_rows_that_were_edited_after_the_look_stay_as_they_were_left() -> None:
    house = await cleaning(personal_data="mask")
    row = next(one for one in await house.rows() if MAIL in str(one.messages))
    await house.call(
        "update_record",
        {
            "record_id": row.id,
            "updates": {"messages": [{"role": "user", "content": "Nothing personal in here now."}]},
        },
    )
    await house.approve()  # void: the rows are others than the card was made from
    assert (await house.manifest()).version == 2
    await house.say("clean the data", use("clean_dataset", personal_data="mask"))
    await house.approve()
    again = next(one for one in await house.rows() if one.id == row.id)
    assert again.input.messages[-1]["content"] == "Nothing personal in here now."
    assert again.item["note"] == "token [SECRET_1] of [EMAIL_1]"


async def test_undo_brings_the_old_version_back() -> None:
    house = await cleaning()
    await house.approve()
    await house.click("rows.undo")
    if (await house.manifest()).totals.rows != 47:
        await house.approve()
    assert (await house.manifest()).totals.rows == 47


async def test_clean_data_is_said_to_be_clean() -> None:
    house = House()
    house.model.structured["topic_hierarchy"] = lambda data: {"topics": []}
    await house.upload(dirty()[:40])
    await house.say("clean the data", use("clean_dataset"))
    assert house.last("nothing_to_clean")["rows"] == 40
    assert "clean" not in [one.kind for one in await house.proposals()]


async def test_guests_approve_no_cleaning() -> None:
    house = await cleaning()
    await house.click("proposal.approve", user=GUEST)
    assert (await house.manifest()).version == 1


async def test_are_there_near_duplicates() -> None:
    house = House()
    house.model.structured["topic_hierarchy"] = lambda data: {"topics": []}
    await house.upload(dirty())
    assert house.last("overview")["hygiene"]["near_duplicates"] == 1
    await house.say("are there near-duplicates?", use("find_near_duplicates"))
    found = house.last("near_duplicates")
    assert (found["near_duplicates"], found["duplicates"]) == (1, 1)
    assert found["examples"][0]["text"].startswith("please tell me where the parcel with my new lamps")
    assert found["examples"][0]["after"].startswith("please tell me where the parcel with my new lamp is")
    await house.click("Clean the data")
    assert (await house.proposal("clean")).payload["rows"] == 47


async def test_a_large_upload_is_not_held_up_and_a_job_counts_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overview, "COMPARED_AT_ONCE", 10)
    monkeypatch.setattr(find_near_duplicates, "COMPARED_AT_ONCE", 10)
    house = House()
    house.model.structured["topic_hierarchy"] = lambda data: {"topics": []}
    await house.upload(dirty())
    assert house.last("overview")["hygiene"]["near_pending"]
    assert house.last("near_duplicates")["near_duplicates"] == 1
    assert any("being counted" in message.words for message in house.slack.messages)


async def test_the_upload_card_says_that_nothing_leaks() -> None:
    house = await stages.graded()
    await house.say("upload it", use("upload_dataset"))
    report = house.last("uploaded")["leakage_report"]
    assert (report["held_out"], report["exact"], report["near"], report["same_source"]) == (6, 0, 0, 0)
    assert any("Leakage" in json.dumps(message.blocks) for message in house.slack.messages)
