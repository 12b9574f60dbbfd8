"""The other kinds: comparing texts, labels, and several graders as one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records import Json
from tasks import graders
from tasks.graders import expression
from tasks.graders.port import Grade, Sample
from tasks.graders.similarity import MEASURES
from tests.fakes import FakeChat

pytestmark = pytest.mark.anyio
SAMPLE = Sample(
    [{"role": "user", "content": "Capital of France?"}],
    "Paris it is",
    item={"reference_answer": "Paris", "n": 3},
)
EXACT: Json = {"input": "{{sample.output_text}}", "reference": "{{item.reference_answer}}"}


async def graded(kind: str, config: Json, chat: Any = None) -> Grade:
    async with graders.bench(chat=chat, judge_model="judge", meter=lambda model, usage: None) as bench:
        return await graders.grade(kind, config, SAMPLE, bench)


@pytest.mark.parametrize(("operation", "score"), [("eq", 0.0), ("ne", 1.0), ("like", 1.0), ("ilike", 1.0)])
async def test_a_string_check_compares(operation: str, score: float) -> None:
    assert (await graded("string_check", {**EXACT, "operation": operation})).score == score


@pytest.mark.parametrize("metric", MEASURES)
async def test_a_similarity_lies_between_zero_and_one(metric: str) -> None:
    grade = await graded("text_similarity", {**EXACT, "evaluation_metric": metric})
    assert grade.score is not None
    assert 0 <= grade.score <= 1


async def test_cosine_without_an_embedder_is_an_error() -> None:
    grade = await graded("text_similarity", {**EXACT, "evaluation_metric": "cosine"})
    assert (grade.score, "embedding" in grade.error) == (None, True)


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_measure_stays_in_range_for_any_text(one: str, other: str) -> None:
    for measure in MEASURES.values():
        assert 0 <= measure(one, other) <= 1 + 1e-9


@pytest.mark.parametrize("name", MEASURES)
def test_the_same_text_is_fully_alike(name: str) -> None:
    text = "the quick brown fox jumps over the lazy dog"
    assert MEASURES[name](text, text) == pytest.approx(1.0)


LABELS: Json = {
    "input": [{"role": "user", "content": "{{response}}"}],
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
}


@pytest.mark.parametrize(("label", "score"), [("good", 1.0), ("bad", 0.0), ("great", None)])
async def test_a_label_passes_or_not_and_an_unknown_one_is_an_error(label: str, score: float | None) -> None:
    chat = FakeChat(label=lambda data: {"label": label, "reasoning": ""})
    assert (await graded("label_model", LABELS, chat)).score == score


MULTI: Json = {
    "graders": {
        "exact": {"type": "string_check", **EXACT, "operation": "like"},
        "near": {"type": "script", "source": "def grade(sample, item):\n    return 0.5"},
    },
    "calculate_output": "0.5 * exact + 0.5 * near",
}


async def test_several_graders_make_one_score_and_keep_their_parts() -> None:
    grade = await graded("multi", MULTI)
    assert grade.score == 0.75
    assert grade.parts == {"exact": 1.0, "near": 0.5}


@pytest.mark.parametrize("formula", ["exact / 0", "exact + near + 9", "log(0 * exact)", "9 ^ 9999 * near"])
async def test_a_formula_without_a_value_is_an_error(formula: str) -> None:
    grade = await graded("multi", {**MULTI, "calculate_output": formula})
    assert (grade.score, bool(grade.error)) == (None, True)


async def test_one_failing_part_makes_the_whole_an_error() -> None:
    broken = {
        **MULTI,
        "graders": {
            **MULTI["graders"],
            "near": {"type": "script", "source": "def grade(s, i):\n    return 5"},
        },
    }
    assert (await graded("multi", broken)).score is None


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        ("string_check", {**EXACT, "operation": "similar"}, "bad_operation"),
        ("string_check", {"input": "{{sample.output_text}}", "operation": "eq"}, "bad_template"),
        ("text_similarity", {**EXACT, "evaluation_metric": "meteor"}, "bad_metric"),
        ("label_model", {**LABELS, "passing_labels": ["great"]}, "bad_passing_labels"),
        ("label_model", {**LABELS, "labels": ["good"]}, "bad_labels"),
        ("multi", {"graders": {}}, "missing_graders"),
        ("multi", {**MULTI, "calculate_output": "exact + nothing"}, "bad_calculate_output"),
        ("multi", {"graders": MULTI["graders"]}, "bad_weights"),
        ("multi", {"graders": MULTI["graders"], "weights": {"exact": 0.5, "near": 0.6}}, "weights_not_1"),
        ("multi", {"graders": {"m": {"type": "multi"}}, "calculate_output": "m"}, "bad_component"),
        ("oracle", {}, "unknown_kind"),
    ],
)
def test_what_cannot_work_is_said_when_it_is_configured(kind: str, config: Json, code: str) -> None:
    assert code in [problem.code for problem in graders.check(kind, config, ["reference_answer"])]


@pytest.mark.parametrize(
    "hostile",
    [
        "__import__('os').system('id')",
        "exact.__class__",
        "[exact][0]",
        "(lambda: 1)()",
        "exact if near else 0",
        "min(*exact)",
        "'a'",
        "True",
        "exact := 1",
        "9" * 2000,
    ],
)
def test_an_expression_is_arithmetic_and_nothing_else(hostile: str) -> None:
    with pytest.raises(expression.ExpressionError):
        expression.check(hostile, ["exact", "near"])


def test_graders_are_exported_with_openais_names() -> None:
    found = graders.to_openai(
        "multi", {**MULTI, "graders": {**MULTI["graders"], "l": {"type": "label_model", **LABELS}}}, model="m"
    )
    assert found["graders"]["exact"]["reference"] == "{{item.reference_answer}}"
    assert found["graders"]["near"]["type"] == "python"
    assert found["graders"]["l"]["input"][0]["content"] == "{{sample.output_text}}"
    assert found["graders"]["l"]["model"] == "m"
