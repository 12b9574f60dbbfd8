"""E4: "organise by customer intent instead", then "merge Informational and Relationship": a new tree, every leaf once."""

from __future__ import annotations

import pytest

from storage.records import Json
from tasks.rules import topics as rules
from tests.acceptance import stages
from tests.acceptance.house import House
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio

BY_INTENT = {
    ("Transactional", "Pay"): "reimbursement refund invoice",
    ("Transactional", "Change an order"): "amend",
    ("Informational", "How it works"): "password locked credentials",
    ("Informational", "Where it is"): "parcel courier tracking",
    ("Relationship", "Praise"): "praise",
    ("Relationship", "Complain"): "complain",
}


def by_lens(data: Json) -> Json:
    if data["lens"] != "customer intent":
        paths = {
            ("Billing",): "refund invoice",
            ("Login",): "password locked",
            ("Shipping",): "parcel courier",
        }
    else:
        paths = BY_INTENT
    topics = [
        {"path": list(path), "description": "", "keywords": words.split(), "clusters": [0]}
        for path, words in paths.items()
    ]
    return {"topics": topics}


def merged(data: Json) -> Json:
    named = {topic["name"]: topic["id"] for topic in data["topics"]}
    change = {
        "op": "merge",
        "topic": named["Relationship"],
        "into": named["Informational"],
        "name": "",
        "parent": "",
    }
    return {"operations": [change], "summary": "merged"}


def by_words(data: Json) -> Json:
    """The topic whose keywords the row holds."""
    return {
        "labels": [
            {"row": row["row"], "topic": _fits(data, row["text"]), "confidence": 0.9} for row in data["rows"]
        ]
    }


def _fits(data: Json, text: str) -> str:
    return next(topic["id"] for topic in data["topics"] if any(word in text for word in topic["keywords"]))


async def by_intent() -> House:
    house = House()
    await stages.uploaded(house)
    house.model.structured |= {"topic_hierarchy": by_lens, "topic_changes": merged}
    await house.say("organise by customer intent instead", use("generate_topics", lens="customer intent"))
    return house


async def test_another_lens_gives_another_tree_and_retires_the_old_card() -> None:
    house = await by_intent()
    assert house.model.asked("topic_hierarchy")[-1]["lens"] == "customer intent"
    (proposal,) = await house.proposals()
    tree = rules.from_dicts(proposal.payload["hierarchy"])
    assert [topic.name for topic in tree] == ["Transactional", "Informational", "Relationship"]
    assert len(rules.leaves(tree)) == 6
    buttons = [one for message in house.slack.messages for one in message.buttons]
    assert [one["value"] for one in buttons if one["action_id"] == "proposal.approve"] == [proposal.id]
    assert (await house.workflow()).topics == ()  # nothing is approved yet


async def test_a_merge_of_two_branches_keeps_every_leaf_once() -> None:
    house = await by_intent()
    words = "merge Informational and Relationship"
    await house.say(words, use("adjust_topics", instruction=words))
    (proposal,) = await house.proposals()
    tree = rules.from_dicts(proposal.payload["hierarchy"])
    assert sorted(leaf.name for leaf in rules.leaves(tree)) == sorted(path[-1] for path in BY_INTENT)
    assert [topic.name for topic in tree] == ["Transactional", "Informational"]
    assert len({topic.id for topic in rules.walk(tree)}) == 2 + 6


async def test_the_merged_tree_is_approved_and_every_row_finds_its_leaf() -> None:
    house = await by_intent()
    words = "merge Informational and Relationship"
    await house.say(words, use("adjust_topics", instruction=words))
    house.model.structured["topic_labels"] = by_words
    await house.say("looks good")
    counts = {topic: rows for topic, rows in (await house.counts()).items() if rows}
    assert counts == {
        "transactional/pay": 30,
        "informational/how_it_works": 20,
        "informational/where_it_is": 10,
    }


async def test_a_merge_after_sorting_says_that_no_row_loses_its_topic() -> None:
    house = await stages.in_coverage(
        plans=stages.plans_of({("A", "One"): 20, ("B", "Two"): 15, ("B", "Three"): 10})
    )
    house.model.structured["topic_changes"] = lambda data: {
        "operations": [{"op": "merge", "topic": "a", "into": "b", "name": "", "parent": ""}],
        "summary": "",
    }
    await house.say("merge A into B", use("adjust_topics", instruction="merge A into B"))
    (proposal,) = await house.proposals()
    assert proposal.payload["loses"] == {}
    assert proposal.payload["moved"] == {"a/one": "b/one"}
    await house.approve()
    assert sum((await house.counts()).values()) == 45
    assert (await house.counts())["b/one"] == 20


async def test_a_row_that_somebody_sorted_by_hand_goes_along_with_a_merge() -> None:
    house = await stages.in_coverage(
        plans=stages.plans_of({("A", "One"): 20, ("B", "Two"): 15, ("B", "Three"): 10})
    )
    row = next(row for row in await house.rows() if row.topic == "b/two")
    await house.call("update_record", {"record_id": row.id, "updates": {"topic": "a/one"}})
    house.model.structured["topic_changes"] = lambda data: {
        "operations": [{"op": "merge", "topic": "a/one", "into": "b/three", "name": "", "parent": ""}],
        "summary": "",
    }
    await house.say("merge One into Three", use("adjust_topics", instruction="merge One into Three"))
    await house.approve()
    found = next(one for one in await house.rows() if one.id == row.id)
    assert (found.topic, found.topic_method, found.previous_topic) == ("b/three", "manual", "a/one")
