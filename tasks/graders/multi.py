"""Several graders as one: by weights that sum to 1, or by an expression over their names (`calculate_output`).

`graders` maps a name to `{"type": <kind>, …that kind's own fields}`. Component scores are kept as parts. Not nested.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from storage.records import Json
from tasks.graders import expression
from tasks.graders.port import Bench, Grade, GraderError, GraderKind, Sample, score_of
from tasks.rules.problems import Problem

MAX_GRADERS = 12


class MultiGrader:
    name = "multi"

    def __init__(self, kinds: Mapping[str, GraderKind]) -> None:
        self._kinds = kinds

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        graders = config.get("graders")
        if not isinstance(graders, dict) or not 1 <= len(graders) <= MAX_GRADERS:
            return (Problem("missing_graders", f"graders must map 1 to {MAX_GRADERS} names to graders."),)
        return (*self._component_problems(graders, item_fields), *_formula_problems(config, graders))

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        scores: dict[str, float] = {}
        reasons = []
        for name, part in config["graders"].items():
            grade = await self._kinds[part["type"]].grade(part, sample, bench)
            if grade.score is None:
                raise GraderError(f"{name}: {grade.error}")
            scores[name] = grade.score
            reasons.append(f"{name} {grade.score:.2f}" + (f" ({grade.reasoning})" if grade.reasoning else ""))
        return Grade(
            score_of(_total(config, scores), what="calculate_output"), "; ".join(reasons), parts=scores
        )

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        parts = {
            key: self._kinds[part["type"]].to_openai(part, name=key, model=model)
            for key, part in config["graders"].items()
        }
        formula = config.get("calculate_output") or " + ".join(
            f"{w:g} * {key}" for key, w in config["weights"].items()
        )
        return {"type": "multi", "name": name, "graders": parts, "calculate_output": formula}

    def _component_problems(self, graders: Json, item_fields: Collection[str]) -> Iterator[Problem]:
        for name, part in graders.items():
            kind = self._kinds.get(str(part.get("type"))) if isinstance(part, dict) else None
            if not name.isidentifier() or kind is None:
                offered = ", ".join(self._kinds)
                yield Problem("bad_component", f"{name}: needs a plain name and a type, one of {offered}.")
                continue
            for problem in kind.check(part, item_fields):
                yield Problem(problem.code, f"{name}: {problem.message}")


def _total(config: Json, scores: Mapping[str, float]) -> float:
    if config.get("calculate_output"):
        try:
            return expression.evaluate(config["calculate_output"], scores)
        except expression.ExpressionError as error:
            raise GraderError(str(error)) from error
    return sum(float(weight) * scores[name] for name, weight in config["weights"].items())


def _formula_problems(config: Json, graders: Json) -> Iterator[Problem]:
    if config.get("calculate_output"):
        try:
            expression.check(str(config["calculate_output"]), list(graders))
        except expression.ExpressionError as error:
            yield Problem("bad_calculate_output", str(error))
        return
    weights = config.get("weights")
    if not isinstance(weights, dict) or set(weights) != set(graders):
        yield Problem("bad_weights", "Give calculate_output, or weights with one number for each grader.")
    elif not all(isinstance(weight, int | float) and weight > 0 for weight in weights.values()):
        yield Problem("bad_weights", "Every weight must be a number above 0.")
    elif abs(sum(weights.values()) - 1) > 1e-6:
        yield Problem("weights_not_1", f"The weights sum to {sum(weights.values()):g}; they must sum to 1.")
