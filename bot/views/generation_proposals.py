"""What the proposals to make rows say before they are decided: generation, and chosen rows in other words."""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.kit import (
    Block,
    context,
    count,
    fields,
    figure,
    listed,
    mapped,
    more,
    real,
    say,
    section,
    table,
    whole,
)
from storage.records import Json

STRATEGIES = {
    "message_variation": "variations of real rows",
    "few_shot": "a few diverse examples",
    "topic_description": "the topic's description",
    "scenario_expansion": "a scenario and its variations",
    "tool_chain": "chains of your rows' own tools",
}


def strategy_words(strategy: object) -> str:
    """How examples are made, as the form says it."""
    name = str(strategy or "")
    return STRATEGIES.get(name) or say(name.replace("_", " ") or "your rows", 40)


def generation(payload: Json) -> Sequence[Block | None]:
    plan = [mapped(item) for item in listed(payload.get("plan"))]
    preview = (
        "A preview of a few examples is one click away, on the coverage card."
        if payload.get("preview_offered") and not payload.get("from_goal")
        else ""
    )
    return [
        section(
            f"*{count(payload.get('total'), 'example')}* from {strategy_words(payload.get('strategy'))}{_what_for(payload)}."
        ),
        section(_earlier(payload)),
        fields(
            [
                ("Balance now", figure(payload.get("balance"))),
                ("Expected balance", figure(payload.get("expected_balance"))),
            ]
        )
        if real(payload.get("expected_balance")) is not None
        else None,
        section(_less_even(payload)),
        table(
            ("Topic", "Examples"),
            [(item.get("name") or item.get("topic") or "", f"{whole(item.get('count')):,}") for item in plan],
            numbers=(1,),
            most=20,
        ),
        context(voices(payload)),
        context(preview),
    ]


def augmentation(payload: Json) -> Sequence[Block | None]:
    methods = [str(method) for method in listed(payload.get("methods"))]
    pivot = say(payload.get("pivot") or "another language", 40)
    ways = {"paraphrase": "paraphrased", "backtranslate": f"translated to {pivot} and back"}
    said = " and ".join(ways.get(method, say(method, 40)) for method in methods[:4])
    topics = [say(topic, 60) for topic in listed(payload.get("topics"))]
    return [
        section(
            f"*{count(payload.get('rows'), 'row')}* said again, {said}: up to {count(payload.get('total'), 'new row')}."
        ),
        section(f"*Of:* {', '.join(topics[:8])}{more(8, len(topics))}" if topics else ""),
        context(
            "Numbers, names and what is denied must stay; what changes them is rejected and counted. Answers and columns are kept."
        ),
    ]


def voices(payload: Json) -> str:
    """In whose voices the examples are written."""
    found = [say(voice, 60) for voice in listed(payload.get("personas"))]
    return f"*Voices:* {'; '.join(found[:4])}{more(4, len(found))}" if found else ""


def _what_for(payload: Json) -> str:
    """The form of the examples, and why they are made."""
    form = ", whole conversations" if payload.get("generation_mode") == "sft" else ""
    if payload.get("from_goal"):
        return f"{form}. All of them synthetic: there are no real rows yet"
    kinds = whole(payload.get("combinations"))
    crossed = f", {kinds:,} combinations a topic and none of them twice" if kinds else ""
    seeds = any(mapped(line).get("topic") == "" for line in listed(payload.get("plan")))
    before, after = real(payload.get("balance")), real(payload.get("expected_balance"))
    evens = not seeds and before is not None and after is not None and after - before >= 0.005
    return f"{form}{crossed}" + (", so that topics with few rows catch up" if evens else "")


def _less_even(payload: Json) -> str:
    """A word of warning where so many examples would tip the balance."""
    before, after = real(payload.get("balance")), real(payload.get("expected_balance"))
    if before is None or after is None or before - after < 0.1:
        return ""
    return f"⚠️ The topics would be less even than now ({figure(before)} → {figure(after)}). *Edit* asks for fewer, or for other topics."


def _earlier(payload: Json) -> str:
    found = mapped(payload.get("earlier"))
    if not found:
        return ""
    return (
        f"Goes on with an earlier round of the same request: {count(found.get('kept'), 'row')} of it are there already, "
        "these are missing."
    )
