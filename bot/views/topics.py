"""Topics and how rows were sorted into them: the tree as text, the result of categorising, the review of doubtful rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bot.views.kit import (
    Block,
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
    option,
    percent,
    rendered,
    say,
    section,
    table,
    whole,
)

BANDS = {"high": "high", "medium": "medium", "needs_review": "needs review"}
REVIEW_ROWS = 8
MOST_OPTIONS = 99


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
            actions(review),
            context(_tokens(data)),
        ],
    )


def review(data: Json) -> Rendered:
    """A page of doubtful rows, each with a choice of topics. Values are `topic_key`s, as ids may be too long."""
    records = listed(data.get("records"))[:REVIEW_ROWS]
    left = whole(data.get("left"))
    options = topic_options(listed(data.get("topics")))
    workflow = str(data.get("workflow_id") or "")
    if not records or not options:
        return rendered(
            "Nothing left to review.",
            [section("✅ Nothing left to review: every row has a topic it is sure of.")],
        )
    rows = [_row(mapped(record), options) for record in records]
    following = (
        button("Next rows", "review.open", f"{workflow}|{data.get('cursor') or ''}")
        if data.get("cursor")
        else None
    )
    return rendered(
        f"{count(len(records), 'row')} to review",
        [
            header("Which topic fits?"),
            context("Picking a topic saves it at once. A row you leave alone keeps the topic shown."),
            *rows,
            actions(following),
            context(f"{left:,} more after these." if left else ""),
        ],
    )


def topic_key(topic_id: str) -> str:
    """A short name for a topic id of any length."""
    return hashlib.sha256(topic_id.encode()).hexdigest()[:16]


def topic_options(topics: Sequence[object]) -> list[Block]:
    """Choices for a select of leaf topics `{id, name}`; Slack shows at most 100."""
    return [
        option(_path(mapped(topic)), topic_key(str(mapped(topic).get("id", ""))))
        for topic in topics[:MOST_OPTIONS]
    ]


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


def _path(topic: dict[str, object]) -> str:
    return str(topic.get("name") or topic.get("id") or "…")


def _line(topic: dict[str, object]) -> tuple[object, ...]:
    band = BANDS.get(str(topic.get("band")), "")
    return (
        topic.get("name", ""),
        f"{whole(topic.get('count')):,}",
        percent(topic.get("average_confidence")),
        band,
    )


def _row(record: dict[str, object], options: list[Block]) -> Block | None:
    chosen = topic_key(str(record.get("topic") or ""))
    initial = next((entry for entry in options if entry["value"] == chosen), None)
    select: Block = {
        "type": "static_select",
        "action_id": f"review.pick:{str(record.get('id', ''))[:200]}",
        "placeholder": {"type": "plain_text", "text": "Pick a topic"},
        "options": options,
    }
    if initial:
        select["initial_option"] = initial
    sure = percent(record.get("confidence"))
    return section(f"> {say(record.get('text', ''), 300)}\n_sure to {sure}_", select)


def _methods(data: Json) -> str:
    names = {"keyword": "keywords", "embedding": "similarity", "llm": "model", "manual": "by hand"}
    counts = mapped(data.get("by_method"))
    return ", ".join(
        f"{names.get(name, say(name, 20))} {whole(number):,}"
        for name, number in counts.items()
        if whole(number)
    )


def _tokens(data: Json) -> str:
    tokens = mapped(data.get("tokens"))
    used = sum(whole(number) for number in tokens.values())
    return f"Model tokens used: {used:,}." if used else "No model was asked."
