"""The prompts of structured calls: Markdown files beside this module, reviewed as prose.

A file may name variables as `{{name}}`; giving one too few or one too many is an error, so a prompt and its caller cannot
drift apart. Data (rows, topics, answers) never goes in here: it travels as JSON in the user message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class PromptError(Exception):
    """A prompt and what it was given do not fit; a bug, never a person's mistake."""


def prompt(name: str, **variables: str) -> str:
    """The prompt called `name` with its variables filled in. Raises `PromptError`."""
    return filled(_text(name), variables, name=name)


def filled(text: str, variables: Mapping[str, str], *, name: str) -> str:
    """`text` with every `{{variable}}` replaced once; what is put in is not looked at again."""
    wanted = set(_VARIABLE.findall(text))
    if wanted != set(variables):
        missing, unknown = sorted(wanted - set(variables)), sorted(set(variables) - wanted)
        raise PromptError(f"prompt {name}: missing {missing}, not used {unknown}")
    return _VARIABLE.sub(lambda match: variables[match.group(1)], text)


@cache
def _text(name: str) -> str:
    try:
        return (files(__package__) / f"{name}.md").read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise PromptError(f"there is no prompt called {name}") from error
