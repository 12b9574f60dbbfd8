from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules import agreement, graders, red_team
from tasks.rules.graders import Criterion


def weighted(*weights: float) -> list[Criterion]:
    return [Criterion(f"c{number}", "", weight) for number, weight in enumerate(weights)]


@pytest.mark.parametrize(
    "weights", [(40, 25, 20, 15), (35, 25, 15, 15, 10), (0.4, 0.25, 0.2, 0.15), (1,), (100,)]
)
def test_weights_become_shares_that_sum_to_one(weights: tuple[float, ...]) -> None:
    found = graders.normalise(weighted(*weights))
    assert sum(one.weight for one in found) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("criteria", "code"),
    [
        ([], "no_criteria"),
        (weighted(0.5, 0.4), "weights_not_1"),
        (weighted(0.5, 0.50001), "weights_not_1"),
        (weighted(40, 50), "weights_not_1"),
        (weighted(1.5, -0.5), "invalid_weight"),
        (weighted(float("nan"), 1), "invalid_weight"),
        ([Criterion("", "", 1)], "unnamed_criterion"),
        ([Criterion("A", "", 0.5), Criterion("a ", "", 0.5)], "duplicate_criterion"),
    ],
)
def test_criteria_that_cannot_be_used(criteria: list[Criterion], code: str) -> None:
    assert code in [problem.code for problem in graders.criteria_problems(criteria)]
    with pytest.raises(ValueError, match=r"\w"):
        graders.normalise(criteria)


def test_presets_can_be_used_as_they_are() -> None:
    assert set(graders.PRESETS) == {
        "quality",
        "correctness",
        "tool_usage",
        "format_compliance",
        "conciseness",
    }
    assert all(not graders.criteria_problems(criteria) for criteria in graders.PRESETS.values())
    assert [one.weight for one in graders.PRESETS["tool_usage"]] == [0.3, 0.3, 0.4]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"a": 1.0, "b": 0.5}, 0.85),
        ({"a": 1.0, "b": None}, None),
        ({"a": 1.0}, None),
        ({"a": 0.0, "b": 0.0}, 0.0),
    ],
)
def test_a_criterion_without_score_is_an_error_not_a_zero(
    scores: dict[str, float | None], expected: float | None
) -> None:
    found = graders.aggregate(scores, {"a": 0.7, "b": 0.3})
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("template", "unknown"),
    [
        ("Score {{response}} to {{lastUserMessage}} by {{ item.reference_answer }}.", ()),
        ("{{{response}}} {{&systemPrompt}} {{! a note }} {{sample.output_text}}", ()),
        ("{{#messages}}{{role}}: {{content}}\n{{/messages}}", ()),
        ("{{#toolCalls}}{{function.name}}{{/toolCalls}}{{^tools}}none{{/tools}}", ()),
        ("{{#item.tags}}{{.}}{{/item.tags}}", ("item.tags",)),
        ("{{role}}", ("role",)),
        ("{{answer}} {{answer}} {{item.nothing}}", ("answer", "item.nothing")),
        ("{{> partial}}", (">partial",)),
        ("{{sample.output_json.total}} {{sample.other}}", ("sample.other",)),
        ("{{item.}} {{}}", ("item.", "")),
        ('{"a": {"b": 1}}', ()),
    ],
)
def test_unknown_variables_are_found_when_the_grader_is_configured(
    template: str, unknown: tuple[str, ...]
) -> None:
    assert graders.unknown_variables(template, ["reference_answer"]) == unknown


def test_any_column_passes_while_the_columns_are_unknown() -> None:
    assert graders.unknown_variables("{{item.anything}}") == ()


@pytest.mark.parametrize(
    ("template", "codes"),
    [
        ("{{response}}", []),
        ("{{#messages}}{{role}}", ["unclosed_section"]),
        ("{{/messages}}", ["unopened_section"]),
        ("{{response", ["broken_tag"]),
        ("{{nobody}}", ["unknown_variable"]),
    ],
)
def test_templates_are_checked_for_their_braces(template: str, codes: list[str]) -> None:
    assert [problem.code for problem in graders.template_problems(template)] == codes


def test_a_diff_tells_people_what_changed() -> None:
    old = {
        "model": "judge-a",
        "prompt": "one\ntwo",
        "criteria": [
            {"name": "Accuracy", "description": "", "weight": 0.4},
            {"name": "Tone", "description": "", "weight": 0.6},
        ],
    }
    new = {
        "model": "judge-b",
        "prompt": "one\nthree\nfour",
        "criteria": [
            {"name": "Accuracy", "description": "right", "weight": 0.35},
            {"name": "No promises", "description": "", "weight": 0.65},
        ],
    }
    assert graders.diff(old, new) == (
        "Accuracy: 40 % → 35 %",
        "Accuracy: described differently",
        "removed Tone (was 60 %)",
        "added No promises (65 %)",
        "model: judge-a → judge-b",
        "prompt changed (+2 −1 lines)",
    )
    assert graders.diff(new, new) == ()


# ---------------------------------------------------------------- red team


def test_every_kind_of_attack_is_tried() -> None:
    found = dict(red_team.attacks("Where is my parcel today?", "It arrives on Friday."))
    assert set(found) == {"empty", "echo", "filler", "keywords", "flattery", "injection", "leaked_reference"}
    assert found["empty"] == ""
    assert "parcel" in found["keywords"]
    assert "It arrives on Friday." in found["leaked_reference"]
    assert "leaked_reference" not in dict(red_team.attacks("Hello there"))


@pytest.mark.parametrize(
    ("score", "honest", "weak"),
    [
        (0.4, [0.9], False),
        (0.41, [0.9], True),
        (0.3, [0.1, 0.2, 0.9], True),
        (0.2, [0.1, 0.2, 0.9], False),
        (None, [0.1], False),
        (0.3, [], False),
    ],
)
def test_an_attack_is_a_weakness_above_the_limit_or_above_honest_answers(
    score: float | None, honest: list[float | None], weak: bool
) -> None:
    assert bool(red_team.weaknesses({"echo": score}, honest)) is weak


# ---------------------------------------------------------------- agreement


def test_spearman_of_known_ranks() -> None:
    found = agreement.spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    assert found.value == pytest.approx(0.8)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.8 < found.high
    assert agreement.spearman([1, 2, 2, 3], [1, 2, 2, 3]).value == pytest.approx(1)
    assert agreement.spearman([1, 1, 1], [1, 2, 3]).value is None


def test_kappa_of_the_textbook_example() -> None:
    one = ["yes"] * 25 + ["no"] * 25
    other = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = agreement.cohen_kappa(one, other)
    assert found.value == pytest.approx(0.4)
    assert found.low == pytest.approx(0.146, abs=0.01)
    assert agreement.cohen_kappa(["a", "a"], ["a", "a"]).value is None
    assert agreement.cohen_kappa([], []).value is None


def test_judges_of_different_samples_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same samples"):
        agreement.spearman([1], [1, 2])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_agreement_stays_within_its_bounds(pairs: list[tuple[int, int]]) -> None:
    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for found in (agreement.spearman(one, other), agreement.cohen_kappa(one, other)):
        assert found.value is None or -1 <= found.value <= 1
        assert found.low is None or found.high is None or -1 <= found.low <= found.high <= 1
