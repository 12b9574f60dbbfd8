"""Who somebody is and what they may see, asked of Slack at the time: guests, user groups, membership of a channel.

Answers are kept for seconds only, so that a turn does not ask twice and somebody who has left a channel reads nothing.
What a person may decide is the desk's to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from bot.slack_api import SlackApi, SlackError, SlackRefused
from storage.records import Workflow
from tasks.drafting import Person

log = structlog.get_logger(__name__)
KEPT_SECONDS = 10.0
MEMBERS_A_PAGE = 1_000
PAGES = 50


class People:
    """`groups` are the user groups among the approvers: membership is only resolved for those."""

    def __init__(
        self,
        *,
        api: SlackApi,
        team: Callable[[], str],
        groups: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._team = team
        self._groups = tuple(group for group in groups if group.startswith("S"))
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[float, Any]] = {}

    async def whois(self, user: str) -> Person:
        """Who acts. Somebody whom Slack does not describe just now counts as a guest: they may not decide."""
        known: Person | None = self._recall("user", user)
        if known:
            return known
        try:
            described = (await self._api.call("users.info", user=user)).get("user") or {}
            found = Person(id=user, groups=await self._groups_of(user), is_guest=self._is_guest(described))
        except SlackRefused as error:
            log.warning("person_unknown", user=user, code=error.code)
            return Person(id=user, is_guest=True, is_unknown=True)
        self._keep(found, "user", user)
        return found

    async def may_read(self, user: str, workflow: Workflow) -> bool:
        """Whether they are in the workflow's channel now. A direct message belongs to the one who has it with us."""
        if workflow.channel.startswith("D"):
            return workflow.owner == user
        return user in await self._members(workflow.channel)

    async def is_in(self, user: str, channel: str) -> bool:
        """Whether they are a member of a channel now; in a direct message with us, whoever writes there is."""
        return channel.startswith("D") or user in await self._members(channel)

    async def name_of(self, user: str) -> str:
        """What somebody is called, "" when Slack does not say."""
        known: str | None = self._recall("name", user)
        if known is not None:
            return known
        try:
            described = (await self._api.call("users.info", user=user)).get("user") or {}
        except SlackError:
            return ""
        profile = described.get("profile") or {}
        found = str(profile.get("display_name") or described.get("real_name") or described.get("name") or "")
        self._keep(found, "name", user, seconds=600)
        return found

    async def readable(self, user: str, workflows: Sequence[Workflow]) -> list[Workflow]:
        """Those of the workflows that the person may see."""
        return [workflow for workflow in workflows if await self.may_read(user, workflow)]

    async def link(self, channel: str, ts: str) -> str:
        """A permalink, "" when Slack gives none. Permalinks do not change, so they are kept for longer."""
        known: str | None = self._recall("link", channel, ts)
        if known is not None:
            return known
        try:
            answer = await self._api.call("chat.getPermalink", channel=channel, message_ts=ts)
        except SlackError:
            return ""
        link = str(answer.get("permalink") or "")
        self._keep(link, "link", channel, ts, seconds=3_600)
        return link

    async def _members(self, channel: str) -> frozenset[str]:
        known: frozenset[str] | None = self._recall("members", channel)
        if known is not None:
            return known
        found: set[str] = set()
        cursor = ""
        for _ in range(PAGES):
            try:
                answer = await self._api.call(
                    "conversations.members", channel=channel, limit=MEMBERS_A_PAGE, cursor=cursor or None
                )
            except SlackRefused:
                break  # we are not in it any more: nobody reads it through us
            found.update(answer.get("members") or [])
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        self._keep(frozenset(found), "members", channel)
        return frozenset(found)

    async def _groups_of(self, user: str) -> frozenset[str]:
        mine = set()
        for group in self._groups:
            members: list[str] | None = self._recall("group", group)
            if members is None:
                answer = await self._api.call("usergroups.users.list", usergroup=group)
                members = list(answer.get("users") or [])
                self._keep(members, "group", group)
            if user in members:
                mine.add(group)
        return frozenset(mine)

    def _is_guest(self, described: dict[str, Any]) -> bool:
        flags = ("is_restricted", "is_ultra_restricted", "is_stranger", "is_bot", "deleted")
        home = str(described.get("team_id") or self._team())
        return home != self._team() or any(described.get(flag) for flag in flags)

    def _recall(self, *name: str) -> Any:
        until, value = self._kept.get(name, (0.0, None))
        return value if self._clock() < until else None

    def _keep(self, value: Any, *name: str, seconds: float = KEPT_SECONDS) -> None:
        if len(self._kept) > 2_000:
            now = self._clock()
            self._kept = {key: entry for key, entry in self._kept.items() if entry[0] > now}
        self._kept[name] = (self._clock() + seconds, value)
