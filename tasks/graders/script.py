"""A grader written as a script, run in the sandbox: Python `grade(sample: dict, item: dict) -> float`, or JavaScript
`evaluate(input) -> number | {score, reasoning}`.

Helpers that the Python sandbox's standard library lacks are offered as functions: `fuzzy_ratio`, `bleu`, `rouge_l`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from typing import Any

from storage.records import Json
from tasks.graders import javascript, similarity
from tasks.graders.javascript import JavaScriptFailed
from tasks.graders.port import Bench, Grade, GraderError, NotExportable, Sample, sample_object, score_of
from tasks.graders.sandbox import MEMORY_BYTES, SECONDS, ScriptFailed, load
from tasks.rules.problems import Problem

MAX_CHARACTERS = 20_000
SIGNATURES = {"python": "def grade(sample, item)", "javascript": "function evaluate(input)"}
HELPERS: dict[str, Callable[..., Any]] = {
    "fuzzy_ratio": similarity.fuzzy_match,
    "bleu": similarity.bleu,
    "rouge_l": similarity.rouge_l,
}


class ScriptGrader:
    name = "script"

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        language, source = config.get("language", "python"), config.get("source")
        if language not in SIGNATURES:
            message = f"There is no language {str(language)[:40]!r}; there are: {', '.join(SIGNATURES)}."
            return (Problem("language_not_available", message),)
        if not isinstance(source, str) or not source.strip():
            return (Problem("missing_source", f"The script is empty. It needs {SIGNATURES[language]}."),)
        if len(source) > MAX_CHARACTERS:
            return (Problem("source_too_long", f"The script is longer than {MAX_CHARACTERS:,} characters."),)
        return tuple(_source_problems(source) if language == "python" else _javascript_problems(source))

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade:
        if config.get("language") == "javascript":
            return await _by_javascript(config["source"], sample, bench)
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
        """Raises `NotExportable` for what OpenAI would not run: JavaScript, and scripts that use our helpers."""
        if config.get("language") == "javascript":
            raise NotExportable(
                "OpenAI runs graders in Python only, and this one is JavaScript. Write it in Python."
            )
        used = [name for name in HELPERS if name in _names(config["source"])]
        if used:
            raise NotExportable(
                f"The script uses {', '.join(used)}, which exists only here. Write it out in the script, or use a "
                "text_similarity grader."
            )
        return {"type": "python", "name": name, "source": config["source"]}


async def _by_javascript(source: str, sample: Sample, bench: Bench) -> Grade:
    try:
        number, reasoning = await bench.sandbox.javascript.evaluate(source, _input(sample))
    except JavaScriptFailed as error:
        place = f" (line {error.line})" if error.line else ""
        raise GraderError(f"The script failed{place}: {error}") from error
    if number is None:
        raise GraderError("The script gave something that is neither a number nor {score, reasoning}.")
    return Grade(score_of(number, what="The script"), reasoning=reasoning)


def _input(sample: Sample) -> Json:
    """What `evaluate` gets: sample and item as in Python, and the conversation by the names that templates use."""
    return {
        "sample": sample_object(sample),
        "item": {**sample.item, "messages": list(sample.messages)},
        "messages": list(sample.messages),
        "response": sample.output,
        "tools": list(sample.tools),
        "toolCalls": list(sample.output_tools),
    }


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _javascript_problems(source: str) -> Iterator[Problem]:
    try:
        javascript.load(source, seconds=SECONDS, memory_bytes=MEMORY_BYTES)
    except JavaScriptFailed as error:
        missing = "must define" in str(error)
        place = f"Line {error.line}: " if error.line else ""
        yield Problem("no_evaluate_function" if missing else "syntax_error", f"{place}{error}")


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
