"""E2: back after two hours in coverage, "continue with generation": where we are, then 45 made, 41 kept, counted exactly."""

from __future__ import annotations

import pytest

from storage.records import Json
from tests.acceptance import stages
from tests.acceptance.house import House
from tests.acceptance.model import told, use

pytestmark = pytest.mark.anyio

COUNTS = {("Orders",): 60, ("Returns",): 50, ("Accounts",): 40, ("Edge Cases",): 12}
EDGE = "edge_cases"


async def back_again() -> House:
    house = await stages.in_coverage(plans=stages.plans_of(COUNTS))
    house.model.structured["synthetic_rows"] = four_of_no_use
    house.now += 2 * 3600
    asked = use("generate_synthetic_data", target_topics=[EDGE], count_per_topic=45)
    await house.say("continue with generation", asked, "Welcome back: we are in coverage.")
    return house


def four_of_no_use(data: Json) -> Json:
    """45 rows in five calls; in each of the first four one is too short to keep."""
    rows = stages.fresh(data)["rows"]
    if data["round"] % 1000 < 4:
        rows[0] = {**rows[0], "text": "Too short."}
    return {"rows": rows}


async def test_who_comes_back_is_told_step_three_of_seven_and_what_is_done() -> None:
    house = await back_again()
    event = next(text for text in told(house.model.turns[-1]) if "welcome_back" in text)
    for fact in ('"step 3 of 7"', '"current_step": "coverage_generation"', '"4 topics', '"hours_ago": 2.0'):
        assert fact in event
    status = house.last("status")
    assert status["workflow"]["position"] == "step 3 of 7"
    assert status["last_activity"] < house.now - 7_000
    assert status["last_what"]
    assert status["balance_score"] == pytest.approx((await house.workflow()).coverage["balance_score"])
    card = next(one.words for one in reversed(house.slack.messages) if "step 3 of 7" in one.words)
    assert "162" in card  # rows sorted, in the pipeline's line


async def test_forty_five_made_forty_one_kept_edge_cases_grow_from_twelve_to_fifty_three() -> None:
    house = await back_again()
    assert (await house.counts())[EDGE] == 12
    await house.approve()
    facts = house.last("generated")
    assert (facts["asked"], facts["generated"], facts["kept"]) == (45, 45, 41)
    assert facts["rejected"] == {"too_short": 4}
    assert (await house.counts())[EDGE] == 53
    assert facts["balance_after"] > facts["balance_before"]
    assert (await house.workflow()).valid_rows == 162 + 41


async def test_somebody_who_was_here_a_minute_ago_is_not_welcomed() -> None:
    house = await stages.in_coverage(plans=stages.plans_of(COUNTS))
    house.now += 60
    await house.say("continue with generation", "Of course.")
    assert not any("welcome_back" in text for text in told(house.model.turns[-1]))
    assert house.of("status") == []
