from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.rules import training
from tasks.rules.training import Configuration, Epoch, TopicScore


def run(*rewards: float, lengths: tuple[float, ...] = ()) -> list[Epoch]:
    sizes = [*lengths, *[None] * len(rewards)]
    return [
        Epoch(number, reward, response_length=sizes[number - 1], checkpoint=f"step-{number}")
        for number, reward in enumerate(rewards, start=1)
    ]


@pytest.mark.parametrize(
    ("epochs", "expected", "action"),
    [
        (run(0.40, 0.52, 0.61), "improving", "deploy_after_evaluation"),
        (run(0.40, 0.62, 0.54), "overfitting", "investigate"),  # peak, then −0.08
        (run(0.50, 0.51, 0.50), "no_learning", "back_to_data"),
        (run(0.60, 0.97, lengths=(100, 400)), "reward_hacking", "investigate"),
        (run(0.5, 0.6, lengths=(100, 400)), "reward_hacking", "investigate"),
        (run(0.60, 0.97), "reward_hacking", "investigate"),
        (run(0.60, 0.95), "improving", "deploy_after_evaluation"),
        (run(0.96, 0.97), "no_learning", "back_to_data"),
        (run(0.5), "too_short", "evaluate"),
        ([], "too_short", "evaluate"),
        (run(0.50, 0.53), "mixed", "investigate"),  # exactly 0.03 is neither nothing nor a gain
        (run(0.50, 0.5 - 0.04), "mixed", "investigate"),
        (run(0.50, 0.45), "mixed", "investigate"),  # a drop of exactly 0.05 is not overfitting yet
        (run(0.50, 0.449), "overfitting", "investigate"),
        (run(0.40, 0.60, 0.57, 0.65), "improving", "deploy_after_evaluation"),
        (run(0.40, 0.60, 0.56, 0.65), "mixed", "investigate"),
    ],
)
def test_t1_the_first_pattern_that_matches(epochs: list[Epoch], expected: str, action: str) -> None:
    found = training.analyse(epochs)
    assert (found.overall, found.next_action) == (expected, action)


def test_t1_a_failed_run_is_failed_whatever_its_scores() -> None:
    found = training.analyse(run(0.4, 0.6), failed=True)
    assert (found.overall, found.next_action) == ("failed", "retrain")


def test_t1_overfitting_proposes_the_best_checkpoint() -> None:
    found = training.analyse(run(0.40, 0.62, 0.54))
    assert (found.best_epoch, found.proposed_epoch, found.checkpoint) == (2, 2, "step-2")
    assert training.analyse(run(0.40, 0.52, 0.61)).checkpoint == "step-3"


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("failed", False),
        ("reward_hacking", False),
        ("overfitting", False),
        ("no_learning", False),
        ("mixed", True),
        ("too_short", True),
        ("improving", True),
    ],
)
def test_t1_which_models_may_be_deployed(pattern: training.Pattern, allowed: bool) -> None:
    assert training.may_deploy(pattern) is allowed


def test_the_overall_reward_is_weighted_by_rows() -> None:
    epochs = [
        Epoch(1, 0.9, {"big": TopicScore(0.4, 90), "small": TopicScore(0.9, 10)}),
        Epoch(2, 0.9, {"big": TopicScore(0.6, 90), "small": TopicScore(0.7, 10)}),
    ]
    found = training.analyse(epochs)
    assert found.rewards == (pytest.approx(0.45), pytest.approx(0.61))
    assert found.topics == {"big": "improving", "small": "overfitting"}
    assert (found.overall, found.worst, found.next_action) == ("improving", "overfitting", "investigate")


def test_epochs_without_score_are_passed_over() -> None:
    found = training.analyse([*run(0.4, 0.6), Epoch(3)])
    assert (found.overall, found.proposed_epoch) == ("improving", 2)


@pytest.mark.parametrize("template", ["default", "efficient", "quality"])
@pytest.mark.parametrize("method", training.METHODS)
def test_defaults_are_within_their_own_limits(method: training.Method, template: training.Template) -> None:
    assert training.check_configuration(training.default_configuration(method, "lora", template)) == ()


def test_defaults_by_template_and_provider() -> None:
    assert training.default_configuration("supervised").lora_r == 16
    efficient = training.default_configuration("supervised", "lora", "efficient")
    assert (efficient.accumulation, efficient.lora_r, efficient.lora_alpha) == (8, 8, 16)
    quality = training.default_configuration("supervised", "lora", "quality")
    assert (quality.learning_rate, quality.epochs, quality.batch_size, quality.lora_alpha) == (1e-5, 5, 2, 64)
    hosted = training.default_configuration("reinforcement", "api")
    assert (hosted.epochs, hosted.reasoning_effort, hosted.train_split) == (2, "medium", 0.9)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"epochs": 0}, "invalid_epochs"),
        ({"epochs": 6}, "invalid_epochs"),
        ({"learning_rate": 0.0}, "invalid_learning_rate"),
        ({"learning_rate": float("nan")}, "invalid_learning_rate"),
        ({"batch_size": 0}, "invalid_batch_size"),
        ({"lora_dropout": 1.0}, "invalid_lora_dropout"),
        ({"method": "magic"}, "invalid_method"),
        ({"reasoning_effort": "extreme"}, "invalid_reasoning_effort"),
        ({"approach": "prompt_tuning"}, "prompt_tuning_supervised_only"),
    ],
)
def test_settings_outside_their_limits_are_named(changed: dict[str, object], code: str) -> None:
    configuration = replace(Configuration(), **changed)  # type: ignore[arg-type]
    assert [problem.code for problem in training.check_configuration(configuration)] == [code]


def test_providers_take_more_epochs_than_own_hardware() -> None:
    assert training.check_configuration(replace(Configuration(), approach="api", epochs=10)) == ()
