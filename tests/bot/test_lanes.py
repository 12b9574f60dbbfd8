"""What waits in a lane is dealt with once: files become workflows, words reach the agent, chatter is dropped, stop stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.commands import Commands
from bot.files import FileProblem, SlackFile
from bot.lanes import Lanes
from bot.uploads import title_of
from storage import keys
from storage.errors import LostLease
from storage.records import Dataset, InboxItem, OutboxEvent, Task, WaitingFile, Workflow
from tests.agent.scene import CHANNEL, LANE, TENANT, THREAD, Scene, says
from tests.bot.parts import FakeSlack, hands, texts

pytestmark = pytest.mark.anyio
CLICKS = keys.click_lane(CHANNEL, THREAD)


class NoDownload:
    """Implements what uploads use of `Downloads`."""

    def __init__(self, *troubles: FileProblem) -> None:
        self.troubles = list(troubles)
        self.fetched: list[str] = []

    async def fetch(self, file: SlackFile, path: str) -> int:
        self.fetched.append(file.name)
        if self.troubles:
            raise self.troubles.pop(0)
        return 123


class House:
    """Lanes over a scene in memory. `ingest` must be an operation there."""

    def __init__(self, *script: Any, troubles: tuple[FileProblem, ...] = (), **settings: Any) -> None:
        self.scene = Scene(*script, **settings)
        self.slack = FakeSlack()
        self.bot = hands(self.scene, self.slack)
        self.downloads = NoDownload(*troubles)
        commands = Commands(hands=self.bot, session=None)  # type: ignore[arg-type]
        self.lanes = Lanes(hands=self.bot, downloads=self.downloads, commands=commands, posted=lambda: None)  # type: ignore[arg-type]

    async def accept(self, item: InboxItem, lane: str = LANE) -> None:
        await self.scene.state.accept(TENANT, lane, item)

    async def work(self, lane: str = LANE) -> float:
        lease = await self.scene.state.claim(TENANT, lane, seconds=60)
        assert lease
        try:
            return await self.lanes(lease, lane)
        finally:
            await self.scene.state.release(lease)

    async def shown(self, kind: str = "") -> list[OutboxEvent]:
        return await self.scene.events(kind)

    async def left(self, lane: str = LANE) -> tuple[InboxItem, ...]:
        return await self.scene.state.waiting(TENANT, lane)

    async def workflows(self) -> tuple[Workflow, ...]:
        return await self.scene.state.find(TENANT, Workflow, "workflow")


def file_item(*names: str, text: str = "", id: str = "m1", addressed: bool = False) -> InboxItem:
    shared = [
        {"id": f"F{i}", "name": name, "url_private_download": "https://files.slack.com/x", "size": 9}
        for i, name in enumerate(names)
    ]
    return InboxItem(id, "file", "U1", text, 1.0, _where(files=shared, addressed=addressed))


def words_item(text: str, id: str = "m2", addressed: bool = True, kind: Any = "message") -> InboxItem:
    return InboxItem(id, kind, "U1", text, 2.0, _where(files=[], addressed=addressed))


def _where(**more: Any) -> dict[str, Any]:
    return {"channel": CHANNEL, "thread_ts": THREAD, "ts": "1.0", **more}


async def test_a_file_becomes_a_workflow_a_dataset_and_a_task() -> None:
    house = House()
    await house.accept(file_item("customer_support-data.jsonl"))
    await house.work()
    (workflow,) = await house.workflows()
    (task,) = await house.scene.state.find(TENANT, Task, "task:open")
    dataset = await house.scene.state.get(TENANT, Dataset, workflow.dataset_id)
    assert workflow.name == "Customer support data" and workflow.owner == "U1"
    assert task.operation == "ingest" and task.params["file_name"] == "customer_support-data.jsonl"
    assert dataset and [job.id for job in house.scene.queue.jobs] == [task.id]
    assert [event.kind for event in await house.shown()] == ["progress"]
    assert await house.left() == () and ("eyes") in str(house.slack.of("reactions.add"))


async def test_the_same_file_taken_up_twice_is_one_workflow() -> None:
    house = House()
    item = file_item("rows.jsonl")
    for _ in range(2):  # killed after the commit, before anything else: another process begins anew
        house.scene.state._room(TENANT).seen.discard(item.id)
        await house.accept(item)
        await house.work()
    assert len(await house.workflows()) == 1
    assert len(await house.scene.state.find(TENANT, Task, "task:open")) == 1


async def test_words_that_come_with_a_file_reach_the_agent_after_the_fact() -> None:
    house = House(says("Got it."))
    await house.accept(file_item("rows.jsonl", text="the goal is kindness"))
    await house.work()
    await house.work()
    heard = house.scene.model.heard()
    assert "file_uploaded" in heard[0] and heard[1] == "<@U1>: the goal is kindness"


@pytest.mark.parametrize("name", ["virus.exe", "cat.png", "rows.zip"])
async def test_a_wrong_type_gets_a_clear_answer_where_we_are_spoken_to(name: str) -> None:
    house = House()
    await house.accept(file_item(name, addressed=True))
    await house.work()
    assert "I cannot read" in texts(await house.shown()) and name in texts(await house.shown())
    assert await house.workflows() == ()


async def test_of_two_files_the_first_is_taken_and_the_other_is_offered() -> None:
    house = House()
    await house.accept(file_item("a.jsonl", "b.jsonl"))
    await house.work()
    assert house.downloads.fetched == ["a.jsonl", "b.jsonl"]
    (card,) = await house.shown("second_file")
    assert [file["name"] for file in card.data["files"]] == ["b.jsonl"]
    assert len(await house.scene.state.find(TENANT, Task, "task:open")) == 1


async def test_a_second_file_in_a_thread_waits_for_a_word() -> None:
    house = House()
    await house.scene.workflow()
    item = file_item("more.jsonl")
    for _ in range(2):  # killed after the commit: another process begins anew
        house.scene.state._room(TENANT).seen.discard(item.id)
        await house.accept(item)
        await house.work()
    (card,) = await house.shown("second_file")
    assert [file["name"] for file in card.data["files"]] == ["more.jsonl"]
    assert len(await house.scene.state.find(TENANT, WaitingFile, "waiting:workflow:w1")) == 1
    assert await house.scene.state.find(TENANT, Task, "task:open") == ()


async def test_a_file_that_cannot_be_had_spoils_no_other_of_its_message() -> None:
    house = House(troubles=(FileProblem("The file was deleted."),))
    await house.accept(file_item("a.jsonl", "b.jsonl"))
    await house.work()
    assert texts(await house.shown("notice")) == "The file was deleted."
    assert [
        dataset.file_name for dataset in await house.scene.state.find(TENANT, Dataset, "dataset:owner:U1")
    ] == ["b.jsonl"]


async def test_a_mended_file_is_taken_when_the_first_had_no_usable_row() -> None:
    house = House()
    await house.scene.workflow(valid_rows=0)
    await house.accept(file_item("mended.jsonl"))
    await house.work()
    assert [workflow.id for workflow in await house.workflows()] == ["w1"]
    assert house.downloads.fetched == ["mended.jsonl"]


async def test_a_file_that_cannot_be_had_is_explained_and_let_go() -> None:
    house = House(troubles=(FileProblem("The file was deleted."),))
    await house.accept(file_item("rows.jsonl"))
    await house.work()
    assert texts(await house.shown("notice")) == "The file was deleted."
    assert await house.left() == () and await house.workflows() == ()


async def test_a_download_that_breaks_off_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.uploads.PAUSE_SECONDS", 0.0)
    house = House(troubles=(FileProblem("broke off", again=True),))
    await house.accept(file_item("rows.jsonl"))
    await house.work()
    assert len(house.downloads.fetched) == 2 and len(await house.workflows()) == 1


async def test_chatter_in_a_thread_without_a_workflow_is_dropped() -> None:
    house = House(says("I should not speak."))
    await house.accept(words_item("lunch?", addressed=False))
    await house.work()
    assert await house.left() == () and await house.shown() == [] and house.scene.model.requests == []


async def test_a_thread_with_a_workflow_is_answered_and_shows_that_it_thinks() -> None:
    house = House(says("Here we are."))
    await house.scene.workflow()
    await house.accept(words_item("where are we?", addressed=False))
    await house.work()
    await asyncio.sleep(0)  # the status line is shown beside the turn
    assert "Here we are." in texts(await house.shown("prose"))
    assert [call["status"] for call in house.slack.of("assistant.threads.setStatus")] == ["is thinking…"]


async def test_a_file_that_comes_during_a_turn_is_not_swallowed_by_it() -> None:
    house = House()

    async def meanwhile(request: Any) -> Any:
        await house.accept(file_item("more.jsonl", id="late"))
        return says("Here we are.")

    house.scene.model.script.append(meanwhile)
    await house.scene.workflow()
    await house.accept(words_item("where are we?"))
    await house.work()
    assert [item.id for item in await house.left()] == ["late"]
    await house.work()
    assert len(await house.shown("second_file")) == 1 and await house.left() == ()


async def test_a_file_waits_until_an_unfinished_turn_is_over() -> None:
    house = House(says("Done at last."))
    await house.scene.workflow()
    await house.accept(words_item("where are we?"))
    await house.accept(file_item("more.jsonl", id="late"))
    lease = await house.scene.state.claim(TENANT, LANE, seconds=60)
    assert lease
    entry = {
        "kind": "started",
        "turn": "n1",
        "items": ["m2"],
        "messages": [],
        "undecided": False,
        "idle": False,
    }
    await house.scene.state.write(lease, LANE, entry)
    await house.scene.state.release(lease)
    await house.work()
    assert [item.id for item in await house.left()] == ["late"]
    await house.work()
    assert await house.left() == ()


async def test_three_messages_are_one_turn() -> None:
    house = House(says("All three."))
    await house.scene.workflow()
    for number in range(3):
        await house.accept(words_item(f"message {number}", id=f"m{number}"))
    await house.work()
    assert len(house.scene.model.heard()) == 3 and len(house.scene.model.requests) == 1


async def test_stop_asks_every_job_to_stop_and_says_so() -> None:
    house = House()
    workflow = await house.scene.workflow()
    await house.scene.desk.start(TENANT, workflow, "validate", {}, by="U1", key="k")
    await house.accept(words_item("stop", kind="stop"), lane=CLICKS)
    await house.work(CLICKS)
    (task,) = await house.scene.state.find(TENANT, Task, "task:open")
    assert task.cancel_requested and "Stopping" in texts(await house.shown("notice"))


async def test_stop_with_nothing_running_gets_an_answer() -> None:
    house = House()
    await house.scene.workflow()
    await house.accept(words_item("stop", kind="stop"), lane=CLICKS)
    await house.work(CLICKS)
    assert "Nothing is running" in texts(await house.shown("notice"))


async def test_what_keeps_failing_is_let_go_with_an_apology_and_an_id() -> None:
    house = House()
    await house.accept(words_item("hello"))
    lease = await house.scene.state.claim(TENANT, LANE, seconds=60)
    assert lease
    await house.lanes.give_up(lease, LANE, RuntimeError("secret details"))
    said = texts(await house.shown("notice"))
    assert "went wrong" in said and "secret" not in said
    assert await house.left() == ()


async def test_a_holder_that_was_overtaken_writes_nothing() -> None:
    house = House()
    await house.accept(file_item("rows.jsonl"))
    stale = await house.scene.state.claim(TENANT, LANE, seconds=0)
    await house.scene.state.claim(TENANT, LANE, seconds=60)
    assert stale
    with pytest.raises(LostLease):
        await house.lanes(stale, LANE)
    assert await house.workflows() == ()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("customer_support.jsonl", "Customer support"),
        ("rows.v2.csv.gz", "Rows.v2"),
        (".jsonl", ".jsonl"),
        ("../../etc/passwd.json", "Passwd"),
        ("x" * 500 + ".jsonl", "X" + "x" * 79),
    ],
)
def test_a_workflow_is_named_after_its_file(name: str, title: str) -> None:
    assert title_of(name) == title
