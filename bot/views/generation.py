"""Examples made by a model: a preview that adds nothing, and what a round of generation brought."""

from __future__ import annotations

from bot.views import coverage
from bot.views.kit import (
    Json,
    Rendered,
    actions,
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
    rendered,
    say,
    section,
    table,
    whole,
)
from bot.views.proposal_bodies import strategy_words

WHY = {
    "invalid_structure": "broken structure",
    "no_user_message": "no user message",
    "llm_artifact": "a refusal or a template left in",
    "too_short": "too short",
    "too_long": "too long",
    "duplicate_of_seed": "the same as its seed",
    "near_duplicate": "too similar to another row",
    "off_topic": "off topic",
}


def preview(data: Json) -> Rendered:
    """Three to five rows to look at; nothing is in the dataset yet."""
    rows = [mapped(row) for row in listed(data.get("rows"))]
    workflow = str(data.get("workflow_id") or "")
    shown = [
        section(
            f"*{say(row.get('topic') or 'no topic', 80)}*\n> {say(row.get('text', ''), 700)}{_voice(row)}"
        )
        for row in rows[:5]
    ]
    return rendered(
        f"Preview: {count(len(rows), 'example')}, nothing added",
        [
            header("A few examples first"),
            context(f"Made from {strategy_words(data.get('strategy'))}. Nothing was added to the dataset."),
            *shown,
            section(rejected_line(data)),
            actions(
                button("Generate these", "generation.open", workflow, style="primary"),
                button("Others, please", "next.generate_preview", workflow),
            ),
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
            fields(
                [
                    ("Asked for", f"{whole(data.get('asked')):,}"),
                    ("Made", f"{made:,}"),
                    ("Kept", f"{kept:,}"),
                    (
                        "Balance",
                        f"{figure(data.get('balance_before'))} → {figure(data.get('balance_after'))}",
                    ),
                ]
            ),
            section(partial.strip()),
            section(rejected_line(data)),
            image(chart.alt) if chart else None,
            table(
                ("Topic", "Added", "Passed"),
                [
                    _passed(names.get(topic) or topic, kept_by.get(topic), made_by.get(topic))
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


def _passed(name: object, kept: object, made: object) -> tuple[object, ...]:
    """A topic's rows that were added, and their share of those that were written."""
    return name, f"{whole(kept):,}", percent(whole(kept) / whole(made)) if whole(made) else "–"


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


def _voice(row: dict[str, object]) -> str:
    return f"\n_in the voice of {say(row['persona'], 80)}_" if row.get("persona") else ""
