"""What a grader is: something that gives a response a score in [0, 1], or says why it could not.

One file a kind beside this one, one registry line in `__init__.py`. A grader that fails yields an *error*, never a zero.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from storage.records import Json
from tasks.asking import Meter
from tasks.graders.sandbox import Sandbox
from tasks.models.port import ChatModel, Embedder
from tasks.rules.problems import Problem


class GraderError(Exception):
    """The grader could not score this response. The message is shown to people beside the sample."""


class NotExportable(Exception):
    """The grader cannot be what a provider runs. The message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Grade:
    """`score` is None exactly when `error` says why. `parts` are the criteria or component graders, by name."""

    score: float | None
    reasoning: str = ""
    error: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One response to judge.

    messages  the conversation it answers, in the wire form of chat models
    output    the text of the response; `output_tools` its tool calls, if any
    item      every further column of the row, `reference_answer` among them
    """

    messages: Sequence[Json]
    output: str
    output_tools: Sequence[Json] = ()
    item: Json = field(default_factory=dict)
    tools: Sequence[Json] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """What graders may use: a model to judge with, embeddings, and the sandbox for scripts."""

    chat: ChatModel
    judge_model: str
    meter: Meter
    sandbox: Sandbox
    embedder: Embedder | None = None


class GraderKind(Protocol):
    """`grade` raises `GraderError` or `ModelError` when there is no score; `tasks.graders.grade` turns both into a `Grade`."""

    @property
    def name(self) -> str: ...

    def check(self, config: Json, item_fields: Collection[str]) -> tuple[Problem, ...]:
        """Everything wrong with a configuration, in words; `item_fields` are the columns that the rows have."""
        ...

    async def grade(self, config: Json, sample: Sample, bench: Bench) -> Grade: ...

    def to_openai(self, config: Json, *, name: str, model: str) -> Json:
        """The same grader as an object of OpenAI's grader API; `model` is used where the configuration names none.

        Raises `NotExportable`."""
        ...


def score_of(value: Any, *, what: str) -> float:
    """A finite number in [0, 1], or `GraderError`. A comparison's True and False count as 1 and 0."""
    if not isinstance(value, int | float):
        raise GraderError(f"{what} gave {_shown(value)} instead of a number from 0 to 1.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not -1e-9 <= number <= 1 + 1e-9:
        raise GraderError(f"{what} gave {_shown(value)}; a score lies between 0 and 1.")
    return min(1.0, max(0.0, number))


def sample_object(sample: Sample) -> Json:
    """The `sample` that scripts and templates see, with OpenAI's field names."""
    return {
        "output_text": sample.output,
        "output_json": parsed(sample.output),
        "output_tools": list(sample.output_tools),
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": sample.output,
                    "tool_calls": list(sample.output_tools),
                }
            }
        ],
    }


def parsed(text: str) -> Any:
    """The JSON in a text, None when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 1e12 else "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}…"
