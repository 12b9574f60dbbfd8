"""What every door of the workspace shares: the state, the way to the app, the weather, and the errors both speak.

Here too: posting, editing and removing a message with the events that follow from it, so that the app's Web API and
the people's page cannot differ in that.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from . import payloads
from .delivery import Delivery
from .faults import Faults
from .state import Conversation, Json, Workspace


class ApiError(Exception):
    """A refusal in Slack's words: its code, and what else the answer carries."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code, self.more = code, more


@dataclass(frozen=True, slots=True)
class Hub:
    """The workspace and its ways out."""

    workspace: Workspace
    delivery: Delivery
    faults: Faults

    def send(self, event: Json) -> None:
        """Deliver an event, whatever its place."""
        self.delivery.event(payloads.envelope(self.workspace, copy.deepcopy(event)))

    def tell(self, place: Conversation, *events: Json) -> None:
        """Deliver events of a place, if the app was invited there."""
        if self.workspace.bot_is_in(place):
            for event in events:
                self.send(event)

    def post(self, place: Conversation, message: Json) -> Json:
        """Store a new message and tell the app; a mention in a channel is told twice, as Slack does."""
        stored = self.workspace.add_message(place, message)
        self.tell(place, payloads.message_event(place, stored))
        mentioned = f"<@{self.workspace.config.bot_user_id}>" in stored["text"]
        if mentioned and not place.is_im and not stored.get("bot_id"):
            self.tell(place, payloads.mention_event(place, stored))
        return stored

    def change(self, place: Conversation, message: Json, fields: Json, *, quiet: bool = False) -> Json:
        """Lay `fields` over a message (None removes one) and tell the app, unless `quiet`."""
        before = copy.deepcopy(message)
        for name, value in fields.items():
            message[name] = value
            if value is None:
                message.pop(name)
        self.workspace.touch()
        if not quiet:
            self.tell(place, payloads.changed_event(self.workspace, place, message, before))
        return message

    def remove(self, place: Conversation, ts: str) -> None:
        """Delete a message and tell the app."""
        message = self.workspace.remove_message(place, ts)
        self.tell(place, payloads.deleted_event(self.workspace, place, message))

    def react(self, place: Conversation, message: Json, user: str, name: str) -> None:
        """Add a reaction. Raises `already_reacted`."""
        reactions = message.setdefault("reactions", [])
        found = next((one for one in reactions if one["name"] == name), None)
        if found is None:
            found = {"name": name, "users": [], "count": 0}
            reactions.append(found)
        if user in found["users"]:
            raise ApiError("already_reacted")
        found["users"].append(user)
        found["count"] += 1
        self.workspace.touch()
        kind = "reaction_added"
        self.tell(place, payloads.reaction_event(self.workspace, kind, place, message, user, name))

    def unreact(self, place: Conversation, message: Json, user: str, name: str) -> None:
        """Take a reaction back. Raises `no_reaction`."""
        found = next((one for one in message.get("reactions", []) if one["name"] == name), None)
        if found is None or user not in found["users"]:
            raise ApiError("no_reaction")
        found["users"].remove(user)
        found["count"] -= 1
        message["reactions"] = [one for one in message["reactions"] if one["count"]]
        self.workspace.touch()
        kind = "reaction_removed"
        self.tell(place, payloads.reaction_event(self.workspace, kind, place, message, user, name))
