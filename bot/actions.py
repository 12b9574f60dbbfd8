"""What each button does. A table from action ids to small functions; each returns what the clicker alone is told.

Deciding is the desk's compare-and-set; everything else goes through the agent's tools or opens a form. Cards redraw
themselves from the outbox, so nothing here touches a message.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import structlog

from bot import further_files, row_forms, rows, threads
from bot.hands import BY_BUTTON, Click, Events, Hands, answer, meta, open_view, shown, tool_answer
from bot.listeners.forms import criteria_text
from bot.views import cleaning, modals
from bot.views.generation_proposals import STRATEGIES
from bot.views.kit import Choice, listed, mapped
from bot.views.topics import topic_key
from storage.records import Grader, Json, Proposal, Task
from tasks.exporting.files import FORMATS
from tasks.rules import graders, outline, topics
from tasks.rules.topic_templates import templates

log = structlog.get_logger(__name__)
Handler = Callable[[Hands, Click], Awaitable[Events]]
UNKNOWN = "I do not know that button any more; the card is probably an old one. Ask me for the status."
NO_WORKFLOW = "There is no workflow in this thread any more."
REFUSE_THEMSELVES = ("proposal.", "shortcut.")  # the desk does, and a shortcut says it where it was used


async def act(hands: Hands, click: Click) -> Events:
    """Do what the button says."""
    name = str(click.item.data.get("action") or "")
    handler = _handler(name)
    if handler is None:
        return [answer(click, UNKNOWN, level="warning")]
    if click.person.turned_away and not name.startswith(REFUSE_THEMSELVES):
        return [answer(click, click.person.turned_away, level="warning")]
    return await handler(hands, click)


def _handler(name: str) -> Handler | None:
    """By the name before a colon: what follows it says which row or field is meant."""
    if name.startswith("next."):
        return _next
    return HANDLERS.get(name.partition(":")[0])


# ---------------------------------------------------------------- proposals


async def _approve(hands: Hands, click: Click) -> Events:
    return await _decide(hands, click, approve=True)


async def _reject(hands: Hands, click: Click) -> Events:
    return await _decide(hands, click, approve=False)


async def _decide(hands: Hands, click: Click, *, approve: bool) -> Events:
    proposal = await _proposal(hands, click)
    if proposal is None:
        log.warning("unknown_proposal", user=click.person.id, channel=click.channel)
        return [answer(click, "I do not know that proposal here.", level="warning")]
    decided = await hands.desk.decide(
        click.tenant, proposal.id, click.person, approve=approve, evidence=BY_BUTTON
    )
    if not decided.accepted:
        log.info("decision_refused", proposal=proposal.id, user=click.person.id)
    return [answer(click, decided.answer)] if decided.answer else []


async def _proposal(hands: Hands, click: Click) -> Proposal | None:
    """The proposal that the button names, where the click was made in its own channel."""
    found = await hands.deps.state.get(click.tenant, Proposal, click.value)
    return found if found and found.channel == click.channel else None


async def _edit(hands: Hands, click: Click) -> Events:
    proposal = await _proposal(hands, click)
    if proposal is None or proposal.status != "open":
        return [answer(click, "That card is closed already; the newest one is below.", level="warning")]
    form = EDITORS.get(proposal.kind)
    return (
        await form(hands, click, proposal)
        if form
        else [answer(click, "This cannot be edited; reject it and ask anew.")]
    )


async def _edit_topics(hands: Hands, click: Click, proposal: Proposal) -> Events:
    tree = topics.from_dicts(proposal.payload.get("hierarchy"))
    carried = meta(click, proposal_id=proposal.id) | {"depth": topics.depth(tree)}
    view = modals.topics(carried, outline.to_outline(tree))
    if view is None:
        return [
            answer(
                click,
                "This tree is too long for a form. Tell me the change in words, such as “merge A and B”.",
            )
        ]
    return await open_view(hands, click, view)


async def _edit_grader(hands: Hands, click: Click, proposal: Proposal) -> Events:
    view = _grader_form(
        click, str(proposal.payload.get("kind") or ""), mapped(proposal.payload.get("config"))
    )
    return await open_view(hands, click, view)


async def _edit_generation(hands: Hands, click: Click, proposal: Proposal) -> Events:
    return await _generation_form(hands, click, mapped(proposal.payload.get("params")))


async def _edit_cleaning(hands: Hands, click: Click, proposal: Proposal) -> Events:
    return await open_view(hands, click, cleaning.form(meta(click), proposal.payload))


async def _edit_training(hands: Hands, click: Click, proposal: Proposal) -> Events:
    return await _training_form(hands, click, mapped(proposal.payload.get("params")))


EDITORS: dict[str, Callable[[Hands, Click, Proposal], Awaitable[Events]]] = {
    "topics": _edit_topics,
    "grader": _edit_grader,
    "generation": _edit_generation,
    "training": _edit_training,
    "clean": _edit_cleaning,
}


# ---------------------------------------------------------------- forms


async def _open_goal(hands: Hands, click: Click) -> Events:
    return await open_view(
        hands, click, modals.goal(meta(click), click.workflow.goal if click.workflow else "")
    )


async def _open_topics(hands: Hands, click: Click) -> Events:
    tree = click.workflow.topics if click.workflow else ()
    view = modals.topics(
        meta(click) | {"depth": topics.depth(tree)}, outline.to_outline(tree) if tree else ""
    )
    return await open_view(hands, click, view or modals.topics(meta(click), "") or {})


async def _open_template(hands: Hands, click: Click) -> Events:
    names = [Choice(name.replace("_", " ").capitalize(), name) for name in templates()]
    return await open_view(hands, click, modals.template(meta(click), names))


async def _regenerate(hands: Hands, click: Click) -> Events:
    return await tool_answer(hands, click, "generate_topics", {})


async def _open_grader(hands: Hands, click: Click) -> Events:
    workflow = click.workflow
    known = f"{workflow.id}.{workflow.grader_version}" if workflow and workflow.grader_version else ""
    current = await hands.deps.state.get(click.tenant, Grader, known) if known else None
    return await open_view(
        hands, click, _grader_form(click, current.kind if current else "", current.config if current else {})
    )


def _grader_form(click: Click, kind: str, config: Json) -> Json:
    presets = [Choice(name.replace("_", " ").capitalize(), name) for name in graders.PRESETS]
    script = str(config.get("source") or "")
    criteria = criteria_text([mapped(item) for item in listed(config.get("criteria"))])
    shown_kind = "script" if kind == "script" else "criteria"
    return modals.grader(meta(click), kind=shown_kind, criteria=criteria, script=script, presets=presets)


async def _open_generation(hands: Hands, click: Click) -> Events:
    return await _generation_form(hands, click, {})


async def _generation_form(hands: Hands, click: Click, params: Json) -> Events:
    leaves = topics.leaves(click.workflow.topics) if click.workflow else ()
    choices = [Choice(leaf.name, topic_key(leaf.id)) for leaf in leaves]
    chosen = [topic_key(str(topic)) for topic in listed(params.get("target_topics"))]
    view = modals.generation(
        meta(click),
        count=int(params.get("count_per_topic") or 50),
        strategy=str(params.get("strategy") or "message_variation"),
        strategies=[Choice(words[0].upper() + words[1:], name) for name, words in STRATEGIES.items()],
        topics=choices,
        chosen=chosen,
        more={
            "generation_mode": params.get("generation_mode"),
            "base_scenario": params.get("base_scenario"),
            "aspects": "\n".join(str(aspect) for aspect in listed(params.get("aspects"))),
            "tool_patterns": "\n".join(
                ", ".join(map(str, chain)) for chain in listed(params.get("tool_patterns"))
            ),
        },
    )
    return await open_view(hands, click, view)


async def _open_bootstrap(hands: Hands, click: Click) -> Events:
    return await open_view(
        hands, click, modals.bootstrap(meta(click), click.workflow.goal if click.workflow else "")
    )


async def _open_training(hands: Hands, click: Click) -> Events:
    return await _training_form(hands, click, {})


async def _training_form(hands: Hands, click: Click, params: Json) -> Events:
    workflow = click.workflow
    rows = (
        f"{workflow.valid_rows:,} valid rows; base model `{hands.deps.settings.base_model}`."
        if workflow
        else ""
    )
    view = modals.training(
        meta(click),
        epochs=str(params.get("epochs") or ""),
        train_split=str(params.get("train_split") or 0.9),
        effort=str(params.get("reasoning_effort") or "medium"),
        rows=rows,
    )
    return await open_view(hands, click, view)


async def _open_try(hands: Hands, click: Click) -> Events:
    return await open_view(hands, click, modals.try_model(meta(click)))


async def _open_export(hands: Hands, click: Click) -> Events:
    choices = [Choice(one.title, name) for name, one in FORMATS.items()]
    return await open_view(hands, click, modals.export(meta(click), choices))


async def _new_link(hands: Hands, click: Click) -> Events:
    """A fresh link to files of this thread, for one person who may read here now."""
    task = await hands.deps.state.get(click.tenant, Task, click.value)
    known = task is not None and task.channel == click.channel and task.thread_ts == click.thread_ts
    if task is None or not known or task.status != "finished" or not task.result.get("files"):
        return [answer(click, "I do not know that export here. Ask me for it again.", level="warning")]
    if click.workflow is None or not await hands.people.may_read(click.person.id, click.workflow):
        return [answer(click, "Only people of this channel get its data.", level="warning")]
    kind = "prepared" if task.operation == "prepare_dataset" else "export"
    return [shown(click, kind, {**task.result, "workflow_id": task.workflow_id, "task_id": task.id})]


async def _open_override(hands: Hands, click: Click) -> Events:
    what = str(click.item.data["action"]).partition(".")[2]
    title = "Deploy anyway" if what == "deploy" else "Train anyway"
    return await open_view(hands, click, modals.override(meta(click, what=what), title))


# ---------------------------------------------------------------- going on


async def _next(hands: Hands, click: Click) -> Events:
    """`next.<tool>`: the tool of that name with its defaults, as the model would call it."""
    name = str(click.item.data["action"]).removeprefix("next.")
    if name not in BUTTON_TOOLS or name not in hands.tools:
        return [answer(click, UNKNOWN, level="warning")]
    return await tool_answer(hands, click, name, BUTTON_TOOLS[name](click))


def _as_previewed(value: str) -> Json:
    """What a preview of rows in other words was of; the tool's defaults where the button says nothing that can be read."""
    try:
        asked = json.loads(value)
    except ValueError:
        return {}
    names = ("methods", "record_ids", "topics", "pivot_language")
    return {name: asked[name] for name in names if asked.get(name)} if isinstance(asked, dict) else {}


BUTTON_TOOLS: dict[str, Callable[[Click], Json]] = {
    "prepare_from_knowledge": lambda click: {"source": []},
    "generate_topics": lambda click: {},
    "categorize_records": lambda click: {},
    "analyze_coverage": lambda click: {},
    "generate_preview": lambda click: {},
    "bootstrap_dataset": lambda click: {},
    "augment_dataset": lambda click: _as_previewed(click.value),
    "upload_dataset": lambda click: {},
    "run_dry_run": lambda click: {},
    "deploy_model": lambda click: {},
    "export_dataset": lambda click: {},
    "prepare_dataset": lambda click: {},
    "clean_dataset": lambda click: {},
    "write_dataset_card": lambda click: {},
    "check_viability": lambda click: {},
    "test_grader_sample": lambda click: {},
}


async def _cancel(hands: Hands, click: Click) -> Events:
    task = await hands.deps.state.get(click.tenant, Task, click.value)
    training = click.workflow.training if click.workflow else None
    if (
        training is not None and training.job_id == click.value
    ):  # the training's own card names the provider's job
        return await tool_answer(hands, click, "cancel_job", {"job_id": click.value})
    if task is None or task.channel != click.channel:
        return [answer(click, "I do not know that job here.", level="warning")]
    stopped = await hands.desk.request_cancel(click.tenant, task.id, by=click.person.id)
    words = "Stopping it; what is finished is kept." if stopped else "That job is over already."
    return [answer(click, words)]


async def _feedback(hands: Hands, click: Click) -> Events:
    log.info(
        "feedback", value=click.value[:20], user=click.person.id, message=click.item.data.get("message_ts")
    )
    return [
        answer(
            click,
            "Thank you, noted."
            if click.value == "good"
            else "Noted. Tell me what was wrong and I try again.",
        )
    ]


HANDLERS: dict[str, Handler] = {
    "proposal.approve": _approve,
    "proposal.reject": _reject,
    "proposal.edit": _edit,
    "task.cancel": _cancel,
    "goal.open": _open_goal,
    "topics.manual": _open_topics,
    "topics.template": _open_template,
    "topics.regenerate": _regenerate,
    "grader.open": _open_grader,
    "generation.open": _open_generation,
    "bootstrap.open": _open_bootstrap,
    "training.open": _open_training,
    "try.open": _open_try,
    "export.open": _open_export,
    "export.link": _new_link,
    "override.verdict": _open_override,
    "override.deploy": _open_override,
    "prose.feedback": _feedback,
    **rows.HANDLERS,
    **further_files.HANDLERS,
    **row_forms.HANDLERS,
    **threads.HANDLERS,
}
