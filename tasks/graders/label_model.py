"""A grader that lets a model choose one label; the passing ones score 1, the others 0. Field names are OpenAI's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from storage.records import Json
from tasks.asking import Asker
from tasks.graders import templates
from tasks.graders.port import Bench, Grade, GraderError, Sample
from tasks.models.port import ModelAnswerInvalid
from tasks.rules.problems import Problem
from tasks.schemas import label

MAX_TOKENS = 256


class LabelModelGrader:
    name = "label_model"

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        problems = []
        labels, passing = config.get("labels"), config.get("passing_labels")
        if not _texts(labels) or len(labels or ()) < 2:
            problems.append(Problem("bad_labels", "labels must be a list of at least two texts."))
        elif not _texts(passing) or not set(passing or ()) <= set(labels or ()):
            problems.append(Problem("bad_passing_labels", "passing_labels must be some of the labels."))
        turns = config.get("input")
        if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
            return (*problems, Problem("bad_input", "input must be a list of {role, content}."))
        for place, turn in enumerate(turns, start=1):
            problems += templates.check(turn.get("content"), item_fields, what=f"input {place}")
        return tuple(problems)

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        asker = Asker(bench.chat, config.get("model") or bench.judge_model, bench.meter)
        turns = [
            (turn.get("role", "user"), templates.render(turn["content"], sample)) for turn in config["input"]
        ]
        system = "\n\n".join(text for role, text in turns if role in ("system", "developer"))
        asked = "\n\n".join(text for role, text in turns if role not in ("system", "developer"))
        data = {"labels": config["labels"], "input": asked, "response": sample.output}
        schema = label(config["labels"])
        try:
            answer = await asker.ask(
                system or "Choose the label that fits the response.",
                data,
                schema,
                temperature=0.0,
                max_tokens=MAX_TOKENS,
                read=lambda found: found.get("label") in config["labels"],
            )
        except ModelAnswerInvalid as error:
            raise GraderError("The model did not answer with one of the labels.") from error
        passed = answer["label"] in config["passing_labels"]
        return Grade(1.0 if passed else 0.0, reasoning=f"{answer['label']}: {answer.get('reasoning', '')}")

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        turns = [
            {"role": turn.get("role", "user"), "content": templates.to_openai(turn["content"])}
            for turn in config["input"]
        ]
        return {
            "type": "label_model",
            "name": name,
            "model": config.get("model") or model,
            "input": turns,
            "labels": config["labels"],
            "passing_labels": config["passing_labels"],
        }


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) and each for each in value)
