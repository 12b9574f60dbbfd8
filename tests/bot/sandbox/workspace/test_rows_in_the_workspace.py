"""Rows as a person meets them in the workspace: a thread into a dataset, and the modal of rows, over signed HTTP to the real `web`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.workspace.person import Person, words
from tests.journey.stack import CHANNEL, Stack

Json = dict[str, Any]
ROWS = [
    {"messages": [{"role": "user", "content": f"Question number {n} about an invoice"}]} for n in range(12)
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("rows")) as running:
        yield running


@pytest.fixture(scope="module")
def thread(stack: Stack) -> str:
    """A thread with a dataset of twelve rows, checked."""
    data = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    ts = stack.person().upload([("support.jsonl", data)], "The goal: friendly answers.")
    stack.person().wait_for_message(
        lambda one: "12 of 12 rows valid" in words(one), thread_ts=ts, timeout_s=60
    )
    return ts


def opened(person: Person, title: str, ready: str) -> Json:
    """The topmost modal once it has that title and says those words."""

    def find() -> Json | None:
        top = person.views()[-1:]
        return next(
            (view for view in top if view["title"]["text"] == title and ready in json.dumps(view)), None
        )

    try:
        return person.wait_for(find, 30)
    except TimeoutError as error:
        raise AssertionError(json.dumps(person.views())[-3_000:]) from error


def test_a_thread_goes_into_a_dataset_over_signed_http(stack: Stack, thread: str) -> None:
    ada, grace = stack.person(), stack.person("U0GRACE")
    root = ada.post("My parcel &amp; letter never came, what now? https://x.example/track")
    reply = grace.post("Sorry! We send both again, <@U0ADA>.", thread_ts=root)
    assert ada.shortcut("add_to_dataset", message_ts=reply)["ok"]
    view = opened(ada, "Add to dataset", "2. grace is the")
    assert {block["block_id"] for block in view["blocks"]} >= {
        "role_0",
        "turn_0",
        "role_1",
        "turn_1",
        "workflow",
    }
    refused = ada.submit(view, {"role_0": {"role_0": "assistant"}})
    assert set(refused["errors"]) == {"role_0"}
    assert ada.submit(view, {"role_0": {"role_0": "user"}})["ok"]
    told = ada.wait_for_message(
        lambda one: "added" in words(one) and "as a row" in words(one), thread_ts=thread
    )
    assert "dataset version 2" in words(told) and f"/archives/{CHANNEL}/" in words(told)
    assert ada.wait_for_message(lambda one: "Added to" in words(one), thread_ts=root)["is_ephemeral"]


def test_a_guest_is_told_in_the_modal_and_a_thread_without_the_bot_cannot_be_read(
    stack: Stack, thread: str
) -> None:
    ada, linus = stack.person(), stack.person("U0LINUS")
    ts = ada.post("Anything at all, said in the channel")
    linus.shortcut("add_to_dataset", message_ts=ts)
    opened(linus, "Add to dataset", "Guests and people of other organisations")
    elsewhere = ada.post("Where the bot was never invited", channel="C0RANDOM")
    ada.shortcut("add_to_dataset", message_ts=elsewhere, channel="C0RANDOM")
    opened(ada, "Add to dataset", "I cannot read this thread. Invite me")


def test_rows_are_browsed_and_edited_in_modals_that_slack_takes(stack: Stack, thread: str) -> None:
    ada = stack.person()
    overview = ada.wait_for_message(lambda one: "rows.browse" in json.dumps(one), thread_ts=thread)
    ada.click(overview, "rows.browse")
    page = opened(ada, "Rows", "Rows 1")
    ada.act_on_view(page, "rows.filter:text", "number 11")
    page = opened(ada, "Rows", "of 1 ")
    opener = next(block["accessory"] for block in page["blocks"] if "accessory" in block)
    row = next(block["block_id"] for block in page["blocks"] if block.get("accessory") == opener)
    ada.act_on_view(page, "rows.open", block_id=row)
    whole = opened(ada, "A row", "support.jsonl, line 12")
    ada.act_on_view(whole, "rows.edit")
    form = opened(ada, "Edit the row", "turn_0")
    assert ada.submit(form, {"turn_0": {"turn_0": "Where is my invoice, please?"}})["ok"]
    opened(ada, "A row", "Saved as version")
    ada.close(ada.views()[-1])
    opened(ada, "Rows", "Undo the last edit")
    ada.close(ada.views()[-1], everything=True)
    assert ada.cards_invalid() == []


def test_rows_are_shown_deleted_and_brought_back_by_plain_words(stack: Stack, thread: str) -> None:
    ada = stack.person()

    def says(text: str, answer: str) -> Json:
        ada.post(text, thread_ts=thread)
        return ada.wait_for_message(lambda one: answer in words(one), thread_ts=thread)

    card = says("show me the rows containing number 7", "saying “number 7”")
    assert "rows.browse" in json.dumps(card) and "Question number 7" in words(card)
    proposal = says("delete the rows about number 7", "Delete 1 row")
    ada.click(proposal, "proposal.approve")
    done = ada.wait_for_message(lambda one: "1 row deleted" in words(one), thread_ts=thread)
    ada.click(done, "rows.undo")
    back = ada.wait_for_message(lambda one: "Go back to dataset version" in words(one), thread_ts=thread)
    ada.click(back, "proposal.approve")
    ada.wait_for_message(lambda one: "stands again" in words(one), thread_ts=thread)
    says('add this row: "Can I return a parcel that I opened?"', "it is valid")
    assert ada.cards_invalid() == []
