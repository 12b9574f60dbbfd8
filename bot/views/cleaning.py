"""What could be cleaned, before and after it is: findings with examples, toggles, what was done, near-duplicates counted.

Examples come with personal data masked already; here they are only escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    actions,
    bullets,
    button,
    context,
    count,
    fields,
    header,
    listed,
    mapped,
    option,
    percent,
    plain,
    rendered,
    say,
    section,
    whole,
)
from tasks.rules.cleaning import NAMES as FORMATTING
from tasks.rules.personal_data import NAMES as PERSONAL

Body = Sequence[Block | None]
SHOWN_EXAMPLES = 3
TITLES = {
    "remove_duplicates": "Exact duplicates",
    "near_duplicates": "Near-duplicates",
    "fix_formatting": "Formatting",
    "empty_turns": "Empty turns",
    "refusals": "Refusals instead of answers",
    "personal_data": "Personal data and secrets",
}
WOULD = {
    "remove_duplicates": "would be removed; the first of each stays. They are left out of training already.",
    "near_duplicates": "would be removed; the first of each group stays. They ask nearly the same and have nearly the same answer.",
    "fix_formatting": "would be mended; words stay as they are.",
    "empty_turns": "would lose their empty turns.",
    "refusals": "would lose that answer; the question stays.",
}
PRIVATE = {
    "report": "are only reported. *Edit* to mask them or to drop these rows.",
    "mask": "would be masked, with the same placeholder for the same value throughout a row (`[EMAIL_1]`).",
    "drop": "would be removed, rows and all.",
}
MODES = (("report", "Leave them as they are"), ("mask", "Mask them"), ("drop", "Drop these rows"))
KINDS: dict[str, str] = {
    str(name): words for names in (FORMATTING, PERSONAL) for name, words in names.items()
}
DID = {
    "remove_duplicates": "exact duplicates removed",
    "near_duplicates": "near-duplicates removed",
    "fix_formatting": "rows with mended formatting",
    "empty_turns": "rows without their empty turns",
    "refusals": "refusals taken out",
}


def proposal(payload: Json) -> Body:
    """The card's body: one paragraph a finding, chosen ones first said to be so."""
    params = mapped(payload.get("params"))
    findings = [mapped(one) for one in listed(payload.get("findings"))]
    return [
        section(
            f"{count(payload.get('rows'), 'row')} looked at. *Edit* chooses what is done"
            + ("." if chooses(payload) else "; nothing is chosen yet.")
        ),
        *(section(_finding(one, params)) for one in findings[:8]),
    ]


def chooses(payload: Json) -> bool:
    """Whether anything that was found is to be done."""
    params = mapped(payload.get("params"))
    return any(is_on(str(mapped(one).get("code")), params) for one in listed(payload.get("findings")))


def is_on(code: str, params: Json) -> bool:
    """Whether a finding is acted on with these choices."""
    if code == "personal_data":
        return params.get(code) in ("mask", "drop")
    return bool(params.get(code))


def _finding(found: Json, params: Json) -> str:
    code = str(found.get("code") or "")
    on = is_on(code, params)
    sign = "☑️" if on else "⬜"
    kinds = [
        (str(pair[0]), whole(pair[1])) for pair in map(listed, listed(found.get("kinds"))) if len(pair) == 2
    ]
    named = ", ".join(f"{_kind(name)} {number:,}" for name, number in kinds[:8])
    lines = [
        f"{sign} *{TITLES.get(code, say(code, 40))}*: {count(found.get('rows'), 'row')} {_would(code, params, on)}",
        f"_{named}_" if named else "",
        *(_example(code, mapped(one)) for one in listed(found.get("examples"))[:SHOWN_EXAMPLES]),
    ]
    return "\n".join(line for line in lines if line)


def _would(code: str, params: Json, on: bool) -> str:
    if code == "personal_data":
        return PRIVATE.get(str(params.get(code)), PRIVATE["report"])
    return WOULD.get(code, "") if on else "stay as they are."


def _kind(name: str) -> str:
    return KINDS.get(name) or say(name.replace("_", " "), 40)


def _example(code: str, shown: Json) -> str:
    text, after = say(shown.get("text") or "", 170), say(shown.get("after") or "", 170)
    if not text:
        return ""
    if code == "fix_formatting" and after:
        return f"> • {text}\n> → {after}"
    return f"> • {text}" + (f"\n> _like_ {after}" if after else "")


# ---------------------------------------------------------------- the form


def form(meta: Json, payload: Json) -> Block:
    """Checkboxes for what was found, and what becomes of personal data."""
    params = mapped(payload.get("params"))
    found = {
        str(mapped(one).get("code")): whole(mapped(one).get("rows"))
        for one in listed(payload.get("findings"))
    }
    options = [option(f"{TITLES[code]} ({found[code]:,})", code) for code in WOULD if code in found]
    ticked = [one for one in options if is_on(one["value"], params)]
    element: Block = {"type": "checkboxes", "action_id": "what", "options": options}
    if ticked:
        element["initial_options"] = ticked
    modes = [option(words, mode) for mode, words in MODES]
    private: Block = {
        "type": "radio_buttons",
        "action_id": "personal_data",
        "options": modes,
        "initial_option": next(
            (one for one in modes if one["value"] == params.get("personal_data")), modes[0]
        ),
    }
    blocks: list[Block] = []
    if options:
        blocks.append(_input("what", "Clean", element, optional=True))
    if "personal_data" in found:
        label = f"Personal data and secrets ({found['personal_data']:,} rows)"
        blocks.append(_input("personal_data", label, private))
    note = section("Nothing happens before somebody approves the new card.")
    return {
        "type": "modal",
        "callback_id": "cleaning",
        "title": plain("What to clean", 24),
        "submit": plain("Propose", 24),
        "close": plain("Cancel", 24),
        "private_metadata": json.dumps(dict(meta))[:3_000],
        "blocks": [*blocks, *([note] if note else [])],
    }


def _input(block_id: str, label: str, element: Block, *, optional: bool = False) -> Block:
    block: Block = {"type": "input", "block_id": block_id, "label": plain(label, 200), "element": element}
    return {**block, "optional": True} if optional else block


# ---------------------------------------------------------------- results


def nothing(data: Json) -> Rendered:
    """Everything was looked at and nothing was found."""
    rows = count(data.get("rows"), "row")
    return rendered(
        f"Nothing to clean in {rows}",
        [
            header("Nothing to clean"),
            section(
                f"{rows} looked at: no duplicates, no formatting problems, no empty turns, no refusals, no personal data."
            ),
        ],
    )


def cleaned(data: Json) -> Rendered:
    """What was done, and what the dataset is now."""
    did = mapped(data.get("did"))
    lines = [f"{whole(did[code]):,} {words}" for code, words in DID.items() if whole(did.get(code))]
    private = whole(did.get("personal_data"))
    if private:
        dropped = data.get("personal_data") == "drop"
        lines.append(f"{count(private, 'row')} with personal data {'removed' if dropped else 'masked'}")
    again = whole(data.get("new_duplicates"))
    if again:
        lines.append(f"{count(again, 'row')} now the same as another and left out of training")
    before, now = whole(data.get("version_before")), whole(data.get("dataset_version"))
    return rendered(
        f"Cleaned: {'; '.join(lines) or 'nothing had to change'}",
        [
            header("Data cleaned"),
            section(bullets(lines, 10) or "Nothing had to change."),
            fields(
                [
                    ("Rows", f"{whole(data.get('rows_before')):,} → {whole(data.get('rows')):,}"),
                    ("Valid rows", f"{whole(data.get('valid_before')):,} → {whole(data.get('valid')):,}"),
                ]
            ),
            actions(
                button("Undo", "rows.undo", str(before)) if before and before != now else None,
                button("Browse rows", "rows.browse", "all"),
            ),
            context("The version before stays; Undo asks first, then stands on it again."),
        ],
    )


def near_duplicates(data: Json) -> Rendered:
    """How many rows resemble an earlier one; nothing is removed."""
    found, valid = whole(data.get("near_duplicates")), whole(data.get("valid"))
    words = count(found, "near-duplicate") if found else "No near-duplicates"
    examples = [
        _example("near_duplicates", mapped(one)) for one in listed(data.get("examples"))[:SHOWN_EXAMPLES]
    ]
    share = f" ({percent(found / valid, 1)})" if found and valid else ""
    return rendered(
        f"{words} among {count(valid, 'valid row')}",
        [
            header("Near-duplicates"),
            section(f"*{words}* among {count(valid, 'valid row')}{share}. Nothing was removed."),
            section("\n".join(example for example in examples if example)),
            context(
                "Two rows count as near-duplicates when nine tenths of what they ask is the same. Splits keep them on one side."
            ),
            actions(button("Clean the data", "next.clean_dataset", str(data.get("workflow_id") or "")))
            if found
            else None,
        ],
    )


def leakage(found: Json) -> str:
    """One line or a few about held-out rows that have company in training; "" when nothing was measured."""
    if not found:
        return ""
    held = whole(found.get("held_out"))
    kinds = (("exact", "the same text"), ("near", "nearly the same text"), ("same_source", "the same source"))
    parts = [f"{whole(found.get(name)):,} with {words}" for name, words in kinds if whole(found.get(name))]
    if not parts:
        lines = [
            f"*Leakage:* none of {count(held, 'held-out row')} has the same text, a near-duplicate or the same source in training."
        ]
    else:
        lines = [f"⚠️ *Leakage:* of {count(held, 'held-out row')} {', '.join(parts)} as rows in training."]
    for shown in map(mapped, listed(found.get("examples"))[:SHOWN_EXAMPLES]):
        lines.append(
            f"> {say(shown.get('text') or '', 160)}\n> _in training:_ {say(shown.get('in_training') or '', 160)}"
        )
    locked, out = whole(found.get("locked_test")), whole(found.get("left_out"))
    lines += [f"{count(locked, 'test row')} locked: no training sees them."] if locked else []
    lines += [f"{count(out, 'row')} on no side, for they resemble locked test rows."] if out else []
    return "\n".join(lines)
