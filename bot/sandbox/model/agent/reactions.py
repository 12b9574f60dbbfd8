"""What the agent does of itself when something happened: the calls that follow from an event, mostly none."""

from __future__ import annotations

from bot.sandbox.model.agent.arguments import arguments_for
from bot.sandbox.model.agent.intents import goal_in
from bot.sandbox.model.agent.orders import Wanted, read_again
from bot.sandbox.model.agent.situation import Situation, find
from bot.sandbox.model.asks import Json

FEW_ROWS = 20
TAKEN_UP_AGAIN = (
    "generate_topics", "generate_preview", "configure_grader",
    "run_dry_run", "test_grader_sample", "check_viability", "sync_evaluator", "categorize_records", "analyze_coverage",
    "generate_synthetic_data", "start_training", "deploy_model",
)  # fmt: skip


def calls_for(situation: Situation) -> list[Wanted]:
    """Calls that the newest event leads to; [] when it only needs words."""
    if not situation.events:
        return []
    event = situation.events[-1]
    kind, operation = str(event.get("event")), operation_of(event)
    if kind == "file_uploaded":
        return _begin(situation)
    if kind == "proposal_approved" and "topic" in str(event.get("kind")):
        return _categorise(situation)
    if kind == "proposal_approved" and "consent" in str(event.get("kind")):
        return _unfinished_order(situation)
    if kind != "step_finished":
        return []
    if is_validation(operation):
        return _after_validation(event, situation)
    if "categor" in operation:
        return _measure_coverage(event, situation)
    return _unfinished_order(situation)


def operation_of(event: Json) -> str:
    return str(event.get("operation") or event.get("tool") or event.get("step") or event.get("kind") or "")


def is_validation(operation: str) -> bool:
    return any(
        part in operation for part in ("valid", "ingest", "import", "overview", "upload_file", "read_file")
    )


def known_goal(situation: Situation) -> str:
    """The goal as events, results or calls tell it; "" while nobody has said one."""
    for seen in situation.knowledge():
        goal = find(seen, "training_goals", "training_goal", "goal")
        if isinstance(goal, str) and goal.strip():
            return goal
    for result in (*situation.results, *situation.history):
        if result.tool == "start_finetune_workflow" and result.ok:
            return str(result.arguments.get("training_goals") or result.arguments.get("goal") or "")
    return ""


def valid_rows(event: Json) -> int | None:
    value = find(event, "valid_count", "valid_rows", "valid")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _begin(situation: Situation) -> list[Wanted]:
    goal = goal_in([*situation.earlier_words, *situation.words])
    if not goal or known_goal(situation):
        return []
    return [Wanted("start_finetune_workflow", {"training_goals": goal})]


def _after_validation(event: Json, situation: Situation) -> list[Wanted]:
    goal, said = known_goal(situation), goal_in([*situation.earlier_words, *situation.words])
    calls = [Wanted("start_finetune_workflow", {"training_goals": said})] if said and not goal else []
    rows = valid_rows(event)
    if not (goal or said) or (rows is not None and rows < FEW_ROWS) or _waits("topic", situation):
        return calls
    steps = (situation.workflow or {}).get("steps") or {}
    if steps.get("topics_config") in ("completed", "skipped"):
        return calls
    return [*calls, Wanted("generate_topics", {"method": "auto"})]


def _categorise(situation: Situation) -> list[Wanted]:
    """Where the house has not begun by itself."""
    steps = (situation.workflow or {}).get("steps") or {}
    begun = steps.get("categorize") in ("in_progress", "completed") or _waits("categor", situation)
    return [] if begun else [Wanted("categorize_records", {})]


def _measure_coverage(event: Json, situation: Situation) -> list[Wanted]:
    score = (situation.workflow or {}).get("balance_score")
    known = score is not None or find(event, "balance_score") is not None or _waits("coverage", situation)
    return [] if known else [Wanted("analyze_coverage", {})]


def _unfinished_order(situation: Situation) -> list[Wanted]:
    """The last order that could not be carried out before; twice refused is not tried again."""
    said = [
        Wanted(intent.tool, arguments_for(intent.tool, intent.words, situation))
        for intent in read_again(situation.last_words, situation)
    ]
    refused = [Wanted(result.tool, result.arguments) for result in situation.since_words if not result.ok]
    going = [
        name
        for result in situation.since_words
        if result.arguments.get("then_dry_run")
        for name in ("run_dry_run",)
    ]
    for wanted in (*refused, *said):
        tried = [result for result in situation.since_words if result.tool == wanted.tool]
        done = any(result.ok for result in tried)
        if (
            wanted.tool in TAKEN_UP_AGAIN
            and wanted.tool in situation.tools
            and not (done or wanted.tool in going)
            and len(tried) < 2
        ):
            return [wanted]
    return []


def _waits(name: str, situation: Situation) -> bool:
    kinds = [str(item.get("kind")) for item in situation.proposals]
    jobs = [str(job.get("operation")) for job in situation.running_jobs]
    return any(name in one for one in (*kinds, *jobs))
