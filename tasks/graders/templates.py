"""The Mustache templates of graders: what their variables stand for, rendering them, and their names at OpenAI.

Which variables exist is a rule (`tasks/rules/graders.py`). Everything is put in as it is, without HTML escaping; partials are
refused, since they would read files.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import chevron
from chevron.tokenizer import tokenize

from storage.records import Json
from storage.rows import content_text, conversation_text
from tasks.graders.port import Sample, sample_object
from tasks.rules import graders as rules
from tasks.rules.problems import Problem

MAX_CHARACTERS = 20_000


def check(template: Any, item_fields: Collection[str], *, what: str) -> tuple[Problem, ...]:
    """Why a template cannot be used: not text, not Mustache, or a variable that no row will have."""
    if not isinstance(template, str) or len(template) > MAX_CHARACTERS:
        return (Problem("bad_template", f"{what} must be a text of at most {MAX_CHARACTERS:,} characters."),)
    found = rules.template_problems(template, item_fields)
    if not found:
        try:
            list(tokenize(template))
        except SyntaxError as error:
            found = (Problem("bad_template", f"It cannot be read: {error}"),)
    return tuple(Problem(problem.code, f"{what}: {problem.message}") for problem in found)


def render(template: str, sample: Sample) -> str:
    """The template with the sample's values in it. Raises ValueError for what `check` would have refused."""
    tokens = [("no escape" if kind == "variable" else kind, key) for kind, key in tokenize(template)]
    if any(kind == "partial" for kind, _ in tokens):
        raise ValueError("partials are not allowed")
    return str(chevron.render(template=tokens, data=_data(sample), partials_dict={}))


class _Listed(list[Any]):
    """A list that sections walk through and that reads well where it is put in whole."""

    def __init__(self, items: list[Any], shown: str) -> None:
        super().__init__(items)
        self.shown = shown

    def __str__(self) -> str:
        return self.shown


def _data(sample: Sample) -> Json:
    users = [message for message in sample.messages if message.get("role") == "user"]
    systems = [message for message in sample.messages if message.get("role") in ("system", "developer")]
    shown = sample_object(sample)
    readable = [{**message, "content": content_text(message.get("content"))} for message in sample.messages]
    return {
        "messages": _Listed(readable, conversation_text(list(sample.messages))),
        "response": sample.output,
        "lastUserMessage": content_text(users[-1].get("content")) if users else "",
        "tools": _Listed(list(sample.tools), as_json(list(sample.tools))),
        "toolCalls": _Listed(list(sample.output_tools), as_json(list(sample.output_tools))),
        "systemPrompt": content_text(systems[0].get("content")) if systems else "",
        "item": {
            key: value if isinstance(value, str | dict) else as_json(value)
            for key, value in sample.item.items()
        },
        "sample": {
            "output_text": sample.output,
            "output_json": as_json(shown["output_json"]),
            "output_tools": as_json(shown["output_tools"]),
        },
    }


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


_OPENAI_NAMES = {"response": "sample.output_text", "toolCalls": "sample.output_tools", "tools": "item.tools"}


def to_openai(template: str) -> str:
    """The template with OpenAI's names. What OpenAI cannot name (the last user message, sections over the turns) becomes
    the whole conversation, as the uploaded row has it."""
    parts, inside = [], 0
    for kind, key in tokenize(template):
        inside += (kind in ("section", "inverted section")) - (kind == "end")
        if kind == "end" and not inside:
            parts.append("{{item.messages}}")
        elif not inside and kind == "literal":
            parts.append(key)
        elif not inside:
            parts.append("{{" + _OPENAI_NAMES.get(key, key if "." in key else "item.messages") + "}}")
    return "".join(parts)
