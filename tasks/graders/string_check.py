"""A grader that compares two texts: equal, unequal, or one within the other. Field names are OpenAI's."""

from __future__ import annotations

from collections.abc import Callable, Collection

from storage.records import Json
from tasks.graders import templates
from tasks.graders.port import Bench, Grade, Sample
from tasks.rules.problems import Problem

OPERATIONS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


class StringCheckGrader:
    name = "string_check"

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        problems = [
            *templates.check(config.get("input"), item_fields, what="input"),
            *templates.check(config.get("reference"), item_fields, what="reference"),
        ]
        if config.get("operation") not in OPERATIONS:
            problems.append(Problem("bad_operation", f"operation must be one of {', '.join(OPERATIONS)}."))
        return tuple(problems)

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        text = templates.render(config["input"], sample)
        reference = templates.render(config["reference"], sample)
        passed = OPERATIONS[config["operation"]](text, reference)
        return Grade(1.0 if passed else 0.0, reasoning=f"{config['operation']}: {'yes' if passed else 'no'}")

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        fields = {key: templates.to_openai(config[key]) for key in ("input", "reference")}
        return {"type": "string_check", "name": name, "operation": config["operation"], **fields}
