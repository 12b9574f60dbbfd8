"""The status card of a piece of work: one message that changes until the work is over, with a way to stop it."""

from __future__ import annotations

from bot.views.kit import (
    Json,
    Rendered,
    actions,
    bar,
    button,
    confirm,
    context,
    rendered,
    say,
    section,
    whole,
)

MARKS = {
    "queued": "🕓 Waiting for a worker",
    "running": "⏳ Running",
    "waiting": "🟡 Waiting for something outside",
    "finished": "✅ Done",
    "failed": "🔴 Failed",
    "cancelled": "⏹️ Stopped",
}
OVER = frozenset({"finished", "failed", "cancelled"})


def render(data: Json) -> Rendered:
    status, title = str(data.get("status") or "running"), say(data.get("title") or "Working", 100)
    done, total = whole(data.get("done")), whole(data.get("total"))
    label = say(data.get("label") or "", 400)
    if label.casefold() in ("done", "stopped", "running", "waiting for a worker"):
        label = ""  # the mark says it already
    share = (
        f"`{bar(done / total, 20)}` {done:,} of {total:,}"
        if total and status not in ("finished", "failed")
        else ""
    )
    between = " · " if status in OVER else "\n"  # what is over takes one line of the thread
    words = between.join(part for part in (f"*{title}* – {MARKS.get(status, status)}", share, label) if part)
    stop = button(
        "Cancel",
        "task.cancel",
        str(data.get("task_id") or ""),
        ask=confirm("Stop this?", "What is finished is kept and counted.", "Stop it"),
        label=f"Cancel {title}",
    )
    text = f"{title}: {MARKS.get(status, status)[2:].strip()}" + (
        f", {done:,} of {total:,}" if total and status == "running" else ""
    )
    return rendered(
        text, [section(words), actions(stop if status not in OVER else None), context(_note(status))]
    )


def _note(status: str) -> str:
    return (
        "Something is slow or unreachable; I keep trying and say when it is back."
        if status == "waiting"
        else ""
    )
