"""T1: training that rises, overfits, learns nothing, hacks the reward, or fails: analysis, what is proposed, what is refused."""

from __future__ import annotations

import pytest

from storage.records import Json
from tests.acceptance import stages
from tests.acceptance.house import COLLEAGUE, GUEST, OWNER, House
from tests.acceptance.model import use

pytestmark = pytest.mark.anyio


def curve(*rewards: float) -> tuple[Json, ...]:
    return tuple({"step": 10 * place, "valid_reward": reward} for place, reward in enumerate(rewards, 1))


KEPT = tuple({"step": 10 * place, "model": f"{stages.MODEL}:ckpt-{place}"} for place in (1, 2, 3))
RUNS: dict[str, tuple[tuple[Json, ...], float, str, str, str]] = {
    "rises": (curve(0.45, 0.55, 0.65), 0.62, "improving", "deploy_after_evaluation", "kept improving"),
    "overfits": (curve(0.45, 0.66, 0.58), 0.62, "overfitting", "investigate", "Overfitting"),
    "learns nothing": (curve(0.45, 0.46, 0.46), 0.46, "no_learning", "back_to_data", "learned nothing"),
    "hacks": (curve(0.45, 0.80, 0.97), 0.97, "reward_hacking", "investigate", "Reward hacking"),
}


async def judged(name: str) -> House:
    metrics, score, *_ = RUNS[name]
    house = await stages.training()
    house.scores.tuned = {"": score}
    if name == "hacks":
        house.model.answers[stages.MODEL] = lambda text: house.scores.better(text) * 4
        house.scores.known = Long(house.scores.known, score)
    for kept in KEPT:
        house.model.answers[str(kept["model"])] = house.scores.better
    house.scores.deal([0.45] * 6)
    await house.poll(status="completed", progress=1.0, metrics=metrics, checkpoints=KEPT, model=stages.MODEL)
    return house


class Long(dict[str, object]):
    """Knows the scores of answers that repeat themselves."""

    def __init__(self, known: dict[str, object], score: float) -> None:
        super().__init__(known)
        self.score = score

    def get(self, key: str, default: object = None) -> object:
        return self.score if key.startswith("Tuned") else super().get(key, default)


@pytest.mark.parametrize("name", RUNS)
async def test_the_run_is_analysed_and_the_next_action_named(name: str) -> None:
    _, _, pattern, following, words = RUNS[name]
    house = await judged(name)
    report = house.last("training_done")
    assert (report["pattern"], report["next"]) == (pattern, following)
    assert len(report["curve"]) == 3
    training = (await house.workflow()).training
    assert training is not None and (training.status, training.pattern) == ("completed", pattern)
    assert words in next(
        one.words for one in reversed(house.slack.messages) if f"<@{OWNER}>, your model" in one.words
    )


async def test_a_rising_run_is_deployed_after_one_word_of_a_person() -> None:
    house = await judged("rises")
    await house.say("deploy", use("deploy_model"))
    (proposal,) = await house.proposals()
    assert (await house.workflow()).deployment is None
    await house.say("yes")
    deployment = (await house.workflow()).deployment
    assert deployment is not None and (deployment.model_id, deployment.by) == (stages.MODEL, OWNER)
    assert proposal.kind == "deployment"


async def test_an_overfitted_run_proposes_its_best_checkpoint() -> None:
    house = await judged("overfits")
    report = house.last("training_done")
    assert report["best_checkpoint"] == KEPT[1]["model"]
    assert report["model"] == KEPT[1]["model"]  # measured and offered, not the last one
    assert KEPT[1]["model"] in "\n".join(one.words for one in house.slack.messages)


@pytest.mark.parametrize("name", ["overfits", "learns nothing", "hacks"])
async def test_a_bad_run_is_deployed_only_after_a_recorded_override(name: str) -> None:
    house = await judged(name)
    await house.say("deploy", use("deploy_model"), "Better not.")
    assert await house.proposals() == ()
    refused = await house.call("deploy_model", key="again")
    assert (refused["ok"], refused["next"]) == (False, "override_deploy")
    await house.press("next.deploy_model", (await house.workflow()).id)
    assert await house.proposals() == ()
    await house.say("deploy anyway", use("override_deploy", reason="only for a demo"))
    for nobody_who_may in (GUEST, COLLEAGUE):
        await house.approve(user=nobody_who_may)
        assert (await house.workflow()).training.overridden_by == ""  # type: ignore[union-attr]
    await house.approve()
    assert (await house.workflow()).training.overridden_by == OWNER  # type: ignore[union-attr]
    await house.say("deploy", use("deploy_model"))
    (proposal,) = await house.proposals()
    assert any("overridden" in text for text in proposal.payload["warnings"])
    await house.approve()
    assert house.last("deployed")["overridden_by"] == OWNER


async def test_a_failed_run_says_why_keeps_everything_and_cannot_be_deployed() -> None:
    house = await stages.training()
    await house.poll(status="failed", error="The provider ran out of capacity.")
    report = house.last("training_done")
    assert (report["status"], report["pattern"], report["next"]) == ("failed", "failed", "retrain")
    workflow = await house.workflow()
    assert (workflow.steps["training"].status, workflow.valid_rows, workflow.grader_version) == (
        "failed",
        60,
        1,
    )
    assert "ran out of capacity" in "\n".join(one.words for one in house.slack.messages)
    refused = await house.call("deploy_model")
    assert [one["code"] for one in refused["missing"]] == ["trained_model"]
    await house.say("train again", use("start_training"))
    assert [one.kind for one in await house.proposals()] == ["training"]


async def test_a_job_that_is_stopped_and_completes_late_changes_nothing() -> None:
    house = await stages.training()
    await house.say("cancel the training", use("cancel_job"))
    await house.poll(status="cancelled")
    before = await house.workflow()
    await house.poll(status="completed", model=stages.MODEL)
    after = await house.workflow()
    assert after.training == before.training
    assert after.training is not None and after.training.status == "cancelled"
    assert house.of("deployed") == []


async def test_the_watch_seeing_the_end_twice_judges_it_once() -> None:
    house = await stages.trained()
    for _ in range(3):
        await house.poll()
    assert len(await house.tasks("finish_training")) == 1
    assert len(house.of("training_done")) == 1
