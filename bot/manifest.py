"""The Slack app manifest: exactly the scopes, events and commands that the code uses. `manifest.json` is its output.

A test compares the two, and the lists here with what `listeners/` subscribes to and `slack_api` calls.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

# Each Web API method that the code calls, with the bot scopes that it needs.
METHOD_SCOPES: dict[str, tuple[str, ...]] = {
    "auth.test": (),
    "chat.postMessage": ("chat:write",),
    "chat.postEphemeral": ("chat:write",),
    "chat.update": ("chat:write",),
    "chat.getPermalink": (),
    "conversations.history": ("channels:history", "groups:history", "im:history"),
    "conversations.replies": ("channels:history", "groups:history", "im:history"),
    "conversations.members": ("channels:read", "groups:read", "im:read"),
    "users.info": ("users:read",),
    "usergroups.users.list": ("usergroups:read",),
    "reactions.add": ("reactions:write",),
    "files.info": ("files:read",),
    "files.getUploadURLExternal": ("files:write",),
    "files.completeUploadExternal": ("files:write",),
    "views.open": (),
    "views.push": (),
    "views.update": (),
    "views.publish": (),
    "assistant.threads.setStatus": ("assistant:write",),
}
EVENT_SCOPES: dict[str, tuple[str, ...]] = {
    "agent_session_stopped": ("assistant:write",),
    "app_home_opened": (),
    "app_mention": ("app_mentions:read",),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
}
COMMAND = "/finetune"
ADD_TO_DATASET = "add_to_dataset"


def scopes() -> tuple[str, ...]:
    """The bot scopes, sorted."""
    wanted = {
        scope for table in (METHOD_SCOPES, EVENT_SCOPES) for needed in table.values() for scope in needed
    }
    return tuple(sorted({*wanted, "commands"}))


def manifest(public_url: str = "") -> Json:
    """For HTTP with a public URL, for Socket Mode without one."""
    url = f"{public_url.rstrip('/')}/slack/events" if public_url else ""
    address = {"request_url": url} if url else {}
    command: Json = {
        "command": COMMAND,
        "description": "Fine-tuning workflows: status, list, new, cancel, help",
        "usage_hint": "status [all | name] | list | new [name] | cancel [name] | help",
        "should_escape": False,
        **({"url": url} if url else {}),
    }
    return {
        "_metadata": {"major_version": 2, "minor_version": 0},
        "display_information": {
            "name": "Finetune",
            "description": "Turns a team's examples into a fine-tuned model, in a thread.",
            "long_description": (
                "Drop a file of examples in a thread. Finetune checks every row, proposes topics, shows what is missing and "
                "generates it, helps to define how answers are judged, runs a dry run before money is spent, trains after "
                "approval, and deploys a model that you can try in the same thread."
            ),
            "background_color": "#1d3a5f",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "finetune", "always_online": True},
            "slash_commands": [command],
            "shortcuts": [
                {
                    "name": "Add to dataset",
                    "type": "message",
                    "callback_id": ADD_TO_DATASET,
                    "description": "Make this thread an example of a dataset",
                }
            ],
            "agent_view": {
                "agent_description": "Turns a file of examples into a fine-tuned model, step by step, with your approval.",
                "suggested_prompts": [
                    {"title": "Where are we?", "message": "status"},
                    {"title": "How does this work?", "message": "What do you need from me to train a model?"},
                ],
            },
        },
        "oauth_config": {"scopes": {"bot": list(scopes())}},
        "settings": {
            "event_subscriptions": {**address, "bot_events": sorted(EVENT_SCOPES)},
            "interactivity": {"is_enabled": True, **address},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not url,
            "token_rotation_enabled": False,
        },
    }


def as_text(public_url: str = "") -> str:
    return json.dumps(manifest(public_url), indent=2, ensure_ascii=False) + "\n"
