"""Records of every kind that a dataset can hold, for hypothesis: odd names, odd text, calls, labels, provenance."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from storage.rows import Input, Output, Row

TEXTS = st.text(max_size=30) | st.sampled_from(
    ["", " ", "=1+1", "+49 30", "-", "@ada", 'say "hi"', '"', "a\nb\r\nc\rd", ",;|\t", "\u2028x\x85y", "\x00\x07",
     "[1]", '{"a": 1}', "[not json", "\ufeffx", " padded ", "'", "NULL", "1.0", "Ünï ☃ 🙂"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["label", "reference_answer", "note", "customer id", "topic", "id", "input", "output", "text", "prompt", "item",
     "completion", "response", "answer", "system", "rejected", "chosen", "messages", "conversations", "question",
     "instruction", "tools", "tool_choice", "valid", "score", "errors", "provenance", "a;b", "a|b", "x,y", ' "q" ',
     "line\nbreak", "ünï", "=sum", "preferred_output", "raw", "tokens", "is_generated"]
) | st.text(min_size=1, max_size=6)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5
)  # fmt: skip
CONTENTS = (
    st.none() | TEXTS | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=2)
)
CALLS = st.lists(
    st.fixed_dictionaries({"id": TEXTS, "function": st.fixed_dictionaries({"name": TEXTS, "arguments": TEXTS})}), max_size=2
)  # fmt: skip


def message(role: str, *, plain: bool) -> st.SearchStrategy[dict[str, Any]]:
    if plain:
        return st.fixed_dictionaries({"role": st.just(role), "content": TEXTS})
    extra: dict[str, Any] = {
        "name": TEXTS,
        "tool_calls": CALLS,
        "tool_call_id": TEXTS,
        "weight": st.integers(0, 1),
    }
    return st.fixed_dictionaries({"role": st.just(role), "content": CONTENTS}, optional=extra)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Input, Output]:
    """Mostly one question and one answer; also longer ones, with tools, cut where an upload may have cut them."""
    plain = draw(st.booleans())
    roles = draw(st.sampled_from(["u", "u", "ua", "ua", "su", "sua", "uaua", "suatau", "dua", "a", ""]))
    names = {"s": "system", "u": "user", "a": "assistant", "t": "tool", "d": "developer"}
    said = [draw(message(names[letter], plain=plain)) for letter in roles]
    at = draw(st.integers(0, len(said))) if draw(st.integers(0, 9)) == 0 else roles.rfind("u") + 1
    tools = draw(st.sampled_from([None, None, None, [], [{"type": "function"}]]))
    choice = draw(st.sampled_from([None, None, None, "auto", {"type": "function"}, " ", "{broken"]))
    calls = draw(st.none() | CALLS) if draw(st.integers(0, 9)) == 0 else None
    finish = draw(st.sampled_from([None, None, "stop"]))
    return Input(said[:at], tools, choice), Output(said[at:], calls, finish)


@st.composite
def records(draw: st.DrawFn, number: int = 0) -> Row:
    said, answer = draw(conversations())
    labelled = draw(st.booleans())
    rejected = draw(st.none() | TEXTS | st.lists(message("assistant", plain=True), max_size=2) | st.just([1]))
    item = draw(st.dictionaries(NAMES, VALUES, max_size=4))
    return Row(
        id=draw(st.sampled_from([f"r{number}", f" r{number}", f"=r{number}", f'r"{number}', f"r\n{number}"])),
        input=said,
        output=answer,
        item={**item, "rejected": rejected} if rejected is not None and draw(st.booleans()) else item,
        provenance=draw(
            st.sampled_from([{}, {"file": "a.csv", "line": 3}, {"seed": "q7", "persona": "a nurse"}])
        ),
        topic=draw(st.sampled_from(["billing/refunds", "uncategorised", "=x"])) if labelled else None,
        topic_confidence=draw(st.floats(0, 1)) if labelled else None,
        topic_method=draw(st.sampled_from(["llm", "manual"])) if labelled else None,
        is_generated=draw(st.booleans()),
    )


@st.composite
def sheets(draw: st.DrawFn, most: int = 5) -> list[Row]:
    """Rows of one dataset, each with an id of its own."""
    return [draw(records(number)) for number in range(draw(st.integers(1, most)))]
