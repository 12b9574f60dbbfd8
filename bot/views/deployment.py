"""A model that answers: where it is, how to call it, base and tuned side by side."""

from __future__ import annotations

from bot.views.cleaning import leakage
from bot.views.kit import (
    Json,
    Rendered,
    actions,
    button,
    clip,
    context,
    count,
    fields,
    figure,
    header,
    mapped,
    real,
    rendered,
    say,
    section,
    when,
    whole,
)


def uploaded(data: Json) -> Rendered:
    """The dataset is at the training backend; the dry run comes next."""
    rows = count(data.get("record_count"), "row")
    return rendered(
        f"Uploaded: {rows}",
        [
            header("Uploaded to the training backend"),
            fields(
                [
                    ("Training rows", f"{whole(data.get('train_count')):,}"),
                    ("Validation rows", f"{whole(data.get('validation_count')):,}"),
                    ("With grader", "yes" if data.get("has_evaluator") else "no"),
                    ("With topics", "yes" if data.get("has_topic_hierarchy") else "no"),
                    ("Dataset at the backend", f"`{say(data.get('backend_dataset_id', ''), 120)}`"),
                ]
            ),
            section(leakage(mapped(data.get("leakage_report")))),
            actions(
                button(
                    "Start the dry run",
                    "next.run_dry_run",
                    str(data.get("workflow_id") or ""),
                    style="primary",
                )
            ),
        ],
    )


def deployed(data: Json) -> Rendered:
    """The model has an address. The example request carries no key."""
    model = say(data.get("model_id", ""), 160)
    at = real(data.get("deployed_at"))
    example = clip(str(data.get("example_request") or ""), 900).replace("```", "'''")
    return rendered(
        f"Deployed: {model}",
        [
            header("Deployed"),
            fields(
                [
                    ("Model", f"`{model}`"),
                    ("Endpoint", f"`{say(data.get('endpoint', ''), 200)}`"),
                    ("Mode", say(str(data.get("mode") or "").replace("_", " "), 40)),
                    ("Since", when(at) if at else ""),
                ]
            ),
            section(f"*How to call it*\n```{_escaped(example)}```" if example else ""),
            actions(button("Try it here", "try.open", str(data.get("workflow_id") or ""), style="primary")),
        ],
    )


def tried(data: Json) -> Rendered:
    """One prompt, both models."""
    base, tuned = mapped(data.get("base")), mapped(data.get("tuned"))
    return rendered(
        "Base and tuned, side by side",
        [
            header("Side by side"),
            section(f"> {say(data.get('prompt', ''), 600)}"),
            section(_answer("Base", base)),
            section(_answer("Tuned", tuned)),
            actions(button("Try another", "try.open", str(data.get("workflow_id") or ""))),
            context("AI-generated answers."),
        ],
    )


def _answer(title: str, answer: dict[str, object]) -> str:
    score = f" · score {figure(answer['score'])}" if real(answer.get("score")) is not None else ""
    text = say(answer.get("text") or "(empty answer)", 1_500)
    return f"*{title}* `{say(answer.get('model', ''), 100)}`{score}\n{text}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
