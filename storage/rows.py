"""The record form: what every uploaded shape becomes, and what every later step reads.

A row rests as one line of JSON in a part (`encode`), without the fields that change often: those are columns of the part
(`COLUMNS`) and are laid over the row when it is read. Messages are plain dicts in the wire form of chat models, so that
what we do not know about is kept. Nothing here judges a row; validation is `tasks/rules/validation.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from storage.errors import Corrupt

Message = dict[str, Any]
TopicMethod = Literal["keyword", "embedding", "llm", "manual"]

COLUMNS = (
    "error",
    "tokens",
    "topic",
    "topic_confidence",
    "topic_method",
    "previous_topic",
    "score",
    "is_generated",
)
"""Fields of `Row` that rest beside the part. Their defaults stand for "nothing known"."""

UNCATEGORISED = "uncategorised"
"""The topic of a row that was looked at and fits nowhere; None is a row that nobody has looked at."""


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model is given: everything up to the last user message, and the tools it may call."""

    messages: list[Message] = []
    tools: list[Any] | None = None
    tool_choice: Any = None


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reference answer; empty for most reinforcement data. `tool_calls` only where the upload kept them apart."""

    messages: list[Message] = []
    tool_calls: list[Any] | None = None
    finish_reason: str | None = None


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of a dataset (domain.md §1).

    item        every other column of the upload, offered to graders as `item.<field>`
    provenance  where the row came from: {"file", "line"}, or {"seed", "strategy", "persona", "model", …}
    raw         the text of a row that could not be read as a record at all, else ""
    problem     what exactly was wrong with such a row, else ""
    error       the first validation error's code, "" when valid
    """

    id: str
    input: Input = Input()
    output: Output = Output()
    item: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
    raw: str = ""
    problem: str = ""
    error: str = ""
    tokens: int = 0
    topic: str | None = None
    topic_confidence: float | None = None
    topic_method: str | None = None
    previous_topic: str | None = None
    score: float | None = None
    is_generated: bool = False

    @property
    def valid(self) -> bool:
        return not self.error

    @property
    def errors(self) -> tuple[str, ...]:
        return (self.error,) if self.error else ()

    @property
    def line(self) -> int:
        """The line of the uploaded file, from 1; 0 for a row that did not come from a file."""
        line = self.provenance.get("line", 0)
        return line if isinstance(line, int) else 0

    @property
    def messages(self) -> list[Message]:
        """The whole conversation, reference answer included."""
        return [*self.input.messages, *self.output.messages]

    @property
    def reference_answer(self) -> str:
        """What a good answer says: the column of that name, else the text of the reference turn, else ""."""
        given = self.item.get("reference_answer")
        return given if isinstance(given, str) else conversation_text(self.output.messages, roles=False)


_NO_COLUMNS: dict[str, Any] = {
    field.name: field.default for field in msgspec.structs.fields(Row) if field.name in COLUMNS
}
_decoder = msgspec.json.Decoder(Row)
_encoder = msgspec.json.Encoder()


def encode(row: Row) -> bytes:
    """The row as it rests in a part: one line, without its columns and without a newline.

    Raises ValueError for what JSON cannot carry (half a surrogate pair, for one).
    """
    try:
        return _encoder.encode(msgspec.structs.replace(row, **_NO_COLUMNS))
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def decode(line: bytes | memoryview) -> Row:
    """The reverse of `encode`. Raises `Corrupt`."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"row: {error}") from error


def with_columns(row: Row, values: Mapping[str, Any]) -> Row:
    """The row with column values laid over it."""
    return msgspec.structs.replace(row, **values)


def split_conversation(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """Everything up to the last user message, and what follows it. Without a user message all of it is input."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user":
            return list(messages[: index + 1]), list(messages[index + 1 :])
    return list(messages), []


def content_text(content: Any) -> str:
    """The text of a message's content: a string as it is, the text parts of a list joined by newlines, else ""."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "\n".join(part for part in parts if isinstance(part, str))


def last_user_message(row: Row) -> str:
    """The text of the last user message, "" when there is none."""
    for message in reversed(row.input.messages):
        if message.get("role") == "user":
            return content_text(message.get("content"))
    return ""


def conversation_text(messages: Sequence[Message], *, roles: bool = True) -> str:
    """The conversation for people and models to read, a paragraph a turn, tool calls as JSON."""
    turns = []
    for message in messages:
        said = [content_text(message.get("content"))]
        said += [msgspec.json.encode(call).decode() for call in message.get("tool_calls") or ()]
        text = "\n".join(part for part in said if part)
        turns.append(f"{message.get('role', '')}: {text}" if roles else text)
    return "\n\n".join(turn for turn in turns if turn)


def to_record(row: Row) -> dict[str, Any]:
    """The record form of domain.md §1 as plain data, columns included, extra columns beside the known fields."""
    known = {name: value for name, value in msgspec.to_builtins(row).items() if name != "item"}
    return {
        **{key: value for key, value in row.item.items() if key not in known},
        **known,
        "valid": row.valid,
    }


def to_openai_rft(row: Row) -> dict[str, Any]:
    """A reinforcement row of the OpenAI wire: messages that end with the user, tools, and every extra column.

    The reference turn travels as `reference_answer` unless the row has such a column of its own.
    """
    reference = {"reference_answer": row.reference_answer} if row.reference_answer else {}
    return {**row.item, **reference, **_tools(row), "messages": row.input.messages}


def to_openai_sft(row: Row) -> dict[str, Any] | None:
    """A supervised row of the OpenAI wire; None when there is no reference answer to learn from."""
    answer = row.output.messages
    if not answer and row.reference_answer:
        answer = [{"role": "assistant", "content": row.reference_answer}]
    if not answer or answer[-1].get("role") != "assistant":
        return None
    return {**_tools(row), "messages": [*row.input.messages, *answer]}


def to_openai_dpo(row: Row) -> dict[str, Any] | None:
    """A preference row of the OpenAI wire; None when the row has no rejected answer."""
    rejected = row.item.get("rejected")
    if not row.output.messages or not rejected:
        return None
    worse = rejected if isinstance(rejected, list) else [{"role": "assistant", "content": str(rejected)}]
    given = {"messages": row.input.messages, **_tools(row)}
    return {"input": given, "preferred_output": row.output.messages, "non_preferred_output": worse}


def _tools(row: Row) -> dict[str, Any]:
    tools = {"tools": row.input.tools} if row.input.tools else {}
    return tools | ({"tool_choice": row.input.tool_choice} if row.input.tool_choice is not None else {})
