"""What is wrong with a submitted modal, by block, before it is accepted. Pure: this is all that may come before the ack.

Reading the same values into parameters is here too, so that what was checked is what is done.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

from bot.listeners.parse import metadata_of, values_of
from tasks.exporting.shares import shares_of
from tasks.rules import graders, outline, topics
from tasks.rules.graders import Criterion

Json = dict[str, Any]
MOST_EXAMPLES = 5_000
NOT_JSON = 'This column holds JSON: a number, true, false, null, a list, or "words" in quotes.'
Errors = dict[str, str]


def errors_of(view: Json) -> Errors:
    """Messages to show in the modal, by block id; empty when it may be accepted."""
    check = CHECKS.get(str(view.get("callback_id") or ""))
    if check is None:
        return {}
    found = check(values_of(view), metadata_of(view))
    shown = [str(block.get("block_id")) for block in view.get("blocks") or [] if block.get("type") == "input"]
    fallback = shown[0] if shown else ""
    return {
        (block if block in shown else fallback): message[:1_900] for block, message in found.items() if shown
    }


# ---------------------------------------------------------------- reading


def outline_text(values: Json) -> str:
    """The outline, put together from its inputs."""
    parts = sorted(
        (int(name.partition("_")[2]), str(text))
        for name, text in values.items()
        if name.startswith("outline_")
    )
    return "\n".join(text for _, text in parts)


def criteria_of(text: str) -> tuple[Criterion, ...]:
    """Lines of `Name | 40 | what it asks`. Raises ValueError with the line at fault."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.lstrip("-*• ").split("|")]
        if len(parts) < 2:
            raise ValueError(
                f"Line {number}: write name | weight | what it asks, for example Accuracy | 40 | The facts are right."
            )
        found.append(Criterion(parts[0], " | ".join(parts[2:]), _weight(parts[1], number)))
    return tuple(found)


def criteria_text(criteria: list[Json]) -> str:
    """The reverse: what an edit starts from."""
    lines = []
    for item in criteria:
        weight = float(item.get("weight") or 0)
        share = weight * 100 if weight <= 1 else weight
        lines.append(f"{item.get('name', '')} | {share:g} | {item.get('description', '')}")
    return "\n".join(lines)


def whole_number(text: str) -> int | None:
    cleaned = text.strip().replace(",", "").replace(" ", "")
    return int(cleaned) if cleaned.isascii() and cleaned.isdigit() else None


def names_in(line: str) -> list[str]:
    """Names that are listed in one line, with commas or arrows between them."""
    return [name.strip() for name in re.split(r"[,;>→]|->", line) if name.strip(" -")]


def decimal(text: str) -> float | None:
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None


# ---------------------------------------------------------------- checks


def _goal(values: Json, metadata: Json) -> Errors:
    if len(str(values.get("goal") or "").strip()) < 3:
        return {"goal": "Say in a sentence what the model should learn."}
    return {}


def _topics(values: Json, metadata: Json) -> Errors:
    tree = outline.parse_outline(outline_text(values))
    deepest = int(metadata.get("depth") or topics.MAX_DEPTH)
    problems = topics.validate(tree, max_depth=max(deepest, topics.MAX_DEPTH))
    return {"outline_0": " ".join(problem.message for problem in problems[:5])} if problems else {}


def _grader(values: Json, metadata: Json) -> Errors:
    kind = values.get("kind")
    if kind == "preset":
        return {} if values.get("preset") else {"preset": "Choose one of the presets."}
    if kind == "script":
        return _script(str(values.get("script") or ""))
    try:
        problems = graders.criteria_problems(criteria_of(str(values.get("criteria") or "")))
    except ValueError as error:
        return {"criteria": str(error)}
    return {"criteria": " ".join(problem.message for problem in problems[:5])} if problems else {}


def _script(source: str) -> Errors:
    if graders.script_language(source) == "javascript":
        return {}  # what is wrong with it the sandbox says, which takes longer than a form may wait
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        return {"script": f"This is not valid Python{line}. JavaScript begins with function evaluate(input)."}
    named = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "grade"]
    if not named or len(named[0].args.args) != 2:
        return {"script": "Define grade(sample, item) that returns a number from 0 to 1."}
    return {}


def _generation(values: Json, metadata: Json) -> Errors:
    number = whole_number(str(values.get("count") or ""))
    if number is None or not 1 <= number <= MOST_EXAMPLES:
        return {"count": f"A whole number from 1 to {MOST_EXAMPLES:,}."}
    return {}


def _bootstrap(values: Json, metadata: Json) -> Errors:
    errors = _goal(values, metadata) | _generation(values, metadata)
    if not 2 <= (whole_number(str(values.get("topic_count") or "")) or 0) <= 20:
        errors["topic_count"] = "A whole number from 2 to 20."
    return errors


def _training(values: Json, metadata: Json) -> Errors:
    errors: Errors = {}
    epochs = str(values.get("epochs") or "").strip()
    if epochs and not 1 <= (whole_number(epochs) or 0) <= 50:
        errors["epochs"] = "A whole number from 1 to 50, or nothing for the default."
    split = decimal(str(values.get("train_split") or "0.9"))
    if split is None or not 0.5 <= split <= 0.99:
        errors["train_split"] = "A share from 0.5 to 0.99, such as 0.9."
    return errors


def _tried(values: Json, metadata: Json) -> Errors:
    return {} if str(values.get("prompt") or "").strip() else {"prompt": "Write something to ask the model."}


def _export(values: Json, metadata: Json) -> Errors:
    text = str(values.get("shares") or "").strip()
    try:
        shares = shares_of(text) if text else None
    except ValueError as error:
        return {"shares": f"{error}."}
    if shares and not shares.test and values.get("splits") == "test":
        return {"shares": f"With {shares} there is no test set."}
    return {}


def _override(values: Json, metadata: Json) -> Errors:
    return {} if len(str(values.get("reason") or "").strip()) >= 3 else {"reason": "Say why, in a sentence."}


def _row_edit(values: Json, metadata: Json) -> Errors:
    roles = [str(role) for role in metadata.get("turns") or ()]
    asked = [place for place, role in enumerate(roles) if role == "user"]
    errors: Errors = {}
    said = any(str(values.get(f"turn_{place}") or "").strip() for place in asked)
    if asked and "" not in roles and not said:
        errors[f"turn_{asked[-1]}"] = "A row needs what the user says."
    for place, kind in enumerate(str(metadata.get("kinds") or "")):
        if kind == "j" and not _is_json(str(values.get(f"col_{place}") or "null")):
            errors[f"col_{place}"] = NOT_JSON
    return errors


def _row_add(values: Json, metadata: Json) -> Errors:
    return {} if str(values.get("text") or "").strip() else {"text": "Write what the user says."}


def _row_thread(values: Json, metadata: Json) -> Errors:
    asked = [name for name, role in values.items() if name.startswith("role_") and role == "user"]
    if not any(str(values.get(name.replace("role_", "turn_")) or "").strip() for name in asked):
        return {"role_0": "Somebody has to be the user, with words: choose who asked."}
    topic, workflow = str(values.get("topic") or ""), str(values.get("workflow") or "")
    if topic and topic.partition("|")[0] != workflow:
        return {"topic": "This topic belongs to another dataset; choose one of the dataset above, or none."}
    return {}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


CHECKS: dict[str, Callable[[Json, Json], Errors]] = {
    "goal": _goal,
    "topics": _topics,
    "grader": _grader,
    "generation": _generation,
    "bootstrap": _bootstrap,
    "training": _training,
    "try": _tried,
    "export": _export,
    "override": _override,
    "row_edit": _row_edit,
    "row_add": _row_add,
    "row_thread": _row_thread,
}


def _weight(text: str, number: int) -> float:
    value = decimal(text.rstrip("% "))
    if value is None:
        raise ValueError(f"Line {number}: {text[:40]!r} is not a weight; write a number such as 40.")
    return value
