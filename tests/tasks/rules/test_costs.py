from __future__ import annotations

import pytest

from tasks.rules import costs
from tasks.rules.costs import ModelPrice, ModelShape, PriceTable, TrainingPrice

PRICES = PriceTable(
    as_of="2026-11-01",
    models={"base": ModelPrice(1.0, 4.0), "judge": ModelPrice(2.0, 8.0)},
    training={"tokens": TrainingPrice(per_million_tokens=10.0), "gpu": TrainingPrice(per_gpu_hour=4.0)},
)
SEVEN_B = ModelShape(7.6e9, 3584, 18944, 28, 512, 152_064)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_tokens_are_a_quarter_of_the_characters(text: str, tokens: int) -> None:
    assert costs.estimate_tokens(text) == tokens


@pytest.mark.parametrize(
    ("spent", "ceiling", "budget", "allowed"),
    [
        (0, 0, None, True),
        (9, 0, 5, True),
        (0, 0.01, None, False),
        (0, None, 100, False),
        (4, 1, 5, True),
        (4, 1.01, 5, False),
        (0.1 + 0.2, 0.3, 0.6, True),
    ],
)
def test_the_budget(spent: float, ceiling: float | None, budget: float | None, allowed: bool) -> None:
    assert costs.within_budget(spent, ceiling, budget) is allowed


def test_a_refusal_names_the_way_out() -> None:
    assert "BUDGET_USD" in str(costs.budget_refusal(0, 2, None))
    assert "$1.00 of $5.00" in str(costs.budget_refusal(4, 2, 5))


def test_a_dry_run_counts_answers_and_judgements() -> None:
    found = costs.estimate_dry_run(
        PRICES,
        "base",
        "judge",
        rows=50,
        rollouts=2,
        criteria=4,
        average_input_tokens=100,
        average_output_tokens=200,
    )
    assert found.calls == 100 + 400
    assert found.input_tokens == 100 * 100 + 400 * 700
    assert found.output_tokens == 100 * 200 + 400 * 80
    assert found.usd == pytest.approx(0.91)  # 0.01 + 0.08 + 0.56 + 0.256 = 0.906, rounded up
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.usd < found.high


def test_a_script_grader_costs_no_judgement() -> None:
    found = costs.estimate_dry_run(PRICES, "base", None, rows=10, average_input_tokens=100)
    assert found.calls == 10


def test_an_unknown_price_is_unknown_not_free() -> None:
    found = costs.estimate_generation(PRICES, "stranger", count=30)
    assert (found.usd, found.high) == (None, None)
    assert "stranger" in found.assumptions[0]
    local = PriceTable("2026-11-01", default=ModelPrice(0, 0))
    assert costs.estimate_generation(local, "stranger", count=30).usd == 0


def test_generation_counts_retries() -> None:
    found = costs.estimate_generation(PRICES, "base", count=30, average_tokens=60)
    assert (found.calls, found.output_tokens) == (4, 36 * 80)


def test_training_is_priced_by_tokens_or_by_hours() -> None:
    found = costs.estimate_training(
        PRICES, "tokens", rows=463, epochs=3, average_tokens=150, reinforcement=False
    )
    assert found.usd == pytest.approx(2.09)  # 208,350 tokens
    found = costs.estimate_training(PRICES, "gpu", rows=463, epochs=2, average_tokens=150)
    assert found.input_tokens == pytest.approx(463 * 2 * 8 * 512 * 0.6, abs=1)
    assert "GPU hours" in found.formula
    assert costs.estimate_training(PRICES, "none", rows=1, epochs=1, average_tokens=1).usd is None


def test_memory_grows_from_qlora_to_full() -> None:
    sizes = [
        costs.estimate_memory(SEVEN_B, approach=approach).expected for approach in ("qlora", "lora", "full")
    ]  # type: ignore[arg-type]
    assert sizes == sorted(sizes)
    assert 15e9 < sizes[1] < 30e9
    found = costs.estimate_memory(SEVEN_B, candidates=8)
    assert found.expected > sizes[1]
    assert found.expected == pytest.approx(sum(found.parts.values()))
    assert (found.low, found.high) == (
        pytest.approx(found.expected * 0.85),
        pytest.approx(found.expected * 1.35),
    )


@pytest.mark.parametrize(("size", "card"), [(13.5e9, "T4 16 GB"), (13.7e9, "L4 24 GB"), (130e9, "")])
def test_a_card_needs_fifteen_percent_to_spare(size: float, card: str) -> None:
    assert costs.recommended_card(size) == card
