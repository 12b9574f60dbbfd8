"""E1: "Customer Support Data", from the file to the deployed model, with every number of the conversation.

The conversation is played once; each test asks one thing of what was seen on the way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from statistics import fmean

import pytest

from storage.records import STEP_NAMES, Json, Proposal, Workflow
from tests.acceptance.data import Sheet, TopicPlan, sheet, teach
from tests.acceptance.house import COLLEAGUE, OWNER, House
from tests.acceptance.model import results, told, use

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
SCORES = [0.46, 0.56] * 22 + [0.0] * 3 + [1.0] * 4
# 51 scores: mean 0.52, std 0.19, 48 above 0, 4 perfect; dealt so that no topic gets the zeros alone
DEALT = [SCORES[(place * 20) % 51] for place in range(51)]
CURVE = tuple({"step": step, "valid_reward": reward} for step, reward in ((10, 0.52), (20, 0.60), (30, 0.67)))
MODEL = "ft:base-1:support"


@dataclass(slots=True)
class Story:
    """The conversation as it was played: the house at its end, and what stood at each stop."""

    house: House
    data: Sheet
    workflows: dict[str, Workflow]
    proposals: dict[str, tuple[Proposal, ...]]
    counts: dict[str, dict[str, int]]
    said: dict[str, str]
    tasks: dict[str, int]

    async def stop(self, name: str) -> None:
        self.workflows[name] = await self.house.workflow()
        self.proposals[name] = await self.house.proposals()
        self.tasks[name] = len(await self.house.tasks())
        if self.workflows[name].topics:
            self.counts[name] = await self.house.counts()


@pytest.fixture(scope="module")
def story() -> Story:
    return asyncio.run(tell())


async def tell() -> Story:
    data = sheet(PLANS, unsure=64, sure=41, invalid=13)
    house = House()
    teach(house, PLANS, data, named=FOUND)
    house.model.structured |= {
        "topic_changes": add_complaints,
        "synthetic_rows": complaints,
        "grader_criteria": criteria,
    }
    house.model.answers[MODEL] = house.scores.better
    house.scores.tuned = TUNED
    told = Story(house, data, {}, {}, {}, {}, {})
    await topics(told)
    await generation(told)
    await grader(told)
    await training(told)
    return told


async def topics(story: Story) -> None:
    house = story.house
    begin = use("start_finetune_workflow", training_goals=GOAL, dataset_name="Customer Support Data")
    house.model.script.append(begin)
    await house.upload(
        story.data.rows, name="support.jsonl", text=f"We want to fine-tune on this. Goal: {GOAL}"
    )
    await story.stop("uploaded")
    words = "add a Complaints category under General"
    await house.say(words, use("adjust_topics", instruction=words))
    await story.stop("changed")
    story.said["yes"] = await house.say("yes, let's do it")
    await story.stop("sorted")
    await house.click("Review 64 rows")


async def generation(story: Story) -> None:
    house = story.house
    asked = use(
        "generate_synthetic_data",
        target_topics=["general/complaints"],
        count_per_topic=30,
        strategy="few_shot",
    )
    await house.say("generate maybe 30 more complaint examples", asked)
    await story.stop("offered")
    await house.say("go ahead", user=COLLEAGUE)
    await story.stop("not the owner")
    story.said["go ahead"] = await house.say("go ahead")
    await story.stop("generated")


async def grader(story: Story) -> None:
    house = story.house
    words = "Judge by 40 % helpful, 25 % accurate, 20 % on brand, 15 % concise"
    await house.say(words, use("configure_grader", instruction=words))
    await story.stop("first criteria")
    words = "add something about not making promises we can't keep"
    await house.say(words, use("configure_grader", instruction=words))
    await story.stop("second criteria")
    house.scores.deal([0.2, 0.4, 0.5, 0.6, 0.8])
    await house.say("test it on 5", use("test_grader_sample", sample_size=5))
    await house.approve()
    await story.stop("graded")


async def training(story: Story) -> None:
    house = story.house
    house.scores.deal(DEALT)
    await house.say("ok, upload it and do the dry run", use("upload_dataset", then_dry_run=True))
    await story.stop("dry run")
    await house.say("start training", use("start_training"))
    await story.stop("training offered")
    story.said["approve"] = await house.say("approve")
    house.scores.deal(DEALT)
    await house.poll(status="running", progress=0.5, metrics=CURVE[:2])
    await house.poll(status="completed", progress=1.0, metrics=CURVE, model=MODEL)
    await story.stop("trained")
    await house.say("deploy it", use("deploy_model"))
    await story.stop("deployment offered")
    await house.approve()
    await story.stop("deployed")
    await house.say("try it: where is my refund?", use("try_model", prompt="Where is my refund?"))


def add_complaints(data: Json) -> Json:
    parent = next(topic["id"] for topic in data["topics"] if topic["name"] == "General")
    change = {"op": "add", "topic": "", "name": "Complaints", "parent": parent, "into": ""}
    return {"operations": [change], "summary": "added Complaints under General"}


def complaints(data: Json) -> Json:
    """As many as were asked for; the first repeats an example, all but its punctuation and a letter."""
    start = 10 * (data["round"] % 1000)
    rows = [
        {"seed": place % 3, "persona": "someone upset", "text": _upset(start + place)}
        for place in range(data["count"])
    ]
    again = data["examples"][0]["text"].replace("?", "!!") + " x"
    return {"rows": [{"seed": 0, "persona": "someone upset", "text": again}, *rows[1:]]}


def _upset(number: int) -> str:
    things = [
        "lamp",
        "chair",
        "shoe",
        "phone",
        "clock",
        "radio",
        "spoon",
        "plate",
        "glove",
        "scarf",
        "bottle",
        "tablet",
        "mirror",
        "wallet",
        "camera",
    ]
    ends = ("arrived in pieces", "never came at all", "was the wrong one again", "broke after a single day")
    shop = (
        "and nobody answers",
        "which ruined a birthday",
        "so I want my money",
        "as your chat keeps promising",
    )
    return f"My {things[number % 15]} {ends[number % 4]}, {shop[number % 3]}, {number + 3} days, case {number * 7919}"


def criteria(data: Json) -> Json:
    weights = SECOND if data["current"] else FIRST
    listed = [
        {"name": name, "description": f"Is it {name}?", "weight": weight} for name, weight in weights.items()
    ]
    return {"criteria": listed, "summary": "as asked"}


# ---------------------------------------------------------------- the file


def test_overview_and_a_topic_tree_come_unasked_with_the_rejected_lines_named(story: Story) -> None:
    hygiene, lines = story.house.of("overview")[0]["hygiene"], story.data.invalid_lines
    assert (hygiene["total"], hygiene["valid"], hygiene["rejected"], len(lines)) == (500, 487, 13, 13)
    assert hygiene["counts"] == {"no_user_message": 13}
    assert hygiene["first_lines"] == {"no_user_message": lines[:5]}
    assert hygiene["mend"]["no_user_message"]
    begun = story.workflows["uploaded"]
    assert (begun.name, begun.goal) == ("Customer Support Data", GOAL)
    assert [one.kind for one in story.proposals["uploaded"]] == ["topics"]
    card = next(one.words for one in story.house.slack.messages if "487 of 500 rows valid" in one.words)
    assert ", ".join(str(line) for line in lines[:5]) in card


def test_all_thirteen_invalid_rows_can_be_listed_by_line(story: Story) -> None:
    listed = asyncio.run(story.house.call("get_dataset_records", {"limit": 20, "filter": {"valid": False}}))
    assert [row["line"] for row in listed["rows"]] == story.data.invalid_lines
    assert {row["error"] for row in listed["rows"]} == {"no_user_message"}


# ---------------------------------------------------------------- topics


def test_a_category_added_in_words_is_a_new_proposal(story: Story) -> None:
    (first,), (second,) = story.proposals["uploaded"], story.proposals["changed"]
    assert second.id != first.id
    assert second.payload["changes"] == ["added Complaints under General"]
    assert "\n  - Complaints" in second.payload["outline"]


def test_words_in_the_thread_approve_with_the_message_as_evidence(story: Story) -> None:
    evidence = {
        line.what: line.evidence for line in story.workflows["generated"].history if "approved" in line.what
    }
    assert evidence == {
        "approved: 7 topics": story.said["yes"],
        "approved: Generate 30 examples": story.said["go ahead"],
    }
    assert any('"proposal_approved"' in text for text in told(story.house.model.turns[-1]))


def test_sorting_and_coverage_follow_without_asking_again(story: Story) -> None:
    done = story.workflows["sorted"].steps
    assert (done["topics_config"].status, done["categorize"].status) == ("completed", "completed")
    assert story.counts["sorted"] == {plan.id: plan.count for plan in PLANS}
    coverage = story.house.of("coverage")[0]
    line = next(one for one in coverage["distribution"] if one["topic"] == "general/complaints")
    assert (line["count"], line["status"]) == (13, "under")
    assert "general/complaints" in coverage["under_represented"]


def test_sixty_four_rows_fall_under_the_threshold_and_are_offered_for_review(story: Story) -> None:
    facts = story.house.last("categorised")
    assert (facts["assigned_count"], facts["low_confidence_count"], facts["uncategorized_count"]) == (
        487,
        64,
        0,
    )
    # the added topic has no keywords yet, so its three clearest rows are found by similarity
    assert facts["rows_by_stage"] == {"keyword": 188, "embedding": 194, "llm": 105, "uncategorised": 0}
    shown = [call["view"] for name, call in story.house.slack.calls if name == "views.update"]
    picks = [one for block in shown[0]["blocks"] for one in block.get("elements", ()) if "action_id" in one]
    assert len([one for one in picks if one["action_id"].startswith("review.pick:")]) == 8


# ---------------------------------------------------------------- generation


def test_thirty_asked_twenty_seven_kept_complaints_grow_from_thirteen_to_forty(story: Story) -> None:
    facts = story.house.last("generated")
    assert (facts["asked"], facts["generated"], facts["kept"]) == (30, 30, 27)
    assert facts["rejected"] == {"near_duplicate": 3}
    assert facts["by_topic"] == {"general/complaints": 27}
    assert facts["balance_after"] > facts["balance_before"]
    assert (
        story.counts["offered"]["general/complaints"],
        story.counts["generated"]["general/complaints"],
    ) == (13, 40)
    assert story.workflows["generated"].valid_rows == 514
    (round,) = story.workflows["generated"].rounds
    assert (round.asked, round.kept, round.balance_before) == (
        30,
        27,
        pytest.approx(facts["balance_before"], abs=1e-4),
    )


def test_every_generated_row_says_where_it_came_from(story: Story) -> None:
    made = [row for row in asyncio.run(story.house.rows()) if row.is_generated]
    assert len(made) == 27
    for row in made:
        assert all(
            row.provenance[name] for name in ("seed", "persona", "strategy", "model", "prompt_version")
        )


def test_what_costs_waits_for_the_owner_whatever_was_ordered(story: Story) -> None:
    (offered,) = story.proposals["offered"]
    assert offered.ceiling_usd > 0
    assert offered.payload["preview_offered"]
    assert [one.status for one in story.proposals["not the owner"]] == ["open"]
    assert story.tasks["not the owner"] == story.tasks["offered"]


# ---------------------------------------------------------------- grader


def test_criteria_are_weighted_as_said_and_changed_by_a_sentence(story: Story) -> None:
    assert _weights(story.proposals["first criteria"]) == FIRST
    assert _weights(story.proposals["second criteria"]) == SECOND
    assert story.proposals["second criteria"][0].payload["diff"]
    second = story.house.model.asked("grader_criteria")[1]
    assert [round(100 * one["weight"]) for one in second["current"]] == [40, 25, 20, 15]


def test_the_grader_is_tried_on_five_rows_and_by_attacks(story: Story) -> None:
    test = story.house.last("grader_test")
    assert (test["n"], test["mean"], test["min"], test["max"], test["errors"]) == (5, 0.5, 0.2, 0.8, 0)
    assert len(test["samples"]) == 5
    assert test["weaknesses"] == []
    assert story.workflows["graded"].grader_version == 1


def _weights(proposals: tuple[Proposal, ...]) -> dict[str, int]:
    (proposal,) = proposals
    return {one["name"]: round(100 * one["weight"]) for one in proposal.payload["config"]["criteria"]}


# ---------------------------------------------------------------- dry run, training, deployment


def test_five_hundred_and_fourteen_rows_are_split_463_to_51(story: Story) -> None:
    uploaded = story.house.last("uploaded")
    assert (uploaded["record_count"], uploaded["train_count"], uploaded["validation_count"]) == (514, 463, 51)
    assert uploaded["has_evaluator"] and uploaded["has_topic_hierarchy"]
    assert not uploaded["synthetic_validation"] and not uploaded["leakage"]
    sent = sorted(len(data.splitlines()) for data in story.house.trainer.files.values())
    assert sent == [51, 463]


def test_the_dry_run_says_go_with_its_numbers(story: Story) -> None:
    facts = story.house.last("dry_run")
    stats = facts["statistics"]
    assert facts["verdict"] == "GO", facts["findings"]
    assert (stats["n"], round(stats["mean"], 2), round(stats["std"], 2)) == (51, 0.52, 0.19)
    assert (round(100 * stats["above_zero"]), round(100 * stats["perfect"])) == (94, 8)
    assert facts["next"] == "train"
    assert {topic["topic"] for topic in facts["by_topic"]} == {plan.id for plan in PLANS}
    assert (len(facts["samples"]["highest"]), len(facts["samples"]["lowest"])) == (3, 3)


def test_training_is_offered_with_rows_settings_and_a_ceiling(story: Story) -> None:
    (proposal,) = story.proposals["training offered"]
    assert proposal.payload["rows"] == {"train": 463, "validation": 51}
    assert proposal.payload["hyperparameters"]["epochs"] == 2
    assert 0 < proposal.payload["cost"]["low"] <= proposal.payload["cost"]["ceiling"] == proposal.ceiling_usd
    (request,) = story.house.trainer.requests.values()
    assert (request.method, request.base_model, request.suffix) == (
        "reinforcement",
        "base-1",
        "Customer Support Data",
    )


def test_the_report_compares_before_and_after_overall_and_by_criterion(story: Story) -> None:
    report = story.house.last("training_done")
    before, after = fmean(SCORES), sum(SECOND[name] / 100 * score for name, score in TUNED.items())
    assert (report["count"], report["before"], report["after"]) == (51, round(before, 4), round(after, 4))
    assert report["significant"] and report["success"]
    assert {one["name"]: one["after"] for one in report["by_criterion"]} == TUNED
    assert {one["before"] for one in report["by_criterion"]} == {round(before, 4)}
    assert sum(one["count"] for one in report["by_topic"]) == 51
    assert (report["pattern"], report["model"]) == ("improving", MODEL)


def test_the_completion_notifies_who_asked_for_the_training(story: Story) -> None:
    done = next(one for one in story.house.slack.messages if "0.52" in one.words and "0.67" in one.words)
    assert f"<@{OWNER}>" in done.words


def test_it_ends_deployed_and_every_step_says_who_and_when(story: Story) -> None:
    deployed = story.house.last("deployed")
    assert (deployed["model_id"], deployed["endpoint"]) == (MODEL, "http://model.test/v1/chat/completions")
    workflow = story.workflows["deployed"]
    assert workflow.status == "completed"
    assert [workflow.steps[step].status for step in STEP_NAMES] == ["completed"] * 7
    assert all(workflow.steps[step].by == OWNER and workflow.steps[step].finished_at for step in STEP_NAMES)
    assert all(line.by and line.at for line in workflow.history)
    tried = story.house.last("tried")
    assert (tried["base"]["model"], tried["tuned"]["model"]) == ("base-1", MODEL)


def test_no_tool_was_left_without_an_answer(story: Story) -> None:
    found = [result for request in story.house.model.turns for result in results(request)]
    assert found
    assert all(result["ok"] or result["error"] for result in found)
