"""Words: what the model said (with its label and a way to rate it), and what code has to say (notices)."""

from __future__ import annotations

from bot.views.kit import (
    Block,
    Json,
    Rendered,
    actions,
    button,
    context,
    escape,
    listed,
    mapped,
    markdown,
    model_markdown,
    plain,
    rendered,
    section,
)

LEVELS = {"info": "", "warning": "⚠️ ", "error": "🔴 "}


def prose(data: Json) -> Rendered:
    """Markdown by a model. Its mentions are taken out; facts stand in cards, not here."""
    text = model_markdown(str(data.get("text") or ""))
    if not text:
        return notice({"text": "I have nothing to add.", "level": "info"})
    return rendered(
        escape(text),
        [
            markdown(text),
            _feedback() if data.get("feedback") else None,
            context("AI-generated; the numbers are in the cards."),
        ],
    )


def notice(data: Json) -> Rendered:
    """Plain words by code. Mentions and links in it are meant; strings of others were escaped where they went in."""
    mark = LEVELS.get(str(data.get("level")), "")
    text = f"{mark}{data.get('text') or ''}".strip() or "…"
    buttons = [_button(mapped(item), index) for index, item in enumerate(listed(data.get("buttons"))[:5])]
    return rendered(text, [section(text), actions(*buttons)])


def _button(item: dict[str, object], index: int) -> Block:
    return button(
        str(item.get("text") or "Go on"),
        str(item.get("action") or f"notice.{index}"),
        str(item.get("value") or ""),
    )


def _feedback() -> Block:
    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "prose.feedback",
                "positive_button": {
                    "text": plain("Helpful", 75),
                    "value": "good",
                    "accessibility_label": "This answer was helpful",
                },
                "negative_button": {
                    "text": plain("Not helpful", 75),
                    "value": "bad",
                    "accessibility_label": "This answer was not helpful",
                },
            }
        ],
    }
