"""From documents to rows: what is read, proposed, written, checked, rejected, and a restart that pays for nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from pydantic import SecretStr

from storage.records import Json, SharedDocument, Workflow
from storage.rows import Row, last_user_message
from tasks.models.port import ModelAnswerInvalid
from tasks.rules import grounding
from tasks.rules import knowledge as rules
from tasks.rules.topics import leaves
from tasks.step import StepError, StepReport
from tasks.steps.prepare_knowledge import PREPARE_KNOWLEDGE
from tasks.steps.propose_knowledge import PROPOSE_KNOWLEDGE
from tasks.steps.propose_topics_from_documents import PROPOSE_TOPICS_FROM_DOCUMENTS
from tasks.steps.read_documents import READ_DOCUMENTS
from tests.fakes import FakeChat
from tests.makers import TENANT, TOPICS, Killed, World, row, settings

pytestmark = pytest.mark.anyio
HANDBOOK = (files("bot.sandbox.samples") / "handbook.md").read_bytes()
PAGE = (files("bot.sandbox.samples") / "repair_service.html").read_bytes()
NO_MODEL = {"openai_base_url": "", "openai_api_key": SecretStr("")}


class Reader:
    """A model that reads: it quotes the longest line of a passage and asks for its words. `spoil` changes a row."""

    def __init__(self, spoil: Callable[[int, Json], Json] = lambda number, one: one) -> None:
        self.made = 0
        self.spoil = spoil

    def __call__(self, data: Json) -> Json:
        rows = []
        for passage in data["passages"]:
            lines = sorted(grounding.sentences_of(passage["text"]), key=len, reverse=True)
            for place in range(passage["count"]):
                line = lines[place % len(lines)]
                words = " ".join(grounding.content_words(line)[:6])
                asked = f"{('What', 'How', 'When', 'Why')[place % 4]} about {words}, {'abcdefgh'[place]}{self.made:x}?"
                one = {"passage": passage["passage"], "question": asked, "answer": line, "quote": line}
                rows.append(self.spoil(self.made, one))
                self.made += 1
        return {"rows": rows}


def steps(data: Json) -> Json:
    rows = []
    for passage in data["passages"]:
        found = rules.steps_in(passage["text"])
        for place in range(passage["count"] if found else 0):
            asked = f"{('How do I', 'Which steps does it take to', 'Please guide me to')[place % 3]} do {passage['headings'][-1]}?"
            rows.append(
                {"passage": passage["passage"], "question": asked, "steps": list(found), "quote": found[0]}
            )
    return {"rows": rows}


def agrees(data: Json) -> Json:
    texts = {one["passage"]: one["text"] for one in data["passages"]}
    return {
        "checks": [
            {"row": one["row"], "supported": True, "quote": texts[one["passage"]][:60]}
            for one in data["rows"]
        ]
    }


def world(spoil: Callable[[int, Json], Json] = lambda number, one: one, **given: Any) -> World:
    reader = Reader(spoil)
    chat = FakeChat(
        knowledge_concepts=reader, knowledge_facts=reader, knowledge_procedures=steps, knowledge_check=agrees
    )
    return World(chat=chat, settings=settings(**given))


async def read(
    world: World, *documents: tuple[str, bytes], workflow: Workflow | None = None
) -> tuple[StepReport, Workflow]:
    """The documents read, their records stored."""
    flow = workflow or await world.workflow(None)
    listed = []
    for number, (name, data) in enumerate(documents):
        path = f"-/T1/uploads/u{number}"
        world.blobs.put(path, (data,))
        listed.append({"upload_path": path, "file_name": name, "by": "U1"})
    report = await READ_DOCUMENTS.run(world.context(flow, "read_documents"), {"files": listed})
    await world.put(*report.records)
    return report, flow


async def prepared(
    world: World, *documents: tuple[str, bytes], workflow: Workflow | None = None, **params: Any
) -> tuple[StepReport, list[Row]]:
    _, flow = await read(world, *(documents or (("handbook.md", HANDBOOK),)), workflow=workflow)
    method = "model" if world.settings.openai_base_url else "extraction"
    given = {"documents": [], "kinds": list(rules.KINDS), "method": method, **params}
    context = world.context(flow, "prepare_knowledge", params=given)
    report = await PREPARE_KNOWLEDGE.run(context, given)
    after = report.change(flow)
    manifest = world.datasets.manifest(TENANT, after.dataset_id, after.dataset_version)
    return report, [one for one in world.datasets.iter_rows(manifest) if one.provenance.get("document")]


# ---------------------------------------------------------------- reading


async def test_what_was_read_is_counted_kept_and_proposed_from() -> None:
    here = world()
    report, flow = await read(here, ("handbook.md", HANDBOOK), ("repair.html", PAGE), ("scan.pdf", b"%PDF-x"))
    assert [one["name"] for one in report.facts["documents"]] == ["handbook.md", "repair.html"]
    handbook, page = report.facts["documents"]
    assert (handbook["kind"], handbook["headings"], handbook["passages"]) == ("markdown", 12, 10)
    assert page["skipped"] == {"page heads": 1, "menus": 1, "scripts": 1}
    assert report.facts["problems"][0]["name"] == "scan.pdf"
    assert "damaged" in report.facts["problems"][0]["problem"]
    assert [one.operation for one in report.then] == ["propose_knowledge"]
    stored = await here.state.find(TENANT, SharedDocument, f"document:workflow:{flow.id}")
    assert {one.name for one in stored} == {"handbook.md", "repair.html"}
    assert all(one.digest and one.by == "U1" for one in stored)


async def test_the_same_document_again_is_one_document() -> None:
    here = world()
    _, flow = await read(here, ("handbook.md", HANDBOOK))
    report, _ = await read(here, ("copy.md", HANDBOOK), workflow=flow)
    assert len(await here.state.find(TENANT, SharedDocument, f"document:workflow:{flow.id}")) == 1
    assert report.facts["documents"][0]["name"] == "copy.md"


async def test_beside_a_dataset_nothing_is_proposed_unasked() -> None:
    here = world()
    flow = await here.workflow(here.dataset([row("How do I reset the router at home?", id="a")]))
    report, _ = await read(here, ("handbook.md", HANDBOOK), workflow=flow)
    assert report.then == () and report.facts["has_dataset"]


async def test_nothing_readable_is_an_error_that_names_each_file() -> None:
    with pytest.raises(StepError) as found:
        await read(world(), ("a.pdf", b"no pdf"), ("b.txt", b"\x00\x00"))
    assert "a.pdf" in str(found.value) and "b.txt" in str(found.value)


async def test_documents_over_the_limits_are_refused() -> None:
    limits = {"max_document_bytes": 500, "max_documents": 1}
    small = world(limits=limits)
    with pytest.raises(StepError, match="larger than"):
        await read(small, ("handbook.md", HANDBOOK))
    with pytest.raises(StepError, match="at most 1 documents"):
        await read(world(limits=limits), ("a.md", b"# A\n\nSome words."), ("b.md", b"# B\n\nOther words."))


# ---------------------------------------------------------------- proposing


async def test_the_proposal_says_how_many_of_which_kind_what_it_costs_and_shows_three() -> None:
    here = world()
    _, flow = await read(here, ("handbook.md", HANDBOOK))
    report = await PROPOSE_KNOWLEDGE.run(here.context(flow, "propose_knowledge"), {"knowledge_type": "all"})
    (draft,) = report.drafts
    assert draft.kind == "knowledge" and draft.ceiling_usd > 0
    counts = draft.payload["counts"]
    assert counts["procedures"] == {"passages": 3, "rows": 9}
    assert draft.payload["total"] == sum(one["rows"] for one in counts.values())
    assert len(draft.payload["preview"]) == 3
    assert {one["kind"] for one in draft.payload["preview"]} == {"concepts", "procedures", "facts"}
    assert all(one["where"].startswith("handbook.md › ") for one in draft.payload["preview"])
    assert draft.payload["params"]["method"] == "model"
    assert "BUDGET_USD" in draft.payload["notes"][0]  # nobody has set one here


async def test_one_kind_of_one_document_may_be_asked_for() -> None:
    here = world()
    _, flow = await read(here, ("handbook.md", HANDBOOK), ("repair.html", PAGE))
    params = {"knowledge_type": "procedures", "source": ["Repair"]}
    report = await PROPOSE_KNOWLEDGE.run(here.context(flow, "propose_knowledge"), params)
    assert report.facts["documents"] == ["repair.html"] and list(report.facts["counts"]) == ["procedures"]
    with pytest.raises(StepError, match=r"no document nothing\.pdf"):
        await PROPOSE_KNOWLEDGE.run(here.context(flow, "propose_knowledge"), {"source": ["nothing.pdf"]})


async def test_without_consent_no_text_leaves_and_the_card_says_so() -> None:
    here = world(allowed_providers=())
    report, flow = await read(here, ("handbook.md", HANDBOOK))
    assert [draft.kind for draft in report.drafts] == ["consent"]
    found = await PROPOSE_KNOWLEDGE.run(here.context(flow, "propose_knowledge"), {})
    (draft,) = found.drafts
    assert (draft.ceiling_usd, draft.payload["method"]) == (0.0, "extraction")
    assert "agree on the consent card" in draft.payload["notes"][0]
    assert here.chat.requests == []


# ---------------------------------------------------------------- preparing


async def test_every_row_cites_its_passage_and_begins_a_dataset() -> None:
    here = world()
    report, rows = await prepared(here)
    assert report.facts["new_dataset"] and report.facts["kept"] == len(rows) > 30
    assert report.records and report.records[0].latest == 1  # type: ignore[union-attr]
    for one in rows:
        assert one.is_generated and one.valid
        assert grounding.is_quoted(one.provenance["quote"], one.item["passage"])
        assert one.provenance["chunk"] and one.provenance["document_name"] == "handbook.md"
        assert one.item["source"].startswith("handbook.md › Northwind Support Handbook")
    assert {one.provenance["type"] for one in rows} == set(rules.KINDS)
    sections = {one.provenance["source"].rpartition(" › ")[2] for one in rows}
    assert {"Returns and refunds", "Deliveries", "Warranty", "Membership"} <= sections
    assert [one.operation for one in report.then] == ["propose_topics_from_documents"]


async def test_a_fact_stands_beside_its_passage_and_the_others_stand_alone() -> None:
    _, rows = await prepared(world())
    for one in rows:
        asked = last_user_message(one)
        assert (one.item["passage"] in asked) is (one.provenance["type"] == "facts")
        assert [message["role"] for message in one.messages] == ["user", "assistant"]
    steps_ = next(one for one in rows if one.provenance["type"] == "procedures")
    assert steps_.reference_answer.startswith("1. Ask the customer for the order number")


async def test_whatever_is_not_in_the_passage_is_rejected_counted_and_shown() -> None:
    wrong: dict[int, Callable[[Json], Json]] = {
        0: lambda one: {**one, "quote": "This sentence stands in no handbook of ours."},
        1: lambda one: {**one, "answer": "Customers may return any product within 90 days of delivery."},
        2: lambda one: {**one, "answer": "Ask Mr Pemberton of the Manchester office about it."},
        3: lambda one: {**one, "passage": 99},
        4: lambda one: {key: value for key, value in one.items() if key != "quote"},
        5: lambda one: {**one, "answer": "As an AI language model, I cannot answer that."},
        6: lambda one: {**one, "question": "Who painted the Mona Lisa in Florence?"},
    }
    report, rows = await prepared(
        world(lambda number, one: wrong.get(number, lambda same: same)(one)), kinds=["concepts"]
    )
    rejected = report.facts["rejected"]
    assert rejected["not_grounded"] == 1 and rejected["unknown_passage"] == 1
    assert rejected["not_supported"] == 2 and rejected["not_about_passage"] == 1
    assert rejected["invalid_structure"] == 1 and rejected["llm_artifact"] == 1
    assert report.facts["generated"] == report.facts["kept"] + sum(rejected.values())
    away = {one["code"]: one for one in report.facts["turned_away"]}
    assert "90" in next(one["why"] for one in report.facts["turned_away"] if "90" in one["why"])
    assert away["not_grounded"]["question"]
    assert not any("Mona Lisa" in json.dumps(one.messages) for one in rows)


async def test_a_second_reading_that_finds_no_support_rejects_the_row() -> None:
    here = world()

    def strict(data: Json) -> Json:
        found = agrees(data)
        found["checks"][0]["supported"] = False
        found["checks"][1]["quote"] = "words that the passage does not have"
        return found

    here.chat.answers["knowledge_check"] = strict
    report, _ = await prepared(here, kinds=["concepts"])
    calls = len(here.chat.asked("knowledge_check"))
    assert report.facts["rejected"]["not_supported"] == 2 * calls
    assert report.facts["unverified"] == 0


async def test_where_the_second_reading_fails_code_has_judged_and_that_is_said() -> None:
    here = world()
    here.chat.answers["knowledge_check"] = lambda data: "I would rather not."
    report, rows = await prepared(here, kinds=["concepts"])
    assert report.facts["unverified"] == len(rows) > 0


async def test_a_batch_without_a_usable_answer_loses_nothing_else() -> None:
    here = world()
    answer = here.chat.answers["knowledge_concepts"]
    spoilt = [0]

    def sometimes(data: Json) -> Any:
        if "Membership" in json.dumps(data):
            spoilt[0] += 1
            return ModelAnswerInvalid("nothing")
        return answer(data)

    here.chat.answers["knowledge_concepts"] = sometimes
    report, rows = await prepared(here, kinds=["concepts", "procedures"])
    assert spoilt[0] == 2  # asked once more
    assert report.facts["rejected"]["no_answer"] > 0 and rows


async def test_a_question_asked_twice_is_kept_once_also_in_the_next_round() -> None:
    def same(number: int, one: Json) -> Json:
        return (
            {**one, "question": "Who helps the customers of Northwind Outdoor?"} if number in (0, 1) else one
        )

    here = world(same)
    report, _ = await prepared(here, kinds=["concepts"])
    assert report.facts["rejected"]["near_duplicate"] == 1
    stored = await here.state.get(TENANT, Workflow, "w1")
    assert stored
    flow = report.change(stored)
    await here.put(*report.records, flow)
    here.chat.answers["knowledge_concepts"] = Reader(same)
    context = here.context(flow, "prepare_knowledge", params={"kinds": ["concepts"]})
    context.task = context.task.__class__(**{**_fields(context.task), "id": "t2"})
    with pytest.raises(StepError, match="near duplicate"):
        await PREPARE_KNOWLEDGE.run(context, {"kinds": ["concepts"]})


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


async def test_questions_with_other_figures_are_other_questions() -> None:
    codes = "# Errors\n\n" + "\n\n".join(
        f"## Error {n}\n\nError {n} means that board {n * 7} of the line has lost power."
        for n in range(101, 131)
    )
    report, rows = await prepared(world(**NO_MODEL), ("codes.md", codes.encode()), kinds=["concepts"])
    assert report.facts["kept"] == len(rows) == 30 and "near_duplicate" not in report.facts["rejected"]


async def test_rows_join_the_dataset_that_is_there_and_are_sorted_into_its_topics() -> None:
    here = world()
    before = here.dataset([row(f"Where is parcel number {n} of mine?", id=f"a{n}") for n in range(5)])
    flow = await here.workflow(before, topics=TOPICS)
    report, rows = await prepared(here, workflow=flow)
    after = report.change(flow)
    assert (after.dataset_id, after.dataset_version) == ("d1", 2)
    assert after.total_rows == 5 + len(rows) and report.facts["new_dataset"] is False
    assert [one.operation for one in report.then] == ["categorize"]
    (round_,) = after.rounds
    assert round_.strategy == "knowledge" and round_.kept == len(rows)


async def test_killed_in_the_middle_nothing_is_asked_or_added_twice() -> None:
    here = world()
    _, flow = await read(here, ("handbook.md", HANDBOOK), ("repair.html", PAGE))
    params = {"kinds": list(rules.KINDS), "method": "model"}
    context = here.context(flow, "prepare_knowledge", params=params)
    context.die_after = 2
    with pytest.raises(Killed):
        await PREPARE_KNOWLEDGE.run(context, params)
    again = here.context(flow, "prepare_knowledge", params=params, done=context.done)
    report = await PREPARE_KNOWLEDGE.run(again, params)
    once = world()
    whole, _ = await prepared(once, ("handbook.md", HANDBOOK), ("repair.html", PAGE))
    assert report.facts["by_type"] == whole.facts["by_type"]
    assert report.facts["dataset_version"] == 1


async def test_stopped_in_the_middle_what_was_made_is_kept() -> None:
    long = "\n\n".join(
        f"# Part {n}\n\nThe {w} valve of part {n} is a brass piece that lets {w} water into the tank. "
        + "It is plain. " * 60
        for n, w in enumerate(
            ["amber", "cobalt", "crimson", "ivory", "olive", "violet", "teal", "ochre"] * 12
        )
    )
    here = world()
    _, flow = await read(here, ("parts.md", long.encode()))
    params = {"kinds": ["concepts"], "method": "model"}
    context = here.context(flow, "prepare_knowledge", params=params)
    context.stop_after = 9
    report = await PREPARE_KNOWLEDGE.run(context, params)
    assert report.partial and 0 < report.facts["kept"] < 8 * 96


async def test_a_model_is_never_asked_where_the_proposal_promised_none() -> None:
    here = world()
    report, rows = await prepared(here, method="extraction")
    assert here.chat.requests == [] and report.cost_usd == 0
    assert all(one.provenance["model"] == "none" for one in rows)


# ---------------------------------------------------------------- without a model


async def test_without_a_model_definitions_steps_and_figures_become_rows() -> None:
    report, rows = await prepared(world(**NO_MODEL))
    asked = {rules.question_of(one.provenance["type"], last_user_message(one)): one for one in rows}
    assert asked["What is the return window?"].reference_answer.startswith("The return window is the time")
    assert asked["How do I start a return?"].reference_answer.count("\n") == 4
    assert "24 months" in asked["What does the passage say about the warranty?"].reference_answer
    assert report.facts["rejected"] == {}
    for one in rows:
        assert grounding.is_quoted(one.provenance["quote"], one.item["passage"])


async def test_a_document_without_anything_of_the_kind_is_refused_in_words() -> None:
    here = world(**NO_MODEL)
    _, flow = await read(
        here, ("poem.txt", b"so much depends upon\n\na red wheel barrow\n\nglazed with rain")
    )
    with pytest.raises(StepError, match="nothing in these documents"):
        await PROPOSE_KNOWLEDGE.run(here.context(flow, "propose_knowledge"), {})


# ---------------------------------------------------------------- topics


async def test_topics_are_the_headings_where_no_model_may_be_asked() -> None:
    here = world(**NO_MODEL)
    _, flow = await read(here, ("handbook.md", HANDBOOK))
    report = await PROPOSE_TOPICS_FROM_DOCUMENTS.run(here.context(flow, "propose_topics_from_documents"), {})
    (draft,) = report.drafts
    assert draft.kind == "topics" and draft.payload["method"] == "documents"
    names = [one["name"] for one in draft.payload["hierarchy"]]
    assert names == ["Returns and refunds", "Deliveries", "Warranty", "Membership", "Tone"]
    returns = draft.payload["hierarchy"][0]
    assert [one["name"] for one in returns["children"]][:2] == ["The return window", "Refunds"]
    assert "refund" in " ".join(returns["children"][1]["keywords"])


async def test_topics_are_named_by_the_model_with_the_goal_in_view() -> None:
    here = world()
    here.chat.answers["topic_hierarchy"] = lambda data: {
        "topics": [
            {
                "path": ["Service", one["terms"][0]],
                "description": "x",
                "keywords": [],
                "clusters": [one["cluster"]],
            }
            for one in data["clusters"]
        ]
    }
    _, flow = await read(here, ("handbook.md", HANDBOOK))
    report = await PROPOSE_TOPICS_FROM_DOCUMENTS.run(here.context(flow, "propose_topics_from_documents"), {})
    (asked,) = here.chat.asked("topic_hierarchy")
    assert asked["goal"] == flow.goal and len(asked["clusters"]) == report.facts["topic_count"]


async def test_a_wide_document_gives_a_tree_that_can_be_chosen_from() -> None:
    wide = "# All\n\n" + "\n\n".join(
        f"## Chapter {n}\n\n"
        + "\n\n".join(f"### Part {n}.{m}\n\nWords about {n} and {m}." for m in range(20))
        for n in range(30)
    )
    here = world(**NO_MODEL)
    _, flow = await read(here, ("wide.md", wide.encode()))
    report = await PROPOSE_TOPICS_FROM_DOCUMENTS.run(here.context(flow, "propose_topics_from_documents"), {})
    assert 2 <= report.facts["topic_count"] <= 12
    assert leaves


async def test_documents_without_headings_offer_the_rows_instead() -> None:
    here = world(**NO_MODEL)
    _, flow = await read(here, ("a.txt", b"Only a paragraph of words about one thing."))
    with pytest.raises(StepError, match="no headings"):
        await PROPOSE_TOPICS_FROM_DOCUMENTS.run(here.context(flow, "propose_topics_from_documents"), {})
