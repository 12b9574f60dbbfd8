"""Rows looked at, edited, added, moved, deleted and brought back: by words, by cards, in the modal, from a thread."""

from __future__ import annotations

import json

import pytest

from bot.views.topics import topic_key
from storage.records import Json
from storage.rows import Row
from tests.acceptance import stages
from tests.acceptance.house import CHANNEL, COLLEAGUE, GUEST, OWNER, House
from tests.acceptance.model import results, use

pytestmark = pytest.mark.anyio


async def in_coverage(**many: int) -> House:
    house = await stages.in_coverage(**many)
    house.slack.members[CHANNEL] = {OWNER, COLLEAGUE}
    return house


async def ids(house: House, topic: str = "") -> list[str]:
    return [row.id for row in await house.rows() if topic in ("", row.topic)]


async def row_of(house: House, id: str) -> Row:
    return house.deps.datasets.get_record(await house.manifest(), id)


# ---------------------------------------------------------------- many rows, by words


async def test_rows_are_deleted_after_a_card_that_counts_them_and_says_what_it_does() -> None:
    house = await in_coverage()
    await house.say("delete the rows about shipping", use("delete_records", filter={"topic": "shipping"}))
    card = (await house.proposal("rows")).payload
    assert (card["count"], card["total"], card["which"]) == (10, 60, ["topic Shipping"])
    assert len(card["examples"]) == 5
    assert card["coverage"]["topics"] == [{"name": "Shipping", "before": 10, "after": 0}]
    assert card["coverage"]["balance_after"] < card["coverage"]["balance_before"]
    assert await house.counts() == {"billing": 30, "login": 20, "shipping": 10}
    await house.approve()
    assert await house.counts() == {"billing": 30, "login": 20}
    assert house.last("rows_changed")["count"] == 10
    assert (await house.workflow()).valid_rows == 50


async def test_undo_of_many_asks_first_and_brings_everything_back() -> None:
    house = await in_coverage()
    before = (await house.workflow()).dataset_version
    await house.say("delete shipping", use("delete_records", filter={"topic": "shipping"}))
    await house.approve()
    await house.click("Undo")
    assert (await house.proposal("rows")).payload["to"] == before
    await house.approve()
    assert (await house.workflow()).dataset_version == before
    assert await house.counts() == {"billing": 30, "login": 20, "shipping": 10}
    assert (await house.workflow()).history[-1].what == "went back to an earlier version"


async def test_rows_are_moved_and_count_as_sorted_by_hand() -> None:
    house = await in_coverage()
    some = (await ids(house, "billing"))[:3]
    await house.say("move these", use("move_records", topic="Login", ids=some))
    assert (await house.proposal("rows")).title == "Move 3 rows to Login"
    await house.approve()
    assert await house.counts() == {"billing": 27, "login": 23, "shipping": 10}
    moved = await row_of(house, some[0])
    assert (moved.topic_method, moved.topic_confidence, moved.previous_topic) == ("manual", 1.0, "billing")


async def test_a_search_for_words_is_counted_by_a_worker_and_then_proposed() -> None:
    house = await in_coverage()
    wanted = [row.id for row in await house.rows() if "lantern" in str(row.messages)]
    assert wanted
    await house.say("delete rows about lanterns", use("delete_records", filter={"text": "Lantern"}))
    assert [task.operation for task in await house.tasks()][-1] == "find_rows"
    assert (await house.proposal("rows")).payload["count"] == len(wanted)
    await house.approve()
    assert not set(wanted) & set(await ids(house))


async def test_exactly_what_was_shown_is_changed_although_a_row_was_edited_meanwhile() -> None:
    """The edit comes after the approval and before the worker: the edited row is no longer what was shown."""
    house = await in_coverage()
    some = await ids(house, "shipping")
    await house.say("delete shipping", use("delete_records", filter={"topic": "shipping"}))
    held = list(house.queue.jobs)
    proposal = await house.proposal("rows")
    person = await house.hands.people.whois(OWNER)
    await house.desk.decide(house.tenant, proposal.id, person, approve=True, evidence="button")
    await house.call("update_record", {"record_id": some[0], "updates": {"topic": "login"}}, key="edit")
    await house.call("add_record", {"text": "Where is my parcel, courier?", "topic": "shipping"}, key="add")
    await house.settle()
    assert not held
    left = await ids(house)
    assert some[0] in left and not set(some[1:]) & set(left)
    assert house.last("rows_changed")["left_as_changed"] == 1
    assert (await house.counts())["shipping"] == 1  # the row that came after the card


async def test_a_card_is_void_when_rows_changed_before_the_click() -> None:
    house = await in_coverage()
    await house.say("delete shipping", use("delete_records", filter={"topic": "shipping"}))
    (some, *_) = await ids(house)
    await house.call("update_record", {"record_id": some, "updates": {"topic": "login"}}, key="edit")
    await house.approve()
    assert len(await house.rows()) == 60
    assert any("has changed since" in text for text in house.notices)


async def test_deleting_every_row_after_deployment_warns_is_confirmed_and_done() -> None:
    house = await stages.trained()
    await house.say("deploy it", use("deploy_model"))
    await house.approve()
    await house.say("delete all rows", use("delete_records", filter={}))
    card = (await house.proposal("rows")).payload
    assert card["everything"] and card["count"] == 60
    assert "No valid row would be left" in card["warnings"][0]
    assert any("deployed model" in words for words in card["warnings"])
    await house.approve()
    workflow = await house.workflow()
    assert (workflow.total_rows, workflow.valid_rows) == (0, 0)
    assert workflow.deployment is not None
    await house.say("undo that", use("restore_dataset_version"))
    await house.approve()
    assert (await house.workflow()).valid_rows == 60


async def test_deleting_the_first_of_two_equal_rows_makes_the_other_valid() -> None:
    house = House()
    house.model.structured["topic_hierarchy"] = lambda data: {"topics": []}
    same = {"messages": [{"role": "user", "content": "Where is my refund for order nine?"}]}
    other = {"messages": [{"role": "user", "content": "How do I change my password here?"}]}
    await house.upload([same, same, other])
    listed = await house.call("get_dataset_records", {"limit": 10})
    assert [row["valid"] for row in listed["rows"]] == [True, False, True]
    await house.call("delete_records", {"ids": [listed["rows"][0]["id"]]}, key="delete")
    await house.settle()
    await house.approve()
    listed = await house.call("get_dataset_records", {"limit": 10})
    assert [row["valid"] for row in listed["rows"]] == [True, True]


@pytest.mark.parametrize("tool", ["update_record", "add_record", "restore_dataset_version"])
async def test_guests_change_nothing(tool: str) -> None:
    house = await in_coverage()
    arguments: dict[str, Json] = {
        "update_record": {"record_id": "x", "updates": {"topic": "login"}},
        "add_record": {"text": "A question of some length?"},
        "restore_dataset_version": {},
    }
    result = await house.call(tool, arguments[tool], user=GUEST)
    assert not result["ok"] and "Guests" in result["error"]


async def test_what_cannot_be_meant_is_refused_in_words() -> None:
    house = await in_coverage()
    assert "filter {} is every row" in (await house.call("delete_records"))["error"]
    assert "No row matches" in (await house.call("delete_records", {"ids": ["nobody"]}))["error"]
    assert "There is no topic" in (await house.call("move_records", {"topic": "cars", "filter": {}}))["error"]
    assert "There is no topic" in (await house.call("delete_records", {"filter": {"topic": "cars"}}))["error"]
    assert "no version 99" in (await house.call("restore_dataset_version", {"version": 99}))["error"]


async def test_rows_that_somebody_asks_to_see_come_as_a_card_with_a_way_to_all() -> None:
    house = await in_coverage()
    await house.say(
        "show me the shipping rows", use("get_dataset_records", filter={"topic": "shipping"}, show=True)
    )
    card = house.last("rows")
    assert (card["total"], len(card["rows"]), card["which"]) == (10, 8, ["topic Shipping"])
    await house.click("Browse rows")
    assert "of 10" in house.modal_words and house.modal_words.count("*Shipping*") == 8


# ---------------------------------------------------------------- one row, by words


async def test_the_same_call_again_adds_nothing() -> None:
    house = await in_coverage()
    for _ in range(2):
        assert (await house.call("add_record", {"text": "My parcel is lost, courier?"}, key="same"))["ok"]
    assert len(await house.rows()) == 61


async def test_a_row_is_added_by_words_once_and_taken_back_at_once() -> None:
    house = await in_coverage()
    house.deliveries = 2
    await house.say(
        "add this row",
        use("add_record", text="My parcel is lost, courier?", topic="shipping", answer="Sorry!"),
    )
    (result,) = results(house.model.turns[-1])[-1:]
    assert result["ok"] and result["valid"] and len(await house.rows()) == 61
    row = await row_of(house, result["record"]["id"])
    assert row.provenance["by"] == OWNER and row.output.messages[0]["content"] == "Sorry!"
    await house.say("undo", use("restore_dataset_version"))
    assert len(await house.rows()) == 60 and await house.proposals() == ()


# ---------------------------------------------------------------- the modal


async def test_browsing_filters_pages_and_counts() -> None:
    house = await in_coverage(invalid=3)
    await house.click("Browse rows")
    assert house.slack.calls[-2][0] == "views.open" and "Rows 1–8 of 63" in house.modal_words
    await house.tap("rows.filter:topic", topic_key("billing"))
    assert "Rows 1–8 of 30" in house.modal_words
    await house.tap("rows.page:next", "next")
    assert "Rows 9–16 of 30" in house.modal_words
    await house.tap("rows.page:previous", "previous")
    assert "Rows 1–8 of 30" in house.modal_words
    await house.tap("rows.clear", "all")
    await house.tap("rows.filter:valid", "no")
    assert "Rows 1–3 of 3" in house.modal_words and "rejected: no user message" in house.modal_words
    await house.tap("rows.filter:valid", "any", **{"rows.filter:text": "lantern"})
    assert "lantern" in house.modal_words


async def test_a_row_is_opened_edited_and_the_edit_taken_back() -> None:
    house = await in_coverage()
    await house.click("Browse rows")
    (first, *_) = await ids(house)
    await house.tap("rows.open", first)
    assert "data.jsonl, line 1" in house.modal_words
    await house.tap("rows.edit", first)
    assert (await house.submit(turn_1=" "))["turn_1"] == "A row needs what the user says."
    await house.submit(turn_1="Where is the refund that you promised me?", topic=topic_key("login"))
    row = await row_of(house, first)
    assert (row.messages[1]["content"], row.topic) == ("Where is the refund that you promised me?", "login")
    assert row.messages[0]["role"] == "system"
    assert "Saved as version" in house.modal_words  # the row lies below the form
    house.slack.stack.pop()
    assert "Undo the last edit" in house.modal_words
    undo = next(
        one["value"]
        for block in house.modal["blocks"]
        for one in block.get("elements", [])
        if one.get("action_id") == "rows.undo"
    )
    await house.tap("rows.undo", undo)
    assert (await row_of(house, first)).topic != "login" or "Undone" in house.modal_words


async def test_an_edit_does_not_overwrite_what_somebody_else_wrote_meanwhile() -> None:
    house = await in_coverage()
    await house.click("Browse rows")
    (first, *_) = await ids(house)
    await house.tap("rows.open", first)
    await house.tap("rows.edit", first)
    await house.call(
        "update_record", {"record_id": first, "updates": {"note": "seen"}}, key="other", user=COLLEAGUE
    )
    await house.submit(turn_1="Where is the refund that you promised me?")
    assert "Somebody changed this row" in house.modal_words
    assert "promised" not in str((await row_of(house, first)).messages)


async def test_all_that_match_are_proposed_from_the_modal() -> None:
    house = await in_coverage()
    await house.click("Browse rows")
    await house.tap("rows.filter:topic", topic_key("shipping"))
    await house.tap("rows.move", topic_key("login"), **{"rows.filter:topic": topic_key("shipping")})
    assert "A card in the thread" in house.modal_words
    assert (await house.proposal("rows")).title == "Move 10 rows to Login"
    await house.tap("rows.delete", "matching")
    assert (await house.proposal("rows")).title == "Delete 10 rows"


async def test_doubtful_rows_are_reviewed_in_the_modal_and_a_pick_is_saved_at_once() -> None:
    house = await in_coverage(unsure=12)
    await house.click("Review 10 rows")
    assert "Rows 1–8 of 10" in house.modal_words
    select = reviewed(house)[0]
    await house.tap(select["action_id"], topic_key("login"))
    assert "Saved: *Login*" in house.modal_words and "of 9" in house.modal_words
    assert (await row_of(house, select["action_id"].partition(":")[2])).topic_method == "manual"


async def test_a_reviewer_who_agrees_says_so_with_one_tap() -> None:
    house = await in_coverage(unsure=12)
    await house.click("Review 10 rows")
    _, right, opener = reviewed(house)
    before = await row_of(house, opener["value"])
    await house.tap(right["action_id"], right["value"])
    now = await row_of(house, opener["value"])
    assert (now.topic, now.topic_method, now.topic_confidence) == (before.topic, "manual", 1.0)
    assert "of 9" in house.modal_words, "it is doubtful no more"


def reviewed(house: House) -> list[Json]:
    """What can be pressed beside the first row of the review."""
    return next(
        block["elements"]
        for block in house.modal["blocks"]
        if block["type"] == "actions" and block["elements"][0]["action_id"].startswith("review.pick:")
    )


async def test_a_row_is_written_by_hand_in_a_form() -> None:
    house = await in_coverage()
    await house.click("Add a row")
    await house.submit(
        text="Can I pay by invoice, please?", reference="Yes, within 30 days.", topic=topic_key("billing")
    )
    row = (await house.rows())[-1]
    assert (row.reference_answer, row.topic, row.provenance["by"]) == (
        "Yes, within 30 days.",
        "billing",
        OWNER,
    )
    assert any("Added as a row of version" in text for text in house.notices)


async def test_who_has_left_the_channel_sees_no_rows_in_a_modal_that_is_still_open() -> None:
    house = await in_coverage()
    await house.click("Browse rows", user=COLLEAGUE)
    house.slack.members[CHANNEL] = {OWNER}
    house.now += 60
    await house.tap("rows.page:next", "next", user=COLLEAGUE)
    assert "You cannot see this dataset" in house.modal_words and "Billing" not in house.modal_words


# ---------------------------------------------------------------- a thread becomes a row


THREAD = [
    {
        "type": "message",
        "user": "U0KIM",
        "ts": "77.1",
        "text": "Hi &amp; hello, my <https://x.example/i|invoice> is wrong",
    },
    {"type": "message", "user": "U0KIM", "ts": "77.2", "text": "can you mend it, <@U0ADA>?"},
    {
        "type": "message",
        "user": "U0JOIN",
        "ts": "77.25",
        "subtype": "channel_join",
        "text": "<@U0JOIN> has joined",
    },
    {"type": "message", "user": "U0ADA", "ts": "77.3", "text": "Of course, done."},
    {"type": "message", "bot_id": "B1", "username": "helper", "ts": "77.4", "text": "Ticket closed."},
]


async def with_a_thread() -> House:
    house = await in_coverage()
    house.slack.threads["77.1"] = [dict(one) for one in THREAD]
    house.slack.names = {"U0ADA": "Ada", "U0KIM": "Kim"}
    return house


async def test_a_thread_becomes_a_row_with_permalink_and_author() -> None:
    house = await with_a_thread()
    await house.shortcut("77.3", thread_ts="77.1")
    assert "1. Kim is the…" in house.modal_words and "2. Ada is the…" in house.modal_words
    assert (
        await house.submit(role_2="drop", topic=f"{(await house.workflow()).id}|{topic_key('billing')}") == {}
    )
    row = (await house.rows())[-1]
    assert row.messages == [
        {"role": "user", "content": "Hi & hello, my invoice is wrong\ncan you mend it, @Ada?"},
        {"role": "assistant", "content": "Of course, done."},
    ]
    assert row.topic == "billing"
    assert row.provenance["permalink"] == f"https://slack.test/{CHANNEL}/77.1"
    assert (row.provenance["author"], row.provenance["by"], row.provenance["ts"]) == ("U0KIM", OWNER, "77.1")
    assert any("added <https://slack.test" in text for text in house.notices)


async def test_only_members_take_words_from_a_channel_and_guests_never() -> None:
    house = await with_a_thread()
    await house.shortcut("77.1", user="U0STRANGER")
    assert "Only members of this channel" in house.modal_words
    await house.shortcut("77.1", user=GUEST)
    assert "Guests" in house.modal_words
    await house.shortcut("77.1")
    house.slack.members[CHANNEL] = set()
    house.now += 60
    await house.submit()
    assert len(await house.rows()) == 60
    assert "Only members of this channel" in house.notices[-1]


async def test_a_thread_that_is_gone_or_says_nothing_is_told_in_the_modal() -> None:
    house = await with_a_thread()
    await house.shortcut("88.8")
    assert "not there any more" in house.modal_words
    house.slack.threads["99.1"] = [
        {"type": "message", "subtype": "tombstone", "ts": "99.1", "text": "This message was deleted."}
    ]
    await house.shortcut("99.1")
    assert "Nobody wrote anything" in house.modal_words


async def test_a_thread_without_a_user_or_with_another_datasets_topic_is_held_back_in_the_form() -> None:
    house = await with_a_thread()
    await house.shortcut("77.1")
    assert set(await house.submit(role_0="assistant")) == {"role_0"}
    assert set(await house.submit(topic="another|abc")) == {"topic"}


async def test_a_long_thread_is_bounded_and_says_so() -> None:
    house = await with_a_thread()
    house.slack.threads["77.1"] = [
        {"type": "message", "user": f"U0P{n % 2}", "ts": f"77.{n}", "text": f"Sentence number {n}. " * 200}
        for n in range(1, 60)
    ]
    await house.shortcut("77.1")
    assert "goes on with 39 more turns" in house.modal_words
    assert len(json.dumps(house.modal)) < 250_000
