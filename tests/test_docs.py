"""The documentation against the code: what a page names exists, and what exists is named on a page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from agent.tools import TOOLS
from bot.actions import HANDLERS
from bot.commands import WORDS
from bot.metrics import Metrics
from bot.settings import SlackSettings
from bot.views import VIEWS
from storage.records import ProposalKind
from tasks import schemas
from tasks.rules.limits import Limits
from tasks.settings import Price, Settings

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
IN_THE_FILE = {"LIMITS", "PRICES", "TRAINING"}  # fields of Settings that the YAML file gives
OF_OTHERS = {"AWS_ENDPOINT_URL_S3", "FINETUNE_KEEP_JOURNEY"}  # read by boto3, by the sandbox's launcher


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The part of a page under a heading."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


# ---------------------------------------------------------------- features and their tests

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def features() -> list[str]:
    """The rows of all tables of features."""
    told = page("features.md").partition("## Not yet")[0]
    rows = [line for line in told.splitlines() if line.startswith("|")]
    return [line for line in rows if not line.startswith(("|---", "| feature |"))]


def test_every_feature_says_how_to_reach_it_and_names_its_test() -> None:
    wrong = [row for row in features() if row.count(" | ") != 2 or not NAMED_TEST.search(row)]
    assert wrong == [] and len(features()) > 60


def test_every_test_that_is_named_exists() -> None:
    named = NAMED_TEST.findall(page("features.md"))
    missing = [f"{file}::{test}" for file, test in named if test not in named_in(file)]
    assert missing == []


def test_only_tests_are_named_as_tests() -> None:
    """No name is spelled in a way that the check above does not see."""
    text = page("features.md")
    assert text.count("::test_") == len(NAMED_TEST.findall(text))


@cache
def named_in(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, defined)
    )


# ---------------------------------------------------------------- tools, commands, cards, buttons


def test_every_tool_is_a_feature_and_every_tool_named_exists() -> None:
    told = "\n".join(features())
    assert [tool.name for tool in TOOLS if f"`{tool.name}`" not in told] == []
    ways = [re.sub(r"\(cards? [^)]+\)", "", row.split(" | ")[1]) for row in features()]
    named = {name for way in ways for name in re.findall(r"`([a-z_]+)`", way)}
    assert named - {tool.name for tool in TOOLS} == set()


def test_every_slash_word_is_a_feature_and_every_word_named_exists() -> None:
    named = set(re.findall(r"`/finetune (\w+)", "\n".join(features())))
    assert named == set(WORDS)


def test_every_card_is_a_feature_and_documented_with_its_data() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", page("events.md"), re.MULTILINE))
    assert documented == {*VIEWS, "proposal"}
    shown = {
        name
        for row in features()
        for part in re.findall(r"\(cards? ([^)]+)\)", row)
        for name in re.findall(r"`(\w+)`", part)
    }
    assert {*VIEWS, "proposal"} - shown == set() == shown - {*VIEWS, "proposal"}


def test_every_proposal_kind_is_documented() -> None:
    told = page("events.md").partition("Proposal payloads, by kind:")[2].partition("\n\n")[0]
    kinds = re.findall(r"(\w+)\s+`\{", told)
    assert sorted(kinds) == sorted(get_args(ProposalKind))


def test_every_button_is_documented_and_every_button_named_exists() -> None:
    told = page("events.md").partition("Buttons,")[2]
    named = {name for name in re.findall(r"`([a-z]+\.[a-z]+)", told) if not name.endswith(".py")}
    assert named == {*HANDLERS, "review.pick", "review.keep"}


def test_every_structured_call_is_documented() -> None:
    made = {
        schemas.topic_hierarchy().name,
        schemas.topic_changes().name,
        schemas.topic_labels(["a"]).name,
        schemas.synthetic_rows(mode="rft").name,
        *(schemas.knowledge_rows(kind).name for kind in ("concepts", "procedures", "facts")),
        schemas.knowledge_check().name,
        schemas.grader_criteria().name,
        schemas.judgement().name,
        schemas.label(["a"]).name,
    }
    told = page("model-calls.md")
    assert {name for name in made if f"`{name}`" not in told} == set()


def test_prerequisites_of_not_yet_are_not_there() -> None:
    """A tool that came meanwhile has to leave the list of what is missing."""
    missing = page("features.md").partition("## Not yet")[2]
    assert [tool.name for tool in TOOLS if f"`{tool.name}`" in missing] == []


# ---------------------------------------------------------------- settings


def variables() -> set[str]:
    read = {*Settings.model_fields, *SlackSettings.model_fields}
    return {name.upper() for name in read} - IN_THE_FILE


def test_every_variable_is_documented_and_every_variable_named_exists() -> None:
    table = [line for line in page("settings.md").splitlines() if line.startswith("| `")]
    documented = {name for line in table for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", line.split(" | ")[0])}
    assert documented == variables()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_variable_that_nobody_reads(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    looks_like_one = re.findall(
        r"\b(?:[A-Z0-9]+_(?:TOKEN|SECRET|URL|PORT|DIR|KEY|MODEL|USD|PROVIDERS|SECONDS|CONFIG|WIRE|JOURNEY))\b",
        text,
    )
    assert set(looks_like_one) - variables() - OF_OTHERS == set()


def test_every_limit_is_documented_with_its_default() -> None:
    told = page("settings.md")
    for field in fields(Limits):
        assert re.search(rf"\b{field.name}: {field.default}\b", told), field.name
    assert all(f"{name}:" in told for name in Price.model_fields)


def test_defaults_of_the_table_are_those_of_the_code() -> None:
    told = page("settings.md")
    for text in (
        "| 0.0.0.0, 3000 |",
        "| 9100 |",
        "| `json` |",
        "| `auto` |",
        "| 10, – |",
        "| `~/.finetune` |",
    ):
        assert text in told, text
    now, slack = Settings.model_fields, SlackSettings.model_fields
    assert (now["port"].default, slack["metrics_port"].default, slack["host"].default) == (
        3000,
        9100,
        "0.0.0.0",
    )
    assert (now["training_poll_seconds"].default, str(now["data_dir"].default)) == (10.0, "~/.finetune")


# ---------------------------------------------------------------- links, commands, metrics

LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link]
    broken = [link for link in links if not (path.parent / link.partition("#")[0]).exists()]
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_page_names_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:storage|tasks|agent|bot|tests|docs|benchmarks)/[\w/.-]+\.(?:py|md|json|jsonl))", text
    )
    invented = {"tasks/steps/my_step.py"}
    assert [name for name in named if not (ROOT / name).exists() and name not in invented] == []


def test_commands_of_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    told = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", told, re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:^|`|bin/)finetune ([a-z]+)", told, re.MULTILINE)) <= set(commands())
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8") and "make test " in told


def test_the_procfile_runs_commands_that_exist() -> None:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    assert {line.split()[-1] for line in lines} == {"web", "worker", "trainer"} <= set(commands())


def commands() -> Iterator[str]:
    from bot.cli import app

    return (
        str(command.name or getattr(command.callback, "__name__", "")) for command in app.registered_commands
    )


def test_every_metric_is_documented() -> None:
    exposed = {
        f"{one.name}_total" if one.type == "counter" else one.name for one in Metrics().registry.collect()
    }
    documented = set(
        re.findall(r"^\| `(finetune_\w+)", section(page("operations.md"), "Metrics"), re.MULTILINE)
    )
    assert documented == exposed


def test_log_events_that_operators_are_told_of_are_logged() -> None:
    told = section(page("operations.md"), "Logs").partition("Events to look for:")[2]
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for package in ("bot", "tasks")
        for path in (ROOT / package).rglob("*.py")
    )
    named = re.findall(r"`([a-z_]+)`", told)
    assert len(named) > 8 and [name for name in named if f'"{name}"' not in source] == []
