"""The dry run and the grader's test: verdicts, samples, comparison, stopping, a kill, and servers that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage import paths
from storage.errors import LostLease
from storage.records import Change, Json, Proposal, Workflow
from tasks.models.port import ChatRequest, ModelRefused, ModelUnavailable
from tasks.step import StepError, StepReport
from tasks.steps.check_viability import CHECK_VIABILITY
from tasks.steps.dry_run import DRY_RUN
from tasks.steps.test_grader import TEST_GRADER
from tests.fakes import FakeChat
from tests.makers import JUDGE, TENANT, TOPICS, World, rows, settings

pytestmark = pytest.mark.anyio
Score = Callable[[Json], Any]


def chat(score: Score, base: Callable[[ChatRequest], Any] = lambda request: "An answer about it") -> FakeChat:
    return FakeChat(base=base, judgement=score)


def spread(low: float, high: float) -> Score:
    """Scores that follow from the question, between low and high."""

    def score(data: Json) -> Json:
        text = str(data["conversation"][-1]["content"])
        share = (sum(map(ord, text)) % 11) / 10
        return {"score": round(low + (high - low) * share, 4), "reasoning": "so"}

    return score


async def ready(world: World, counts: dict[str, int] | None = None, **fields: Any) -> Workflow:
    await world.grader()
    manifest = world.dataset(rows(counts, labelled=True))
    return await world.workflow(manifest, topics=TOPICS, grader_version=1, graders_made=1, **fields)


async def ran(world: World, workflow: Workflow, params: Json | None = None) -> StepReport:
    return await DRY_RUN.run(world.context(workflow), params or {})


async def test_a_healthy_run_says_go_and_keeps_its_summary_and_report() -> None:
    world = World(chat=chat(spread(0.1, 0.75)))
    workflow = await ready(world)
    report = await ran(world, workflow)
    assert report.facts["verdict"] == "GO"
    assert report.facts["statistics"]["n"] == 30
    assert {topic["topic"] for topic in report.facts["by_topic"]} == {"billing", "login", "shipping"}
    assert report.facts["next"] == "train"
    after = report.change(workflow)
    assert (
        after.dry_runs[0].verdict,
        after.dry_runs[0].dataset_version,
        after.dry_runs[0].grader_version,
    ) == ("GO", 1, 1)
    stored = json.loads(world.blobs.get(paths.report(TENANT, "dry_run", "t1")))
    assert len(stored["samples"]["highest"]) == len(stored["samples"]["lowest"]) == 5
    assert len(stored["outcomes"]) == 30


@pytest.mark.parametrize(
    ("score", "verdict", "code", "may_override"),
    [
        (spread(0.2, 0.7), "GO", "", False),
        (spread(0.1, 0.3), "NO-GO", "too_hard", True),
        (lambda data: {"score": 0.05, "reasoning": ""}, "NO-GO", "no_signal", False),
        (lambda data: {"score": 0.5, "reasoning": ""}, "NO-GO", "no_signal", False),
        (spread(0.85, 1.0), "NO-GO", "too_easy", True),
    ],
)
async def test_the_verdict_follows_the_scores(
    score: Score, verdict: str, code: str, may_override: bool
) -> None:
    world = World(chat=chat(score))
    report = await ran(world, await ready(world, {"billing": 40, "login": 30, "shipping": 30}))
    codes = [finding["code"] for finding in report.facts["findings"]]
    assert (report.facts["verdict"], report.facts["may_override"]) == (verdict, may_override)
    assert not code or code in codes
    if verdict == "NO-GO":
        ways = [way["action"] for way in report.facts["options"]]
        assert ways[-1] == ("override_verdict" if may_override else "none")


async def test_what_is_said_about_a_topic_names_it() -> None:
    world = World(chat=chat(lambda data: {"score": 0.1, "reasoning": ""}))
    report = await ran(world, await ready(world))
    said = [one["message"] for one in report.facts["findings"] if one["subject"] == "billing"]
    assert said and said[0].startswith("Billing scores 0.10")


async def test_a_second_run_is_compared_on_the_same_rows() -> None:
    world = World(chat=chat(spread(0.1, 0.6)))
    workflow = await ready(world)
    first = await ran(world, workflow)
    world.chat.answers["judgement"] = spread(0.2, 0.7)
    again = world.context(first.change(workflow))
    again.task = replace(again.task, id="t2")
    second = await DRY_RUN.run(again, {})
    assert second.facts["compared"]["pairs"] == 30
    assert second.facts["compared"]["change"] == pytest.approx(0.1, abs=1e-6)
    assert second.facts["compared"]["trend"] == "improving"


async def test_two_stalls_climb_the_ladder() -> None:
    world = World(chat=chat(spread(0.1, 0.6)))
    workflow = await ready(world)
    report = await ran(world, workflow)
    for number in (2, 3):
        workflow = report.change(workflow)
        ctx = world.context(workflow)
        ctx.task = replace(ctx.task, id=f"t{number}")
        report = await DRY_RUN.run(ctx, {})
    assert report.facts["stalled"]
    assert report.facts["next"] == "escalate"
    assert "grader refinement" in report.facts["options"][0]["text"] + report.facts["ladder"]


async def test_rollouts_are_scored_each_and_variance_is_looked_at() -> None:
    world = World(chat=chat(spread(0.1, 0.75)))
    report = await ran(world, await ready(world, {"billing": 4, "login": 4, "shipping": 2}), {"rollouts": 3})
    assert report.facts["statistics"]["n"] == 30
    assert report.facts["statistics"]["zero_variance"] == 1.0
    assert "zero_variance_prompts" in [finding["code"] for finding in report.facts["findings"]]


async def test_grader_errors_are_counted_and_never_zeros() -> None:
    def score(data: Json) -> Any:
        broken = "3" in str(data["conversation"][-1]["content"])[-6:]
        return "cannot say" if broken else spread(0.2, 0.7)(data)

    world = World(chat=chat(score))
    report = await ran(world, await ready(world))
    statistics = report.facts["statistics"]
    assert statistics["errors"] > 0
    assert statistics["n"] + statistics["errors"] == 30
    assert statistics["min"] >= 0.2
    assert "grader_errors" in [finding["code"] for finding in report.facts["findings"]]


async def test_a_stopped_run_has_no_verdict_and_changes_nothing() -> None:
    world = World(chat=chat(spread(0.1, 0.75)))
    workflow = await ready(world)
    ctx = world.context(workflow)
    ctx.stop_after = 5
    report = await DRY_RUN.run(ctx, {})
    assert report.partial
    assert report.facts["verdict"] is None
    assert 5 <= report.facts["scored"] < 30
    assert report.change(workflow) == workflow


async def test_a_killed_run_pays_for_no_rollout_twice() -> None:
    world = World(chat=chat(spread(0.1, 0.75)))
    workflow = await ready(world)
    ctx = world.context(workflow)
    ctx.die_after = 20
    with pytest.raises(LostLease):
        await DRY_RUN.run(ctx, {})
    paid = len(world.chat.answered_by("base"))
    report = await DRY_RUN.run(world.context(workflow, done=ctx.done), {})
    assert report.facts["statistics"]["n"] == 30
    assert len(world.chat.answered_by("base")) == paid + 10


async def test_a_server_that_is_away_leaves_what_was_paid_for() -> None:
    calls = iter(range(100))

    def base(request: ChatRequest) -> Any:
        return ModelUnavailable("away") if next(calls) > 20 else "An answer about it"

    world = World(chat=chat(spread(0.1, 0.75), base))
    ctx = world.context(await ready(world))
    with pytest.raises(ModelUnavailable):
        await DRY_RUN.run(ctx, {})
    assert len(ctx.done) == 21


async def test_a_model_that_refuses_every_row_is_named_as_the_cause() -> None:
    world = World(chat=chat(spread(0, 1), lambda request: ModelRefused("no such model")))
    with pytest.raises(StepError, match="refuses every row"):
        await ran(world, await ready(world))


async def test_without_consent_nothing_is_sent() -> None:
    world = World(chat=chat(spread(0, 1)), settings=settings(allowed_providers=()))
    with pytest.raises(StepError, match="consent"):
        await ran(world, await ready(world))
    assert world.chat.requests == []


async def test_the_step_works_with_the_grader_it_was_started_with() -> None:
    world = World(chat=chat(spread(0.1, 0.75)))
    workflow = await ready(world)
    await world.grader("script", {"source": "def grade(sample, item):\n    return 0.0"}, number=2)
    report = await ran(world, workflow)
    assert report.facts["grader_version"] == 1
    assert report.facts["statistics"]["mean"] > 0.1


async def test_facts_fit_a_card() -> None:
    long = "A very long answer. " * 500
    world = World(chat=chat(spread(0.1, 0.75), lambda request: long))
    report = await ran(world, await ready(world))
    assert len(json.dumps(report.facts)) < 20_000


# ---------------------------------------------------------------- testing a grader


async def test_an_open_proposal_is_tested_and_its_card_shows_it() -> None:
    world = World(chat=chat(spread(0.2, 0.7)))
    workflow = await world.workflow(world.dataset(rows()))
    proposal = Proposal(
        "p1",
        TENANT,
        "w1",
        "C1",
        "1.0",
        "grader",
        "t",
        {"kind": "llm_as_judge", "config": JUDGE},
        {},
        "U1",
        1.0,
    )
    await world.state.commit(TENANT, Change(puts=(proposal,)))
    report = await TEST_GRADER.run(world.context(workflow), {"sample_size": 5})
    assert len(report.facts["samples"]) == 5
    assert report.facts["proposal_id"] == "p1"
    assert 0.2 <= report.facts["mean"] <= 0.7
    updated = report.records[0]
    assert isinstance(updated, Proposal)
    assert updated.payload["test"]["n"] == 5
    assert updated.version == 1
    assert [event.kind for event in report.events] == ["proposal"]


async def test_a_grader_that_rewards_attacks_is_shown_with_its_weaknesses() -> None:
    def generous(data: Json) -> Json:
        return {"score": 0.9 if "brilliant" in data["response"] else 0.3, "reasoning": ""}

    world = World(chat=chat(generous))
    report = await TEST_GRADER.run(world.context(await ready(world)), {})
    assert [weakness["attack"] for weakness in report.facts["weaknesses"]] == ["flattery"]
    assert report.facts["grader_version"] == 1
    assert report.records == ()


async def test_without_any_grader_the_way_to_one_is_named() -> None:
    world = World(chat=chat(spread(0, 1)))
    workflow = await world.workflow(world.dataset(rows()))
    with pytest.raises(StepError) as refusal:
        await TEST_GRADER.run(world.context(workflow), {})
    assert refusal.value.next == "configure_grader"


@pytest.mark.parametrize(("score", "verdict"), [(0.3, "viable"), (0.07, "marginal"), (0.0, "not_viable")])
async def test_a_probe_of_a_few_rows_says_whether_it_is_worth_going_on(score: float, verdict: str) -> None:
    world = World(chat=chat(lambda data: {"score": score, "reasoning": ""}))
    report = await CHECK_VIABILITY.run(world.context(await ready(world)), {})
    assert report.facts["verdict"] == verdict
    assert len(report.facts["samples"]) == 5
