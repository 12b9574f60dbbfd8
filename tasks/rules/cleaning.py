"""What of a text is dirt, and the text without it: formatting, empty turns, refusals where an answer should be.

Precise rather than thorough: honest text is not accused, so what may be meant (an entity in a question about HTML, a non-breaking space
before a French colon, a joiner in an emoji, two blank lines in code) stays. Nothing here removes a row; personal data is
`personal_data.py`, duplicates are `tasks/near_duplicates`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Literal

FormatProblem = Literal[
    "line_ends",
    "mojibake",
    "entities",
    "spaces",
    "invisible",
    "control_characters",
    "role_leftover",
    "blank_lines",
]
PERSONAL = Literal["report", "mask", "drop"]
NAMES: dict[FormatProblem, str] = {
    "line_ends": "Windows line ends",
    "mojibake": "characters read in the wrong encoding (“Ã©” for “é”)",
    "entities": "escaped characters (“&amp;” for “&”)",
    "spaces": "non-breaking spaces between words",
    "invisible": "invisible characters",
    "control_characters": "control characters",
    "role_leftover": "a role's name left over (“User:” at the end)",
    "blank_lines": "runs of blank lines",
}
LONGEST_ROLE = 40  # characters of a line that may be a role's name alone
_PASSES = 6  # a text that was escaped twice needs two


def mended(text: str, *, role: str = "") -> str:
    """The text without formatting problems; mending it again changes nothing. `role` is who says it."""
    for _ in range(_PASSES):
        before = text
        for _, mend in _MENDERS:
            text = mend(text, role)
        if text == before:
            break
    return text


def format_problems(text: str, *, role: str = "") -> tuple[FormatProblem, ...]:
    """Which kinds of formatting problem a text has, in the order in which they are mended."""
    found = []
    for name, mend in _MENDERS:
        after = mend(text, role)
        if after != text:
            found.append(name)
            text = after
    return tuple(found)


def is_refusal(answer: str) -> bool:
    """Whether a reference answer declines as a model does, instead of answering.

    A person who cannot find an order is no refusal: what is declined has to be "that", "this request", or a machine has to speak.
    """
    plain = " ".join(answer.replace("’", "'").split())
    return len(plain) <= 600 and any(pattern.search(plain) for pattern in _REFUSALS)


# ---------------------------------------------------------------- formatting


def _line_ends(text: str, role: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _mojibake(text: str, role: str) -> str:
    if text.isascii() or not _GARBLED.search(text):
        return text
    return _GARBLED.sub(_decoded, text)


def _decoded(match: re.Match[str]) -> str:
    """What UTF-8 bytes mean that were read as Windows-1252; as it was where they mean nothing plausible."""
    garbled = match[0]
    if (
        len(garbled) == 2
        and garbled[1] in _QUOTES
        and not match.string[match.start() - 1 : match.start()].islower()
    ):
        return garbled  # a closing quote after a capital: „MÄ“, “IRMÔ
    try:
        found = bytes(_BYTES[letter] for letter in garbled).decode()
    except (KeyError, UnicodeDecodeError):
        return garbled
    return found if found.isprintable() or found in "\u00a0\u00ad\u200b" else garbled


def _entities(text: str, role: str) -> str:
    if "&" not in text or not _ENTITY.search(text) or _ABOUT_MARKUP.search(text):
        return text
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)


def _spaces(text: str, role: str) -> str:
    return _WIDE_SPACE.sub(" ", text) if "\u00a0" in text else text


def _invisible(text: str, role: str) -> str:
    if text.isascii() or _NEEDS_BREAKS.search(text):
        return text
    return _INVISIBLE.sub("", text)


def _control(text: str, role: str) -> str:
    return _CONTROL.sub("", text) if _CONTROL.search(text) else text


def _role_leftover(text: str, role: str) -> str:
    if "```" in text:
        return text
    if role == "assistant":
        text = _LEADING_ROLE.sub("", text)
    end = _words_end(text, len(text))
    while (cut := text.rfind("\n", 0, end)) >= 0 and _is_role(text, cut, end):
        end = _words_end(text, cut)
    return text[:end] if 0 < end < _words_end(text, len(text)) else text


def _words_end(text: str, end: int) -> int:
    """Where the white space before `end` begins."""
    while end and text[end - 1].isspace():
        end -= 1
    return end


def _is_role(text: str, start: int, end: int) -> bool:
    return end - start <= LONGEST_ROLE and bool(_ROLE_LINE.fullmatch(text[start:end].strip()))


def _blank_lines(text: str, role: str) -> str:
    return _BLANK_LINES.sub("\n\n", text) if text.count("\n") > 3 else text


_MENDERS: tuple[tuple[FormatProblem, Callable[[str, str], str]], ...] = (
    ("line_ends", _line_ends),
    ("mojibake", _mojibake),
    ("entities", _entities),
    ("spaces", _spaces),
    ("invisible", _invisible),
    ("control_characters", _control),
    ("role_leftover", _role_leftover),
    ("blank_lines", _blank_lines),
)


def _windows_bytes() -> dict[str, int]:
    """Characters that bytes 0x80 to 0xFF became, in Windows-1252 or (where that has none) in Latin-1."""
    found = {chr(code): code for code in range(0x80, 0x100)}
    for code in range(0x80, 0xA0):
        try:
            found[bytes((code,)).decode("cp1252")] = code
        except UnicodeDecodeError:
            continue
    return found


_BYTES = _windows_bytes()
_FOLLOWING = "[" + re.escape("".join(letter for letter, code in _BYTES.items() if code < 0xC0)) + "]"
_GARBLED = re.compile(f"[ÂÃÄÅ]{_FOLLOWING}|â{_FOLLOWING}{{2}}|ð{_FOLLOWING}{{3}}")
_QUOTES = frozenset("«»„“”‚‘’\u00a0")
_ENTITY = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|hellip|mdash|ndash|rsquo|lsquo|rdquo|ldquo|#\d{2,5}|#x[0-9a-f]{2,5});",
    re.I,
)
_ABOUT_MARKUP = re.compile(
    r"</?[a-z][^<>]{0,200}>|`|\b(?:x?html|xml|svg|entit(?:y|ies)|escap\w+|encod\w+|markup|href)\b", re.I
)
_WIDE_SPACE = re.compile(r"(?<![«\d])\u00a0(?![;:!?»%€$£\d])")
_INVISIBLE = re.compile(r"[\u200b\u2060\ufeff]|\u00ad(?=\w)")
_NEEDS_BREAKS = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)  # Thai, Lao, Burmese, Khmer have no spaces
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f]")
_ROLE = r"(?:user|human|assistant|ai|bot|system|customer|agent)"
_ROLE_LINE = re.compile(rf"(?:\*\*)?{_ROLE}(?:\*\*)?\s?:(?:\*\*)?", re.I)
_LEADING_ROLE = re.compile(r"\A\s*(?:assistant|ai)\s*:\s*(?=\S)", re.I)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){3,}")

_UNABLE = r"i(?:'m| am)? (?:can't|cannot|can not|won't|will not|(?:un|not )able to) "
_SORRY = r"(?:(?:(?:i'm|i am) (?:very |really |so )?sorry|sorry|unfortunately|my apologies|i apologi[sz]e)[,.:;!]? ?(?:but )?)?"
_REQUEST = r"(?:that|this|your request|(?:that|this) (?:kind of |type of |specific )?(?:request|question|task|topic))"
_REFUSALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"^{_SORRY}{_UNABLE}(?:(?:assist|help)(?: you)? with {_REQUEST}|(?:comply|engage) with {_REQUEST}|fulfil+ {_REQUEST}"
        rf"|(?:answer|discuss) {_REQUEST}|comply\b|(?:provide|generate|create|write|produce) (?:that|this|such)"
        r"(?: (?:content|information|text|material))?)(?: (?:at this time|right now|at the moment))?\s*(?:[.!,;:]|$)",
        rf"^{_SORRY}as an? (?:large )?(?:ai|language)(?: language)?(?: model| assistant)?,? (?:{_UNABLE}|i do(?:n't| not) (?:have|feel|possess)\b)",
        r"^i(?:'m| am) (?:just |only )?an? (?:large )?(?:ai|language)(?: language)? model\b[^.]{0,80}\b(?:can't|cannot|unable|not able|don't|do not)\b",
    )
)
