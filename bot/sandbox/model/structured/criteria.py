"""`grader_criteria`: criteria with weights, from what people say, over the ones that stand.

An added criterion takes a tenth and the others shrink together; sums are kept by rounding running totals to five
points, so that 40/25/20/15 becomes 35/25/15/15 + 10.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.words import content_words, joined, overlap, stems, title_case

NEW_WEIGHT = 10
FRESH_WEIGHTS = {1: (100,), 2: (60, 40), 3: (50, 30, 20), 4: (40, 25, 20, 15), 5: (35, 25, 15, 15, 10)}
MAX_CRITERIA = 8

_ADDS = re.compile(
    r"\b(add|include|also|plus|another|new criterion|as well|and something about|mind(ful)?)\b", re.I
)
_REMOVES = re.compile(
    r"\b(remove|drop|delete|without|leave out|get rid of)\b\s*(?:the\s+)?(?P<what>[^.,;]+)", re.I
)
_LEAD = re.compile(
    r"^(please|can you|could you|also|and|then|let'?s|add|include|use|judge(d)?|grade|score|rate|answers?|responses?"
    r"|it|they|we|should|must|need to|want|be|on|by|for|the|a|an|something|criterion|criteria|about|to|with|that|is"
    r"|are|how|has|have|i|would|like|model|make|sure|of|me|new|another|one|also|care|mostly|whether|if)\b[\s:,-]*",
    re.I,
)
_NUMBERED = re.compile(
    r"(?P<before>\d{1,3}(?:\.\d+)?)\s*%\s*(?:for|on|to)?\s*(?P<after_name>[A-Za-z][A-Za-z '’/&-]{2,60})"
    r"|(?P<name>[A-Za-z][A-Za-z '’/&-]{1,60}?)\s*(?:[:=(-]|\bto\b|\bat\b|\bis\b|\bgets?\b)?\s*(?P<number>\d{1,3}(?:\.\d+)?)\s*%?",
)
_KNOWN = (
    (
        r"promis|guarantee|can'?t keep|overcommit",
        "No false promises",
        "Makes no promise that cannot be kept.",
    ),
    (r"accura|correct|factual|right\b", "Accuracy", "What is said is correct and answers the question."),
    (r"on[- ]brand|brand|voice", "Brand voice", "Sounds like the brand: its words and its manner."),
    (
        r"tone|polite|friendl|empath|kind|warm|courte",
        "Tone",
        "Polite, friendly and fitting to the person's mood.",
    ),
    (
        r"complet|thorough|covers?\b",
        "Completeness",
        "Covers everything that was asked, with the steps to take.",
    ),
    (r"helpful|useful|solv|resol", "Helpfulness", "Helps the person to get further."),
    (r"concis|brief|short", "Conciseness", "No longer than needed."),
    (r"clear|clarity|understand|plain", "Clarity", "Easy to understand at the first reading."),
    (r"safe|complian|legal|risk", "Safety", "Gives no advice that could do harm or breaks a rule."),
    (r"format|json|structure", "Format", "Has the form that was asked for."),
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """`points` out of 100."""

    name: str
    description: str
    points: float


def answer_criteria(ask: Ask, data: Json) -> Json:
    """`{criteria: [{name, description, weight}], summary}`; weights sum to 1."""
    instruction = str(data.get("instruction") or "")
    current = _standing(data.get("current"))
    criteria, summary = revise(current, instruction, goal=str(data.get("goal") or ""))
    criteria = criteria[:MAX_CRITERIA]
    points = spread([criterion.points for criterion in criteria], 100)
    return {
        "criteria": [
            {"name": criterion.name, "description": criterion.description, "weight": round(share / 100, 4)}
            for criterion, share in zip(criteria, points, strict=True)
        ],
        "summary": summary,
    }


def revise(current: Sequence[Criterion], instruction: str, *, goal: str) -> tuple[list[Criterion], str]:
    """The criteria after the instruction, and one sentence on what changed. Points may still need spreading."""
    removal = _REMOVES.search(instruction)
    if current and removal:
        return _removed(current, removal.group("what"))
    numbered = weighted_names(instruction)
    if numbered and not (current and _only_new(numbered, current) and _ADDS.search(instruction)):
        return _reweighted(current, numbered)
    named = named_criteria(instruction)
    if current:
        return _added(current, numbered or [replace(one, points=NEW_WEIGHT) for one in named])
    fresh = named or named_criteria(goal) or _default()
    weights = FRESH_WEIGHTS.get(len(fresh)) or (100 / len(fresh),) * len(fresh)
    made = [replace(one, points=points) for one, points in zip(fresh, weights, strict=True)]
    return made, f"{len(made)} criteria, the first named weighs most."


def weighted_names(text: str) -> list[Criterion]:
    """Criteria that carry a number: "accuracy 40, tone 25", "40% accuracy", "tone: 0.25"."""
    found = []
    for clause in re.split(r"[,;\n]|\band\b(?=[^,;\n]*\d)", text):
        match = _NUMBERED.search(clause)
        if match:
            name = match.group("after_name") or match.group("name") or ""
            points = float(match.group("before") or match.group("number"))
            found.append((name, points if points > 1 else points * 100))
    return [_described(name, points) for name, points in found if content_words(name)]


def named_criteria(text: str) -> list[Criterion]:
    """Criteria without numbers, one per clause, in the order they are named."""
    found: dict[str, Criterion] = {}
    for clause in re.split(r"[,;.\n]|\band\b|\bbut\b|&", text):
        if content_words(clause):
            one = _described(clause, 0)
            found.setdefault(one.name.lower(), one)
    return list(found.values())[:5]


def spread(points: Sequence[float], total: int) -> list[int]:
    """The points scaled to `total` in steps of five by rounding running totals; in steps of one where five is too coarse."""
    whole = sum(points) or 1
    if abs(whole - total) < 1e-9 and all(float(one).is_integer() for one in points):
        return [int(one) for one in points]
    for step in (5, 1) if total % 5 == 0 else (1,):
        shares = _running(points, whole, total, step)
        if all(share > 0 for share in shares):
            break
    while min(shares) < 1 and max(shares) > 1:
        shares[shares.index(max(shares))] -= 1
        shares[shares.index(min(shares))] += 1
    return shares


def _running(points: Sequence[float], whole: float, total: int, step: int) -> list[int]:
    shares, reached, summed = [], 0, 0.0
    for one in points:
        summed += one * total / whole
        mark = int(summed / step + 0.5 + 1e-9) * step
        shares.append(mark - reached)
        reached = mark
    return shares


def _added(current: Sequence[Criterion], new: Sequence[Criterion]) -> tuple[list[Criterion], str]:
    standing = {criterion.name.lower() for criterion in current}
    new = [one for one in new if one.name.lower() not in standing]
    if not new:
        return list(current), "Nothing to change was found in the instruction."
    room = 100 - sum(one.points for one in new)
    shrunk = spread([criterion.points for criterion in current], int(room))
    kept = [replace(one, points=float(share)) for one, share in zip(current, shrunk, strict=True)]
    return [
        *kept,
        *new,
    ], f"Added {joined([one.name for one in new])}; the others were scaled down to make room."


def _removed(current: Sequence[Criterion], what: str) -> tuple[list[Criterion], str]:
    wanted = stems(what)
    kept = [one for one in current if overlap(stems(one.name), wanted) == 0]
    if not kept or len(kept) == len(current):
        return list(current), "No such criterion."
    gone = [one.name for one in current if one not in kept]
    return kept, f"Removed {joined(gone)}; the others were scaled up."


def _reweighted(current: Sequence[Criterion], numbered: Sequence[Criterion]) -> tuple[list[Criterion], str]:
    """New weights for those named; the others share what is left as before."""
    if not current:
        return list(numbered), f"{len(numbered)} criteria with the weights you gave."
    named = {_match(one, current) or one.name: one for one in numbered}
    others = [one for one in current if one.name not in named]
    complete = abs(sum(one.points for one in numbered) - 100) < 0.01
    if complete:
        others = []
    room = max(0.0, 100 - sum(one.points for one in numbered))
    shares = iter(spread([one.points for one in others], int(room))) if others else iter(())
    kept = []
    for one in current:
        if one.name in named:
            kept.append(replace(one, points=named[one.name].points))
        elif one in others:
            kept.append(replace(one, points=float(next(shares))))
    known = {one.name for one in current}
    kept += [one for name, one in named.items() if name not in known]
    return kept, f"Set {joined([f'{name} to {one.points:g} %' for name, one in named.items()])}."


def _match(one: Criterion, current: Sequence[Criterion]) -> str:
    return next(
        (standing.name for standing in current if overlap(stems(one.name), stems(standing.name)) > 0), ""
    )


def _only_new(numbered: Sequence[Criterion], current: Sequence[Criterion]) -> bool:
    return not any(_match(one, current) for one in numbered)


def _described(phrase: str, points: float) -> Criterion:
    phrase = phrase.strip(" .:-–\"'")
    for pattern, name, description in _KNOWN:
        if re.search(pattern, phrase, re.I):
            return Criterion(name, description, points)
    before = ""
    while phrase != before:
        before, phrase = phrase, _LEAD.sub("", phrase).strip()
    phrase = phrase or before or "Quality"
    return Criterion(title_case(" ".join(phrase.split()[:4])), f"{phrase[:1].upper()}{phrase[1:]}.", points)


def _default() -> list[Criterion]:
    return [_described(name, 0) for name in ("accuracy", "tone", "completeness")]


def _standing(current: object) -> list[Criterion]:
    rows = current if isinstance(current, list) else []
    return [
        Criterion(
            str(row.get("name")), str(row.get("description") or ""), 100 * float(row.get("weight") or 0)
        )
        for row in rows
        if isinstance(row, dict)
    ]
