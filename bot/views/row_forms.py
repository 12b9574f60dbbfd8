"""Forms about rows: edit one turn by turn, write one by hand, or make one of a Slack thread. Dicts in, view dicts out.

What is wrong with a form is said by `bot/listeners/forms.py` before it is taken; what it does is in `bot/row_forms.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.kit import Block, Choice, Json, clip, escape, listed, mapped, option, plain, say, section
from bot.views.modals import INPUT_CHARACTERS, MOST_OPTIONS
from bot.views.row_modals import choice, modal

EDIT, ADD, THREAD = "row_edit", "row_add", "row_thread"
MOST_TURNS = 20
ROLES = (Choice("User", "user"), Choice("Assistant", "assistant"), Choice("System", "system"))
DROPPED = Choice("Leave it out", "drop")


def edit(meta: Json, data: Json) -> Block:
    """The row to change. `data`: turns [{role, text, editable}], columns [{name, text}], topics, topic, answer."""
    blocks: list[Block | None] = [section(str(data["note"])) if data.get("note") else None]
    for place, turn in enumerate(mapped(one) for one in listed(data.get("turns"))):
        blocks += _turn_input(place, turn)
    if data.get("answer"):
        hint = "What the assistant should say here. Leave it empty for reinforcement data."
        blocks.append(_input("answer", "Answer", _text("answer"), hint=hint, optional=True))
    blocks.append(_topic_input(list(data.get("topics") or ()), str(data.get("topic") or "")))
    for place, column in enumerate(mapped(one) for one in listed(data.get("columns"))):
        box = _text(f"col_{place}", str(column.get("text") or ""))
        blocks.append(_input(f"col_{place}", str(column.get("name") or "column"), box, optional=True))
    return modal(EDIT, "Edit the row", meta, blocks, submit="Save", close="Cancel")


def _turn_input(place: int, turn: Json) -> list[Block | None]:
    role, text = str(turn.get("role") or "user"), str(turn.get("text") or "")
    if not turn.get("editable", True):
        return [section(f"*{say(role.capitalize(), 30)}* (stays as it is)\n{escape(clip(text, 300))}")]
    hint = "" if role == "user" else "Empty: this turn is removed."
    box = _text(f"turn_{place}", text)
    return [_input(f"turn_{place}", role.capitalize(), box, hint=hint, optional=True)]


def _topic_input(topics: Sequence[Choice], chosen: str) -> Block | None:
    if not topics:
        return None
    choices = (Choice("No topic", "none"), *topics[: MOST_OPTIONS - 1])
    known = chosen if any(one.value == chosen for one in choices) else ""
    return _input("topic", "Topic", choice("topic", "Choose", choices, known), optional=True)


def add(meta: Json, topics: Sequence[Choice]) -> Block:
    """A row by hand."""
    example = "My invoice shows the wrong address. Can you correct it?"
    blocks = [
        _input("text", "What the user says", _text("text", placeholder=example)),
        _input(
            "answer",
            "Answer",
            _text("answer"),
            optional=True,
            hint="Only where the model should learn this very answer.",
        ),
        _input(
            "reference",
            "Reference answer",
            _text("reference"),
            optional=True,
            hint="What a good answer says, for the grader.",
        ),
        _input("system", "System message", _text("system"), optional=True),
        _topic_input(topics, ""),
    ]
    return modal(ADD, "Add a row", meta, blocks, submit="Add", close="Cancel")


def thread(
    meta: Json,
    turns: Sequence[Json],
    workflows: Sequence[Choice],
    topics: Sequence[tuple[str, Sequence[Choice]]],
    *,
    note: str = "",
) -> Block:
    """A Slack thread as a row: who speaks is chosen, turns can be left out. `topics` are (workflow's name, its topics)."""
    blocks: list[Block | None] = [section(note)]
    for place, turn in enumerate(turns[:MOST_TURNS]):
        who, role = str(turn.get("who") or "somebody"), str(turn.get("role") or "user")
        choices = (*ROLES, DROPPED)
        blocks.append(
            _input(
                f"role_{place}",
                f"{place + 1}. {clip(who, 80)} is the…",
                choice(f"role_{place}", "Role", choices, role),
            )
        )
        blocks.append(
            _input(
                f"turn_{place}", "says", _text(f"turn_{place}", str(turn.get("text") or "")), optional=True
            )
        )
    blocks.append(
        _input("workflow", "Add it to", choice("workflow", "Workflow", workflows, workflows[0].value))
    )
    blocks.append(_grouped_topics(topics))
    return modal(THREAD, "Add to dataset", meta, blocks, submit="Add", close="Cancel")


def _grouped_topics(topics: Sequence[tuple[str, Sequence[Choice]]]) -> Block | None:
    groups, left = [], MOST_OPTIONS
    for name, choices in topics:
        kept = [option(one.text, one.value) for one in choices[:left]]
        left -= len(kept)
        if kept:
            groups.append({"label": plain(name, 75), "options": kept})
    if not groups:
        return None
    element: Block = {
        "type": "static_select",
        "action_id": "topic",
        "placeholder": plain("Sorted later", 150),
        "option_groups": groups,
    }
    return _input("topic", "Topic", element, optional=True)


# ---------------------------------------------------------------- parts


def _input(block_id: str, label: str, element: Block, *, hint: str = "", optional: bool = False) -> Block:
    block: Block = {"type": "input", "block_id": block_id, "label": plain(label, 200), "element": element}
    if hint:
        block["hint"] = plain(hint, 300)
    return {**block, "optional": True} if optional else block


def _text(action: str, initial: str = "", placeholder: str = "") -> Block:
    element: Block = {"type": "plain_text_input", "action_id": action, "multiline": True}
    if initial:
        element["initial_value"] = initial[:INPUT_CHARACTERS]
    if placeholder:
        element["placeholder"] = plain(placeholder, 150)
    return element
