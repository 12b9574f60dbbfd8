"""A row in each JSON form, what of it the form cannot hold, and what reading the form again gives back.

Pure. `shape` is the row in the form, or the reason why it cannot be in it; `kept` is the record that `tasks/ingest` makes of
it; a property test holds every form against the real reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from storage.rows import (
    Input,
    Message,
    Output,
    Row,
    split_conversation,
    to_openai_dpo,
    to_openai_rft,
    to_openai_sft,
)

Json = dict[str, Any]
Reason = Literal[
    "unreadable", "no_answer", "no_rejected", "no_label", "no_last_user", "turns", "not_text", "too_long"
]
WHY: dict[Reason, str] = {
    "unreadable": "unreadable since they came",
    "no_answer": "without a reference answer",
    "no_rejected": "without a rejected answer",
    "no_label": "without a label or a short answer that could be one",
    "no_last_user": "not ending with a message of the user",
    "turns": "with more than one question and one answer",
    "not_text": "with tool calls, pictures or named speakers, not text alone",
    "too_long": "longer than one record of a CSV file may be",
}
MOST_BESIDE = (
    100  # columns of a record that stand beside its own fields; more go into `item`, for a reader bounds them
)
_TRIGGERS = frozenset(("messages", "input", "conversations", "instruction", "chosen", "preferred_output"))
_TAKEN = frozenset(("id", "tools", "tool_choice"))
_SPEAKERS = {"user": "human", "assistant": "gpt", "tool": "observation"}
_ROLES = frozenset(("system", "developer", "user", "assistant", "tool"))
_NEW_HERE = ("file", "line")  # of the provenance: a reader writes its own


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a row.

    reserved  columns that would mean something else there
    columns   whether it holds columns at all
    fields    which of the record's own fields it holds beside id and conversation
    instead   whether it holds that column of a row after all, in a place of its own
    besides   what else of a row it cannot hold
    """

    name: str
    shape: Callable[[Row], Json | Reason]
    kept: Callable[[Row], Row]
    reserved: frozenset[str] = frozenset()
    columns: bool = True
    fields: frozenset[str] = frozenset()
    instead: Callable[[Row, str], bool] = lambda row, name: False
    besides: Callable[[Row], Iterator[str]] = lambda row: iter(())

    def lost(self, row: Row) -> Iterator[str]:
        """Names of what the row has and the form cannot hold."""
        yield from (name for name in extras(row) if name not in self.fields)
        for name in row.item:
            if (name in self.reserved or not self.columns) and not self.instead(row, name):
                yield name
        yield from self.besides(row)


def essence(row: Row) -> Row:
    """What a row is, apart from what the house finds out about it anew and from where its file was read."""
    provenance = {name: value for name, value in row.provenance.items() if name not in _NEW_HERE}
    return msgspec.structs.replace(
        row,
        provenance=provenance,
        raw="",
        problem="",
        error="",
        tokens=0,
        previous_topic=None,
        score=None,
    )


def extras(row: Row) -> Iterator[str]:
    """Fields besides conversation and columns that this row has."""
    for name in ("topic", "topic_confidence", "topic_method", "is_generated"):
        if getattr(row, name):
            yield name
    if any(name not in _NEW_HERE for name in row.provenance):
        yield "provenance"
    if row.output.finish_reason:
        yield "finish_reason"
    if row.output.messages and row.output.tool_calls:
        yield "tool_calls"


def answer_of(row: Row) -> list[Message]:
    """The reference turn; tool calls that the upload kept apart become its message."""
    if row.output.messages or not row.output.tool_calls:
        return row.output.messages
    return [{"role": "assistant", "content": None, "tool_calls": row.output.tool_calls}]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and at most one answer, in plain text; "" for what is not there."""

    system: str
    question: str
    answer: str

    @property
    def messages(self) -> list[Message]:
        turns = (("system", self.system), ("user", self.question), ("assistant", self.answer))
        return [{"role": role, "content": text} for role, text in turns if text or role == "user"]


def exchange_of(row: Row, answer: list[Message] | None = None) -> Exchange | Reason:
    """The row as one exchange, or why it is none."""
    if row.raw:
        return "unreadable"
    messages = [*row.input.messages, *(answer_of(row) if answer is None else answer)]
    roles = [message.get("role") for message in messages]
    system = roles[:1] == ["system"]
    if roles[system:] not in (["user"], ["user", "assistant"]):
        return "turns"
    if not all(_is_plain(message) for message in messages) or (system and not messages[0]["content"]):
        return "not_text"
    texts = [message["content"] for message in messages]
    rest = texts[system:]
    return Exchange(texts[0] if system else "", rest[0], rest[1] if len(rest) > 1 else "")


def _is_plain(message: Message) -> bool:
    return message.keys() == {"role", "content"} and isinstance(message["content"], str)


# ---------------------------------------------------------------- the record itself

_RECORD_FIELDS = frozenset(
    ("id", "input", "output", "topic", "topic_confidence", "topic_method", "is_generated", "provenance",
     "item", "valid", "errors", "error", "tokens", "raw", "problem", "previous_topic", "score")
)  # fmt: skip
_BOXED = _RECORD_FIELDS | {"messages", "chosen", "preferred_output"}


def _record(row: Row) -> Json | Reason:
    if row.raw:
        return {"id": row.id, "raw": row.raw, "problem": row.problem, "valid": False, "errors": [row.error],
                "provenance": row.provenance}  # fmt: skip
    boxed = {name: value for name, value in row.item.items() if name in _BOXED}
    if len(row.item) > MOST_BESIDE:
        boxed = row.item
    found: Json = {"id": row.id, "input": {"messages": row.input.messages, **_tools(row)}}
    output = {name: value for name, value in msgspec.structs.asdict(row.output).items() if value is not None}
    found |= {"output": output} if row.output != Output() else {}
    labels = ("topic", "topic_confidence", "topic_method", "previous_topic", "score")
    found |= {name: value for name in labels if (value := getattr(row, name)) is not None}
    found |= {"is_generated": True} if row.is_generated else {}
    found |= {"provenance": row.provenance} if row.provenance else {}
    found |= {name: value for name, value in row.item.items() if name not in boxed}
    found |= {"item": boxed} if boxed else {}
    found |= {"valid": row.valid} if row.valid else {"valid": False, "errors": [row.error]}
    return found


def _record_kept(row: Row) -> Row:
    if not row.output.finish_reason:
        row = msgspec.structs.replace(row, output=Output(row.output.messages, row.output.tool_calls))
    return essence(row)


# ---------------------------------------------------------------- conversations


def _chat(row: Row) -> Json | Reason:
    if row.raw:
        return "unreadable"
    return {
        "id": row.id,
        "messages": [*row.input.messages, *answer_of(row)],
        **_tools(row),
        **_columns(row, CHAT),
    }


def _chat_kept(row: Row) -> Row:
    return conversation_kept(row, [*row.input.messages, *answer_of(row)], _columns(row, CHAT))


def _sharegpt(row: Row) -> Json | Reason:
    if row.raw:
        return "unreadable"
    messages = [*row.input.messages, *answer_of(row)]
    if not all(_is_plain(message) and message["role"] in _ROLES for message in messages):
        return "not_text"
    turns = [{"from": _SPEAKERS.get(one["role"], one["role"]), "value": one["content"]} for one in messages]
    return {"id": row.id, "conversations": turns, **_tools(row), **_columns(row, SHAREGPT)}


def _sharegpt_kept(row: Row) -> Row:
    return conversation_kept(row, [*row.input.messages, *answer_of(row)], _columns(row, SHAREGPT))


# ---------------------------------------------------------------- one question, one answer


def _instruction(row: Row) -> Json | Reason:
    said = exchange_of(row)
    if isinstance(said, str):
        return said
    own = {"instruction": said.question, "input": "", "output": said.answer}
    return {"id": row.id, **_system(said), **own, **_tools(row), **_columns(row, INSTRUCTION)}


def _completion(row: Row) -> Json | Reason:
    said = exchange_of(row)
    if isinstance(said, str):
        return said
    own = {"prompt": said.question, "completion": said.answer}
    return {"id": row.id, **_system(said), **own, **_tools(row), **_columns(row, COMPLETION)}


def _exchange_kept(row: Row, form: Form) -> Row:
    said = exchange_of(row)
    assert isinstance(said, Exchange)  # noqa: S101  asked only of rows that have a shape
    return conversation_kept(row, said.messages, _columns(row, form))


def _classification(row: Row) -> Json | Reason:
    said = exchange_of(row, [])
    if isinstance(said, str):
        return said
    label = label_of(row)
    if label is None:
        return "no_label"
    own = {"text": said.question, "label": label}
    return {"id": row.id, **_system(said), **own, **_tools(row), **_columns(row, CLASSIFICATION)}


def _classification_kept(row: Row) -> Row:
    said, label = exchange_of(row, []), label_of(row)
    assert isinstance(said, Exchange)  # noqa: S101  asked only of rows that have a shape
    messages = [*said.messages, {"role": "assistant", "content": str(label)}]
    return conversation_kept(row, messages, {**_columns(row, CLASSIFICATION), "label": label})


def _answer_beside_label(row: Row) -> Iterator[str]:
    answer = answer_of(row)
    if answer and answer != [{"role": "assistant", "content": str(label_of(row))}]:
        yield "the reference answer"


def label_of(row: Row) -> str | int | float | bool | None:
    """The row's class: its `label` column, else its answer where that is plain text."""
    given = row.item.get("label")
    if isinstance(given, str | int | float):
        return given
    answer = answer_of(row)
    plain = len(answer) == 1 and answer[0].get("role") == "assistant" and _is_plain(answer[0])
    return answer[0]["content"] or None if plain else None


# ---------------------------------------------------------------- what OpenAI trains on


def _sft(row: Row) -> Json | Reason:
    return "unreadable" if row.raw else to_openai_sft(row) or "no_answer"


def _sft_kept(row: Row) -> Row:
    shaped = to_openai_sft(row) or {}
    return _nameless(row, shaped["messages"], {})


def _rft(row: Row) -> Json | Reason:
    if row.raw:
        return "unreadable"
    if not _ends_with_user(row):
        return "no_last_user"
    return to_openai_rft(msgspec.structs.replace(row, item=_columns(row, RFT)))


def _turn_beside_reference(row: Row) -> Iterator[str]:
    """The turn travels as the text of `reference_answer`: a column of that name takes its place, and calls are no text."""
    if row.output.messages and (isinstance(row.item.get("reference_answer"), str) or not _is_text(row)):
        yield "the reference turn"


def _is_text(row: Row) -> bool:
    return len(row.output.messages) == 1 and _is_plain(row.output.messages[0])


def _rft_kept(row: Row) -> Row:
    shaped = to_openai_rft(msgspec.structs.replace(row, item=_columns(row, RFT)))
    columns = {name: value for name, value in shaped.items() if name not in RFT.reserved}
    return _nameless(row, row.input.messages, columns)


def _dpo(row: Row) -> Json | Reason:
    if row.raw:
        return "unreadable"
    if not _ends_with_user(row):
        return "no_last_user"
    if not row.output.messages:
        return "no_answer"
    rejected = row.item.get("rejected")
    if isinstance(rejected, list) and not all(isinstance(one, dict) for one in rejected):
        return "no_rejected"
    return to_openai_dpo(row) or "no_rejected"


def _dpo_kept(row: Row) -> Row:
    shaped = to_openai_dpo(row) or {}
    found = _nameless(row, row.input.messages, {"rejected": shaped["non_preferred_output"]})
    return msgspec.structs.replace(found, output=Output(row.output.messages))


def _ends_with_user(row: Row) -> bool:
    return bool(row.input.messages) and row.input.messages[-1].get("role") == "user"


def _nameless(row: Row, messages: list[Message], columns: Json) -> Row:
    """Those forms have no place for an id, and leave an empty list of tools out."""
    found = conversation_kept(row, messages, columns)
    given = msgspec.structs.replace(found.input, tools=row.input.tools or None)
    return msgspec.structs.replace(found, id="", input=given)


# ---------------------------------------------------------------- pieces


def conversation_kept(row: Row, messages: list[Message], item: Json) -> Row:
    """What a reader makes of a conversation that is told from one end to the other."""
    before, after = split_conversation(messages)
    given = Input(before, row.input.tools, row.input.tool_choice)
    return Row(id=row.id, input=given, output=Output(after), item=item)


def _tools(row: Row) -> Json:
    tools = {"tools": row.input.tools} if row.input.tools is not None else {}
    return tools | ({"tool_choice": row.input.tool_choice} if row.input.tool_choice is not None else {})


def _system(said: Exchange) -> Json:
    return {"system": said.system} if said.system else {}


def _columns(row: Row, form: Form) -> Json:
    return {name: value for name, value in row.item.items() if name not in form.reserved}


_EVERYTHING = frozenset(
    ("topic", "topic_confidence", "topic_method", "is_generated", "provenance", "finish_reason", "tool_calls")
)
_ONE = _TRIGGERS | _TAKEN | {"system"}
RECORD = Form("jsonl", _record, _record_kept, fields=_EVERYTHING)
CHAT = Form("chat", _chat, _chat_kept, reserved=_TAKEN | {"messages"})
SHAREGPT = Form("sharegpt", _sharegpt, _sharegpt_kept, reserved=_ONE)
INSTRUCTION: Form = Form(
    "instruction", _instruction, lambda row: _exchange_kept(row, INSTRUCTION), reserved=_ONE | {"output"}
)
COMPLETION: Form = Form(
    "completion",
    _completion,
    lambda row: _exchange_kept(row, COMPLETION),
    reserved=_ONE | {"prompt", "completion", "text"},
)
CLASSIFICATION = Form(
    "classification",
    _classification,
    _classification_kept,
    reserved=_ONE | {"text", "label"},
    instead=lambda row, name: name == "label" and label_of(row) == row.item[name],
    besides=_answer_beside_label,
)
SFT = Form(
    "openai_sft",
    _sft,
    _sft_kept,
    columns=False,
    instead=lambda row, name: name == "reference_answer" and not row.output.messages,
)
RFT = Form("openai_rft", _rft, _rft_kept, reserved=_TAKEN | {"messages"}, besides=_turn_beside_reference)
DPO = Form("openai_dpo", _dpo, _dpo_kept, columns=False, instead=lambda row, name: name == "rejected")
FORMS: tuple[Form, ...] = (RECORD, CHAT, SFT, DPO, RFT, INSTRUCTION, COMPLETION, CLASSIFICATION, SHAREGPT)
