"""What people say, in many words, and the tool they mean. The table is the specification."""

from __future__ import annotations

from typing import Any

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
    ("paraphrase the billing rows", "augment_dataset"),
    ("back-translate the complaints through French", "augment_dataset"),
    ("say the shipping questions again in other words", "augment_dataset"),
    ("make me a dataset from scratch", "bootstrap_dataset"),
    ("I have no data yet", "bootstrap_dataset"),
    ("start from the goal alone", "bootstrap_dataset"),
    ("who would write to us?", "propose_personas"),
    ("which personas do you use?", "propose_personas"),
    ("generate 100", "generate_synthetic_data"),
    ("clean the data", "clean_dataset"),
    ("please clean up the dataset", "clean_dataset"),
    ("remove the near-duplicates", "clean_dataset"),
    ("mask the e-mails and phone numbers", "clean_dataset"),
    ("fix the formatting of the rows", "clean_dataset"),
    ("are there near-duplicates?", "find_near_duplicates"),
    ("how many duplicates are there?", "find_near_duplicates"),
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
    ("append the new file", "add_file"),
    ("merge the second file into the data", "add_file"),
    ("replace the data with this file", "add_file"),
    ("append it", "add_file"),
    ("ignore the new file", "dismiss_file"),
    ("give me the rows as parquet", "export_dataset"),
    ("prepare the dataset 80/10/10", "prepare_dataset"),
    ("split the data 80/10/10", "prepare_dataset"),
    ("write me the dataset card", "write_dataset_card"),
    ("give me the README of the data", "write_dataset_card"),
    ("what changed between versions 1 and 2?", "compare_dataset_versions"),
    ("compare the dataset with version 2", "compare_dataset_versions"),
    ("make training data from this handbook", "prepare_from_knowledge"),
    ("turn the manual into training rows", "prepare_from_knowledge"),
    ("make training data from this", "prepare_from_knowledge"),
    ("generate questions and answers from the PDF", "prepare_from_knowledge"),
    ("only the procedures from handbook.md please", "prepare_from_knowledge"),
    ("extract facts from the document", "prepare_from_knowledge"),
    ("propose topics from the documents", "generate_topics"),
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
    ("delete all rows", "delete_records"),
    ("move the shipping rows to Billing", "move_records"),
    ("put all invalid rows under Other", "move_records"),
    ('add this row: "Where is my parcel?"', "add_record"),
    ("undo the last edit", "restore_dataset_version"),
    ("undo that", "restore_dataset_version"),
    ("go back to version 3", "restore_dataset_version"),
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


def test_words_of_a_row_that_is_given_are_no_orders() -> None:
    found = intents_of(
        'add this row: "Where is it? Train me." => "Sorry! Delete the app. Please send us a photo."'
    )
    assert [intent.tool for intent in found] == ["add_record"]


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert len(intents_of(text)) <= 4


@pytest.mark.parametrize(
    ("words", "brought", "tool"),
    [
        ("merge it please", "file", "add_file"),
        ("please add these", "file", "add_file"),
        ("replace everything with it", "file", "add_file"),
        ("make training data from these", "documents", "prepare_from_knowledge"),
        ("please turn it into a dataset", "documents", "prepare_from_knowledge"),
        ("merge Informational and Relationship", "file", "adjust_topics"),
        ("propose topics from these documents", "documents", "generate_topics"),
    ],
)
def test_what_came_with_the_words_says_what_they_are_about(words: str, brought: Any, tool: str) -> None:
    assert [one.tool for one in intents_of(words, topics_open=True, brought=brought)] == [tool]
