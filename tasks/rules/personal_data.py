"""Personal data and secrets in a text: where they are, and the text with placeholders in their place.

Precise: a card number has its check digit and a known issuer's prefix, an IBAN its length and check digits, a key the form that its
issuer gives it or a name like `api_key` before it and no word's shape. Addresses of examples are nobody's. Phone numbers need
a table of the world's numbering plans, so whoever calls brings a finder (`tasks/cleaning/phones.py`). What is found is never logged.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import log2
from typing import Literal

Kind = Literal["email", "phone", "card", "iban", "secret", "ip"]
KINDS: tuple[Kind, ...] = ("secret", "email", "iban", "card", "phone", "ip")
MASKED: frozenset[Kind] = frozenset(
    {"secret", "email", "iban", "card", "phone"}
)  # addresses of machines are only reported
NAMES: dict[Kind, str] = {
    "secret": "keys and tokens",
    "email": "e-mail addresses",
    "iban": "bank accounts (IBAN)",
    "card": "card numbers",
    "phone": "phone numbers",
    "ip": "IP addresses",
}
Spans = Iterable[tuple[int, int]]
Phones = Callable[[str], Spans]


def no_phones(text: str) -> Spans:
    """For callers that have no table of numbering plans."""
    return ()


@dataclass(frozen=True, slots=True)
class Found:
    """Something personal: `text[start:end]`."""

    kind: Kind
    start: int
    end: int


@dataclass(slots=True)
class Placeholders:
    """Names within one row: the same address is `[EMAIL_1]` in every message and column of it."""

    names: dict[tuple[Kind, str], str] = field(default_factory=dict)
    counts: Counter[Kind] = field(default_factory=Counter)

    def name(self, kind: Kind, value: str) -> str:
        key = kind, "".join(value.split()).casefold() if kind != "secret" else value
        if key not in self.names:
            self.counts[kind] += 1
            self.names[key] = f"[{kind.upper()}_{self.counts[kind]}]"
        return self.names[key]


def find(text: str, *, phones: Phones = no_phones) -> tuple[Found, ...]:
    """Everything personal in a text, in order, without overlaps: where two claim the same, the first of KINDS has it."""
    kinds = _possible(text)
    taken = bytearray(len(text)) if kinds else bytearray()
    found: list[Found] = []
    for kind in kinds:
        for start, end in _spans(kind, text, phones):
            if not any(taken[start:end]):
                taken[start:end] = b"\x01" * (end - start)
                found.append(Found(kind, start, end))
    return tuple(sorted(found, key=lambda one: one.start))


def masked(
    text: str,
    places: Placeholders,
    *,
    phones: Phones = no_phones,
    kinds: frozenset[Kind] = MASKED,
    found: tuple[Found, ...] | None = None,
) -> str:
    """The text with a placeholder for everything of these kinds; masking it again changes nothing."""
    hits = find(text, phones=phones) if found is None else found
    pieces, at = [], 0
    for hit in hits:
        if hit.kind in kinds:
            pieces += [text[at : hit.start], places.name(hit.kind, text[hit.start : hit.end])]
            at = hit.end
    return "".join((*pieces, text[at:])) if pieces else text


def _spans(kind: Kind, text: str, phones: Phones) -> Iterator[tuple[int, int]]:
    match kind:
        case "email":
            yield from (hit.span() for hit in _EMAIL.finditer(text) if _is_somebodys(hit))
        case "iban":
            yield from (hit.span() for hit in _IBAN.finditer(text) if is_iban(hit[0]))
        case "card":
            yield from (hit.span() for hit in _CARD.finditer(text) if is_card(hit[0]))
        case "secret":
            yield from _secrets(text)
        case "ip":
            yield from (hit.span() for hit in _IP.finditer(text) if _is_public(hit[0]))
        case "phone":
            yield from phones(text)


def _possible(text: str) -> list[Kind]:
    """Kinds that a text may hold, by what is quick to see: nearly all texts hold none."""
    digits = bool(_DIGITS.search(text))
    lower = text.lower()
    seen: dict[Kind, bool] = {
        "secret": any(mark in text for mark in _MARKS) or any(word in lower for word in _WORDS),
        "email": "@" in text,
        "iban": digits,
        "card": digits,
        "phone": digits,
        "ip": bool(_IP_HINT.search(text)),
    }
    return [kind for kind in KINDS if seen[kind]]


# ---------------------------------------------------------------- numbers with check digits


def is_card(number: str) -> bool:
    """Luhn's check digit, a length and a prefix that cards have."""
    digits = "".join(filter(str.isdigit, number))
    return 13 <= len(digits) <= 19 and bool(_ISSUER.match(digits)) and len(set(digits)) > 1 and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """The country's length, and a remainder of 1 by 97 (ISO 13616)."""
    plain = "".join(text.split()).upper()
    if _IBAN_LENGTHS.get(plain[:2]) != len(plain) or not plain.isascii():
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


# ---------------------------------------------------------------- addresses


def _is_somebodys(hit: re.Match[str]) -> bool:
    local, _, domain = hit[0].casefold().rpartition("@")
    labels = domain.split(".")
    reserved = labels[-1] in _RESERVED or (len(labels) > 1 and labels[-2] == "example")
    path = (
        hit.string[hit.end() : hit.end() + 1] in (":", "/") and local == "git"
    )  # git@github.com:team/project
    file = labels[-1] in _FILE_ENDINGS  # icon@2x.png
    return not (reserved or path or file)


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


# ---------------------------------------------------------------- secrets


def _secrets(text: str) -> Iterator[tuple[int, int]]:
    for pattern in _KEYS:
        yield from (hit.span() for hit in pattern.finditer(text))
    for hit in _OPENAI.finditer(text):
        if _is_random(hit[1]):
            yield hit.span()
    for hit in _ASSIGNED.finditer(text):
        if _is_random(hit["value"]) and not _PLACEHOLDER.search(hit["value"]):
            yield hit.span("value")


def _is_random(value: str) -> bool:
    """Digits and letters mixed as no word or name mixes them."""
    entropy = -sum(count / len(value) * log2(count / len(value)) for count in Counter(value).values())
    digits = sum(letter.isdigit() for letter in value)
    return digits >= 2 and digits < len(value) and entropy >= 3.2 and len(_SWITCHES.findall(value)) >= 3


_MARKS = (
    "PRIVATE KEY",
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "xapp-",
    "_live_",
    "AIza",
    "eyJ",
    "sk-",
)
_WORDS = ("key", "token", "secret", "passw", "pwd")
_IP_HINT = re.compile(r"\d\.\d{1,3}\.\d|:[0-9A-Fa-f]{0,4}:")
_DIGITS = re.compile(r"\d(?:\D{0,3}\d){6}")
_EMAIL = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9](?:[\w.+%-]{0,62}[A-Za-z0-9_+-])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![\w-])",
    re.ASCII,
)
_RESERVED = frozenset({"example", "test", "invalid", "localhost", "local"})
_FILE_ENDINGS = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "js", "css", "py", "ts", "json", "md"})
_CARD = re.compile(r"(?<![\w.,/-])\d(?:[ -]?\d){12,18}(?![\w/-]|[.,]\d)", re.ASCII)
_ISSUER = re.compile(r"4|5[1-5]|2(?:2[2-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|[689])|35|6(?:011|4[4-9]|5)|62")
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", re.ASCII
)
_IBAN_LENGTHS = {
    country: int(length)
    for country, length in (
        pair.split(":")
        for pair in [
            "AD:24",
            "AE:23",
            "AL:28",
            "AT:20",
            "AZ:28",
            "BA:20",
            "BE:16",
            "BG:22",
            "BH:22",
            "BR:29",
            "BY:28",
            "CH:21",
            "CR:22",
            "CY:28",
            "CZ:24",
            "DE:22",
            "DK:18",
            "DO:28",
            "EE:20",
            "EG:29",
            "ES:24",
            "FI:18",
            "FO:18",
            "FR:27",
            "GB:22",
            "GE:22",
            "GI:23",
            "GL:18",
            "GR:27",
            "GT:28",
            "HR:21",
            "HU:28",
            "IE:22",
            "IL:23",
            "IQ:23",
            "IS:26",
            "IT:27",
            "JO:30",
            "KW:30",
            "KZ:20",
            "LB:28",
            "LC:32",
            "LI:21",
            "LT:20",
            "LU:20",
            "LV:21",
            "LY:25",
            "MC:27",
            "MD:24",
            "ME:22",
            "MK:19",
            "MR:27",
            "MT:31",
            "MU:30",
            "NL:18",
            "NO:15",
            "PK:24",
            "PL:28",
            "PS:29",
            "PT:25",
            "QA:29",
            "RO:24",
            "RS:22",
            "SA:24",
            "SC:31",
            "SE:24",
            "SI:19",
            "SK:24",
            "SM:27",
            "ST:25",
            "SV:28",
            "TL:23",
            "TN:24",
            "TR:26",
            "UA:29",
            "VA:22",
            "VG:24",
            "XK:20",
        ]
    )
}
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IP = re.compile(
    rf"(?<![\w.:])(?<!v)(?<!version )(?:{_OCTET}(?:\.{_OCTET}){{3}}|(?:[0-9a-f]{{1,4}}:){{2,7}}(?::?[0-9a-f]{{1,4}}){{1,6}})(?![\w:]|\.\d)",
    re.I | re.ASCII,
)
_KEYS = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,251}(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{50,251}(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,64}(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])xox[abeprs]-(?:[A-Za-z0-9]+-)+[A-Za-z0-9]{10,}(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])(?:sk|rk)_live_[A-Za-z0-9]{20,}(?![A-Za-z0-9])",
        r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
        r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}(?![A-Za-z0-9])",
    )
)
_OPENAI = re.compile(
    r"(?<![A-Za-z0-9])sk-(?:proj-|svcacct-|admin-|ant-api\d\d-|ant-)?([A-Za-z0-9_-]{20,250})(?![A-Za-z0-9])",
    re.ASCII,
)
_ASSIGNED = re.compile(
    r"(?:api[_ -]?key|access[_ -]?key|secret(?:[_ -]?(?:access[_ -]?)?key)?|auth[_ -]?token|access[_ -]?token|token|passw(?:or)?d|pwd)"
    r"[\"']?\s{0,2}(?:[:=]|=>|\bis\b)\s{0,2}[\"'`]?(?P<value>[A-Za-z0-9+/_=.~-]{16,200})(?![A-Za-z0-9+/(\[])",
    re.I | re.ASCII,
)
_PLACEHOLDER = re.compile(
    r"x{4,}|\*{3,}|your|example|placeholder|changeme|dummy|sample|abc123|123456|test[_-]", re.I
)
_SWITCHES = re.compile(r"(?<=[A-Za-z])\d|(?<=\d)[A-Za-z]|(?<=[a-z])[A-Z]")
