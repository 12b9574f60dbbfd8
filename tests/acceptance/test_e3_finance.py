"""E3: "Financial Assistant": the goal speaks of calculations and the data does not; a preview first, then rows by two strategies."""

from __future__ import annotations

import pytest

from storage.records import Json
from tests.acceptance import stages
from tests.acceptance.house import House
from tests.acceptance.model import told, use

pytestmark = pytest.mark.anyio

COUNTS = {
    ("Loans",): 110,
    ("Budgeting",): 90,
    ("Investing",): 76,
    ("Calculations", "Interest"): 8,
    ("Calculations", "Taxes"): 8,
    ("Calculations", "Currencies"): 8,
}
LEAVES = ["calculations/interest", "calculations/taxes", "calculations/currencies"]


async def finance() -> House:
    return await stages.in_coverage(plans=stages.plans_of(COUNTS), goal="accurate calculations")


def two_in_each_short(data: Json) -> Json:
    """Of every topic's first ten rows two are no use for Taxes and one for Interest; all are for Currencies."""
    rows = stages.fresh(data)["rows"]
    bad = {"Taxes": 2, "Interest": 1}.get((data["topic"] or {}).get("name", ""), 0)
    return {"rows": [{**row, "text": "no"} if place < bad else row for place, row in enumerate(rows)]}


async def test_the_mismatch_between_goal_and_data_is_named_first() -> None:
    house = await finance()
    coverage = house.last("coverage")
    share = sum(line["percentage"] for line in coverage["distribution"] if line["topic"] in LEAVES)
    assert share == pytest.approx(8.0, abs=0.01)
    advice = coverage["recommendations"]
    assert {one["topic"] for one in advice[:3]} == set(LEAVES)
    assert all("The goal stresses this topic, and the data lacks it" in one["reason"] for one in advice[:3])
    card = next(
        one.words
        for one in reversed(house.slack.messages)
        if "Balance" in one.words and "Interest" in one.words
    )
    assert "goal stresses" in card


async def test_examples_first_shows_five_and_adds_none() -> None:
    house = await finance()
    before = (await house.workflow()).dataset_version
    await house.say(
        "show me examples first", use("generate_preview", count=5, target_topics=["calculations"])
    )
    preview = house.last("preview")
    assert len(preview["rows"]) == 5
    assert {row["topic"] for row in preview["rows"]} == {"Interest", "Taxes", "Currencies"}
    workflow = await house.workflow()
    assert (workflow.dataset_version, workflow.valid_rows, workflow.rounds) == (before, 300, ())
    assert await house.proposals() == ()
    assert any("nothing added" in one.words.casefold() for one in house.slack.messages)


async def test_seventy_five_by_few_shot_with_the_pass_rate_of_each_sub_topic() -> None:
    house = await finance()
    house.model.structured["synthetic_rows"] = two_in_each_short
    asked = use(
        "generate_synthetic_data", strategy="few_shot", target_topics=["calculations"], count_per_topic=25
    )
    await house.say("these are good: make 75", asked)
    (proposal,) = await house.proposals()
    assert [(one["name"], one["count"]) for one in proposal.payload["plan"]] == [
        ("Interest", 25),
        ("Taxes", 25),
        ("Currencies", 25),
    ]
    await house.approve()
    facts = house.last("generated")
    assert (facts["asked"], facts["generated"], facts["strategy"]) == (75, 75, "few_shot")
    assert facts["made_by_topic"] == dict.fromkeys(LEAVES, 25)
    assert facts["by_topic"] == dict(
        zip(LEAVES, (22, 19, 25), strict=True)
    )  # three calls a topic: 10, 10 and 5 rows
    card = house.slack.messages[-2].words + house.slack.messages[-1].words
    assert all(share in card for share in ("88 %", "76 %", "100 %"))
    assert all(len(one["examples"]) == 5 for one in house.model.asked("synthetic_rows"))


async def test_really_complex_ones_by_scenario_expansion() -> None:
    house = await finance()
    house.model.structured["synthetic_rows"] = lambda data: two_in_each_short(
        {**data, "topic": {"name": "Interest"}}
    )
    asked = use(
        "generate_synthetic_data",
        strategy="scenario_expansion",
        target_topics=["Currencies"],
        count_per_topic=15,
        base_scenario="A loan is paid back early in another currency",
        aspects=["rates that change", "fees", "partial years"],
    )
    await house.say("now really complex ones", asked)
    await house.approve()
    facts = house.last("generated")
    assert (facts["generated"], facts["kept"], facts["strategy"]) == (15, 13, "scenario_expansion")
    question = house.model.asked("synthetic_rows")[-1]
    assert question["base_scenario"].startswith("A loan")
    assert question["aspects"] == ["rates that change", "fees", "partial years"]
    assert (await house.counts())["calculations/currencies"] == 8 + 13
    assert any('"kept": 13' in text for text in told(house.model.turns[-1]))
