"""Finding topics, sorting rows into them: typical, empty, stopped, killed, and a model that answers nonsense."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from storage import paths
from storage.datasets import Datasets
from storage.errors import LostLease
from storage.records import Change, Json, Proposal, Topic
from storage.rows import UNCATEGORISED, Row
from tasks.models.port import ModelAnswerInvalid, ModelRefused
from tasks.rules.validation import check_row
from tasks.step import StepError, StepReport
from tasks.steps.categorize import CATEGORIZE, plan_of
from tasks.steps.learning import learn, load
from tasks.steps.propose_topics import PROPOSE_TOPICS
from tasks.steps.topic_labels import batches
from tests.fakes import FakeChat
from tests.makers import BILLING, LOGIN, SHIPPING, TENANT, TOPICS, Context, World, row, rows, settings

pytestmark = pytest.mark.anyio


def named(data: Json) -> Json:
    """One leaf for each cluster, under one root."""
    return {
        "topics": [
            {
                "path": ["Support", f"Topic {cluster['cluster']}"],
                "description": "d",
                "keywords": cluster["terms"],
                "clusters": [cluster["cluster"]],
            }
            for cluster in data["clusters"]
        ]
    }


def labelled(data: Json) -> Json:
    """Login for everything that is asked."""
    return {"labels": [{"row": one["row"], "topic": "login", "confidence": 0.6} for one in data["rows"]]}


async def proposed(world: World, params: Json, **fields: object) -> StepReport:
    workflow = await world.workflow(world.dataset(rows()), **fields)
    return await PROPOSE_TOPICS.run(world.context(workflow), params)


async def test_topics_are_found_in_the_rows_and_named_by_the_model() -> None:
    world = World(chat=FakeChat(topic_hierarchy=named))
    report = await proposed(world, {"method": "auto", "lens": "customer intent"})
    draft = report.drafts[0]
    assert draft.kind == "topics"
    assert draft.payload["hierarchy"][0]["name"] == "Support"
    assert len(draft.payload["hierarchy"][0]["children"]) == report.facts["topic_count"] >= 2
    asked = world.chat.asked("topic_hierarchy")[0]
    assert asked["goal"] == "Helpful answers, on brand"
    assert asked["lens"] == "customer intent"
    assert sum(cluster["size"] for cluster in asked["clusters"]) == 30


async def test_without_consent_no_row_is_sent_and_names_are_terms() -> None:
    world = World(settings=settings(allowed_providers=()))
    report = await proposed(world, {"method": "auto"})
    assert world.chat.requests == []
    assert "may not be sent" in report.facts["notes"][-1]
    assert report.facts["topic_count"] >= 2


@pytest.mark.parametrize(
    "answer", [{"topics": []}, {"topics": [{"path": []}]}, ModelAnswerInvalid("no"), ModelRefused("no")]
)
async def test_a_useless_answer_of_the_model_is_replaced_by_terms(answer: object) -> None:
    world = World(chat=FakeChat(topic_hierarchy=lambda data: answer))
    report = await proposed(world, {"method": "auto"})
    assert report.facts["topic_count"] >= 2


async def test_a_template_is_proposed_by_name() -> None:
    report = await proposed(World(), {"method": "template", "template_name": "Customer Support"})
    assert report.drafts[0].payload["method"] == "template"


async def test_an_unknown_template_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(StepError, match="there are"):
        await proposed(World(), {"method": "template", "template_name": "astrology"})


async def test_an_outline_by_hand_keeps_what_is_known_of_its_topics() -> None:
    report = await proposed(World(), {"hierarchy": "Billing\nLogin\nComplaints"}, topics=TOPICS)
    hierarchy = report.drafts[0].payload["hierarchy"]
    assert [topic["name"] for topic in hierarchy] == ["Billing", "Login", "Complaints"]
    assert hierarchy[0]["keywords"] == ["invoice", "refund", "charged", "payment"]


async def test_rows_that_would_lose_their_topic_are_counted() -> None:
    world = World()
    workflow = await world.workflow(world.dataset(rows(labelled=True)), topics=TOPICS)
    report = await PROPOSE_TOPICS.run(world.context(workflow), {"hierarchy": "Billing\nLogin"})
    assert report.drafts[0].payload["loses"] == {"shipping": 8}


async def test_a_sentence_changes_the_open_proposal() -> None:
    operations = [{"op": "add", "topic": "", "name": "Complaints", "parent": "general", "into": ""}]
    world = World(chat=FakeChat(topic_changes=lambda data: {"operations": operations, "summary": "added"}))
    workflow = await world.workflow(world.dataset(rows()))
    payload = {"hierarchy": [{"name": "General", "children": [{"name": "Hours"}]}]}
    proposal = Proposal("p1", TENANT, "w1", "C1", "1.0", "topics", "t", payload, {}, "U1", 1.0)
    await world.state.commit(TENANT, Change(puts=(proposal,)))
    report = await PROPOSE_TOPICS.run(
        world.context(workflow), {"instruction": "Add Complaints under General"}
    )
    children = report.drafts[0].payload["hierarchy"][0]["children"]
    assert [child["name"] for child in children] == ["Hours", "Complaints"]
    assert report.facts["changes_made"] == ["added Complaints under General"]


async def test_a_change_that_cannot_be_applied_is_tried_twice_and_then_said() -> None:
    operations = [{"op": "remove", "topic": "nowhere", "name": "", "parent": "", "into": ""}]
    world = World(chat=FakeChat(topic_changes=lambda data: {"operations": operations, "summary": ""}))
    workflow = await world.workflow(world.dataset(rows()), topics=TOPICS)
    with pytest.raises(StepError, match="nowhere"):
        await PROPOSE_TOPICS.run(world.context(workflow), {"instruction": "remove it"})
    assert len(world.chat.asked("topic_changes")) == 2


async def test_one_row_gives_one_topic() -> None:
    world = World(settings=settings(allowed_providers=()))
    workflow = await world.workflow(world.dataset(rows({"billing": 1})))
    report = await PROPOSE_TOPICS.run(world.context(workflow), {})
    assert report.facts["topic_count"] == 1


# ---------------------------------------------------------------- categorising


async def sorting(world: World, given: list[object], params: Json | None = None, **fields: object) -> Context:
    workflow = await world.workflow(world.dataset(given), **{"topics": TOPICS, **fields})  # type: ignore[arg-type]
    return world.context(workflow, "categorize", params=params)


async def ran(ctx: Context) -> StepReport:
    return await CATEGORIZE.run(ctx, ctx.task.params)


async def test_keywords_decide_without_a_model_and_the_rest_is_asked() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    odd = [
        row(f"Could you tell me something about {word} please?") for word in ("horses", "weather", "music")
    ]
    ctx = await sorting(world, [*rows(), *odd])
    report = await ran(ctx)
    assert report.facts["assigned_count"] == 33
    assert report.facts["by_method"] == {"keyword": 30, "llm": 3}
    assert report.facts["low_confidence_count"] == 3
    assert report.facts["tokens"]["llm"] == 15 * len(world.chat.requests)
    asked = [one["text"] for data in world.chat.asked("topic_labels") for one in data["rows"]]
    assert len(asked) == 3
    assert report.facts["by_topic"]["login"]["count"] == 13
    changed = report.change(ctx.workflow)
    assert changed.dataset_version == 2
    assert changed.coverage["balance_score"] > 0.5
    assert [event.kind for event in report.events] == ["coverage"]
    assert report.records[0].latest == 2  # type: ignore[union-attr]


async def test_labels_are_columns_of_a_new_version_and_the_old_one_stays() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    ctx = await sorting(world, rows())
    await ran(ctx)
    before = world.datasets.manifest(TENANT, "d1", 1)
    after = world.datasets.manifest(TENANT, "d1", 2)
    assert before.totals.topics == {}
    assert {one.topic for one in world.datasets.iter_rows(after)} == {"billing", "login", "shipping"}


async def test_one_failed_batch_loses_nothing() -> None:
    def answer(data: Json) -> object:
        return (
            ModelAnswerInvalid("broken")
            if any("17" in one["text"] for one in data["rows"])
            else labelled(data)
        )

    world = World(chat=FakeChat(topic_labels=answer))
    odd = [
        row(f"Please tell me something about horse number {number:03d}, thank you") for number in range(60)
    ]
    ctx = await sorting(world, odd)
    report = await ran(ctx)
    counted = report.facts["assigned_count"] + report.facts["uncategorized_count"]
    assert counted == 60
    assert 0 < report.facts["uncategorized_count"] <= 20


async def test_rows_that_fit_nowhere_are_uncategorised() -> None:
    nothing = FakeChat(
        topic_labels=lambda data: {
            "labels": [{"row": r["row"], "topic": "none", "confidence": 1} for r in data["rows"]]
        }
    )
    world = World(chat=nothing)
    ctx = await sorting(world, [row("Could you tell me something about horses?")])
    report = await ran(ctx)
    assert report.facts["uncategorized_count"] == 1
    found = next(world.datasets.iter_rows(world.datasets.manifest(TENANT, "d1", 2)))
    assert (found.topic, found.topic_confidence) == (UNCATEGORISED, None)


async def test_rows_that_the_model_forgets_are_asked_again_and_then_given_up() -> None:
    world = World(chat=FakeChat(topic_labels=lambda data: {"labels": []}))
    ctx = await sorting(world, [row("Could you tell me something about horses?")])
    report = await ran(ctx)
    assert len(world.chat.requests) == 2
    assert report.facts["uncategorized_count"] == 1


async def test_without_consent_every_row_gets_a_topic_from_similarity() -> None:
    world = World(settings=settings(allowed_providers=()))
    ctx = await sorting(world, [*rows(), row("Something about horses and the weather in spring")])
    report = await ran(ctx)
    assert world.chat.requests == []
    assert report.facts["assigned_count"] == 31


async def test_a_topic_given_by_hand_stays_while_it_exists() -> None:
    kept = row(TEXT, id="k", topic="login", topic_confidence=1.0, topic_method="manual")
    gone = row(f"{TEXT} again", id="g", topic="old/topic", topic_confidence=1.0, topic_method="manual")
    world = World(chat=FakeChat(topic_labels=labelled))
    ctx = await sorting(world, [kept, gone], {"mode": "all"})
    await ran(ctx)
    found = {one.id: one for one in world.datasets.iter_rows(world.datasets.manifest(TENANT, "d1", 2))}
    assert found["k"].topic == "login"
    assert (found["g"].topic, found["g"].previous_topic) == ("billing", "old/topic")


TEXT = "I was charged twice, please refund my last invoice"


async def test_only_unlabelled_rows_are_touched_unless_asked() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    wrong = row(TEXT, id="k", topic="shipping", topic_confidence=0.8, topic_method="llm")
    ctx = await sorting(world, [wrong], {"mode": "unlabeled_only"})
    report = await ran(ctx)
    assert report.facts["by_topic"]["shipping"]["count"] == 1


async def test_stopping_keeps_what_was_sorted() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    ctx = await sorting(world, rows())
    ctx.stop_after = 2  # what was learned, and one part
    report = await ran(ctx)
    assert report.partial
    assert report.facts["assigned_count"] == 16  # one part of sixteen rows
    assert report.change(ctx.workflow).dataset_version == 2


async def test_a_killed_run_goes_on_without_asking_twice() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    odd = [
        row(f"Please tell me something about horse number {number:03d}, thank you") for number in range(40)
    ]
    ctx = await sorting(world, odd)
    ctx.die_after = 3
    with pytest.raises(LostLease):
        await ran(ctx)
    before = len(world.chat.requests)
    again = world.context(ctx.workflow, "categorize", done=ctx.done)
    report = await ran(again)
    assert report.facts["assigned_count"] == 40
    asked = [one["text"] for data in world.chat.asked("topic_labels") for one in data["rows"]]
    assert len(set(asked)) == 40
    assert len(asked) - 40 <= 16  # only the part that was under way when it died
    assert before < len(world.chat.requests)


async def test_edits_made_meanwhile_are_kept() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    ctx = await sorting(world, rows())
    pinned = world.datasets.manifest(TENANT, "d1", 1)
    edited = world.datasets.drop_rows(
        pinned, lambda one: one.id == "billing-0", operation="delete", by="U2", at=2.0
    )
    now = replace(ctx.workflow, dataset_version=edited.version, valid_rows=29)
    await world.state.commit(TENANT, Change(puts=(now,)))
    report = await ran(ctx)
    assert report.facts["assigned_count"] == 29
    assert report.change(now).dataset_version == edited.version + 1


def horse(number: int) -> Row:
    return row(f"Please tell me something about horse number {number:03d}, thank you", id=f"h{number}")


async def sorted_again(world: World, ctx: Context, tree: tuple[Topic, ...], **params: object) -> StepReport:
    """The same rows under another tree, the way an approval starts it."""
    params = {"mode": "unlabeled_only", **params}
    now = replace(ctx.workflow, topics=tree, dataset_version=2)
    await world.state.commit(TENANT, Change(puts=(now,)))
    return await ran(world.context(now, "categorize", params=params))


async def test_rows_follow_a_renamed_topic_and_nothing_is_asked() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    ctx = await sorting(world, [*rows(), horse(1)])
    await ran(ctx)
    asked = len(world.chat.requests)
    access = replace(LOGIN, id="access", name="Access")
    report = await sorted_again(world, ctx, (BILLING, access, SHIPPING), moved={"login": "access"})
    assert len(world.chat.requests) == asked
    assert report.facts["by_topic"]["access"]["count"] == 11
    assert sum(report.facts["rows_by_stage"].values()) == 0
    found = [
        one
        for one in world.datasets.iter_rows(world.datasets.manifest(TENANT, "d1", 3))
        if one.topic == "access"
    ]
    assert {one.previous_topic for one in found} == {"login"}
    assert {one.topic_method for one in found} == {"keyword", "llm"}


async def test_a_new_topic_is_considered_only_for_rows_that_may_be_its() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    ctx = await sorting(world, rows())
    await ran(ctx)
    cards = Topic("cards", "Cards", "Credit cards", ("card", "charged twice", "refund invoice"))
    billing = replace(BILLING, keywords=("payment",))
    report = await sorted_again(world, ctx, (billing, LOGIN, SHIPPING, cards), fresh=["cards"])
    stages = report.facts["rows_by_stage"]
    assert stages["keyword"] == report.facts["by_topic"]["cards"]["count"] == 12
    assert sum(stages.values()) == 12  # the rows of other topics kept theirs without being sorted


async def test_rows_of_a_removed_topic_are_sorted_and_the_others_are_not() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    ctx = await sorting(world, rows())
    await ran(ctx)
    report = await sorted_again(world, ctx, (BILLING, LOGIN))
    assert sum(report.facts["rows_by_stage"].values()) == 8
    assert report.facts["by_topic"]["login"]["count"] == 18


async def test_texts_that_ask_the_same_are_asked_once() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    same = [row(f"Something about my horse,  order {10_000 + number}") for number in range(9)]
    other = [row("Something about my horse, order 7"), row("something about MY horse, order 8")]
    report = await ran(await sorting(world, [*same, *other]))
    asked = [one["text"] for data in world.chat.asked("topic_labels") for one in data["rows"]]
    assert len(asked) == report.facts["asked_count"] == 3
    assert report.facts["by_topic"]["login"]["count"] == 11


async def test_a_batch_is_bounded_by_tokens_and_rows() -> None:
    rows_of = list(batches([(place, "x" * 400) for place in range(40)], tokens=1_000))
    assert [len(batch) for batch in rows_of] == [10] * 4
    assert [len(batch) for batch in batches([(place, "x") for place in range(70)], tokens=1_000)] == [
        32,
        32,
        6,
    ]
    assert [len(batch) for batch in batches([(0, "x" * 9_000), (1, "x")], tokens=1_000)] == [1, 1]


async def test_one_refused_text_costs_its_neighbours_nothing() -> None:
    def answer(data: Json) -> object:
        if any("horse number 017" in one["text"] for one in data["rows"]):
            return ModelRefused("content filter")
        return labelled(data)

    world = World(chat=FakeChat(topic_labels=answer))
    report = await ran(await sorting(world, [horse(number) for number in range(60)]))
    assert report.facts["uncategorized_count"] <= 4
    assert report.facts["assigned_count"] + report.facts["uncategorized_count"] == 60


async def test_a_label_of_the_upload_that_names_a_topic_is_the_rows_topic() -> None:
    world = World(chat=FakeChat(topic_labels=labelled))
    given = [row(f"{TEXT} {number}", item={"label": "Login"}, id=f"g{number}") for number in range(3)]
    report = await ran(await sorting(world, [*given, row(TEXT, item={"label": "positive"}, id="x")]))
    assert report.facts["rows_by_stage"]["given"] == 3
    assert report.facts["by_method"] == {"keyword": 1, "manual": 3}
    assert report.facts["by_topic"]["login"]["count"] == 3


async def test_confidence_is_measured_where_people_sorted_rows_and_else_said_to_be_unknown() -> None:
    world = World(settings=settings(allowed_providers=()))
    given = [replace_topic(one) for one in rows({"billing": 20, "login": 20, "shipping": 20})]
    open_row = row("Something about my parcel and the password", id="o")
    report = await ran(await sorting(world, [*given, open_row]))
    found = report.facts["reliability"]
    assert (found["measured_on"], found["against"]) == (60, "people")
    assert found["accuracy"] > 0.9 and 0 <= found["ece"] < 0.3
    assert sum(band["rows"] for band in found["table"]) == 60
    nobody = await ran(await sorting(World(settings=settings(allowed_providers=())), rows()))
    assert nobody.facts["reliability"] == {"measured_on": 0}


def replace_topic(one: Row) -> Row:
    """The row as somebody sorted it by hand."""
    return msgspec.structs.replace(
        one, topic=one.id.partition("-")[0], topic_method="manual", topic_confidence=1.0
    )


def subject(text: str) -> str:
    return next(topic for topic, words in HINTS.items() if any(word in text for word in words))


HINTS = {
    "billing": ("statement", "overpaid", "cents", "booking"),
    "login": ("credentials", "browser", "code", "session"),
    "shipping": ("depot", "driver", "van", "neighbour"),
}


def hinted(number: int) -> Row:
    """A row without any keyword of its topic."""
    chance = random.Random(number)
    words = chance.sample(HINTS[list(HINTS)[number % 3]], 2)
    other = " ".join(
        chance.choices(("lamp", "chair", "phone", "again", "green", "monday", "office", "small"), k=4)
    )
    return row(f"About the {words[0]} and {words[1]}, {other}", id=f"r{number}")


def truthful(data: Json) -> Json:
    return {
        "labels": [
            {"row": one["row"], "topic": subject(one["text"]), "confidence": 0.95} for one in data["rows"]
        ]
    }


async def large(world: World) -> Context:
    """More rows than are sorted without learning first, in one part."""
    empty = replace(world.dataset([]), parts=())
    made = Datasets(world.blobs).append_rows(
        empty,
        [hinted(number) for number in range(1_300)],
        check=check_row,
        operation="upload",
        by="U1",
        at=1.0,
    )
    return world.context(await world.workflow(made, topics=TOPICS), "categorize")


async def test_in_a_large_file_the_model_teaches_and_is_spared_most_rows() -> None:
    world = World(chat=FakeChat(topic_labels=truthful))
    ctx = await large(world)
    report = await ran(ctx)
    assert report.facts["learned_from"] >= 90
    assert report.facts["asked_count"] < 500
    assert report.facts["reliability"]["against"] == "model"
    found = list(
        world.datasets.iter_rows(world.datasets.manifest(TENANT, "d1", report.facts["dataset_version"]))
    )
    right = sum(one.topic == subject(one.input.messages[-1]["content"]) for one in found)
    assert right / len(found) > 0.97
    assert not list(world.blobs.list(f"{paths.of_tenant(TENANT)}reports/learned"))


async def test_killed_while_learning_it_asks_nothing_twice() -> None:
    world = World(chat=FakeChat(topic_labels=truthful))
    ctx = await large(world)
    ctx.die_after = 2
    with pytest.raises(LostLease):
        await ran(ctx)
    report = await ran(world.context(ctx.workflow, "categorize", done=ctx.done))
    asked = [one["text"] for data in world.chat.asked("topic_labels") for one in data["rows"]]
    assert report.facts["assigned_count"] == ctx.workflow.valid_rows
    assert len(asked) - len(set(asked)) <= 32 * 16  # what was under way


async def test_helpers_load_what_was_learned() -> None:
    world = World(settings=settings(allowed_providers=()))
    ctx = await sorting(world, rows())
    await learn(ctx, world.datasets.manifest(TENANT, "d1", 1), plan_of({}))
    one, other = await load(ctx), await load(world.context(ctx.workflow, "categorize", done=ctx.done))
    assert one.linear and other.linear and one.weights and other.weights
    texts = ["my password", "a refund of my invoice"]
    assert (
        one.linear.guesses(one.weights.of(texts))[0] == other.linear.guesses(other.weights.of(texts))[0]
    ).all()
    again = len(ctx.done)
    await learn(ctx, world.datasets.manifest(TENANT, "d1", 1), plan_of({}))
    assert len(ctx.done) == again


async def test_a_model_that_refuses_everything_is_said_and_not_hidden() -> None:
    world = World(chat=FakeChat(topic_labels=lambda data: ModelRefused("no such model")))
    odd = [
        row(f"Please tell me something about horse number {number:03d}, thank you {'x' * 1000}")
        for number in range(90)
    ]
    world_rows = await sorting(world, odd)
    with pytest.raises(ModelRefused):
        await ran(world_rows)


def test_topics_of_the_makers_are_leaves() -> None:
    assert all(isinstance(topic, Topic) and not topic.children for topic in TOPICS)
