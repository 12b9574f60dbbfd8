"""Examples made by a model: a preview that adds nothing, and what a round of generation or augmentation brought."""

from __future__ import annotations

import json

from bot.views import coverage
from bot.views.generation_proposals import strategy_words
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
    figure,
    header,
    image,
    listed,
    mapped,
    percent,
    real,
    rendered,
    say,
    section,
    table,
    whole,
)

WHY = {
    "invalid_structure": "broken structure",
    "no_user_message": "no user message",
    "llm_artifact": "a refusal or a template left in",
    "too_short": "too short",
    "too_long": "too long",
    "duplicate_of_seed": "the same as its seed",
    "near_duplicate": "too similar to another row",
    "off_topic": "off topic",
    "names_a_tool": "the user names a tool",
    "wrong_tool_calls": "not the chain of tools that was asked for",
    "changed_facts": "a number, name or denial changed",
    "lost_meaning": "no longer the same question",
    "duplicate": "the same as an earlier row",
    "no_answer": "not answered by the model",
}
METHODS = {"paraphrase": "paraphrased", "backtranslate": "translated there and back"}
SYNTHETIC = "Every row of this dataset is synthetic: a model wrote it from the goal. Real rows, even a few, are worth more."


def preview(data: Json) -> Rendered:
    """Three to five rows to look at; nothing is in the dataset yet."""
    rows = [mapped(row) for row in listed(data.get("rows"))]
    workflow = str(data.get("workflow_id") or "")
    again = bool(data.get("augmentation"))
    return rendered(
        f"Preview: {count(len(rows), 'example')}, nothing added",
        [
            header("A few examples first"),
            context(f"Made {_from(data)}. Nothing was added to the dataset."),
            *[section(_row(row)) for row in rows[:5]],
            section(rejected_line(data)),
            section(_samples(data, 3)),
            _variety(data),
            _all_again(data) if again else _ways_on(workflow),
            context("AI-generated"),
        ],
    )


def generated(data: Json) -> Rendered:
    """What a round brought, counted exactly, and the new balance."""
    kept, made = whole(data.get("kept")), whole(data.get("generated"))
    after = mapped(data.get("coverage"))
    names = {
        str(mapped(topic).get("topic")): mapped(topic).get("name")
        for topic in listed(after.get("distribution"))
    }
    kept_by, made_by = mapped(data.get("by_topic")), mapped(data.get("made_by_topic"))
    topics = sorted({**made_by, **kept_by}, key=lambda topic: -whole(kept_by.get(topic)))
    chart = coverage.chart_of([mapped(topic) for topic in listed(after.get("distribution"))])
    partial = " Stopped on request; what was made is kept." if data.get("partial") else ""
    return rendered(
        f"{count(kept, 'example')} added, {made - kept:,} rejected.{partial}",
        [
            header("Examples added" if not data.get("partial") else "Stopped: some examples added"),
            context(f"Made {_from(data)}." if data.get("strategy") else ""),
            section(f"⚠️ {SYNTHETIC}" if data.get("from_goal") else ""),
            fields(
                [
                    ("Asked for", f"{whole(data.get('asked')):,}{_again(data)}"),
                    ("Made", f"{made:,}"),
                    ("Kept", f"{kept:,}"),
                    *_balance(data),
                ]
            ),
            section(_going_on(data, partial.strip())),
            section(rejected_line(data)),
            section(_samples(data, 4)),
            _variety(data),
            image(chart.alt) if chart else None,
            table(
                ("Topic", "Added", "Passed"),
                [
                    _passed(names.get(topic) or topic or "(no topic)", kept_by.get(topic), made_by.get(topic))
                    for topic in topics
                ],
                numbers=(1, 2),
                most=20,
            ),
            coverage.buttons({**after, "workflow_id": data.get("workflow_id")}),
            context(
                "AI-generated rows are marked as such and stay out of validation while there are enough real ones."
            ),
        ],
        chart,
    )


def rejected_line(data: Json) -> str:
    """Why rows were turned away, with their numbers."""
    counts = sorted(
        ((whole(number), code) for code, number in mapped(data.get("rejected")).items() if whole(number)),
        reverse=True,
    )
    if not counts:
        return ""
    return "*Rejected:* " + ", ".join(
        f"{number:,} {WHY.get(code, say(code, 40))}" for number, code in counts[:8]
    )


# ---------------------------------------------------------------- parts


def _from(data: Json) -> str:
    """How the examples were made, and in which form."""
    if data.get("augmentation"):
        return f"from your rows, in other words ({_ways(data)})"
    whole_ones = ", whole conversations" if data.get("generation_mode") == "sft" else ""
    return f"from {strategy_words(data.get('strategy'))}{whole_ones}"


def _balance(data: Json) -> list[tuple[str, str]]:
    """Nothing where there are no topics to be balanced."""
    before, after = data.get("balance_before"), data.get("balance_after")
    return [("Balance", f"{figure(before)} → {figure(after)}")] if real(after) is not None else []


def _ways(data: Json) -> str:
    """How rows were said again, in words."""
    named = [METHODS.get(name, name) for name in str(data.get("strategy") or "").split(" and ")]
    return say(" and ".join(named), 80)


def _again(data: Json) -> str:
    number = whole(data.get("asked_again"))
    return f" + {number:,} again for rejected ones" if number else ""


def _going_on(data: Json, stopped: str) -> str:
    """That this round went on with an earlier one, and how to go on with a round that was stopped."""
    before = mapped(data.get("earlier"))
    went_on = ""
    if before:
        all_of_it = whole(before.get("kept")) + whole(data.get("kept"))
        went_on = (
            f"This went on with an earlier round of the same request, which had kept {whole(before.get('kept')):,}: "
            f"{all_of_it:,} by now."
        )
    hint = (
        " The same request again makes only what is missing."
        if stopped and not data.get("augmentation")
        else ""
    )
    return " ".join(part for part in (f"{stopped}{hint}", went_on) if part)


def _samples(data: Json, most: int) -> str:
    """A few of the rows that were turned away, with the reason of each."""
    found = [mapped(item) for item in listed(data.get("rejected_samples"))]
    lines = [
        f"“{say(item.get('text') or '', 140)}” – {say(item.get('message') or '', 120)}" for item in found
    ]
    return "*Such as*\n" + bullets(lines[:most]) if lines else ""


def _variety(data: Json) -> Block | None:
    """How varied the examples are beside as many real rows."""
    found = mapped(data.get("diversity"))
    if not found:
        return None
    beside = mapped(found.get("real"))
    names = ("different words", "different word pairs", "different word triples")
    lines = [
        _beside(f"{name} (distinct-{place + 1})", _at(found, place), _at(beside, place))
        for place, name in enumerate(names)
    ]
    lines.append(
        _beside("likeness to the nearest other", found.get("self_similarity"), beside.get("self_similarity"))
    )
    lines.append(
        _beside("near-duplicates", found.get("near_duplicate_share"), beside.get("near_duplicate_share"))
    )
    against = ", beside as many real rows" if beside else ""
    return section(f"*Variety* of {count(found.get('rows'), 'example')}{against}\n" + bullets(lines))


def _beside(name: str, ours: object, real_rows: object) -> str:
    theirs = f" · real {percent(real_rows)}" if real(real_rows) is not None else ""
    return f"{name}: {percent(ours)}{theirs}"


def _at(figures: dict[str, object], place: int) -> object:
    values = listed(figures.get("distinct"))
    return values[place] if place < len(values) else None


def _row(row: dict[str, object]) -> str:
    """One example: where it belongs, what is special about it, what it says, who says it."""
    special = ", ".join(
        say(part, 60)
        for part in (
            row.get("difficulty"),
            row.get("keyword"),
            *listed(row.get("aspects")),
            METHODS.get(str(row.get("method") or ""), str(row.get("method") or "")),
        )
        if part
    )
    chain = " → ".join(say(tool, 40) for tool in listed(row.get("tools")))
    notes = " · ".join(part for part in (special, chain) if part)
    original = f"\n_instead of:_ {say(row['original'], 300)}" if row.get("original") else ""
    answer = f"\n_answered:_ {say(row['answer'], 300)}" if row.get("answer") else ""
    voice = f"\n_in the voice of {say(row['persona'], 80)}_" if row.get("persona") else ""
    title = f"*{say(row.get('topic') or 'no topic', 80)}*" + (f" ({notes})" if notes else "")
    return f"{title}\n> {say(row.get('text', ''), 700)}{original}{answer}{voice}"


def _all_again(data: Json) -> Block | None:
    """The way from a preview of rows in other words to the proposal of all of them; none where the request fits in no button."""
    request = json.dumps(mapped(data.get("request")), ensure_ascii=False, separators=(",", ":"))
    fits = bool(data.get("request")) and len(request) <= 1_500
    return actions(
        button("Add all of these rows…", "next.augment_dataset", request, style="primary") if fits else None
    )


def _ways_on(workflow: str) -> Block | None:
    return actions(
        button("Generate more like these", "generation.open", workflow, style="primary"),
        button("Others, please", "next.generate_preview", workflow),
    )


def _passed(name: object, kept: object, made: object) -> tuple[object, ...]:
    """A topic's rows that were added, and their share of those that were written."""
    return name, f"{whole(kept):,}", percent(whole(kept) / whole(made)) if whole(made) else "–"
