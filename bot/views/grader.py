"""How answers are judged: the test of a grader on a few rows, with every part of the score, and the viability probe."""

from __future__ import annotations

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    actions,
    bar,
    button,
    context,
    count,
    fields,
    figure,
    header,
    listed,
    mapped,
    real,
    rendered,
    say,
    section,
    whole,
)

VIABLE = {
    "viable": "✅ Viable: the base model scores often enough to learn from.",
    "marginal": "🟡 Marginal: it will learn slowly; consider easier rows first.",
    "not_viable": "🔴 Not viable yet: the base model hardly ever scores.",
}


def test(data: Json) -> Rendered:
    """The grader tried on a handful of rows."""
    samples = [mapped(sample) for sample in listed(data.get("samples"))]
    errors = whole(data.get("errors"))
    proposal = str(data.get("proposal_id") or "")
    version = f"version {data['grader_version']}" if data.get("grader_version") else "the proposed grader"
    again = button("Test again", "next.test_grader_sample", proposal or str(data.get("workflow_id") or ""))
    return rendered(
        f"Grader tested on {count(len(samples), 'row')}: mean {figure(data.get('mean'))}",
        [
            header("Grader test"),
            section(f"Tried {version} on {count(len(samples), 'row')}."),
            fields(
                [
                    ("Mean", figure(data.get("mean"))),
                    ("Spread (std)", figure(data.get("std"))),
                    ("Lowest – highest", f"{figure(data.get('min'))} – {figure(data.get('max'))}"),
                    ("Errors", f"{errors:,}" if errors else "none"),
                ]
            ),
            *(sample_block(sample) for sample in samples[:10]),
            actions(again),
            context("AI-generated answers and judgements."),
        ],
    )


def viability(data: Json) -> Rendered:
    """A quick probe before the whole pipeline."""
    verdict = str(data.get("verdict") or "").replace(" ", "_")
    words = VIABLE.get(verdict, say(data.get("verdict", ""), 60))
    samples = [mapped(sample) for sample in listed(data.get("samples"))]
    return rendered(
        f"Viability: mean {figure(data.get('mean'))}",
        [
            header("Viability probe"),
            section(f"{words}\nMean score *{figure(data.get('mean'))}* on {count(len(samples), 'row')}."),
            *(sample_block(sample) for sample in samples[:5]),
        ],
    )


def sample_block(sample: dict[str, object]) -> Block | None:
    """One prompt, the answer, its score and why; an error is named, never shown as 0."""
    score = real(sample.get("score"))
    grade = (
        f"*{figure(score)}* {bar(score, 10)}"
        if score is not None
        else f"⚠️ no score: {say(sample.get('error') or 'the grader failed', 160)}"
    )
    parts = ", ".join(
        f"{say(name, 40)} {figure(value)}" for name, value in list(mapped(sample.get("parts")).items())[:8]
    )
    lines = [
        f"{grade} {parts}".rstrip(),
        f"> {say(sample.get('prompt', ''), 200)}",
        f"{say(sample.get('response') or '(empty answer)', 300)}",
        f"_Why:_ {say(sample['reasoning'], 160)}" if sample.get("reasoning") else "",
    ]
    return section("\n".join(line for line in lines if line))
