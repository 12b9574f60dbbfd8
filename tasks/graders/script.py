"""A grader written in Python: `grade(sample: dict, item: dict) -> float`, run in the sandbox.

Python only. JavaScript waits for its own sandbox and is refused in words. Helpers that the sandbox's standard library lacks are
offered as functions: `fuzzy_ratio`, `bleu`, `rouge_l`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from typing import Any

from storage.records import Json
from tasks.graders import similarity
from tasks.graders.port import Bench, Grade, GraderError, Sample, sample_object, score_of
from tasks.graders.sandbox import ScriptFailed, load
from tasks.rules.problems import Problem

MAX_CHARACTERS = 20_000
HELPERS: dict[str, Callable[..., Any]] = {
    "fuzzy_ratio": similarity.fuzzy_match,
    "bleu": similarity.bleu,
    "rouge_l": similarity.rouge_l,
}


class ScriptGrader:
    name = "script"

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        language, source = config.get("language", "python"), config.get("source")
        if language != "python":
            message = "JavaScript graders are not available yet. Write it in Python: def grade(sample, item): return 0.0 to 1.0."
            return (Problem("language_not_available", message),)
        if not isinstance(source, str) or not source.strip():
            return (Problem("missing_source", "The script is empty. It needs def grade(sample, item)."),)
        if len(source) > MAX_CHARACTERS:
            return (Problem("source_too_long", f"The script is longer than {MAX_CHARACTERS:,} characters."),)
        return tuple(_source_problems(source))

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        inputs = {
            "_sample": sample_object(sample),
            "_item": {**sample.item, "messages": list(sample.messages)},
        }
        try:
            value = await bench.sandbox.call(config["source"], "grade(_sample, _item)", inputs, HELPERS)
        except ScriptFailed as error:
            place = f" (line {error.line})" if error.line else ""
            raise GraderError(f"The script failed{place}: {error}") from error
        return Grade(score_of(value, what="The script"))

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        """Helpers are ours: a script that uses them is exported as it is and will fail where they do not exist."""
        return {"type": "python", "name": name, "source": config["source"]}


def _source_problems(source: str) -> Iterator[Problem]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 0
        yield Problem(
            "syntax_error", f"Line {line}: {getattr(error, 'msg', None) or 'the script cannot be read'}."
        )
        return
    grade = next(
        (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "grade"), None
    )
    if grade is None or len(grade.args.args) != 2:
        yield Problem(
            "no_grade_function",
            "The script must define a function grade(sample, item) that returns a number from 0 to 1.",
        )
        return
    try:
        load(source, HELPERS)
    except ScriptFailed as error:
        place = f"Line {error.line}: " if error.line else ""
        yield Problem("not_supported", f"{place}{error}")
