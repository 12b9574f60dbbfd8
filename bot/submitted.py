"""What a submitted form does: the same tool that the model would call, with the fields as arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot import row_forms, threads
from bot.actions import NO_WORKFLOW, UNKNOWN
from bot.hands import Click, Events, Hands, answer, tool_answer, use_tool
from bot.listeners import forms
from bot.views.kit import say
from bot.views.topics import topic_key
from storage.records import Json, OutboxEvent
from tasks.cleaning.rows import SWITCHES
from tasks.rules import graders, topics

Handler = Callable[[Hands, Click, Json], Awaitable[Events]]
NOTHING_TO_DO = ("rows",)  # browsing acts at once; its "Done" only closes it


async def submit(hands: Hands, click: Click) -> Events:
    """Carry out a form that `listeners/forms.py` found in order."""
    if str(click.item.data.get("form") or "") in NOTHING_TO_DO:
        return []
    handler = HANDLERS.get(str(click.item.data.get("form") or ""))
    if handler is None:
        return [answer(click, UNKNOWN, level="warning")]
    if click.person.turned_away:
        return [answer(click, click.person.turned_away, level="warning")]
    if click.workflow is None and str(click.item.data["form"]) not in (*threads.SUBMITTED, "bootstrap"):
        return [answer(click, NO_WORKFLOW, level="warning")]
    return await handler(hands, click, dict(click.item.data.get("values") or {}))


async def _goal(hands: Hands, click: Click, values: Json) -> Events:
    result = await tool_answer(
        hands, click, "start_finetune_workflow", {"training_goals": str(values["goal"])}
    )
    if result:
        return result
    text = f"<@{click.item.user}> set the goal: {say(str(values['goal']), 500)}"
    data = {"text": text, "level": "info"}  # for everybody in the thread: what is learned concerns them all
    return [OutboxEvent("notice", click.channel, click.thread_ts, data, key=f"goal:{click.item.id}")]


async def _topics(hands: Hands, click: Click, values: Json) -> Events:
    return await tool_answer(hands, click, "apply_topic_hierarchy", {"hierarchy": forms.outline_text(values)})


async def _template(hands: Hands, click: Click, values: Json) -> Events:
    arguments = {"method": "template", "template_name": str(values.get("template") or "")}
    return await tool_answer(hands, click, "generate_topics", arguments)


async def _grader(hands: Hands, click: Click, values: Json) -> Events:
    """Going to the grader settles the coverage step as it is; then the grader is proposed."""
    await use_tool(hands, click, "advance_to_step", {"step": "grader_config"})
    return await tool_answer(hands, click, "configure_grader", _grader_arguments(values))


def _grader_arguments(values: Json) -> Json:
    kind = values.get("kind")
    if kind == "script":
        source = str(values.get("script") or "")
        config: Json = {"language": graders.script_language(source), "source": source}
        return {"grader_type": "script", "config": config}
    if kind == "preset":
        return {"grader_type": "llm_as_judge", "preset": str(values.get("preset") or "")}
    found = forms.criteria_of(str(values.get("criteria") or ""))
    criteria = [{"name": item.name, "description": item.description, "weight": item.weight} for item in found]
    return {"grader_type": "llm_as_judge", "config": {"criteria": criteria}}


async def _generation(hands: Hands, click: Click, values: Json) -> Events:
    leaves = topics.leaves(click.workflow.topics) if click.workflow else ()
    chosen = set(values.get("topics") or [])
    arguments: Json = {
        "count_per_topic": forms.whole_number(str(values.get("count") or "")) or 50,
        "target_topics": [leaf.id for leaf in leaves if topic_key(leaf.id) in chosen],
    }
    if values.get("strategy"):
        arguments["strategy"] = str(values["strategy"])
    if values.get("mode") == "sft":
        arguments["generation_mode"] = "sft"
    lines = {name: str(values.get(name) or "").splitlines() for name in ("aspects", "tool_patterns")}
    arguments |= {
        "base_scenario": str(values.get("base_scenario") or "").strip(),
        "aspects": [line.strip() for line in lines["aspects"] if line.strip()],
        "tool_patterns": [forms.names_in(line) for line in lines["tool_patterns"] if line.strip()],
    }
    return await tool_answer(hands, click, "generate_synthetic_data", arguments)


async def _bootstrap(hands: Hands, click: Click, values: Json) -> Events:
    """The goal first, which begins a workflow where there is none; then topics for it."""
    begun = {"training_goals": str(values.get("goal") or ""), "from_scratch": True}
    said = await tool_answer(hands, click, "start_finetune_workflow", begun)
    placed = await hands.desk.workflow_of_thread(click.tenant, click.channel, click.thread_ts)
    if placed is None:
        return said
    arguments = {
        "topic_count": forms.whole_number(str(values.get("topic_count") or "")) or 6,
        "count_per_topic": forms.whole_number(str(values.get("count") or "")) or 20,
    }
    return await tool_answer(hands, replace(click, workflow=placed), "bootstrap_dataset", arguments)


async def _cleaning(hands: Hands, click: Click, values: Json) -> Events:
    """What is ticked is done, everything else that the form offered is not."""
    ticked = set(values.get("what") or [])
    mode = str(values.get("personal_data") or "report")
    arguments: Json = {name: name in ticked for name in SWITCHES}
    return await tool_answer(hands, click, "clean_dataset", {**arguments, "personal_data": mode})


async def _training(hands: Hands, click: Click, values: Json) -> Events:
    arguments: Json = {"train_split": forms.decimal(str(values.get("train_split") or "0.9")) or 0.9}
    if epochs := forms.whole_number(str(values.get("epochs") or "")):
        arguments["epochs"] = epochs
    if values.get("effort"):
        arguments["reasoning_effort"] = str(values["effort"])
    return await tool_answer(hands, click, "start_training", arguments)


async def _tried(hands: Hands, click: Click, values: Json) -> Events:
    return await tool_answer(hands, click, "try_model", {"prompt": str(values.get("prompt") or "")[:4_000]})


async def _export(hands: Hands, click: Click, values: Json) -> Events:
    arguments = {
        "format": str(values.get("format") or "jsonl"),
        "splits": str(values.get("splits") or "none"),
        "shares": str(values.get("shares") or "").strip(),
        "include_generated": values.get("generated") != "without",
        "gzip": values.get("packed") == "gzip",
    }
    return await tool_answer(hands, click, "export_dataset", arguments)


async def _override(hands: Hands, click: Click, values: Json) -> Events:
    what = "deploy" if dict(click.item.data.get("metadata") or {}).get("what") == "deploy" else "verdict"
    return await tool_answer(
        hands, click, f"override_{what}", {"reason": str(values.get("reason") or "")[:500]}
    )


HANDLERS: dict[str, Handler] = {
    "goal": _goal,
    "topics": _topics,
    "template": _template,
    "grader": _grader,
    "generation": _generation,
    "bootstrap": _bootstrap,
    "training": _training,
    "cleaning": _cleaning,
    "try": _tried,
    "export": _export,
    "override": _override,
    **row_forms.SUBMITTED,
    **threads.SUBMITTED,
}
