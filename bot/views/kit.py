"""The vocabulary that every view is written in: small functions that make one block each, within Slack's limits.

Pure and without any library. Text from people, files and models passes through `say` (mrkdwn), `cell` or `plain`
(never parsed by Slack) or `model_markdown`; a view that does so cannot mention a channel by accident, whatever is in a file.
It does not decide what a card says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Block = dict[str, Any]
Json = Mapping[str, Any]

MAX_BLOCKS = 50
MAX_CHARACTERS = 12_500  # Slack counts about 13,000 over all blocks of a message
MAX_TABLE_CHARACTERS = 6_000
NO_TOPIC = "uncategorised"  # as rows without a topic are counted under
CHART_SLOT = "FCHART"  # the id that the relay replaces by the uploaded picture's
_MENTION = re.compile(r"<[!@#][^>\n]*>")
_LINK = re.compile(r"<(https?://[^|>\s]+)\|([^>\n]*)>")
_HALF_ENTITY = re.compile(r"&[a-z]{0,3}$")
_USER = re.compile(r"[A-Z0-9]{2,30}")
_NOT_READ = frozenset(
    {"type", "block_id", "action_id", "image_url", "url", "style", "status", "task_id", "level"}
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture to draw, upload and put where the block with `CHART_SLOT` stands. `series` is (name, values)."""

    kind: Literal["bars", "histogram", "curve"]
    title: str
    labels: tuple[str, ...]
    series: tuple[tuple[str, tuple[float | None, ...]], ...]
    alt: str
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message: `text` is what notifications and screen readers get."""

    text: str
    blocks: tuple[Block, ...] = ()
    chart: Chart | None = None


def rendered(text: str, blocks: Iterable[Block | None], chart: Chart | None = None) -> Rendered:
    """A message that Slack accepts: absent blocks left out, too many or too long ones cut with a word about it."""
    kept = [block for block in blocks if block]
    return Rendered(text=clip(text, 3_500) or "…", blocks=tuple(_fitted(kept)), chart=chart)


# ---------------------------------------------------------------- strings


def clip(text: str, longest: int) -> str:
    """At most `longest` characters, never half an entity, with an ellipsis where something is missing."""
    if len(text) <= longest:
        return text
    return _HALF_ENTITY.sub("", text[: longest - 1]) + "…"


def say(value: object, longest: int = 200) -> str:
    """Somebody's words, safe in mrkdwn: one line, cut, `&`, `<`, `>` escaped."""
    return escape(clip(" ".join(str(value).split()), longest))


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def model_markdown(text: str) -> str:
    """A model's markdown without anything that would mention a person, a group or a channel, or hide where a link goes."""
    return clip(_LINK.sub(r"\2 (\1)", _MENTION.sub("", text)).strip(), 8_000)


def person(user: str) -> str:
    """A mention, made by code only; plain words for an id that is none."""
    return f"<@{user}>" if _USER.fullmatch(user) else "somebody"


def decider(who: str) -> str:
    return f"<!subteam^{who}>" if who.startswith("S") and _USER.fullmatch(who) else person(who)


def when(at: float) -> str:
    """A time in the reader's own time zone."""
    return f"<!date^{int(at)}^{{date_short_pretty}} at {{time}}|{int(at)}>"


def count(number: object, noun: str, plural: str = "") -> str:
    """`1 row`, `1,008 rows`."""
    value = whole(number)
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def whole(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def real(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def figure(value: object, digits: int = 2) -> str:
    """A number to read; a dash when there is none."""
    number = real(value)
    return "–" if number is None else f"{number:,.{digits}f}"


def percent(share: object, digits: int = 0) -> str:
    """A share of 1 as a percentage."""
    number = real(share)
    return "–" if number is None else f"{number * 100:.{digits}f} %"


def bar(share: float, width: int = 12) -> str:
    """A text bar for a share of 1."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def topic_name(topic: Json) -> str:
    """A topic as people call it; rows that have none are a group of their own."""
    name = str(topic.get("name") or topic.get("topic") or "")
    return "(no topic)" if name == NO_TOPIC else name


def listed(values: object) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else []


def mapped(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def more(shown: int, total: int, noun: str = "more") -> str:
    """ "… and 12 more", or nothing."""
    return f"… and {total - shown:,} {noun}" if total > shown else ""


# ---------------------------------------------------------------- blocks


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text or "…", 150)}


def plain(text: str, longest: int) -> Block:
    return {"type": "plain_text", "text": clip(" ".join(text.split()) or "…", longest), "emoji": True}


def section(text: str, accessory: Block | None = None) -> Block | None:
    """A paragraph of mrkdwn that a view has put together; None when it is empty."""
    if not text.strip():
        return None
    block: Block = {"type": "section", "text": {"type": "mrkdwn", "text": clip(text.strip(), 3_000)}}
    return {**block, "accessory": accessory} if accessory else block


def fields(pairs: Sequence[tuple[str, str]]) -> Block | None:
    """Up to ten labelled facts in two columns; values are mrkdwn."""
    shown = [(label, value) for label, value in pairs if value][:10]
    if not shown:
        return None
    texts = [{"type": "mrkdwn", "text": clip(f"*{label}*\n{value}", 400)} for label, value in shown]
    return {"type": "section", "fields": texts}


def bullets(lines: Sequence[str], most: int = 10, noun: str = "more") -> str:
    """A list in mrkdwn; lines are already safe."""
    shown = [f"• {line}" for line in lines[:most]]
    rest = more(len(shown), len(lines), noun)
    return "\n".join([*shown, rest] if rest else shown)


def context(*texts: str) -> Block | None:
    elements = [{"type": "mrkdwn", "text": clip(text, 600)} for text in texts if text.strip()][:10]
    return {"type": "context", "elements": elements} if elements else None


def markdown(text: str) -> Block | None:
    return {"type": "markdown", "text": text} if text.strip() else None


def divider() -> Block:
    return {"type": "divider"}


def image(alt: str) -> Block:
    """The place of the view's chart."""
    return {"type": "image", "slack_file": {"id": CHART_SLOT}, "alt_text": clip(alt, 1_500) or "chart"}


def cell(value: object, longest: int = 120) -> Block:
    return {"type": "raw_text", "text": clip(" ".join(str(value).split()), longest) or "–"}


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int] = (), most: int = 25
) -> Block | None:
    """A table of short cells, the first row its header; `numbers` are the columns to align right."""
    if not rows:
        return None
    made = [[cell(name, 60) for name in columns]]
    size = sum(len(name) for name in columns)
    for row in rows[:most]:
        cells = [cell(value) for value in row]
        size += sum(len(item["text"]) for item in cells)
        if size > MAX_TABLE_CHARACTERS:
            break
        made.append(cells)
    left = len(rows) - (len(made) - 1)
    if left > 0:
        made.append([cell(f"… and {left:,} more"), *(cell("") for _ in columns[1:])])
    settings = [
        {"align": "right" if index in numbers else "left", "is_wrapped": index not in numbers}
        for index in range(len(columns))
    ]
    return {"type": "table", "rows": made, "column_settings": settings}


# ---------------------------------------------------------------- buttons


def button(
    text: str,
    action: str,
    value: str,
    *,
    style: Literal["", "primary", "danger"] = "",
    ask: Block | None = None,
    label: str = "",
) -> Block:
    """A button; `ask` is a `confirm` dialog, `label` what a screen reader says instead of the text."""
    made: Block = {
        "type": "button",
        "text": plain(text, 75),
        "action_id": action,
        "value": clip(value or "thread", 2_000),
    }
    if style:
        made["style"] = style
    if ask:
        made["confirm"] = ask
    if label:
        made["accessibility_label"] = clip(label, 75)
    return made


def confirm(title: str, text: str, yes: str, *, danger: bool = False) -> Block:
    made: Block = {
        "title": plain(title, 100),
        "text": plain(text, 300),
        "confirm": plain(yes, 30),
        "deny": plain("Not yet", 30),
    }
    return {**made, "style": "danger"} if danger else made


def actions(*elements: Block | None, block_id: str = "") -> Block | None:
    """A row of controls; None when there are none."""
    shown = [element for element in elements if element][:25]
    if not shown:
        return None
    row: Block = {"type": "actions", "elements": shown}
    return {**row, "block_id": block_id} if block_id else row


def option(text: str, value: str) -> Block:
    return {"text": plain(text, 75), "value": clip(value, 75)}


# ---------------------------------------------------------------- limits over the whole message


def _fitted(blocks: list[Block]) -> list[Block]:
    """Sections are given up from the end before buttons are: a card that cannot be acted on is of no use."""
    cut = 0
    while blocks and (len(blocks) + (1 if cut else 0) > MAX_BLOCKS or characters(blocks) > MAX_CHARACTERS):
        index = _least_needed(blocks)
        if index is None:
            break
        del blocks[index]
        cut += 1
    if cut:
        note = context(
            f"… and {cut} more part{'s' if cut > 1 else ''} that did not fit here. Ask me for details."
        )
        blocks.append(note or divider())
    return blocks


def _least_needed(blocks: Sequence[Block]) -> int | None:
    for kinds in (("divider", "context"), ("section", "markdown", "image", "table")):
        for index in range(len(blocks) - 1, 0, -1):
            if blocks[index]["type"] in kinds:
                return index
    return len(blocks) - 1 if len(blocks) > 1 else None


def characters(value: Any) -> int:
    """Characters that somebody could read."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (list, tuple)):
        return sum(characters(item) for item in value)
    if isinstance(value, dict):
        return sum(characters(inner) for name, inner in value.items() if name not in _NOT_READ)
    return 0


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a select: what is read, and the value that comes back."""

    text: str
    value: str
