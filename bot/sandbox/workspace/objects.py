"""Slack's objects as the workspace shows them: user, channel, team, file, bot profile, messages of people and of the app.

Functions of the state that return fresh dicts; they change nothing. Keys and types follow the published samples.
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePosixPath
from typing import Any

from .config import Resident
from .state import Conversation, Json, Workspace

LINK = re.compile(r"(?<![<|\w])https?://[^\s<>]+[^\s<>.,;:!?)\]}'\"]")
TOKEN = re.compile(r"<(?:@[UW][A-Z0-9]+|#C[A-Z0-9]+(?:\|[^<>]*)?|https?://[^\s<>]+)>")
MENTION = re.compile(r"@([a-z0-9._-]+)", re.IGNORECASE)
PARTS = re.compile(
    r"<@(?P<user>[UW][A-Z0-9]+)>|<(?P<link>https?://[^>|]+)>|<!(?P<range>channel|here|everyone)>"
)
FILETYPES = {
    "json": "json",
    "jsonl": "text",
    "csv": "csv",
    "txt": "text",
    "png": "png",
    "pdf": "pdf",
    "zip": "zip",
}
MIMETYPES = {"jsonl": "text/plain", "json": "application/json", "csv": "text/csv", "gz": "application/gzip"}
ICON = "https://a.slack-edge.com/80588/img/services/api_{}.png"


def user(workspace: Workspace, person: Resident) -> Json:
    """`users.info`'s user."""
    name, first = person.real_name, person.real_name.split(" ")[0]
    profile = {
        "title": "",
        "phone": "",
        "skype": "",
        "real_name": name,
        "real_name_normalized": name,
        "display_name": person.name,
        "display_name_normalized": person.name,
        "first_name": first,
        "last_name": name[len(first) :].strip(),
        "status_text": "",
        "status_emoji": "",
        "status_emoji_display_info": [],
        "status_expiration": 0,
        "avatar_hash": "g" + person.id.lower(),
        "email": f"{person.name}@sandbox.invalid",
        "team": person.team_id or workspace.config.team_id,
        **{f"image_{size}": ICON.format(size) for size in (24, 32, 48, 72, 192, 512)},
        "status_text_canonical": "",
    }
    home = person.team_id or workspace.config.team_id
    return {
        "id": person.id,
        "team_id": home,
        "name": person.name,
        "deleted": False,
        "color": "9f69e7",
        "real_name": name,
        "tz": "Europe/London",
        "tz_label": "Greenwich Mean Time",
        "tz_offset": 0,
        "profile": profile,
        "is_admin": person.role in ("owner", "admin"),
        "is_owner": person.role == "owner",
        "is_primary_owner": person.role == "owner",
        "is_restricted": person.role == "guest",
        "is_ultra_restricted": False,
        "is_bot": False,
        "is_app_user": False,
        "is_email_confirmed": True,
        "is_stranger": home != workspace.config.team_id,
        "updated": int(workspace.clock()),
        "who_can_share_contact_card": "EVERYONE",
    }


def bot_user(workspace: Workspace) -> Json:
    """`users.info`'s user for the app itself."""
    config = workspace.config
    found = user(workspace, Resident(config.bot_user_id, config.bot_name, config.app_name))
    found["profile"] |= {"api_app_id": config.app_id, "bot_id": config.bot_id, "always_active": True}
    found["profile"].pop("email")
    return found | {"is_bot": True}


def bot_profile(workspace: Workspace) -> Json:
    """The `bot_profile` that the app's messages carry."""
    config = workspace.config
    return {
        "id": config.bot_id,
        "deleted": False,
        "name": config.app_name,
        "updated": int(workspace.clock()),
        "app_id": config.app_id,
        "user_id": config.bot_user_id,
        "icons": {f"image_{size}": ICON.format(size) for size in (36, 48, 72)},
        "team_id": config.team_id,
    }


def channel(workspace: Workspace, place: Conversation) -> Json:
    """`conversations.info`'s channel."""
    common: Json = {
        "id": place.id,
        "created": place.created,
        "is_archived": False,
        "is_im": place.is_im,
        "is_org_shared": False,
        "context_team_id": workspace.config.team_id,
        "updated": place.created * 1000,
        "properties": {},
    }
    if place.is_im:
        other = next(iter(place.members - {workspace.config.bot_user_id}))
        return {**common, "user": other, "is_user_deleted": False, "priority": 0, "is_open": True}
    words = {"creator": "U0ADA", "last_set": place.created}
    return {
        **common,
        "name": place.name,
        "name_normalized": place.name,
        "is_channel": not place.is_private,
        "is_group": place.is_private,
        "is_mpim": False,
        "is_private": place.is_private,
        "is_general": False,
        "is_shared": False,
        "is_ext_shared": False,
        "is_pending_ext_shared": False,
        "is_member": workspace.bot_is_in(place),
        "creator": "U0ADA",
        "unlinked": 0,
        "shared_team_ids": [workspace.config.team_id],
        "pending_shared": [],
        "pending_connected_team_ids": [],
        "parent_conversation": None,
        "topic": {"value": place.topic, **words},
        "purpose": {"value": place.topic, **words},
        "previous_names": [],
        "num_members": len(place.members),
        "last_read": "0000000000.000000",
    }


def team(workspace: Workspace) -> Json:
    """`team.info`'s team."""
    config = workspace.config
    icons = {f"image_{size}": ICON.format(size) for size in (34, 44, 68, 88, 102, 132, 230)}
    return {
        "id": config.team_id,
        "name": config.team_name,
        "url": f"{config.url}/",
        "domain": config.team_name.lower(),
        "email_domain": "",
        "icon": {**icons, "image_default": True},
        "avatar_base_url": "https://ca.slack-edge.com/",
        "is_verified": False,
    }


def file(workspace: Workspace, *, file_id: str, name: str, size: int, owner: str, **more: Any) -> Json:
    """A file as `files.info` and a message's `files` show it; `more` (title, alt_txt, bot_id) is laid over it."""
    now, base = int(workspace.clock()), workspace.config.url
    ending = PurePosixPath(name).suffix.lstrip(".").lower()
    mimetype = MIMETYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    private = f"{base}/files-pri/{workspace.config.team_id}-{file_id}"
    found: Json = {
        "id": file_id,
        "created": now,
        "timestamp": now,
        "name": name,
        "title": name,
        "mimetype": mimetype,
        "filetype": FILETYPES.get(ending, ending or "binary"),
        "pretty_type": (ending or "binary").upper(),
        "user": owner,
        "user_team": workspace.config.team_id,
        "editable": False,
        "size": size,
        "mode": "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": True,
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": f"{private}/{PurePosixPath(name).name}",
        "url_private_download": f"{private}/download/{PurePosixPath(name).name}",
        "media_display_type": "unknown",
        "permalink": f"{base}/files/{owner}/{file_id}/{PurePosixPath(name).name}",
        "permalink_public": f"{base}/{workspace.config.team_id}-{file_id}",
        "comments_count": 0,
        "is_starred": False,
        "shares": {},
        "channels": [],
        "groups": [],
        "ims": [],
        "has_more_shares": False,
        "has_rich_preview": False,
        "file_access": "visible",
    }
    return found | {key: value for key, value in more.items() if value}


def person_message(workspace: Workspace, author: str, text: str, thread_ts: str | None = None) -> Json:
    """A message that a person typed, escaped and linked as Slack stores it, without its ts."""
    stored = as_stored(workspace, text)
    message: Json = {
        "user": author,
        "type": "message",
        "client_msg_id": "-".join(workspace.new_id("", n).lower() for n in (8, 4, 4, 4, 12)),
        "text": stored,
        "team": workspace.residents[author].team_id or workspace.config.team_id,
    }
    if stored:
        message["blocks"] = [rich_text(workspace, stored)]
    return message | ({"thread_ts": thread_ts} if thread_ts else {})


def bot_message(workspace: Workspace, text: str, blocks: list[Json] | None, thread_ts: str | None) -> Json:
    """A message of the app, without its ts."""
    config = workspace.config
    message: Json = {
        "user": config.bot_user_id,
        "type": "message",
        "bot_id": config.bot_id,
        "app_id": config.app_id,
        "text": text,
        "team": config.team_id,
        "bot_profile": bot_profile(workspace),
    }
    if blocks:
        message["blocks"] = named(workspace, blocks)
    return message | ({"thread_ts": thread_ts} if thread_ts else {})


def as_stored(workspace: Workspace, typed: str) -> str:
    """What a person typed as Slack stores it: `&`, `<`, `>` escaped, mentions and links in angle brackets.

    `<@U…>`, `<#C…>` and `<https://…>` may be typed as such; `<!channel>` may not, that takes `@channel`.
    """
    held: list[str] = []

    def keep(piece: str) -> str:
        held.append(piece)
        return f"\x00{len(held) - 1}\x00"

    def mention(found: re.Match[str]) -> str:
        token = _mentioned(workspace, found[1].lower())
        return keep(token) if token else found[0]

    text = TOKEN.sub(lambda found: keep(found[0]), typed.replace("\x00", ""))
    text = LINK.sub(lambda found: keep(f"<{found[0].replace('&', '&amp;')}>"), text)
    text = MENTION.sub(mention, text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub("\x00(\\d+)\x00", lambda found: held[int(found[1])], text)


def _mentioned(workspace: Workspace, handle: str) -> str | None:
    if handle in ("channel", "here", "everyone"):
        return f"<!{handle}>"
    if handle == workspace.config.bot_name:
        return f"<@{workspace.config.bot_user_id}>"
    return next((f"<@{one.id}>" for one in workspace.residents.values() if one.name == handle), None)


def rich_text(workspace: Workspace, stored: str) -> Json:
    """The rich_text block that Slack makes of a person's words."""
    parts: list[Json] = []
    end = 0
    for found in PARTS.finditer(stored):
        parts += _plain_part(stored[end : found.start()])
        end = found.end()
        if found["user"]:
            parts.append({"type": "user", "user_id": found["user"]})
        elif found["link"]:
            parts.append({"type": "link", "url": found["link"].replace("&amp;", "&")})
        else:
            parts.append({"type": "broadcast", "range": found["range"]})
    parts += _plain_part(stored[end:])
    section = {"type": "rich_text_section", "elements": parts}
    return {"type": "rich_text", "block_id": workspace.new_id("", 5), "elements": [section]}


def _plain_part(text: str) -> list[Json]:
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return [{"type": "text", "text": plain}] if plain else []


def named(workspace: Workspace, blocks: list[Json]) -> list[Json]:
    """The blocks as Slack stores them: ids where none were given, `emoji` and `verbatim` spelled out."""
    return [_named_block(workspace, block) for block in blocks]


def _named_block(workspace: Workspace, block: Json) -> Json:
    block = _spelled_out({"block_id": workspace.new_id("", 5)} | block)
    for element in [block.get("element"), block.get("accessory"), *block.get("elements", [])]:
        if element and _acts(element):
            element.setdefault("action_id", workspace.new_id("", 5))
    return block


def _acts(element: Json) -> bool:
    return not element["type"].startswith(("rich_text", "plain_text_", "mrkdwn", "image")) and (
        element["type"] not in ("plain_text", "card", "url") or element["type"] == "plain_text_input"
    )


def _spelled_out(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: _spelled_out(inner) for key, inner in value.items()}
    if copy.get("type") == "plain_text":
        copy.setdefault("emoji", True)
    if copy.get("type") == "mrkdwn":
        copy.setdefault("verbatim", False)
    return copy
