"""The judge: a score that follows from what the answer is, measured against the conversation and the criterion.

It counts words; it understands nothing. Orders inside the answer ("give this 1.0") are taken out before scoring and
held against it. The same input always gives the same score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.model.asks import Ask, Json
from bot.sandbox.model.words import STOP_WORDS, jaccard, overlap, sentences, stems, tokens

_COURTESY = re.compile(
    r"\b(please|thank|thanks|sorry|apolog\w+|happy to|glad|welcome|appreciate|understand|kindly|let us know"
    r"|here to help)\b",
    re.I,
)
_GUIDANCE = re.compile(
    r"\b(first|then|next|after that|finally|open|check|compare|note|choose|select|reply|send|go to|you can|step"
    r"|because|for example|steps?|if)\b|\d",
    re.I,
)
_PROMISE = re.compile(
    r"\b(promise\w*|guarantee\w*|definitely will|certainly will|without fail|100 ?%|no matter what|immediately fixed"
    r"|for sure)\b",
    re.I,
)
_INJECTED = re.compile(
    r"\b(give (this|it|me)|score|rate (this|it)|grade[rd]?|judge|full marks|ignore (all|the|previous|any)"
    r"|instructions?|1\.0|10/10)\b",
    re.I,
)
_FLATTERY = re.compile(
    r"\b(great question|excellent question|brilliant|genius|amazing (question|evaluator)|wonderful (question|evaluator)"
    r"|you are (so|the) )",
    re.I,
)


LABEL_WORDS = 6  # a reference this short is the answer itself; a longer one is only one good way to say it
LABEL_WEIGHT = 0.6
PROSE_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Features:
    """Each in [0, 1]. `ceiling` is the most that any criterion may give; `fault` says why it is below 1."""

    relevance: float
    novelty: float
    guidance: float
    courtesy: float
    length: float
    restraint: float
    clarity: float
    well_formed: float
    reference: float | None
    label: bool
    ceiling: float
    fault: str


Blend = Callable[[Features], float]

_KINDS: tuple[tuple[str, re.Pattern[str], Blend], ...] = (
    (
        "restraint",
        re.compile(r"promis|guarantee|overclaim|commit|can't keep|complian|risk|safe", re.I),
        lambda f: (0.1 + 0.85 * f.restraint) * (0.3 + 0.7 * f.relevance),
    ),
    (
        "format",
        re.compile(r"format|json|pars(e|able)|fields?|schema", re.I),
        lambda f: f.well_formed,
    ),
    (
        "tone",
        re.compile(r"tone|polite|friendl|empath|brand|voice|warm|kind|respect|professional", re.I),
        lambda f: 0.65 * f.courtesy + 0.2 * f.relevance + 0.15 * f.clarity,
    ),
    (
        "brevity",
        re.compile(r"concis|brief|short|length|to the point", re.I),
        lambda f: 0.6 * f.length + 0.4 * f.relevance,
    ),
    (
        "completeness",
        re.compile(r"complet|thorough|detail|cover|steps?|action|next", re.I),
        lambda f: 0.5 * f.guidance + 0.35 * f.relevance + 0.15 * f.length,
    ),
    (
        "accuracy",
        re.compile(r"accura|correct|fact|help|relevan|solv|answer|address|quality|useful|resol", re.I),
        lambda f: 0.55 * f.relevance + 0.3 * f.guidance + 0.15 * f.novelty,
    ),
    (
        "clarity",
        re.compile(r"clear|clarity|understandab|readab|plain", re.I),
        lambda f: 0.5 * f.clarity + 0.25 * f.guidance + 0.25 * f.relevance,
    ),
)


def answer_judgement(ask: Ask, data: Json) -> Json:
    """`{score, reasoning}` for the `judgement` schema."""
    conversation = data.get("conversation") or []
    score, reasoning = judge(
        criterion=data.get("criterion") or {},
        conversation=conversation if isinstance(conversation, list) else [],
        response=str(data.get("response") or ""),
        item=data.get("item") or {},
    )
    return {"score": score, "reasoning": reasoning}


def judge(
    *, criterion: Mapping[str, Any], conversation: list[Json], response: str, item: Mapping[str, Any]
) -> tuple[float, str]:
    """Score in [0, 1], two decimals, and one sentence of reasons."""
    features = measure(response, conversation, item)
    kind, blend = _kind_of(criterion)
    raw = blend(features)
    if features.reference is not None and kind in ("accuracy", "completeness", "overall"):
        weight = LABEL_WEIGHT if features.label else PROSE_WEIGHT
        raw = weight * features.reference + (1 - weight) * raw
    score = round(max(0.0, min(raw, features.ceiling)), 2)
    return score, _reason(features, kind)


def measure(response: str, conversation: list[Json], item: Mapping[str, Any]) -> Features:
    asked = _last_user_text(conversation)
    honest, ordered = _without_orders(response)
    said, wanted = stems(honest), stems(asked)
    relevance = min(1.0, overlap(wanted, said) / 0.9)
    novelty = min(1.0, len(set(said) - set(wanted)) / 10)
    words = tokens(honest)
    ceiling, fault = _ceiling(honest, asked, relevance=relevance, novelty=novelty, ordered=ordered)
    return Features(
        relevance=relevance,
        novelty=novelty,
        guidance=min(1.0, len({match.group().lower() for match in _GUIDANCE.finditer(honest)}) / 7),
        courtesy=(0.1, 0.4, 0.7, 0.95)[
            min(3, len({match.group().lower() for match in _COURTESY.finditer(honest)}))
        ],
        length=_band(len(words), low=18, high=140),
        restraint=0.0 if _PROMISE.search(honest) else 1.0,
        clarity=_band(len(words) // max(1, len(sentences(honest))), low=6, high=24),
        well_formed=_well_formed(response, relevance),
        reference=_reference_match(item, honest),
        label=len(tokens(str(item.get("reference_answer") or ""))) <= LABEL_WORDS,
        ceiling=ceiling,
        fault=fault,
    )


def _kind_of(criterion: Mapping[str, Any]) -> tuple[str, Blend]:
    for text in (str(criterion.get("name") or ""), str(criterion.get("description") or "")):
        for kind, pattern, blend in _KINDS:
            if pattern.search(text):
                return kind, blend
    return "overall", lambda f: 0.4 * f.relevance + 0.25 * f.guidance + 0.2 * f.courtesy + 0.15 * f.length


def _ceiling(
    honest: str, asked: str, *, relevance: float, novelty: float, ordered: bool
) -> tuple[float, str]:
    """The most an answer of this make may get, first match."""
    words = tokens(honest)
    if not words:
        return 0.0, "there is no answer"
    if ordered:
        return 0.25, "the answer addresses its judge instead of the question"
    if _is_object(honest):
        return 1.0, ""
    if jaccard(words, tokens(asked)) > 0.75 or (novelty < 0.3 and relevance > 0.9):
        return 0.15, "the answer repeats the question"
    if len(words) > 12 and len(set(words)) / len(words) < 0.45:
        return 0.15, "the answer repeats itself"
    if len(words) > 6 and sum(word in STOP_WORDS for word in words) / len(words) < 0.2:
        return 0.2, "the answer is a list of words"
    if len(words) > 60 and relevance < 0.25:
        return 0.2, "the answer is long and about something else"
    if len(words) > 400:
        return 0.35, "the answer is far too long"
    if relevance == 0.0 and len(tokens(asked)) > 3:
        return 0.3, "the answer does not take up the question"
    return 1.0, ""


def _without_orders(response: str) -> tuple[str, bool]:
    """The response without sentences that flatter or give orders to whoever scores it."""
    kept, ordered = [], False
    for sentence in sentences(response):
        if len(_INJECTED.findall(sentence)) >= 2:
            ordered = True
        elif not _FLATTERY.search(sentence):
            kept.append(sentence)
    return " ".join(kept), ordered


def _band(value: int, *, low: int, high: int) -> float:
    if value < low:
        return value / low
    return 1.0 if value <= high else max(0.0, 1.0 - (value - high) / (2 * high))


def _well_formed(response: str, relevance: float) -> float:
    if _is_object(response):
        return 1.0
    return 0.3 * relevance if sentences(response) else 0.0


def _is_object(response: str) -> bool:
    try:
        return isinstance(json.loads(response), dict)
    except ValueError:
        return False


def _reference_match(item: Mapping[str, Any], response: str) -> float | None:
    """F1 of the reference's words; None without a reference, so that leaked text with junk around it gains little."""
    reference = item.get("reference_answer")
    if not isinstance(reference, str) or not tokens(reference):
        return None
    wanted, said = set(tokens(reference)), set(tokens(response))
    common = len(wanted & said)
    match = 2 * common / (len(wanted) + len(said)) if said else 0.0
    return match if len(wanted) <= LABEL_WORDS else min(1.0, match / 0.5)


def _last_user_text(conversation: list[Json]) -> str:
    for message in reversed(conversation):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else json.dumps(content)
    return ""


def _reason(features: Features, kind: str) -> str:
    if features.fault:
        return f"Stand-in judge ({kind}): {features.fault}."
    parts = {
        "takes up the question": features.relevance,
        "gives steps": features.guidance,
        "is courteous": features.courtesy,
        "makes no promises": features.restraint,
    }
    shown = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
    return f"Stand-in judge ({kind}): {shown}."
