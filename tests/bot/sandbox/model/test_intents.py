"""What people say, in many words, and the tool they mean. The table is the specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.model.agent.intents import intents_of

MEANT = [
    ("what is the status?", "get_workflow_status"),
    ("Is it done yet?", "get_workflow_status"),
    ("where were we?", "get_workflow_status"),
    ("propose some topics please", "generate_topics"),
    ("Can you find the topics in this data?", "generate_topics"),
    ("organise by customer intent instead", "generate_topics"),
    ("Use the e-commerce template", "generate_topics"),
    ("group them by difficulty", "generate_topics"),
    ("add a Complaints category under General", "adjust_topics"),
    ("Can you add Complaints under General?", "adjust_topics"),
    ("merge Informational and Relationship", "adjust_topics"),
    ("rename Billing to Payments", "adjust_topics"),
    ("please drop the Products topic", "adjust_topics"),
    ("move Refunds under Billing", "adjust_topics"),
    ("Categorise my records", "categorize_records"),
    ("sort the rows into the topics", "categorize_records"),
    ("label everything again", "categorize_records"),
    ("how balanced is the data?", "analyze_coverage"),
    ("show me the coverage", "analyze_coverage"),
    ("what do you recommend for coverage?", "get_coverage_recommendations"),
    ("set targets: billing 40%, shipping 60%", "set_targets"),
    ("show me examples first", "generate_preview"),
    ("can I see a preview?", "generate_preview"),
    ("generate maybe 30 more complaint examples", "generate_synthetic_data"),
    ("then 75 by few-shot", "generate_synthetic_data"),
    ("really complex ones", "generate_synthetic_data"),
    ("make 20 from these", "generate_synthetic_data"),
    ("generate 100", "generate_synthetic_data"),
    ("write fifty new questions about refunds", "generate_synthetic_data"),
    ("accuracy 40, tone 25, completeness 20, brand voice 15", "configure_grader"),
    ("Judge answers by accuracy and friendliness", "configure_grader"),
    ("40% accuracy, 30% tone, 30% helpfulness", "configure_grader"),
    ("add something about not making promises we can't keep", "configure_grader"),
    ("use the correctness preset for grading", "configure_grader"),
    ("test on 5", "test_grader_sample"),
    ("test it on five rows", "test_grader_sample"),
    ("try the grader on ten samples", "test_grader_sample"),
    ("test the grader", "test_grader_sample"),
    ("upload the dataset", "upload_dataset"),
    ("push the data to the backend", "upload_dataset"),
    ("sync the evaluator", "sync_evaluator"),
    ("check viability", "check_viability"),
    ("run the dry run", "run_dry_run"),
    ("let's do a dry-run with 10%", "run_dry_run"),
    ("Run the evaluation", "run_dry_run"),
    ("why did the dry run say NO-GO?", "analyze_evaluation"),
    ("explain the results", "analyze_evaluation"),
    ("use 3 epochs and sft", "configure_training"),
    ("configure the training", "configure_training"),
    ("how much will it cost?", "estimate_resources"),
    ("Train", "start_training"),
    ("train it", "start_training"),
    ("start the training", "start_training"),
    ("Train again", "start_training"),
    ("how is the training going?", "check_training_status"),
    ("is the training done?", "check_training_status"),
    ("stop", "cancel_job"),
    ("cancel the job", "cancel_job"),
    ("Deploy", "deploy_model"),
    ("deploy it as support-bot", "deploy_model"),
    ("ship it", "deploy_model"),
    ("try it: my parcel is late", "try_model"),
    ('try the model with "where is my order"', "try_model"),
    ("go back to the topics", "rollback_to_step"),
    ("roll back to the grader", "rollback_to_step"),
    ("skip the topics", "skip_step"),
    ("skip coverage because the data is fine", "skip_step"),
    ("export the data as csv", "export_dataset"),
    ("download the dataset", "export_dataset"),
    ("show me the rows", "get_dataset_records"),
    ("show me 20 low-confidence rows", "get_dataset_records"),
    ("list the invalid records", "get_dataset_records"),
    ("give me statistics of the data", "get_dataset_stats"),
    ("how many rows are there?", "get_dataset_stats"),
    ("change record r-12 to billing", "update_record"),
    ("validate the data again", "validate_records"),
    ("we're done, close the workflow", "complete_workflow"),
    ("complete the workflow", "complete_workflow"),
    ("delete this workflow", "delete_workflow"),
    ("no, delete all", "delete_workflow"),
    ("delete the rows about pricing", "delete_records"),
    ("hello", ""),
    ("thanks a lot", ""),
    ("yes", ""),
    ("what do you think of the weather", ""),
    ("our customers are mostly from Norway", ""),
    ("continue with generation", "generate_synthetic_data"),
    ("resume with the dry run", "run_dry_run"),
]


@pytest.mark.parametrize(("text", "tool"), MEANT)
def test_words_are_mapped_to_the_tool_that_is_meant(text: str, tool: str) -> None:
    assert [intent.tool for intent in intents_of(text)] == ([tool] if tool else [])


def test_several_orders_in_one_message_keep_their_order() -> None:
    found = intents_of("Categorise the rows, then show me the coverage. Export the data as csv afterwards.")
    assert [intent.tool for intent in found] == ["categorize_records", "analyze_coverage", "export_dataset"]


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert len(intents_of(text)) <= 4
