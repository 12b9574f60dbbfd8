"""The tools: what they refuse, propose, start, change and say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.tools import BY_NAME, TOOLS, allowed_tools
from storage.records import Deployment, DryRunSummary, Grader, TrainingSummary, Upload, Workflow
from tasks.steps import OPERATIONS
from tests.agent.scene import OWNER, START, TENANT, TOPICS, Scene, done, row, says, sorted_rows

pytestmark = pytest.mark.anyio
CRITERIA = {
    "criteria": [
        {"name": "Accuracy", "description": "right", "weight": 60},
        {"name": "Tone", "description": "kind", "weight": 40},
    ]
}


def ready_to_train(workflow: Workflow, *, verdict: Any = "GO", mean: float = 0.45) -> Workflow:
    version = workflow.dataset_version
    run = DryRunSummary("t1", START, version, 1, verdict, mean, 0.18, may_override=mean >= 0.1)
    return replace(
        workflow,
        grader_version=1,
        graders_made=1,
        upload=Upload("file-1", "openai", version, 10, 1),
        dry_runs=(run,),
    )


def trained(workflow: Workflow, pattern: str = "improving", **changes: Any) -> Workflow:
    summary = TrainingSummary(
        "job-1",
        "openai",
        "completed",
        "base",
        {},
        "",
        workflow.dataset_version,
        1,
        OWNER,
        START,
        model="ft:1",
        pattern=pattern,
    )
    return replace(ready_to_train(workflow), training=replace(summary, **changes))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("tool", "missing", "next"),
    [
        ("categorize_records", ["valid_rows", "topics"], "upload a file"),
        ("run_dry_run", ["valid_rows", "grader", "uploaded_dataset"], "upload a file"),
        (
            "start_training",
            ["valid_rows", "grader", "uploaded_dataset", "dry_run", "verdict"],
            "upload a file",
        ),
        ("deploy_model", ["valid_rows", "trained_model"], "upload a file"),
        ("generate_synthetic_data", ["valid_rows", "goal", "topics_or_records"], "upload a file"),
        ("start_finetune_workflow", ["valid_rows"], "upload a file"),
    ],
)
async def test_without_anything_everything_missing_is_listed_in_order(
    tool: str, missing: list[str], next: str
) -> None:
    scene = Scene()
    arguments = {"training_goals": "x"} if tool == "start_finetune_workflow" else {}
    result = await scene.call(tool, arguments)
    assert result["ok"] is False
    assert [item["code"] for item in result["missing"]] == missing
    assert result["next"] == next
    assert await scene.events() == [] and scene.queue.jobs == []


@pytest.mark.parametrize(
    ("tool", "missing", "next"),
    [
        ("categorize_records", ["topics"], "generate_topics"),
        ("analyze_coverage", ["topics", "categories"], "generate_topics"),
        ("run_dry_run", ["grader", "uploaded_dataset"], "configure_grader"),
        ("start_training", ["grader", "uploaded_dataset", "dry_run", "verdict"], "configure_grader"),
        ("deploy_model", ["trained_model"], "start_training"),
        ("test_grader_sample", ["grader"], "configure_grader"),
        ("try_model", ["trained_model"], "start_training"),
        ("generate_preview", ["topics_or_records"], "generate_topics"),
    ],
)
async def test_with_rows_alone_the_rest_is_missing(tool: str, missing: list[str], next: str) -> None:
    scene = Scene()
    await scene.workflow()
    arguments = {"prompt": "hello"} if tool == "try_model" else {}
    result = await scene.call(tool, arguments)
    assert [item["code"] for item in result["missing"]] == missing
    assert result["next"] == next
    assert scene.queue.jobs == [] and await scene.proposals() == ()


async def test_without_a_workflow_status_says_how_to_begin() -> None:
    result = await Scene().call("get_workflow_status")
    assert result["ok"] and "Upload" in result["next"]


async def test_a_refused_tool_is_listed_in_the_thread_whatever_the_model_says() -> None:
    scene = Scene(says("", ("start_training", {})), says("Training has begun!"))
    await scene.workflow()
    await scene.say("train")
    await scene.turn()
    texts = await scene.texts()
    refusal = next(text for text in texts if "not possible yet" in text)
    places = [
        refusal.index(word) for word in ("1. No grader", "2. This version", "3. No dry run", "4. The dry run")
    ]
    assert places == sorted(places)
    (notice,) = await scene.events("notice")
    assert notice.data["buttons"][0]["action"] == "grader.open"
    assert await scene.proposals() == () and scene.queue.jobs == []


async def test_a_refusal_that_the_model_mends_at_once_is_not_shown() -> None:
    scene = Scene(
        says("", ("run_dry_run", {})),
        says("", ("upload_dataset", {"then_dry_run": True})),
        says("On its way."),
    )
    await scene.workflow(grader_version=1, graders_made=1)
    await scene.say("dry run please")
    await scene.turn()
    assert await scene.texts() == ["On its way."]
    assert await scene.tasks() == ["upload_dataset"]


async def test_what_is_allowed_follows_from_what_stands() -> None:
    scene = Scene()
    assert "get_workflow_status" in allowed_tools(None) and "run_dry_run" not in allowed_tools(None)
    workflow = await scene.workflow()
    allowed = allowed_tools(workflow)
    assert (
        "generate_topics" in allowed
        and "generate_synthetic_data" in allowed
        and "start_training" not in allowed
    )
    assert "start_training" in allowed_tools(ready_to_train(workflow))
    assert "start_training" not in allowed_tools(ready_to_train(workflow, verdict="NO-GO"))
    assert set(allowed) <= set(BY_NAME) and len(BY_NAME) == len(TOOLS)


@pytest.mark.parametrize(
    ("tool", "operation"),
    [
        ("categorize_records", "categorize"),
        ("generate_topics", "propose_topics"),
        ("generate_preview", "generate_preview"),
        ("generate_synthetic_data", "generate"),
        ("upload_dataset", "upload_dataset"),
        ("check_viability", "check_viability"),
        ("run_dry_run", "dry_run"),
        ("start_training", "start_training"),
        ("deploy_model", "deploy"),
        ("try_model", "try_model"),
        ("export_dataset", "export"),
        ("prepare_dataset", "prepare_dataset"),
        ("write_dataset_card", "dataset_card"),
        ("compare_dataset_versions", "compare_versions"),
    ],
)
def test_a_tool_needs_what_its_operation_needs(tool: str, operation: str) -> None:
    assert BY_NAME[tool].needs == tuple(OPERATIONS[operation].needs)


# ---------------------------------------------------------------- workflow


async def test_going_on_to_the_grader_settles_the_coverage() -> None:
    scene = Scene()
    await scene.workflow(topics=TOPICS, coverage={"balance_score": 0.4})
    await scene.change(lambda w: done(w, "topics_config", "categorize"))
    result = await scene.call("advance_to_step", {"step": "grader_config"})
    assert result["ok"] and result["current_step"] == "grader_config"
    step = (await scene.current()).steps["coverage_generation"]
    assert (step.status, step.summary) == ("completed", "balance 0.40")


async def test_skipping_and_going_back_are_proposed() -> None:
    scene = Scene()
    await scene.workflow()
    assert (await scene.call("skip_step", {"step": "categorize", "reason": "no need"}))[
        "status"
    ] == "proposed"
    refused = await scene.call("rollback_to_step", {"step": "categorize"})
    assert "nothing to go back to" in refused["error"]
    assert [proposal.kind for proposal in await scene.proposals()] == ["skip"]


async def test_a_workflow_may_begin_on_ones_own_dataset_only() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.change(lambda w: replace(w, channel="C2"))
    stranger = await scene.call(
        "start_finetune_workflow", {"training_goals": "x", "existing_dataset_id": "d1"}, user="U2"
    )
    assert stranger["ok"] is False and "does not" not in stranger["error"]
    owner = await scene.call("start_finetune_workflow", {"training_goals": "x", "existing_dataset_id": "d1"})
    assert owner["ok"]
    assert owner["validation"] == {"valid_count": 10, "invalid_count": 0}


# ---------------------------------------------------------------- data


async def test_rows_are_shown_cut_and_by_filter() -> None:
    scene = Scene()
    await scene.workflow(rows=[row(1, "x" * 300), row(2, "short"), *sorted_rows(2, 1)[1:]])
    result = await scene.call("get_dataset_records", {"limit": 2})
    assert len(result["rows"]) == 2 and result["more"]
    assert len(result["rows"][0]["text"]) == 101
    invalid = await scene.call("get_dataset_records", {"filter": {"valid": False}})
    assert [(one["id"], one["error"]) for one in invalid["rows"]] == [("r2", "user_message_too_short")]
    assert (await scene.call("get_dataset_records", {"cursor": "nonsense"}))["ok"] is False
    review = await scene.call("get_dataset_records", {"filter": {"confidence": 0.95, "topic": "complaints"}})
    assert len(review["rows"]) == 1


async def test_figures_name_lines_and_how_to_mend_them() -> None:
    scene = Scene()
    await scene.workflow(rows=[row(0), row(1, "hi")])
    health = (await scene.call("get_dataset_stats"))["hygiene"]
    assert (health["valid"], health["rejected"]) == (1, 1)
    assert health["first_lines"] == {"user_message_too_short": [2]}
    assert "at least 10" in health["mend"]["user_message_too_short"]


async def test_an_edit_makes_a_version_that_the_workflow_stands_on() -> None:
    scene = Scene()
    before = await scene.workflow(rows=[row(0), row(1, "hi")], topics=TOPICS)
    messages = [{"role": "user", "content": "A long enough question."}]
    result = await scene.call(
        "update_record", {"record_id": "r1", "updates": {"messages": messages, "topic": "billing"}}
    )
    assert result["ok"] and result["valid"] and result["record"]["topic"] == "billing"
    after = await scene.current()
    assert after.dataset_version == before.dataset_version + 1 and after.valid_rows == 2
    assert after.history[-1].evidence == "1.0"
    assert (await scene.call("update_record", {"record_id": "r1", "updates": {"topic": "cars"}}))[
        "ok"
    ] is False
    assert (await scene.call("update_record", {"record_id": "r99", "updates": {"topic": "billing"}}))[
        "ok"
    ] is False


async def test_guests_do_not_export() -> None:
    scene = Scene()
    await scene.workflow()
    scene.guests = {"U9"}
    assert "Guests" in (await scene.call("export_dataset", user="U9"))["error"]
    assert (await scene.call("export_dataset"))["status"] == "started"


# ---------------------------------------------------------------- topics


async def test_a_tree_by_hand_is_proposed_with_the_rows_that_lose_their_topic() -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(7, 3), topics=TOPICS)
    result = await scene.call("apply_topic_hierarchy", {"hierarchy": "- Billing\n- General\n  - Feedback"})
    assert result["topics"] == ["billing", "general/feedback"]
    assert result["rows_losing_topic"] == {"complaints": 3}
    (proposal,) = await scene.proposals()
    assert proposal.payload["hierarchy"][0]["keywords"] == ["invoice"]
    assert (await scene.call("apply_topic_hierarchy", {"hierarchy": []}))["ok"] is False


async def test_a_change_in_words_edits_the_tree_that_waits() -> None:
    add = '{"operations": [{"op": "add", "topic": "", "name": "Praise", "parent": "", "into": ""}], "summary": "x"}'
    merge = '{"operations": [{"op": "merge", "topic": "praise", "name": "", "parent": "", "into": "complaints"}], "summary": "x"}'
    scene = Scene(says(add), says(merge))
    await scene.workflow(topics=TOPICS)
    first = await scene.call("adjust_topics", {"instruction": "add Praise"}, key="k1")
    assert first["changes_made"] == ["added Praise at the top level"]
    second = await scene.call("adjust_topics", {"instruction": "merge Praise and Complaints"}, key="k2")
    assert second["topics"] == ["billing", "complaints"]
    (open_one,) = await scene.proposals()
    assert open_one.id == second["proposal_id"] != first["proposal_id"]


# ---------------------------------------------------------------- coverage, generation


async def test_coverage_is_measured_and_shown() -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 1), topics=TOPICS)
    await scene.change(lambda w: done(w, "topics_config", "categorize"))
    result = await scene.call("analyze_coverage")
    assert result["under_represented"] == ["complaints"]
    assert result["balance_score"] == pytest.approx(0.22, abs=0.01)
    (card,) = await scene.events("coverage")
    assert card.data["distribution"][0]["name"] == "Billing"
    advice = await scene.call("get_coverage_recommendations")
    assert advice["recommendations"][0]["topic"] == "complaints"


async def test_targets_sum_to_a_hundred_and_take_effect() -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 1), topics=TOPICS)
    assert (await scene.call("set_targets", {"targets": {"billing": 50}}))["ok"] is False
    result = await scene.call("set_targets", {"targets": {"billing": 90.0, "complaints": 10}})
    assert result["balance_score"] == pytest.approx(1.0)


async def test_generation_is_proposed_with_plan_balance_and_cost() -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 1), topics=TOPICS)
    result = await scene.call(
        "generate_synthetic_data", {"target_topics": ["Complaints"], "count_per_topic": 30}
    )
    (proposal,) = await scene.proposals()
    assert proposal.kind == "generation" and proposal.ceiling_usd > 0
    assert proposal.payload["plan"] == [{"topic": "complaints", "name": "Complaints", "count": 30}]
    assert proposal.payload["params"]["target_topics"] == ["complaints"]
    assert result["preview_offered"] and result["expected_balance"] > result["balance"]
    wrong = await scene.call("generate_synthetic_data", {"target_topics": ["cars"]})
    assert "billing" in wrong["error"]
    assert scene.queue.jobs == []


async def test_without_named_topics_the_gaps_are_filled() -> None:
    scene = Scene()
    await scene.workflow(rows=sorted_rows(9, 1), topics=TOPICS)
    result = await scene.call("generate_synthetic_data", {"count_per_topic": 5})
    assert result["plan"] == [{"topic": "complaints", "name": "Complaints", "count": 5}]
    assert not result["preview_offered"]


async def test_seed_rows_grow_without_topics() -> None:
    scene = Scene()
    await scene.workflow()
    result = await scene.call(
        "generate_synthetic_data", {"record_ids": ["r1", "r2", "r3"], "variations_per_record": 4}
    )
    assert result["total"] == 12


async def test_without_a_budget_what_costs_is_refused_with_the_way_out() -> None:
    scene = Scene(budget_usd=None)
    await scene.workflow(rows=sorted_rows(), topics=TOPICS)
    result = await scene.call("generate_synthetic_data", {"count_per_topic": 5})
    assert "BUDGET_USD" in result["error"] and await scene.proposals() == ()


async def test_an_explicit_order_of_what_is_free_needs_no_second_word() -> None:
    free = {"gpt-5.2-mini": {"input": 0.0, "output": 0.0}}
    call = ("generate_synthetic_data", {"target_topics": ["complaints"], "count_per_topic": 30})
    for prices, said, started in (
        (free, "generate maybe 30 more complaint examples", True),
        (free, "generate 20 complaint examples", False),
        (free, "what if we generate 30 complaint examples?", False),
        ({}, "generate maybe 30 more complaint examples", False),
    ):
        scene = Scene(says("", call), says("There."), prices=prices)
        await scene.workflow(rows=sorted_rows(9, 1), topics=TOPICS)
        await scene.say(said)
        await scene.turn()
        assert (await scene.tasks() == ["generate"]) is started
        assert (await scene.proposals() == ()) is started


async def test_rows_go_nowhere_before_somebody_agrees() -> None:
    scene = Scene(allowed_providers=())
    await scene.workflow(rows=sorted_rows(), topics=TOPICS)
    result = await scene.call("generate_preview")
    assert result["missing"][0]["code"] == "consent"
    assert [proposal.kind for proposal in await scene.proposals()] == ["consent"]
    again = await scene.call("generate_synthetic_data", {}, key="k2")
    assert again["missing"][0]["code"] == "consent"
    assert [proposal.kind for proposal in await scene.proposals()] == ["consent"]
    assert scene.queue.jobs == []


# ---------------------------------------------------------------- reward


async def test_a_grader_is_proposed_with_shares_and_a_diff() -> None:
    scene = Scene()
    await scene.workflow()
    first = await scene.call("configure_grader", {"config": CRITERIA}, key="k1")
    assert [one["weight"] for one in first["config"]["criteria"]] == [0.6, 0.4]
    (proposal,) = await scene.proposals()
    assert "recorded" not in str(proposal.payload["diff"]) and "as skipped" in proposal.payload["warnings"][0]
    changed = '{"criteria": [{"name": "Accuracy", "description": "right", "weight": 0.5}, {"name": "Tone", "description": "kind", "weight": 0.3}, {"name": "Promises", "description": "none", "weight": 0.2}], "summary": "promises"}'
    scene.model.script = [says(changed)]
    second = await scene.call("configure_grader", {"instruction": "add something about promises"}, key="k2")
    assert "added Promises (20 %)" in second["diff"] and "Accuracy: 60 % → 50 %" in second["diff"]
    assert len(await scene.proposals()) == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "Give one of"),
        ({"config": {"criteria": [{"name": "A", "description": "", "weight": 0.4}]}}, "sum to"),
        ({"grader_type": "script", "config": {"language": "javascript", "source": "x"}}, "x is not defined"),
        ({"grader_type": "script", "config": {"language": "perl", "source": "x"}}, "javascript"),
        ({"grader_type": "script", "config": {"source": "def grade(sample, item):\n    return ("}}, ""),
        ({"config": {"criteria": CRITERIA["criteria"], "prompt": "{{item.nope}}"}}, "item.nope"),
    ],
)
async def test_a_grader_that_cannot_be_used_is_refused_with_why(arguments: dict[str, Any], word: str) -> None:
    scene = Scene()
    await scene.workflow()
    result = await scene.call("configure_grader", arguments)
    assert result["ok"] is False and word in result["error"]
    assert await scene.proposals() == ()


async def test_the_grader_that_waits_is_the_one_that_is_tested() -> None:
    scene = Scene()
    await scene.workflow()
    made = await scene.call("configure_grader", {"preset": "correctness"})
    result = await scene.call("test_grader_sample", {"sample_size": 99})
    assert result["status"] == "started"
    (task,) = await scene.all_tasks()
    assert task.params == {"sample_size": 20, "proposal_id": made["proposal_id"]}


async def test_the_grader_that_stands_is_changed_when_none_waits() -> None:
    scene = Scene(
        says('{"criteria": [{"name": "Tone", "description": "kind", "weight": 1}], "summary": "x"}')
    )
    await scene.workflow(grader_version=1, graders_made=1)
    grader = Grader(
        "w1.1",
        TENANT,
        "w1",
        1,
        "llm_as_judge",
        {"criteria": [{"name": "Accuracy", "description": "", "weight": 1.0}]},
        OWNER,
        START,
    )
    from storage.records import Change

    await scene.state.commit(TENANT, Change(puts=(grader,)))
    result = await scene.call("configure_grader", {"instruction": "tone instead"})
    assert "removed Accuracy (was 100 %)" in result["diff"]


async def test_an_override_is_proposed_only_where_it_can_help() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.change(lambda w: ready_to_train(w, verdict="NO-GO", mean=0.05))
    assert "cannot be overridden" in (await scene.call("override_verdict", {"reason": "hurry"}))["error"]
    await scene.change(lambda w: ready_to_train(w, verdict="NO-GO", mean=0.22))
    assert (await scene.call("start_training"))["missing"][0]["code"] == "verdict"
    assert (await scene.call("override_verdict", {"reason": "hurry"}))["status"] == "proposed"
    facts = await scene.call("analyze_evaluation")
    assert (facts["verdict"], facts["health"], facts["may_override"]) == ("NO-GO", "too_hard", True)


# ---------------------------------------------------------------- training and after


async def test_training_is_proposed_with_rows_and_a_ceiling() -> None:
    scene = Scene()
    await scene.workflow(rows=[row(place) for place in range(50)])
    await scene.change(ready_to_train)
    result = await scene.call("start_training", {"epochs": 3})
    assert result["rows"] == {"train": 45, "validation": 5}
    (proposal,) = await scene.proposals()
    assert proposal.ceiling_usd == result["cost"]["high"] > 0
    assert proposal.deciders == (OWNER,)
    assert proposal.payload["params"]["epochs"] == 3
    assert scene.queue.jobs == []


async def test_train_again_with_nothing_changed_warns() -> None:
    from tasks.steps.start_training import training_digest

    scene = Scene()
    await scene.workflow()
    await scene.change(ready_to_train)
    await scene.call("start_training", key="k1")
    (first,) = await scene.proposals()
    params = first.payload["params"]
    await scene.change(lambda w: trained(w, digest=training_digest(w, {**w.configuration, **params})))
    again = await scene.call("start_training", key="k2")
    assert any("Nothing has changed" in warning for warning in again["warnings"])
    different = await scene.call("start_training", {"epochs": 5}, key="k3")
    assert not any("Nothing has changed" in warning for warning in different["warnings"])


async def test_settings_are_checked_and_kept() -> None:
    scene = Scene()
    await scene.workflow()
    wrong = await scene.call("configure_training", {"hyperparameters": {"speed": 9}})
    assert "no setting speed" in wrong["error"]
    wild = await scene.call("configure_training", {"hyperparameters": {"epochs": 5000}})
    assert "epochs is 5000" in wild["error"]
    result = await scene.call(
        "configure_training",
        {"method": "sft", "model_base": "llama-7b", "approach": "lora", "hyperparameters": {"epochs": 2}},
    )
    assert result["configuration"]["method"] == "supervised" and result["configuration"]["epochs"] == 2
    resources = await scene.call("estimate_resources")
    low, high = resources["gpu"]["memory_gib"]
    assert 10 < low < high < 60


async def test_deploying_a_model_that_went_wrong_needs_an_override() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.change(lambda w: trained(w, "reward_hacking"))
    refused = await scene.call("deploy_model")
    assert refused["next"] == "override_deploy" and "reward hacking" in refused["error"]
    assert (await scene.call("override_deploy", {"reason": "a demo"}))["status"] == "proposed"
    await scene.change(lambda w: trained(w, "overfitting", report={"best_checkpoint": "ft:best"}))
    assert (await scene.call("deploy_model", {"model": "ft:best"}, key="k2"))["status"] == "proposed"
    assert (await scene.call("deploy_model", {"model": "ft:other"}))["ok"] is False
    assert (await scene.call("deploy_model", {"deployment_mode": "ab_test"}))["ok"] is False


async def test_a_running_training_is_followed_and_cancelled() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.change(lambda w: trained(w, status="running", model=""))
    assert (await scene.call("check_training_status"))["status"] == "running"
    assert (await scene.call("start_training"))["status"] == "already_running"
    assert (await scene.call("cancel_job", {"job_id": "job-of-others"}))["ok"] is False
    await scene.call("cancel_job")
    assert scene.trainer.cancelled == ["job-1"]


async def test_upload_can_go_on_to_the_dry_run_and_is_not_repeated() -> None:
    scene = Scene()
    await scene.workflow()
    no_grader = await scene.call("upload_dataset", {"then_dry_run": True})
    assert [item["code"] for item in no_grader["missing"]] == ["grader"]
    await scene.change(ready_to_train)
    assert (await scene.call("upload_dataset"))["status"] == "already_uploaded"
    assert (await scene.call("upload_dataset", {"then_dry_run": True}))["status"] == "started"
    assert await scene.tasks() == ["dry_run"]


async def test_the_same_call_proposes_once() -> None:
    scene = Scene()
    await scene.workflow()
    one = await scene.call("delete_workflow", key="same")
    other = await scene.call("delete_workflow", key="same")
    assert one["proposal_id"] == other["proposal_id"]
    assert len(await scene.events("proposal")) == 1


async def test_a_title_is_short_whatever_the_name() -> None:
    scene = Scene()
    await scene.workflow(name="n" * 500)
    await scene.call("delete_workflow")
    (proposal,) = await scene.proposals()
    assert len(proposal.title) <= 150


async def test_a_workflow_is_closed_only_after_its_model_was_deployed() -> None:
    scene = Scene()
    await scene.workflow()
    await scene.change(trained)
    early = await scene.call("complete_workflow")
    assert early["ok"] is False and early["next"] == "deploy_model"
    await scene.change(
        lambda w: replace(w, deployment=Deployment("ft:m", "http://model.test", "new_endpoint", START, OWNER))
    )
    assert (await scene.call("complete_workflow"))["status"] == "completed"
    assert (await scene.current()).status == "completed"
