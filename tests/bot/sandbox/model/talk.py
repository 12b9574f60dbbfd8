"""A conversation with the agent role, as the bot would lead it: messages in, calls or words out. No HTTP."""

from __future__ import annotations

import json
from typing import Any

from bot.sandbox.model.agent.policy import agent_reply
from bot.sandbox.model.asks import Ask, Json, Message, Reply, Tool

CONTRACT: dict[str, tuple[str, ...]] = {
    "start_finetune_workflow": ("training_goals", "dataset_name", "existing_dataset_id", "from_scratch"),
    "get_workflow_status": (),
    "rollback_to_step": ("step", "snapshot_id"),
    "skip_step": ("step", "reason"),
    "complete_workflow": (),
    "advance_to_step": ("step",),
    "override_verdict": ("reason",),
    "delete_workflow": (),
    "get_dataset_records": ("limit", "cursor", "filter", "show"),
    "get_dataset_stats": (),
    "update_record": ("record_id", "updates"),
    "delete_records": ("filter", "ids"),
    "move_records": ("filter", "ids", "topic"),
    "add_record": ("text", "answer", "messages", "topic", "reference_answer"),
    "restore_dataset_version": ("version",),
    "validate_records": (),
    "prepare_from_knowledge": ("source", "knowledge_type", "format"),
    "add_file": ("mode", "file"),
    "dismiss_file": ("file",),
    "export_dataset": ("format", "splits", "shares", "include_generated", "gzip"),
    "prepare_dataset": ("task_type", "splits"),
    "write_dataset_card": (),
    "compare_dataset_versions": ("old", "new"),
    "upload_dataset": ("force_reupload",),
    "generate_topics": ("method", "max_depth", "template_name", "lens"),
    "apply_topic_hierarchy": ("hierarchy",),
    "adjust_topics": ("instruction",),
    "categorize_records": ("confidence_threshold", "mode"),
    "analyze_coverage": (),
    "get_coverage_recommendations": (),
    "set_targets": ("targets",),
    "generate_preview": ("strategy", "target_topics", "count", "record_ids"),
    "generate_synthetic_data": (
        "strategy", "generation_mode", "target_topics", "count_per_topic", "record_ids", "variations_per_record",
        "base_scenario", "aspects", "tool_patterns", "until_kept", "continue_earlier",
    ),
    "augment_dataset": ("methods", "record_ids", "topics", "pivot_language", "preview"),
    "bootstrap_dataset": ("topic_count", "count_per_topic", "generation_mode"),
    "propose_personas": ("personas",),
    "configure_grader": ("grader_type", "config", "preset", "instruction"),
    "test_grader_sample": ("sample_size",),
    "sync_evaluator": (),
    "check_viability": ("sample_size",),
    "run_dry_run": ("sample_percentage", "sample_size", "rollouts"),
    "analyze_evaluation": (),
    "configure_training": ("model_base", "approach", "method", "template", "hyperparameters"),
    "estimate_resources": (),
    "start_training": ("train_split", "epochs", "reasoning_effort"),
    "check_training_status": (),
    "cancel_job": ("job_id",),
    "deploy_model": ("deployment_mode", "alias", "split"),
    "try_model": ("prompt",),
}  # fmt: skip

STEPS = (
    "topics_config",
    "categorize",
    "coverage_generation",
    "grader_config",
    "dry_run",
    "training",
    "deployment",
)


def tools(*names: str) -> tuple[Tool, ...]:
    chosen = names or tuple(CONTRACT)
    return tuple(
        Tool(name, "", {"type": "object", "properties": {parameter: {} for parameter in CONTRACT[name]}})
        for name in chosen
    )


def workflow(step: str = "topics_config", **changes: Any) -> Json:
    """A context block's content, with everything before `step` completed."""
    done = STEPS.index(step) if step in STEPS else len(STEPS)
    return {
        "workflow_id": "w1",
        "dataset_id": "d1",
        "current_step": step,
        "steps": {name: "completed" if place < done else "pending" for place, name in enumerate(STEPS)},
        "balance_score": None,
        "has_grader": False,
        "dry_run_verdict": None,
        "training_status": None,
        "jobs": [],
        "proposals": [],
    } | changes


class Talk:
    """Keeps the transcript; `context` is what the next request carries."""

    def __init__(self, context: Json | None = None, offered: tuple[Tool, ...] = ()) -> None:
        self.context = context
        self.offered = offered or tools()
        self.messages: list[Message] = [Message("system", "Prose that is nobody's business.")]

    def say(self, text: str) -> Reply:
        return self._ask(Message("user", f"<@U1>: {text}"))

    def happen(self, event: str, **facts: Any) -> Reply:
        return self._ask(Message("user", json.dumps({"event": event, **facts})))

    def add(self, text: str) -> None:
        self.messages.append(Message("user", f"<@U1>: {text}"))

    def result(self, **answer: Any) -> Reply:
        call = self.messages[-1].tool_calls[-1]
        return self._ask(Message("tool", json.dumps({"ok": True} | answer), tool_call_id=call.id))

    def refusal(self, *missing: str, following: str = "") -> Reply:
        listed = [{"code": code, "message": f"No {code} yet."} for code in missing]
        return self.result(ok=False, error="Not yet", missing=listed, next=following)

    def _ask(self, message: Message) -> Reply:
        self.messages.append(message)
        closing = f"Step prose.\n```json\n{json.dumps({'finetune_workflow': self.context})}\n```"
        reply = agent_reply(Ask("standin-agent", (*self.messages, Message("system", closing)), self.offered))
        self.messages.append(Message("assistant", reply.text, reply.tool_calls))
        return reply


def called(reply: Reply) -> tuple[str, Json]:
    """Name and arguments of the only call; ("", {}) for words."""
    if not reply.tool_calls:
        return "", {}
    assert len(reply.tool_calls) == 1
    return reply.tool_calls[0].name, reply.tool_calls[0].parsed()
