"""Slash commands, the Home tab and the greeting: what is read across threads, always by what the person may see now.

Answers go to the person alone. Reading follows current membership of each workflow's channel, asked again every time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import structlog

from agent import status
from bot.hands import Hands
from bot.slack_api import SlackError
from bot.views import VIEWS, help, home
from bot.views.kit import Rendered, say
from bot.views.prose import notice
from storage.records import InboxItem, Json, Proposal, StepName, Tenant, Workflow
from tasks import workflow as flow

log = structlog.get_logger(__name__)
SHOWN = 12
NO_WORKFLOWS = (
    "You have no workflow here yet. Upload a JSONL file in a channel I am in, or in a direct message."
)
Handler = Callable[["Commands", Tenant, InboxItem, str], Awaitable[Rendered]]


class Commands:
    """Bound to what handlers act with, and to an HTTP session for response URLs."""

    def __init__(self, *, hands: Hands, session: aiohttp.ClientSession) -> None:
        self._hands = hands
        self._session = session

    async def answer(self, tenant: Tenant, item: InboxItem) -> None:
        """Answer `/finetune <word> …`; an unknown word gets the help."""
        word, _, rest = item.text.strip().partition(" ")
        handler = WORDS.get(word.casefold())
        if handler:
            card = await handler(self, tenant, item, rest.strip())
        else:
            card = VIEWS["help"]({"unknown": word} if word else {})
        await self._respond(item, card)

    async def opened(self, tenant: Tenant, item: InboxItem) -> None:
        """A person opened our Home or Messages tab."""
        if item.data.get("tab") == "home":
            await self._publish_home(tenant, item.user)
        elif item.data.get("tab") == "messages":
            await self._greet(tenant, item)

    # ------------------------------------------------------------ words

    async def _status(self, tenant: Tenant, item: InboxItem, rest: str) -> Rendered:
        if not rest:
            mine = await self._mine(tenant, item.user)
            active = [workflow for workflow in mine if workflow.status == "active"]
            return await self._several(active or mine, "My workflows")
        if rest.casefold() == "all":
            return await self._several(await self._of_channel(tenant, item), "Workflows of this channel")
        named = await self._named(tenant, item, rest)
        if len(named) == 1:
            return await self._one(tenant, named[0])
        if named:
            return await self._several(named, f"Workflows called {rest[:60]}")
        return notice(
            {
                "text": f"I know no workflow called “{say(rest, 80)}” that you can see. `/finetune list` shows yours."
            }
        )

    async def _list(self, tenant: Tenant, item: InboxItem, rest: str) -> Rendered:
        return await self._several(await self._mine(tenant, item.user), "All my workflows")

    async def _new(self, tenant: Tenant, item: InboxItem, rest: str) -> Rendered:
        name = f" *{say(rest, 80)}*" if rest else ""
        text = f"<@{item.user}> begins a new workflow{name}. Share a file of examples in this thread, with a sentence on what the model should learn."
        channel = str(item.data.get("channel") or "")
        try:
            posted = await self._hands.api.call(
                "chat.postMessage",
                channel=channel,
                text=text,
                blocks=help.beginning(text),
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackError:
            return notice(
                {
                    "text": "I am not in this channel. Invite me, or write to me directly, and share a file there."
                }
            )
        link = await self._hands.people.link(channel, str(posted.get("ts") or ""))
        return notice(
            {
                "text": f"Here is your thread: {link}"
                if link
                else "Your thread is open below; share the file in it."
            }
        )

    async def _cancel(self, tenant: Tenant, item: InboxItem, rest: str) -> Rendered:
        found = await self._named(tenant, item, rest) if rest else await self._mine(tenant, item.user)
        running = [
            (workflow, task)
            for workflow in found
            for task in await self._hands.desk.open_tasks(tenant, workflow.id)
        ]
        names = {workflow.id: workflow.name for workflow, _ in running}
        if not running:
            return notice(
                {
                    "text": "Nothing of yours is running."
                    if not rest
                    else f"Nothing is running in “{say(rest, 80)}”."
                }
            )
        if len(names) > 1:
            lines = [f"• *{say(name, 80)}*: `/finetune cancel {say(name, 60)}`" for name in names.values()]
            return notice(
                {"text": "Several workflows have something running. Which one?\n" + "\n".join(lines[:SHOWN])}
            )
        for _, task in running:
            await self._hands.desk.request_cancel(tenant, task.id, by=item.user)
        titles = ", ".join(self._hands.desk.operations[task.operation].title for _, task in running)
        return notice(
            {
                "text": f"Stopping in *{say(next(iter(names.values())), 80)}*: {titles}. What is finished is kept."
            }
        )

    async def _help(self, tenant: Tenant, item: InboxItem, rest: str) -> Rendered:
        return VIEWS["help"]({})

    # ------------------------------------------------------------ reading

    async def _mine(self, tenant: Tenant, user: str) -> list[Workflow]:
        found = await self._hands.deps.state.find(tenant, Workflow, f"workflow:owner:{user}")
        return _newest(await self._hands.people.readable(user, found))

    async def _of_channel(self, tenant: Tenant, item: InboxItem) -> list[Workflow]:
        channel = str(item.data.get("channel") or "")
        found = await self._hands.deps.state.find(tenant, Workflow, f"workflow:channel:{channel}")
        return _newest(await self._hands.people.readable(item.user, found))

    async def _named(self, tenant: Tenant, item: InboxItem, name: str) -> list[Workflow]:
        wanted = " ".join(name.split()).casefold().strip("\"'“”")
        seen = {
            flow.id: flow
            for flow in [*await self._mine(tenant, item.user), *await self._of_channel(tenant, item)]
        }
        exact = [
            workflow
            for workflow in seen.values()
            if workflow.name.casefold() == wanted or workflow.id == name
        ]
        return exact or [
            workflow for workflow in seen.values() if wanted and wanted in workflow.name.casefold()
        ]

    async def _one(self, tenant: Tenant, workflow: Workflow) -> Rendered:
        tasks = await self._hands.desk.open_tasks(tenant, workflow.id)
        waiting = await self._hands.desk.open_proposals(tenant, workflow.channel, workflow.thread_ts)
        facts = status.describe(workflow, tasks, waiting, self._hands.desk.clock(), steps_of=self._step_of)
        return VIEWS["status"](facts)

    async def _several(self, workflows: list[Workflow], title: str) -> Rendered:
        lines = [await self._line(workflow) for workflow in workflows[:SHOWN]]
        lines += [{"name": workflow.name} for workflow in workflows[SHOWN:]]  # only counted
        return VIEWS["workflows"]({"title": title, "workflows": lines})

    async def _line(self, workflow: Workflow) -> Json:
        return {
            "name": workflow.name,
            "step": flow.current_step(workflow),
            "percent": flow.percent(workflow),
            "owner": workflow.owner,
            "updated_at": workflow.updated_at,
            "status": workflow.status,
            "link": await self._hands.people.link(workflow.channel, workflow.thread_ts),
        }

    def _step_of(self, operation: str) -> StepName | None:
        found = self._hands.desk.operations.get(operation)
        return found.step if found else None

    # ------------------------------------------------------------ Home and Messages

    async def _publish_home(self, tenant: Tenant, user: str) -> None:
        mine = await self._mine(tenant, user)
        lines = [await self._line(workflow) for workflow in mine[: home.MOST]]
        data = {"workflows": lines, "approvals": await self._approvals(tenant, user)}
        try:
            await self._hands.api.call("views.publish", user_id=user, view=home.render(data))
        except SlackError as error:
            log.warning("home_not_published", user=user, error=str(error))

    async def _approvals(self, tenant: Tenant, user: str) -> list[Json]:
        """Open proposals that this person may decide, in channels they are in."""
        person = await self._hands.people.whois(user)
        found: list[Json] = []
        if person.is_guest:
            return found
        for proposal in await self._hands.deps.state.find(tenant, Proposal, "proposal:open"):
            workflow = await self._hands.desk.workflow(tenant, proposal.workflow_id)
            mine = (
                {user, *person.groups} & set(proposal.deciders)
                if proposal.deciders
                else workflow and workflow.owner == user
            )
            if workflow is None or not mine or not await self._hands.people.may_read(user, workflow):
                continue
            posted = await self._hands.deps.state.recall(tenant, f"proposal:{proposal.id}") or {}
            link = await self._hands.people.link(
                proposal.channel, str(posted.get("ts") or proposal.thread_ts)
            )
            found.append({"title": proposal.title, "workflow": workflow.name, "link": link})
        return found

    async def _greet(self, tenant: Tenant, item: InboxItem) -> None:
        """Once a person: how this works."""
        name = f"greeted:{item.user}"
        channel = str(item.data.get("channel") or "")
        if not channel or await self._hands.deps.state.recall(tenant, name):
            return
        await self._hands.deps.state.remember(tenant, name, {"at": item.at})
        card = help.greeting()
        try:
            await self._hands.api.call(
                "chat.postMessage", channel=channel, text=card.text, blocks=list(card.blocks)
            )
        except SlackError as error:
            log.warning("not_greeted", user=item.user, error=str(error))

    async def _respond(self, item: InboxItem, card: Rendered) -> None:
        """By the command's own address; where that is no longer good, as an ephemeral message."""
        url = str(item.data.get("response_url") or "")
        body = {"response_type": "ephemeral", "text": card.text, "blocks": list(card.blocks)}
        try:
            async with self._session.post(
                url, json=body, timeout=aiohttp.ClientTimeout(total=10)
            ) as response:
                if response.status < 300:
                    return
                log.warning("response_url_refused", status=response.status)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("response_url_failed", error=type(error).__name__)
        try:
            channel = str(item.data.get("channel") or "")
            await self._hands.api.call(
                "chat.postEphemeral",
                channel=channel,
                user=item.user,
                text=card.text,
                blocks=list(card.blocks),
            )
        except SlackError as error:
            log.warning("command_not_answered", user=item.user, error=str(error))


WORDS: dict[str, Handler] = {
    "status": Commands._status,
    "list": Commands._list,
    "new": Commands._new,
    "cancel": Commands._cancel,
    "help": Commands._help,
}


def _newest(workflows: list[Workflow]) -> list[Workflow]:
    return sorted(workflows, key=lambda workflow: -workflow.updated_at)
