"""What the agent says at the end of a turn: what came of it, from facts, and the next action. One to four sentences."""

from __future__ import annotations

from bot.sandbox.model.agent import wording
from bot.sandbox.model.agent.intents import mood_of
from bot.sandbox.model.agent.orders import intents_in
from bot.sandbox.model.agent.prerequisites import missing_for
from bot.sandbox.model.agent.reactions import FEW_ROWS, is_validation, known_goal, operation_of, valid_rows
from bot.sandbox.model.agent.situation import Situation
from bot.sandbox.model.agent.wording import (
    ASK_GOAL,
    began,
    card_of,
    facts,
    following,
    label,
    offer,
    position,
    tell,
)
from bot.sandbox.model.asks import Json
from bot.sandbox.model.words import joined, sentences

MOST_SENTENCES = 3


def reply_words(situation: Situation) -> str:
    refused = [result for result in situation.results if not result.ok]
    told = [tell(result) for result in situation.results if result.ok][-3:]
    if refused and refused[-1] is situation.results[-1]:
        return _joined([*told, wording.refusal(refused[-1])], limit=False)
    events = [_event_words(event, situation) for event in situation.events if not _is_quiet(event, situation)]
    body = [part for part in (*events, *told) if part]
    blocked = _blocked_words(situation)
    if not body and not blocked:
        body = [_small_talk(situation)]
    text = _joined(body)
    text = f"{text} {blocked}".strip()
    return text if text.endswith("?") else f"{text} {_closing(situation)}".strip()


def _event_words(event: Json, situation: Situation) -> str:
    kind, operation = str(event.get("event")), operation_of(event)
    title = event.get("title")
    named = f"“{title}”" if title else f"The {event.get('kind') or 'proposal'!s}"
    match kind:
        case "file_waiting":
            return "" if situation.results else "Shall I append it, merge it or put it in place of the rows?"
        case "file_uploaded":
            name = event.get("file_name") or event.get("name") or event.get("filename") or "The file"
            return f"{name} is here and is being checked."
        case "step_finished":
            return _finished_words(operation, event, situation)
        case "step_failed":
            if event.get("code") == "cancelled":
                return f"{_title(event, operation)}: {event.get('message')}"
            reason = event.get("message") or event.get("error") or "no reason was given"
            return f"{_title(event, operation)} did not work: {str(reason).rstrip('.')}. {following(event)}".strip()
        case "proposal_approved":
            return f"{named} is approved."
        case "proposal_rejected":
            return f"{named} is rejected; tell me what should be different."
        case "proposal_edited":
            return f"{named} is changed; the newest card counts."
        case "approval_recorded":
            return f"Your approval of {named} is recorded; {event.get('still_needed', 1)} more needed."
        case "words_did_not_decide":
            return f"I cannot decide that: {str(event.get('reason') or 'the button on the card decides').rstrip('.')}."
        case "stop_requested":
            return f"Stopping {joined([str(one) for one in event.get('stopping') or ['the running job']])}; what is done is kept."
        case "welcome_back":
            return _welcome_words(event)
    return facts(operation or kind, event)


def _finished_words(operation: str, event: Json, situation: Situation) -> str:
    found = facts(operation, event)
    if not found and event.get("summary"):
        found = f"{_title(event, operation)}: {event['summary']}."
    found = found or f"{_title(event, operation)} is done."
    if event.get("partial"):
        found += " It was stopped on the way; what was made is kept."
    if not is_validation(operation):
        return found
    rows = valid_rows(event)
    if not known_goal(situation) and not situation.called("start_finetune_workflow"):
        return f"{found} {ASK_GOAL}"
    if rows is not None and rows < FEW_ROWS:
        return f"{found} These are few: say “make 20 from these” and I write more like them."
    return found


def _welcome_words(event: Json) -> str:
    done = joined([wording.STEP_TITLES.get(step, str(step)) for step in event.get("done") or {}])
    parts = [f"Welcome back: we are at {event.get('position') or 'the start'}"]
    parts += [f"done so far: {done}"] if done else []
    parts += [f"last: {event['last_what']}"] if event.get("last_what") else []
    score = event.get("balance_score")
    parts += [f"balance {score:.2f}"] if isinstance(score, (int, float)) else []
    return f"{'; '.join(parts)}."


def _blocked_words(situation: Situation) -> str:
    """For orders whose tool is not on offer now: everything that comes first, in order, and the next action."""
    for intent in intents_in(situation):
        handled = intent.tool in situation.tools or situation.called(intent.tool)
        if handled or intent.tool == "cancel_job" or situation.called("upload_dataset"):
            continue
        missing = missing_for(intent.tool, situation.workflow)
        listed = " ".join(f"({place}) {what};" for place, what in enumerate(missing, 1)).rstrip(";")
        why = f" Missing: {listed}." if listed else ""
        return f"{label(intent.tool).capitalize()} is not possible at this point.{why}"
    return ""


def _small_talk(situation: Situation) -> str:
    text = situation.words[-1] if situation.words else ""
    mood = mood_of(text)
    if situation.proposals and mood in ("affirm", "deny"):
        return "The button on the card decides this, not I."
    if any(intent.tool == "try_model" for intent in intents_in(situation)):
        return "Say what to ask both models, such as “try it: where is my order?”"
    if any(intent.tool == "cancel_job" for intent in intents_in(situation)):
        return "Nothing is running, so there is nothing to stop."
    if mood == "thanks":
        return "You are welcome."
    if mood == "deny":
        return "All right, nothing changes."
    if situation.workflow is None:
        return "I turn a team's examples into a fine-tuned model, step by step, in this thread."
    where = f"We are at {position(situation.workflow)}."
    return (
        where
        if mood in ("greeting", "help", "affirm") or not text
        else f"I am not sure what to do with that. {where}"
    )


def _closing(situation: Situation) -> str:
    """The next action; while a card is open no yes-or-no question, because "yes" would decide the card."""
    if situation.results and (began(situation.results[-1]) or card_of(situation.results[-1])):
        return _after_a_start(situation)
    last = situation.results[-1] if situation.results else None
    if last is not None and last.tool == "advance_to_step" and situation.workflow and not situation.proposals:
        return wording.offer_for(str(last.answer.get("asked_for")), situation.workflow)
    kinds = [str(item.get("kind")) for item in situation.proposals]
    if kinds == ["grader"] and any("grader" in operation_of(event) for event in situation.events):
        return "Approve the card if these scores look right to you, or tell me what to change."
    if len(kinds) == 1 and "grader" in kinds[0] and "test_grader_sample" in situation.tools:
        return "Say “test it on five rows” to try it before you approve the card."
    if any(is_validation(operation_of(event)) for event in situation.events) and not known_goal(situation):
        return ""
    if situation.workflow is None and any(
        event.get("event") == "file_uploaded" for event in situation.events
    ):
        return "" if known_goal(situation) else ASK_GOAL
    if situation.workflow is not None and _asked_for_goal_only(situation):
        return ASK_GOAL
    return offer(situation)


def _after_a_start(situation: Situation) -> str:
    last, refused = situation.results[-1], [result for result in situation.results if not result.ok]
    if refused and began(last):
        return f"After that comes {label(refused[-1].tool)}."
    if last.tool == "configure_grader" and "test_grader_sample" in situation.tools:
        return "Say “test it on five rows” to try it before you approve the card."
    return ""


def _asked_for_goal_only(situation: Situation) -> bool:
    uploaded = any(event.get("event") == "file_uploaded" for event in situation.events)
    return uploaded and not known_goal(situation)


def _is_quiet(event: Json, situation: Situation) -> bool:
    """Older events of a turn give way to the newest three."""
    return event not in situation.events[-3:]


def _title(event: Json, operation: str) -> str:
    return str(event.get("title") or label(operation).capitalize() or "It")


def _joined(parts: list[str], *, limit: bool = True) -> str:
    text = " ".join(part for part in parts if part)
    lines = sentences(text)
    return " ".join(lines[:MOST_SENTENCES]) if limit and len(lines) > MOST_SENTENCES else text
