"""A team brings more data to a workflow that has some: by button and by chat, one file or several, and takes it back."""

from __future__ import annotations

from typing import Any

import pytest

from storage.records import Json, WaitingFile
from tests.acceptance import stages
from tests.acceptance.house import GUEST, House, jsonl
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio


def question(number: int, **columns: Any) -> Json:
    text = f"My parcel number {number} has not come, and the courier does not answer."
    return {"id": f"more-{number}", "messages": [{"role": "user", "content": text}], **columns}


async def share(house: House, *files: tuple[str, list[Json]], text: str = "") -> None:
    described = []
    for name, rows in files:
        id, content = f"F0MORE{len(house.downloads.files)}", jsonl(rows)
        house.downloads.files[id] = content
        url = f"https://files.slack.com/{id}"
        described.append({"id": id, "name": name, "size": len(content), "url_private_download": url})
    ts = await house.send(text, files=described)
    house.thread = house.thread or ts
    await house.settle()


def words(house: House) -> str:
    return "\n".join(message.words for message in house.slack.messages)


async def offered(house: House) -> list[WaitingFile]:
    workflow = await house.workflow()
    found = await house.state.find(house.tenant, WaitingFile, f"waiting:workflow:{workflow.id}")
    return sorted(found, key=lambda one: one.at)


async def waiting(house: House) -> list[str]:
    return [f"{one.name}:{one.status}" for one in await offered(house)]


async def test_a_second_file_is_appended_by_its_button_and_sorted_into_the_topics() -> None:
    house = await stages.in_coverage()
    before = await house.workflow()
    await share(house, ("more.jsonl", [question(n) for n in range(5)] + [question(3, id="again")]))
    assert "What shall I do with `more.jsonl`" in words(house)
    assert (await house.workflow()).dataset_version == before.dataset_version
    await house.click("Append")
    after = await house.workflow()
    assert (after.total_rows, after.valid_rows) == (before.total_rows + 6, before.valid_rows + 5)
    assert "5 new rows" in words(house) and "line 6" in words(house)
    assert (await house.tasks("categorize"))[-1].status == "finished"
    assert await waiting(house) == ["more.jsonl:used"]
    assert after.coverage["total"] == after.valid_rows


async def test_a_file_is_merged_by_the_words_that_came_with_it() -> None:
    house = await stages.in_coverage()
    await share(house, ("more.jsonl", [question(n) for n in range(4)]))
    await house.click("Append")
    grown = await house.workflow()
    house.model.script.append(use("add_file", mode="merge"))
    await share(
        house, ("new.jsonl", [question(1), question(2, source="mail"), question(9)]), text="merge it please"
    )
    after = await house.workflow()
    assert (after.total_rows, after.valid_rows) == (grown.total_rows + 1, grown.valid_rows + 1)
    assert "Replaced by id" in words(house) and "Unchanged" in words(house)


async def test_replacing_takes_a_persons_button_and_can_be_undone() -> None:
    house = await stages.in_coverage()
    before = await house.workflow()
    await share(house, ("new.jsonl", [question(n) for n in range(3)]))
    await house.say("replace the data with it", use("add_file", mode="replace"))
    assert (await house.workflow()).total_rows == before.total_rows, "words alone replace nothing"
    await house.click("Replace")
    assert (await house.workflow()).total_rows == 3
    await house.click("Undo")
    await house.approve()
    assert (await house.workflow()).total_rows == before.total_rows


async def test_of_several_files_the_first_begins_and_the_others_are_appended_in_turn() -> None:
    house = House()
    files = [(f"part{n}.jsonl", [question(10 * n + m) for m in range(4)]) for n in range(3)]
    await share(house, *files)
    assert await waiting(house) == ["part1.jsonl:waiting", "part2.jsonl:waiting"]
    await house.click("Append all")
    assert (await house.workflow()).valid_rows == 12
    assert await waiting(house) == ["part1.jsonl:used", "part2.jsonl:used"]
    assert [task.status for task in await house.tasks("merge")] == ["finished", "finished"]


async def test_a_guest_adds_nothing_and_a_file_may_be_left_aside() -> None:
    house = await stages.in_coverage()
    before = await house.workflow()
    await share(house, ("more.jsonl", [question(1)]))
    await house.click("Append", user=GUEST)
    assert (await house.workflow()).dataset_version == before.dataset_version
    await house.click("Leave it")
    assert "Append" not in house.labels and "left aside by <@U0ADA>" in words(house)
    await house.press(
        "file.append", (await offered(house))[0].id
    )  # on a screen that was not brought up to date
    assert (await house.workflow()).dataset_version == before.dataset_version
    assert await waiting(house) == ["more.jsonl:dismissed"]
    assert "No further file waits" in words(house)


async def test_a_card_that_was_decided_has_no_buttons_and_says_who_chose_what() -> None:
    house = await stages.in_coverage()
    await share(house, ("more.jsonl", [question(n) for n in range(5)]), ("rest.jsonl", [question(9)]))
    await house.press("file.append", (await offered(house))[0].id)
    offer = next(one for one in house.slack.messages if "Further files" in one.words)
    assert "`more.jsonl`: ✅ *Append*, chosen by <@U0ADA>" in offer.words
    assert "What shall I do with `rest.jsonl`" in offer.words
    await house.press("file.dismiss", (await offered(house))[1].id)
    offer = next(one for one in house.slack.messages if "Further files" in one.words)
    assert "`more.jsonl`: added" in offer.words and "`rest.jsonl`: left aside" in offer.words
    assert offer.buttons == []


async def test_both_cards_of_a_file_are_settled_when_it_is_put_in_place_of_the_rows() -> None:
    house = await stages.in_coverage()
    await share(house, ("new.jsonl", [question(n) for n in range(3)]))
    await house.say("replace the data with it", use("add_file", mode="replace"))
    await house.click("Replace")
    offers = [one for one in house.slack.messages if "A further file" in one.words]
    assert len(offers) == 2 and all("*Replace*, chosen by" in one.words and not one.buttons for one in offers)


async def test_a_file_that_cannot_be_read_does_not_stand_in_the_way_of_the_next() -> None:
    house = await stages.in_coverage()
    before = await house.workflow()
    house.downloads.files["F0BAD"] = b"PAR1 not at all"
    bad = {
        "id": "F0BAD",
        "name": "bad.parquet",
        "size": 15,
        "url_private_download": "https://files.slack.com/F0BAD",
    }
    await house.send("", files=[bad])
    await house.settle()
    await house.click("Append")
    await share(house, ("good.jsonl", [question(n) for n in range(4)]))
    await house.say("append it", use("add_file", mode="append"))
    assert (await house.workflow()).valid_rows == before.valid_rows + 4
    assert "cut off or damaged" in words(house) and "magic bytes" not in words(house)
    again = await house.call("add_file", {"file": "bad.parquet"})
    assert again["status"] == "started", "by its name it can be tried once more"
