"""Is a row fit to learn from? The rules of domain.md §2: the first error wins, in the order of `CODES`.

Judges records; what turns bytes into records, and finds the first four errors on the way, is `tasks/ingest`. Duplicates
are a matter of the whole dataset and are found where all rows pass by (`storage.digests`). Nothing here changes a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from storage.datasets.summaries import characters
from storage.rows import Message, Row, content_text, conversation_text
from tasks.rules.limits import Limits

Code = Literal[
    "invalid_json",
    "invalid_data_structure",
    "missing_input",
    "missing_messages",
    "empty_messages",
    "invalid_role",
    "no_user_message",
    "empty_user_message",
    "user_message_too_short",
    "missing_tool_call_id",
    "orphan_tool_result",
    "exceeds_max_tokens",
    "duplicate",
]
CODES: tuple[Code, ...] = Code.__args__  # type: ignore[attr-defined]
ROLES = ("system", "developer", "user", "assistant", "tool")
EXACT_ABOVE_BYTES = 8_000  # below it the estimate cannot be wrong enough to matter

_WHAT: dict[Code, tuple[str, str]] = {
    "invalid_json": ("cannot be read", "Write the row as one valid JSON object in UTF-8, or remove it."),
    "invalid_data_structure": (
        "is not shaped like a record",
        "Each row is an object; messages is a list of objects with role and content.",
    ),
    "missing_input": (
        "has no input",
        "Give it messages, or prompt and completion, instruction and output, or text and label.",
    ),
    "missing_messages": ("has no messages", "Add a messages list with at least one user message."),
    "empty_messages": ("has an empty messages list", "Add at least one user message, or remove the row."),
    "invalid_role": (
        "has a message with an unknown role",
        "Use system, developer, user, assistant or tool as the role.",
    ),
    "no_user_message": ("has no user message", "Add a user message, or remove the row."),
    "empty_user_message": ("has an empty user message", "Write what the user said, or remove the message."),
    "user_message_too_short": (
        "ends with a very short user message",
        "Make the last user message at least {min} characters long, or remove the row.",
    ),
    "missing_tool_call_id": (
        "has a tool message or tool call without an id",
        "Give every tool call an id, and every tool message the tool_call_id that it answers.",
    ),
    "orphan_tool_result": (
        "has a tool result that no tool call asked for",
        "Let an assistant message before it carry a tool call with the same id.",
    ),
    "exceeds_max_tokens": ("is too long", "Shorten the conversation to at most {max} tokens."),
    "duplicate": ("repeats an earlier row", "Remove it, or change the conversation; the first one stays."),
}


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One row's first error, for people. `line` is 0 where the row did not come from a file."""

    line: int
    code: Code
    message: str
    mend: str
    detail: str = ""


def check_row(
    row: Row, limits: Limits | None = None, count_tokens: Callable[[str], int] | None = None
) -> tuple[Code | Literal[""], int]:
    """(first error or "", tokens). Duplicates are not looked for.

    `count_tokens` counts exactly, where a tokenizer is at hand; it is asked only about rows over 8,000 bytes.
    """
    limits = limits or Limits()
    if row.raw:
        return next((code for code in CODES if code == row.error), "invalid_json"), 0
    messages = row.messages
    if structure_problem(messages):
        return "invalid_data_structure", 0
    tokens = token_count(messages, count_tokens)
    code = conversation_error(messages, limits)
    if not code and tokens > limits.max_tokens:
        code = "exceeds_max_tokens"
    return code, tokens


def conversation_error(messages: Sequence[Message], limits: Limits) -> Code | Literal[""]:
    """The first error of a well-formed list of messages, its length apart."""
    if not messages:
        return "empty_messages"
    if any(message.get("role") not in ROLES for message in messages):
        return "invalid_role"
    users = [message.get("content") for message in messages if message.get("role") == "user"]
    if not users:
        return "no_user_message"
    if any(_is_empty(content) for content in users):
        return "empty_user_message"
    if _is_text(users[-1]) and len(content_text(users[-1]).strip()) < limits.min_user_characters:
        return "user_message_too_short"
    return _tool_error(messages)


def structure_problem(messages: Sequence[Any]) -> str:
    """What about the messages is not even shaped like messages; "" when all is well."""
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            return f"message {number} is not an object"
        content = message.get("content")
        if not (content is None or isinstance(content, str | list)):
            return f"the content of message {number} is neither text nor a list of parts"
        if isinstance(content, list) and not all(isinstance(part, dict | str) for part in content):
            return f"message {number} has a content part that is not an object"
        if not _are_calls(message.get("tool_calls")):
            return f"the tool_calls of message {number} are not a list of objects"
    return ""


def token_count(messages: Sequence[Message], count_tokens: Callable[[str], int] | None = None) -> int:
    """ceil(characters / 4), or an exact count of a long conversation where that is possible."""
    if count_tokens is not None:
        text = conversation_text(messages, roles=False)
        if len(text.encode("utf-8", "replace")) > EXACT_ABOVE_BYTES:
            return count_tokens(text)
    return -(-characters(messages) // 4)


def explain(code: Code, *, line: int, detail: str = "", limits: Limits | None = None) -> RowProblem:
    """An error in words: "Line 14 has no user message." and how to mend it."""
    limits = limits or Limits()
    what, mend = _WHAT[code]
    where = f"Line {line:,}" if line else "The row"
    return RowProblem(
        line=line,
        code=code,
        message=f"{where} {what}{f' ({detail})' if detail else ''}.",
        mend=mend.format(min=limits.min_user_characters, max=f"{limits.max_tokens:,}"),
        detail=detail,
    )


def _are_calls(calls: Any) -> bool:
    return calls is None or (isinstance(calls, list) and all(isinstance(call, dict) for call in calls))


def _is_empty(content: Any) -> bool:
    return not content_text(content).strip() and _is_text(content)


def _is_text(content: Any) -> bool:
    """False for content that also has pictures, sound or files: those may stand alone."""
    if not isinstance(content, list):
        return True
    return not any(isinstance(part, dict) and part.get("type", "text") != "text" for part in content)


def _tool_error(messages: Sequence[Message]) -> Code | Literal[""]:
    asked: set[str] = set()
    orphan = False
    for message in messages:
        for call in message.get("tool_calls") or ():
            if not call.get("id"):
                return "missing_tool_call_id"
            asked.add(str(call["id"]))
        if message.get("role") == "tool":
            if not message.get("tool_call_id"):
                return "missing_tool_call_id"
            orphan = orphan or str(message["tool_call_id"]) not in asked
    return "orphan_tool_result" if orphan else ""
