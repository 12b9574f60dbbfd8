"""Graders by kind, and the four things one does with them: check a configuration, open a bench, grade, export.

Adding a kind is one file and one line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from storage.records import Json
from tasks.asking import Meter
from tasks.graders.judge import JudgeGrader
from tasks.graders.label_model import LabelModelGrader
from tasks.graders.multi import MultiGrader
from tasks.graders.port import Bench, Grade, GraderError, GraderKind, Sample
from tasks.graders.sandbox import Sandbox
from tasks.graders.script import ScriptGrader
from tasks.graders.string_check import StringCheckGrader
from tasks.graders.text_similarity import TextSimilarityGrader
from tasks.models.port import ChatModel, Embedder, ModelError, ModelUnavailable
from tasks.rules.problems import Problem

_SINGLE: tuple[GraderKind, ...] = (
    JudgeGrader(),
    ScriptGrader(),
    StringCheckGrader(),
    TextSimilarityGrader(),
    LabelModelGrader(),
)
_PARTS = {kind.name: kind for kind in _SINGLE}
KINDS: dict[str, GraderKind] = {**_PARTS, "multi": MultiGrader(_PARTS)}


def check(kind: str, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
    """Everything that keeps this configuration from being a grader; empty when it may be one. May take a moment for scripts."""
    if kind not in KINDS:
        return (Problem("unknown_kind", f"There is no grader kind {kind}; there are {', '.join(KINDS)}."),)
    if not isinstance(config, dict):
        return (Problem("bad_config", "A grader's configuration is an object."),)
    return KINDS[kind].check(config, item_fields)


@asynccontextmanager
async def bench(
    *, chat: ChatModel, judge_model: str, meter: Meter, embedder: Embedder | None = None
) -> AsyncIterator[Bench]:
    """What grading needs, for as long as it is needed: scripts' processes end with it."""
    async with Sandbox() as sandbox:
        yield Bench(chat=chat, judge_model=judge_model, meter=meter, sandbox=sandbox, embedder=embedder)


async def grade(kind: str, config: Json, sample: Sample, bench: Bench) -> Grade:
    """The grade of one response; a failure is a grade without a score, with the reason.

    Raises `ModelUnavailable` only: a judge that is away says nothing about the response, and asking later helps."""
    try:
        return await KINDS[kind].grade(config, sample, bench)
    except GraderError as error:
        return Grade(None, error=str(error))
    except ModelUnavailable:
        raise
    except ModelError:
        return Grade(None, error="The judge's model would not answer.")


def to_openai(kind: str, config: Json, *, name: str = "reward", model: str = "") -> Json:
    """The grader as a provider's fine-tuning job takes it."""
    return KINDS[kind].to_openai(config, name=name, model=model)
