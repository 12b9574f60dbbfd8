"""What a training run may be configured as, and what its scores per epoch say.

Numbers of domain.md §8 and training.md. Starts nothing, and knows no provider's field names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from tasks.rules.problems import Problem

Method = Literal["reinforcement", "supervised", "preference"]
Approach = Literal["full", "lora", "qlora", "prompt_tuning", "api"]
Template = Literal["default", "efficient", "quality"]
Pattern = Literal["failed", "reward_hacking", "overfitting", "no_learning", "mixed", "too_short", "improving"]
NextAction = Literal["deploy_after_evaluation", "investigate", "back_to_data", "retrain", "evaluate"]

TOLERANCE = 1e-9
REFUSED: tuple[Pattern, ...] = ("failed", "reward_hacking", "overfitting", "no_learning")
WORST_FIRST: tuple[Pattern, ...] = (
    "failed",
    "reward_hacking",
    "overfitting",
    "no_learning",
    "mixed",
    "too_short",
    "improving",
)
NEXT: Mapping[Pattern, NextAction] = {
    "failed": "retrain",
    "reward_hacking": "investigate",
    "overfitting": "investigate",
    "no_learning": "back_to_data",
    "mixed": "investigate",
    "too_short": "evaluate",
    "improving": "deploy_after_evaluation",
}
METHODS: tuple[Method, ...] = ("reinforcement", "supervised", "preference")
APPROACHES: tuple[Approach, ...] = ("full", "lora", "qlora", "prompt_tuning", "api")
EFFORTS = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class TopicScore:
    """A topic's mean reward in [0, 1] over `count` validation rows."""

    mean: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Epoch:
    """One scored epoch. `checkpoint` is the provider's id; `response_length` the mean, in any one unit.

    `mean` is only used where no topic was scored; otherwise the overall reward is the row-weighted mean of
    the topics.
    """

    number: int
    mean: float | None = None
    topics: Mapping[str, TopicScore] = field(default_factory=dict)
    response_length: float | None = None
    checkpoint: str = ""

    @property
    def reward(self) -> float | None:
        rows = sum(score.count for score in self.topics.values())
        if not rows:
            return self.mean
        return sum(score.mean * score.count for score in self.topics.values()) / rows


@dataclass(frozen=True, slots=True)
class TrainingAnalysis:
    """`overall` judges the model; `next_action` follows `worst`, over the whole and every topic."""

    overall: Pattern
    topics: Mapping[str, Pattern]
    worst: Pattern
    next_action: NextAction
    rewards: tuple[float, ...]
    best_epoch: int | None
    proposed_epoch: int | None
    checkpoint: str


def analyse(epochs: Sequence[Epoch], *, failed: bool = False) -> TrainingAnalysis:
    """The pattern of a run from its scored epochs, oldest first; epochs without a score are passed over.

    `best_epoch` has the highest reward (the earliest of equals); `proposed_epoch` is that one where the run
    overfitted and the last one otherwise; `checkpoint` is the proposed epoch's.
    """
    scored = [(epoch, epoch.reward) for epoch in epochs]
    curve = [(epoch, reward) for epoch, reward in scored if reward is not None]
    rewards = tuple(reward for _, reward in curve)
    overall = pattern(rewards, lengths=[epoch.response_length for epoch in epochs], failed=failed)
    topics = {} if failed else _topic_patterns(epochs)
    worst = min((overall, *topics.values()), key=WORST_FIRST.index)
    best = max(curve, key=lambda pair: (pair[1], -pair[0].number), default=None)
    proposed = best if overall == "overfitting" else (curve[-1] if curve else None)
    return TrainingAnalysis(
        overall=overall,
        topics=topics,
        worst=worst,
        next_action=NEXT[worst],
        rewards=rewards,
        best_epoch=best[0].number if best else None,
        proposed_epoch=proposed[0].number if proposed else None,
        checkpoint=proposed[0].checkpoint if proposed else "",
    )


def pattern(
    rewards: Sequence[float], *, lengths: Sequence[float | None] = (), failed: bool = False
) -> Pattern:
    """First match of §8 for one curve of rewards."""
    if failed:
        return "failed"
    if len(rewards) < 2:
        return "too_short"
    change, last = rewards[-1] - rewards[0], rewards[-1]
    if (last > 0.95 + TOLERANCE and change > 0.03 + TOLERANCE) or _thrice_as_long(lengths):
        return "reward_hacking"
    if max(rewards[:-1]) - last > 0.05 + TOLERANCE:
        return "overfitting"
    if abs(change) < 0.03 - TOLERANCE:
        return "no_learning"
    if change > 0.03 + TOLERANCE and _never_falls(rewards):
        return "improving"
    return "mixed"


def may_deploy(found: Pattern) -> bool:
    """False where deploying needs a recorded override."""
    return found not in REFUSED


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything a training run is started with. Fields that an approach does not use are ignored by its
    trainer.

    `save_total_limit` counts checkpoints; `patience` counts evaluations without a gain of at least
    `min_delta`.
    """

    method: Method = "reinforcement"
    approach: Approach = "lora"
    epochs: int = 3
    learning_rate: float = 2e-5
    batch_size: int = 4
    accumulation: int = 4
    warmup: float = 0.1
    lora_r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.1
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    reasoning_effort: str = "medium"
    train_split: float = 0.9
    patience: int = 3
    min_delta: float = 0.01
    metric: str = "val_loss"
    save_steps: int = 500
    save_total_limit: int = 3
    best_only: bool = False


def default_configuration(
    method: Method = "reinforcement", approach: Approach = "lora", template: Template = "default"
) -> Configuration:
    """The defaults of §8: by template on own hardware, two epochs where a provider trains."""
    if approach == "api":
        return Configuration(method=method, approach=approach, epochs=2)
    if template == "efficient":
        return Configuration(method, approach, 3, 2e-5, batch_size=4, accumulation=8, lora_r=8, lora_alpha=16)
    if template == "quality":
        return Configuration(
            method, approach, 5, 1e-5, batch_size=2, accumulation=16, lora_r=32, lora_alpha=64
        )
    return Configuration(method=method, approach=approach)


def check_configuration(configuration: Configuration) -> tuple[Problem, ...]:
    """Every setting outside its limits; nothing when the run may be started with it."""
    problems = [
        Problem(f"invalid_{name}", f"{name} is {value:g}; it must lie between {low:g} and {high:g}.")
        for name, value, low, high in _limits(configuration)
        if not low <= value <= high
    ]
    problems += [
        Problem(f"invalid_{name}", f"{name} is {value!r}; choose one of {', '.join(choices)}.")
        for name, value, choices in _choices(configuration)
        if value not in choices
    ]
    if configuration.approach == "prompt_tuning" and configuration.method != "supervised":
        problems.append(
            Problem("prompt_tuning_supervised_only", "Prompt tuning learns only with the supervised method.")
        )
    return tuple(problems)


def _topic_patterns(epochs: Sequence[Epoch]) -> dict[str, Pattern]:
    names = dict.fromkeys(topic for epoch in epochs for topic in epoch.topics)
    return {
        name: pattern([epoch.topics[name].mean for epoch in epochs if name in epoch.topics])
        for name in sorted(names)
    }


def _thrice_as_long(lengths: Sequence[float | None]) -> bool:
    known = [length for length in lengths if length]
    return len(known) > 1 and known[-1] >= 3 * known[0] - TOLERANCE


def _never_falls(rewards: Sequence[float]) -> bool:
    """No epoch falls more than 0.03 below the one before."""
    return all(later >= earlier - 0.03 - TOLERANCE for earlier, later in pairwise(rewards))


def _limits(one: Configuration) -> tuple[tuple[str, float, float, float], ...]:
    """Bounds; epochs on own hardware end at 5 (domain.md §8), a provider's at 50, learning rates at 1e-2."""
    return (
        ("epochs", one.epochs, 1, 50 if one.approach == "api" else 5),
        ("learning_rate", one.learning_rate, 1e-8, 1e-2),
        ("batch_size", one.batch_size, 1, 512),
        ("accumulation", one.accumulation, 1, 256),
        ("warmup", one.warmup, 0, 0.5),
        ("lora_r", one.lora_r, 1, 256),
        ("lora_alpha", one.lora_alpha, 1, 512),
        ("lora_dropout", one.lora_dropout, 0, 0.9),
        ("train_split", one.train_split, 0.5, 0.95),
        ("patience", one.patience, 1, 20),
        ("min_delta", one.min_delta, 0, 1),
        ("save_steps", one.save_steps, 1, 100_000),
        ("save_total_limit", one.save_total_limit, 1, 100),
    )


def _choices(one: Configuration) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return (
        ("method", one.method, METHODS),
        ("approach", one.approach, APPROACHES),
        ("reasoning_effort", one.reasoning_effort, EFFORTS),
    )
