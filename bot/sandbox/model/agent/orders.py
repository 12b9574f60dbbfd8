"""What people order in this turn, as calls in order. Words that decide a proposal are none of the model's business."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.sandbox.model.agent.arguments import arguments_for, wants_seeds
from bot.sandbox.model.agent.intents import (
    Brought,
    Intent,
    clauses,
    expecting_of,
    goal_in,
    intents_of,
    mood_of,
    states_goal,
)
from bot.sandbox.model.agent.making import begins
from bot.sandbox.model.agent.situation import Situation
from bot.sandbox.model.agent.wording import next_step
from bot.sandbox.model.asks import Json

STRONG = 3.9
SEEDS = 20
ACTIVE = ("pending", "queued", "running", "paused")
_EXPLICIT_GOAL = re.compile(r"\bgoal\b\s*(is|:|-|–)", re.I)
_OFFERED = (
    ("propose topics", "generate_topics"),
    ("categorise the rows", "categorize_records"),
    ("generate examples", "generate_synthetic_data"),
    ("upload the dataset", "upload_dataset"),
    ("run the dry run", "run_dry_run"),
    ("start the training", "start_training"),
    ("deploy the model", "deploy_model"),
)
_NEXT_TOOL = {
    "topics_config": "generate_topics",
    "categorize": "categorize_records",
    "coverage_generation": "analyze_coverage",
    "dry_run": "run_dry_run",
    "training": "start_training",
    "deployment": "deploy_model",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call with arguments under their names in the tools' contract, not yet fitted to the schema on offer."""

    tool: str
    arguments: Mapping[str, Any]


def orders_in(situation: Situation) -> list[Wanted]:
    """Calls that the words of this turn ask for; [] when they ask for none."""
    wanted: list[Wanted] = []
    for intent in intents_in(situation):
        wanted += _calls(intent, situation)
    return wanted


def intents_in(situation: Situation) -> list[Intent]:
    """Intents of all messages of the turn; a message that takes back leaves out those before it."""
    found: list[Intent] = []
    for text in situation.words:
        if mood_of(text) == "deny" or re.match(r"\W*(stop|wait|instead|rather|actually)\b", text, re.I):
            found.clear()
        found += _intents_of_message(text, situation)
    if not found and not situation.events and situation.words:
        found += _taken_up(situation)
    return found[:4]


def read_again(text: str, situation: Situation) -> list[Intent]:
    """Intents of an earlier message, without what was asked before it."""
    brought = _brought((*situation.earlier_events, *situation.events))
    return intents_of(text, has_grader=_has_grader(situation), topics_open=False, brought=brought)


def _intents_of_message(text: str, situation: Situation) -> list[Intent]:
    expecting = expecting_of(situation.last_reply)
    intents = intents_of(
        text,
        expecting=expecting,
        has_grader=_has_grader(situation),
        topics_open=_is_open("topic", situation),
        brought=_brought(situation.events),
    )
    if _is_goal(text, intents, expecting, situation):
        return [Intent("start_finetune_workflow", goal_in([text]) or text, 4.0)]
    if any(event.get("event") == "welcome_back" for event in situation.events):
        intents = [intent for intent in intents if intent.tool != "get_workflow_status"]
    if any(event.get("event") == "stop_requested" for event in situation.events):
        intents = [intent for intent in intents if intent.tool != "cancel_job"]
    return [_redirected(intent, situation) for intent in intents]


def _brought(events: Sequence[Json]) -> Brought:
    """What came with the words last: a further file that waits, or documents."""
    for event in reversed(events):
        if event.get("event") == "file_waiting":
            return "file"
        if event.get("event") == "file_uploaded" and event.get("kind") == "documents":
            return "documents"
    return ""


def _is_goal(text: str, intents: list[Intent], expecting: str, situation: Situation) -> bool:
    """Whether the message says what the model should learn, rather than what to do now."""
    if any(intent.tool == "bootstrap_dataset" for intent in intents) and situation.workflow is None:
        return False  # its goal goes with it
    if _EXPLICIT_GOAL.search(text):
        return True
    if any(intent.score >= STRONG for intent in intents) or mood_of(text) in ("help", "thanks", "greeting"):
        return False
    if expecting == "goal":
        return mood_of(text) not in ("deny",) and not text.rstrip().endswith("?") and bool(clauses(text))
    new = situation.workflow is None or any(
        event.get("event") == "file_uploaded" for event in situation.events
    )
    return new and states_goal(text)


def _redirected(intent: Intent, situation: Situation) -> Intent:
    """Where the state of things gives the words another meaning."""
    training = str((situation.workflow or {}).get("training_status") or "")
    if intent.tool == "get_workflow_status" and training in ACTIVE and _asks_if_done(intent.words):
        return Intent("check_training_status", intent.words, intent.score)
    if (
        intent.tool == "delete_records"
        and "delete_records" not in situation.tools
        and re.search(r"\ball\b", intent.words)
    ):
        return Intent("delete_workflow", intent.words, intent.score)
    if intent.tool == "bootstrap_dataset" and (situation.workflow or {}).get("dataset_id"):
        return Intent("generate_synthetic_data", intent.words, intent.score)
    if (
        intent.tool == "configure_grader"
        and _is_open("topic", situation)
        and re.search(r"\bunder\b", intent.words)
    ):
        return Intent("adjust_topics", intent.words, intent.score)
    return intent


def _asks_if_done(words: str) -> bool:
    return bool(re.search(r"\b(done|ready|finished|going|far|progress)\b", words, re.I))


def _taken_up(situation: Situation) -> list[Intent]:
    """ "Yes" to our own last question, when no card is open: the action that the question offered."""
    text = situation.words[-1]
    if mood_of(text) != "affirm" or situation.proposals or situation.workflow is None:
        return []
    offered = next((tool for words, tool in _OFFERED if words in situation.last_reply), "")
    tool = offered or _NEXT_TOOL.get(next_step(situation.workflow), "")
    return [Intent(tool, text, STRONG)] if tool else []


def _calls(intent: Intent, situation: Situation) -> list[Wanted]:
    training = str((situation.workflow or {}).get("training_status") or "")
    if intent.tool == "cancel_job" and not (situation.running_jobs or training in ACTIVE):
        return []
    call = Wanted(intent.tool, arguments_for(intent.tool, intent.words, situation))
    before = [Wanted(tool, given) for tool, given in begins(intent.tool, intent.words, situation.workflow)]
    if before:
        return [*before, call]
    if intent.tool in ("generate_synthetic_data", "generate_preview") and wants_seeds(intent.words):
        return [*_look_at_seeds(situation), call]
    if intent.tool == "run_dry_run" and intent.tool not in situation.tools:
        return [Wanted("upload_dataset", {"then_dry_run": True})]
    if intent.tool == "try_model" and not call.arguments.get("prompt"):
        return []
    return [call]


def _look_at_seeds(situation: Situation) -> list[Wanted]:
    """The rows to grow from must have been seen; when they were not, they are read first."""
    seen = any(result.tool == "get_dataset_records" for result in situation.history)
    return [] if seen else [Wanted("get_dataset_records", {"limit": SEEDS})]


def _has_grader(situation: Situation) -> bool:
    return bool((situation.workflow or {}).get("has_grader")) or _is_open("grader", situation)


def _is_open(kind: str, situation: Situation) -> bool:
    return any(kind in str(item.get("kind")) for item in situation.proposals)
