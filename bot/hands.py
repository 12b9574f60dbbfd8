"""What the bot's handlers act with, and the two things they all do: call a tool as a person, answer one person alone.

Buttons and forms act through the agent's tools, so that a refusal, a proposal or a started job is the same by button as by
chat. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent import notices
from agent.tooling import Tool, ToolContext, ToolResult
from bot.people import People
from bot.slack_api import SlackApi, SlackError
from bot.views.kit import say
from storage.records import InboxItem, Json, OutboxEvent, Tenant, Workflow
from tasks.deps import Deps
from tasks.desk import Desk
from tasks.drafting import Person, short_id

Events = list[OutboxEvent]
BY_BUTTON = "button"
QUIET = frozenset({"started", "proposed"})  # their own cards say it


@dataclass(frozen=True, slots=True)
class Hands:
    """Everything a handler may use. `tools` are the agent's, by name."""

    deps: Deps
    desk: Desk
    api: SlackApi
    people: People
    tools: Mapping[str, Tool]


@dataclass(frozen=True, slots=True)
class Click:
    """A person's click or form, with the place it belongs to and the thread's workflow, if any."""

    tenant: Tenant
    item: InboxItem
    person: Person
    channel: str
    thread_ts: str
    workflow: Workflow | None

    @property
    def value(self) -> str:
        return str(self.item.data.get("value") or "")

    @property
    def trigger(self) -> str:
        return str(self.item.data.get("trigger") or "")


async def placed(hands: Hands, tenant: Tenant, item: InboxItem) -> Click:
    """The click with its person and workflow. A button that names a workflow of another channel finds nothing there."""
    channel, thread_ts = str(item.data.get("channel") or ""), str(item.data.get("thread_ts") or "")
    person = await hands.people.whois(item.user)
    if item.data.get("foreign"):
        person = Person(id=person.id, groups=person.groups, is_guest=True)
    workflow = await hands.desk.workflow_of_thread(tenant, channel, thread_ts) if channel else None
    return Click(tenant, item, person, channel, thread_ts, workflow)


async def use_tool(hands: Hands, click: Click, name: str, arguments: Json) -> ToolResult:
    """The tool, called by the person; the item's id is the key, so a repeat after a crash acts once."""
    context = ToolContext(
        tenant=click.tenant,
        channel=click.channel,
        thread_ts=click.thread_ts,
        actor=click.person,
        deps=hands.deps,
        desk=hands.desk,
        call_id=short_id("b", click.item.id, name),
        workflow=click.workflow,
        evidence=BY_BUTTON,
    )
    return await hands.tools[name].call(context, arguments)


async def tool_answer(hands: Hands, click: Click, name: str, arguments: Json) -> Events:
    """The tool, and what the person has to hear about it: refusals and what no card shows."""
    result = await use_tool(hands, click, name, arguments)
    return told(click, hands.tools[name].title, result)


def told(click: Click, title: str, result: ToolResult) -> Events:
    """A refusal with everything missing and the button that helps; a note where nothing else will be seen."""
    if result.get("ok"):
        quiet = result.get("status") in QUIET or not result.get("note")
        return [] if quiet else [answer(click, str(result["note"]))]
    if result.get("missing"):
        text = notices.refusal_text(title, result)
        return [answer(click, text, level="warning", buttons=notices.refusal_buttons(result, click.workflow))]
    return [answer(click, say(result.get("error") or "That did not work.", 1_500), level="warning")]


def answer(
    click: Click, text: str, *, level: str = "info", buttons: Sequence[Json] = (), part: str = "answer"
) -> OutboxEvent:
    """Words for this person alone, in the thread they clicked in."""
    data: Json = {"text": text, "level": level, **({"buttons": list(buttons)} if buttons else {})}
    return OutboxEvent(
        kind="notice",
        channel=click.channel,
        thread_ts=click.thread_ts,
        data=data,
        key=f"{part}:{click.item.id}",
        to=click.item.user,
    )


def shown(click: Click, kind: str, data: Json) -> OutboxEvent:
    """A card for this person alone."""
    return OutboxEvent(
        kind, click.channel, click.thread_ts, data, key=f"{kind}:{click.item.id}", to=click.item.user
    )


async def open_view(hands: Hands, click: Click, view: Json) -> Events:
    """Open a modal; a trigger lives three seconds, and when it is too late the person is asked to click again."""
    try:
        await hands.api.call("views.open", trigger_id=click.trigger, view=view)
    except SlackError:
        return [answer(click, "That took too long to open. Please click once more.", level="warning")]
    return []


def meta(click: Click, **more: str) -> Json:
    """What a modal carries so that its submission finds its way back."""
    return {"channel": click.channel, "thread_ts": click.thread_ts, **more}
