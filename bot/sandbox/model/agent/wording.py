"""Short replies from facts: one or two sentences per tool result or event. Says only what is in the JSON it was given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.model.agent import leaving, tidying
from bot.sandbox.model.agent.situation import Result, Situation, find
from bot.sandbox.model.asks import Json
from bot.sandbox.model.words import joined

STEP_ORDER = (
    "topics_config",
    "categorize",
    "coverage_generation",
    "grader_config",
    "dry_run",
    "training",
    "deployment",
)
STEP_TITLES = {
    "topics_config": "topics", "categorize": "categorisation", "coverage_generation": "coverage",
    "grader_config": "grader", "dry_run": "dry run", "training": "training", "deployment": "deployment",
}  # fmt: skip
ASK_GOAL = "What should the model get better at: what is the goal, in a sentence?"
ASK_JUDGING = "How should answers be judged: which criteria, with which weights?"
_LABELS = {
    "generate_topics": "proposing topics", "categorize_records": "categorising", "generate_preview": "the preview",
    "generate_synthetic_data": "the generation", "validate_records": "the validation", "upload_dataset": "the upload",
    "test_grader_sample": "the grader test", "check_viability": "the viability check", "run_dry_run": "the dry run",
    "add_file": "adding the file", "start_training": "the training", "export_dataset": "the export", "prepare_dataset": "the preparation",
    "write_dataset_card": "the dataset card", "compare_dataset_versions": "the comparison", "sync_evaluator": "the evaluator's sync",
    "deploy_model": "the deployment", "try_model": "the trial", "read_documents": "reading the documents",
    "prepare_from_knowledge": "looking for rows in the documents", "propose_knowledge": "looking for rows in the documents",
    "clean_dataset": "looking for what to clean", "inspect_cleaning": "looking for what to clean", "clean": "the cleaning",
    "find_near_duplicates": "looking for near-duplicates", "delete_records": "counting the rows", "move_records": "counting the rows",
    "find_rows": "counting the rows", "change_rows": "changing the rows", "augment_dataset": "saying the rows again",
    "augment": "saying the rows again", "bootstrap_dataset": "planning the dataset", "bootstrap": "planning the dataset",
    "ingest": "reading the file", "propose_topics": "proposing topics", "categorize": "categorising", "generate": "the generation",
    "prepare_knowledge": "making the rows", "propose_topics_from_documents": "finding topics in the documents",
}  # fmt: skip


def tell(result: Result) -> str:
    """One or two sentences about a tool result."""
    answer = result.answer
    if not result.ok:
        return refusal(result)
    if answer.get("status") == "already_running":
        return f"{label(result.tool).capitalize()} runs already; it was not started twice."
    if began(result):
        return f"I have started {label(result.tool)}; the result comes here by itself."
    if answer.get("status") == "reading":
        return str(answer.get("note") or "")
    title = find(answer, "title")
    if card_of(result):
        named = f" “{title}”" if isinstance(title, str) else ""
        return f"The card{named} is in the thread: approve it there, or tell me what to change."
    return facts(result.tool, answer) or f"Done: {label(result.tool)}."


def card_of(result: Result) -> bool:
    """Whether the call put a proposal up."""
    return result.ok and bool(find(result.answer, "proposal_id", "proposal"))


def began(result: Result) -> bool:
    """Whether the call started something that reports later."""
    status = result.answer.get("status")
    return result.ok and (status in ("started", "already_running") or bool(result.answer.get("started")))


def refusal(result: Result) -> str:
    """Everything that is missing, in its order, and the next action."""
    missing = result.answer.get("missing") or []
    lines = [
        str(item.get("message") or item.get("code")) if isinstance(item, dict) else str(item)
        for item in missing
    ]
    if lines:
        listed = " ".join(f"({place}) {line}" for place, line in enumerate(lines, 1))
        return f"That is not possible yet. Missing: {listed} {following(result.answer)}".strip()
    error = str(result.answer.get("error") or "It did not work.")
    return f"{error.rstrip('.')}. {following(result.answer)}".strip()


def facts(operation: str, data: Json) -> str:
    """What a finished operation or a read tool found; "" when nothing in the data is known."""
    for fragment, write in _WRITERS:
        if fragment in operation:
            written = write(data)
            if written:
                return written
    return _plain_facts(data)


def label(operation: str) -> str:
    return _LABELS.get(operation, operation.replace("_", " "))


def position(workflow: Json | None) -> str:
    """ "step 3 of 7 (coverage)"."""
    step = str((workflow or {}).get("current_step") or "")
    if step not in STEP_ORDER:
        return "at the end" if step == "completed" else "at the start"
    return f"step {STEP_ORDER.index(step) + 1} of {len(STEP_ORDER)} ({STEP_TITLES[step]})"


def offer(situation: Situation) -> str:
    """The next action, as a question or a pointer, from the context block alone."""
    workflow = situation.workflow
    if workflow is None:
        return "Drop a JSONL file with examples into this thread to begin."
    if situation.proposals:
        titles = [f"“{item.get('title') or item.get('kind')}”" for item in situation.proposals]
        return f"{joined(titles)} {'waits' if len(titles) == 1 else 'wait'} for a decision by button."
    if situation.running_jobs:
        running = joined([label(str(job.get("operation", "a job"))) for job in situation.running_jobs])
        return f"Running now: {running}; I report when it is done."
    if workflow.get("training_status") in ("pending", "queued", "running", "paused"):
        return "The training reports here when there is news."
    return offer_for(next_step(workflow), workflow)


def offer_for(step: str, workflow: Json) -> str:
    score = workflow.get("balance_score")
    return {
        "topics_config": "Shall I propose topics?",
        "categorize": "Shall I categorise the rows?",
        "coverage_generation": ASK_JUDGING
        if isinstance(score, (int, float)) and score >= 0.5
        else "Shall I generate examples for the thin topics?",
        "grader_config": ASK_JUDGING,
        "dry_run": "Shall I run the dry run?",
        "training": "Shall I start the training?",
        "deployment": "Shall I deploy the model?",
    }.get(step, "You can try the model, or start again with more data.")


def next_step(workflow: Json) -> str:
    """The first step that is neither completed nor skipped."""
    steps = workflow.get("steps") or {}
    for step in STEP_ORDER:
        status = steps.get(step)
        status = status.get("status") if isinstance(status, dict) else status
        if status not in ("completed", "skipped"):
            return step
    return "completed"


def following(answer: Json) -> str:
    """The next action that a refusal or failure names, in words; "" when it names none."""
    following = answer.get("next")
    if isinstance(following, dict):
        following = following.get("label") or following.get("tool") or following.get("action")
    if not following:
        return ""
    return {
        "start_finetune_workflow": ASK_GOAL,
        "generate_topics": "Shall I propose topics?",
        "categorize_records": "Shall I categorise the rows?",
        "configure_grader": ASK_JUDGING,
        "upload_dataset": "Shall I upload the dataset?",
        "run_dry_run": "Shall I run the dry run?",
        "start_training": "Shall I start the training?",
        "upload a file": "Next: drop a JSONL file into this thread.",
    }.get(str(following), f"Next: {str(following).replace('_', ' ').rstrip('.')}.")


def _data_words(data: Json) -> str:
    valid, invalid = (
        find(data, "valid_count", "valid", "valid_rows"),
        find(data, "invalid_count", "rejected", "invalid"),
    )
    total = find(data, "total", "total_rows", "rows", "record_count")
    if not isinstance(valid, int) or isinstance(valid, bool):
        return ""
    text = f"{valid} of {total} rows are valid" if isinstance(total, int) else f"{valid} rows are valid"
    if isinstance(invalid, int) and invalid:
        text += f"; {invalid} are not and stay out unless you mend them"
    return f"{text}."


def _begun_words(data: Json) -> str:
    goal, valid = find(data, "goal", "training_goals"), find(data, "valid_count")
    named = f"The goal is set: “{str(goal).rstrip('.')}”." if goal else ""
    return f"{named} {_data_words(data) if valid else ''}".strip()


def _status_words(data: Json) -> str:
    workflow, last = data.get("workflow"), find(data, "last_what")
    if not isinstance(workflow, dict):
        return ""
    parts = [f"“{workflow.get('name')}” is at {workflow.get('position') or workflow.get('step')}"]
    score = data.get("balance_score")
    parts += [f"balance {score:.2f}"] if isinstance(score, (int, float)) else []
    parts += [f"last: {last}"] if last else []
    for job in data.get("jobs") or []:
        counted = f" ({job['done']} of {job['total']})" if job.get("total") else ""
        parts.append(f"running: {str(job.get('operation')).replace('_', ' ')}{counted}")
    return f"{'; '.join(parts)}."


def _topic_words(data: Json) -> str:
    nodes, count = find(data, "hierarchy", "topics"), find(data, "topic_count")
    names = [
        str(node.get("name")) for node in (nodes if isinstance(nodes, list) else []) if isinstance(node, dict)
    ]
    if names:
        return f"Proposed topics: {joined(names[:8])}."
    return (
        f"I looked through the rows and propose {count} {'topic' if count == 1 else 'topics'}."
        if isinstance(count, int)
        else ""
    )


def _voice_words(data: Json) -> str:
    named = find(data, "personas")
    return (
        f"The next examples speak as {joined([str(one) for one in named[:6]])}."
        if isinstance(named, list)
        else ""
    )


def _from_goal_words(data: Json) -> str:
    count, rows = find(data, "topic_count"), find(data, "total")
    if isinstance(count, int):
        return f"From the goal alone I propose {count} topics; there are no rows yet, and all of them will be synthetic."
    return f"I propose to write {rows} rows for these topics." if isinstance(rows, int) else ""


def _label_words(data: Json) -> str:
    assigned, low = find(data, "assigned_count", "assigned"), find(data, "low_confidence_count")
    if assigned is None:
        return ""
    counts = find(data, "by_topic")
    small = (
        sorted(counts.values(), key=lambda one: one.get("count", 0))[:2] if isinstance(counts, dict) else []
    )
    fewest = joined([f"{_name(one)} ({one.get('count')})" for one in small if isinstance(one, dict)])
    text = f"{assigned} rows have a topic, fewest in {fewest}" if fewest else f"{assigned} rows have a topic"
    return f"{text}; {low} of them are uncertain and worth a look." if low else f"{text}."


def _coverage_words(data: Json) -> str:
    score, rating = find(data, "balance_score"), find(data, "rating")
    if not isinstance(score, (int, float)):
        return ""
    thin = [_name(item) for item in (find(data, "under_represented") or [])][:4]
    text = f"The balance score is {score:.2f}" + (f" ({rating})" if rating else "")
    return f"{text}; thin: {joined(thin)}." if thin else f"{text}; no topic is thin."


def _generated_words(data: Json) -> str:
    made, kept = find(data, "generated", "asked"), find(data, "kept", "valid")
    rejected, score = find(data, "rejected"), find(data, "new_balance_score", "balance_after")
    if kept is None and made is None:
        return ""
    text = f"{made} examples were made and {kept} kept" if kept is not None else f"{made} examples were made"
    if isinstance(rejected, dict):
        text += f" (rejected: {joined([f'{count} {reason}'.replace('_', ' ') for reason, count in rejected.items() if count])})"
    return f"{text}; the balance score is now {score:.2f}." if isinstance(score, (int, float)) else f"{text}."


def _augmented_words(data: Json) -> str:
    if data.get("augmentation") and data.get("kept") is None:
        return "The preview is above; none of it is in the dataset. Press “Add all of these rows…” on the card to have them proposed."
    return _generated_words(data)


def _documents_words(data: Json) -> str:
    read, problems = find(data, "documents") or [], find(data, "problems") or []
    names = joined([_name(one) for one in read if isinstance(one, dict)][:4])
    text = f"I have read {names}: {find(data, 'passages')} passages." if names else ""
    bad = joined([_name(one) for one in problems][:4])
    return f"{text} I could not read {bad}; the card says why.".strip() if bad else text


def _knowledge_words(data: Json) -> str:
    kept, total = find(data, "kept"), find(data, "total")
    if kept is not None:
        return f"{kept} rows came out of the documents, each with the passage that it cites."
    return (
        f"About {total} rows can be made; the card shows three, please decide." if total is not None else ""
    )


def _scores_words(data: Json) -> str:
    mean, std = find(data, "mean"), find(data, "std")
    if not isinstance(mean, (int, float)):
        return ""
    spread = f" and the spread {std:.2f}" if isinstance(std, (int, float)) else ""
    return f"The mean score is {mean:.2f}{spread}."


def _verdict_words(data: Json) -> str:
    verdict = find(data, "verdict")
    messages = [str(item.get("message")) for item in find(data, "findings") or [] if isinstance(item, dict)]
    text = f"The verdict is {verdict}. " if verdict else ""
    return (text + _scores_words(data) + (f" {messages[0]}" if messages else "")).strip()


def _training_words(data: Json) -> str:
    before, after, status = find(data, "before"), find(data, "after"), find(data, "status")
    before, after = (_mean(value) for value in (before, after))
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return f"On the validation rows the score went from {before:.2f} to {after:.2f}."
    progress, rows = find(data, "progress"), find(data, "train_count")
    if isinstance(rows, int):
        return f"The training has begun on {rows} rows."
    return f"The training is {status}" + (f", {progress}." if progress else ".") if status else ""


def _deployed_words(data: Json) -> str:
    model, endpoint = find(data, "model_id", "model"), find(data, "endpoint")
    return f"{model} answers{f' at {endpoint}' if endpoint else ''}." if model else ""


def _upload_words(data: Json) -> str:
    count = find(data, "record_count")
    return f"{count} rows are at the training backend." if count is not None else ""


def _record_words(data: Json) -> str:
    rows = find(data, "rows", "records")
    if not isinstance(rows, list):
        return ""
    first = find(rows[0], "preview", "text", "input") if isinstance(rows[0], dict) else rows[0]
    shown = f", the first: “{first[:80]}”" if isinstance(first, str) else ""
    return f"I looked at {len(rows)} rows{shown}."


def _cost_words(data: Json) -> str:
    return f"The estimate: {_flat(find(data, 'cost') or find(data, 'time') or data)}."


_WRITERS: tuple[tuple[str, Callable[[Json], str]], ...] = (
    ("merge", leaving.joined_words), ("change_rows", leaving.changed_words),
    ("export", leaving.export_words), ("dataset_card", leaving.export_words),
    ("prepare_dataset", leaving.prepared_words), ("compare", leaving.compared_words),
    ("inspect_cleaning", tidying.looked_words), ("find_near_duplicates", tidying.near_words), ("clean", tidying.cleaned_words),
    ("add_record", tidying.added_words), ("update_record", tidying.added_words),
    ("restore_dataset_version", tidying.undone_words), ("get_dataset_records", _record_words),
        ("start_finetune", _begun_words),
    ("get_workflow_status", _status_words),
    ("try", lambda data: "Both answers are above, side by side."),
 ("valid", _data_words), ("ingest", _data_words), ("import", _data_words),
    ("stats", _data_words), ("preview", lambda data: "The preview is above; none of it is in the dataset."),
    ("personas", _voice_words), ("bootstrap", _from_goal_words), ("augment", _augmented_words),
    ("read_documents", _documents_words), ("knowledge", _knowledge_words),
    ("generate_topics", _topic_words), ("propose", _topic_words), ("topic", _topic_words),
    ("categor", _label_words), ("synthetic", _generated_words), ("generat", _generated_words),
    ("coverage", _coverage_words), ("recommend", _coverage_words), ("viab", _verdict_words), ("dry", _verdict_words),
    ("evaluation", _verdict_words), ("test_grader", _scores_words), ("grader", _scores_words), ("upload", _upload_words),
    ("estimate", _cost_words), ("train", _training_words), ("deploy", _deployed_words),
)  # fmt: skip


def _plain_facts(data: Json) -> str:
    shown = [
        f"{key.replace('_', ' ')}: {_flat(value)}"
        for key, value in data.items()
        if key
        not in ("ok", "event", "next", "missing", "error", "operation", "title", "step", "task_id", "partial")
        and isinstance(value, (str, int, float))
        and len(str(value)) <= 120
    ]
    return f"{'; '.join(shown[:5])}." if shown else ""


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(item)}" for key, item in list(value.items())[:5])
    return value if isinstance(value, str) else json.dumps(value)[:120]


def _name(item: Any) -> str:
    if isinstance(item, dict):
        item = item.get("name") or item.get("topic") or item.get("id")
    return str(item).rsplit("/", 1)[-1].replace("_", " ")


def _mean(value: Any) -> Any:
    return value.get("mean") or value.get("overall") if isinstance(value, dict) else value
