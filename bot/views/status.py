"""Where a workflow stands: the seven steps, what runs, what waits for a decision, what comes next; and lists of workflows."""

from __future__ import annotations

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    bar,
    bullets,
    button,
    context,
    count,
    fields,
    figure,
    header,
    listed,
    mapped,
    more,
    person,
    real,
    rendered,
    say,
    section,
    when,
    whole,
)

MARKS = {
    "complete": "✅",
    "processing": "⏳",
    "ready": "▶️",
    "attention": "🟡",
    "failed": "🔴",
    "skipped": "⏭️",
    "waiting": "▫️",
}
WORDS = {
    "complete": "done",
    "processing": "under way",
    "ready": "ready to start",
    "attention": "needs attention",
    "failed": "failed",
    "skipped": "skipped",
    "waiting": "not yet",
}
MOST_WORKFLOWS = 12


def render(data: Json) -> Rendered:
    """One workflow, from its pipeline view."""
    workflow = mapped(data.get("workflow"))
    name, share = str(workflow.get("name") or "Workflow"), whole(workflow.get("percent"))
    steps = [mapped(line) for line in listed(data.get("pipeline"))]
    at = next(
        (index for index, line in enumerate(steps, 1) if line.get("status") not in ("complete", "skipped")),
        len(steps),
    )
    return rendered(
        f"{say(name, 80)}: step {at} of {len(steps) or 7}, {share} % done",
        [
            header(name),
            fields(
                [
                    ("Progress", f"{bar(share / 100, 10)} {share} %"),
                    (
                        "Balance",
                        figure(data.get("balance_score"))
                        if real(data.get("balance_score")) is not None
                        else "",
                    ),
                    ("Goal", say(workflow.get("goal") or "not said yet", 200)),
                    ("Owner", person(str(workflow.get("owner") or ""))),
                ]
            ),
            section("\n".join(line(step, index) for index, step in enumerate(steps, 1))),
            *_jobs([mapped(job) for job in listed(data.get("jobs"))]),
            section(_proposals(listed(data.get("proposals")))),
            section(f"*Next:* {say(str(data['next']).replace('_', ' '), 200)}" if data.get("next") else ""),
            context(_last(data)),
        ],
    )


def line(step: dict[str, object], number: int) -> str:
    """One line of the pipeline: number, name, state in words, what there is."""
    status = str(step.get("status") or "waiting")
    done, total = whole(step.get("done")), whole(step.get("total"))
    text = say(step.get("text") or "", 120)
    share = f" {bar(done / total, 8)} {done:,} of {total:,}" if status == "processing" and total else ""
    blocked = [say(reason, 120) for reason in listed(step.get("blocked"))]
    missing = f"\n      _{blocked[0]}_{more(1, len(blocked))}" if blocked and status == "waiting" else ""
    head = f"{MARKS.get(status, '▫️')} {number}. *{say(step.get('title') or '', 40)}* – {WORDS.get(status, status)}"
    return f"{head}{share}{f' · {text}' if text else ''}{missing}"


def workflows(data: Json) -> Rendered:
    """Several workflows, one paragraph each, with a link to their thread."""
    found = [mapped(item) for item in listed(data.get("workflows"))]
    title = str(data.get("title") or "Workflows")
    if not found:
        text = "No workflow yet. Upload a JSONL file in a channel I am in, or in a direct message, and one begins."
        return rendered(text, [header(title), section(text)])
    shown = [section(workflow_line(item)) for item in found[:MOST_WORKFLOWS]]
    rest = more(len(shown), len(found), "workflows")
    return rendered(
        f"{say(title, 100)}: {count(len(found), 'workflow')}", [header(title), *shown, context(rest)]
    )


def workflow_line(item: dict[str, object]) -> str:
    """Name, step, progress and owner of a workflow; `link` is a permalink made by code."""
    name, link = say(item.get("name") or "Workflow", 100), str(item.get("link") or "")
    title = f"<{link}|{name}>" if link.startswith(("https://", "http://")) else f"*{name}*"
    state = str(item.get("status") or "active")
    step = say(str(item.get("step") or "").replace("_", " "), 40) if state == "active" else say(state, 20)
    at = real(item.get("updated_at"))
    owner = f" · {person(str(item['owner']))}" if item.get("owner") else ""
    return f"{title} – {step} · {bar(whole(item.get('percent')) / 100, 8)} {whole(item.get('percent'))} %{owner}{f' · {when(at)}' if at else ''}"


def _jobs(jobs: list[dict[str, object]]) -> list[Block | None]:
    running = [job for job in jobs if job.get("status") in ("queued", "running")][:5]
    blocks: list[Block | None] = []
    for job in running:
        title = say(str(job.get("title") or job.get("operation") or "job").replace("_", " "), 60)
        done, total = whole(job.get("done")), whole(job.get("total"))
        share = (
            f"{bar(done / total, 10)} {done:,} of {total:,}"
            if total
            else say(job.get("label") or job.get("status") or "", 60)
        )
        stop = button(
            "Cancel", "task.cancel", str(job.get("id") or job.get("task_id") or ""), label=f"Cancel {title}"
        )
        blocks.append(section(f"⏳ *{title}* {share}", stop))
    return blocks


def _proposals(proposals: list[object]) -> str:
    lines = [
        say(mapped(item).get("title") or mapped(item).get("kind") or "a proposal", 120) for item in proposals
    ]
    return "*Waiting for a decision* (the cards above)\n" + bullets(lines, 5) if lines else ""


def _last(data: Json) -> str:
    at = real(data.get("last_activity"))
    what = say(data.get("last_what") or "", 120)
    return f"Last: {what} {when(at) if at else ''}".strip() if what or at else ""
