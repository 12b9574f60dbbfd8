"""A grader that measures how alike two texts are. Field names are OpenAI's; the measures are in `similarity.py`.

`cosine` needs embeddings and is asked of the configured embedder; `meteor` is refused, see `similarity.py`.
"""

from __future__ import annotations

from collections.abc import Collection

from storage.records import Json
from tasks.graders import templates
from tasks.graders.port import Bench, Grade, GraderError, Sample, score_of
from tasks.graders.similarity import MEASURES
from tasks.rules.problems import Problem

COSINE = "cosine"


class TextSimilarityGrader:
    name = "text_similarity"

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        problems = [
            *templates.check(config.get("input"), item_fields, what="input"),
            *templates.check(config.get("reference"), item_fields, what="reference"),
        ]
        if config.get("evaluation_metric") not in (*MEASURES, COSINE):
            names = ", ".join((*MEASURES, COSINE))
            problems.append(Problem("bad_metric", f"evaluation_metric must be one of {names}."))
        return tuple(problems)

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        text = templates.render(config["input"], sample)
        reference = templates.render(config["reference"], sample)
        metric = config["evaluation_metric"]
        value = (
            await _cosine(text, reference, bench) if metric == COSINE else MEASURES[metric](text, reference)
        )
        return Grade(score_of(value, what=metric), reasoning=f"{metric} {value:.2f}")

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        fields = {key: templates.to_openai(config[key]) for key in ("input", "reference")}
        return {
            "type": "text_similarity",
            "name": name,
            "evaluation_metric": config["evaluation_metric"],
            **fields,
        }


async def _cosine(one: str, other: str, bench: Bench) -> float:
    if bench.embedder is None:
        raise GraderError("cosine needs an embedding model, and none is configured.")
    left, right = await bench.embedder.embed([one, other])
    return max(0.0, sum(a * b for a, b in zip(left, right, strict=True)))
