"""Modals: the same decisions as in chat, with fields. Dicts in, view dicts out; checked in `bot/listeners/forms.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bot.views.kit import Block, Choice, Json, clip, option, plain, section

INPUT_CHARACTERS = 3_000
MOST_INPUTS = 8
MOST_OPTIONS = 100


def goal(meta: Json, text: str) -> Block:
    element = _text(
        "goal", initial=text, many_lines=True, placeholder="Polite, correct answers to billing questions"
    )
    hint = "One or two sentences. It steers topics, generation and judging."
    return _modal(
        "goal", "The goal", "Save", meta, [_input("goal", "What should the model learn?", element, hint=hint)]
    )


def topics(meta: Json, outline: str) -> Block | None:
    """The outline to edit; None when it is too long for a modal."""
    parts = outline_parts(outline)
    if len(parts) > MOST_INPUTS:
        return None
    hint = "One topic a line, deeper ones indented. Name: what it covers [keyword, keyword]"
    inputs = [
        _input(
            f"outline_{index}",
            "Topics" if index == 0 else f"Topics, part {index + 1}",
            _text(
                f"outline_{index}",
                initial=part,
                many_lines=True,
                placeholder="Billing\n  Refunds\n  Invoices",
            ),
            hint=hint if index == 0 else "",
            optional=index > 0,
        )
        for index, part in enumerate(parts or [""])
    ]
    return _modal("topics", "Edit the topics", "Propose", meta, inputs)


def outline_parts(outline: str) -> list[str]:
    """The outline in pieces that fit an input, cut between lines."""
    parts: list[str] = []
    for line in outline.splitlines():
        if parts and len(parts[-1]) + len(line) + 1 <= INPUT_CHARACTERS:
            parts[-1] += "\n" + line
        else:
            parts.append(line[:INPUT_CHARACTERS])
    return parts


def template(meta: Json, names: Sequence[Choice]) -> Block:
    blocks = [_input("template", "Ready-made topics to start from", _select("template", names))]
    return _modal("template", "Use a template", "Propose", meta, blocks)


def grader(meta: Json, *, kind: str, criteria: str, script: str, presets: Sequence[Choice]) -> Block:
    """Criteria with weights, a preset, or a script in Python or JavaScript."""
    kinds = (
        Choice("Criteria, judged by a model", "criteria"),
        Choice("A preset", "preset"),
        Choice("A script (Python or JavaScript)", "script"),
    )
    example = (
        "Accuracy | 40 | The facts are right\nTone | 30 | Friendly and on brand\nBrevity | 30 | No padding"
    )
    code = "def grade(sample, item):\n    return 1.0 if 'sorry' in sample['output_text'] else 0.0"
    return _modal(
        "grader",
        "The grader",
        "Propose",
        meta,
        [
            _input("kind", "How should answers be judged?", _radio("kind", kinds, kind)),
            _input(
                "criteria",
                "Criteria",
                _text("criteria", initial=criteria, many_lines=True, placeholder=example),
                hint="One a line: name | weight | what it asks. Weights sum to 100.",
                optional=True,
            ),
            _input("preset", "Preset", _select("preset", presets), optional=True),
            _input(
                "script",
                "Script",
                _text("script", initial=script, many_lines=True, placeholder=code),
                hint="Runs in a sandbox without files, network or other modules.",
                optional=True,
            ),
        ],
    )


def generation(
    meta: Json,
    *,
    count: int,
    strategy: str,
    strategies: Sequence[Choice],
    topics: Sequence[Choice],
    chosen: Sequence[str],
    more: Json | None = None,
) -> Block:
    """How many, how, in which form, and for which topics (none chosen: those with too few rows).

    `more` holds what only some strategies look at, to begin with: generation_mode, base_scenario, aspects, tool_patterns.
    """
    picks = [option(entry.text, entry.value) for entry in topics[:MOST_OPTIONS]]
    element: Block = {
        "type": "multi_static_select",
        "action_id": "topics",
        "options": picks,
        "placeholder": plain("Those with too few rows", 150),
    }
    initial = [entry for entry in picks if entry["value"] in chosen]
    if initial:
        element["initial_options"] = initial
    number = _text("count", initial=str(count), placeholder="50")
    blocks = [
        _input("count", "Examples for each topic", number),
        _input("strategy", "How", _select("strategy", strategies, strategy)),
    ]
    if picks:
        hint = "None chosen: those with too few rows."
        blocks.append(_input("topics", "Topics", element, hint=hint, optional=True))
    return _modal("generation", "Generate examples", "Propose", meta, [*blocks, *_particulars(more or {})])


def _particulars(given: Json) -> list[Block]:
    """The form of the rows, and what scenarios and tool chains are made of."""
    forms = (Choice("Prompts only", "rft"), Choice("Whole conversations", "sft"))
    scenario = _text(
        "base_scenario",
        initial=str(given.get("base_scenario") or ""),
        placeholder="A loan is paid back early",
    )
    aspects = _text(
        "aspects",
        initial=str(given.get("aspects") or ""),
        many_lines=True,
        placeholder="late fees\ntone: calm, angry",
    )
    chains = _text(
        "tool_patterns",
        initial=str(given.get("tool_patterns") or ""),
        many_lines=True,
        placeholder="find_order, refund_order",
    )
    return [
        _input("mode", "Form", _radio("mode", forms, str(given.get("generation_mode") or "rft"))),
        _input(
            "base_scenario",
            "Scenario",
            scenario,
            hint="For scenarios: what all have in common.",
            optional=True,
        ),
        _input(
            "aspects", "What varies in it", aspects, hint="One a line; every combination once.", optional=True
        ),
        _input("tool_patterns", "Tool chains", chains, hint="One a line, tools in order.", optional=True),
    ]


def bootstrap(meta: Json, goal_text: str) -> Block:
    """A dataset from nothing but a goal."""
    said = _text(
        "goal", initial=goal_text, many_lines=True, placeholder="Polite, correct answers to billing questions"
    )
    return _modal(
        "bootstrap",
        "Start from a goal",
        "Propose topics",
        meta,
        [
            section(
                "No file: a model thinks of topics, then writes the rows. You approve both, and every row is marked."
            ),
            _input("goal", "What should the model learn?", said),
            _input("topic_count", "Topics", _text("topic_count", initial="6"), hint="2 to 20."),
            _input("count", "Examples for each topic", _text("count", initial="20")),
        ],
    )


def training(meta: Json, *, epochs: str, train_split: str, effort: str, rows: str) -> Block:
    efforts = (Choice("Low", "low"), Choice("Medium", "medium"), Choice("High", "high"))
    return _modal(
        "training",
        "Plan the training",
        "Propose",
        meta,
        [
            section(rows),
            _input(
                "epochs", "Epochs", _text("epochs", initial=epochs, placeholder="the default"), optional=True
            ),
            _input(
                "train_split",
                "Share of rows to train on",
                _text("train_split", initial=train_split, placeholder="0.9"),
            ),
            _input("effort", "Reasoning effort", _radio("effort", efforts, effort)),
        ],
    )


def export(meta: Json, formats: Sequence[Choice]) -> Block:
    """Which format, which rows, whole or divided."""
    splits = (
        Choice("All rows in one file", "none"),
        Choice("Training, validation and test, as a .zip", "all"),
        Choice("Training rows only", "train"),
        Choice("Validation rows only", "validation"),
        Choice("Test rows only", "test"),
    )
    generated = (Choice("With generated rows", "with"), Choice("Without generated rows", "without"))
    packed = (Choice("As it is", "plain"), Choice("Packed with gzip", "gzip"))
    shares = _text("shares", placeholder="80/10/10")
    return _modal(
        "export",
        "Export the dataset",
        "Export",
        meta,
        [
            _input("format", "Format", _select("format", formats, "jsonl")),
            _input("splits", "Rows", _radio("splits", splits, "none")),
            _input("shares", "Divided", shares, hint="Training/validation/test in percent.", optional=True),
            _input("generated", "Generated rows", _radio("generated", generated, "with")),
            _input("packed", "File", _radio("packed", packed, "plain")),
        ],
    )


def try_model(meta: Json) -> Block:
    element = _text("prompt", many_lines=True, placeholder="My invoice shows the wrong address")
    hint = "The base model and the tuned one both answer, side by side, in the thread."
    return _modal(
        "try", "Try the model", "Ask both", meta, [_input("prompt", "Ask something", element, hint=hint)]
    )


def override(meta: Json, title: str) -> Block:
    """Going on against advice needs a reason that is kept; an approver decides after that."""
    element = _text(
        "reason", many_lines=True, placeholder="The lowest scores are greetings, which we do not train on"
    )
    hint = "An approver reads it before anything happens, and it stays on record."
    return _modal(
        "override", title, "Ask an approver", meta, [_input("reason", "Why go on?", element, hint=hint)]
    )


# ---------------------------------------------------------------- parts


def _modal(name: str, title: str, submit: str, meta: Json, blocks: Sequence[Block | None]) -> Block:
    return {
        "type": "modal",
        "callback_id": name,
        "title": plain(title, 24),
        "submit": plain(submit, 24),
        "close": plain("Cancel", 24),
        "private_metadata": json.dumps(dict(meta))[:INPUT_CHARACTERS],
        "blocks": [block for block in blocks if block],
    }


def _input(block_id: str, label: str, element: Block, *, hint: str = "", optional: bool = False) -> Block:
    block: Block = {"type": "input", "block_id": block_id, "label": plain(label, 200), "element": element}
    if hint:
        block["hint"] = plain(hint, 300)
    if optional:
        block["optional"] = True
    return block


def _text(action: str, *, initial: str = "", many_lines: bool = False, placeholder: str = "") -> Block:
    element: Block = {"type": "plain_text_input", "action_id": action, "multiline": many_lines}
    if initial:
        element["initial_value"] = initial[:INPUT_CHARACTERS]
    if placeholder:
        element["placeholder"] = {"type": "plain_text", "text": clip(placeholder, 150)}
    return element


def _select(action: str, choices: Sequence[Choice], chosen: str = "") -> Block:
    options = [option(entry.text, entry.value) for entry in choices[:MOST_OPTIONS]]
    element: Block = {
        "type": "static_select",
        "action_id": action,
        "options": options,
        "placeholder": plain("Choose", 150),
    }
    initial = [entry for entry in options if entry["value"] == chosen]
    return {**element, "initial_option": initial[0]} if initial else element


def _radio(action: str, choices: Sequence[Choice], chosen: str) -> Block:
    options = [option(entry.text, entry.value) for entry in choices[:10]]
    initial = next((entry for entry in options if entry["value"] == chosen), options[0])
    return {"type": "radio_buttons", "action_id": action, "options": options, "initial_option": initial}
