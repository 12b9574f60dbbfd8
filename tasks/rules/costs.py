"""What a step will cost, before it is approved: tokens, hours, memory, money.

Formulas of training.md. Prices come in as a table with a date, from settings; an unknown price is unknown,
never free. Every estimate carries its formula and its band, so that a card can show how it was reached. Money
is US dollars, rounded up to the cent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Approach = Literal["full", "lora", "qlora", "prompt_tuning", "api"]

TOKEN_BAND = (0.7, 1.5)  # characters / 4 against real tokenizers on English and code
MEMORY_BAND = (0.85, 1.35)  # training.md: −15 % / +35 % against 19 published measurements
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """US dollars per million tokens."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class TrainingPrice:
    """US dollars per million trained tokens, or per GPU hour with the speed that turns tokens into hours."""

    per_million_tokens: float | None = None
    per_gpu_hour: float | None = None
    tokens_per_gpu_hour: float = 3_000_000


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model name. `default` is for models that are not listed (a local server: zeros); None:
    unknown."""

    as_of: str
    models: Mapping[str, ModelPrice] = field(default_factory=dict)
    training: Mapping[str, TrainingPrice] = field(default_factory=dict)
    default: ModelPrice | None = None
    training_default: TrainingPrice | None = None

    def model(self, name: str) -> ModelPrice | None:
        return self.models.get(name, self.default)

    def trainer(self, name: str) -> TrainingPrice | None:
        return self.training.get(name, self.training_default)


@dataclass(frozen=True, slots=True)
class Estimate:
    """`usd` with its band `low`–`high`, all None where a price is missing; `formula` and `assumptions` are
    for people."""

    usd: float | None
    low: float | None
    high: float | None
    input_tokens: int
    output_tokens: int
    calls: int
    formula: str
    assumptions: tuple[str, ...] = ()


def estimate_tokens(text: str) -> int:
    return math.ceil(len(text) / 4)


def within_budget(spent: float, ceiling: float | None, budget: float | None) -> bool:
    """Whether a proposal with this price ceiling may be approved; what costs nothing always may."""
    return budget_refusal(spent, ceiling, budget) is None


def budget_refusal(spent: float, ceiling: float | None, budget: float | None) -> str | None:
    """Why it may not, in one sentence with the way out. `ceiling` None: the price is unknown; `budget` None:
    not set."""
    if ceiling is not None and ceiling <= 0:
        return None
    if ceiling is None:
        return (
            "The price of this model is not known; add it to the price table (`prices` in FINETUNE_CONFIG)."
        )
    if budget is None:
        return f"This may cost up to ${ceiling:.2f}, and no budget is set; set BUDGET_USD to allow spending."
    if spent + ceiling > budget + 1e-9:
        return f"This may cost up to ${ceiling:.2f}, but only ${max(0.0, budget - spent):.2f} of ${budget:.2f} is left."
    return None


def estimate_generation(
    prices: PriceTable,
    model: str,
    *,
    count: int,
    average_tokens: float = 60,
    prompt_tokens: int = 900,
    rows_per_call: int = 10,
    retry_share: float = 0.2,
) -> Estimate:
    """Rows asked for in batches; `retry_share` of the rows is asked again because it is rejected."""
    calls = math.ceil(count * (1 + retry_share) / rows_per_call) if count else 0
    rows = math.ceil(count * (1 + retry_share))
    output = math.ceil(rows * (average_tokens + 20))
    formula = f"{count} rows + {retry_share:.0%} retries in {calls} calls × {prompt_tokens} tokens in; "
    formula += f"{rows} rows × {average_tokens + 20:.0f} tokens out"
    return _priced(prices, [(model, calls * prompt_tokens, output)], calls, formula)


def estimate_knowledge(
    prices: PriceTable,
    model: str,
    *,
    passage_tokens: int,
    rows: int,
    calls: int,
    prompt_tokens: int = 500,
    row_tokens: int = 140,
) -> Estimate:
    """Rows made of passages: every passage is read twice, once to write and once to check what was written.

    `passage_tokens` counts a passage once for each kind of row that is asked of it; `calls` are those that write.
    """
    written = (model, calls * prompt_tokens + passage_tokens, rows * row_tokens)
    checked = (model, calls * prompt_tokens + passage_tokens + rows * row_tokens, rows * 40)
    asked = "1 call" if calls == 1 else f"{calls} calls"
    formula = f"{asked} × {prompt_tokens} + {passage_tokens:,} tokens of passages in, {rows:,} rows × {row_tokens} out; "
    formula += f"the same in again + {rows:,} rows × 40 out to check"
    return _priced(prices, [written, checked], 2 * calls, formula)


def estimate_dry_run(
    prices: PriceTable,
    base_model: str,
    judge_model: str | None,
    *,
    rows: int,
    rollouts: int = 1,
    criteria: int = 1,
    average_input_tokens: float,
    average_output_tokens: float = 200,
    judge_prompt_tokens: int = 400,
    judge_output_tokens: int = 80,
) -> Estimate:
    """The base model answers every prompt `rollouts` times; a judge (None for scripts) scores each criterion
    by itself."""
    answers = rows * rollouts
    usage = [
        (base_model, math.ceil(answers * average_input_tokens), math.ceil(answers * average_output_tokens))
    ]
    formula = f"{rows} rows × {rollouts} rollouts × ({average_input_tokens:.0f} in + {average_output_tokens:.0f} out)"
    calls = answers
    if judge_model is not None:
        judged = answers * criteria
        seen = judge_prompt_tokens + average_input_tokens + average_output_tokens
        usage.append((judge_model, math.ceil(judged * seen), judged * judge_output_tokens))
        formula += f"; judge: {judged} calls × ({seen:.0f} in + {judge_output_tokens} out)"
        calls += judged
    return _priced(prices, usage, calls, formula)


def estimate_training(
    prices: PriceTable,
    trainer: str,
    *,
    rows: int,
    epochs: int,
    average_tokens: float,
    reinforcement: bool = True,
    candidates: int = 8,
    max_output_tokens: int = 512,
) -> Estimate:
    """Supervised and preference runs by their tokens; reinforcement by prompts × epochs × candidates × max
    tokens × 0.6.

    (The second is Fireworks' published formula, which turns into GPU hours.) Where both a token and an hour
    price are known, the token price counts for supervised runs and the hour price for reinforcement.
    """
    price = prices.trainer(trainer)
    tokens = math.ceil(rows * epochs * average_tokens)
    formula = f"{rows} rows × {epochs} epochs × {average_tokens:.0f} tokens"
    if reinforcement:
        tokens = math.ceil(rows * epochs * candidates * max_output_tokens * 0.6)
        formula = (
            f"{rows} prompts × {epochs} epochs × {candidates} candidates × {max_output_tokens} tokens × 0.6"
        )
    formula += f" = {tokens:,} tokens"
    usd: float | None = None
    if price is not None:
        usd, words = _training_usd(price, tokens, reinforcement)
        formula += words
    notes = (*_missing([trainer] if usd is None else []), f"Prices of {prices.as_of}.")
    return Estimate(_cents(usd), _cents(usd, 0.5), _cents(usd, 2.0), tokens, 0, 0, formula, notes)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A transformer's size: parameter count and the widths that memory depends on (`kv_width` = heads × head
    size)."""

    parameters: float
    hidden: int
    feed_forward: int
    layers: int
    kv_width: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """GPU memory in bytes with its band; `parts` sums to `expected`. `recommended` is "" when no single card
    is enough."""

    expected: float
    low: float
    high: float
    parts: Mapping[str, float]
    recommended: str
    assumptions: tuple[str, ...]


CARDS: tuple[tuple[str, int], ...] = (
    ("T4 16 GB", 16),
    ("L4 24 GB", 24),
    ("A100 40 GB", 40),
    ("L40S 48 GB", 48),
    ("A100/H100 80 GB", 80),
    ("H200 141 GB", 141),
)


def estimate_memory(
    shape: ModelShape,
    *,
    approach: Approach = "lora",
    batch_size: int = 4,
    sequence: int = 1024,
    lora_r: int = 16,
    checkpointing: bool = True,
    mixed_precision: bool = True,
    logit_chunks: int = 1,
    candidates: int = 0,
) -> MemoryEstimate:
    """Memory of one training step by the formula of training.md; `candidates` above 0 adds GRPO's part."""
    tokens = batch_size * sequence
    parts = {
        "weights": _weight_bytes(shape, approach),
        "trainable": _trainable_bytes(shape, approach, lora_r, mixed_precision),
        "activations": _activation_bytes(shape, tokens, checkpointing),
        "logits": 10.0 * tokens * shape.vocabulary / logit_chunks,
        "overhead": 0.8e9,
    }
    if candidates:
        parts["grpo"] = 4.0 * candidates * sequence * (shape.vocabulary + shape.layers * shape.kv_width)
    expected = sum(parts.values())
    assumptions = (
        f"batch {batch_size} × {sequence} tokens, gradient checkpointing {'on' if checkpointing else 'off'}",
        "−15 % / +35 %, from 19 published measurements (mean error 17 %, worst 35 %)",
        "a card counts as large enough only with 15 % to spare",
    )
    low, high = (expected * factor for factor in MEMORY_BAND)
    return MemoryEstimate(expected, low, high, parts, recommended_card(expected), assumptions)


def recommended_card(expected: float, cards: Sequence[tuple[str, int]] = CARDS) -> str:
    """The smallest card (name, GB) that holds the estimate with 15 % to spare."""
    return next((name for name, size in cards if expected <= 0.85 * size * 1e9), "")


def _priced(prices: PriceTable, usage: Sequence[tuple[str, int, int]], calls: int, formula: str) -> Estimate:
    """Sums (model, tokens in, tokens out)."""
    known = [(prices.model(model), tokens_in, tokens_out) for model, tokens_in, tokens_out in usage]
    unknown = [model for model, _, _ in usage if prices.model(model) is None]
    usd = sum(
        (price.input * into + price.output * out) / 1e6 for price, into, out in known if price is not None
    )
    money = None if unknown else usd
    low, high = TOKEN_BAND
    return Estimate(
        usd=_cents(money),
        low=_cents(money, low),
        high=_cents(money, high),
        input_tokens=sum(tokens for _, tokens, _ in usage),
        output_tokens=sum(tokens for _, _, tokens in usage),
        calls=calls,
        formula=formula,
        assumptions=(*_missing(unknown), f"Prices of {prices.as_of}.", "Tokens as characters / 4."),
    )


def _training_usd(price: TrainingPrice, tokens: int, reinforcement: bool) -> tuple[float | None, str]:
    hours = tokens / price.tokens_per_gpu_hour
    by_hour = price.per_gpu_hour is not None and (reinforcement or price.per_million_tokens is None)
    if by_hour and price.per_gpu_hour is not None:
        return hours * price.per_gpu_hour, f" = {hours:.2f} GPU hours × ${price.per_gpu_hour:g}"
    if price.per_million_tokens is not None:
        return tokens / 1e6 * price.per_million_tokens, f" × ${price.per_million_tokens:g} per million"
    return None, ""


def _missing(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"No price is known for {name}." for name in dict.fromkeys(names))


def _cents(usd: float | None, factor: float = 1.0) -> float | None:
    return None if usd is None else math.ceil(usd * factor * 100 - 1e-9) / 100


def _weight_bytes(shape: ModelShape, approach: Approach) -> float:
    if approach != "qlora":
        return 2.0 * shape.parameters
    embeddings = 2.0 * shape.vocabulary * shape.hidden  # the input table and the head
    return 0.516 * (shape.parameters - embeddings) + 2.0 * embeddings


def _trainable_bytes(shape: ModelShape, approach: Approach, lora_r: int, mixed_precision: bool) -> float:
    if approach == "full":
        return (18.0 if mixed_precision else 8.0) * shape.parameters
    if approach == "prompt_tuning":
        return 16.0 * 20 * shape.hidden  # 20 virtual tokens
    on_query = lora_r * (shape.hidden + shape.hidden)
    on_value = lora_r * (shape.hidden + shape.kv_width)
    return 16.0 * shape.layers * (on_query + on_value)


def _activation_bytes(shape: ModelShape, tokens: int, checkpointing: bool) -> float:
    layer = 2.0 * tokens * (7 * shape.hidden + 2 * shape.kv_width + 4 * shape.feed_forward)
    if checkpointing:
        return 2.0 * tokens * shape.layers * shape.hidden + layer
    return layer * shape.layers
