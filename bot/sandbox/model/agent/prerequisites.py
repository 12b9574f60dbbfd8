"""What a step needs, as far as the context block shows it: for orders whose tool is not on offer now.

The table is the product's public one (domain.md §11). A refusal that a tool itself gave is always preferred to this.
"""

from __future__ import annotations

from bot.sandbox.model.asks import Json

_NEEDS: dict[str, tuple[str, ...]] = {
    "generate_topics": ("rows",),
    "adjust_topics": ("rows", "topics"),
    "categorize_records": ("rows", "topics"),
    "analyze_coverage": ("rows", "topics", "categories"),
    "get_coverage_recommendations": ("rows", "topics", "categories"),
    "set_targets": ("rows", "topics"),
    "generate_preview": ("rows", "topics"),
    "generate_synthetic_data": ("rows", "topics"),
    "augment_dataset": ("rows",),
    "configure_grader": ("rows",),
    "test_grader_sample": ("rows", "grader"),
    "check_viability": ("rows", "grader"),
    "sync_evaluator": ("rows", "grader"),
    "upload_dataset": ("rows",),
    "run_dry_run": ("rows", "grader", "upload"),
    "analyze_evaluation": ("rows", "grader", "dry_run"),
    "start_training": ("rows", "grader", "upload", "dry_run", "verdict"),
    "deploy_model": ("model",),
    "try_model": ("model",),
    "complete_workflow": ("model",),
}
_WORDS = {
    "rows": "a dataset with valid rows: drop a JSONL file here",
    "topics": "approved topics",
    "categories": "rows sorted into the topics",
    "grader": "a grader, that is, how an answer should be judged",
    "upload": "the dataset at the training backend",
    "dry_run": "a dry run on this dataset and grader",
    "verdict": "a verdict that is not NO-GO, or an approver's override",
    "model": "a trained model",
}


def missing_for(tool: str, workflow: Json | None) -> list[str]:
    """Everything the tool lacks, in the order of the steps, in words; [] when nothing can be told."""
    return [_WORDS[need] for need in _NEEDS.get(tool, ()) if not _is_met(need, workflow or {})]


def _is_met(need: str, workflow: Json) -> bool:
    steps = workflow.get("steps") or {}
    dry_run = workflow.get("dry_run_verdict")
    match need:
        case "rows":
            return bool(workflow.get("dataset_id"))
        case "topics":
            return steps.get("topics_config") == "completed"
        case "categories":
            return steps.get("categorize") == "completed"
        case "grader":
            return bool(workflow.get("has_grader"))
        case "dry_run" | "upload":
            return dry_run is not None
        case "verdict":
            return dry_run is not None and dry_run != "NO-GO"
    return workflow.get("training_status") in ("completed", "succeeded")
