"""The agent's policy: one more tool call, or a short reply. Looks at the situation afresh each time; keeps nothing.

It decides no proposal, repeats no refused call, and makes at most MAX_CALLS calls a turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bot.sandbox.model.agent import reactions
from bot.sandbox.model.agent.fitting import fit
from bot.sandbox.model.agent.orders import Wanted, orders_in
from bot.sandbox.model.agent.replies import reply_words
from bot.sandbox.model.agent.situation import Situation, find, read_situation
from bot.sandbox.model.asks import Ask, Reply, tool_call

MAX_CALLS = 6
ENOUGH_ROWS_FOR_TOPICS = 20


def agent_reply(ask: Ask) -> Reply:
    situation = read_situation(ask)
    wanted = next_call(situation)
    if wanted is None and ask.must_call and ask.tools:
        wanted = Wanted(_harmless(situation), {})
    if wanted is None:
        return Reply(reply_words(situation))
    tool = situation.tools[wanted.tool]
    key = (len(situation.history), len(situation.results), ask.last_user_text)
    return Reply(tool_calls=(tool_call(tool.name, fit(wanted.arguments, tool), key=key),))


def next_call(situation: Situation) -> Wanted | None:
    """The next call of this turn, or None when it is time to speak."""
    if len(situation.results) >= MAX_CALLS or not situation.tools:
        return None
    last = situation.results[-1] if situation.results else None
    if last is not None and not last.ok:
        return _remedy(situation)
    planned = orders_in(situation)
    if not planned and situation.events:
        planned = reactions.calls_for(situation)
    return _first_undone(planned, situation) or _follow_up(situation)


def _first_undone(planned: Sequence[Wanted], situation: Situation) -> Wanted | None:
    """Planned calls in order; a tool that was called n times this turn has done its first n."""
    called = Counter(result.tool for result in situation.results)
    for wanted in planned:
        if called[wanted.tool]:
            called[wanted.tool] -= 1
        elif wanted.tool in situation.tools:
            return wanted
    return None


def _remedy(situation: Situation) -> Wanted | None:
    """What mends a refusal without a question: only the upload before a dry run, and only when nothing else is missing."""
    last = situation.results[-1]
    ready = "upload_dataset" in situation.tools and not situation.called("upload_dataset")
    if ready and last.missing == ["uploaded_dataset"]:
        return Wanted("upload_dataset", {"then_dry_run": last.tool == "run_dry_run"})
    return None


def _follow_up(situation: Situation) -> Wanted | None:
    """A call that goes without saying after the last result."""
    if not situation.results:
        return None
    last = situation.results[-1]
    if last.tool == "start_finetune_workflow" and _may_propose_topics(situation):
        return Wanted("generate_topics", {"method": "auto"})
    if last.tool == "upload_dataset" and find(last.answer, "backend_dataset_id"):
        refused = [result for result in situation.results if not result.ok]
        if refused and refused[-1].tool in situation.tools and len(situation.called(refused[-1].tool)) == 1:
            return Wanted(refused[-1].tool, refused[-1].arguments)
    return None


def _may_propose_topics(situation: Situation) -> bool:
    valid = find(situation.results[-1].answer, "valid_count", "valid_rows", "valid")
    if not isinstance(valid, int) or isinstance(valid, bool) or valid < ENOUGH_ROWS_FOR_TOPICS:
        return False
    return (
        "generate_topics" in situation.tools
        and not situation.called("generate_topics")
        and not _topics_wait(situation)
        and not _has_topics(situation)
    )


def _has_topics(situation: Situation) -> bool:
    steps = (situation.workflow or {}).get("steps") or {}
    return steps.get("topics_config") in ("completed", "skipped")


def _topics_wait(situation: Situation) -> bool:
    kinds = [str(item.get("kind")) for item in situation.proposals]
    jobs = [str(job.get("operation")) for job in situation.running_jobs]
    return any("topic" in name for name in (*kinds, *jobs))


def _harmless(situation: Situation) -> str:
    names = ("get_workflow_status", "get_dataset_stats", "get_dataset_records")
    return next((name for name in names if name in situation.tools), next(iter(situation.tools)))
