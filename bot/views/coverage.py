"""How evenly the rows cover the topics: the balance, a bar a topic against its target, and what would help."""

from __future__ import annotations

from bot.views.kit import (
    Block,
    Chart,
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
    real,
    rendered,
    say,
    section,
    table,
    whole,
)

STATUS = {"under": "▼ too few", "over": "▲ many", "ok": "fine"}
CHART_TOPICS = 24


def render(data: Json) -> Rendered:
    topics = _largest_first(data.get("distribution"))
    score, rating = figure(data.get("balance_score")), say(data.get("rating") or "no rows yet", 20)
    chart = chart_of(topics)
    summary = f"Coverage: balance {score} ({rating}) over {count(len(topics), 'topic')}"
    return rendered(
        summary,
        [
            header("Coverage"),
            fields(
                [
                    ("Balance", f"{score} · {rating}"),
                    ("Smallest – largest topic", _span(topics)),
                    ("Topics", f"{len(topics):,}"),
                    ("Rows without a topic", f"{whole(data.get('uncategorized_count')):,}"),
                ]
            ),
            image(chart.alt) if chart else None,
            table(
                ("Topic", "Rows", "Share", "Target", "State"),
                [_line(topic) for topic in topics],
                numbers=(1, 2, 3),
                most=25,
            ),
            section(_recommendations(data)),
            section(_readiness(data)),
            buttons(data),
            context("Balance is 1 when every topic has its target share, 0 when one topic has all rows."),
        ],
        chart,
    )


def chart_of(topics: list[dict[str, object]]) -> Chart | None:
    """Share against target, the largest topics first; None with fewer than two topics."""
    shown = _largest_first(topics)[:CHART_TOPICS]
    if len(shown) < 2:
        return None
    names = tuple(str(topic.get("name") or topic.get("topic")) for topic in shown)
    shares = tuple(real(topic.get("percentage")) or 0.0 for topic in shown)
    targets = tuple(real(topic.get("target")) for topic in shown)
    alt = "Share of rows in each topic, against its target. " + ", ".join(
        f"{name} {share:.0f} % (target {target or 0:.0f} %)"
        for name, share, target in zip(names[:12], shares, targets, strict=False)
    )
    series = (("Share of rows", shares), ("Target", targets))
    return Chart("bars", "Share of rows in each topic", names, series, alt, "% of rows")


def buttons(data: Json) -> Block | None:
    """The ways on from here; generation first while topics lack rows."""
    workflow = str(data.get("workflow_id") or "")
    thin = bool(listed(data.get("under_represented"))) or (real(data.get("balance_score")) or 0.0) < 0.5
    generate = button("Generate examples", "generation.open", workflow, style="primary" if thin else "")
    preview = button("Show me a few first", "next.generate_preview", workflow)
    grader = button("Go on to the grader", "grader.open", workflow, style="" if thin else "primary")
    return actions(generate, preview, grader, button("Browse rows", "rows.browse", "all"))


def _largest_first(topics: object) -> list[dict[str, object]]:
    return sorted((mapped(topic) for topic in listed(topics)), key=lambda topic: -whole(topic.get("count")))


def _span(topics: list[dict[str, object]]) -> str:
    if not topics:
        return ""
    return f"{whole(topics[-1].get('count')):,} – {count(topics[0].get('count'), 'row')}"


def _line(topic: dict[str, object]) -> tuple[object, ...]:
    share = real(topic.get("percentage")) or 0.0
    name = topic.get("name") or topic.get("topic") or ""
    state = STATUS.get(str(topic.get("status")), "")
    return (
        name,
        f"{whole(topic.get('count')):,}",
        f"{share:.1f} %",
        f"{figure(topic.get('target'), 1)} %",
        state,
    )


def _recommendations(data: Json) -> str:
    lines = [_recommendation(mapped(item)) for item in listed(data.get("recommendations"))]
    return "*What would help*\n" + bullets(lines, 6) if lines else ""


def _recommendation(item: dict[str, object]) -> str:
    number = whole(item.get("suggested_count"))
    what = (
        f"{say(item.get('action') or 'generate', 30)} {number:,}"
        if number
        else say(item.get("action") or "review", 30)
    )
    topic = say(item.get("name") or item.get("topic") or "", 80)
    strategy = f" ({say(str(item['strategy']).replace('_', ' '), 40)})" if item.get("strategy") else ""
    return f"{f'*{topic}*: ' if topic else ''}{what.replace('_', ' ')}{strategy}. {say(item.get('reason', ''), 200)}"


def _readiness(data: Json) -> str:
    if data.get("ready"):
        return "✅ *Ready for the grader.* More rows would help, but nothing is missing."
    reasons = [say(reason, 160) for reason in listed(data.get("not_ready_because"))]
    return "*Worth mending first* (advice, you may go on)\n" + bullets(reasons, 5) if reasons else ""
