"""A model as grader: each criterion is asked by itself, at temperature 0, with a strict answer; weights put them together.

The response and the row travel as data in the user message, apart from the instructions, so that a response that gives orders
is judged rather than obeyed. One criterion that cannot be scored makes the whole grade an error: a partial sum would lie.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from storage.records import Json
from tasks.asking import Asker
from tasks.graders import templates
from tasks.graders.port import Bench, Grade, GraderError, Sample, score_of
from tasks.models.port import ModelAnswerInvalid
from tasks.prompts import prompt
from tasks.rules import graders as rules
from tasks.rules.problems import Problem
from tasks.schemas import judgement

MAX_TOKENS = 256
MAX_CRITERIA = 12
SHOWN_CHARACTERS = 24_000  # of a response; more is cut, and said so


class JudgeGrader:
    name = "llm_as_judge"

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        problems = list(_criteria_problems(config.get("criteria")))
        if config.get("prompt"):
            problems += templates.check(config["prompt"], item_fields, what="The judge's prompt")
        if not isinstance(config.get("model", ""), str):
            problems.append(Problem("bad_model", "The judge's model must be a name."))
        return tuple(problems)

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        asker = Asker(bench.chat, config.get("model") or bench.judge_model, bench.meter)
        system = _system(config, sample)
        scores: dict[str, float] = {}
        reasons = []
        criteria = rules.normalise(_criteria(config["criteria"]))
        for criterion in criteria:
            answer = await _judged(
                asker, system, criterion, sample, int(config.get("max_tokens") or MAX_TOKENS)
            )
            scores[criterion.name] = score_of(answer["score"], what=f"The judge ({criterion.name})")
            reasons.append(f"{criterion.name}: {str(answer.get('reasoning', '')).strip()}")
        total = rules.aggregate(scores, {criterion.name: criterion.weight for criterion in criteria})
        return Grade(total, reasoning="\n".join(reasons), parts=scores)

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        criteria = rules.normalise(_criteria(config["criteria"]))
        graders = {
            f"criterion_{place}": _score_model(config, criterion, model)
            for place, criterion in enumerate(criteria)
        }
        if len(graders) == 1:
            return {**graders["criterion_0"], "name": name}
        terms = [f"{criterion.weight:g} * criterion_{place}" for place, criterion in enumerate(criteria)]
        return {"type": "multi", "name": name, "graders": graders, "calculate_output": " + ".join(terms)}


async def _judged(
    asker: Asker, system: str, criterion: rules.Criterion, sample: Sample, max_tokens: int
) -> Json:
    data = {
        "criterion": {"name": criterion.name, "description": criterion.description},
        "conversation": [{"role": m.get("role"), "content": m.get("content")} for m in sample.messages],
        "response": _response(sample),
        "item": sample.item,
    }
    try:
        return await asker.ask(
            system, data, judgement(), temperature=0.0, max_tokens=max_tokens, read=_readable
        )
    except ModelAnswerInvalid as error:
        raise GraderError(f"The judge's answer about {criterion.name} could not be read.") from error


def _readable(answer: Json) -> bool:
    score = answer.get("score")
    number = isinstance(score, int | float) and not isinstance(score, bool)
    return number and math.isfinite(float(answer["score"])) and 0 <= float(answer["score"]) <= 1


def _response(sample: Sample) -> str:
    text = sample.output
    if sample.output_tools:
        text = f"{text}\n[tool calls] {templates.as_json(list(sample.output_tools))}".strip()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} […cut]"


def _system(config: Json, sample: Sample) -> str:
    """The house's judge prompt, after which the team's own words come, if it has any."""
    own = config.get("prompt")
    return f"{prompt('judge')}\n\n{templates.render(own, sample)}" if own else prompt("judge")


def _score_model(config: Json, criterion: rules.Criterion, model: str) -> Json:
    question = f"{prompt('judge')}\n\nCriterion: {criterion.name}. {criterion.description}"
    return {
        "type": "score_model",
        "name": criterion.name,
        "model": config.get("model") or model,
        "input": [
            {"role": "system", "content": question},
            {
                "role": "user",
                "content": "Conversation:\n{{item.messages}}\n\nResponse:\n{{sample.output_text}}",
            },
        ],
        "range": [0.0, 1.0],
        "sampling_params": {
            "temperature": 0,
            "max_completions_tokens": int(config.get("max_tokens") or MAX_TOKENS),
        },
    }


def _criteria_problems(criteria: Any) -> tuple[Problem, ...]:
    if (
        not isinstance(criteria, list)
        or len(criteria) > MAX_CRITERIA
        or not all(isinstance(one, dict) for one in criteria)
    ):
        message = f"criteria must be a list of at most {MAX_CRITERIA}, each with a name, a description and a weight."
        return (Problem("bad_criteria", message),)
    try:
        return rules.criteria_problems(_criteria(criteria))
    except (TypeError, ValueError):
        return (Problem("invalid_weight", "Every criterion needs a weight that is a number."),)


def _criteria(given: list[Json]) -> tuple[rules.Criterion, ...]:
    return tuple(
        rules.Criterion(
            str(one.get("name", "")), str(one.get("description", "")), float(one.get("weight", 0))
        )
        for one in given
    )
