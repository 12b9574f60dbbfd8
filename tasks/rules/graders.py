"""What a grader's configuration must satisfy, and how its parts make one score.

Numbers of domain.md §6. Runs no grader and calls no model. Attacks on a grader are in `red_team.py`,
agreement between judges in `agreement.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tasks.rules.problems import Problem

Preset = Literal["quality", "correctness", "tool_usage", "format_compliance", "conciseness"]

WEIGHT_TOLERANCE = 1e-6
ITEM_PREFIX = "item."
LIST_FIELDS: Mapping[str, frozenset[str]] = {
    "messages": frozenset({"role", "content", "name", "tool_calls", "tool_call_id"}),
    "tools": frozenset({"type", "name", "description", "parameters", "function"}),
    "toolCalls": frozenset({"id", "type", "name", "arguments", "function"}),
}
VARIABLES = frozenset(
    {
        *LIST_FIELDS,
        "response",
        "lastUserMessage",
        "systemPrompt",
        "sample.output_text",
        "sample.output_json",
        "sample.output_tools",
    }
)
_TAG = re.compile(r"\{\{\{(?P<raw>.*?)\}\}\}|\{\{(?P<kind>[#^/!>&=]?)(?P<name>.*?)\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Criterion:
    """`weight` is a share of 1 once normalised."""

    name: str
    description: str
    weight: float


PRESETS: Mapping[Preset, tuple[Criterion, ...]] = {
    "quality": (
        Criterion(
            "Quality", "How good the answer is overall: right, helpful, clear, in the wanted tone.", 1.0
        ),
    ),
    "correctness": (
        Criterion(
            "Accuracy", "Everything stated is true and agrees with the reference where there is one.", 0.7
        ),
        Criterion("Completeness", "Every part of the request is answered.", 0.3),
    ),
    "tool_usage": (
        Criterion("Right tool selected", "The tools that the request needs are called, and no others.", 0.3),
        Criterion("Parameters valid", "Each call's arguments fit the tool's schema and the request.", 0.3),
        Criterion("Result used", "The answer follows from what the tools returned.", 0.4),
    ),
    "format_compliance": (
        Criterion("Parses", "The answer parses in the format that was asked for.", 0.5),
        Criterion("Required fields", "Every required field is present and of the right type.", 0.5),
    ),
    "conciseness": (
        Criterion("Answers", "The request is answered.", 0.6),
        Criterion("Length band", "The answer is neither padded nor cut short for what was asked.", 0.4),
    ),
}


def aggregate(scores: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    """The weighted mean of the criteria's scores, in [0, 1].

    None, an error, as soon as one criterion with a weight has no score: a failed part is never taken for a
    zero.
    """
    whole = sum(weights.values())
    parts = [(scores.get(name), weight) for name, weight in weights.items() if weight > 0]
    if not parts or whole <= 0:
        return None
    known = [score * weight for score, weight in parts if score is not None]
    if len(known) < len(parts):
        return None
    return min(1.0, max(0.0, sum(known) / whole))


def criteria_problems(criteria: Sequence[Criterion]) -> tuple[Problem, ...]:
    """What keeps criteria from being used; weights may sum to 1 or, as percentages, to 100."""
    if not criteria:
        return (Problem("no_criteria", "Name at least one criterion to score by."),)
    problems = [
        Problem("invalid_weight", f"The weight of {one.name or 'a criterion'} must be a number above 0.")
        for one in criteria
        if not one.weight > 0
    ]
    problems += [
        Problem("unnamed_criterion", "Every criterion needs a name.")
        for one in criteria
        if not one.name.strip()
    ]
    names = [one.name.strip().casefold() for one in criteria]
    problems += [
        Problem("duplicate_criterion", f"{one.name} is named twice.")
        for place, one in enumerate(criteria)
        if names.index(names[place]) < place
    ]
    whole = sum(one.weight for one in criteria)
    if not problems and not _sums_to(whole, 1) and not _sums_to(whole, 100):
        problems.append(
            Problem("weights_not_1", f"The weights sum to {whole:g}; they must sum to 1, or to 100 %.")
        )
    return tuple(problems)


def normalise(criteria: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """The same criteria with weights as shares that sum to 1; percentages are divided by 100.

    Raises ValueError, with every problem in words, when `criteria_problems` has any.
    """
    problems = criteria_problems(criteria)
    if problems:
        raise ValueError(" ".join(problem.message for problem in problems))
    whole = sum(one.weight for one in criteria)
    scale = 100.0 if _sums_to(whole, 100) else 1.0
    return tuple(Criterion(one.name.strip(), one.description.strip(), one.weight / scale) for one in criteria)


def unknown_variables(template: str, item_fields: Collection[str] | None = None) -> tuple[str, ...]:
    """Mustache names in a judge's prompt that nothing will fill, in order of appearance.

    `item_fields` are the dataset's extra columns; None when they are not known yet, and any `item.<field>`
    passes. Inside `{{#messages}}…{{/messages}}` the fields of a message are known, too; likewise for tools
    and toolCalls.
    """
    unknown: list[str] = []
    open_sections: list[str] = []
    for kind, name in _tags(template):
        if kind == "!":
            continue
        if kind == "/":
            _close(open_sections, name)
            continue
        if not _is_known(name, item_fields, open_sections) or kind in (">", "="):
            unknown.append(f"{kind}{name}" if kind in (">", "=") else name)
        if kind in ("#", "^"):
            open_sections.append(name)
    return tuple(dict.fromkeys(unknown))


def template_problems(template: str, item_fields: Collection[str] | None = None) -> tuple[Problem, ...]:
    """Unknown variables, sections that are not closed in order, and braces without a pair."""
    problems = [
        Problem(
            "unknown_variable",
            f"{{{{{name}}}}} is not known; use one of {', '.join(sorted(VARIABLES))}, item.<field>.",
        )
        for name in unknown_variables(template, item_fields)
    ]
    open_sections: list[str] = []
    for kind, name in _tags(template):
        if kind in ("#", "^"):
            open_sections.append(name)
        elif kind == "/" and not _close(open_sections, name):
            problems.append(Problem("unopened_section", f"{{{{/{name}}}}} closes nothing that is open."))
    problems += [Problem("unclosed_section", f"{{{{#{name}}}}} is never closed.") for name in open_sections]
    rest = _TAG.sub("", template)
    if "{{" in rest or "}}" in rest:
        problems.append(Problem("broken_tag", "Two braces open or close without their pair."))
    return tuple(problems)


def diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed between two grader configurations, one line for each change, for people."""
    lines = list(_criteria_diff(_weights(old), _weights(new)))
    for key in dict.fromkeys([*old, *new]):
        if key != "criteria" and old.get(key) != new.get(key):
            lines.append(_field_diff(key, old.get(key), new.get(key)))
    return tuple(lines)


def _sums_to(whole: float, wanted: float) -> bool:
    return abs(whole - wanted) <= WEIGHT_TOLERANCE * wanted


def _tags(template: str) -> Iterable[tuple[str, str]]:
    for match in _TAG.finditer(template):
        if match["raw"] is not None:
            yield "", match["raw"].strip()
        else:
            yield match["kind"], match["name"].strip()


def _close(open_sections: list[str], name: str) -> bool:
    if not open_sections or open_sections[-1] != name:
        return False
    open_sections.pop()
    return True


def _is_known(name: str, item_fields: Collection[str] | None, open_sections: Sequence[str]) -> bool:
    if name in VARIABLES or any(
        name.startswith(f"{known}.") for known in ("sample.output_json", "sample.output_tools")
    ):
        return True
    if name.startswith(ITEM_PREFIX) and len(name) > len(ITEM_PREFIX):
        rest = name.removeprefix(ITEM_PREFIX)
        return item_fields is None or rest in item_fields or rest.partition(".")[0] in item_fields
    if name == "." or name == "item":
        return bool(open_sections) or name == "item"
    inner = {field for section in open_sections for field in LIST_FIELDS.get(section, ())}
    within_item = any(section.startswith(ITEM_PREFIX) for section in open_sections)
    return name.partition(".")[0] in inner or within_item


def _weights(config: Mapping[str, Any]) -> dict[str, tuple[float, str]]:
    return {
        str(one.get("name", "")): (float(one.get("weight", 0)), str(one.get("description", "")))
        for one in config.get("criteria") or ()
    }


def _criteria_diff(
    old: Mapping[str, tuple[float, str]], new: Mapping[str, tuple[float, str]]
) -> Iterable[str]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            yield f"added {name} ({_percent(new[name][0])})"
        elif name not in new:
            yield f"removed {name} (was {_percent(old[name][0])})"
        else:
            if abs(old[name][0] - new[name][0]) > WEIGHT_TOLERANCE:
                yield f"{name}: {_percent(old[name][0])} → {_percent(new[name][0])}"
            if old[name][1] != new[name][1]:
                yield f"{name}: described differently"


def _percent(weight: float) -> str:
    share = weight if weight > 1 else weight * 100
    return f"{round(share, 1):g} %"


def _field_diff(key: str, old: Any, new: Any) -> str:
    if old is None or new is None:
        return f"{key} {'set' if old is None else 'removed'}"
    texts = isinstance(old, str) and isinstance(new, str)
    if texts and ("\n" in old + new or len(old) + len(new) > 120):
        changes = [line[0] for line in difflib.ndiff(old.splitlines(), new.splitlines())]
        return f"{key} changed (+{changes.count('+')} −{changes.count('-')} lines)"
    return f"{key}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def script_language(source: str) -> Literal["python", "javascript"]:
    """The language a script seems to be written in: JavaScript where `evaluate` is made in JavaScript's way, else Python."""
    return "javascript" if _EVALUATE.search(source) else "python"


_EVALUATE = re.compile(r"\bfunction\s+evaluate\s*\(|\b(?:const|let|var)\s+evaluate\s*=")
