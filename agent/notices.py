"""What code says in the thread when the model cannot or must not: plain words, what is kept, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from storage.records import Json, OutboxEvent, Workflow
from tasks.models.port import ModelError, ModelRefused, ModelUnavailable

PROSE_BYTES = 18_000
_BUTTONS: dict[str, tuple[str, str]] = {
    "generate_topics": ("Propose topics", "next.generate_topics"),
    "categorize_records": ("Sort the rows", "next.categorize_records"),
    "configure_grader": ("Set up a grader", "grader.open"),
    "upload_dataset": ("Upload the dataset", "next.upload_dataset"),
    "run_dry_run": ("Dry run", "next.run_dry_run"),
    "start_finetune_workflow": ("Set the goal", "goal.open"),
}


def prose(text: str, *, channel: str, thread_ts: str, key: str) -> OutboxEvent:
    """The model's answer, cut to what one message carries."""
    encoded = text.encode()
    if len(encoded) > PROSE_BYTES:
        text = (
            encoded[:PROSE_BYTES].decode(errors="ignore")
            + "\n\n… (cut here: the answer was too long for one message)"
        )
    data = {"text": text, "feedback": True}
    return OutboxEvent(kind="prose", channel=channel, thread_ts=thread_ts, data=data, key=key)


def notice(
    text: str, *, channel: str, thread_ts: str, key: str, level: str = "info", buttons: Sequence[Json] = ()
) -> OutboxEvent:
    data: Json = {"text": text, "level": level, **({"buttons": list(buttons)} if buttons else {})}
    return OutboxEvent(kind="notice", channel=channel, thread_ts=thread_ts, data=data, key=key)


def refusal_text(title: str, result: Json) -> str:
    """What is missing for a tool that was refused, in order, and the way on."""
    lines = [f"{place}. {item['message']}" for place, item in enumerate(result["missing"], 1)]
    return f"*{title}* is not possible yet. Missing:\n" + "\n".join(lines)


def refusal_buttons(result: Json, workflow: Workflow | None) -> list[Json]:
    """The button that mends the first thing missing, where one exists."""
    found = _BUTTONS.get(str(result.get("next", "")))
    return [{"text": found[0], "action": found[1], "value": workflow.id}] if found and workflow else []


def waiting_text(messages: int) -> str:
    what = (
        "Your message is"
        if messages == 1
        else f"Your {messages} messages are"
        if messages
        else "What happened is"
    )
    return f"The model does not answer just now. {what} kept, and I go on as soon as it is back; nothing needs repeating."


def gave_up_text(minutes: int) -> str:
    return (
        f"The model could not be reached for {minutes} minutes, so I stop trying. Nothing was lost and nothing was changed: "
        "write again here when it is back, and I take it up from where we are."
    )


def trouble_text(error: ModelError, model: str) -> str:
    """A clear answer for a model that refuses or talks nonsense. The server's own words are for the log, not for people."""
    if isinstance(error, ModelUnavailable):
        return waiting_text(1)
    if not isinstance(error, ModelRefused):
        return "The model gave no usable answer, twice. Nothing was changed; please say it again, or use the buttons."
    if error.status in (401, 403):
        return "The model server does not accept our key. Whoever runs the bot: check OPENAI_API_KEY. Nothing was changed."
    if error.status == 404 or error.code == "model_not_found":
        return f"The model server does not know the model `{model}`. Whoever runs the bot: set AGENT_MODEL. Nothing was changed."
    if error.code in ("insufficient_quota", "billing_hard_limit_reached"):
        return "The account at the model provider has no credit left. Whoever runs the bot can add some. Nothing was changed."
    return "The model server refused the question. Whoever runs the bot finds the reason in the log. The buttons work meanwhile."


EMPTY = "The model answered nothing, twice. Nothing was changed; please say it again, or use the buttons."
ENDLESS = (
    "I stopped after {calls} steps without coming to an answer. What was started is shown above; nothing else was done. "
    "Please say what you need in one sentence, or use the buttons."
)
STOPPED = "Stopped. What was already done is kept."
