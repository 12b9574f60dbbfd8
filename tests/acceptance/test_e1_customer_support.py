"""E1: "Customer Support Data", from the file to the deployed model, with every number of the conversation."""

from __future__ import annotations

from statistics import fmean

import pytest

from storage.records import STEP_NAMES, Json
from tests.acceptance.data import Sheet, TopicPlan, sheet, teach
from tests.acceptance.house import COLLEAGUE, OWNER, House
from tests.acceptance.model import results, told, use

pytestmark = pytest.mark.anyio

GOAL = "Answers to customers that are helpful and on brand"
FOUND = (
    TopicPlan(("Billing", "Refunds"), ("refund", "chargeback"), "reimbursement", 110),
    TopicPlan(("Billing", "Invoices"), ("invoice", "receipt"), "statement", 90),
    TopicPlan(("Technical", "Login"), ("password", "login"), "credentials", 100),
    TopicPlan(("Technical", "Crashes"), ("crash", "freeze"), "malfunction", 84),
    TopicPlan(("General", "Product questions"), ("feature", "pricing"), "capabilities", 60),
    TopicPlan(("General", "Feedback"), ("suggestion", "praise"), "compliment", 30),
)
COMPLAINTS = TopicPlan(("General", "Complaints"), ("complaint", "outrage"), "unacceptable", 13)
PLANS = (*FOUND, COMPLAINTS)
FIRST = {"Helpful": 40, "Accurate": 25, "On brand": 20, "Concise": 15}
SECOND = {"Helpful": 35, "Accurate": 25, "On brand": 15, "Concise": 15, "No promises we cannot keep": 10}
TUNED = {"Helpful": 0.7, "Accurate": 0.7, "On brand": 0.6, "Concise": 0.6, "No promises we cannot keep": 0.8}
DRY_RUN = [0.0, 1.0, *[0.46, 0.56] * 22, 0.0, 0.0, 1.0, 1.0, 1.0]  # 51: 3 nothing, 4 perfect, mean 0.52, std 0.19


def support_data() -> Sheet:
    return sheet(PLANS, unsure=64, sure=41, invalid=13)


def criteria(data: Json) -> Json:
    """The model's part of "40 % helpful …" and of "add something about promises"."""
    weights = SECOND if data["current"] else FIRST
    listed = [{"name": name, "description": f"It is {name}.", "weight": weight} for name, weight in weights.items()]
    return {"criteria": listed, "summary": "as asked"}


def complaints(data: Json) -> Json:
    """Ten rows a call; the first of each call is the example it was shown, all but one word."""
    number = data["round"] % 1000
    rows = [
        {"seed": place % 3, "persona": "someone upset", "text": f"This is complaint {number}-{place}: {_upset(number * 10 + place)}"}
        for place in range(data["count"])
    ]
    near = data["examples"][0]["text"].replace("?", "!!")
    return {"rows": [{"seed": 0, "persona": "someone upset", "text": f"{near} x"}, *rows[1:]]}


def _upset(number: int) -> str:
    things = "lamp chair shoe phone clock radio spoon plate glove scarf bottle tablet mirror wallet camera".split()
    ends = "arrived in pieces|never came at all|was the wrong one again|broke after a single day".split("|")
    return f"my {things[number % 15]} {ends[number % 4]}, nobody answers since {number + 3} days, case {number * 7919}"


def topic_changes(data: Json) -> Json:
    parent = next(topic["id"] for topic in data["topics"] if topic["name"] == "General")
    change = {"op": "add", "topic": "", "name": "Complaints", "parent": parent, "into": ""}
    return {"operations": [change], "summary": "added Complaints under General"}


@pytest.fixture
async def house() -> House:
    house, data = House(), support_data()
    teach(house, PLANS, data, named=FOUND)
    house.model.structured |= {
        "topic_changes": topic_changes,
        "synthetic_rows": complaints,
        "grader_criteria": criteria,
    }
    house.model.answers["ft:base:support"] = house.scores.better
    house.scores.tuned = TUNED
    house.model.script.append(use("start_finetune_workflow", training_goals=GOAL, dataset_name="Customer Support Data"))
    await house.upload(data.rows, name="support.jsonl", text=f"We want to fine-tune on this. Goal: {GOAL}")
    return house


async def categorised(house: House) -> None:
    await house.say("add a Complaints category under General", use("adjust_topics", instruction="add Complaints under General"))
    await house.say("yes, let's do it")


async def generated(house: House) -> None:
    asked = use("generate_synthetic_data", target_topics=["general/complaints"], count_per_topic=30, strategy="few_shot")
    await house.say("generate maybe 30 more complaint examples", asked)
    await house.click("Approve")


async def graded(house: House) -> None:
    first = "Judge by 40 % helpful, 25 % accurate, 20 % on brand, 15 % concise"
    await house.say(first, use("configure_grader", instruction=first))
    more = "add something about not making promises we can't keep"
    await house.say(more, use("configure_grader", instruction=more))


async def dry_run_done(house: House) -> None:
    await house.click("Approve")
    house.scores.deal(DRY_RUN)
    await house.say("ok, upload it and do the dry run", use("upload_dataset", then_dry_run=True))


async def trained(house: House) -> None:
    await house.say("start training", use("start_training"))
    await house.say("approve")
    house.scores.deal(DRY_RUN)
    curve = ({"step": 10, "valid_reward": 0.52}, {"step": 20, "valid_reward": 0.60}, {"step": 30, "valid_reward": 0.67})
    await house.poll(status="running", progress=0.5, metrics=curve[:2])
    await house.poll(status="completed", progress=1.0, metrics=curve, model="ft:base:support")


# ---------------------------------------------------------------- the file


async def test_overview_and_topics_come_unasked_with_every_rejected_line_named(house: House) -> None:
    hygiene = house.last("overview")["hygiene"]
    lines = support_data().invalid_lines
    assert (hygiene["total"], hygiene["valid"], hygiene["rejected"]) == (500, 487, 13)
    assert hygiene["counts"] == {"no_user_message": 13}
    assert hygiene["first_lines"] == {"no_user_message": lines[:5]}
    assert hygiene["mend"]["no_user_message"]
    listed = await house.call("get_dataset_records", {"limit": 20, "filter": {"valid": False}})
    assert [row["line"] for row in listed["rows"]] == lines
    assert len(lines) == 13
    workflow = await house.workflow()
    assert (workflow.name, workflow.goal) == ("Customer Support Data", GOAL)
    assert [one.kind for one in await house.proposals()] == ["topics"]
    seen = "\n".join(message.words for message in house.slack.messages)
    assert "487 of 500 rows valid" in seen
    assert all(str(line) in seen for line in lines[:5])
    assert "Product questions" in seen


async def test_the_file_is_acknowledged_and_never_downloaded_by_a_model(house: House) -> None:
    methods = [method for method, _ in house.slack.calls[:3]]
    assert "reactions.add" in methods
    assert [one.schema.name for one in house.model.work if one.schema] == ["topic_hierarchy"]


# ---------------------------------------------------------------- topics


async def test_a_category_added_in_words_is_a_new_proposal_that_words_approve(house: House) -> None:
    (first,) = await house.proposals()
    await house.say("add a Complaints category under General", use("adjust_topics", instruction="add Complaints"))
    (second,) = await house.proposals()
    assert second.id != first.id
    assert second.payload["changes"] == ["added Complaints under General"]
    assert "general/complaints" in str(second.payload["hierarchy"])
    said = await house.say("yes, let's do it")
    workflow = await house.workflow()
    evidence = [line.evidence for line in workflow.history if line.what.startswith("approved:")]
    assert evidence == [said]
    assert workflow.steps["topics_config"].status == "completed"
    assert workflow.steps["categorize"].status == "completed"  # categorisation and coverage run without asking again
    assert any("proposal_approved" in text for text in told(house.model.turns[-1]))


async def test_sixty_four_rows_fall_under_the_threshold_and_are_offered_for_review(house: House) -> None:
    await categorised(house)
    facts = house.last("categorised")
    assert (facts["assigned_count"], facts["low_confidence_count"], facts["uncategorized_count"]) == (487, 64, 0)
    assert facts["rows_by_stage"] == {"keyword": 191, "embedding": 191, "llm": 105, "uncategorised": 0}
    assert await house.counts() == {plan.id: plan.count for plan in PLANS}
    await house.click("Review 64 rows")
    page = house.slack.messages[-1]
    assert page.to == OWNER
    assert len([one for one in page.buttons if one["action_id"].startswith("review.pick:")]) == 8
    coverage = house.last("coverage")
    line = next(one for one in coverage["distribution"] if one["topic"] == "general/complaints")
    assert (line["count"], line["status"]) == (13, "under")
    assert "general/complaints" in coverage["under_represented"]


# ---------------------------------------------------------------- generation


async def test_thirty_asked_twenty_seven_kept_complaints_grow_from_thirteen_to_forty(house: House) -> None:
    await categorised(house)
    await generated(house)
    facts = house.last("generated")
    assert (facts["asked"], facts["generated"], facts["kept"]) == (30, 30, 27)
    assert facts["rejected"] == {"near_duplicate": 3}
    assert facts["by_topic"] == {"general/complaints": 27}
    assert facts["balance_after"] > facts["balance_before"]
    assert (await house.counts())["general/complaints"] == 40
    workflow = await house.workflow()
    assert workflow.valid_rows == 514
    made = [row for row in await house.rows() if row.is_generated]
    assert len(made) == 27
    assert all(row.provenance["seed"] and row.provenance["persona"] and row.provenance["model"] for row in made)


async def test_what_costs_waits_for_the_owner_whatever_the_words_were(house: House) -> None:
    await categorised(house)
    asked = use("generate_synthetic_data", target_topics=["general/complaints"], count_per_topic=30)
    await house.say("generate maybe 30 more complaint examples", asked)
    proposal = await house.proposal("generation")
    assert proposal.ceiling_usd > 0
    assert proposal.payload["preview_offered"]  # over twenty
    await house.say("go ahead", user=COLLEAGUE)
    assert await house.tasks("generate") == []
    await house.say("go ahead")
    assert [task.by for task in await house.tasks("generate")] == [OWNER]


# ---------------------------------------------------------------- grader


async def test_criteria_are_weighted_as_said_and_changed_by_a_sentence(house: House) -> None:
    await categorised(house)
    await graded(house)
    (proposal,) = await house.proposals()
    listed = {one["name"]: round(100 * one["weight"]) for one in proposal.payload["config"]["criteria"]}
    assert listed == SECOND
    assert house.model.asked("grader_criteria")[1]["current"][0] == {
        "name": "Helpful",
        "description": "It is Helpful.",
        "weight": 0.4,
    }
    assert proposal.payload["diff"]
    house.scores.deal([0.2, 0.4, 0.5, 0.6, 0.8])
    await house.say("test it on 5", use("test_grader_sample", sample_size=5))
    test = house.last("grader_test")
    assert (test["n"], test["mean"], test["errors"]) == (5, 0.5, 0)
    assert len(test["samples"]) == 5
    assert test["weaknesses"] == []
    await house.click("Approve")
    workflow = await house.workflow()
    assert workflow.grader_version == 1
    assert workflow.steps["coverage_generation"].status != "pending"


# ---------------------------------------------------------------- dry run, training, deployment


async def to_dry_run(house: House) -> None:
    await categorised(house)
    await generated(house)
    await graded(house)
    await dry_run_done(house)


async def test_the_dry_run_says_go_with_its_numbers(house: House) -> None:
    await to_dry_run(house)
    uploaded = house.last("uploaded")
    assert (uploaded["record_count"], uploaded["train_count"], uploaded["validation_count"]) == (514, 463, 51)
    assert uploaded["has_evaluator"] and uploaded["has_topic_hierarchy"]
    facts = house.last("dry_run")
    stats = facts["statistics"]
    assert facts["verdict"] == "GO", facts["findings"]
    assert stats["n"] == 51
    assert (round(stats["mean"], 2), round(stats["std"], 2)) == (0.52, 0.19)
    assert (round(100 * stats["above_zero"]), round(100 * stats["perfect"])) == (94, 8)
    assert facts["next"] == "train"
    assert {topic["topic"] for topic in facts["by_topic"]} == {plan.id for plan in PLANS}


async def test_training_reports_before_and_after_overall_and_by_criterion(house: House) -> None:
    await to_dry_run(house)
    await house.say("start training", use("start_training"))
    proposal = await house.proposal("training")
    assert proposal.payload["rows"] == {"train": 463, "validation": 51}
    assert proposal.ceiling_usd > 0
    await house.click("Reject")
    await trained(house)
    (request,) = house.trainer.requests.values()
    sent = {name: data.count(b"\n") + 1 for name, data in house.trainer.files.items()}
    assert sorted(count for count in sent.values()) == [51, 463] or sorted(set(sent.values()))[-1] in (463, 464)
    assert request.suffix == "Customer Support Data"
    report = house.last("training_done")
    before, after = round(fmean(DRY_RUN), 4), sum(SECOND[name] / 100 * score for name, score in TUNED.items())
    assert (report["count"], report["before"], report["after"]) == (51, before, round(after, 4))
    assert report["significant"] and report["success"]
    assert {one["name"]: one["after"] for one in report["by_criterion"]} == TUNED
    assert {one["before"] for one in report["by_criterion"]} == {before}
    assert report["pattern"] == "improving"
    assert f"<@{OWNER}>" in "\n".join(message.words for message in house.slack.messages[-3:])


async def test_it_ends_deployed_and_every_step_says_who_and_when(house: House) -> None:
    await to_dry_run(house)
    await trained(house)
    await house.say("deploy it", use("deploy_model"))
    await house.click("Approve")
    deployed = house.last("deployed")
    assert deployed["model_id"] == "ft:base:support"
    assert deployed["endpoint"] == "http://model.test/v1/chat/completions"
    workflow = await house.workflow()
    assert workflow.status == "completed"
    assert [workflow.steps[step].status for step in STEP_NAMES] == ["completed"] * 7
    assert all(workflow.steps[step].by == OWNER and workflow.steps[step].finished_at for step in STEP_NAMES)
    assert all(line.by and line.at for line in workflow.history)
    await house.say("try it: where is my refund?", use("try_model", prompt="Where is my refund?"))
    tried = house.last("tried")
    assert (tried["base"]["model"], tried["tuned"]["model"]) == ("base-1", "ft:base:support")


async def test_refusals_do_not_leave_a_tool_without_an_answer(house: House) -> None:
    """Every tool call of the conversation came back with a result that says ok or why not."""
    await to_dry_run(house)
    found = [result for request in house.model.turns for result in results(request)]
    assert found
    assert all(result["ok"] or result["error"] for result in found)
