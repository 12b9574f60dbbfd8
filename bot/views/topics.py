"""Topics and how rows were sorted into them: the tree as text, the result of categorising. Rows are shown by `rows.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bot.views.kit import (
    Json,
    Rendered,
    actions,
    button,
    context,
    count,
    fields,
    header,
    listed,
    mapped,
    percent,
    rendered,
    say,
    section,
    table,
    whole,
)

BANDS = {"high": "high", "medium": "medium", "needs_review": "needs review"}


def categorised(data: Json) -> Rendered:
    """The result card of sorting rows into topics."""
    assigned, low = whole(data.get("assigned_count")), whole(data.get("low_confidence_count"))
    left = whole(data.get("uncategorized_count"))
    summary = f"{count(assigned, 'row')} sorted into topics, {low:,} to review, {left:,} without a topic"
    topics = sorted(
        mapped(data.get("by_topic")).values(), key=lambda topic: -whole(mapped(topic).get("count"))
    )
    review = (
        button(f"Review {count(low, 'row')}", "review.open", str(data.get("workflow_id") or ""))
        if low
        else None
    )
    return rendered(
        summary,
        [
            header("Rows sorted into topics"),
            fields(
                [
                    ("Sorted", f"{assigned:,}"),
                    ("Below the threshold", f"{low:,}"),
                    ("No topic", f"{left:,}"),
                    ("How", _methods(data)),
                ]
            ),
            table(
                ("Topic", "Rows", "Confidence", "Band"),
                [_line(mapped(topic)) for topic in topics],
                numbers=(1, 2),
                most=30,
            ),
            section(
                f"{count(low, 'row')} could belong elsewhere. Have a look when you like; nothing waits for it."
            )
            if low
            else None,
            actions(review, button("Browse rows", "rows.browse", "all")),
            context(_tokens(data), _reliability(mapped(data.get("reliability")))),
        ],
    )


def topic_key(topic_id: str) -> str:
    """A short name for a topic id of any length."""
    return hashlib.sha256(topic_id.encode()).hexdigest()[:16]


def outline(nodes: Sequence[object], counts: dict[str, object] | None = None, depth: int = 0) -> list[str]:
    """A hierarchy of dicts as indented mrkdwn lines, with rows per topic where they are known."""
    lines: list[str] = []
    for node in (mapped(item) for item in nodes):
        rows = whole((counts or {}).get(str(node.get("id")))) if counts else 0
        about = f" – {say(node['description'], 90)}" if node.get("description") and depth < 2 else ""
        name = say(node.get("name", ""), 80)
        bullet = "    " * depth + ("• " if depth else "")
        lines.append(f"{bullet}{f'*{name}*' if depth == 0 else name}{f' ({rows:,})' if rows else ''}{about}")
        lines += outline(listed(node.get("children")), counts, depth + 1)
    return lines


def _line(topic: dict[str, object]) -> tuple[object, ...]:
    band = BANDS.get(str(topic.get("band")), "")
    return (
        topic.get("name", ""),
        f"{whole(topic.get('count')):,}",
        percent(topic.get("average_confidence")),
        band,
    )


def _methods(data: Json) -> str:
    names = {"keyword": "keywords", "embedding": "similarity", "llm": "model", "manual": "by hand"}
    counts = mapped(data.get("by_method"))
    return ", ".join(
        f"{names.get(name, say(name, 20))} {whole(number):,}"
        for name, number in counts.items()
        if whole(number)
    )


def _tokens(data: Json) -> str:
    """What the dear stage took: "The model was asked about 612 of 100,000 rows: 31,200 tokens." """
    tokens = {stage: whole(number) for stage, number in mapped(data.get("tokens")).items()}
    asked, stages = whole(data.get("asked_count")), mapped(data.get("rows_by_stage"))
    if not sum(tokens.values()):
        return "No model was asked."
    rows = sum(whole(number) for number in stages.values())
    about = f"The model was asked about {asked:,} of {count(rows, 'row')}" if asked else "Model tokens used"
    compared = f", {tokens['embedding']:,} to compare rows" if tokens.get("embedding") else ""
    return f"{about}: {tokens.get('llm', 0):,} tokens{compared}."


def _reliability(found: dict[str, object]) -> str:
    """How far the confidence of keywords and similarity is off, by the band that people care about; or that nobody knows."""
    bands = [mapped(band) for band in listed(found.get("table"))]
    if not whole(found.get("measured_on")) or not bands:
        return "How far confidence is off was not measured: too few rows whose topic somebody gave."
    band = next((one for one in bands if one.get("low") == 0.7), None)
    if band is None or whole(band.get("rows")) < 10:
        band = max(bands, key=lambda one: whole(one.get("rows")))
    whose = "people sorted" if found.get("against") == "people" else "the model labelled"
    return (
        f"Confidence checked on {count(whole(found.get('measured_on')), 'row')} that {whose}: {percent(band.get('claimed'))} sure was "
        f"right in {percent(band.get('right'))} ({count(whole(band.get('rows')), 'row')}); off by "
        f"{percent(found.get('ece'), 1).replace(' %', ' points')} on average."
    )
