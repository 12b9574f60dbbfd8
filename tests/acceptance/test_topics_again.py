"""Topics changed after the rows were sorted: what follows, what is sorted again, what people read about it."""

from __future__ import annotations

import pytest

from storage.records import Json
from tests.acceptance import stages
from tests.acceptance.house import House
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio

PLANS = {("A", "One"): 20, ("B", "Two"): 15, ("B", "Three"): 10}


async def changed(house: House, words: str, *operations: Json) -> None:
    """Somebody asks for a change in words, and approves its card."""
    empty = {"topic": "", "name": "", "parent": "", "into": ""}
    house.model.structured["topic_changes"] = lambda data: {
        "operations": [{**empty, **operation} for operation in operations],
        "summary": "",
    }
    await house.say(words, use("adjust_topics", instruction=words))
    await house.approve()


async def test_a_renamed_topic_takes_its_rows_along_and_no_row_is_sorted_again() -> None:
    house = await stages.in_coverage(plans=stages.plans_of(PLANS), unsure=4)
    asked = len(house.model.asked("topic_labels"))
    await changed(house, "rename One to Uno", {"op": "rename", "topic": "a/one", "name": "Uno"})
    assert {topic: rows for topic, rows in (await house.counts()).items() if rows} == {
        "a/uno": 20,
        "b/two": 15,
        "b/three": 10,
    }
    assert len(house.model.asked("topic_labels")) == asked
    assert sum(house.last("categorised")["rows_by_stage"].values()) == 0
    rows = [row for row in await house.rows() if row.topic == "a/uno"]
    assert {row.previous_topic for row in rows} == {"a/one"}


async def test_after_a_removal_only_its_rows_are_sorted() -> None:
    house = await stages.in_coverage(plans=stages.plans_of(PLANS))
    house.model.structured["topic_labels"] = lambda data: {
        "labels": [{"row": row["row"], "topic": "b/two", "confidence": 0.9} for row in data["rows"]]
    }
    await changed(house, "remove Three", {"op": "remove", "topic": "b/three"})
    assert sum(house.last("categorised")["rows_by_stage"].values()) == 10
    assert (await house.counts())["a/one"] == 20


async def test_the_card_says_what_the_model_was_asked_and_that_confidence_was_not_measured() -> None:
    house = await stages.in_coverage(plans=stages.plans_of(PLANS), unsure=4)
    card = next(one.words for one in house.slack.messages if "Rows sorted into topics" in one.words)
    assert "asked about 4 of 45 rows" in card
    assert "not measured" in card


async def test_the_card_says_how_far_confidence_is_off_where_people_sorted_rows() -> None:
    house = await stages.in_coverage(plans=stages.plans_of(PLANS))
    for row in [row for row in await house.rows() if row.topic][:24]:
        await house.call("update_record", {"record_id": row.id, "updates": {"topic": row.topic}})
    await house.say("sort them all again", use("categorize_records", mode="all"))
    found = house.last("categorised")["reliability"]
    assert (found["measured_on"], found["against"]) == (24, "people")
    cards = [one.words for one in house.slack.messages if "Rows sorted into topics" in one.words]
    assert "Confidence checked on 24 rows that people sorted" in cards[-1]
