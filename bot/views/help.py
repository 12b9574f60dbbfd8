"""What the bot can do and how to ask for it, in one card; also the greeting in its direct messages."""

from __future__ import annotations

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    actions,
    button,
    context,
    divider,
    header,
    rendered,
    say,
    section,
)

STEPS = (
    "*1. Upload* a file of examples (JSONL, JSON or CSV, also gzip or zstd) in a thread or a direct message.",
    "*2. Topics:* I propose a tree; approve it, edit it, or tell me what to change.",
    "*3. Coverage:* see which topics lack rows, and have examples generated.",
    "*4. Grader:* say how answers should be judged; I test it on five rows.",
    "*5. Dry run:* the base model answers, the grader scores, you get a verdict.",
    "*6. Training:* after approval; I report before and after on rows it never saw.",
    "*7. Deployment:* a model id, an endpoint, and a side-by-side try in the thread.",
)
COMMANDS = (
    "`/finetune status` – my workflows; `all` for this channel, or a workflow's name",
    "`/finetune list` – my workflows, finished ones too",
    "`/finetune new [name]` – begin a thread for a new workflow",
    "`/finetune cancel [name]` – stop what is running",
    "`/finetune help` – this",
)


def render(data: Json) -> Rendered:
    """`unknown` is a command word that was not understood."""
    unknown = str(data.get("unknown") or "")
    lead = f"I do not know `/finetune {say(unknown, 60)}`. Here is what I do know." if unknown else ""
    return rendered(
        "How to use Finetune",
        [
            section(lead),
            header("From a file of examples to a model that answers"),
            section("\n".join(STEPS)),
            divider(),
            section("*Commands*\n" + "\n".join(COMMANDS)),
            context(
                "In a thread just write: “status”, “add Complaints under General”, “generate 30 more”, “stop”."
            ),
            context(
                "What costs money always waits for an approval. Rows go to a model provider only with consent."
            ),
        ],
    )


def greeting() -> Rendered:
    """The first message in somebody's direct messages."""
    return rendered(
        "Hello, I turn your team's examples into a fine-tuned model.",
        [
            header("Hello, I turn your team's examples into a fine-tuned model"),
            section(
                "Drop a JSONL file here, or in a thread of a channel I am in, and tell me in a sentence what the model should learn."
            ),
            section("\n".join(STEPS)),
            _no_file(),
            context("`/finetune help` shows the commands."),
        ],
    )


def beginning(text: str) -> list[Block]:
    """The first message of a thread for a new workflow; `text` is mrkdwn."""
    return [block for block in (section(text), _no_file()) if block]


def _no_file() -> Block | None:
    return actions(button("No file yet? Start from a goal", "bootstrap.open", "thread"))
