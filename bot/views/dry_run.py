"""The dry run's verdict: the numbers against their healthy ranges, where scores lie, samples, and every way on."""

from __future__ import annotations

from bot.views.grader import sample_block
from bot.views.kit import (
    Block,
    Chart,
    Json,
    Rendered,
    actions,
    bullets,
    button,
    context,
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
    topic_name,
    whole,
)

VERDICTS = {"GO": "✅ GO", "WARNING": "🟡 WARNING", "NO-GO": "🔴 NO-GO"}
MEANING = {
    "GO": "The grader tells good answers from bad, and there is something left to learn.",
    "WARNING": "It can be trained; look at the findings first.",
    "NO-GO": "Training now would waste money. Below is what to change, and how to go on knowingly.",
}
BUCKETS = ("0–0.2", "0.2–0.4", "0.4–0.6", "0.6–0.8", "0.8–1")
QUALITY = {"good": "good", "attention": "needs attention", "problem": "problem"}


def render(data: Json) -> Rendered:
    verdict = str(data.get("verdict") or "WARNING")
    statistics = mapped(data.get("statistics"))
    chart = _chart([whole(number) for number in listed(data.get("buckets"))])
    samples = mapped(data.get("samples"))
    return rendered(
        f"Dry run: {verdict}, mean {figure(statistics.get('mean'))}, std {figure(statistics.get('std'))}",
        [
            header(f"Dry run: {verdict}"),
            section(f"*{VERDICTS.get(verdict, verdict)}* · {MEANING.get(verdict, '')}"),
            fields(_facts(statistics, mapped(data.get("ranges")))),
            section(_findings(data)),
            image(chart.alt) if chart else None,
            context(_buckets([whole(number) for number in listed(data.get("buckets"))])),
            table(
                ("Topic", "Mean", "Std", "Rows", "State"),
                [_topic(mapped(topic)) for topic in listed(data.get("by_topic"))],
                numbers=(1, 2, 3),
                most=15,
            ),
            section(_quality(data)),
            section(_compared(mapped(data.get("compared")))),
            *_samples("Highest", listed(samples.get("highest"))),
            *_samples("Lowest", listed(samples.get("lowest"))),
            section(_options(data)),
            _buttons(data, verdict),
            context(
                f"Dataset version {data.get('dataset_version', '–')}, grader version {data.get('grader_version', '–')}. AI-generated answers."
            ),
        ],
        chart,
    )


def _facts(statistics: dict[str, object], ranges: dict[str, object]) -> list[tuple[str, str]]:
    shown = (("mean", "Mean"), ("std", "Spread (std)"), ("median", "Median"))
    facts = [(title, figure(statistics.get(key)) + _healthy(ranges.get(key))) for key, title in shown]
    facts += [
        (
            "Above zero",
            percent(statistics.get("above_zero")) + _healthy(ranges.get("above_zero"), share=True),
        ),
        ("Perfect", percent(statistics.get("perfect")) + _healthy(ranges.get("perfect"), share=True)),
        ("Lowest – highest", f"{figure(statistics.get('min'))} – {figure(statistics.get('max'))}"),
        ("Rows", f"{whole(statistics.get('n')):,}"),
        ("Grader errors", f"{whole(statistics.get('errors')):,}"),
    ]
    return facts


def _healthy(span: object, *, share: bool = False) -> str:
    ends = [real(end) for end in listed(span)]
    if len(ends) != 2:
        return ""
    show = percent if share else figure
    low, high = ends
    if low is None or high is None:
        return f" (healthy: {f'at least {show(low)}' if low is not None else f'at most {show(high)}'})"
    return f" (healthy: {show(low)} – {show(high)})"


def _chart(buckets: list[int]) -> Chart | None:
    if len(buckets) != len(BUCKETS) or not sum(buckets):
        return None
    alt = "Answers a score range: " + ", ".join(
        f"{name}: {number}" for name, number in zip(BUCKETS, buckets, strict=True)
    )
    return Chart(
        "histogram",
        "Scores of the dry run",
        BUCKETS,
        (("Answers", tuple(float(n) for n in buckets)),),
        alt,
        "answers",
    )


def _buckets(buckets: list[int]) -> str:
    total = sum(buckets)
    if len(buckets) != len(BUCKETS) or not total:
        return ""
    parts = [f"{name}: *{number:,}*" for name, number in zip(BUCKETS, buckets, strict=True)]
    return "Answers by score · " + " · ".join(parts)


def _findings(data: Json) -> str:
    marks = {"error": "🔴 must change", "warning": "🟡 look at", "info": "note"}
    found = [mapped(item) for item in listed(data.get("findings"))]
    lines = [
        f"{marks.get(str(item.get('severity')), 'note')}: {say(item.get('message', ''), 300)}"
        for item in found
    ]
    return bullets(lines, 8)


def _topic(topic: dict[str, object]) -> tuple[object, ...]:
    state = QUALITY.get(str(topic.get("status")), str(topic.get("status") or ""))
    return (
        topic_name(topic),
        figure(topic.get("mean")),
        figure(topic.get("std")),
        f"{whole(topic.get('count')):,}",
        state,
    )


def _quality(data: Json) -> str:
    quality = mapped(data.get("quality"))
    parts = [
        f"{name.capitalize()}: {QUALITY.get(str(quality[name]), say(quality[name], 30))}"
        for name in ("dataset", "grader")
        if quality.get(name)
    ]
    return " · ".join(parts)


def _compared(compared: dict[str, object]) -> str:
    if not compared:
        return ""
    change = real(compared.get("change"))
    word = say(compared.get("trend") or compared.get("status") or "", 40)
    interval = [figure(end) for end in listed(compared.get("interval"))]
    span = f" (95 % interval {' to '.join(interval)})" if len(interval) == 2 else ""
    noise = " That is within noise." if compared.get("within_noise") else ""
    return f"*Since the last dry run:* {word} {'' if change is None else f'{change:+.2f}'}{span}.{noise}"


def _samples(title: str, samples: list[object]) -> list[Block | None]:
    if not samples:
        return []
    return [section(f"*{title}*"), *(sample_block(mapped(sample)) for sample in samples[:2])]


def _options(data: Json) -> str:
    lines = [
        say(mapped(item).get("text") or mapped(item).get("message") or item, 240)
        for item in listed(data.get("options"))
    ]
    return "*What you can do*\n" + bullets(lines, 6) if lines else ""


def _buttons(data: Json, verdict: str) -> Block | None:
    workflow = str(data.get("workflow_id") or "")
    train = (
        button("Plan the training", "training.open", workflow, style="primary")
        if verdict != "NO-GO"
        else None
    )
    grader = button("Change the grader", "grader.open", workflow)
    rows = button("Generate examples", "generation.open", workflow)
    again = button("Run again", "next.run_dry_run", workflow)
    knowingly = button("Go on anyway…", "override.verdict", workflow)
    return actions(
        train, grader, rows, again, knowingly if verdict == "NO-GO" and data.get("may_override") else None
    )
