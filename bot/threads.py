"""The message shortcut "Add to dataset": a thread becomes a row, with its permalink and its author.

Whoever asked first is the user, everybody else answers; the modal shows the turns so that roles can be changed and turns left
out. Only members of the channel may take words from it, asked again when the form comes back. Slack allows some apps to read
only a few messages at once, so no more than one page of a thread is ever read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from bot import markup, rows
from bot.hands import Click, Events, Hands, answer, meta
from bot.rows import Handler, fill, show_waiting
from bot.slack_api import SlackError, SlackRefused
from bot.views import row_forms as forms
from bot.views import row_modals as modals
from bot.views.kit import Choice, clip, escape, say
from storage.errors import NotFound
from storage.records import Json, OutboxEvent, Workflow
from tasks.drafting import short_id
from tasks.rules.validation import explain
from tasks.steps import editing

MOST_MESSAGES = 200
MOST_WORKFLOWS = 20
TITLE = "Add to dataset"
SILENT = frozenset(
    {
        "channel_join",
        "channel_leave",
        "channel_topic",
        "channel_purpose",
        "channel_name",
        "tombstone",
        "bot_add",
        "pinned_item",
    }
)
NOT_A_MEMBER = "Only members of this channel can add its messages to a dataset. Join it first."
NOT_THERE = "I cannot read this thread. Invite me to the channel (`/invite`), then try again."
NO_MESSAGE = "This message is not there any more."
NO_WORDS = "Nobody wrote anything in this thread that could be a row."
NO_WORKFLOW = "There is no dataset yet that you could add it to. Share a file of examples in a channel that I am in, to begin one."


@dataclass(frozen=True, slots=True)
class Turn:
    """Consecutive messages of one person. `who` is their id, "" for an app."""

    who: str
    name: str
    role: str
    text: str


# ---------------------------------------------------------------- the form


async def _shortcut(hands: Hands, click: Click) -> Events:
    opened = await show_waiting(hands, click, TITLE, name=forms.THREAD)
    if opened is None:
        return [answer(click, "That took too long to open. Please try again.", level="warning")]
    view = await _form(hands, click)
    if isinstance(view, str):
        view = modals.said(TITLE, meta(click), view, name="row")
    await fill(hands, opened, view)
    return []


async def _form(hands: Hands, click: Click) -> Json | str:
    """The modal, or why there is none."""
    if reason := await _barred(hands, click):
        return reason
    messages = await _messages(hands, click)
    if isinstance(messages, str):
        return messages
    targets = await _targets(hands, click)
    if not targets:
        return NO_WORKFLOW
    turns, left = turns_of(messages, await _names(hands, messages))
    if not turns:
        return NO_WORDS
    carried = meta(click, link=await hands.people.link(click.channel, click.thread_ts))
    carried |= {"author": turns[0].who, "name": clip(turns[0].name, 80), "ts": click.thread_ts}
    listed = [{"who": turn.name, "role": turn.role, "text": turn.text} for turn in turns]
    choices = [Choice(_title(workflow, click), workflow.id) for workflow in targets]
    trees = [(clip(workflow.name, 70), _topics(workflow)) for workflow in targets]
    return forms.thread(carried, listed, choices, trees, note=_note(left))


def _note(left: int) -> str:
    more = f" The thread goes on with {left} more turns, which do not fit." if left else ""
    return (
        "This thread becomes one example. Change who is who, mend the words, or leave turns out. "
        f"Everybody who can see the dataset can read them then.{more}"
    )


async def _barred(hands: Hands, click: Click) -> str:
    if click.person.turned_away:
        return click.person.turned_away
    return "" if await hands.people.is_in(click.person.id, click.channel) else NOT_A_MEMBER


async def _messages(hands: Hands, click: Click) -> list[Json] | str:
    """The thread's messages, oldest first, as they are now."""
    try:
        found = await hands.api.call(
            "conversations.replies", channel=click.channel, ts=click.thread_ts, limit=MOST_MESSAGES
        )
    except SlackRefused as error:
        return NO_MESSAGE if error.code in ("thread_not_found", "message_not_found") else NOT_THERE
    except SlackError:
        return "Slack does not answer just now. Please try again in a moment."
    return list(found.get("messages") or [])


async def _names(hands: Hands, messages: Sequence[Json]) -> dict[str, str]:
    """What those who speak and those who are mentioned are called."""
    wanted = [str(one.get("user") or "") for one in messages]
    wanted += [id for one in messages for id in markup.people_in(str(one.get("text") or ""))]
    ids = [id for id in dict.fromkeys(wanted) if id][: 2 * forms.MOST_TURNS]
    return {id: await hands.people.name_of(id) for id in ids}


def turns_of(messages: Sequence[Json], names: dict[str, str]) -> tuple[list[Turn], int]:
    """The turns that a row can have, and how many more there would be. Whoever speaks first asks; apps never do."""
    turns: list[Turn] = []
    asks = next(
        (str(one.get("user") or "") for one in messages if _is_words(one) and not one.get("bot_id")), ""
    )
    for one in (message for message in messages if _is_words(message)):
        who = "" if one.get("bot_id") else str(one.get("user") or "")
        name = names.get(str(one.get("user") or "")) or str(one.get("username") or "") or "an app"
        role = "user" if who and who == asks else "assistant"
        text = markup.plain(str(one["text"]), names)
        if (
            turns
            and (turns[-1].who, turns[-1].name) == (who, name)
            and len(turns[-1].text) + len(text) < 2_900
        ):
            turns[-1] = replace(turns[-1], text=f"{turns[-1].text}\n{text}")
        elif text:
            turns.append(Turn(who, name, role, clip(text, 3_000)))
    return turns[: forms.MOST_TURNS], max(0, len(turns) - forms.MOST_TURNS)


def _is_words(message: Json) -> bool:
    hidden = message.get("hidden") or message.get("subtype") in SILENT
    return not hidden and bool(str(message.get("text") or "").strip())


async def _targets(hands: Hands, click: Click) -> list[Workflow]:
    """Workflows that the row could go to: this thread's, this channel's, then their own elsewhere; only what they may see."""
    found: dict[str, Workflow] = {}
    for index in (f"workflow:channel:{click.channel}", f"workflow:owner:{click.person.id}"):
        listed = await hands.deps.state.find(click.tenant, Workflow, index)
        newest = sorted(listed, key=lambda one: (one.thread_ts != click.thread_ts, -one.updated_at))
        for workflow in await hands.people.readable(click.person.id, newest[:100]):
            if workflow.dataset_version and workflow.status != "deleted":
                found.setdefault(workflow.id, workflow)
    return list(found.values())[:MOST_WORKFLOWS]


def _title(workflow: Workflow, click: Click) -> str:
    where = "" if workflow.channel == click.channel else " (elsewhere)"
    return f"{clip(workflow.name, 60)}{where}"


def _topics(workflow: Workflow) -> list[Choice]:
    """Values name the workflow too, so that a topic of another one is noticed."""
    return [Choice(one.text, f"{workflow.id}|{one.value}") for one in rows.topic_choices(workflow)]


# ---------------------------------------------------------------- the row


async def added(hands: Hands, click: Click, values: Json) -> Events:
    """What the submitted form does: one row in the chosen workflow's dataset, and a word about it in its thread."""
    if reason := await _barred(hands, click):
        return [answer(click, reason, level="warning")]
    targets = {workflow.id: workflow for workflow in await _targets(hands, click)}
    workflow = targets.get(str(values.get("workflow") or ""))
    if workflow is None:
        return [answer(click, "You cannot see that dataset any more; nothing was added.", level="warning")]
    carried = dict(click.item.data.get("metadata") or {})
    topic = rows.topic_of(str(values.get("topic") or "").partition("|")[2], workflow)
    row = editing.new_row(
        short_id("s", click.item.id),
        messages_of(values),
        topic=topic or None,
        item={},
        provenance=_provenance(click, carried, hands.desk.clock()),
    )
    make = editing.adding(hands.deps, row, by=click.person.id)
    try:
        made = await editing.edit(
            hands.deps,
            click.tenant,
            workflow.id,
            make,
            what="thread added as a row",
            by=click.person.id,
            evidence=str(carried.get("ts") or ""),
        )
    except NotFound:
        return [answer(click, "That dataset was deleted meanwhile; nothing was added.", level="warning")]
    stored = await asyncio.to_thread(hands.deps.datasets.get_record, made, row.id)
    return [
        _to_thread(click, workflow, carried, made.version),
        answer(click, _outcome(hands, workflow, stored.error)),
    ]


def messages_of(values: Json) -> list[Json]:
    """The turns that were kept, under the roles that were chosen."""
    kept = []
    for place in range(forms.MOST_TURNS):
        role, text = str(values.get(f"role_{place}") or ""), str(values.get(f"turn_{place}") or "").strip()
        if role in ("user", "assistant", "system") and text:
            kept.append({"role": role, "content": text})
    return kept


def _provenance(click: Click, carried: Json, at: float) -> Json:
    return {
        "permalink": str(carried.get("link") or ""),
        "author": str(carried.get("author") or ""),
        "author_name": str(carried.get("name") or ""),
        "channel": click.channel,
        "ts": str(carried.get("ts") or click.thread_ts),
        "by": click.person.id,
        "at": at,
    }


def _to_thread(click: Click, workflow: Workflow, carried: Json, version: int) -> OutboxEvent:
    link = str(carried.get("link") or "")
    source = (
        f"<{link}|a thread>"
        if link.startswith(("https://", "http://")) and not set(link) & set("<>|")
        else "a thread"
    )
    text = f"<@{click.person.id}> added {source} as a row (dataset version {version})."
    data: Json = {"text": text, "level": "info"}
    return OutboxEvent("notice", workflow.channel, workflow.thread_ts, data, key=f"thread:{click.item.id}")


def _outcome(hands: Hands, workflow: Workflow, error: str) -> str:
    name = say(workflow.name, 80)
    if not error:
        return f"✅ Added to *{name}*."
    mend = explain(error, line=0, limits=hands.deps.settings.limits).mend  # type: ignore[arg-type]
    return f"⚠️ Added to *{name}*, but rejected there: {escape(mend)}"


HANDLERS: dict[str, Handler] = {"shortcut.add": _shortcut}
SUBMITTED: dict[str, Callable[[Hands, Click, Json], Awaitable[Events]]] = {forms.THREAD: added}
