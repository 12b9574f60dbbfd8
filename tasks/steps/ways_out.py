"""What can be done after a dry run, in words, the most useful first. A NO-GO is never a dead end. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from storage.records import Json, Verdict
from tasks.rules import iteration
from tasks.rules.dry_run import Finding

_LEVERS: dict[str, tuple[str, str]] = {
    "grader": (
        "configure_grader",
        "Change the grader: look at the samples together, then give partial credit or sharper criteria.",
    ),
    "data": (
        "generate_synthetic_data",
        "Change the data: add rows of the difficulty that is missing, or mend those that are there.",
    ),
    "supervised": (
        "configure_training",
        "Teach the base model with supervised examples first, then come back to reinforcement.",
    ),
    "topic": (
        "get_coverage_recommendations",
        "Work on the weak topics: review their rows, exclude them, or add examples.",
    ),
}
_ACTIONS: dict[str, str] = {
    "train": "start_training",
    "iterate": "run_dry_run",
    "escalate": "analyze_evaluation",
    "hard_stop": "configure_grader",
}


def options(
    found: Sequence[Finding],
    verdict: Verdict,
    next_action: str,
    patterns: Sequence[iteration.Pattern],
    *,
    may_override: bool,
) -> list[Json]:
    """`[{action, text}]`: the levers of the findings (the grader's before the data's), the ladder, and going on knowingly."""
    stopping = [finding for finding in found if finding.severity != "note"]
    levers = dict.fromkeys(finding.lever for finding in stopping)
    ordered = sorted(levers, key=lambda lever: lever != "grader")
    ways = [{"action": _LEVERS[lever][0], "text": _LEVERS[lever][1]} for lever in ordered if lever in _LEVERS]
    if verdict != "NO-GO":
        ways.insert(0, {"action": "start_training", "text": "Go on to training."})
    elif may_override:
        ways.append(
            {
                "action": "override_verdict",
                "text": "Go on knowingly: an approver overrides the verdict, and it is recorded.",
            }
        )
    else:
        text = "Training cannot start from here, not even with an override: there is no signal to learn from."
        ways.append({"action": "none", "text": text})
    if next_action == "escalate":
        ways.insert(0, {"action": _ACTIONS["escalate"], "text": _escalation(patterns)})
    return ways


def _escalation(patterns: Sequence[iteration.Pattern]) -> str:
    if iteration.stalled_twice(patterns):
        return f"Two runs in a row changed nothing. The next rung of the ladder: {iteration.rung(patterns)}."
    return "Nearly all scores are 0 or 1 and few are good: suspect the grader, and look at samples together first."
