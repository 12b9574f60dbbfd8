"""Data leaves the house: by chat and by button, as a file in the thread or a link that expires; what it lacks is said."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import get_args

import pytest

from agent.tools.export import FormatName
from tasks.exporting.files import FORMATS
from tests.acceptance import stages
from tests.acceptance.house import CHANNEL, GUEST, OWNER, House
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio


def delivered(house: House, ending: str) -> tuple[str, bytes]:
    """The newest file in the thread whose name ends so."""
    found = [one for one in house.slack.shared if one[2].endswith(ending)]
    channel, thread, name, data = found[-1]
    assert (channel, thread) == (CHANNEL, house.thread)
    return name, data


async def test_export_it_as_sharegpt_brings_the_file_into_the_thread() -> None:
    house = await stages.in_coverage()
    await house.say("export it as ShareGPT", use("export_dataset", format="sharegpt"))
    name, data = delivered(house, ".jsonl")
    lines = [json.loads(line) for line in data.splitlines()]
    assert len(lines) == 60 and lines[0]["conversations"][-1]["from"] == "human"
    card = next(one for one in reversed(house.slack.messages) if "Export ready" in one.words)
    assert name in card.words and "in this thread" in card.words and "https://" not in card.words
    assert "The format cannot hold" in card.words and "topic" in card.words


async def test_a_csv_of_the_training_split_without_the_generated_rows() -> None:
    house = await stages.in_coverage()
    asked = use("export_dataset", format="csv", splits="train", include_generated=False)
    await house.say("give me a CSV of the training split without the generated rows", asked)
    _, data = delivered(house, "-train.csv")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert len(rows) == 54 and {row["topic"] for row in rows} == {"billing", "login", "shipping"}


async def test_prepare_it_eighty_ten_ten_by_chat() -> None:
    house = await stages.in_coverage()
    await house.say("prepare it 80/10/10", use("prepare_dataset", splits="80/10/10"))
    facts = house.last("prepared")
    assert facts["splits"] == {"train": 48, "validation": 6, "test": 6}
    assert [name.rpartition("-")[2] for _, _, name, _ in house.slack.shared] == [
        "train.jsonl", "validation.jsonl", "test.jsonl", "README.md",
    ]  # fmt: skip
    assert len(delivered(house, "-train.jsonl")[1].splitlines()) == 48
    words = house.slack.messages[-2].words + house.slack.messages[-1].words
    assert "Dataset prepared" in words and "locked" in words


async def test_by_button_in_the_form_whole_and_divided() -> None:
    house = await stages.in_coverage()
    await house.click("Export…")  # on the overview
    assert await house.submit(splits="test", shares="90/10") == {"shares": "With 90/10 there is no test set."}
    assert await house.submit(format="openai_rft", splits="all", shares="80/10/10", generated="without") == {}
    _, data = delivered(house, ".zip")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.namelist() == ["train.jsonl", "validation.jsonl", "test.jsonl", "README.md"]
    assert stages.GOAL in archive.read("README.md").decode()


async def test_prepare_it_by_button() -> None:
    house = await stages.in_coverage()
    await house.say("export it", use("export_dataset"))
    await house.click("Prepare 80/10/10")
    assert house.last("prepared")["splits"] == {"train": 48, "validation": 6, "test": 6}


async def test_the_dataset_card_by_button() -> None:
    house = await stages.in_coverage()
    await house.say("export it", use("export_dataset"))
    await house.click("Dataset card")
    name, data = delivered(house, "README.md")
    assert name.endswith("README.md") and b"| Billing | 30 | 50.0 % | 0 |" in data


async def test_a_large_file_goes_by_link_and_a_fresh_one_only_to_who_may_read() -> None:
    house = await stages.in_coverage(House(share_bytes=1_000))
    await house.say("export it", use("export_dataset"))
    assert house.slack.shared == []
    card = next(one for one in reversed(house.slack.messages) if "Export ready" in one.words)
    assert "https://bot.example/files/" in card.words
    house.slack.members[CHANNEL] = {OWNER}
    await house.click("New link")
    mine = house.slack.messages[-1]
    assert mine.to == OWNER and "https://bot.example/files/" in mine.words
    house.slack.members[CHANNEL] = set()
    house.now += 60
    house.hands.people._kept.clear()
    await house.click("New link")
    assert "Only people of this channel" in house.slack.messages[-1].words


def test_the_tool_offers_every_format_that_there_is() -> None:
    assert get_args(FormatName) == tuple(FORMATS)


async def test_guests_take_nothing_away() -> None:
    house = await stages.in_coverage()
    for tool in ("export_dataset", "prepare_dataset", "write_dataset_card"):
        assert "Guests" in (await house.call(tool, user=GUEST))["error"]
    await house.say("export it", use("export_dataset"))
    before = len(house.slack.shared)
    await house.click("Dataset card", user=GUEST)
    assert len(house.slack.shared) == before


async def test_what_changed_between_two_versions() -> None:
    house = await stages.in_coverage()
    asked = use("compare_dataset_versions", old=1)
    await house.say("what changed since version 1?", asked)
    facts = house.last("compared")
    assert (facts["old"], facts["added"], facts["removed"], facts["topics"]) == (1, 0, 0, 60)
    card = next(one for one in reversed(house.slack.messages) if "Another topic" in one.words)
    assert "Billing" in card.words and "60 rows" in card.words
    listed = await house.call("compare_dataset_versions", {"old": 1})
    assert [one["version"] for one in listed["versions"]][-1] == 1
