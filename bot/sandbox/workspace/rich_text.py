"""What a rich_text block may hold: sections, lists, quotes and code, made of styled parts."""

from __future__ import annotations

from .block_elements import ID, block_of
from .shapes import Check, choice, either, flag, items, number, shape, string, url

STYLE = shape(
    {}, dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight", "unlink"), flag)
)


def _rich(kind: str, required: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    return shape({"type": choice(kind), **required}, {"style": STYLE, **(optional or {})})


RICH_PARTS = either(
    "type",
    {
        "text": _rich("text", {"text": string(13_000, 1)}),
        "link": _rich("link", {"url": string(3000)}, {"text": string(3000), "unsafe": flag}),
        "user": _rich("user", {"user_id": ID}),
        "usergroup": _rich("usergroup", {"usergroup_id": ID}),
        "channel": _rich("channel", {"channel_id": ID}),
        "emoji": _rich(
            "emoji", {"name": ID}, {"unicode": string(100), "skin_tone": number(1, 6, whole=True)}
        ),
        "broadcast": _rich("broadcast", {"range": choice("here", "channel", "everyone")}),
        "date": _rich(
            "date",
            {"timestamp": number(whole=True), "format": string(255)},
            {"url": url(), "fallback": string(255)},
        ),
        "color": _rich("color", {"value": string(32)}),
        "team": _rich("team", {"team_id": ID}),
    },
)
_PARTS: dict[str, Check] = {"elements": items(RICH_PARTS, 1000, 0)}
_BORDER: dict[str, Check] = {"border": number(0, 1, whole=True)}
RICH_SECTION = shape({"type": choice("rich_text_section"), **_PARTS})
RICH_TEXT = block_of(
    "rich_text",
    {
        "elements": items(
            either(
                "type",
                {
                    "rich_text_section": RICH_SECTION,
                    "rich_text_preformatted": shape(
                        {"type": choice("rich_text_preformatted"), **_PARTS},
                        {**_BORDER, "language": string(64)},
                    ),
                    "rich_text_quote": shape({"type": choice("rich_text_quote"), **_PARTS}, _BORDER),
                    "rich_text_list": shape(
                        {
                            "type": choice("rich_text_list"),
                            "style": choice("bullet", "ordered"),
                            "elements": items(RICH_SECTION, 1000),
                        },
                        {
                            **_BORDER,
                            "indent": number(0, 8, whole=True),
                            "offset": number(0, whole=True),
                        },
                    ),
                },
            ),
            1000,
        )
    },
)
