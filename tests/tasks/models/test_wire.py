"""Both wires: what is posted, what is understood, what is remembered about a server, what errors become."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.models import structured
from tasks.models.port import (
    ChatRequest,
    Message,
    ModelAnswerInvalid,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    ToolCall,
    ToolSchema,
    Usage,
)
from tasks.models.wire import build_chat
from tasks.settings import Settings
from tests.tasks.models.wires import SCHEMA, Json, Wire, ask, completion, error, response

pytestmark = pytest.mark.anyio
TOOL = ToolSchema("look", "Look.", {"type": "object", "properties": {}})
CONVERSATION = (
    Message("system", "Be kind."),
    Message("user", "Look twice"),
    Message("assistant", None, (ToolCall("c1", "look", "{}"), ToolCall("c2", "look", '{"a":1}'))),
    Message("tool", "one", tool_call_id="c1"),
    Message("tool", "two", tool_call_id="c2"),
)


async def test_chat_completions_carries_tools_calls_and_results() -> None:
    call = {"id": "c3", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    wire = Wire(lambda path, body: (200, completion("", call)))
    request = ChatRequest(
        model="m", messages=CONVERSATION, tools=[TOOL], allowed_tools=("look",), temperature=0.2, max_tokens=9
    )
    reply = await wire.chat().complete(request)
    assert reply.tool_calls == (ToolCall("c3", "look", "{}"),)
    assert (reply.usage, reply.model, reply.finish_reason) == (Usage(7, 3, 2), "m-1", "tool_calls")
    ((path, body),) = wire.asked
    assert path == "/v1/chat/completions"
    assert [message["role"] for message in body["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert body["messages"][2]["tool_calls"][1]["function"] == {"name": "look", "arguments": '{"a":1}'}
    assert body["messages"][4] == {"role": "tool", "content": "two", "tool_call_id": "c2"}
    assert (body["temperature"], body["max_tokens"]) == (0.2, 9)
    assert "tool_choice" not in body  # many servers do not know allowed tools, some misread them


async def test_responses_carries_the_same_conversation() -> None:
    call = {"type": "function_call", "id": "fc", "call_id": "c3", "name": "look", "arguments": "{}"}
    wire = Wire(lambda path, body: (200, response("", call)))
    request = ChatRequest(
        model="m", messages=CONVERSATION, tools=[TOOL], allowed_tools=("look",), max_tokens=9, cache_key="k"
    )
    reply = await wire.chat(is_openai=True).complete(request)
    assert reply.tool_calls == (ToolCall("c3", "look", "{}"),) and reply.finish_reason == "tool_calls"
    assert reply.usage == Usage(7, 3, 2)
    ((path, body),) = wire.asked
    assert path == "/v1/responses"
    assert [item.get("role") or item["type"] for item in body["input"]] == [
        "system",
        "user",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]
    assert body["store"] is False and body["prompt_cache_key"] == "k"
    assert body["tool_choice"]["tools"] == [{"type": "function", "name": "look"}]


async def test_parts_of_a_message_are_understood_by_both_wires() -> None:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]
    request = ChatRequest(model="m", messages=(Message("user", parts),))
    chat, responses = Wire(lambda path, body: (200, completion())), Wire(lambda path, body: (200, response()))
    await chat.chat().complete(request)
    await responses.chat(is_openai=True).complete(request)
    assert chat.asked[0][1]["messages"][0]["content"] == parts
    assert responses.asked[0][1]["input"][0]["content"] == [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "https://x/y.png"},
    ]


# ---------------------------------------------------------------- which wire


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_responses_is_asked_by_chat_from_then_on(status: int) -> None:
    wire = Wire(
        lambda path, body: (200, completion()) if "chat" in path else (status, error("no such route"))
    )
    chat = wire.chat(is_openai=True)
    assert (await chat.complete(ask())).text == "Hello."
    await chat.complete(ask())
    assert wire.paths == ["/responses", "/chat/completions", "/chat/completions"]


async def test_a_server_that_wants_responses_gets_them_from_then_on() -> None:
    words = "Function tools with reasoning are not supported in /v1/chat/completions. Please use /v1/responses instead."
    wire = Wire(lambda path, body: (200, response()) if "responses" in path else (400, error(words)))
    chat = wire.chat()
    await chat.complete(ask())
    await chat.complete(ask())
    assert wire.paths == ["/chat/completions", "/responses", "/responses"]


async def test_a_chosen_wire_is_kept() -> None:
    wire = Wire(lambda path, body: (404, error("nothing here")))
    with pytest.raises(ModelRefused):
        await wire.chat(wire="responses").complete(ask())
    assert wire.paths == ["/responses"]


async def test_an_unknown_model_is_no_reason_to_change_the_wire() -> None:
    wire = Wire(lambda path, body: (404, error("no such model", code="model_not_found")))
    with pytest.raises(ModelRefused) as refusal:
        await wire.chat(is_openai=True).complete(ask())
    assert (refusal.value.code, refusal.value.status) == ("model_not_found", 404)
    assert wire.paths == ["/responses"]


async def test_settings_choose_where_to_begin() -> None:
    local = build_chat(Settings(openai_base_url="http://localhost:1/v1"))
    assert local._wire == "chat"  # type: ignore[attr-defined]
    assert build_chat(Settings(openai_base_url=""))._wire == "responses"  # type: ignore[attr-defined]
    assert build_chat(Settings(openai_base_url="", openai_wire="chat"))._wire == "chat"  # type: ignore[attr-defined]


# ---------------------------------------------------------------- what a server does not take


async def test_a_temperature_that_is_refused_is_left_out_from_then_on() -> None:
    def answer(path: str, body: Json) -> Any:
        if "temperature" in body:
            return 400, error("Unsupported parameter: 'temperature' is not supported with this model.")
        return 200, completion()

    wire = Wire(answer)
    chat = wire.chat()
    await chat.complete(ask(temperature=0.2))
    await chat.complete(ask(temperature=0.2))
    assert ["temperature" in body for _, body in wire.asked] == [True, False, False]


async def test_a_server_without_schemas_is_told_in_words() -> None:
    def answer(path: str, body: Json) -> Any:
        if "response_format" in body:
            return 400, error("response_format.type json_schema is not available")
        return 200, completion('Sure!\n```json\n{"score": 0.5, "why": "ok"}\n```')

    wire = Wire(answer)
    chat = wire.chat()
    reply = await chat.complete(ask(schema=SCHEMA))
    assert json.loads(reply.text) == {"score": 0.5, "why": "ok"}
    await chat.complete(ask(schema=SCHEMA))
    assert ["response_format" in body for _, body in wire.asked] == [True, False, False]
    assert '"additionalProperties"' in wire.asked[1][1]["messages"][0]["content"]


async def test_several_quirks_are_learned_one_after_the_other() -> None:
    def answer(path: str, body: Json) -> Any:
        for name in ("temperature", "response_format"):
            if name in body:
                return 400, error(f"{name} is not supported")
        return 200, completion('{"score": 1, "why": ""}')

    wire = Wire(answer)
    await wire.chat().complete(ask(schema=SCHEMA, temperature=0.0))
    assert len(wire.asked) == 3


async def test_a_refusal_that_names_nothing_we_sent_is_a_refusal() -> None:
    wire = Wire(lambda path, body: (400, error("temperature is odd today")))
    with pytest.raises(ModelRefused):
        await wire.chat().complete(ask())
    assert len(wire.asked) == 1


# ---------------------------------------------------------------- schemas


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 0.5, "why": "x"}',
        ' \n{"score": 0.5, "why": "x"}\n',
        '```json\n{"score": 0.5, "why": "x"}\n```',
        '```\n{"score": 0.5, "why": "x"}```',
        'Here it is: {"score": 0.5, "why": "x"}. Good?',
    ],
)
def test_json_is_found_bare_fenced_and_in_prose(text: str) -> None:
    assert structured.parse(text, SCHEMA) == {"score": 0.5, "why": "x"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("I cannot help with that.", "not JSON"),
        ('{"score": 0.5}', "lacks why"),
        ('{"score": "0.5", "why": ""}', "answer.score should be number"),
        ('{"score": true, "why": ""}', "answer.score should be number"),
        ('{"score": 7, "why": ""}', "outside 0…1"),
        ('{"score": NaN, "why": ""}', "not JSON"),
        ('{"score": 1, "why": "", "more": 1}', 'unknown field "more"'),
        ('[{"score": 1}]', "answer should be object"),
        ("[" * 50_000, "not JSON"),
    ],
)
def test_what_does_not_fit_is_named(text: str, word: str) -> None:
    with pytest.raises(ModelAnswerInvalid, match=word.replace("(", r"\(")):
        structured.parse(text, SCHEMA)


def test_enumerations_lists_and_alternatives_are_checked() -> None:
    inner = {"type": "string", "enum": ["a", "b"]}
    schema = {"type": "array", "items": {"anyOf": [inner, {"type": "null"}]}, "maxItems": 3}
    assert structured.mismatch(["a", None], schema) == ""
    assert "answer[1]" in structured.mismatch(["a", "c"], schema)
    assert "4 items" in structured.mismatch(["a"] * 4, schema)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=5), c, max_size=3),
        max_leaves=8,
    )
)
def test_checking_never_fails_on_any_json(value: Any) -> None:
    assert isinstance(structured.mismatch(value, SCHEMA.schema), str)


async def test_an_answer_that_does_not_fit_is_asked_for_once_more() -> None:
    answers = [completion("well, maybe"), completion('{"score": 0.5, "why": "x"}')]
    wire = Wire(lambda path, body: (200, answers.pop(0)))
    reply = await wire.chat().complete(ask(schema=SCHEMA))
    assert json.loads(reply.text)["score"] == 0.5
    assert reply.usage == Usage(14, 6, 4)
    assert [m["role"] for m in wire.asked[1][1]["messages"]] == ["system", "user", "assistant", "user"]


async def test_an_answer_that_never_fits_is_invalid() -> None:
    wire = Wire(lambda path, body: (200, completion("nonsense")))
    with pytest.raises(ModelAnswerInvalid):
        await wire.chat().complete(ask(schema=SCHEMA))
    assert len(wire.asked) == 2


# ---------------------------------------------------------------- odd servers


@pytest.mark.parametrize(
    "answer",
    [
        "<html>Log in</html>",
        "",
        "[]",
        {"choices": []},
        {"choices": None},
        {"choices": [{"message": None}]},
        {"choices": ["x"]},
        {},
    ],
)
async def test_an_answer_that_is_none_is_invalid(answer: Any) -> None:
    wire = Wire(lambda path, body: (200, answer))
    with pytest.raises(ModelAnswerInvalid):
        await wire.chat().complete(ask())


async def test_gateways_that_leave_fields_out_or_bend_them_are_understood() -> None:
    call = {"function": {"name": "look", "arguments": {"a": 1}}}
    bare = {"choices": [{"message": {"content": [{"type": "text", "text": "Hi"}], "tool_calls": [call]}}]}
    reply = await Wire(lambda path, body: (200, bare)).chat().complete(ask())
    assert reply.text == "Hi" and reply.usage == Usage()
    assert reply.tool_calls == (ToolCall("call_0", "look", '{"a": 1}'),)


async def test_a_cut_response_says_so_and_a_failed_one_is_invalid() -> None:
    cut = response("Hal", status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert (
        await Wire(lambda p, b: (200, cut)).chat(is_openai=True).complete(ask())
    ).finish_reason == "length"
    failed = response("", status="failed", error={"message": "oops"})
    with pytest.raises(ModelAnswerInvalid):
        await Wire(lambda p, b: (200, failed)).chat(is_openai=True).complete(ask())


# ---------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    "trouble", [429, 500, 502, 503, 408, httpx2.ConnectError("x"), httpx2.ReadTimeout("x")]
)
async def test_trouble_that_passes_is_waited_out_with_growing_pauses(trouble: Any) -> None:
    left = [trouble] * 3

    def answer(path: str, body: Json) -> Any:
        if not left:
            return 200, completion()
        found = left.pop()
        return found if isinstance(found, Exception) else (found, error("later"))

    wire = Wire(answer)
    assert (await wire.chat().complete(ask())).text == "Hello."
    assert len(wire.asked) == 4
    assert wire.slept == sorted(wire.slept) and wire.slept[-1] > wire.slept[0]


async def test_trouble_that_stays_is_given_up_at_the_deadline() -> None:
    wire = Wire(lambda path, body: (503, error("down")))
    with pytest.raises(ModelUnavailable):
        await wire.chat().complete(ask())
    assert 60 < wire.now <= 120


async def test_the_servers_own_wish_to_wait_is_respected() -> None:
    answers: list[Any] = [(429, error("slow"), {"retry-after": "7"}), (200, completion())]
    wire = Wire(lambda path, body: answers.pop(0))
    await wire.chat().complete(ask())
    assert sum(wire.slept) == pytest.approx(7)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "x"),
        (401, "invalid_api_key"),
        (403, "training_not_available"),
        (429, "insufficient_quota"),
        (422, None),
    ],
)
async def test_refusals_are_not_repeated(status: int, code: str | None) -> None:
    wire = Wire(lambda path, body: (status, error("Incorrect key sk-abc123", code=code)))
    with pytest.raises(ModelRefused) as refusal:
        await wire.chat().complete(ask())
    assert (refusal.value.status, refusal.value.code) == (status, code or "")
    assert len(wire.asked) == 1
    assert status != 401 or "sk-" not in str(refusal.value)


async def test_only_our_own_errors_come_out() -> None:
    for trouble in (httpx2.RemoteProtocolError("x"), httpx2.DecodingError("x"), httpx2.TooManyRedirects("x")):
        wire = Wire(lambda path, body, trouble=trouble: trouble)  # type: ignore[misc]
        with pytest.raises(ModelError):
            await wire.chat().complete(ask())
