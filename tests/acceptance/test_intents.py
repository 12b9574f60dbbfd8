"""C1–C3: what people change, ask and take back while something runs: nothing torn, nothing doubled, the last word counts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from storage.records import Grader, Json
from tests.acceptance import stages
from tests.acceptance.house import FREE, OWNER, House, until_seen
from tests.acceptance.model import BASE, results, told, use

pytestmark = pytest.mark.anyio


def once(
    answer: Callable[..., Any], meanwhile: Callable[[], Awaitable[None]], *, at: int = 3
) -> Callable[..., Any]:
    """The same answers, while at the call of that number something else happens first."""
    calls = 0

    async def wrapped(asked: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            await meanwhile()
        return answer(asked)

    return wrapped


# ---------------------------------------------------------------- C1


async def test_a_dry_run_keeps_the_grader_it_began_with_and_the_next_takes_the_new_one() -> None:
    house = await stages.graded()

    async def another_grader() -> None:
        await house.hear("be strict about format", use("configure_grader", preset="format_compliance"))
        await house.press("proposal.approve", (await house.proposal("grader")).id)

    house.model.answers[BASE] = once(house.scores.base, another_grader)
    facts = await stages.dry_run(house, stages.HEALTHY)
    assert facts["grader_version"] == 1
    criteria = {one["criterion"]["name"] for one in house.model.asked("judgement")}
    assert criteria == {"Quality"}
    workflow = await house.workflow()
    assert workflow.grader_version == 2
    missing = await house.call("start_training", key="k1")
    assert "dry_run" in [one["code"] for one in missing["missing"]]  # the verdict was about the other grader
    second = await stages.dry_run(house, stages.HEALTHY)
    assert second["grader_version"] == 2
    numbers = [(await house.state.get(house.tenant, Grader, f"{workflow.id}.{n}")).kind for n in (1, 2)]  # type: ignore[union-attr]
    assert numbers == ["llm_as_judge", "llm_as_judge"]


async def test_rows_edited_while_they_are_sorted_keep_the_edit_and_their_neighbours_the_topics() -> None:
    house = await stages.uploaded(unsure=30)
    edited = "Please refund the invoice that I never ordered at all"
    chosen: list[str] = []

    async def edit() -> None:
        row = (await house.rows())[-1]
        chosen.append(row.id)
        messages = [{"role": "user", "content": edited}]
        done = await house.call(
            "update_record", {"record_id": row.id, "updates": {"messages": messages}}, key="edit"
        )
        assert done["ok"]

    house.model.structured["topic_labels"] = once(house.model.structured["topic_labels"], edit, at=1)
    await house.approve()
    rows = await house.rows()
    assert len({row.id for row in rows}) == len(rows) == 60
    texts = {row.id: row.input.messages[-1]["content"] for row in rows}
    assert texts[chosen[0]] == edited
    assert all(row.topic for row in rows)
    assert (await house.workflow()).valid_rows == 60


async def test_topics_renamed_while_rows_are_generated_leave_no_row_behind() -> None:
    house = await stages.in_coverage()
    house.model.structured["topic_changes"] = lambda data: {
        "operations": [{"op": "rename", "topic": "shipping", "name": "Parcels", "parent": "", "into": ""}],
        "summary": "",
    }

    async def rename() -> None:
        words = "call Shipping Parcels"
        await house.hear(words, use("adjust_topics", instruction=words))
        person = await house.hands.people.whois(OWNER)
        proposal = await house.proposal("topics")
        assert (
            await house.desk.decide(house.tenant, proposal.id, person, approve=True, evidence="1")
        ).accepted

    asked = use("generate_synthetic_data", target_topics=["Shipping"], count_per_topic=20)
    house.model.structured["synthetic_rows"] = once(stages.fresh, rename, at=1)
    house.model.structured["topic_labels"] = lambda data: {
        "labels": [{"row": row["row"], "topic": "parcels", "confidence": 0.9} for row in data["rows"]]
    }
    await house.say("20 more of shipping", asked)
    await house.approve()
    assert house.last("generated")["kept"] == 20
    workflow = await house.workflow()
    assert [topic.id for topic in workflow.topics] == ["billing", "login", "parcels"]
    counts = {topic: rows for topic, rows in (await house.counts()).items() if rows}
    assert set(counts) <= {"billing", "login", "parcels"}, counts
    assert sum(counts.values()) == 80 == workflow.valid_rows


# ---------------------------------------------------------------- C2


async def test_is_it_done_five_times_is_one_job_and_an_honest_answer_each_time() -> None:
    house = await stages.graded()
    answers: list[Json] = []

    async def ask_five_times() -> None:
        for _ in range(5):
            await house.hear("is it done?", use("get_workflow_status"))
            answers.append(results(house.model.turns[-1])[-1])

    house.model.answers[BASE] = once(house.scores.base, ask_five_times, at=20)
    await stages.dry_run(house, stages.HEALTHY)
    assert len(await house.tasks("dry_run")) == 1
    assert len(answers) == 5
    for answer in answers:
        (job,) = answer["jobs"]
        assert (job["operation"], job["status"]) == ("dry_run", "running")
        assert answer["workflow"]["step"] == "dry_run"
    assert len(house.of("status")) == 5
    assert len(house.of("dry_run")) == 1


async def test_asking_to_run_it_again_while_it_runs_starts_no_second_one() -> None:
    house = await stages.graded()
    answers: list[Json] = []

    async def again() -> None:
        await house.hear("run the dry run", use("run_dry_run"))
        answers.append(results(house.model.turns[-1])[-1])

    house.model.answers[BASE] = once(house.scores.base, again, at=20)
    await stages.dry_run(house, stages.HEALTHY)
    assert [answer["status"] for answer in answers] == ["already_running"]
    assert len(await house.tasks("dry_run")) == 1


async def test_three_messages_before_the_first_answer_are_one_turn_that_reads_them_all() -> None:
    house = await stages.in_coverage()
    turns, prose = len(house.model.turns), len(house.prose)
    for text in (
        "how many rows are there?",
        "and which topic is smallest?",
        "sorry, also: what does balance mean?",
    ):
        await house.send(text)
    house.model.script.append("Sixty; Shipping; how even the topics are.")
    await house.settle()
    assert len(house.model.turns) == turns + 1
    assert [text.partition(": ")[2] for text in told(house.model.turns[-1])[-3:]] == [
        "how many rows are there?",
        "and which topic is smallest?",
        "sorry, also: what does balance mean?",
    ]
    assert len(house.prose) == prose + 1


async def test_what_comes_while_the_model_thinks_joins_the_turn() -> None:
    house = await stages.in_coverage()
    prose = len(house.prose)

    async def interrupted(request: object) -> str:
        await house.send("no wait, tell me about Login instead")
        return "Billing has 30 rows."

    await house.say("how many rows has Billing?", interrupted, "Login has 20.")
    assert house.prose[prose:] == ["Login has 20."]
    assert "Login instead" in told(house.model.turns[-1])[-1]


async def test_generate_a_hundred_then_no_delete_all_starts_nothing_even_when_it_is_free() -> None:
    """A confused model does both; the words that ordered the first were taken back."""
    house = House(prices=FREE)
    await stages.in_coverage(house)
    await house.send("generate 100")
    await house.send("no, delete all")
    asked = use("generate_synthetic_data", target_topics=["Shipping"], count_per_topic=100)
    house.model.script.extend([asked, use("delete_workflow"), "Deleting needs your word."])
    await house.settle()
    assert await house.tasks("generate") == []
    assert sorted(one.kind for one in await house.proposals()) == ["delete", "generation"]
    await house.say("yes")  # two cards are open: words alone cannot tell which
    assert (await house.workflow()).status == "active"
    assert any(
        event["action"] == "proposal.approve"
        for data in house.of("notice")
        for event in data.get("buttons", [])
    )
    generation, delete = await house.proposal("generation"), await house.proposal("delete")
    await house.press("proposal.approve", delete.id)
    await house.press("proposal.approve", generation.id)
    assert house.of("generated") == []
    assert await house.desk.workflow_of_thread(house.tenant, generation.channel, generation.thread_ts) is None


async def test_generate_a_hundred_alone_and_free_is_an_order_that_starts_at_once() -> None:
    house = House(prices=FREE)
    await stages.in_coverage(house)
    asked = use("generate_synthetic_data", target_topics=["Shipping"], count_per_topic=100)
    said = await house.say("generate 100 examples for Shipping", asked)
    assert house.last("generated")["kept"] == 100
    (decision,) = [
        line for line in (await house.workflow()).history if line.what.startswith("approved: Generate")
    ]
    assert decision.evidence == said


async def test_deleted_while_it_generates_nothing_of_it_is_written() -> None:
    house = await stages.in_coverage()

    async def delete() -> None:
        await house.hear("no, delete all", use("delete_workflow"))
        delete = await house.proposal("delete")
        person = await house.hands.people.whois(OWNER)
        await house.desk.decide(house.tenant, delete.id, person, approve=True, evidence="1")

    before = await house.manifest()
    house.model.structured["synthetic_rows"] = once(stages.fresh, delete)
    asked = use("generate_synthetic_data", target_topics=["Shipping"], count_per_topic=100)
    await house.say("generate 100", asked)
    await house.approve()
    assert house.of("generated") == []
    assert before.totals.valid == 60


# ---------------------------------------------------------------- C3


async def cancelled_in_the_middle() -> House:
    """Thirty calls of ten rows; twenty are made or under way when a person stops it, and those are waited for."""
    house = await stages.in_coverage()
    calls = 0

    async def write(data: Json) -> Json:
        nonlocal calls
        calls += 1
        if calls == 5:
            (task,) = [task for task in await house.tasks("generate") if task.status == "running"]
            await house.press("task.cancel", task.id)
        if calls >= 5:
            await until_seen(house.beat)
        return stages.fresh(data)

    house.model.structured["synthetic_rows"] = write
    asked = use("generate_synthetic_data", target_topics=["Shipping"], count_per_topic=300)
    await house.say("300 more of shipping", asked)
    await house.approve()
    return house


async def test_what_was_made_before_a_stop_is_kept_and_counted_exactly() -> None:
    house = await cancelled_in_the_middle()
    facts = house.last("generated")
    assert facts["partial"] and facts["asked"] == 300
    assert facts["kept"] == 200
    rows = [row for row in await house.rows() if row.is_generated]
    assert len(rows) == facts["kept"] == facts["generated"] - sum(facts["rejected"].values())
    assert (await house.counts())["shipping"] == 10 + facts["kept"]
    (round,) = (await house.workflow()).rounds
    assert (round.asked, round.kept) == (300, facts["kept"])
    (task,) = await house.tasks("generate")
    assert task.status == "cancelled"
    assert any(f"{facts['kept']} examples added" in one.words for one in house.slack.messages)


async def test_a_new_start_makes_only_what_is_missing() -> None:
    """The event tells the model what was asked for and what was kept; the rest is what it proposes."""
    house = await cancelled_in_the_middle()
    told_last = [json.loads(text) for text in told(house.model.turns[-1]) if text.startswith("{")]
    facts = next(one for one in reversed(told_last) if one.get("operation") == "generate")
    assert facts["partial"]
    missing = facts["asked"] - facts["kept"]
    house.model.structured["synthetic_rows"] = stages.fresh
    await house.say(
        "go on with it", use("generate_synthetic_data", target_topics=["Shipping"], count_per_topic=missing)
    )
    await house.approve()
    assert house.last("generated")["kept"] == missing
    assert (await house.counts())["shipping"] == 310
    ids = [row.id for row in await house.rows()]
    assert len(set(ids)) == len(ids) == 360
