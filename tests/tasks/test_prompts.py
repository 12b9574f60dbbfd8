"""Prompts are prose in files; a prompt and its caller cannot drift apart unnoticed."""

from __future__ import annotations

from importlib.resources import files

import pytest

from tasks.prompts import PromptError, filled, prompt

NAMES = sorted(
    file.name.removesuffix(".md") for file in files("tasks.prompts").iterdir() if file.name.endswith(".md")
)


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_complete_without_variables(name: str) -> None:
    assert len(prompt(name)) > 200
    assert "{{" not in prompt(name)


def test_variables_are_filled_once_and_not_looked_into() -> None:
    assert filled("Hello {{ name }}!", {"name": "{{other}}"}, name="x") == "Hello {{other}}!"


@pytest.mark.parametrize("given", [{}, {"name": "a", "extra": "b"}, {"nme": "a"}])
def test_a_missing_or_unknown_variable_is_an_error(given: dict[str, str]) -> None:
    with pytest.raises(PromptError):
        filled("Hello {{name}}", given, name="x")


def test_an_unknown_prompt_is_an_error() -> None:
    with pytest.raises(PromptError, match="nothing"):
        prompt("nothing")
