"""The Home tab: getting started, my workflows, what waits for my approval, links. A view of its own, not a message."""

from __future__ import annotations

from bot.views.help import COMMANDS, STEPS
from bot.views.kit import Block, Json, context, divider, header, listed, mapped, more, say, section
from bot.views.status import workflow_line

MOST = 15


def render(data: Json) -> Block:
    """`workflows` as in `status.workflows`, `approvals` [{title, link, channel}], `public_url`."""
    workflows = [mapped(item) for item in listed(data.get("workflows"))]
    approvals = [mapped(item) for item in listed(data.get("approvals"))]
    blocks = [
        *_approvals(approvals),
        *_workflows(workflows),
        header("Getting started"),
        section("\n".join(STEPS)),
        divider(),
        section("*Commands*\n" + "\n".join(COMMANDS)),
        context("What costs money waits for an approval. The Messages tab is for talking to me."),
    ]
    return {"type": "home", "blocks": [block for block in blocks if block]}


def _approvals(items: list[dict[str, object]]) -> list[Block | None]:
    if not items:
        return [header("Waiting for my approval"), section("Nothing waits for you.")]
    shown = [section(_approval(item)) for item in items[:MOST]]
    return [header("Waiting for my approval"), *shown, context(more(len(shown), len(items)))]


def _approval(item: dict[str, object]) -> str:
    title, link = say(item.get("title") or "A proposal", 120), str(item.get("link") or "")
    name = f"<{link}|{title}>" if link.startswith(("http://", "https://")) else f"*{title}*"
    workflow = say(item.get("workflow") or "", 100)
    return f"{name}{f' · {workflow}' if workflow else ''}"


def _workflows(items: list[dict[str, object]]) -> list[Block | None]:
    if not items:
        return [
            header("My workflows"),
            section("None yet. Upload a file of examples in a direct message or a channel I am in."),
        ]
    shown = [section(workflow_line(item)) for item in items[:MOST]]
    return [header("My workflows"), *shown, context(more(len(shown), len(items)))]
