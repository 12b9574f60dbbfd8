"""Arguments of the tools that make rows, as far as a person's words go: particulars of a round, other words, from a goal, voices."""

from __future__ import annotations

import re
from typing import Any

from bot.sandbox.model.agent.intents import goal_in
from bot.sandbox.model.agent.reading import number_in, topics_named
from bot.sandbox.model.agent.situation import Situation
from bot.sandbox.model.asks import Json

_TOOL = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+"
_GO_ON = re.compile(
    r"\b(continue|go on|carry on|resume|the rest|what('s| is) missing|missing ones|make up)\b", re.I
)
_SCRATCH = re.compile(
    r"\bfrom scratch\b|\bno (file|data|dataset|examples?)( yet)?\b|\bwithout (a|any) (file|data|dataset)\b"
    r"|\bfrom (just |only |nothing but )?(the|a|this|my) goal( alone)?\b",
    re.I,
)


def particulars(words: str) -> Json:
    """Form, chain of tools, and whether exactly so many are wanted; only what is said."""
    found: Json = {}
    chain = list(dict.fromkeys(re.findall(rf"\b{_TOOL}\b", words)))
    if len(chain) > 1:
        found["tool_patterns"] = [chain]
    if re.search(r"\bexactly\b|\bno fewer\b|\buntil (you|we|there) (have|are)\b", words, re.I):
        found["until_kept"] = True
    return found


def same_again(words: str, situation: Situation) -> Json | None:
    """The last generation's arguments, when somebody wants to go on with it; None otherwise."""
    if not _GO_ON.search(words) or number_in(words):
        return None
    asked = [one for one in situation.history if one.tool == "generate_synthetic_data" and one.ok]
    if not asked:
        return None
    makes_up = re.search(r"\b(reject|missing|make up|rest)", words, re.I)
    return {**asked[-1].arguments, **({"continue_earlier": True} if makes_up else {})}


def augmentation(words: str, situation: Situation) -> Json:
    """Paraphrases unless back-translation is named; of the rows that were seen, or of topics."""
    back = re.search(r"\bback-?\s?translat\w*|\btranslat\w+\b.*\bback\b", words, re.I)
    plain = re.search(r"\b(paraphras\w*|reword\w*|rephras\w*|other words|differently)\b", words, re.I)
    pivot = re.search(
        r"\b(?:through|via|to|into)\s+(German|French|Spanish|Italian|Dutch|Polish|Portuguese)\b", words, re.I
    )
    methods = [name for name, said in (("paraphrase", plain or not back), ("backtranslate", back)) if said]
    return {
        "methods": methods,
        "topics": topics_named(words, situation) or None,
        "pivot_language": pivot.group(1).title() if pivot else None,
        "preview": True if re.search(r"\b(preview|show|first|what would)\b", words, re.I) else None,
    }


def scratch_goal(words: str) -> str:
    """The goal in an order for a dataset from nothing: what it is for, without the order itself."""
    about = re.search(
        r"\b(?:for|about|that|goal:?|is)\s+(?P<goal>[^.!?\n]{8,})", _SCRATCH.sub("", words), re.I
    )
    return goal_in([words]) if about is None else about.group("goal").strip(" ,;:")


def wants_scratch(words: str) -> bool:
    return bool(_SCRATCH.search(words))


def bootstrap(words: str, situation: Situation) -> Json:
    topics = re.search(r"(\d{1,2}) topics?\b", words, re.I)
    each = re.search(r"(\d{1,3}) (?:rows?|examples?|questions?)?\s*(?:each|per topic|for each)", words, re.I)
    return {
        "topic_count": int(topics.group(1)) if topics else None,
        "count_per_topic": int(each.group(1)) if each else None,
        "generation_mode": "sft"
        if re.search(r"\b(whole|full) conversations?\b|\bsft\b", words, re.I)
        else None,
    }


def personas(words: str, situation: Situation) -> Json:
    """Voices that are listed after a colon; none leaves them to the tool."""
    listed = words.partition(":")[2]
    named = [part.strip(" .-•") for part in re.split(r"[;\n]|,\s+(?=an? )", listed) if part.strip(" .-•")]
    return {"personas": named if len(named) > 1 else None}


def begins(tool: str, words: str, workflow: Json | None) -> list[tuple[str, dict[str, Any]]]:
    """The call that must come before a dataset from nothing: a workflow with its goal, where there is none."""
    if tool != "bootstrap_dataset" or workflow is not None:
        return []
    return [("start_finetune_workflow", {"training_goals": scratch_goal(words), "from_scratch": True})]
