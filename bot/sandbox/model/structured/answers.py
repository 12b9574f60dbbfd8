"""The registry of structured answers. An unknown schema, or data without the expected shape, gets a filled-in schema."""

from __future__ import annotations

import json
from collections.abc import Callable

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.structured.criteria import answer_criteria
from bot.sandbox.model.structured.from_goal import answer_personas, answer_topics
from bot.sandbox.model.structured.judge import answer_judgement
from bot.sandbox.model.structured.knowledge import (
    answer_check,
    answer_concepts,
    answer_facts,
    answer_procedures,
)
from bot.sandbox.model.structured.rewording import answer_paraphrases, answer_translations
from bot.sandbox.model.structured.schema_filler import fill
from bot.sandbox.model.structured.synthetic_rows import answer_rows
from bot.sandbox.model.structured.topic_changes import answer_changes
from bot.sandbox.model.structured.topic_labels import answer_labels
from bot.sandbox.model.structured.topic_tree import answer_tree

Answer = Callable[[Ask, Json], Json]

ANSWERS: dict[str, tuple[str, Answer]] = {
    "topic_hierarchy": ("clusters", answer_tree),
    "topic_changes": ("instruction", answer_changes),
    "topic_labels": ("rows", answer_labels),
    "synthetic_rows": ("count", answer_rows),
    "paraphrases": ("rows", answer_paraphrases),
    "translations": ("rows", answer_translations),
    "goal_topics": ("goal", answer_topics),
    "personas": ("goal", answer_personas),
    "knowledge_concepts": ("passages", answer_concepts),
    "knowledge_procedures": ("passages", answer_procedures),
    "knowledge_facts": ("passages", answer_facts),
    "knowledge_check": ("passages", answer_check),
    "grader_criteria": ("instruction", answer_criteria),
    "judgement": ("response", answer_judgement),
}


def structured_answer(ask: Ask, *, seed: int) -> object:
    """A JSON value for the schema that was asked for."""
    data = data_of(ask)
    needed, write = ANSWERS.get(ask.schema_name, ("", None))
    if write is None or needed not in data:
        return fill(dict(ask.schema), words=ask.last_user_text, seed=seed)
    return write(ask, data)


def data_of(ask: Ask) -> Json:
    """The user message's JSON object; empty when it is none."""
    try:
        data = json.loads(ask.last_user_text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
