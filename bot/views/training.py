"""A training job that began, and what came of it: before and after on rows the model never saw, per topic, the curve."""

from __future__ import annotations

from bot.views.cleaning import leakage
from bot.views.kit import (
    Block,
    Chart,
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
    person,
    real,
    rendered,
    say,
    section,
    table,
    topic_name,
    whole,
)

PATTERNS = {
    "improving": "✅ It kept improving.",
    "overfitting": "🟡 Overfitting: it peaked before the end. The best checkpoint is proposed, not the last.",
    "reward_hacking": "🔴 Reward hacking: the score rose faster than the answers got better.",
    "no_learning": "🔴 It learned nothing to speak of.",
    "mixed": "🟡 Mixed: some topics better, some worse.",
    "failed": "🔴 It failed.",
    "too_short": "Too short to judge a trend.",
}
NEXT = {
    "deploy_after_evaluation": "try it on a few prompts of your own, then deploy it.",
    "investigate": "look at the topics and samples that got worse before deploying.",
    "back_to_data": "go back to the data or the grader; more training alone will not help.",
    "retrain": "plan the training again.",
    "evaluate": "try it on prompts of your own; the run was too short to judge by its curve.",
    "start_training": "plan the training again.",
}
BLOCKED = frozenset({"overfitting", "reward_hacking", "no_learning", "failed"})
CURVE_POINTS = 60
CURVES = (("train", "Training reward"), ("valid", "Validation reward"))


def started(data: Json) -> Rendered:
    """The job exists at the backend."""
    model, job = say(data.get("base_model", ""), 80), say(data.get("job_id", ""), 80)
    return rendered(
        f"Training started: {model}",
        [
            header("Training started"),
            fields(
                [
                    ("Base model", model),
                    ("Method", say(data.get("method", ""), 40)),
                    ("Training rows", f"{whole(data.get('train_count')):,}"),
                    ("Validation rows", f"{whole(data.get('validation_count')):,}"),
                    ("Settings", hyperparameters(mapped(data.get("hyperparameters")))),
                    ("Job", f"`{job}`"),
                ]
            ),
            section(leakage(mapped(data.get("leakage_report")))),
            context("Progress appears here. You will be told when it is done; nothing needs watching."),
        ],
    )


def done(data: Json) -> Rendered:
    """The completion message: it names the person who asked, so that they are notified."""
    status, pattern = str(data.get("status") or ""), str(data.get("pattern") or "")
    requester = person(str(data.get("requester") or ""))
    if status in ("failed", "cancelled"):
        return _ended(data, status, requester)
    chart = _chart([mapped(point) for point in listed(data.get("curve"))])
    before, after = data.get("before"), data.get("after")
    return rendered(
        f"Training finished: {figure(before)} → {figure(after)} on validation rows",
        [
            header("Training finished"),
            section(f"{requester}, your model is trained: `{say(data.get('model', ''), 120)}`"),
            fields(
                [
                    ("Before", figure(before)),
                    ("After", figure(after)),
                    ("Change", _change(data)),
                    ("95 % interval", " to ".join(figure(end) for end in listed(data.get("interval")))),
                    ("Trend", PATTERNS.get(pattern, say(pattern, 60))),
                    ("Best checkpoint", _checkpoint(data)),
                ]
            ),
            section(_warnings(data)),
            image(chart.alt) if chart else None,
            table(
                ("Topic", "Before", "After", "Change", "Rows"),
                [_topic(mapped(row)) for row in listed(data.get("by_topic"))],
                numbers=(1, 2, 3, 4),
                most=20,
            ),
            section(_criteria(listed(data.get("by_criterion")))),
            section(_next(data)),
            _buttons(data, pattern),
        ],
        chart,
    )


def hyperparameters(values: dict[str, object]) -> str:
    """`epochs 2, batch size auto`; providers write `n_epochs`, people do not."""
    shown = [
        f"{say(name.removeprefix('n_').replace('_', ' '), 40)} {say(value, 30)}"
        for name, value in values.items()
        if not isinstance(value, dict)
    ]
    return ", ".join(shown[:8])


def _ended(data: Json, status: str, requester: str) -> Rendered:
    word = "was stopped" if status == "cancelled" else "failed"
    reason = say(data.get("error") or data.get("reason") or "", 400)
    return rendered(
        f"Training {word}",
        [
            header(f"Training {word}"),
            section(
                f"{requester}, the training job `{say(data.get('job_id', ''), 80)}` {word}.{f' The backend says: {reason}' if reason else ''}"
            ),
            section(_next(data)),
            actions(button("Plan it again", "training.open", str(data.get("workflow_id") or ""))),
        ],
    )


def _next(data: Json) -> str:
    step = str(data.get("next") or "")
    return f"*Next:* {NEXT.get(step) or say(step.replace('_', ' '), 160)}" if step else ""


def _checkpoint(data: Json) -> str:
    """Its own part only: the model's name stands above."""
    best, model = str(data.get("best_checkpoint") or ""), str(data.get("model") or "")
    own = best.removeprefix(model).lstrip(":") or best
    return f"`{say(own, 80)}`" if own else ""


def _change(data: Json) -> str:
    change = real(data.get("change"))
    if change is None:
        return "–"
    relative = f" ({percent(change / before)})" if (before := real(data.get("before"))) else ""
    sure = "beyond chance" if data.get("significant") else "within chance"
    return f"{change:+.2f}{relative}, {sure}"


def _warnings(data: Json) -> str:
    notes = []
    if data.get("synthetic_validation"):
        notes.append("⚠️ *Synthetic validation:* too few real rows, so made-up ones were used to measure.")
    if leakage := data.get("leakage"):
        notes.append(
            f"⚠️ *Leakage:* {say(leakage, 240) if isinstance(leakage, str) else 'related rows stand on both sides of the split.'}"
        )
    return "\n".join(notes)


def _topic(row: dict[str, object]) -> tuple[object, ...]:
    before, after = real(row.get("before")), real(row.get("after"))
    change = real(row.get("change"))
    if change is None and before is not None and after is not None:
        change = after - before
    shown = "–" if change is None else f"{change:+.2f}{' (worse)' if row.get('worse') else ''}"
    return (
        topic_name(row),
        figure(before),
        figure(after),
        shown,
        f"{whole(row.get('count')):,}",
    )


def _criteria(rows: list[object]) -> str:
    lines = []
    for row in (mapped(item) for item in rows[:12]):
        name = say(row.get("name") or row.get("criterion") or "", 80)
        lines.append(f"• {name}: {figure(row.get('before'))} → {figure(row.get('after'))}")
    return "*By criterion*\n" + "\n".join(lines) if lines else ""


def _chart(points: list[dict[str, object]]) -> Chart | None:
    if len(points) < 2:
        return None
    stride = max(1, -(-len(points) // CURVE_POINTS))
    shown = points[::stride]
    if shown[-1] is not points[-1]:
        shown.append(points[-1])
    curves = [(title, tuple(real(point.get(key)) for point in shown)) for key, title in CURVES]
    series = tuple((title, values) for title, values in curves if any(value is not None for value in values))
    if not series:
        return None
    ends = ", ".join(
        f"{title} from {figure(_first(values))} to {figure(_first(values[::-1]))}" for title, values in series
    )
    labels = tuple(str(whole(point.get("step"))) for point in shown)
    return Chart(
        "curve",
        "Reward while training",
        labels,
        series,
        f"Reward a step: {ends} over {count(len(points), 'point')}.",
        "reward",
    )


def _first(values: tuple[float | None, ...]) -> float | None:
    return next((value for value in values if value is not None), None)


def _buttons(data: Json, pattern: str) -> Block | None:
    workflow = str(data.get("workflow_id") or "")
    deploy = (
        button("Deploy", "next.deploy_model", workflow, style="primary") if pattern not in BLOCKED else None
    )
    knowingly = button("Deploy anyway…", "override.deploy", workflow)
    tried = button("Try it", "try.open", workflow)
    return actions(
        deploy,
        tried,
        button("Train again", "training.open", workflow),
        knowingly if pattern in BLOCKED else None,
    )
