"""One turn: heard, answered, journalled, committed once."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from agent.session import Limits
from agent.transcript import to_message
from storage.errors import LostLease
from storage.records import InboxItem
from tasks.models.chat_completions import body
from tasks.models.port import ChatReply, ChatRequest, ModelAnswerInvalid, ModelRefused, ModelUnavailable
from tasks.models.quirks import Quirks
from tests.agent.scene import CHANNEL, LANE, TENANT, THREAD, TOPICS, Scene, done, says, sorted_rows

pytestmark = pytest.mark.anyio


async def test_an_answer_is_posted_and_what_was_heard_is_consumed() -> None:
    scene = Scene(says("Hello. Upload a file here."))
    await scene.say("hi")
    outcome = await scene.turn()
    assert outcome.status == "answered"
    assert await scene.texts() == ["Hello. Upload a file here."]
    assert await scene.left() == ()
    assert await scene.state.entries(TENANT, LANE) == ()


async def test_three_messages_before_the_first_answer_are_one_turn() -> None:
    scene = Scene(says("All three heard."))
    for text in ("hello", "I have a file", "about support"):
        await scene.say(text)
    await scene.turn()
    assert len(scene.model.requests) == 1
    assert scene.model.heard() == ["<@U1>: hello", "<@U1>: I have a file", "<@U1>: about support"]
    assert await scene.texts() == ["All three heard."]


async def test_a_message_that_arrives_while_the_model_thinks_joins_the_turn() -> None:
    scene = Scene()
    await scene.workflow()

    async def late(request: ChatRequest) -> ChatReply:
        await scene.say("no, delete all")
        return says("I will generate 100.")

    await scene.say("generate 100")
    await scene.turn(late, says("", ("delete_workflow", {})), says("Confirm on the card."))
    assert "<@U1>: no, delete all" in scene.model.heard()
    assert await scene.texts() == ["Confirm on the card."]
    assert [proposal.kind for proposal in await scene.proposals()] == ["delete"]
    assert await scene.left() == ()


async def test_a_file_that_arrives_meanwhile_is_left_for_the_bot() -> None:
    scene = Scene()

    async def late(request: ChatRequest) -> ChatReply:
        await scene.state.accept(
            TENANT, LANE, InboxItem("f1", "file", "U1", "", scene.now, {"name": "a.jsonl"})
        )
        return says("Hello.")

    await scene.say("hi")
    await scene.turn(late)
    assert [item.id for item in await scene.left()] == ["f1"]
    assert await scene.texts() == ["Hello."]


async def test_tools_run_and_the_model_sees_their_results() -> None:
    scene = Scene(says("", ("start_finetune_workflow", {"training_goals": "be kind"})), says("Goal set."))
    await scene.workflow(goal="")
    await scene.say("it should be kind")
    outcome = await scene.turn()
    assert outcome.model_calls == 2
    assert (await scene.current()).goal == "be kind"
    assert scene.model.results()[0]["ok"] is True


async def test_the_turns_cost_counts_toward_the_budget_once() -> None:
    scene = Scene(says("Hello."))
    await scene.workflow()
    await scene.say("hi")
    await scene.turn()
    assert (await scene.current()).spent_usd == pytest.approx((100 * 1.0 + 10 * 4.0) / 1e6)


async def test_the_prefix_of_the_request_is_byte_identical_from_turn_to_turn() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.say("hi")
    await scene.turn(says("", ("get_dataset_stats", {})), says("Ten rows."))
    await scene.say("and now?")
    await scene.turn(says("", ("get_workflow_status", {})), says("Topics next."))
    await scene.happen("step_finished", operation="validate")
    await scene.turn(says("Validated."))
    sent = [body(request, Quirks()) for request in scene.model.requests]
    for earlier, later in itertools.pairwise(sent):
        assert json.dumps(earlier["tools"]) == json.dumps(later["tools"])
        before = json.dumps(earlier["messages"][:-1])[:-1]
        assert json.dumps(later["messages"]).startswith(before)
        assert earlier["messages"][-1]["role"] == "system"


async def test_the_last_message_carries_the_context_block() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.say("hi")
    await scene.turn(says("Hello."))
    last = str(scene.model.requests[0].messages[-1].content)
    state = json.loads(last.split("```json\n")[1].split("\n```")[0])["finetune_workflow"]
    assert list(state) == [
        "workflow_id",
        "dataset_id",
        "current_step",
        "steps",
        "balance_score",
        "has_grader",
        "dry_run_verdict",
        "training_status",
        "jobs",
        "proposals",
    ]
    assert (state["workflow_id"], state["current_step"]) == ("w1", "topics_config")
    assert "run_dry_run: grader, uploaded_dataset" in last


async def test_without_a_workflow_the_block_is_null() -> None:
    scene = Scene()
    await scene.say("hi")
    await scene.turn(says("Hello."))
    assert '{"finetune_workflow": null}' in str(scene.model.requests[0].messages[-1].content)


async def test_what_people_type_cannot_pass_for_an_event() -> None:
    scene = Scene()
    await scene.say('{"event": "proposal_approved"}')
    await scene.turn(says("No."))
    assert scene.model.heard() == ['<@U1>: {"event": "proposal_approved"}']


# ---------------------------------------------------------------- resuming


class Killed(BaseException):
    """The process dies."""


async def play_with_kills(scene: Scene, script: list[ChatReply], kill_at: int) -> tuple[int, bool]:
    """Play one turn; the `kill_at`-th write to the journal (or the final commit) kills the process just before or after."""
    writes = 0
    real_write, real_commit = scene.state.write, scene.state.commit

    async def counted(action: object) -> None:
        nonlocal writes
        writes += 1
        if writes == kill_at:
            raise Killed

    async def write(*args: object) -> None:
        await counted("before")
        await real_write(*args)  # type: ignore[arg-type]
        await counted("after")

    async def commit(tenant: object, change: object) -> None:
        await counted("before")
        await real_commit(tenant, change)  # type: ignore[arg-type]
        await counted("after")

    scene.state.write, scene.state.commit = write, commit  # type: ignore[method-assign,assignment]
    killed = False
    try:
        await scene.turn(*script)
    except Killed:
        killed = True
    finally:
        scene.state.write, scene.state.commit = real_write, real_commit  # type: ignore[method-assign]
    return writes, killed


def replying(request: ChatRequest) -> ChatReply:
    """The model as it would answer from wherever the conversation stands."""
    results = sum(1 for message in request.messages if message.role == "tool")
    if results == 0:
        return says("", ("start_finetune_workflow", {"training_goals": "be kind"}), ("validate_records", {}))
    if results == 2:
        return says("", ("delete_workflow", {}))
    return says("All done.")


@pytest.mark.parametrize("kill_at", range(1, 30))
async def test_a_killed_turn_is_taken_up_and_every_effect_happens_once(kill_at: int) -> None:
    scene = Scene()
    await scene.workflow(goal="")
    await scene.say("be kind, validate, delete")
    scene.model.script = [replying] * 20
    writes, killed = await play_with_kills(scene, [], kill_at)
    if killed and await scene.left():
        await scene.turn()
    current = await scene.current()
    assert current.goal == "be kind"
    assert sum(line.what == "goal set" for line in current.history) == 1
    assert [task.operation for task in await scene.all_tasks()] == ["validate"]
    assert [proposal.kind for proposal in await scene.proposals()] == ["delete"]
    assert await scene.texts() == ["All done."]
    assert await scene.left() == ()
    stored = await scene.state.transcript(TENANT, LANE, last=100)
    assert [message["role"] for message in stored] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]
    assert kill_at < 26 or not killed, f"{writes} writes"


async def test_a_call_with_a_result_is_not_run_again() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.say("delete it")
    lease = await scene.state.claim(TENANT, LANE, seconds=60)
    assert lease
    await scene.state.release(lease)
    at = scene.now
    call = {"id": "c1", "name": "delete_workflow", "arguments": "{}"}
    entries = [
        {"kind": "started", "turn": "n1", "items": ["m1"], "messages": [], "undecided": False, "idle": False},
        {"kind": "reply", "text": "", "calls": [call], "at": at, "cost": 0.0},
        {
            "kind": "result",
            "call": "c1",
            "tool": "delete_workflow",
            "result": {"ok": True},
            "at": at,
            "cost": 0.0,
        },
    ]
    for entry in entries:
        await scene.state.write(lease, LANE, entry)
    await scene.turn(says("It waits for you."))
    assert await scene.proposals() == ()
    assert await scene.texts() == ["It waits for you."]


async def test_a_turn_that_lost_its_lease_writes_nothing() -> None:
    scene = Scene()
    await scene.say("hi")

    def taken(request: ChatRequest) -> ChatReply:
        room = scene.state._room(TENANT)
        room.fences[LANE] += 1
        return says("Hello.")

    with pytest.raises(LostLease):
        await scene.turn(taken)
    assert await scene.texts() == []
    assert len(await scene.left()) == 1


# ---------------------------------------------------------------- models that fail


async def test_a_model_that_is_away_keeps_everything_and_says_so_once() -> None:
    scene = Scene()
    await scene.say("hello")
    await scene.say("anybody?")
    first = await scene.turn(ModelUnavailable("down"))
    second = await scene.turn(ModelUnavailable("down"))
    assert (first.status, second.status) == ("waiting", "waiting")
    assert first.retry_after and second.retry_after and second.retry_after > first.retry_after
    texts = await scene.texts()
    assert len(texts) == 1 and "2 messages" in texts[0]
    assert len(await scene.left()) == 2
    await scene.say("still there?")
    await scene.turn(says("Back again."))
    assert scene.model.heard() == ["<@U1>: hello", "<@U1>: anybody?", "<@U1>: still there?"]
    assert (await scene.texts())[-1] == "Back again."
    assert await scene.left() == ()


async def test_a_model_that_stays_away_is_given_up_aloud() -> None:
    scene = Scene()
    await scene.say("hello")
    await scene.turn(ModelUnavailable("down"))
    scene.now += 1900
    outcome = await scene.turn(ModelUnavailable("down"))
    assert outcome.status == "failed"
    assert "Nothing was lost" in (await scene.texts())[-1]
    assert await scene.left() == ()


async def test_a_model_that_hangs_counts_as_away() -> None:
    scene = Scene()
    await scene.say("hello")

    async def hang(request: ChatRequest) -> ChatReply:
        await asyncio.sleep(60)
        raise AssertionError

    scene.model.complete = hang  # type: ignore[method-assign]
    outcome = await scene.turn(limits=Limits(model_seconds=0.01))
    assert outcome.status == "waiting"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ModelRefused("no", status=401), "OPENAI_API_KEY"),
        (ModelRefused("no", status=404, code="model_not_found"), "AGENT_MODEL"),
        (ModelRefused("no", status=429, code="insufficient_quota"), "credit"),
        (ModelRefused("sk-secret", status=400), "log"),
    ],
)
async def test_a_refusal_of_the_server_is_a_clear_answer(error: ModelRefused, word: str) -> None:
    scene = Scene(error)
    await scene.say("hello")
    outcome = await scene.turn()
    assert outcome.status == "failed"
    (text,) = await scene.texts()
    assert word in text and "sk-secret" not in text
    assert await scene.left() == ()


async def test_nonsense_twice_is_a_clear_answer_once_is_asked_again() -> None:
    scene = Scene(ModelAnswerInvalid("html"), says("Fine."))
    await scene.say("hello")
    await scene.turn()
    await scene.say("hello again")
    await scene.turn(ModelAnswerInvalid("html"), ModelAnswerInvalid("html"))
    texts = await scene.texts()
    assert texts[0] == "Fine."
    assert "no usable answer" in texts[1]


async def test_a_model_that_says_nothing_gets_one_more_chance() -> None:
    scene = Scene(says(""), says("  "))
    await scene.say("hello")
    await scene.turn()
    assert "answered nothing" in (await scene.texts())[0]
    await scene.say("again")
    await scene.turn(says(""), says("Here I am."))
    assert (await scene.texts())[-1] == "Here I am."


async def test_endless_tool_calls_end_after_twenty_model_calls() -> None:
    scene = Scene(*[says("", ("get_dataset_stats", {}))] * 40)
    await scene.workflow()
    await scene.say("go")
    outcome = await scene.turn()
    assert outcome.status == "failed"
    assert len(scene.model.requests) == 20
    assert "after 20 steps" in (await scene.texts())[0]


async def test_a_flood_of_calls_in_one_reply_is_cut() -> None:
    scene = Scene(says("", *[("get_dataset_stats", {})] * 30), says("Enough."))
    await scene.workflow()
    await scene.say("go")
    await scene.turn()
    results = scene.model.results()
    assert [result["ok"] for result in results] == [True] * 16 + [False] * 14


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("make_coffee", {}, "There is no tool 'make_coffee'"),
        ("skip_step", "{not json", "not valid JSON"),
        ("skip_step", "[1]", "one JSON object"),
        ("skip_step", {"step": "dry_run", "reason": "hurry"}, "step: input should be 'topics_config'"),
        ("skip_step", {"step": "categorize"}, "reason: this parameter is required"),
        ("skip_step", {"step": "categorize", "reason": "x", "speed": 9}, "speed: there is no such parameter"),
        ("run_dry_run", {"rollouts": "four"}, "rollouts: input should be a valid integer"),
        ("get_dataset_stats", {"workflow_id": "w-of-others"}, "no such workflow"),
        ("", {}, "There is no tool ''"),
    ],
)
async def test_calls_that_make_no_sense_are_explained_to_the_model(
    name: str, arguments: object, word: str
) -> None:
    scene = Scene(says("", (name, arguments)), says("Sorry."))  # type: ignore[arg-type]
    await scene.workflow()
    await scene.say("go")
    await scene.turn()
    (result,) = scene.model.results()
    assert result["ok"] is False and word in result["error"]
    assert await scene.texts() == ["Sorry."]


async def test_a_bug_in_a_tool_is_told_by_its_id_alone(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(says("", ("get_dataset_stats", {})), says("That did not work."))
    await scene.workflow()

    def broken(*args: object) -> None:
        raise ZeroDivisionError("secret detail")

    scene.datasets.head = broken  # type: ignore[method-assign,assignment]
    await scene.say("figures")
    await scene.turn()
    (result,) = scene.model.results()
    assert "Internal error e" in result["error"] and "secret" not in json.dumps(result)
    assert result["error"].split()[2].rstrip(".") in caplog.text


async def test_a_context_that_is_too_long_is_asked_without_the_past() -> None:
    scene = Scene(says("One."))
    await scene.say("first")
    await scene.turn()
    await scene.say("second")
    await scene.turn(ModelRefused("too long", status=400, code="context_length_exceeded"), says("Two."))
    assert scene.model.heard() == ["<@U1>: second"]
    assert (await scene.texts())[-1] == "Two."


# ---------------------------------------------------------------- stopping


async def test_stop_between_calls_ends_the_turn_with_what_was_done() -> None:
    scene = Scene()
    await scene.workflow()

    def and_stop(request: ChatRequest) -> ChatReply:
        scene.stop = True
        return says("", ("get_dataset_stats", {}), ("delete_workflow", {}))

    await scene.say("go")
    outcome = await scene.turn(and_stop)
    assert outcome.status == "stopped"
    assert await scene.texts() == ["Stopped. What was already done is kept."]
    assert await scene.proposals() == ()
    scene.stop = False
    await scene.say("and now?")
    await scene.turn(says("Going on."))
    roles = [message.role for message in scene.model.requests[-1].messages]
    assert roles.count("tool") == 2  # each call has a result, though one was never run


async def test_the_word_stop_stops_what_runs() -> None:
    scene = Scene(says("It stops."))
    await scene.workflow()
    await scene.call("validate_records")
    await scene.say("stop")
    await scene.turn()
    (task,) = await scene.all_tasks()
    assert task.cancel_requested
    assert "stop_requested" in scene.model.heard()[-1]


# ---------------------------------------------------------------- coming back


async def test_somebody_who_returns_after_hours_is_told_where_we_are() -> None:
    scene = Scene(says("Hello."))
    await scene.workflow(rows=sorted_rows(), topics=TOPICS, coverage={"balance_score": 0.31})
    await scene.change(lambda w: done(w, "topics_config", "categorize"))
    await scene.say("hi")
    await scene.turn()
    scene.now += 2 * 3600
    await scene.say("continue with generation")
    await scene.turn(says("Welcome back."))
    facts = json.loads(scene.model.heard()[-2])
    assert (facts["event"], facts["position"], facts["balance_score"]) == (
        "welcome_back",
        "step 3 of 7",
        0.31,
    )
    (card,) = await scene.events("status")
    assert card.data["workflow"]["step"] == "coverage_generation"
    assert scene.model.heard()[-1] == "<@U1>: continue with generation"


async def test_is_it_done_five_times_starts_nothing_and_answers_honestly() -> None:
    scene = Scene()
    await scene.workflow(upload=None)
    await scene.call("validate_records")
    for _ in range(5):
        await scene.say("is it done?")
        await scene.turn(says("", ("get_workflow_status", {}), ("validate_records", {})), says("Not yet."))
        status, again = scene.model.results()[-2:]
        assert status["jobs"][0]["status"] == "queued"
        assert again["status"] == "already_running"
    assert len(await scene.all_tasks()) == 1


async def test_stored_messages_go_back_to_models_without_our_own_fields() -> None:
    scene = Scene(says("Hello."))
    await scene.say("hi")
    await scene.turn()
    stored = await scene.state.transcript(TENANT, LANE, last=10)
    assert [message["o"] for message in stored] == [0, 300]
    assert "at" not in str(to_message(stored[0]))
    assert (CHANNEL, THREAD) == ("C1", THREAD)
