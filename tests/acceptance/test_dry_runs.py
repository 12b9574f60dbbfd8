"""V1, V2: the verdicts over the real dry run, what may follow each, and the ladder when nothing moves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from storage.records import Json
from tests.acceptance import stages
from tests.acceptance.house import House
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio

Scores = Sequence[float | None]
RUNS: dict[str, tuple[Scores, str, str, list[str]]] = {
    "healthy": (stages.HEALTHY, "GO", "", []),
    "weak": ([0.12, 0.32] * 25, "NO-GO", "dataset", ["too_hard"]),
    "binary": (
        [1.0] * 9 + [0.0] * 41,
        "NO-GO",
        "grader",
        ["too_hard", "high_variance", "binary_scoring", "cannot_do_it"],
    ),
    "all 0.93": ([0.93] * 50, "NO-GO", "grader", ["too_easy", "no_signal"]),
    "flat": ([0.5] * 50, "NO-GO", "grader", ["no_signal"]),
    "errors": ([*[0.27, 0.63] * 23, None, None, None, None], "NO-GO", "grader", ["grader_errors"]),
}


@pytest.mark.parametrize("name", RUNS)
async def test_each_kind_of_run_gets_its_verdict_its_cause_and_a_way_on(name: str) -> None:
    scores, verdict, cause, codes = RUNS[name]
    house = await stages.graded()
    facts = await stages.dry_run(house, scores)
    known = [score for score in scores if score is not None]
    assert (facts["verdict"], facts["cause"]) == (verdict, cause), facts["findings"]
    stopping = [one["code"] for one in facts["findings"] if one["severity"] != "note"]
    assert [
        code for code in stopping if code != "weak_topic"
    ] == codes  # with few ones some topic has none at all
    assert facts["statistics"]["mean"] == pytest.approx(sum(known) / len(known), abs=1e-3)
    assert facts["statistics"]["errors"] == len(scores) - len(known)
    assert facts["options"]
    assert any(f"Dry run: {verdict}" in one.words for one in house.slack.messages)


async def test_two_failing_topics_are_a_warning_that_names_them() -> None:
    house = await stages.graded()
    texts = {text: topic for text, (topic, _) in stages.sheet(stages.PLANS).truth.items()}
    house.scores.by_text = lambda text: 0.55 if texts[text] == "billing" else 0.10
    facts = await stages.dry_run(house, (), sample_percentage=100)
    assert facts["verdict"] == "WARNING", facts["findings"]
    weak = [one["subject"] for one in facts["findings"] if one["code"] == "weak_topic"]
    assert weak == ["login", "shipping"]
    assert {one["topic"]: one["status"] for one in facts["by_topic"]} == {
        "billing": "good",
        "login": "problem",
        "shipping": "problem",
    }
    assert facts["statistics"]["n"] == 60


@pytest.mark.parametrize(
    ("scores", "why"),
    [([0.0, 0.1] * 25, "mean 0.05"), ([0.5] * 50, "no variance"), ([0.93] * 50, "no variance, too easy")],
)
async def test_without_signal_training_cannot_start_at_all(scores: Scores, why: str) -> None:
    house = await stages.graded()
    facts = await stages.dry_run(house, scores)
    assert (facts["verdict"], facts["may_override"], facts["next"]) == ("NO-GO", False, "hard_stop")
    refused = await house.call("override_verdict", {"reason": "I insist"})
    assert not refused["ok"]
    await the_button_is_refused_too(house, facts)
    missing = await house.call("start_training", key="k2")
    assert [one["code"] for one in missing["missing"]] == ["verdict"]


async def the_button_is_refused_too(house: House, facts: Json) -> None:
    assert not any(one["action_id"] == "override.verdict" for one in house.slack.messages[-2].buttons)
    assert all(one["action"] != "override_verdict" for one in facts["options"])
    assert await house.proposals() == ()


async def test_a_weak_verdict_may_be_overridden_on_record_and_then_training_may_be_proposed() -> None:
    house = await stages.graded()
    await stages.dry_run(house, RUNS["weak"][0])
    missing = await house.call("start_training", key="k1")
    assert [one["code"] for one in missing["missing"]] == ["verdict"]
    await house.say("train anyway, we want a baseline", use("override_verdict", reason="a baseline"))
    (proposal,) = await house.proposals()
    assert (proposal.kind, proposal.payload["reason"]) == ("override", "a baseline")
    await house.approve()
    (run,) = (await house.workflow()).dry_runs
    assert run.overridden_by == "U0ADA"
    await house.say("train", use("start_training"))
    (training,) = await house.proposals()
    assert any("NO-GO" in text and "overridden" in text for text in training.payload["warnings"])


async def test_an_override_dies_with_the_versions_it_was_given_for() -> None:
    house = await stages.graded()
    await stages.dry_run(house, RUNS["weak"][0])
    await house.say("train anyway", use("override_verdict", reason="a baseline"))
    await house.approve()
    row = (await house.rows())[0]
    await house.call("update_record", {"record_id": row.id, "updates": {"topic": "login"}}, key="edit")
    missing = await house.call("start_training", key="k2")
    assert [one["code"] for one in missing["missing"]] == ["uploaded_dataset", "dry_run", "verdict"]


# ---------------------------------------------------------------- V2


async def test_three_runs_that_stay_where_they_are_name_the_stall_and_climb_the_ladder() -> None:
    house = await stages.graded()
    first = await stages.dry_run(house, stages.HEALTHY)
    second = await stages.dry_run(house, [score + 0.01 for score in stages.HEALTHY])
    third = await stages.dry_run(house, [score + 0.03 for score in stages.HEALTHY])
    assert first["compared"] is None
    assert [run["compared"]["trend"] for run in (second, third)] == ["stalled", "stalled"]
    assert (second["compared"]["change"], third["compared"]["change"]) == (
        pytest.approx(0.01),
        pytest.approx(0.02),
    )
    assert (second["ladder"], third["ladder"]) == ("targeted data fix", "grader refinement")
    assert (second["stalled"], third["stalled"], third["next"]) == (False, True, "escalate")
    assert "grader refinement" in third["options"][0]["text"]
    assert "grader refinement" in next(
        one.words for one in reversed(house.slack.messages) if "Dry run:" in one.words
    )
    told = await house.call("analyze_evaluation")
    assert (told["stalled"], told["ladder"]) == (True, "grader refinement")


async def test_exactly_three_hundredths_is_a_stall_and_more_is_not() -> None:
    house = await stages.graded()
    await stages.dry_run(house, stages.HEALTHY)
    second = await stages.dry_run(house, [score + 0.03 for score in stages.HEALTHY])
    third = await stages.dry_run(house, [score + 0.07 for score in stages.HEALTHY])
    assert (second["compared"]["trend"], third["compared"]["trend"]) == ("stalled", "improving")
    assert third["next"] == "train"
