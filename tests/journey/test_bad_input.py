"""Everything that people, files and models can get wrong: each gets a clear answer in its thread, nothing is lost or done twice.

Files come first, as a table: each is shared in a channel of its own, all at once; what came of it is looked at one by one.
"""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.responses import HTMLResponse

from bot.sandbox.model.config import ModelConfig
from bot.sandbox.workspace.file_routes import LOGIN_PAGE
from bot.sandbox.workspace.person import buttons, words
from storage.records import Proposal
from tests.journey.stack import Stack
from tests.journey.walk import GOAL, Walk, doubled, rest

Json = dict[str, Any]
MENTION = "<@U0FINETUNE>"
FILE_LIMIT = 26_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    config = folder / "finetune.yaml"
    config.write_text(f"limits:\n  max_file_bytes: {FILE_LIMIT}\n")
    model = ModelConfig(speed=600.0, hang_seconds=1.0)
    with Stack(
        folder, workers=2, rooms=80, model=model, environment={"FINETUNE_CONFIG": str(config)}
    ) as running:
        yield running


def a_walk(stack: Stack, user: str = "U0ADA") -> Walk:
    return Walk(stack, stack.person(user, stack.fresh_channel()))


# ---------------------------------------------------------------- files


def row(number: int, **more: Any) -> str:
    asked = f"Question {number}: how do I change the address of order {number * 37}?"
    turns = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": f"Open order {number}, then Edit."},
    ]
    return json.dumps({"messages": turns, **more}, ensure_ascii=False)


def lines(count: int = 4, *, end: str = "\n") -> str:
    return end.join(row(number) for number in range(count)) + end


def a_zip() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("data.jsonl", lines())
    return held.getvalue()


def with_line(bad: str | bytes) -> bytes:
    """Three good rows with a bad line after the first."""
    between = bad if isinstance(bad, bytes) else bad.encode()
    return b"\n".join([row(0).encode(), between, row(1).encode(), row(2).encode()])


@dataclass(frozen=True)
class Case:
    """A file, and what must be said about it; `counts` is (all rows, valid rows) of the dataset, None for no dataset."""

    name: str
    content: Callable[[], bytes]
    says: tuple[str, ...]
    counts: tuple[int, int] | None = None


FILES: dict[str, Case] = {
    "a program": Case("setup.exe", lambda: b"MZ\x90\x00" * 50, ("cannot read", "setup.exe", ".jsonl")),
    "a picture": Case("chart.png", lambda: b"\x89PNG\r\n\x1a\n" * 9, ("cannot read", "chart.png", ".jsonl")),
    "an archive": Case("data.zip", a_zip, ("cannot read", "data.zip", ".jsonl")),
    "no extension": Case("data", lambda: lines().encode(), ("cannot read", ".jsonl")),
    "a program in disguise": Case(
        "data.jsonl", lambda: b"MZ\x90\x00\x03" * 500, ("this is a program", ".jsonl")
    ),
    "an archive in disguise": Case("data.jsonl", a_zip, ("ZIP archive", "unpack")),
    "nothing in it": Case("empty.jsonl", lambda: b"", ("empty",)),
    "only blank lines": Case("blank.jsonl", lambda: b"\n\n  \n", ("empty",)),
    "cut in the middle": Case("cut.jsonl", lambda: lines().encode()[:-60], ("line 4", "cut off"), (4, 3)),
    "a byte order mark": Case("bom.jsonl", lambda: b"\xef\xbb\xbf" + lines().encode(), ("4 of 4",), (4, 4)),
    "lines as on Windows": Case("crlf.jsonl", lambda: lines(end="\r\n").encode(), ("4 of 4",), (4, 4)),
    "UTF-16": Case("utf16.jsonl", lambda: lines().encode("utf-16"), ("4 of 4",), (4, 4)),
    "invalid UTF-8": Case(
        "latin.jsonl",
        lambda: with_line(row(9).encode().replace(b"change", b"\xff\xfe\xe9")),
        ("line 2", "UTF-8"),
        (4, 3),
    ),
    "one line of 20 MB": Case(
        "long.jsonl", lambda: with_line(row(9, note="x" * 20_000_000)), ("line 2", "20.0 MB"), (4, 3)
    ),
    "10,000 levels": Case(
        "deep.jsonl",
        lambda: with_line('{"messages": ' + "[" * 10_000 + "]" * 10_000 + "}"),
        ("line 2", "deep"),
        (4, 3),
    ),
    "a gzip bomb": Case("bomb.jsonl.gz", lambda: gzip.compress(b"0" * 300_000_000, 9), ("unpacked",)),
    "a gzip cut short": Case(
        "short.jsonl.gz", lambda: gzip.compress(lines(1).encode())[:-4], ("cut off",), (1, 1)
    ),
    "NaN": Case("nan.jsonl", lambda: with_line(row(9)[:-1] + ', "score": NaN}'), ("line 2", "NaN"), (4, 3)),
    "duplicate keys": Case(
        "twice.jsonl", lambda: with_line(row(9)[:-1] + ', "messages": []}'), ("line 2", "twice"), (4, 3)
    ),
    "not one valid row": Case(
        "wrong.jsonl", lambda: b'{"a": 1}\n{"b": 2}\n', ("No row can be used", "lines 1, 2"), (2, 0)
    ),
    "one row": Case("one.jsonl", lambda: row(1).encode(), ("1 of 1",), (1, 1)),
    "a name of 500 characters": Case("n" * 494 + ".jsonl", lambda: lines().encode(), ("4 of 4",), (4, 4)),
    "markup in name and rows": Case(
        "<script>&<!channel>*_~`.jsonl",
        lambda: (
            lines(3).encode()
            + row(7).replace("Question", "<!channel> *_~ <script>alert(1)</script>").encode()
        ),
        ("4 of 4", "&lt;!channel&gt;"),
        (4, 4),
    ),
    "over the limit": Case(
        "large.jsonl", lambda: b"x" * (FILE_LIMIT + 1), ("larger than 26 MB", "max_file_bytes")
    ),
}


@pytest.fixture(scope="module")
def shared(stack: Stack) -> dict[str, Walk]:
    """Every file of the table in a thread of its own, and everything at rest."""
    found = {name: a_walk(stack) for name in FILES}
    for name, case in FILES.items():
        found[name].begin(case.name, case.content(), MENTION)
    rest(stack)
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_gets_a_clear_answer(shared: dict[str, Walk], name: str) -> None:
    case, walk = FILES[name], shared[name]
    said = "\n".join(words(one) for one in walk.cards())
    assert not [part for part in case.says if part not in said], said
    workflow = walk.stack.workflow(walk.thread_ts, walk.person.channel)
    counted = (workflow.total_rows, workflow.valid_rows) if workflow and workflow.dataset_version else None
    assert counted == case.counts
    assert "Traceback" not in said and "Error:" not in said
    assert not [text for one in walk.cards() for text in formatted(one) if "<!" in text or "<script" in text]
    assert doubled(walk) == []


def test_no_bad_file_made_a_bad_card(stack: Stack, shared: dict[str, Walk]) -> None:
    assert shared and stack.person().cards_invalid() == []


def test_a_file_that_was_deleted_before_we_fetch_it(stack: Stack) -> None:
    walk = a_walk(stack)
    walk.person.faults(shuffle_events=1_000)  # Slack's event comes late
    walk.thread_ts = walk.person.upload([("gone.jsonl", lines().encode())])
    walk.person.delete_file(walk.person.files()[-1]["id"])
    walk.person.faults()
    walk.heard(walk.thread_ts)
    walk.rest()
    assert walk.shows("deleted before I could fetch it")
    assert stack.workflow(walk.thread_ts, walk.person.channel) is None


def test_slacks_login_page_is_not_taken_for_a_dataset(stack: Stack) -> None:
    walk = a_walk(stack)
    stack.wires.instead("GET /files-pri/", HTMLResponse(LOGIN_PAGE))
    walk.begin("data.jsonl", lines().encode())
    walk.rest()
    assert walk.shows("Slack does not let me read `data.jsonl`")
    assert stack.workflow(walk.thread_ts, walk.person.channel) is None


def test_of_two_files_in_one_message_the_first_is_taken_and_the_other_offered(stack: Stack) -> None:
    walk = a_walk(stack)
    walk.thread_ts = walk.person.upload([("one.jsonl", lines(4).encode()), ("two.jsonl", lines(9).encode())])
    walk.heard(walk.thread_ts)
    walk.rest()
    assert walk.workflow.total_rows == 4 and len(walk.tasks("ingest")) == 1
    assert "two.jsonl" in words(walk.card("A further file"))


def test_a_second_file_in_a_thread_changes_nothing_by_itself(stack: Stack) -> None:
    walk = a_walk(stack)
    walk.begin("one.jsonl", lines(4).encode())
    walk.rest()
    before = walk.workflow
    walk.heard(walk.person.upload([("two.jsonl", lines(9).encode())], thread_ts=walk.thread_ts))
    walk.rest()
    assert walk.shows("A further file")
    assert (walk.workflow.dataset_id, walk.workflow.total_rows) == (before.dataset_id, 4)


# ---------------------------------------------------------------- words and clicks


def test_an_unknown_slash_word_gets_the_list_of_words(stack: Stack) -> None:
    ada = stack.person(channel=stack.fresh_channel())
    ada.command("/finetune frobnicate <!channel>")
    rest(stack)
    (shown,) = [one for one in ada.messages() if one.get("bot_id")]
    assert "frobnicate" in words(shown) and "status" in words(shown)
    assert not [text for text in formatted(shown) if "<!channel" in text]
    assert stack.person("U0GRACE", ada.channel).messages() == [], "only who typed it sees the answer"


@pytest.fixture(scope="module")
def ready(stack: Stack) -> list[Walk]:
    """Threads whose topics wait for a decision, made all at once."""
    walks = [a_walk(stack) for _ in range(8)]
    for walk in walks:
        walk.begin("orders.jsonl", lines(24).encode(), f"The goal: {GOAL}.")
    rest(stack)
    return walks


@pytest.fixture
def walk(ready: list[Walk]) -> Walk:
    """One of them, of the test's own."""
    one = ready.pop()
    assert [proposal.kind for proposal in one.proposals()] == ["topics"], one.last_words()
    return one


def test_the_button_of_a_retired_card_says_so_and_does_nothing(stack: Stack, walk: Walk) -> None:
    (old,) = walk.proposals()
    card = walk.card(action="proposal.approve")
    walk.say("Add Complaints under General")
    (new,) = walk.proposals()
    assert new.id != old.id and "proposal.approve" not in buttons(walk.message(card["ts"]))
    before = walk.workflow
    stack.interact(a_click(stack, walk, card, "proposal.approve", old.id))
    walk.rest()
    assert walk.shows("replaced by a newer")
    assert walk.workflow == before and [one.id for one in walk.proposals()] == [new.id]


def test_a_guest_decides_nothing(stack: Stack, walk: Walk) -> None:
    before = walk.workflow
    walk.click("proposal.approve", by="U0LINUS")
    assert [one.status for one in walk.proposals()] == ["open"] and walk.workflow == before
    guest = stack.person("U0LINUS", walk.person.channel)
    assert any("Guests" in words(one) for one in guest.messages(thread_ts=walk.thread_ts))
    assert not walk.shows("Guests"), "the answer is for the one who clicked"


def test_what_costs_is_approved_by_the_owner_only(stack: Stack, walk: Walk) -> None:
    walk.click("proposal.approve")
    walk.say("Generate 3 more examples")
    walk.click("proposal.approve", by="U0GRACE")
    walk.say("yes", by="U0GRACE")
    assert walk.tasks("generate") == [] and [one.kind for one in walk.proposals()] == ["generation"]
    grace = Walk(stack, stack.person("U0GRACE", walk.person.channel), walk.thread_ts)
    assert grace.shows("Only <@U0ADA> can approve this")


def test_two_clicks_at_once_decide_once(stack: Stack, walk: Walk) -> None:
    card = walk.card(action="proposal.approve")
    people = [stack.person(user, walk.person.channel) for user in ("U0ADA", "U0GRACE", "U0KATHERINE") * 2]
    with ThreadPoolExecutor(len(people)) as at_once:
        list(at_once.map(lambda person: person.click(card, "proposal.approve"), people))
    walk.rest()
    approvals = [move for move in walk.workflow.history if move.what.startswith("approved: ")]
    assert len(approvals) == 1 and len(walk.tasks("categorize")) == 1
    (proposal,) = stack.ask(lambda state: state.find(stack.tenant, Proposal, "proposal:done")) or [None]
    assert proposal is None or len(proposal.decisions) == 1


def test_three_messages_before_the_first_answer_are_all_heard(stack: Stack, walk: Walk) -> None:
    asked = len(stack.model.agent_requests)
    walk.person.faults(shuffle_events=1_000)
    said = [
        walk.person.post(text, thread_ts=walk.thread_ts)
        for text in ("how many rows are there?", "and where are we?", "thanks")
    ]
    walk.person.faults()
    for ts in said:
        walk.heard(ts)
    walk.rest()
    heard = "\n".join(message.text for message in stack.model.agent_requests[-1].messages)
    assert all(text in heard for text in ("how many rows", "where are we", "thanks"))
    answers = [one for one in walk.thread() if one.get("bot_id") and float(one["ts"]) > float(said[-1])]
    assert 1 <= len(answers) <= 3 and len(stack.model.agent_requests) - asked <= 9
    assert [one.kind for one in walk.proposals()] == ["topics"], "nothing was decided by the way"


def test_stop_ends_what_runs_and_keeps_what_is_done(stack: Stack, walk: Walk) -> None:
    walk.click("proposal.approve")

    def stop() -> None:
        """The model holds its answer until the worker, which looks once a second, knows."""
        walk.heard(walk.person.post("stop", thread_ts=walk.thread_ts))
        with ThreadPoolExecutor(1) as aside:  # this is the model's event loop
            while not aside.submit(walk.tasks, "generate").result()[0].cancel_requested:
                time.sleep(0.05)
        time.sleep(1.5)

    walk.say("Generate 300 more examples")
    wire = stack.wires.arm("synthetic_rows", 1, stop)
    walk.click("proposal.approve", rest=False)
    assert wire.tripped.wait(60)
    walk.rest()
    assert walk.shows("Stopping")
    (made,) = walk.workflow.rounds
    assert made.kept + sum(made.rejected.values()) < made.asked
    assert walk.workflow.valid_rows == 24 + made.kept


def test_of_contradictory_orders_the_last_one_counts(stack: Stack, walk: Walk) -> None:
    walk.click("proposal.approve")
    stack.wires.arm(
        "agent",
        1,
        lambda: walk.heard(walk.person.post("no, delete the workflow instead", thread_ts=walk.thread_ts)),
    )
    walk.say("generate 100 more examples")
    assert walk.tasks("generate") == [] and walk.workflow.rounds == ()
    kinds = [one.kind for one in walk.proposals()]
    assert "delete" in kinds, walk.last_words()
    assert walk.workflow.status == "active", "a person confirms it first"


# ---------------------------------------------------------------- a model that errs

FAULTS: dict[str, tuple[Json, str]] = {
    "nonsense": ({"kind": "nonsense"}, "wobble"),
    "a tool that does not exist": ({"kind": "unknown_tool"}, ""),
    "arguments that are no JSON": ({"kind": "malformed_arguments"}, ""),
    "the same tool for ever": ({"kind": "endless_tools", "times": 60}, "I stopped after 20 steps"),
    "nothing at all": ({"kind": "empty", "times": 2}, "The model answered nothing, twice"),
    "too many requests": ({"kind": "rate_limit", "times": 2, "retry_after_seconds": 0.2}, ""),
    "an error of the server": ({"kind": "server_error", "times": 2}, ""),
    "a connection that hangs": ({"kind": "hang"}, ""),
}


@pytest.fixture(scope="module")
def idle(ready: list[Walk]) -> Walk:
    """A thread in which nothing waits."""
    walk = ready.pop()
    walk.say("no")
    return walk


@pytest.mark.parametrize("name", FAULTS)
def test_a_model_that_errs_does_no_harm(stack: Stack, idle: Walk, name: str) -> None:
    fault, says = FAULTS[name]
    before, shown = idle.workflow, len(idle.cards())
    stack.provider("/standin/faults", {"role": "agent", **fault})
    idle.say("What is the status?")
    stack.provider("/standin/faults", method="DELETE")
    answers = idle.cards()[shown:]
    assert answers, "somebody asked and got no answer"
    assert says in "\n".join(words(one) for one in answers)
    after = idle.workflow
    assert (after.steps, after.rounds, after.history) == (before.steps, before.rounds, before.history)
    assert doubled(idle) == []


# ---------------------------------------------------------------- looking and clicking


def formatted(message: Json) -> list[str]:
    """Every text of a message that Slack would read as mrkdwn: where a `<!channel>` would ring everybody."""
    found: list[str] = [str(message.get("text", ""))]

    def collect(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, dict):
            if value.get("type") in ("mrkdwn", "markdown") and isinstance(value.get("text"), str):
                found.append(value["text"])
            for inner in value.values():
                collect(inner)

    collect(message.get("blocks", []))
    return found


def a_click(stack: Stack, walk: Walk, card: Json, action: str, value: str) -> Json:
    """A click as Slack sends it, also on a card that has changed since."""
    stamp = f"{time.time():.6f}"
    return {
        "type": "block_actions",
        "user": {"id": walk.person.user, "team_id": stack.tenant.team},
        "team": {"id": stack.tenant.team},
        "api_app_id": stack.workspace.app_id,
        "trigger_id": f"1.2.{stamp}",
        "channel": {"id": walk.person.channel},
        "container": {
            "type": "message",
            "message_ts": card["ts"],
            "thread_ts": walk.thread_ts,
            "channel_id": walk.person.channel,
            "is_ephemeral": False,
        },
        "message": {"ts": card["ts"], "thread_ts": walk.thread_ts},
        "actions": [
            {"type": "button", "action_id": action, "block_id": "b", "value": value, "action_ts": stamp}
        ],
    }
