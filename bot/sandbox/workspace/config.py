"""Who lives in the workspace and how its one app is installed. Records only; nothing here reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["owner", "admin", "member", "guest"]

SCOPES: tuple[str, ...] = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users:read",
)


@dataclass(frozen=True, slots=True)
class Resident:
    """A person of the workspace. `team_id` differs for someone of another organisation (Slack Connect)."""

    id: str
    name: str
    real_name: str
    role: Role = "member"
    team_id: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """A channel: public unless `is_private`; `members` are people, `has_bot` says whether the app was invited."""

    id: str
    name: str
    members: tuple[str, ...]
    is_private: bool = False
    has_bot: bool = True
    topic: str = ""


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A user group, as named in APPROVERS."""

    id: str
    handle: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A global or message shortcut the app declares; `callback_id` comes back in its payload."""

    callback_id: str
    name: str
    kind: Literal["global", "message"] = "global"


RESIDENTS = (
    Resident("U0ADA", "ada", "Ada Lovelace", "owner"),
    Resident("U0GRACE", "grace", "Grace Hopper"),
    Resident("U0KATHERINE", "katherine", "Katherine Johnson", "admin"),
    Resident("U0LINUS", "linus", "Linus Guest", "guest"),
)
ROOMS = (
    Room(
        "C0MODELS",
        "support-model",
        ("U0ADA", "U0GRACE", "U0KATHERINE", "U0LINUS"),
        topic="Where models are made",
    ),
    Room("C0SUPPORT", "support", ("U0ADA", "U0GRACE"), topic="Customer support, and its data"),
    Room("C0RANDOM", "random", ("U0ADA", "U0GRACE", "U0KATHERINE"), has_bot=False, topic="Anything else"),
    Room("G0LEADS", "leads", ("U0ADA", "U0KATHERINE"), is_private=True, topic="Approvals and budgets"),
)


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """One workspace with one app installed.

    `signing_secret` signs everything sent to `request_url`; `url` is where the workspace itself is reached (the base of
    file and response URLs). `retry_delays_seconds` are the waits before the retries of an event; `ack_timeout_seconds`
    is how long the app may take to answer. An empty `request_url` means Socket Mode only.
    """

    signing_secret: str
    team_id: str = "T0SANDBOX"
    team_name: str = "Sandbox"
    app_id: str = "A0FINETUNE"
    app_name: str = "Finetune"
    bot_id: str = "B0FINETUNE"
    bot_user_id: str = "U0FINETUNE"
    bot_name: str = "finetune"
    bot_token: str = "xoxb-sandbox"
    app_token: str = "xapp-sandbox"
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"
    verification_token: str = "sandbox-verification"
    request_url: str = "http://localhost:3000/slack/events"
    scopes: tuple[str, ...] = SCOPES
    port: int = 4000
    public_url: str = ""
    commands: tuple[str, ...] = ("/finetune",)
    shortcuts: tuple[Shortcut, ...] = (Shortcut("add_to_dataset", "Add to dataset", "message"),)
    residents: tuple[Resident, ...] = RESIDENTS
    rooms: tuple[Room, ...] = ROOMS
    user_groups: tuple[UserGroup, ...] = field(
        default=(UserGroup("S0APPROVERS", "approvers", ("U0ADA", "U0KATHERINE")),)
    )
    ack_timeout_seconds: float = 3.0
    retry_delays_seconds: tuple[float, ...] = (0.0, 60.0, 300.0)
    trigger_life_seconds: float = 3.0

    @property
    def url(self) -> str:
        """Base URL of the workspace, without a slash at its end."""
        return (self.public_url or f"http://localhost:{self.port}").rstrip("/")
