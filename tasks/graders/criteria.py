"""Criteria for a judge, written by a model from what a team says about good answers. Proposes; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from storage.records import Json
from tasks.asking import Asker
from tasks.models.port import ModelAnswerInvalid
from tasks.prompts import prompt
from tasks.rules import graders as rules
from tasks.schemas import grader_criteria


async def propose(
    asker: Asker, *, instruction: str, goal: str, current: Sequence[Json] = ()
) -> tuple[tuple[Json, ...], str]:
    """(criteria `{name, description, weight}` whose weights sum to 1, one sentence on what is new).

    `current` are the criteria that the instruction changes. Raises `ModelError`s; `ModelAnswerInvalid` also for criteria
    that no judge could use.
    """
    data = {"instruction": instruction, "goal": goal, "current": [dict(one) for one in current]}
    answer = await asker.ask(prompt("grader_criteria"), data, grader_criteria(), temperature=0.2)
    given = [
        rules.Criterion(
            str(one["name"]).strip()[:80], str(one["description"]).strip()[:600], float(one["weight"])
        )
        for one in answer.get("criteria") or ()
    ]
    if any(one.weight <= 0 for one in given):
        raise ModelAnswerInvalid("criteria: a weight is not above 0")
    whole = sum(one.weight for one in given)
    try:
        scaled = [rules.Criterion(one.name, one.description, round(one.weight / whole, 4)) for one in given]
        fitted = rules.normalise(_summing_to_one(scaled))
    except (ValueError, ZeroDivisionError) as error:
        raise ModelAnswerInvalid(f"criteria: {error}") from error
    return tuple(asdict(one) for one in fitted), str(answer.get("summary", ""))


def _summing_to_one(criteria: list[rules.Criterion]) -> list[rules.Criterion]:
    """The rounding's rest goes to the first criterion."""
    if not criteria:
        return criteria
    first = criteria[0]
    rest = 1 - sum(one.weight for one in criteria)
    return [rules.Criterion(first.name, first.description, round(first.weight + rest, 4)), *criteria[1:]]
